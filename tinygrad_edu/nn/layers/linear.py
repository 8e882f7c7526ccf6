"""Layers that multiply by a matrix."""

import math

import numpy as np

from ...api.create import check_device, dtype_of
from ...autograd import dtypes
from ...autograd.tensor import Tensor
from ...ops.products import affine
from .. import init
from ..module import Module
from ..parameter import Parameter


def weight_of(out_features, in_features, dtype):
    """An empty weight of shape (out, in), stored column by column so that x @ weightᵀ reads it in order."""
    return Parameter(Tensor(np.empty((in_features, out_features), dtype).T))


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
        self.register_parameter("bias", Parameter(Tensor(np.empty(out_features, dtype))) if bias else None)
        self.reset_parameters()

    def reset_parameters(self):
        """Draw new initial values."""
        init.kaiming_uniform_(self.weight, a=math.sqrt(5))
        if self.bias is not None:
            bound = 1 / math.sqrt(self.in_features) if self.in_features > 0 else 0
            init.uniform_(self.bias, -bound, bound)

    def forward(self, input):
        return affine(input, self.weight, self.bias)

    def extra_repr(self):
        return f"in_features={self.in_features}, out_features={self.out_features}, bias={self.bias is not None}"
