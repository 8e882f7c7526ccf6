"""All parameters as one vector, and back."""

from ...autograd.tensor import Tensor
from ...ops.shapes import concatenate


def parameters_to_vector(parameters):
    """All elements of all parameters, one behind the other; gradients flow back

    >>> import tinygrad_edu as tg
    >>> tg.nn.utils.parameters_to_vector(tg.nn.Linear(3, 2).parameters()).shape
    Size([8])
    """
    return concatenate(*(p.reshape((-1,)) for p in parameters), axis=0)


def vector_to_parameters(vec, parameters):
    """Overwrite the values of all parameters with the elements of a vector"""
    if not isinstance(vec, Tensor):
        raise TypeError(f"vector_to_parameters: expected a tensor, got {type(vec).__name__}")
    parameters = list(parameters)
    wanted = sum(p.array.size for p in parameters)
    if vec.array.size < wanted:
        raise RuntimeError(f"vector_to_parameters: the vector has {vec.array.size} elements, and the parameters need {wanted}")
    start, values = 0, vec.detach()
    for p in parameters:
        p.data = values[start : start + p.array.size].reshape(tuple(p.shape)).data
        start += p.array.size
