"""Layers that multiply by a matrix."""

import math

import numpy as np

from ...api.create import check_device, dtype_of
from ...autograd import dtypes, modes
from ...autograd.tensor import Tensor
from ...ops.fused import affine_sigmoid
from ...ops.products import affine
from .. import functional as F
from .. import init
from ..module import Module
from ..parameter import Parameter
from .activation import Sigmoid


def weight_of(out_features, in_features, dtype):
    """An empty weight of shape (out, in)."""
    return Parameter(Tensor(np.empty((out_features, in_features), dtype), None))


class Linear(Module):
    """y = x @ weightᵀ + bias

    Shapes: x (…, in_features) → (…, out_features); weight (out_features, in_features), bias (out_features).
    Both start from U(−b, b) with b = 1 / √in_features.

    >>> import tinygrad_edu as tg
    >>> tg.nn.Linear(2, 3)(tg.ones(4, 2)).shape
    Size([4, 3])
    """

    def __init__(self, in_features, out_features, bias=True, device=None, dtype=None):
        super().__init__()
        check_device(device)
        dtype = dtypes.default if dtype is None else dtype_of(dtype)
        self.in_features, self.out_features = in_features, out_features
        self.weight = weight_of(out_features, in_features, dtype)
        self.register_parameter("bias", Parameter(Tensor(np.empty(out_features, dtype), None)) if bias else None)
        self.reset_parameters()

    def reset_parameters(self):
        """Draw new initial values."""
        init.kaiming_uniform_(self.weight, a=math.sqrt(5))
        if self.bias is not None:
            bound = 1 / math.sqrt(self.in_features) if self.in_features > 0 else 0
            init.uniform_(self.bias, -bound, bound)

    def forward(self, input):
        return affine(input, self.weight, self.bias)

    def _fused_with(self, following):
        return LinearSigmoid(self, following) if type(self) is Linear and type(following) is Sigmoid else None

    def extra_repr(self):
        return f"in_features={self.in_features}, out_features={self.out_features}, bias={self.bias is not None}"


class LinearSigmoid:
    """A Linear layer and its Sigmoid in one step, while nobody looks in between: no hook, no picture, no switched mode."""

    def __init__(self, linear, sigmoid):
        self.linear, self.sigmoid = linear, sigmoid

    def __call__(self, input):
        linear, sigmoid = self.linear, self.sigmoid
        if not (modes.special or linear._hooked or sigmoid._hooked):
            try:
                return affine_sigmoid(input, linear.weight, linear.bias)
            except Exception:
                pass  # once more, one after the other: the error will name the layer
        return sigmoid(linear(input))


class Identity(Module):
    """x itself; any arguments are accepted and ignored"""

    def __init__(self, *args, **kwargs):
        super().__init__()

    def forward(self, input):
        return input


class Bilinear(Module):
    """yₖ = Σᵢⱼ x1ᵢ · weightₖᵢⱼ · x2ⱼ + biasₖ

    Shapes: x1 (…, in1_features), x2 (…, in2_features) → (…, out_features); weight (out, in1, in2), bias (out).
    Both start from U(−b, b) with b = 1 / √in1_features.
    """

    def __init__(self, in1_features, in2_features, out_features, bias=True, device=None, dtype=None):
        super().__init__()
        if in1_features <= 0:
            raise ValueError(f"Bilinear: in1_features must be positive, and it is {in1_features}")
        check_device(device)
        dtype = dtypes.default if dtype is None else dtype_of(dtype)
        self.in1_features, self.in2_features, self.out_features = in1_features, in2_features, out_features
        self.weight = Parameter(Tensor(np.empty((out_features, in1_features, in2_features), dtype), None))
        self.register_parameter("bias", Parameter(Tensor(np.empty(out_features, dtype), None)) if bias else None)
        self.reset_parameters()

    def reset_parameters(self):
        """Draw new initial values."""
        bound = 1 / math.sqrt(self.weight.shape[1])
        init.uniform_(self.weight, -bound, bound)
        if self.bias is not None:
            init.uniform_(self.bias, -bound, bound)

    def forward(self, input1, input2):
        return F.bilinear(input1, input2, self.weight, self.bias)

    def extra_repr(self):
        return (f"in1_features={self.in1_features}, in2_features={self.in2_features}, out_features={self.out_features}, "
                f"bias={self.bias is not None}")  # fmt: skip


__all__ = ["Bilinear", "Identity", "Linear"]
