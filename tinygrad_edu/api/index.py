"""Picking and placing elements in PyTorch's spelling."""

import functools

import numpy as np

from ..autograd import memory, modes
from ..autograd.node import Node
from ..autograd.recorder import record
from ..autograd.tensor import Tensor, array_of
from ..ops import arithmetic, indexing
from .create import stored
from .spelling import as_tensor, both, check_dim, only_function, only_method
from .spelling import functions as public


@only_method("__getitem__")
def getitem(self, index):
    """x[index]: ints, slices, None, Ellipsis, boolean masks, integer tensors"""
    index = indexing.plain_index(index)
    if len(index) == self.array.ndim and all(type(i) is int for i in index):
        index = (*index, Ellipsis)  # NumPy would copy the number; x[0] is a view, so that x[0] += 1 changes x
    for step in indexing.steps_of(index, self.array.ndim):
        self = indexing.getitem(self, index=step)
    return self


@only_method("__setitem__")
def setitem(self, index, value):
    """x[index] = value, in place; remembered in the graph where x or value is in one"""
    index = indexing.plain_index(index)
    *steps, index = indexing.steps_of(index, self.array.ndim)
    for step in steps:
        self = indexing.getitem(self, index=step)
    value = value if isinstance(value, Tensor) else Tensor(np.asarray(array_of(value)), None)
    if value.array.dtype.kind not in "biufc":
        raise TypeError(f"x[…] = value: expected numbers, got {type(value.array).__name__} of {value.array.dtype}")
    array = memory.as_memory(self)
    if value.array.dtype.kind == "c" and array.dtype.kind != "c":
        raise TypeError(f"x[…] = value: complex numbers do not fit into a tensor of {self.dtype}")
    if value.node is not None and array.dtype.kind != "f":
        value = memory.alias(value)  # integers have no gradient
    tracked = modes.state.grad and (self.node is not None or value.node is not None or memory.in_graph(self))
    if tracked:
        memory.check_update(self, "x[…] = value")
        if value.node is not None and value.dtype != array.dtype:
            value = value.astype(array.dtype)
    target = array[index]
    if tracked and value.base is not None and value.node is not None and memory.history(value) is memory.history(self):
        place = target if isinstance(target, np.ndarray) else array[(*index, Ellipsis)]
        if place.__array_interface__ == value.array.__array_interface__:
            return  # x[index] += y ends here: the view has been updated, and the history of x with it
    if not array.flags.writeable and not tracked and (part := single(array, index)) is not None:
        array = target = part  # of an expanded tensor, a part in which no memory occurs twice
        index = Ellipsis
    if value.array.ndim > target.ndim:
        lead = value.array.ndim - target.ndim
        value = value.reshape(value.shape[lead:]) if value.shape[:lead] == (1,) * lead else value
    source = value.array
    if source.shape != target.shape:
        try:
            if source.ndim:  # a number fits everywhere
                np.broadcast_to(source, target.shape)
        except ValueError:
            raise RuntimeError(f"x[…] = value: a value of shape {list(source.shape)} does not fit the chosen part, of shape "
                               f"{list(target.shape)}") from None  # fmt: skip
    if value.array.base is not None and np.may_share_memory(source, array):
        source = source.copy()
    if index is Ellipsis:
        array[...] = source
        memory.note_write(array, "x[…] = value")
        return
    written_down = tracked and modes.special and (modes.state.recording or modes.state.anomaly)
    before = array.copy() if written_down else None
    alone = self.detached is True and type(array) is np.ndarray  # x.data[i] = value, in no recording: the rest is known to be as it was
    memory.fill(self, index, source, "x[…] = value", part_of(array, index) if alone else None)
    if tracked:
        op = indexing.setitem.op
        parents = (self.node, value.node)
        saved = op.save(parents, array, array, value.array, index=index)
        node = Node(op, parents, saved, dict(index=index), array.shape, array.dtype)
        if written_down:
            record(node, array.copy(), (before, value.array), (self, value))
        memory.rebind(self, node)


def part_of(array, index):
    """The view of an array that an index chooses; None if it picks elements, of which NumPy makes a copy."""
    return array[index if Ellipsis in index else (*index, Ellipsis)] if indexing.is_basic(index) else None


def single(array, index):
    """The writable part of an expanded array that an index chooses, if it is a view in which no memory occurs twice; else None."""
    root = memory.owner(array)
    if not root.flags.writeable or not any(s == 0 and n > 1 for s, n in zip(array.strides, array.shape)):
        return None
    part = part_of(array, index)
    if part is None or any(s == 0 and n > 1 for s, n in zip(part.strides, part.shape)):
        return None
    start = part.__array_interface__["data"][0] - root.__array_interface__["data"][0]
    return np.ndarray(part.shape, part.dtype, root, start, part.strides) if root.flags.c_contiguous else None


class PlaceError(IndexError, RuntimeError):
    """A position that is not there: PyTorch calls this a RuntimeError in some functions and an IndexError in others."""


def checked_index(name, index, size):
    """Integer positions below `size`, as an array of their own."""
    places = array_of(index)
    places = places.copy() if isinstance(places, np.ndarray) else np.array(places)
    if places.dtype.kind not in "iu":
        raise PlaceError(f"{name}: the index must hold integers, not {places.dtype}")
    places = places.astype(np.int64, copy=False)
    if places.size and np.maximum.reduce(places.view(np.uint64), None) >= size:  # a negative number counts as a huge one
        low, high = places.min(), places.max()
        if low < -size or high >= size:
            bad = high if high >= size else low
            raise PlaceError(f"{name}: index {bad} is out of range for {size} elements; it must be between 0 and {size - 1}")
    return places


def checked_vector(name, index, size):
    """Positions along one dimension: a vector, or a single number."""
    places = checked_index(name, index, size)
    if places.ndim > 1:
        raise IndexError(f"{name}: the index must be a vector, not of shape {list(places.shape)}")
    return places.reshape(-1)


def vectors(function):
    """Let a function of tensors with dimensions work on 0-d tensors too, as if they were vectors of one element."""

    @functools.wraps(function)
    def lifted(input, dim, index, *args, **kwargs):
        if input.array.ndim:
            return function(input, dim, index, *args, **kwargs)
        check_dim(function.__name__, input, dim)
        args = [a.reshape(-1) if isinstance(a, Tensor) and not a.ndim else a for a in args]
        return function(input.reshape(1), 0, as_tensor(index).reshape(-1), *args, **kwargs).reshape(())

    return lifted


# --- picking -----------------------------------------------------------------------------------------------------------


@both("gather")
def gather(input, dim, index, *, sparse_grad=False):
    """out[i, j] = input[index[i, j], j] for dim 0, and so on"""
    dim = check_dim("gather", input, dim)
    shape = input.array.shape
    places = checked_index("gather", index, shape[dim] if shape else 1)
    if not places.size:
        return Tensor(np.zeros(places.shape, input.dtype), None)
    if not shape or not places.ndim:
        return gather(input.reshape(-1), 0, Tensor(places.reshape(-1), None)).reshape(places.shape)
    check_fit("gather", places, input, dim)
    return indexing.gather_along(input, axis=dim, index=places)


def fits(shape, other, dim):
    """True if an index of a shape has as many dimensions as the other, and no larger ones except along dim."""
    return len(shape) == len(other) and all([m <= n or i == dim for i, (m, n) in enumerate(zip(shape, other))])


def check_fit(name, places, input, dim):
    """An error where an index does not fit the input along dim."""
    if not fits(places.shape, input.array.shape, dim):
        raise RuntimeError(f"{name}: an index of shape {list(places.shape)} for an input of shape {list(input.shape)}; it needs as "
                           f"many dimensions, and no larger ones except dimension {dim}")  # fmt: skip


@both("take_along_dim")
def take_along_dim(input, indices, dim=None):
    """Elements picked along dim, the index broadcast against the input"""
    if dim is None:
        return indexing.take_flat(input, positions=checked_index("take_along_dim", indices, input.array.size).reshape(-1))
    dim = check_dim("take_along_dim", input, dim)
    if indices.ndim != input.ndim:
        raise RuntimeError(f"take_along_dim: the input has {input.ndim} dimensions and the indices have {indices.ndim}; "
                           "they must have as many, or dim must be None")  # fmt: skip
    places = checked_index("take_along_dim", indices, input.shape[dim])
    shape = list(np.broadcast_shapes(*([n if i != dim else 1 for i, n in enumerate(t.shape)] for t in (input, places))))
    index = np.broadcast_to(places, [n if i != dim else places.shape[dim] for i, n in enumerate(shape)])
    stretched = input.expand(*[n if i != dim else input.shape[dim] for i, n in enumerate(shape)])
    return indexing.gather_along(stretched, axis=dim, index=np.array(index))


@both("take")
def take(input, index):
    """Elements at positions counted in row-major order"""
    return indexing.take_flat(input, positions=checked_index("take", index, input.array.size))


@both("index_select")
def index_select(input, dim, index):
    """The slices along dim at the given positions"""
    dim = check_dim("index_select", input, dim)
    places = checked_vector("index_select", index, input.shape[dim] if input.ndim else 1)
    return indexing.getitem(input, index=(slice(None),) * dim + (places,)) if input.ndim else input.clone()


@both("masked_select")
def masked_select(input, mask):
    """The elements where the mask holds, as a vector"""
    if mask.dtype != bool:
        raise RuntimeError(f"masked_select: the mask must be boolean, not {mask.dtype}; compare, as in x > 0")
    shape = np.broadcast_shapes(input.shape, mask.shape)
    return indexing.getitem(input.expand(*shape), index=(np.broadcast_to(mask.array, shape).copy(),)).reshape(-1)


@both("nonzero", method=True)
def nonzero(input, *, as_tuple=False):
    """The indices of the nonzero elements: a row each, or a tensor per dimension"""
    if as_tuple:
        return tuple(Tensor(i, None) for i in np.nonzero(np.atleast_1d(array_of(input))))
    return indexing.nonzero_positions(input)


@both("argwhere")
def argwhere(input):
    """The indices of the nonzero elements, a row each"""
    return indexing.nonzero_positions(input)


@both("isin", method=False)
def isin(elements, test_elements, *, assume_unique=False, invert=False):
    """True where an element is one of the test elements"""
    return Tensor(np.isin(array_of(elements), array_of(test_elements), invert=invert), None)


# --- replacing ---------------------------------------------------------------------------------------------------------


def stored_number(name, input, value):
    """A number (or 0-d tensor) as an element of input; of integers it gets the whole part, as PyTorch cuts it."""
    if isinstance(value, Tensor):
        if value.ndim:
            raise RuntimeError(f"{name}: the value must be a number or a 0-d tensor, not of shape {list(value.shape)}; use where")
        if value.node is not None:
            return value.astype(input.dtype)
        value = value.array.item()
    return Tensor(np.asarray(stored(name, value, input.dtype)).astype(input.dtype), None)


@both("masked_fill")
def masked_fill(input, mask, value):
    """input with `value` where the mask holds"""
    if array_of(mask).dtype.kind != "b":
        raise RuntimeError(f"masked_fill: the mask must be boolean, not {array_of(mask).dtype}; compare, as in mask == 0")
    return indexing.where(as_tensor(mask), stored_number("masked_fill", input, value), input)


@both("masked_scatter")
def masked_scatter(input, mask, source):
    """input with the elements of source, in order, where the mask holds"""
    shape = np.broadcast_shapes(input.shape, mask.shape)
    chosen = np.broadcast_to(array_of(mask), shape).copy()
    count = int(chosen.sum())
    if source.numel() < count:
        raise RuntimeError(f"masked_scatter: the mask chooses {count} elements, and source has only {source.numel()}")
    input = input.expand(*shape) if tuple(input.shape) != shape else input
    return indexing.setitem(input, source.reshape(-1)[:count], index=(chosen,))


def checked_source(name, input, src, places):
    """The source of a scatter: a tensor of the input's dtype that covers the index, or one number for all places."""
    if not isinstance(src, Tensor):
        return Tensor(np.full(places.shape, array_of(stored_number(name, input, src)), input.dtype), None)
    if src.array.dtype != input.array.dtype:
        raise RuntimeError(f"{name}: src is {src.dtype} and the input {input.dtype}; they must be the same")
    if places.size and not fits(places.shape, src.array.shape, None):
        raise RuntimeError(f"{name}: the index has shape {list(places.shape)} and src {list(src.shape)}; src must cover the index")
    return src


def checked_places(name, input, dim, index):
    """The index of a scatter: as many dimensions as the input, no larger ones except along dim."""
    places = checked_index(name, index, input.array.shape[dim])
    if places.size:
        check_fit(name, places, input, dim)
    return places


@both("scatter")
@vectors
def scatter(input, dim, index, src=None, *, value=None, reduce=None):
    """input with src[i, j] stored at [index[i, j], j] for dim 0, and so on"""
    if reduce not in (None, "add", "multiply"):
        raise RuntimeError(f'scatter: reduce must be None, "add" or "multiply", not {reduce!r}')
    dim = check_dim("scatter", input, dim)
    places = checked_places("scatter", input, dim, index)
    src = checked_source("scatter", input, value if src is None else src, places)
    if not places.size:
        return input.clone()
    if reduce == "multiply":
        return scatter_reduce(input, dim, index, src, "prod")
    return (indexing.scatter_add_along if reduce else indexing.scatter_along)(input, src, axis=dim, index=places)


@both("scatter_add")
@vectors
def scatter_add(input, dim, index, src):
    """input with src[i, j] added at [index[i, j], j] for dim 0, and so on"""
    dim = check_dim("scatter_add", input, dim)
    places = checked_places("scatter_add", input, dim, index)
    src = checked_source("scatter_add", input, src, places)
    return indexing.scatter_add_along(input, src, axis=dim, index=places) if places.size else input.clone()


def neutral(reduce, dtype):
    """The number that changes nothing."""
    if reduce in ("amax", "amin") and dtype.kind == "b":
        return reduce == "amin"
    if reduce in ("amax", "amin") and dtype.kind in "iu":
        return np.iinfo(dtype).min if reduce == "amax" else np.iinfo(dtype).max
    return dict(sum=0, mean=0, prod=1, amax=-np.inf, amin=np.inf)[reduce]


@both("scatter_reduce")
@vectors
def scatter_reduce(input, dim, index, src, reduce, *, include_self=True):
    """input combined with src[i, j] at [index[i, j], j]: "sum", "mean", "amax", "amin" or "prod" """
    if reduce not in ("sum", "mean", "amax", "amin", "prod"):
        raise RuntimeError(f'scatter_reduce: reduce must be "sum", "mean", "amax", "amin" or "prod", not {reduce!r}')
    dim = check_dim("scatter_reduce", input, dim)
    places = checked_places("scatter_reduce", input, dim, index)
    src = checked_source("scatter_reduce", input, src, places)
    if not places.size:
        return input.clone()
    at = indexing.along(places, dim)
    src = src[tuple(slice(n) for n in places.shape)]
    kept = input
    if not include_self:
        touched = np.zeros(input.shape, bool)
        touched[at] = True
        kept = indexing.where(Tensor(touched, None), Tensor(np.asarray(neutral(reduce, input.dtype), input.dtype), None), input)
    if reduce in ("sum", "mean"):
        total = indexing.scatter_add_along(kept, src, axis=dim, index=places)
        if reduce == "sum":
            return total
        counts = np.full(input.shape, int(include_self))
        np.add.at(counts, at, 1)
        counts = Tensor(np.maximum(counts, 1).astype(input.dtype), None)
        return total / counts if input.dtype.kind == "f" else arithmetic.floor_divide(total, counts)
    out = np.array(kept.array)
    dict(amax=np.maximum, amin=np.minimum, prod=np.multiply)[reduce].at(out, at, src.array)
    if not (modes.state.grad and (input.requires_grad or src.requires_grad)):
        return Tensor(out, None)
    smooth = (product_at if reduce == "prod" else extreme_at)(kept, src, dim, places, out)
    return Tensor(out, smooth.node)  # the exact values, with the history of an equal expression


def extreme_at(kept, src, dim, places, out):
    """The extremes as a differentiable expression: what reaches them, in equal shares."""
    at = indexing.along(places, dim)
    from_src, from_self = src.array == out[at], kept.array == out
    counts = from_self.astype(kept.dtype)
    np.add.at(counts, at, from_src.astype(kept.dtype))
    counts = np.maximum(counts, 1)
    base = indexing.where(Tensor(from_self, None), kept, 0.0) / Tensor(counts, None)
    return indexing.scatter_add_along(base, src * Tensor(from_src / counts[at], None), axis=dim, index=places)


def product_at(kept, src, dim, places, out):
    """The products as a differentiable expression: those of the factors that are not 0, times those that are.

    Of the zeros of one place, one or two matter for first and second derivatives; with z₁ and z₂,
    ((z₁ + z₂)² − z₁² − z₂²) / 2 is their product. With three, all these derivatives are 0.
    """
    at = indexing.along(places, dim)

    def total(x, y):
        return indexing.scatter_add_along(x, y, axis=dim, index=places)

    zero_kept, zero_src = Tensor(kept.array == 0, None), Tensor(src.array == 0, None)
    factors = [indexing.where(zero, 1.0, x) for zero, x in ((zero_kept, kept), (zero_src, src))]
    sign = np.sign(factors[0].array)
    np.multiply.at(sign, at, np.sign(factors[1].array))
    nonzero_product = total(*(f.abs().log() for f in factors)).exp() * Tensor(sign, None)
    zeros = [indexing.where(zero, x, 0.0) for zero, x in ((zero_kept, kept), (zero_src, src))]
    first, second = total(*zeros), total(*(z * z for z in zeros))
    count = zero_kept.array.astype(np.int64)
    np.add.at(count, at, zero_src.array)
    of_zeros = indexing.where(Tensor(count == 1, None), first, indexing.where(Tensor(count == 2, None), (first * first - second) / 2, 0.0))
    return nonzero_product * indexing.where(Tensor(count == 0, None), 1.0, of_zeros)


def checked_slices(name, input, dim, places, source):
    """The source of index_add and its kin: slices like the input's, as many as the index has positions."""
    wanted = [len(places) if i == dim else n for i, n in enumerate(input.shape)]
    if source.dtype != input.dtype or list(source.shape) != wanted:
        raise RuntimeError(f"{name}: the source is {source.dtype}{list(source.shape)}; for this input and index it must be "
                           f"{input.dtype}{wanted}")  # fmt: skip
    return (slice(None),) * dim + (places,)


@both("index_add")
@vectors
def index_add(input, dim, index, source, *, alpha=1):
    """input with the slices of source added at positions along dim"""
    dim = check_dim("index_add", input, dim)
    places = checked_vector("index_add", index, input.shape[dim])
    chosen = checked_slices("index_add", input, dim, places, source)
    if alpha != 1:
        source = source * Tensor(np.asarray(alpha).astype(input.dtype), None)
    return indexing.index_add_to(input, source, index=chosen)


@both("index_copy")
@vectors
def index_copy(input, dim, index, source):
    """input with the slices of source stored at positions along dim"""
    dim = check_dim("index_copy", input, dim)
    places = checked_vector("index_copy", index, input.shape[dim])
    source = source.reshape(1) if not source.ndim and len(places) == 1 else source
    return indexing.setitem(input, source, index=checked_slices("index_copy", input, dim, places, source))


@both("index_fill")
@vectors
def index_fill(input, dim, index, value):
    """input with one number at positions along dim"""
    dim = check_dim("index_fill", input, dim)
    places = checked_vector("index_fill", index, input.shape[dim])
    value = value.reshape(()) if isinstance(value, Tensor) and value.numel() == 1 else value
    return indexing.setitem(input, stored_number("index_fill", input, value), index=(slice(None),) * dim + (places,))


@both("index_reduce")
@vectors
def index_reduce(input, dim, index, source, reduce, *, include_self=True):
    """input combined with the slices of source at positions along dim: "mean", "amax", "amin" or "prod" """
    dim = check_dim("index_reduce", input, dim)
    places = checked_vector("index_reduce", index, input.shape[dim])
    checked_slices("index_reduce", input, dim, places, source)
    shape = [len(places) if i == dim else 1 for i in range(input.ndim)]
    return scatter_reduce(input, dim, np.broadcast_to(places.reshape(shape), source.shape), source, reduce, include_self=include_self)


@both("index_put")
def index_put(input, indices, values, accumulate=False):
    """input with values stored (or added) at the places that a tuple of index tensors names"""
    index = indexing.plain_index(tuple(indices))
    values = as_tensor(values)
    if values.dtype != input.dtype:
        raise RuntimeError(f"index_put: the values are {values.dtype} and the input {input.dtype}; they must be the same")
    return (indexing.index_add_to if accumulate else indexing.setitem)(input, values, index=index)


@both("put")
def put(input, index, source, accumulate=False):
    """input with the elements of source stored (or added) at positions counted in row-major order"""
    places = checked_index("put", index, input.array.size)
    if source.dtype != input.dtype or source.numel() != places.size:
        raise RuntimeError(f"put: the source is {source.dtype}{list(source.shape)}; for this input and index it must hold {places.size} "
                           f"elements of {input.dtype}")  # fmt: skip
    place = indexing.index_add_to if accumulate else indexing.setitem
    return place(input.reshape(-1), source.reshape(-1), index=(places.reshape(-1),)).reshape(input.shape)


def part_replaced(name, input, src, index):
    """input with a part exchanged for src, which must have its shape."""
    wanted = input.array[index].shape
    if tuple(src.shape) != wanted:
        raise RuntimeError(f"{name}: src has shape {list(src.shape)}, and the part it replaces {list(wanted)}")
    return indexing.setitem(input, src.astype(input.dtype), index=index)


@both("select_scatter")
def select_scatter(input, src, dim, index):
    """input with src as its slice number `index` along dim"""
    return part_replaced("select_scatter", input, src, (slice(None),) * check_dim("select_scatter", input, dim) + (int(index),))


@both("slice_scatter")
def slice_scatter(input, src, dim=0, start=None, end=None, step=1):
    """input with src as its slices from start to end along dim"""
    index = (slice(None),) * check_dim("slice_scatter", input, dim) + (slice(start, end, step),)
    return part_replaced("slice_scatter", input, src, index)


@both("diagonal_scatter")
def diagonal_scatter(input, src, offset=0, dim1=0, dim2=1):
    """input with src on the diagonal of two dimensions"""
    positions = np.arange(input.array.size).reshape(input.shape)
    places = np.diagonal(positions, offset, dim1, dim2)
    if tuple(src.shape) != places.shape:
        raise RuntimeError(f"diagonal_scatter: src has shape {list(src.shape)}, and the diagonal {list(places.shape)}")
    return put(input, places.copy(), src)


@only_function("tensordot")
def tensordot(a, b, dims=2):
    """Products summed over several dimensions of both tensors"""
    if isinstance(dims, Tensor):
        dims = dims.tolist()
    if isinstance(dims, int):
        mine, theirs = list(range(a.ndim - dims, a.ndim)), list(range(dims))
    else:
        mine, theirs = [[d % t.ndim for d in ([ds] if isinstance(ds, int) else ds)] for ds, t in zip(dims, (a, b))]
    for i, j in zip(mine, theirs):  # a dimension of size 1 meets any other: that one is summed
        if a.shape[i] != b.shape[j]:
            a, b = (a, b.sum(j, True)) if a.shape[i] == 1 else (a.sum(i, True), b) if b.shape[j] == 1 else (a, b)
    letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
    left = list(letters[: a.ndim])
    right = list(letters[a.ndim : a.ndim + b.ndim])
    for i, j in zip(mine, theirs):
        right[j] = left[i]
    result = [c for i, c in enumerate(left) if i not in mine] + [c for j, c in enumerate(right) if j not in theirs]
    return public["einsum"](f"{''.join(left)},{''.join(right)}->{''.join(result)}", a, b)
