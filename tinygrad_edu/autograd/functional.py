"""Derivatives of functions of tensors, as `torch.autograd.functional` spells them: a few lines each on top of `grad`."""

import numpy as np

from . import engine, modes
from .node import leaf
from .tensor import Tensor

__all__ = ["hessian", "hvp", "jacobian", "jvp", "vhp", "vjp"]


def tensors(values, what, name):
    """A tensor, or a tuple or list of tensors, as a sequence, and whether it was one tensor."""
    single = isinstance(values, Tensor)
    found = (values,) if single else values if isinstance(values, (tuple, list)) else ()
    if not found or not all(isinstance(x, Tensor) for x in found):
        raise TypeError(f"{name}: {what} must be a Tensor or a tuple of Tensors, not {type(values).__name__}")
    return found, single


def prepared(inputs, create_graph):
    """Inputs of the computation's own: views of the given ones where the result is to stay in their graph, else leaves."""
    return tuple(x.view_as(x) if create_graph and x.node is not None else Tensor(x.array, leaf(x.array.shape, x.dtype)) for x in inputs)


def evaluated(func, inputs, create_graph, name):
    """(inputs of its own, outputs, input was single, output was single)"""
    inputs, single = tensors(inputs, "the inputs", name)
    with modes.enable_grad():
        inputs = prepared(inputs, create_graph)
        outputs, single_output = tensors(func(*inputs), "what the function returns", name)
    return inputs, outputs, single, single_output


def is_number(values):
    """True for one tensor with one element."""
    return [x.array.size for x in values] == [1]


def direction(v, like, name, what):
    """The vector of a product: the given one; None, which stands for 1, for a single number."""
    if v is None:
        if not is_number(like):
            raise RuntimeError(f"{name}: v can be left out only where {what} is a single number; give v of its shape")
        return (None,)
    v, _ = tensors(v, "v", name)
    if [a.array.shape for a in v] != [b.array.shape for b in like]:
        raise RuntimeError(f"{name}: v has shapes {[list(a.shape) for a in v]} and {what} {[list(b.shape) for b in like]}; they must "
                           "be the same")  # fmt: skip
    return v


def products(outputs, inputs, weights, create_graph, strict, name):
    """Σ weight · ∂output/∂input for each input, zeros (an error if strict) where there is no connection."""
    kept = [(out, w) for out, w in zip(outputs, weights) if out.node is not None]
    if strict and len(kept) < len(outputs):
        raise RuntimeError(f"{name}(strict=True): output {[o.node is None for o in outputs].index(True)} does not depend on the inputs")
    found = engine.grad([o for o, _ in kept], inputs, [w for _, w in kept], True, create_graph, allow_unused=True)
    if strict and any(g is None for g in found):
        raise RuntimeError(f"{name}(strict=True): the outputs do not depend on input {[g is None for g in found].index(True)}")
    return tuple(Tensor(np.zeros_like(x.array), None) if g is None else g for g, x in zip(found, inputs))


def finished(values, single, create_graph):
    """The results as they were given: one tensor or a tuple, without a graph unless it is wanted."""
    values = values if create_graph else tuple(x.detach() for x in values)
    return values[0] if single else tuple(values)


def vjp(func, inputs, v=None, create_graph=False, strict=False):
    """(outputs, vᵀ · J): the gradients of Σ v · output

    >>> import tinygrad_edu as tg
    >>> tg.autograd.functional.vjp(lambda x: x**2, tg.tensor([1.0, 2.0]), tg.tensor([1.0, 10.0]))
    (tensor([1., 4.]), tensor([ 2., 40.]))
    """
    inputs, outputs, single, single_output = evaluated(func, inputs, create_graph, "vjp")
    weights = direction(v, outputs, "vjp", "the output")
    with modes.enable_grad():
        found = products(outputs, inputs, weights, create_graph, strict, "vjp")
    return finished(outputs, single_output, create_graph), finished(found, single, create_graph)


def jvp(func, inputs, v=None, create_graph=False, strict=False):
    """(outputs, J · v): how the outputs change in the direction v; by two backward passes, as J · v is the derivative
    of uᵀ · J with respect to u

    >>> import tinygrad_edu as tg
    >>> tg.autograd.functional.jvp(lambda x: x**2, tg.tensor([1.0, 2.0]), tg.tensor([1.0, 1.0]))
    (tensor([1., 4.]), tensor([2., 4.]))
    """
    inputs, outputs, _, single_output = evaluated(func, inputs, create_graph, "jvp")
    v = direction(v, inputs, "jvp", "the input")
    with modes.enable_grad():
        weights = tuple(Tensor(np.zeros_like(out.array), leaf(out.array.shape, out.dtype)) for out in outputs)
        pulled = products(outputs, inputs, weights, True, strict, "jvp")
        found = products(pulled, weights, v, create_graph, False, "jvp")
    return finished(outputs, single_output, create_graph), finished(found, single_output, create_graph)


def slope(func, inputs, create_graph, strict, name):
    """(inputs of its own, the output, its gradients in a graph, whether the input was single) of a function to a number."""
    inputs, outputs, single, single_output = evaluated(func, inputs, create_graph, name)
    if not single_output or not is_number(outputs):
        raise RuntimeError(f"{name}: the function must return one number, not shapes {[list(o.shape) for o in outputs]}")
    with modes.enable_grad():
        found = products(outputs, inputs, (None,), True, strict, name)
    return inputs, outputs, found, single


def vhp(func, inputs, v=None, create_graph=False, strict=False):
    """(output, vᵀ · H): the second derivatives of a function to one number, times v"""
    inputs, outputs, found, single = slope(func, inputs, create_graph, strict, "vhp")
    v = direction(v, inputs, "vhp", "the input")
    with modes.enable_grad():
        result = products(found, inputs, v, create_graph, strict, "vhp")
    return finished(outputs, True, create_graph), finished(result, single, create_graph)


def hvp(func, inputs, v=None, create_graph=False, strict=False):
    """(output, H · v): the same numbers as `vhp`, as second derivatives are symmetric

    >>> import tinygrad_edu as tg
    >>> tg.autograd.functional.hvp(lambda x: (x**3).sum(), tg.tensor([1.0, 2.0]), tg.tensor([1.0, 0.0]))
    (tensor(9.), tensor([6., 0.]))
    """
    inputs, outputs, found, single = slope(func, inputs, create_graph, strict, "hvp")
    v = direction(v, inputs, "hvp", "the input")
    with modes.enable_grad():
        result = products(found, inputs, v, create_graph, strict, "hvp")
    return finished(outputs, True, create_graph), finished(result, single, create_graph)


def jacobian(func, inputs, create_graph=False, strict=False, vectorize=False, strategy="reverse-mode"):
    """All derivatives, shape output + input; nested tuples for several outputs or inputs

    `vectorize` and `strategy` choose how PyTorch computes them; the numbers are the same, one backward pass per row.

    >>> import tinygrad_edu as tg
    >>> tg.autograd.functional.jacobian(lambda x: x**2, tg.tensor([1.0, 2.0]))
    tensor([[2., 0.],
            [0., 4.]])
    """
    if strategy not in {"reverse-mode", "forward-mode"}:
        raise ValueError(f'jacobian: strategy must be "reverse-mode" or "forward-mode", not {strategy!r}')
    from ..ops.shapes import reshape, stack

    inputs, outputs, single, single_output = evaluated(func, inputs, create_graph, "jacobian")
    result = []
    for out in outputs:
        rows = []
        with modes.enable_grad():
            for place in range(out.array.size):
                unit = np.zeros(out.array.size, out.dtype)
                unit[place] = 1
                rows.append(products((out,), inputs, (Tensor(unit.reshape(out.array.shape), None),), create_graph, strict, "jacobian"))
            parts = [reshape(stack(*(row[k] for row in rows)), shape=(*out.shape, *x.shape)) if rows
                     else Tensor(np.zeros((*out.shape, *x.shape), x.dtype), None) for k, x in enumerate(inputs)]  # fmt: skip
        result.append(finished(parts, single, create_graph))
    return result[0] if single_output else tuple(result)


def hessian(func, inputs, create_graph=False, strict=False, vectorize=False, outer_jacobian_strategy="reverse-mode"):
    """All second derivatives of a function to one number, shape input + input; nested tuples for several inputs

    >>> import tinygrad_edu as tg
    >>> tg.autograd.functional.hessian(lambda x: (x**3).sum(), tg.tensor([1.0, 2.0]))
    tensor([[ 6.,  0.],
            [ 0., 12.]])
    """
    inputs, single = tensors(inputs, "the inputs", "hessian")

    def slopes(*xs):
        out, _ = tensors(func(*xs), "what the function returns", "hessian")
        if not is_number(out):
            raise RuntimeError(f"hessian: the function must return one number, not shapes {[list(o.shape) for o in out]}")
        return products(out, xs, (None,), True, strict, "hessian")

    result = jacobian(slopes, inputs, create_graph, strict, vectorize, outer_jacobian_strategy)
    return result[0][0] if single else result
