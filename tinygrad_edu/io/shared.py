"""Tensors as they are put together from a file: parts of memory that several of them may share, and attributes."""

import reprlib
from collections import defaultdict

import numpy as np

from ..autograd import memory
from ..autograd.tensor import Tensor


def stretches(arrays):
    """For arrays that lie over one another in memory, or are expanded, by their index: that stretch of memory, and where in it they begin.

    What shares all of its memory needs no stretch; what lies apart in a larger memory is not kept together.
    """
    result, owners = {}, defaultdict(list)
    for i, array in enumerate(arrays):
        if array.size:
            owners[id(memory.owner(array)), array.dtype].append((*np.lib.array_utils.byte_bounds(array), i))
    for (_, dtype), bounds in owners.items():
        extents = {(arrays[i].ctypes.data, arrays[i].shape, arrays[i].strides) for *_, i in bounds} if len(bounds) > 1 else ()
        expanded = any(high - low < arrays[i].nbytes for low, high, i in bounds)
        whole = in_a_row(memory.owner(arrays[bounds[0][2]]), dtype) if expanded or len(extents) > 1 else None
        if whole is None:
            continue
        clusters = []
        for low, high, i in sorted(bounds):
            if clusters and low < clusters[-1][1]:
                clusters[-1][1] = max(high, clusters[-1][1])
                clusters[-1][2].append(i)
            else:
                clusters.append([low, high, [i]])
        for low, high, members in clusters:
            first = (low - whole.ctypes.data) // dtype.itemsize
            stretch = whole[first : first + (high - low) // dtype.itemsize]
            if len(members) > 1 or high - low < arrays[members[0]].nbytes:
                result.update({i: (stretch, (arrays[i].ctypes.data - low) // dtype.itemsize) for i in members})
    return result


def in_a_row(array, dtype):
    """All elements of some memory in one dimension, as numbers of a type; None if there are gaps."""
    array = array.T if array.flags.f_contiguous else array
    return array.reshape(-1).view(dtype) if array.flags.c_contiguous and array.nbytes % dtype.itemsize == 0 else None


def view_of(whole, offset, shape, strides):
    """An array of the elements from `offset` on, with strides in elements; ValueError if it would reach beyond the memory."""
    if len(shape) != len(strides) or not all(type(n) is int and n >= 0 for n in (offset, *shape)):
        raise ValueError(f"no array has the shape {reprlib.repr(shape)} with the strides {reprlib.repr(strides)}")
    size = whole.itemsize
    array = np.ndarray(shape, whole.dtype, whole, offset * size, [s * size for s in strides])
    if any(s == 0 and n > 1 for s, n in zip(strides, shape)):
        array.flags.writeable = False  # an expanded tensor
    return array


def from_bfloat16(halves):
    """float32 from the 16 bits of each bfloat16, which are the upper half of the same number."""
    return (halves.astype(np.uint32) << 16).view(np.float32)


def bind(whole, tensors):
    """Let tensors that lie in one memory know of each other, so that writes to one count for all."""
    root = Tensor(whole, None)
    for t in tensors:
        memory.share(root, t)
        t.detached = True


def with_attributes(t, attributes):
    """The tensor with attributes of the user's own; none that a tensor has anyway."""
    for name, value in attributes.items():
        if not hasattr(t, name):
            t.__dict__[name] = value
    return t
