"""Picking and placing elements in PyTorch's spelling."""

import numpy as np

from ..autograd import memory, modes
from ..autograd.node import Node
from ..autograd.tensor import Tensor, array_of
from ..ops import indexing
from .spelling import as_tensor, both, check_dim, only_function, only_method
from .spelling import functions as public


@only_method("__getitem__")
def getitem(self, index):
    """x[index]: ints, slices, None, Ellipsis, boolean masks, integer tensors"""
    index = indexing.plain_index(index)
    if len(index) == self.array.ndim and all(type(i) is int for i in index):
        index = (*index, Ellipsis)  # NumPy would copy the number; x[0] is a view, so that x[0] += 1 changes x
    return indexing.getitem(self, index=index)


@only_method("__setitem__")
def setitem(self, index, value):
    """x[index] = value, in place; remembered in the graph where x or value is in one"""
    index = indexing.plain_index(index)
    value = value if isinstance(value, Tensor) else Tensor(np.asarray(array_of(value)))
    if value.array.dtype.kind not in "biufc":
        raise TypeError(f"x[…] = value: expected numbers, got {type(value.array).__name__} of {value.array.dtype}")
    if value.dtype.kind == "c" and self.dtype.kind != "c":
        raise TypeError(f"x[…] = value: complex numbers do not fit into a tensor of {self.dtype}")
    array = memory.as_memory(self)
    if value.node is not None and array.dtype.kind != "f":
        value = memory.alias(value)  # integers have no gradient
    tracked = modes.state.grad and (self.node is not None or value.node is not None or memory.in_graph(self))
    if tracked:
        memory.check_update(self, "x[…] = value")
        if value.node is not None and value.dtype != array.dtype:
            value = value.astype(array.dtype)
    target = array[index]
    source = value.array
    while source.ndim > target.ndim and source.shape[0] == 1:
        source = source[0]
    if source.shape != target.shape:
        try:
            np.broadcast_to(source, target.shape)
        except ValueError:
            raise RuntimeError(f"x[…] = value: a value of shape {list(source.shape)} does not fit the chosen part, of shape "
                               f"{list(target.shape)}") from None  # fmt: skip
    if value.array.base is not None and np.may_share_memory(source, array):
        source = source.copy()
    memory.fill(self, index, source, "x[…] = value")
    if tracked:
        op = indexing.setitem.op
        parents = (self.node, value.node)
        saved = op.save(parents, array, array, value.array, index=index)
        memory.rebind(self, Node(op, parents, saved, dict(index=index), array.shape, array.dtype))


@both("gather")
def gather(input, dim, index, *, sparse_grad=False):
    """out[i, j] = input[index[i, j], j] for dim 0, and so on"""
    dim = check_dim("gather", input, dim)
    return indexing.gather_along(input, axis=dim, index=checked_index("gather", index, input.shape[dim] if input.ndim else 1))


def checked_index(name, index, size):
    """Integer positions below `size`, as an array of their own."""
    places = np.array(array_of(index))
    if places.dtype.kind not in "iu":
        raise IndexError(f"{name}: the index must hold integers, not {places.dtype}")
    if places.size and (places.min() < -size or places.max() >= size):
        bad = places.max() if places.max() >= size else places.min()
        raise IndexError(f"{name}: index {bad} is out of range for {size} elements; it must be between 0 and {size - 1}")
    return places


@both("take_along_dim")
def take_along_dim(input, indices, dim=None):
    """Elements picked along dim, the index broadcast against the input"""
    if dim is None:
        return indexing.take_flat(input, positions=array_of(indices).reshape(-1))
    dim = check_dim("take_along_dim", input, dim)
    shape = list(np.broadcast_shapes(*([n if i != dim else 1 for i, n in enumerate(t.shape)] for t in (input, indices))))
    index = np.broadcast_to(indices.array, [n if i != dim else indices.shape[dim] for i, n in enumerate(shape)])
    stretched = input.expand(*[n if i != dim else input.shape[dim] for i, n in enumerate(shape)])
    return indexing.gather_along(stretched, axis=dim, index=np.array(index))


@both("take")
def take(input, index):
    """Elements at positions counted in row-major order"""
    return indexing.take_flat(input, positions=np.array(array_of(index)))


@both("index_select")
def index_select(input, dim, index):
    """The slices along dim at the given positions"""
    dim = check_dim("index_select", input, dim)
    places = checked_index("index_select", index, input.shape[dim] if input.ndim else 1).reshape(-1)
    return indexing.getitem(input, index=(slice(None),) * dim + (places,)) if input.ndim else input.clone()


@both("masked_select")
def masked_select(input, mask):
    """The elements where the mask holds, as a vector"""
    shape = np.broadcast_shapes(input.shape, mask.shape)
    return indexing.getitem(input.expand(*shape), index=(np.broadcast_to(mask.array, shape).copy(),))


@both("masked_fill")
def masked_fill(input, mask, value):
    """input with `value` where the mask holds"""
    if array_of(mask).dtype.kind != "b":
        raise RuntimeError(f"masked_fill: the mask must be boolean, not {array_of(mask).dtype}; compare, as in mask == 0")
    value = value if isinstance(value, Tensor) else Tensor(np.asarray(value, input.dtype))
    return indexing.where(as_tensor(mask), value, input)


@both("masked_scatter")
def masked_scatter(input, mask, source):
    """input with the elements of source, in order, where the mask holds"""
    mask = np.broadcast_to(array_of(mask), input.shape).copy()
    return indexing.setitem(input, source.reshape(-1)[: int(mask.sum())], index=(mask,))


def source_for(input, value, index):
    """The source of a scatter: a tensor, or one number for all places."""
    return value if isinstance(value, Tensor) else Tensor(np.full(index.shape, value, input.dtype))


@both("scatter")
def scatter(input, dim, index, src=None, *, value=None, reduce=None):
    """input with src[i, j] stored at [index[i, j], j] for dim 0, and so on"""
    dim = check_dim("scatter", input, dim)
    places = checked_index("scatter", index, input.shape[dim])
    src = source_for(input, value if src is None else src, places)
    if reduce == "add":
        return indexing.scatter_add_along(input, src, axis=dim, index=places)
    if reduce is not None:
        raise NotImplementedError(f'scatter: reduce={reduce!r} is not supported; only None and "add"')
    return indexing.scatter_along(input, src, axis=dim, index=places)


@both("scatter_add")
def scatter_add(input, dim, index, src):
    """input with src[i, j] added at [index[i, j], j] for dim 0, and so on"""
    dim = check_dim("scatter_add", input, dim)
    return indexing.scatter_add_along(input, src, axis=dim, index=checked_index("scatter_add", index, input.shape[dim]))


@both("scatter_reduce")
def scatter_reduce(input, dim, index, src, reduce, *, include_self=True):
    """input combined with src[i, j] at [index[i, j], j]: "sum", "mean", "amax", "amin" or "prod" """
    dim = check_dim("scatter_reduce", input, dim)
    places = checked_index("scatter_reduce", index, input.shape[dim])
    kept = input
    if not include_self:
        touched = np.zeros(input.shape, bool)
        np.put_along_axis(touched, places, True, dim)
        neutral = dict(sum=0, mean=0, prod=1, amax=-np.inf, amin=np.inf)[reduce]
        kept = indexing.where(Tensor(touched), Tensor(np.asarray(neutral, input.dtype)), input)
    if reduce in ("sum", "mean"):
        total = indexing.scatter_add_along(kept, src, axis=dim, index=places)
        if reduce == "sum":
            return total
        counts = np.full(input.shape, int(include_self))
        np.add.at(counts, indexing.along(places, dim), 1)
        return total / Tensor(np.maximum(counts, 1).astype(input.dtype))
    if reduce not in ("amax", "amin", "prod"):
        raise RuntimeError(f'scatter_reduce: reduce must be "sum", "mean", "amax", "amin" or "prod", not {reduce!r}')
    out = np.array(kept.array)
    ufunc = dict(amax=np.maximum, amin=np.minimum, prod=np.multiply)[reduce]
    ufunc.at(out, indexing.along(places, dim), src.array)
    if modes.state.grad and (input.requires_grad or src.requires_grad):
        if reduce == "prod":
            raise NotImplementedError('scatter_reduce: the derivative for reduce="prod" is not supported')
        picked = out[indexing.along(places, dim)]
        hit_src, hit_self = src.array == picked, kept.array == out
        counts = hit_self.astype(input.dtype)
        np.add.at(counts, indexing.along(places, dim), hit_src.astype(input.dtype))
        base = indexing.where(Tensor(hit_self), kept, 0.0) / Tensor(counts)
        part = src * Tensor(hit_src / counts[indexing.along(places, dim)])
        smooth = indexing.scatter_add_along(base, part, axis=dim, index=places)
        return smooth + Tensor(out - smooth.array)
    return Tensor(out)


@both("index_add")
def index_add(input, dim, index, source, *, alpha=1):
    """input with the slices of source added at positions along dim"""
    dim = check_dim("index_add", input, dim)
    places = checked_index("index_add", index, input.shape[dim])
    source = source if alpha == 1 else source * alpha
    return indexing.index_add_to(input, source, index=(slice(None),) * dim + (places,))


@both("index_copy")
def index_copy(input, dim, index, source):
    """input with the slices of source stored at positions along dim"""
    dim = check_dim("index_copy", input, dim)
    places = checked_index("index_copy", index, input.shape[dim])
    return indexing.setitem(input, source, index=(slice(None),) * dim + (places,))


@both("index_fill")
def index_fill(input, dim, index, value):
    """input with one number at positions along dim"""
    dim = check_dim("index_fill", input, dim)
    places = checked_index("index_fill", index, input.shape[dim])
    return indexing.setitem(input, as_tensor(value).astype(input.dtype), index=(slice(None),) * dim + (places,))


@both("index_put")
def index_put(input, indices, values, accumulate=False):
    """input with values stored (or added) at the places that a tuple of index tensors names"""
    index = indexing.plain_index(tuple(indices))
    return (indexing.index_add_to if accumulate else indexing.setitem)(input, as_tensor(values), index=index)


@both("nonzero", method=True)
def nonzero(input, *, as_tuple=False):
    """The indices of the nonzero elements: a row each, or a tensor per dimension"""
    if as_tuple:
        return tuple(Tensor(i) for i in np.nonzero(np.atleast_1d(array_of(input))))
    return indexing.nonzero_positions(input)


@both("argwhere")
def argwhere(input):
    """The indices of the nonzero elements, a row each"""
    return indexing.nonzero_positions(input)


@both("isin", method=False)
def isin(elements, test_elements, *, assume_unique=False, invert=False):
    """True where an element is one of the test elements"""
    return Tensor(np.isin(array_of(elements), array_of(test_elements), invert=invert))


@only_function("tensordot")
def tensordot(a, b, dims=2):
    """Products summed over several dimensions of both tensors"""
    if isinstance(dims, Tensor):
        dims = dims.tolist()
    if isinstance(dims, int):
        mine, theirs = list(range(a.ndim - dims, a.ndim)), list(range(dims))
    else:
        mine, theirs = [[d % t.ndim for d in ([ds] if isinstance(ds, int) else ds)] for ds, t in zip(dims, (a, b))]
    letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
    left = list(letters[: a.ndim])
    right = list(letters[a.ndim : a.ndim + b.ndim])
    for i, j in zip(mine, theirs):
        right[j] = left[i]
    result = [c for i, c in enumerate(left) if i not in mine] + [c for j, c in enumerate(right) if j not in theirs]
    return public["einsum"](f"{''.join(left)},{''.join(right)}->{''.join(result)}", a, b)
