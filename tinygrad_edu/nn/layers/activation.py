"""Activations as modules."""

import numpy as np

from ...api.create import check_device, dtype_of
from ...autograd import dtypes
from ...autograd.tensor import Tensor
from ...ops import activations as ops
from ...ops.functions import tanh
from .. import functional as F
from .. import init
from ..module import Module
from ..parameter import Parameter


def with_inplace(text, inplace):
    """What repr shows: the other arguments, and inplace=True where it is."""
    return ", ".join([*([text] if text else []), *(["inplace=True"] if inplace else [])])


class Plain(Module):
    """An activation without arguments; PyTorch accepts and ignores any."""

    def __init__(self, *args, **kwargs):
        super().__init__()


class InPlace(Module):
    """An activation whose only argument is inplace: it overwrites its input."""

    def __init__(self, inplace=False):
        super().__init__()
        self.inplace = inplace

    def extra_repr(self):
        return with_inplace("", self.inplace)


class Sigmoid(Plain):
    """1 / (1 + e⁻ˣ), element by element"""

    def forward(self, input):
        return ops.sigmoid(input)


class Tanh(Plain):
    """tanh x, element by element"""

    def forward(self, input):
        return tanh(input)


class ReLU(InPlace):
    """max(x, 0), element by element; inplace=True overwrites its input"""

    def forward(self, input):
        return F.relu(input, True) if self.inplace else ops.relu(input)


class LeakyReLU(Module):
    """x where x > 0, else negative_slope · x"""

    def __init__(self, negative_slope=0.01, inplace=False):
        super().__init__()
        self.negative_slope, self.inplace = negative_slope, inplace

    def forward(self, input):
        return F.leaky_relu(input, self.negative_slope, self.inplace)

    def extra_repr(self):
        return with_inplace(f"negative_slope={self.negative_slope}", self.inplace)


class PReLU(Module):
    """x where x > 0, else weight · x; the weight is learned: one for all, or one for each channel (dimension 1)"""

    def __init__(self, num_parameters=1, init=0.25, device=None, dtype=None):
        super().__init__()
        check_device(device)
        self.num_parameters, self.init = num_parameters, init
        self.weight = Parameter(Tensor(np.empty(num_parameters, dtypes.default if dtype is None else dtype_of(dtype)), None))
        self.reset_parameters()

    def reset_parameters(self):
        """Set the weight to its first value."""
        init.constant_(self.weight, self.init)

    def forward(self, input):
        return F.prelu(input, self.weight)

    def extra_repr(self):
        return f"num_parameters={self.num_parameters}"


class RReLU(Module):
    """x where x > 0, else slope · x: slopes from U(lower, upper) in training, their mean in evaluation"""

    def __init__(self, lower=1 / 8, upper=1 / 3, inplace=False):
        super().__init__()
        self.lower, self.upper, self.inplace = lower, upper, inplace

    def forward(self, input):
        return F.rrelu(input, self.lower, self.upper, self.training, self.inplace)

    def extra_repr(self):
        return with_inplace(f"lower={self.lower}, upper={self.upper}", self.inplace)


class Alpha(Module):
    """An activation with a scale α."""

    def __init__(self, alpha=1.0, inplace=False):
        super().__init__()
        self.alpha, self.inplace = alpha, inplace

    def extra_repr(self):
        return with_inplace(f"alpha={self.alpha}", self.inplace)


class ELU(Alpha):
    """x where x > 0, else α · (eˣ − 1)"""

    def forward(self, input):
        return F.elu(input, self.alpha, self.inplace)


class CELU(Alpha):
    """x where x > 0, else α · (e^(x/α) − 1)"""

    def forward(self, input):
        return F.celu(input, self.alpha, self.inplace)


class SELU(InPlace):
    """λ · x where x > 0, else λ · α · (eˣ − 1), with λ = 1.0507 and α = 1.6733"""

    def forward(self, input):
        return F.selu(input, self.inplace)


class GELU(Module):
    """x · Φ(x), exactly, or with approximate="tanh" by a hyperbolic tangent"""

    def __init__(self, approximate="none"):
        super().__init__()
        self.approximate = approximate

    def forward(self, input):
        return F.gelu(input, self.approximate)

    def extra_repr(self):
        return f"approximate={self.approximate!r}"


class SiLU(InPlace):
    """x · σ(x)"""

    def forward(self, input):
        return F.silu(input, self.inplace)


class Mish(InPlace):
    """x · tanh(ln(1 + eˣ))"""

    def forward(self, input):
        return F.mish(input, self.inplace)


class Softplus(Module):
    """ln(1 + e^(βx)) / β, and x itself where βx > threshold"""

    def __init__(self, beta=1.0, threshold=20.0):
        super().__init__()
        self.beta, self.threshold = beta, threshold

    def forward(self, input):
        return F.softplus(input, self.beta, self.threshold)

    def extra_repr(self):
        return f"beta={self.beta}, threshold={self.threshold}"


class Softsign(Plain):
    """x / (1 + |x|)"""

    def forward(self, input):
        return ops.softsign(input)


class LogSigmoid(Plain):
    """ln(1 / (1 + e⁻ˣ)), without overflow"""

    def forward(self, input):
        return ops.logsigmoid(input)


class Tanhshrink(Plain):
    """x − tanh x"""

    def forward(self, input):
        return ops.tanhshrink(input)


class Hardtanh(Module):
    """min(max(x, min_val), max_val)"""

    def __init__(self, min_val=-1.0, max_val=1.0, inplace=False, min_value=None, max_value=None):
        super().__init__()
        self.min_val = min_val if min_value is None else min_value
        self.max_val = max_val if max_value is None else max_value
        self.inplace = inplace
        if not self.max_val > self.min_val:
            raise AssertionError(f"Hardtanh: max_val={self.max_val} must be larger than min_val={self.min_val}")

    def forward(self, input):
        return F.hardtanh(input, self.min_val, self.max_val, self.inplace)

    def extra_repr(self):
        return with_inplace(f"min_val={self.min_val}, max_val={self.max_val}", self.inplace)


class ReLU6(Hardtanh):
    """min(max(x, 0), 6)"""

    def __init__(self, inplace=False):
        super().__init__(0.0, 6.0, inplace)

    def extra_repr(self):
        return with_inplace("", self.inplace)


class Hardsigmoid(InPlace):
    """min(max(x + 3, 0), 6) / 6"""

    def forward(self, input):
        return F.hardsigmoid(input, self.inplace)

    def extra_repr(self):
        return ""


class Hardswish(Hardsigmoid):
    """x · min(max(x + 3, 0), 6) / 6"""

    def forward(self, input):
        return F.hardswish(input, self.inplace)


class Threshold(Module):
    """x where x > threshold, else value"""

    def __init__(self, threshold, value, inplace=False):
        super().__init__()
        self.threshold, self.value, self.inplace = threshold, value, inplace

    def forward(self, input):
        return F.threshold(input, self.threshold, self.value, self.inplace)

    def extra_repr(self):
        return with_inplace(f"threshold={self.threshold}, value={self.value}", self.inplace)


class Shrink(Module):
    """An activation with a width λ around 0."""

    def __init__(self, lambd=0.5):
        super().__init__()
        self.lambd = lambd

    def extra_repr(self):
        return str(self.lambd)


class Hardshrink(Shrink):
    """x where |x| > λ, else 0"""

    def forward(self, input):
        return F.hardshrink(input, self.lambd)


class Softshrink(Shrink):
    """x − λ where x > λ, x + λ where x < −λ, else 0"""

    def forward(self, input):
        return F.softshrink(input, self.lambd)


class GLU(Module):
    """a · σ(b), where a and b are the two halves of x along dim"""

    def __init__(self, dim=-1):
        super().__init__()
        self.dim = dim

    def forward(self, input):
        return F.glu(input, self.dim)

    def extra_repr(self):
        return f"dim={self.dim}"


class AlongDim(Module):
    """An activation along one dimension."""

    def __init__(self, dim=None):
        super().__init__()
        self.dim = dim

    def extra_repr(self):
        return f"dim={self.dim}"


class Softmax(AlongDim):
    """eˣ / Σ eˣ along dim"""

    def forward(self, input):
        return F.softmax(input, self.dim)


class Softmin(AlongDim):
    """e⁻ˣ / Σ e⁻ˣ along dim"""

    def forward(self, input):
        return F.softmin(input, self.dim)


class LogSoftmax(AlongDim):
    """x − ln Σ eˣ along dim, without overflow"""

    def forward(self, input):
        return F.log_softmax(input, self.dim)


class Softmax2d(Plain):
    """eˣ / Σ eˣ over the channels of each pixel: input (n, c, h, w) or (c, h, w)"""

    def forward(self, input):
        if input.ndim not in (3, 4):
            raise ValueError(f"Softmax2d: expected an input (n, c, h, w) or (c, h, w), got shape {list(input.shape)}")
        return F.softmax(input, -3)


__all__ = ["CELU", "ELU", "GELU", "GLU", "Hardshrink", "Hardsigmoid", "Hardswish", "Hardtanh", "LeakyReLU", "LogSigmoid", "LogSoftmax",
           "Mish", "PReLU", "RReLU", "ReLU", "ReLU6", "SELU", "SiLU", "Sigmoid", "Softmax", "Softmax2d", "Softmin", "Softplus",
           "Softshrink", "Softsign", "Tanh", "Tanhshrink", "Threshold"]  # fmt: skip
