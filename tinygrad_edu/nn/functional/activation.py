"""Activations as functions."""

import warnings

import numpy as np

from ...api.create import dtype_of
from ...api.elementwise import named
from ...api.spelling import check_dim, magnitudes
from ...autograd import memory
from ...autograd.tensor import Tensor, array_of
from ...ops import activations as ops
from ...ops import functions, reductions
from ...ops.indexing import where

logsigmoid, softsign, tanhshrink = named(ops.logsigmoid), named(ops.softsign), named(ops.tanhshrink)
relu_operator = ops.relu


def overwrite(input, name, function):
    """Store `function(input)` in the memory of `input`, in the graph: what inplace=True means."""
    return memory.write(input, name, function)


def relu(input, inplace=False):
    """max(input, 0), element by element

    >>> import tinygrad_edu as tg
    >>> tg.nn.functional.relu(tg.tensor([-1.0, 2.0]))
    tensor([0., 2.])
    """
    return overwrite(input, "relu_", relu_operator) if inplace else relu_operator(input)


def sigmoid(input):
    """1 / (1 + e^(−input))"""
    return ops.sigmoid(input)


def tanh(input):
    """The hyperbolic tangent"""
    return functions.tanh(input)


def relu6(input, inplace=False):
    """min(max(input, 0), 6)"""
    return hardtanh(input, 0.0, 6.0, inplace)


def hardtanh(input, min_val=-1.0, max_val=1.0, inplace=False):
    """min(max(input, min_val), max_val); the slope at the edges is 0"""
    if min_val > max_val:
        raise ValueError(f"hardtanh: min_val={min_val} is larger than max_val={max_val}; exchange them")
    if inplace:
        return overwrite(input, "hardtanh_", lambda x: ops.hardtanh(x, low=min_val, high=max_val))
    return ops.hardtanh(input, low=min_val, high=max_val)


def leaky_relu(input, negative_slope=0.01, inplace=False):
    """input where input > 0, else negative_slope · input"""
    if inplace:
        return overwrite(input, "leaky_relu_", lambda x: ops.leaky_relu(x, negative_slope=negative_slope))
    return ops.leaky_relu(input, negative_slope=negative_slope)


def prelu(input, weight):
    """input where input > 0, else weight · input; weight has one element, or one for each channel (dimension 1)"""
    if weight.ndim > 1:
        raise RuntimeError(f"prelu: weight must have no or one dimension, and its shape is {list(weight.shape)}")
    n = weight.array.size
    if n == 1:
        return ops.prelu_elementwise(input, weight.reshape(()) if weight.ndim else weight)
    channels = input.shape[1] if input.ndim > 1 else 1
    if n != channels:
        raise RuntimeError(f"prelu: weight has {n} elements and the input {channels} channels (dimension 1 of shape "
                           f"{list(input.shape)}); give one weight, or {channels}")  # fmt: skip
    return ops.prelu_elementwise(input, weight.reshape((1, n) + (1,) * (input.ndim - 2)))


def rrelu(input, lower=1 / 8, upper=1 / 3, training=False, inplace=False):
    """input where input > 0, else slope · input, the slope drawn from U(lower, upper) in training and their mean otherwise"""
    if lower > upper:
        raise RuntimeError(f"rrelu: lower={lower} is larger than upper={upper}; exchange them")
    if not training:
        return leaky_relu(input, (lower + upper) / 2, inplace)
    slopes = np.ones(input.array.shape, input.dtype)
    negative = input.array <= 0
    slopes[negative] = Tensor(np.empty(int(negative.sum())), None).uniform_(lower, upper).array
    factor = Tensor(slopes, None)
    return overwrite(input, "rrelu_", lambda x: x * factor) if inplace else input * factor


def elu(input, alpha=1.0, inplace=False):
    """input where input > 0, else α · (e^input − 1)"""
    if inplace:
        return overwrite(input, "elu_", lambda x: ops.elu(x, alpha=alpha))
    return ops.elu(input, alpha=alpha)


def celu(input, alpha=1.0, inplace=False):
    """input where input > 0, else α · (e^(input/α) − 1)"""
    if alpha == 0:
        raise RuntimeError("celu: alpha must not be 0, which would divide by 0")
    if inplace:
        return overwrite(input, "celu_", lambda x: ops.celu(x, alpha=alpha))
    return ops.celu(input, alpha=alpha)


def selu(input, inplace=False):
    """λ · input where input > 0, else λ · α · (e^input − 1), with λ = 1.0507 and α = 1.6733"""
    return overwrite(input, "selu_", ops.selu) if inplace else ops.selu(input)


def gelu(input, approximate="none"):
    """input · Φ(input), exactly, or with approximate="tanh" by a hyperbolic tangent"""
    if approximate not in ("none", "tanh"):
        raise RuntimeError(f'gelu: approximate must be "none" or "tanh", not {approximate!r}')
    return ops.gelu_tanh(input) if approximate == "tanh" else ops.gelu_exact(input)


def silu(input, inplace=False):
    """input · σ(input)"""
    return overwrite(input, "silu_", ops.silu) if inplace else ops.silu(input)


def mish(input, inplace=False):
    """input · tanh(ln(1 + e^input))"""
    return overwrite(input, "mish_", ops.mish) if inplace else ops.mish(input)


def softplus(input, beta=1.0, threshold=20.0):
    """ln(1 + e^(β·input)) / β, and input itself where β·input > threshold"""
    return ops.softplus(input, beta=beta, threshold=threshold)


def hardsigmoid(input, inplace=False):
    """min(max(input + 3, 0), 6) / 6"""
    return overwrite(input, "hardsigmoid_", ops.hardsigmoid) if inplace else ops.hardsigmoid(input)


def hardswish(input, inplace=False):
    """input · min(max(input + 3, 0), 6) / 6"""
    return overwrite(input, "hardswish_", ops.hardswish) if inplace else ops.hardswish(input)


def threshold(input, threshold, value, inplace=False):
    """input where input > threshold, else value"""
    if inplace:
        return overwrite(input, "threshold_", lambda x: ops.threshold_elementwise(x, threshold=threshold, value=value))
    return ops.threshold_elementwise(input, threshold=threshold, value=value)


def hardshrink(input, lambd=0.5):
    """input where |input| > λ, else 0"""
    return ops.hardshrink(input, lambd=lambd)


def softshrink(input, lambd=0.5):
    """input − λ where input > λ, input + λ where input < −λ, else 0"""
    if lambd < 0:
        raise RuntimeError(f"softshrink: lambd must not be negative, and it is {lambd}")
    return ops.softshrink(input, lambd=lambd)


def glu(input, dim=-1):
    """a · σ(b), where a and b are the two halves of input along dim

    >>> import tinygrad_edu as tg
    >>> tg.nn.functional.glu(tg.tensor([1.0, 2.0, 0.0, 0.0]))
    tensor([0.5000, 1.0000])
    """
    axis = check_dim("glu", input, dim)
    if input.ndim == 0 or input.shape[axis] % 2:
        raise RuntimeError(f"glu: dimension {dim} of shape {list(input.shape)} cannot be halved; its size must be even")
    half = input.shape[axis] // 2
    before = (slice(None),) * axis
    return input[(*before, slice(half))] * sigmoid(input[(*before, slice(half, None))])


def implicit_dim(name, input, dim):
    """The dimension of a softmax; where it is missing, the one that PyTorch guesses, with a warning."""
    if dim is not None:
        return check_dim(name, input, dim) if input.array.ndim else 0
    guess = 0 if input.ndim in (0, 1, 3) else 1
    warnings.warn(f"{name}: the dimension along which the results sum to 1 is not given, and dim={guess} is a guess for a "
                  f"tensor with {input.ndim} dimensions; give it, as in {name}(x, dim=-1)", stacklevel=3)  # fmt: skip
    return guess


def along(name, operator, input, dim, dtype):
    """A softmax along one dimension, in a dtype of its own if one is given; a number alone counts as a vector."""
    axis = implicit_dim(name, input, dim)
    if dtype is not None:
        input = input.to(dtype_of(dtype))
    if input.array.ndim:
        return operator(input, axis=axis)
    return operator(input.reshape((1,)), axis=0).reshape(())


def softmax(input, dim=None, _stacklevel=3, dtype=None):
    """eˣ / Σ eˣ along dim

    >>> import tinygrad_edu as tg
    >>> tg.nn.functional.softmax(tg.zeros(2, 4), dim=-1)[0]
    tensor([0.2500, 0.2500, 0.2500, 0.2500])
    """
    return along("softmax", reductions.softmax, input, dim, dtype)


def softmin(input, dim=None, _stacklevel=3, dtype=None):
    """e⁻ˣ / Σ e⁻ˣ along dim"""
    return along("softmin", reductions.softmax, -input, dim, dtype)


def log_softmax(input, dim=None, _stacklevel=3, dtype=None):
    """x − ln Σ eˣ along dim, without overflow"""
    return along("log_softmax", reductions.log_softmax, input, dim, dtype)


def gumbel_softmax(logits, tau=1, hard=False, eps=1e-10, dim=-1):
    """softmax((logits + noise) / tau), a sample that has gradients; hard=True rounds it to one-hot, not its gradient

    Source: Jang, Gu, Poole (2016); the noise is −ln of exponentially distributed numbers.
    """
    noise = -Tensor(np.empty(logits.array.shape, logits.dtype), None).exponential_().log()
    soft = softmax((logits + noise) / tau, dim)
    if not hard:
        return soft
    chosen = np.zeros_like(soft.array)
    np.put_along_axis(chosen, soft.array.argmax(axis=dim, keepdims=True), 1, axis=dim)
    return Tensor(chosen, None) - soft.detach() + soft


def normalize(input, p=2.0, dim=1, eps=1e-12, out=None):
    """input / max(‖input‖ₚ, eps) along dim

    >>> import tinygrad_edu as tg
    >>> tg.nn.functional.normalize(tg.tensor([[3.0, 4.0]]))
    tensor([[0.6000, 0.8000]])
    """
    size = reductions.vector_norm(magnitudes(input), axis=tuple(dim) if isinstance(dim, (tuple, list)) else dim, order=p, keepdims=True)
    result = input / where(Tensor(array_of(size) < eps, None), eps, size)
    return result if out is None else out.copy_(result)


def in_place(function):
    """The form of an activation that overwrites its input: relu_ from relu."""

    def method(input, *args, **kwargs):
        return function(input, *args, inplace=True, **kwargs)

    method.__name__ = method.__qualname__ = f"{function.__name__}_"
    method.__doc__ = f"`{function.__name__}`, in place: overwrites the input and returns it."
    return method


relu_, hardtanh_, leaky_relu_, rrelu_, elu_, celu_, selu_, threshold_ = (
    in_place(f) for f in (relu, hardtanh, leaky_relu, rrelu, elu, celu, selu, threshold)
)

__all__ = ["celu", "celu_", "elu", "elu_", "gelu", "glu", "gumbel_softmax", "hardshrink", "hardsigmoid", "hardswish", "hardtanh",
           "hardtanh_", "leaky_relu", "leaky_relu_", "log_softmax", "logsigmoid", "mish", "normalize", "prelu", "relu", "relu6",
           "relu_", "rrelu", "rrelu_", "selu", "selu_", "sigmoid", "silu", "softmax", "softmin", "softplus", "softshrink",
           "softsign", "tanh", "tanhshrink", "threshold", "threshold_"]  # fmt: skip
