"""Picking elements and putting them back: getitem and scatter are each other's rule, and so are take and put."""

import operator
import warnings

import numpy as np

from ..autograd.memory import owner
from ..autograd.operator import elementwise, general, linear, undifferentiable
from ..autograd.tensor import Tensor, array_of
from .functions import chosen


def plain_index(index):
    """An index with tensors and lists as arrays, always a tuple."""
    if not isinstance(index, tuple):
        nested = isinstance(index, list) and len(index) < 32 and any(isinstance(i, (list, tuple, slice, Tensor)) for i in index)
        index = tuple(index) if nested else (index,)  # as PyTorch: x[[[0, 1], [1, 0]]] is x[[0, 1], [1, 0]]
    return tuple(plain(i) for i in index)


EXACT = {int, type(None)}


def plain(i):
    """One part of an index: an int, a slice, None, Ellipsis, or an integer or boolean array."""
    if isinstance(i, Tensor):
        i = i.array.copy() if i.shared or i.base is not None and i.base.shared else i.array
    elif isinstance(i, slice):
        if {type(i.start), type(i.stop), type(i.step)} <= EXACT:
            return i
        return slice(*(x if x is None else operator.index(x) for x in (i.start, i.stop, i.step)))
    elif i is None or i is Ellipsis or type(i) is int:
        return i
    elif isinstance(i, (list, tuple, range)):
        i = np.asarray([array_of(x) for x in i] if len(i) else np.zeros(0, np.int64))
    elif isinstance(i, np.ndarray):
        i = i.copy()  # the user's own array: a graph must not notice later writes
    if getattr(i, "dtype", None) == np.uint8:
        warnings.warn("x[…]: an index of uint8 is a mask, as in PyTorch; say so with .bool(), or .long() for positions", stacklevel=4)
        i = np.asarray(i, bool)
    if isinstance(i, np.ndarray) and i.dtype.kind in "iub":
        return i if i.ndim or i.dtype.kind == "b" else int(i)
    if isinstance(i, (np.bool_, bool)):
        return bool(i)
    if isinstance(i, np.integer):
        return int(i)
    shown = f"an array of {i.dtype}" if isinstance(i, (np.ndarray, np.generic)) else type(i).__name__
    raise IndexError(f"x[…]: an index must be an int, a slice, None, Ellipsis, or an integer or boolean tensor; got {shown}")


def is_basic(index):
    """True if the index only slices: no element can be picked twice."""
    return not any(isinstance(i, (np.ndarray, bool)) for i in index)


def picks_once(index):
    """True if no element can be picked twice: by slices, or by one mask."""
    return is_basic(index) or len(index) == 1 and np.asarray(index[0]).dtype.kind == "b"


def steps_of(index, ndim):
    """One index, or two to be taken after each other where NumPy would give another order of dimensions than PyTorch.

    NumPy counts an int beside arrays as one of them: x[0, :, rows] would put the rows first. PyTorch takes ints, slices and
    None at once, and then picks. And an Ellipsis that stands for nothing separates no arrays.
    """
    if is_basic(index):
        return (index,)
    taken = sum(i.ndim if isinstance(i, np.ndarray) and i.dtype.kind == "b" else not isinstance(i, bool) for i in index if i is not None)
    if taken > ndim:
        index = tuple(i for i in index if i is not Ellipsis)
    advanced = [k for k, i in enumerate(index) if type(i) is int or isinstance(i, (np.ndarray, bool))]
    if advanced[-1] - advanced[0] + 1 == len(advanced) or not any(type(i) is int for i in index):
        return (index,)
    first: list = []
    second: list = []
    for i in index:
        if isinstance(i, np.ndarray):
            first += [slice(None)] * (i.ndim if i.dtype.kind == "b" else 1)
            second.append(i)
        else:
            first += [] if isinstance(i, bool) else [i]
            second += [] if type(i) is int else [i] if i is Ellipsis or isinstance(i, bool) else [slice(None)]
    return tuple(first), tuple(second)


ROWS, TWICE = np.array([2, 0, 2]), np.array([[0, 1], [1, 1]])
MASK = np.array([[True, False, True], [False, True, True]])
INDICES = [((4,), dict(index=(1,))), ((4, 3), dict(index=(slice(None, None, 2), 1))), ((3, 2), dict(index=(None, Ellipsis, 0))),
           ((4, 3), dict(index=(ROWS,))), ((4, 3), dict(index=(slice(1, 3), TWICE))), ((2, 3), dict(index=(MASK,))),
           ((4, 3), dict(index=(ROWS, np.array([0, 1, 0])))), ((3, 2, 4), dict(index=(TWICE, 0, slice(0, 2))))]  # fmt: skip


@linear(symbol="[ ]", samples=INDICES, view=True, x=lambda g, x_shape, index: scatter(g, index=index, shape=x_shape))
def getitem(x, *, index):
    """x[index]; an element picked twice gets both gradients"""
    return x[index]


@linear(symbol="scatter", samples=[((), dict(index=(1,), shape=(4,))), ((2,), dict(index=(slice(None, None, 2), 1), shape=(4, 3))), ((3, 3), dict(index=(ROWS,), shape=(4, 3)))],
        x=lambda g, index: getitem(g, index=index))  # fmt: skip
def scatter(x, *, index, shape):
    """Zeros of `shape` with x added at index: the adjoint of getitem"""
    out = np.zeros_like(x, shape=shape)
    if picks_once(index):
        out[index] = x
    elif len(index) == 1 and index[0].ndim == 1 and out.ndim > 1 and len(index[0]) > 16:
        add_rows(out, index[0] % len(out), x)
    else:
        np.add.at(out, index, x)
    return out


def add_rows(out, rows, x):
    """Into zeros, out[rows] += x with repeated rows: sorted, each row's run is summed at once, several times faster than add.at."""
    order = np.argsort(rows, kind="stable")
    rows = rows[order]
    starts = np.flatnonzero(np.concatenate(([True], rows[1:] != rows[:-1])))
    out[rows[starts]] = np.add.reduceat(x[order], starts)


def cleared(g, index):
    """g with 0 at index."""
    if not isinstance(g, Tensor):
        out = np.array(g)
        out[index] = 0
        return out
    keep = np.ones(g.shape, bool)
    keep[index] = False
    return np.where(keep, g, 0)


def put_value_rule(g, x_shape, value_shape, index):
    """g[index]; where one value was stored twice in the same place, only the last one counted."""
    if picks_once(index):
        return getitem(g, index=index)
    places = np.arange(int(np.prod(x_shape))).reshape(x_shape)[index]
    last = np.zeros(places.size, bool)
    flat = places.reshape(-1)
    last[len(flat) - 1 - np.unique(flat[::-1], return_index=True)[1]] = True
    return getitem(g, index=index) * last.reshape(places.shape).astype(g.dtype)


@general(symbol="[ ]=", promote=(), samples=[((4, 3), (3,), dict(index=(1,))), ((4, 3), (), dict(index=(slice(0, 2), 1))), ((4, 3), (2, 3), dict(index=(np.array([3, 0]),)))],
         x=lambda g, index: cleared(g, index), value=put_value_rule)  # fmt: skip
def setitem(x, value, *, index):
    """x with x[index] replaced by value"""
    out = np.array(x)
    out[index] = value
    return out


@general(promote=(), samples=[((4, 3), (3, 3), dict(index=(ROWS,)))],
         x=lambda g: g, value=lambda g, index: getitem(g, index=index))  # fmt: skip
def index_add_to(x, value, *, index):
    """x with value added at index, repeated places counting each time"""
    out = x.copy()
    np.add.at(out, index, value)
    return out


def windows_summed(g, x_shape, axis, size, step):
    """Each element's sum over the windows it is in."""
    return scatter(np.moveaxis(g, -1, axis + 1), index=places_of_windows(g.shape[axis], axis, size, step), shape=x_shape)


def places_of_windows(n, axis, size, step):
    """The index that picks n windows along an axis."""
    return (slice(None),) * axis + (np.arange(n)[:, None] * step + np.arange(size),)


@linear(samples=[((5,), dict(axis=0, size=2, step=1)), ((2, 6, 2), dict(axis=1, size=2, step=3))], view=True, x=windows_summed)
def windows_along(x, *, axis, size, step):
    """Every slice of a size along an axis, step by step, as a new last axis"""
    n = (x.shape[axis] - size) // step + 1
    memory = owner(x) if type(x) is np.ndarray else None
    if memory is None or not size or not x.size or not memory.flags.forc:
        return np.moveaxis(x[places_of_windows(n, axis, size, step)], axis + 1, -1)
    shape, strides = [*x.shape, size], [*x.strides, x.strides[axis]]
    shape[axis], strides[axis] = n, x.strides[axis] * step
    start = x.__array_interface__["data"][0] - memory.__array_interface__["data"][0]
    view = np.ndarray(shape, x.dtype, memory if memory.flags.c_contiguous else memory.T, start, strides)
    if step < size or not x.flags.writeable:
        view.flags.writeable = False  # NumPy would write into windows that overlap
    return view


@linear(samples=[((2, 3), dict(positions=np.array([[0, 5], [5, 1]])))],
        x=lambda g, x_shape, positions: scatter(g, index=(positions,), shape=(int(np.prod(x_shape)),)).reshape(x_shape))  # fmt: skip
def take_flat(x, *, positions):
    """The elements of x at positions, counted in row-major order"""
    return x.reshape(-1)[positions]


@general(promote=(), samples=[((2, 3), (2,), dict(positions=np.array([0, 5])))],
         x=lambda g, x_shape, positions: cleared(g.reshape((-1,)), (positions,)).reshape(x_shape),
         value=lambda g, positions: take_flat(g, positions=positions))  # fmt: skip
def put_flat(x, value, *, positions):
    """x with the elements at positions, counted in row-major order, replaced by value"""
    out = x.reshape(-1).copy()
    out[positions] = value
    return out.reshape(x.shape)


def along(index, axis):
    """The full index that picks, along one axis, by an array of the same number of dimensions."""
    shape, n = index.shape, index.ndim
    return tuple([index if a == axis % n else np.arange(shape[a]).reshape((shape[a],) + (1,) * (n - 1 - a)) for a in range(n)])


PICKED = np.array([[0, 2, 2], [1, 0, 2]])


def put_back(g, x_shape, axis, index):
    """Zeros of the input's shape, with the gradient added where its elements came from."""
    if index.shape[axis] == 1:  # no element was picked twice
        return scatter_along(np.zeros_like(g, shape=x_shape), g, axis=axis, index=index)
    return scatter(g, index=along(index, axis), shape=x_shape)


@linear(samples=[((3, 3), dict(axis=0, index=PICKED)), ((2, 4), dict(axis=1, index=PICKED)), ((2, 4), dict(axis=1, index=PICKED[:, :1]))], x=put_back)
def gather_along(x, *, axis, index):
    """out[i, j] = x[index[i, j], j] for axis 0, and so on"""
    return x[along(index, axis)]


@general(samples=[((2, 4), dict(axis=1, index=PICKED))],
         x=lambda g, x, x_shape, axis, index: chosen(put_back(g, x_shape, axis, index), x))
def gather_chosen(x, *, axis, index):
    """gather_along where x itself chose the index by comparisons, so that the gradient depends on x, with slope 0"""
    return x[along(index, axis)]


@general(promote=(), samples=[((3, 3), (2, 3), dict(axis=0, index=PICKED)), ((2, 4), (2, 3), dict(axis=1, index=PICKED))],
         x=lambda g: g, source=lambda g, source_shape, axis, index: fitted(gather_along(g, axis=axis, index=index), source_shape))  # fmt: skip
def scatter_add_along(x, source, *, axis, index):
    """x with source[i, j] added at [index[i, j], j] for axis 0, and so on"""
    out = x.copy()
    np.add.at(out, along(index, axis), source[tuple(map(slice, index.shape))])
    return out


def fitted(g, shape):
    """A gradient for the part of the source that was used, with zeros for the rest."""
    if tuple(g.shape) == tuple(shape):
        return g
    return scatter(g, index=tuple(slice(n) for n in g.shape), shape=shape)


@general(promote=(), samples=[((3, 3), (2, 3), dict(axis=0, index=np.array([[0, 2, 1], [1, 0, 2]])))],
         x=lambda g, axis, index: cleared(g, along(index, axis)),
         source=lambda g, source_shape, axis, index: fitted(put_value_rule(g, g.shape, index.shape, along(index, axis)), source_shape))  # fmt: skip
def scatter_along(x, source, *, axis, index):
    """x with source[i, j] stored at [index[i, j], j] for axis 0, and so on"""
    out = x.copy()
    out[along(index, axis)] = source[tuple(map(slice, index.shape))]
    return out


@elementwise(np.where, promote=("x", "y"), condition=None,
             x=lambda g, condition: np.where(condition, g, 0), y=lambda g, condition: np.where(condition, 0, g))  # fmt: skip
def where(condition, x, y):
    """x where the condition holds, else y"""
    return np.where(condition, x, y)


@linear(samples=[((4, 3), dict(repeats=2, axis=0)), ((3,), dict(repeats=np.array([1, 0, 2]), axis=0))],
        x=lambda g, x_shape, repeats, axis: repeated_sum(g, x_shape, repeats, axis))  # fmt: skip
def repeat_along(x, *, repeats, axis):
    """x with each element repeated, along an axis"""
    return np.repeat(x, repeats, axis)


def repeated_sum(g, x_shape, repeats, axis):
    """Each element's copies, summed."""
    n = x_shape[axis]
    rows = np.repeat(np.arange(n), repeats)
    return scatter(g, index=(slice(None),) * (axis % len(x_shape)) + (rows,), shape=x_shape)


@undifferentiable(promote=())
def nonzero_positions(x):
    """The indices of the nonzero elements, one row each"""
    return np.argwhere(x)
