"""Initial values of parameters, in place and outside of any graph: PyTorch's functions, defaults and gains."""

import math

from ..autograd.modes import no_grad
from ..autograd.tensor import Tensor


@no_grad()
def uniform_(tensor, a=0.0, b=1.0, generator=None):
    """Fill with numbers from the uniform distribution on [a, b)."""
    return tensor.uniform_(a, b, generator=generator)


@no_grad()
def normal_(tensor, mean=0.0, std=1.0, generator=None):
    """Fill with numbers from a normal distribution."""
    return tensor.normal_(mean, std, generator=generator)


@no_grad()
def constant_(tensor, val):
    """Fill with one number."""
    return tensor.fill_(val)


def zeros_(tensor):
    """Fill with 0."""
    return constant_(tensor, 0.0)


def ones_(tensor):
    """Fill with 1."""
    return constant_(tensor, 1.0)


def fans(tensor: Tensor):
    """(fan in, fan out) of a weight of shape (out, in, …): how many numbers each output sums, and each input feeds."""
    if tensor.ndim < 2:
        raise ValueError(f"initialisation by fan needs a weight of at least 2 dimensions (out, in, …), got shape {list(tensor.shape)}")
    field = math.prod(tensor.shape[2:])
    return tensor.shape[1] * field, tensor.shape[0] * field


def calculate_gain(nonlinearity, param=None):
    """The factor by which an activation shrinks its input, so that layers keep the scale."""
    gains = dict(linear=1.0, sigmoid=1.0, tanh=5.0 / 3, relu=math.sqrt(2.0), selu=0.75, conv1d=1.0, conv2d=1.0, conv3d=1.0,
                 conv_transpose1d=1.0, conv_transpose2d=1.0)  # fmt: skip
    if nonlinearity == "leaky_relu":
        slope = 0.01 if param is None else float(param)
        return math.sqrt(2.0 / (1 + slope**2))
    if nonlinearity not in gains:
        raise ValueError(f"calculate_gain: unknown nonlinearity {nonlinearity!r}; known are {sorted([*gains, 'leaky_relu'])}")
    return gains[nonlinearity]


def chosen_fan(tensor, mode):
    """The fan that a Kaiming initialisation preserves."""
    if mode not in ("fan_in", "fan_out"):
        raise ValueError(f'mode must be "fan_in" or "fan_out", not {mode!r}')
    return fans(tensor)[mode == "fan_out"]


def kaiming_uniform_(tensor, a=0, mode="fan_in", nonlinearity="leaky_relu", generator=None):
    """Fill from U(−b, b) with b = gain · √(3 / fan) (He et al. 2015)."""
    bound = calculate_gain(nonlinearity, a) * math.sqrt(3.0 / chosen_fan(tensor, mode))
    return uniform_(tensor, -bound, bound, generator)


def kaiming_normal_(tensor, a=0, mode="fan_in", nonlinearity="leaky_relu", generator=None):
    """Fill from N(0, σ²) with σ = gain / √fan (He et al. 2015)."""
    return normal_(tensor, 0.0, calculate_gain(nonlinearity, a) / math.sqrt(chosen_fan(tensor, mode)), generator)


def xavier_uniform_(tensor, gain=1.0, generator=None):
    """Fill from U(−b, b) with b = gain · √(6 / (fan in + fan out)) (Glorot and Bengio 2010)."""
    bound = gain * math.sqrt(6.0 / sum(fans(tensor)))
    return uniform_(tensor, -bound, bound, generator)


def xavier_normal_(tensor, gain=1.0, generator=None):
    """Fill from N(0, σ²) with σ = gain · √(2 / (fan in + fan out)) (Glorot and Bengio 2010)."""
    return normal_(tensor, 0.0, gain * math.sqrt(2.0 / sum(fans(tensor))), generator)
