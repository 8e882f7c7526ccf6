"""make_tensor: a tensor of random numbers of any dtype, with PyTorch's ranges, options and, from one seed, PyTorch's numbers."""

import math

import numpy as np

from ..api.create import dtype_of
from ..autograd.tensor import Tensor


def make_tensor(*shape, dtype, device="cpu", low=None, high=None, requires_grad=False, noncontiguous=False, exclude_zero=False,
                memory_format=None):  # fmt: skip
    """A tensor with uniform random elements in [low, high).

    The default range is [−9, 9) for floats and both parts of complex numbers, [−9, 10) for integers (from 0 for unsigned ones), and both truth values. A range
    is cut to what the dtype can hold. `noncontiguous` gives every second element of memory twice as wide; `exclude_zero`
    replaces zeros by the smallest positive number.

    >>> import tinygrad_edu as tg
    >>> x = tg.testing.make_tensor(2, 3, dtype=tg.float64, low=0, high=1)
    >>> x.shape, bool((x >= 0).all())
    (Size([2, 3]), True)
    """
    from .. import device as device_of
    from .. import empty, randint

    device_of(device)
    dtype = dtype_of(dtype)
    sizes = tuple(shape[0]) if len(shape) == 1 and isinstance(shape[0], (tuple, list)) else tuple(shape)
    if noncontiguous and memory_format is not None:
        raise ValueError("make_tensor: noncontiguous and memory_format exclude each other; give one of them")
    whole = dtype.kind in "biu"
    if requires_grad and whole:
        raise ValueError(f"make_tensor: a tensor of {dtype} cannot require grad; only floating-point tensors can")
    parts = np.empty(0, dtype).real.dtype  # a complex number is drawn as two real ones
    low, high = limits(parts, low, high)
    wide = noncontiguous and math.prod(sizes) > 1
    drawn = (*sizes[:-1], 2 * sizes[-1]) if wide else sizes
    if dtype != parts:
        array = np.asarray(empty((*drawn, 2), dtype=parts).uniform_(low, high).array).view(dtype)[..., 0]
    else:
        result = randint(low, high, drawn, dtype=dtype) if whole else empty(drawn, dtype=dtype).uniform_(low, high)
        array = np.asarray(result.array)
    if wide:
        array = array[..., 1::2]
    if exclude_zero:
        array[array == 0] = 1 if whole else np.finfo(parts).tiny
    result = Tensor(array, None)
    result.requires_grad = requires_grad
    return result


def limits(dtype, low, high):
    """The range to draw from, checked and cut to what the dtype holds."""
    if dtype.kind == "b":
        first, last, default = 0, 2, (0, 2)
    elif dtype.kind in "iu":
        info = np.iinfo(dtype)
        first, last, default = info.min, info.max + (dtype != np.int64), (-9, 10)
    else:
        first, last, default = float(np.finfo(dtype).min), float(np.finfo(dtype).max), (-9, 9)
    low, high = default[0] if low is None else low, default[1] if high is None else high
    if low != low or high != high:
        raise ValueError(f"make_tensor: low and high must be numbers, got low={low} and high={high}")
    if low >= high:
        raise ValueError(f"make_tensor: low must be less than high, got low={low} and high={high}; for one value use full()")
    if high < first or low >= last:
        raise ValueError(f"make_tensor: [{low}, {high}) lies outside of what {dtype} holds, [{first}, {last})")
    low, high = min(max(low, first), last), min(max(high, first), last)
    return (math.ceil(low), math.ceil(high)) if dtype.kind in "biu" else (low, high)
