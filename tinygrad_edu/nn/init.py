"""Initial values of parameters, in place and outside of any graph: PyTorch's functions, defaults and gains."""

import math
import warnings

import numpy as np

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
                 conv_transpose1d=1.0, conv_transpose2d=1.0, conv_transpose3d=1.0)  # fmt: skip
    if nonlinearity == "leaky_relu":
        if isinstance(param, bool) or not isinstance(param, (int, float, type(None))):
            raise ValueError(f"calculate_gain: the slope of leaky_relu must be a number, got {param!r}")
        slope = 0.01 if param is None else param
        return math.sqrt(2.0 / (1 + slope**2))
    if nonlinearity not in gains:
        raise ValueError(f"calculate_gain: unknown nonlinearity {nonlinearity!r}; known are {sorted([*gains, 'leaky_relu'])}")
    return gains[nonlinearity]


def chosen_fan(tensor, mode):
    """The fan that a Kaiming initialisation preserves."""
    if mode not in ("fan_in", "fan_out"):
        raise ValueError(f'mode must be "fan_in" or "fan_out", not {mode!r}')
    return fans(tensor)[mode == "fan_out"]


def is_empty(tensor):
    """True, with a warning, for a tensor without elements, which needs no values."""
    if tensor.array.size == 0:
        warnings.warn("a tensor without elements was given to an initialisation, which does nothing", stacklevel=3)
        return True
    return False


def kaiming_uniform_(tensor, a=0, mode="fan_in", nonlinearity="leaky_relu", generator=None):
    """Fill from U(−b, b) with b = gain · √(3 / fan) (He et al. 2015)."""
    if is_empty(tensor):
        return tensor
    bound = calculate_gain(nonlinearity, a) * math.sqrt(3.0 / chosen_fan(tensor, mode))
    return uniform_(tensor, -bound, bound, generator)


def kaiming_normal_(tensor, a=0, mode="fan_in", nonlinearity="leaky_relu", generator=None):
    """Fill from N(0, σ²) with σ = gain / √fan (He et al. 2015)."""
    if is_empty(tensor):
        return tensor
    return normal_(tensor, 0.0, calculate_gain(nonlinearity, a) / math.sqrt(chosen_fan(tensor, mode)), generator)


def xavier_uniform_(tensor, gain=1.0, generator=None):
    """Fill from U(−b, b) with b = gain · √(6 / (fan in + fan out)) (Glorot and Bengio 2010)."""
    bound = gain * math.sqrt(6.0 / sum(fans(tensor)))
    return uniform_(tensor, -bound, bound, generator)


def xavier_normal_(tensor, gain=1.0, generator=None):
    """Fill from N(0, σ²) with σ = gain · √(2 / (fan in + fan out)) (Glorot and Bengio 2010)."""
    return normal_(tensor, 0.0, gain * math.sqrt(2.0 / sum(fans(tensor))), generator)


def normal_cdf(x):
    """Φ(x): how much of the normal distribution lies below x."""
    return (1 + math.erf(x / math.sqrt(2))) / 2


@no_grad()
def trunc_normal_(tensor, mean=0.0, std=1.0, a=-2.0, b=2.0, generator=None):
    """Fill from a normal distribution whose values outside [a, b] are drawn again; the bounds are values, not multiples of std"""
    if mean < a - 2 * std or mean > b + 2 * std:
        warnings.warn(f"trunc_normal_: mean {mean} is more than two std from [{a}, {b}]; the values may be distributed otherwise", stacklevel=2)
    dtype, array = tensor.dtype, tensor.array
    if normal_cdf((b - mean) / std) - normal_cdf((a - mean) / std) > 0.3:  # most draws fit
        low, high = dtype.type(a), dtype.type(b)
        values = tensor.normal_(mean, std, generator=generator).array
        while (outside := (values < low) | (values > high)).any():
            values = np.where(outside, Tensor(np.empty_like(array), None).normal_(mean, std, generator=generator).array, values)
        return tensor.copy_(Tensor(values, None))
    peak = -0.5 * ((max(a, min(mean, b)) - mean) / std) ** 2  # else uniform draws, kept with the density's probability
    values, pending = np.zeros_like(array), np.ones(array.shape, bool)
    while pending.any():
        drawn = Tensor(np.empty_like(array), None).uniform_(a, b, generator=generator).array
        values = np.where(pending, drawn, values)
        log_density = np.square((drawn - mean) / std) * -0.5 - peak
        with np.errstate(divide="ignore"):
            pending &= np.log(Tensor(np.empty_like(array), None).uniform_(generator=generator).array) > log_density
    return tensor.copy_(Tensor(values, None))


@no_grad()
def eye_(tensor):
    """Fill a matrix with 1 on the diagonal and 0 elsewhere, so that a linear layer passes its input on"""
    if tensor.ndim != 2:
        raise ValueError(f"eye_: only a matrix has a diagonal, got shape {list(tensor.shape)}")
    return tensor.copy_(Tensor(np.eye(*tensor.shape, dtype=tensor.dtype), None))


@no_grad()
def dirac_(tensor, groups=1):
    """Fill a convolution's weight (out, in, …) so that as many channels as possible pass unchanged"""
    if tensor.ndim not in (3, 4, 5):
        raise ValueError(f"dirac_: expected a convolution's weight of 3, 4 or 5 dimensions, got shape {list(tensor.shape)}")
    out, channels, *field = tensor.shape
    if out % groups:
        raise ValueError(f"dirac_: {out} outputs cannot be divided into {groups} groups")
    values = np.zeros(tensor.shape, tensor.dtype)
    for group in range(groups):
        for d in range(min(out // groups, channels)):
            values[(group * (out // groups) + d, d, *(n // 2 for n in field))] = 1
    return tensor.copy_(Tensor(values, None))


@no_grad()
def orthogonal_(tensor, gain=1, generator=None):
    """Fill with an orthogonal matrix, all dimensions after the first taken together (Saxe et al. 2013)"""
    if tensor.ndim < 2:
        raise ValueError(f"orthogonal_: expected at least 2 dimensions, got shape {list(tensor.shape)}")
    if tensor.array.size == 0:
        return tensor
    rows, columns = tensor.shape[0], tensor.array.size // tensor.shape[0]
    normal = Tensor(np.empty((rows, columns), tensor.dtype), None).normal_(0, 1, generator=generator).array
    q, r = np.linalg.qr(normal.T if rows < columns else normal)
    q = q * np.sign(np.diagonal(r))  # makes the distribution uniform (Mezzadri 2007)
    return tensor.copy_(Tensor(((q.T if rows < columns else q) * gain).reshape(tensor.shape), None))


@no_grad()
def sparse_(tensor, sparsity, std=0.01, generator=None):
    """Fill a matrix from N(0, std²), then set the fraction `sparsity` of each column to 0 (Martens 2010)"""
    if tensor.ndim != 2:
        raise ValueError(f"sparse_: expected a matrix, got shape {list(tensor.shape)}")
    from ..api import functions

    tensor.normal_(0, std, generator=generator)
    zeros = math.ceil(sparsity * tensor.shape[0])
    for column in range(tensor.shape[1]):
        tensor[functions["randperm"](tensor.shape[0])[:zeros], column] = 0
    return tensor


def former(function):
    """A function under the name that PyTorch gave up: without its underscore."""

    def deprecated(*args, **kwargs):
        warnings.warn(f"nn.init.{function.__name__[:-1]} is the former name of nn.init.{function.__name__}", FutureWarning, stacklevel=2)
        return function(*args, **kwargs)

    deprecated.__name__, deprecated.__doc__ = function.__name__[:-1], function.__doc__
    return deprecated


uniform, normal, constant, eye, dirac, xavier_uniform, xavier_normal, kaiming_uniform, kaiming_normal, orthogonal, sparse = (
    former(f) for f in (uniform_, normal_, constant_, eye_, dirac_, xavier_uniform_, xavier_normal_, kaiming_uniform_, kaiming_normal_,
                        orthogonal_, sparse_)
)  # fmt: skip
_calculate_fan_in_and_fan_out = fans  # under the name by which programs written for PyTorch reach for it
