"""What NumPy would compute and PyTorch refuses: products of tensors of two types, an order of complex numbers, a minus between booleans.

Operators name one of these as `refuse=…`; it is called with the operator, its arguments and their arrays, and raises or does nothing.
"""

import numpy as np

from . import dtypes
from .tensor import Tensor


def alike(op, args, arrays):
    """Products are of tensors of one type: a float64 among float32 weights is nearly always a mistake."""
    kinds = {a.dtype: a for a in args if isinstance(a, Tensor)}
    if len(kinds) > 1:
        shown = " and ".join(f"{a.dtype}{list(a.shape)}" for a in kinds.values())
        raise RuntimeError(f"{op.name}: expected tensors of the same dtype, got {shown}; convert one of them, as in x.to(y.dtype) or x.float()")


def ordered(op, args, arrays):
    """Complex numbers have no order."""
    if any(np.asarray(a).dtype.kind == "c" for a in arrays):
        raise NotImplementedError(f"{op.name}: complex numbers have no order; compare their .abs(), .real or .imag")


def difference(op, args, arrays):
    """A minus with a boolean on one side is no arithmetic."""
    if any(np.asarray(a).dtype.kind == "b" for a in arrays):
        raise RuntimeError("sub: the - operator with a boolean tensor is not supported; use ~ or logical_not to invert a mask, ^ for the difference, "
                           "or convert it first, as in mask.float()")  # fmt: skip


def floating(op, args, arrays):
    """Softmax of whole numbers is a forgotten conversion."""
    (x,) = arrays
    if dtypes.floating(x.dtype) != x.dtype:
        raise NotImplementedError(f"{op.name}: expected floating-point numbers, got {x.dtype}; convert them first, as in x.float() or dtype=float32")
