"""Shapes: reshape, transpose, join, split, pad, roll: operators that move numbers and compute none."""

import numpy as np

from ..autograd.operator import linear
from ..autograd.tensor import Tensor


@linear(np.reshape, symbol="reshape", samples=[((2, 6), dict(shape=(3, 4))), ((2, 3), dict(shape=(-1,))), ((1,), dict(shape=()))],
        view=True, x=lambda g, x_shape: g.reshape(x_shape))  # fmt: skip
def reshape(x, *, shape):
    """x with its elements, in row-major order, in another shape"""
    return x.reshape(shape)


def inverse(axes):
    """The permutation that undoes `axes`."""
    n = len(axes)
    return tuple(sorted(range(n), key=lambda i: axes[i] % n))


@linear(symbol="permute", samples=[((2, 3, 4), dict(axes=(-1, 0, 1)))], view=True,
        x=lambda g, axes: permute(g, axes=inverse(axes)))  # fmt: skip
def permute(x, *, axes):
    """x with its axes in another order"""
    return x.transpose(axes)


@linear(np.swapaxes, symbol="transpose", samples=[((2, 3, 4), dict(axis0=-1, axis1=0))], view=True,
        x=lambda g, axis0, axis1: g.swapaxes(axis0, axis1))  # fmt: skip
def swapaxes(x, *, axis0, axis1):
    """x with two axes exchanged"""
    return x.swapaxes(axis0, axis1)


def moved_back(g, source, destination):
    return moveaxis(g, source=destination, destination=source)


@linear(symbol="movedim", samples=[((2, 3, 4), dict(source=0, destination=-1)), ((2, 3, 4), dict(source=(0, 1), destination=(2, 0)))],
        view=True, x=moved_back)  # fmt: skip
def moveaxis(x, *, source, destination):
    """x with some axes moved to new places"""
    return np.moveaxis(x, source, destination)


@linear(np.expand_dims, symbol="unsqueeze", samples=[((2, 3), dict(axis=1)), ((2,), dict(axis=-1))], view=True,
        x=lambda g, x_shape: g.reshape(x_shape))  # fmt: skip
def unsqueeze(x, *, axis):
    """x with a new axis of size 1"""
    shape, n = x.shape, x.ndim + 1
    if axis.__class__ is not int or not -n <= axis < n:
        return np.expand_dims(x, axis)
    return x.reshape((*shape[: axis % n], 1, *shape[axis % n :]))


@linear(np.squeeze, symbol="squeeze", samples=[((1, 3, 1),), ((2, 1, 3), dict(axis=1))], view=True,
        x=lambda g, x_shape: g.reshape(x_shape))  # fmt: skip
def squeeze(x, *, axis=None):
    """x without its axes of size 1"""
    if axis is not None:
        axes = axis if isinstance(axis, (tuple, list)) else (axis,)
        axis = tuple(a for a in axes if x.ndim and x.shape[a] == 1)
    return x.squeeze(axis)


def piece(g, i, xs_shapes, axis):
    """The part of the joined gradient that belongs to input i."""
    axis %= g.ndim
    start = builtin_sum(shape[axis] for shape in xs_shapes[:i])
    return g[(slice(None),) * axis + (slice(start, start + xs_shapes[i][axis]),)]


builtin_sum = sum


def in_rows(x):
    """x with its last index running fastest, as PyTorch leaves these results, so that .view takes them."""
    return x if x.flags.c_contiguous else np.ascontiguousarray(x)


@linear(symbol="cat", samples=[((2, 3), (4, 3), dict(axis=0)), ((2, 3), (2, 1), (2, 2), dict(axis=-1))], xs=piece)
def concatenate(*xs, axis=0):
    """The inputs joined along an axis"""
    return in_rows(np.concatenate(xs, axis=axis))


def layer(g, i, axis):
    """The slice of the stacked gradient that belongs to input i."""
    axis %= g.ndim
    return g[(slice(None),) * axis + (i,)]


@linear(symbol="stack", samples=[((2, 3), (2, 3), dict(axis=0)), ((2,), (2,), (2,), dict(axis=-1)), ((), (), dict(axis=0))], xs=layer)
def stack(*xs, axis=0):
    """The inputs side by side along a new axis"""
    if not xs or not -xs[0].ndim - 1 <= axis <= xs[0].ndim:
        return np.stack(xs, axis=axis)  # NumPy's error
    new = (slice(None),) * (axis % (xs[0].ndim + 1)) + (None,)
    return in_rows(np.concatenate([x[new] for x in xs], axis=len(new) - 1))


@linear(np.flip, samples=[((2, 3), dict(axes=(0, 1))), ((4,), dict(axes=(0,)))], x=lambda g, axes: flip(g, axes=axes))
def flip(x, *, axes):
    """x in reverse order along axes"""
    axes = range(x.ndim) if axes is None else [a % x.ndim for a in (axes if isinstance(axes, (tuple, list)) else (axes,))]
    return x[tuple([BACKWARDS if a in axes else WHOLE for a in range(x.ndim)])].copy()


WHOLE, BACKWARDS = slice(None), slice(None, None, -1)


def rolled_back(g, shifts, axes):
    return roll(g, shifts=tuple(-s for s in shifts) if isinstance(shifts, tuple) else -shifts, axes=axes)


@linear(np.roll, samples=[((2, 3), dict(shifts=1)), ((2, 3), dict(shifts=(1, 2), axes=(0, 1)))], x=rolled_back)
def roll(x, *, shifts, axes=None):
    """x shifted along axes, what falls off returning at the other end"""
    if axes is None:
        return roll.op.forward(x.reshape(-1), shifts=(shifts,), axes=(0,)).reshape(x.shape)
    for shift, axis in [(shifts, axes)] if isinstance(axes, int) else zip(shifts, axes):
        before, cut = (slice(None),) * (axis % x.ndim), -shift % (x.shape[axis] or 1)
        x = np.concatenate([x[(*before, slice(cut, None))], x[(*before, slice(None, cut))]], axis=axis)
    return x


def tiled_sum(g, x_shape, repeats):
    """Each element's copies, summed."""
    repeats = tuple(repeats)
    lead = len(repeats) - len(x_shape)
    shape = [n for pair in zip((1,) * -lead + repeats, (1,) * lead + x_shape) for n in pair]
    return g.reshape(shape).sum(axis=tuple(range(0, len(shape), 2))).reshape(x_shape)


@linear(np.tile, samples=[((2, 3, 2), dict(repeats=(2,))), ((2,), dict(repeats=(3, 2)))], x=tiled_sum)
def tile(x, *, repeats):
    """x repeated as a whole, along each axis"""
    return np.tile(x, repeats)


def inner(g, x_shape, widths):
    """The part of a padded gradient that lies on x, for negative widths padded with 0."""
    return pad_constant(g, widths=tuple((-a, -b) for a, b in widths))


@linear(symbol="pad", samples=[((2, 3), dict(widths=((0, 0), (1, 2)))), ((4,), dict(widths=((1, -2),)))], x=inner)
def pad_constant(x, *, widths, value=0):
    """x with a border of `value`: (before, after) for each axis, a negative width cuts off"""
    pairs = [*zip(widths, x.shape)]
    out = np.full_like(x, value, shape=[n + a + b for (a, b), n in pairs])
    inside = tuple([slice(max(a, 0), n + a) for (a, b), n in pairs])
    out[inside] = x[tuple([slice(max(-a, 0), n + b) for (a, b), n in pairs])]
    return out


@linear(np.tril, samples=[((3, 3),), ((2, 3, 4), dict(k=1))], x=lambda g, k: tril(g, k=k))
def tril(x, *, k=0):
    """The lower triangle: 0 above diagonal k"""
    return np.tril(x, k)


@linear(np.triu, samples=[((3, 3),), ((2, 3, 4), dict(k=-1))], x=lambda g, k: triu(g, k=k))
def triu(x, *, k=0):
    """The upper triangle: 0 below diagonal k"""
    return np.triu(x, k)


def on_diagonal(g, x_shape, k, axis0, axis1):
    return diagonal_embed(g, k=k, axis0=axis0, axis1=axis1, shape=x_shape)


@linear(np.diagonal, samples=[((3, 4),), ((2, 3, 3), dict(k=1, axis0=1, axis1=2))], view=True, x=on_diagonal)
def diagonal(x, *, k=0, axis0=0, axis1=1):
    """The elements of x whose indices along two axes differ by k"""
    view = np.diagonal(x, k, axis0, axis1)
    if x.flags.writeable:
        view.flags.writeable = True  # as any other view: NumPy's refusal is a leftover of the time when it was a copy
    return view


@linear(samples=[((3,), dict(shape=(3, 4))), ((2, 2), dict(k=1, axis0=1, axis1=2, shape=(2, 3, 3)))],
        x=lambda g, k, axis0, axis1: diagonal(g, k=k, axis0=axis0, axis1=axis1))  # fmt: skip
def diagonal_embed(x, *, shape, k=0, axis0=0, axis1=1):
    """Zeros of `shape` with x on the diagonal: the adjoint of diagonal"""
    out = np.zeros_like(x, shape=shape)
    view = np.diagonal(out, k, axis0, axis1)
    view.flags.writeable = True
    view[...] = x
    return out


@linear(samples=[((3,), dict(dtype=np.dtype("float64")))], x=lambda g, x_dtype: g.astype(x_dtype))
def cast(x, *, dtype):
    """x in another type of number; the gradient returns in x's own"""
    return x.astype(dtype)


@linear(np.copy, np.ascontiguousarray, samples=[((2, 3),)], x=lambda g: g)
def clone(x):
    """A copy of x, in memory of its own"""
    return x.copy()


@linear(samples=[((2, 4), dict(size=(2, 3), stride=(3, 1), offset=1)), ((6,), dict(size=(3, 2), stride=(1, 1), offset=0))],
        x=lambda g, x_shape, size, stride, offset: overlapped(g, x_shape, size, stride, offset))  # fmt: skip
def as_strided(x, *, size, stride, offset=0):
    """Elements of x at offset + Σ index · stride, counted in elements of x in row-major order"""
    return x.reshape(-1)[strided_positions(size, stride, offset)]


def strided_positions(size, stride, offset):
    """The flat position of each element of a strided view."""
    positions = np.full(size, offset, np.int64)
    for axis, (n, step) in enumerate(zip(size, stride)):
        positions += (np.arange(n) * step).reshape((n,) + (1,) * (len(size) - axis - 1))
    return positions


def overlapped(g, x_shape, size, stride, offset):
    """Each element's copies, summed."""
    from .indexing import scatter

    count = 1
    for n in x_shape:
        count *= n
    return scatter(g, index=(strided_positions(size, stride, offset),), shape=(count,)).reshape(x_shape)


def as_tensor_tuple(xs):
    """The inputs of a joining function, which takes them as one sequence."""
    return tuple(xs) if isinstance(xs, (list, tuple)) else tuple(xs.unbind(0)) if isinstance(xs, Tensor) else tuple(xs)
