"""Reductions along axes: sums, products, extremes, moments, norms, cumulative sums."""

from math import prod as prod_of

import numpy as np

from ..autograd.composites import composite
from ..autograd.operator import general, linear, undifferentiable
from ..autograd.refusals import floating, ordered
from ..autograd.tensor import Tensor, array_of
from .functions import abs as absolute

AXES = [((2, 3),), ((2, 3, 4), dict(axis=1)), ((2, 3, 4), dict(axis=(0, -1), keepdims=True)), ((),)]


def normalized(axis, ndim):
    """The axes as a tuple of numbers from 0; None means all."""
    if axis is None:
        return tuple(range(ndim))
    return tuple(a % ndim if ndim else 0 for a in (axis if isinstance(axis, (tuple, list)) else (axis,)))


def kept(shape, axis):
    """`shape` with the reduced axes as 1: what keepdims=True would have given."""
    axes = normalized(axis, len(shape))
    return tuple(1 if i in axes else n for i, n in enumerate(shape))


def unreduced(g, axis, shape):
    """A reduction's gradient with its axes back, of size 1, ready to broadcast."""
    return g.reshape(kept(shape, axis)) if shape and axis is not None else g


def count(shape, axis):
    """How many elements each sum runs over."""
    n = 1
    for a in normalized(axis, len(shape)):
        n *= shape[a] if shape else 1
    return n


@linear(np.broadcast_to, samples=[((3, 1), dict(shape=(2, 3, 4))), ((), dict(shape=(2, 2)))], view=True,
        x=lambda g: g)  # fmt: skip
def broadcast_to(x, *, shape):
    """x stretched to shape; the engine sums the gradient back"""
    return np.broadcast_to(x, shape)


def spread(g, shape):
    """g stretched to `shape`; a small array is filled, which takes a tenth of the time of a broadcast view."""
    if isinstance(g, Tensor) or prod_of(shape) > 4096:
        return broadcast_to(g, shape=shape)
    out = np.empty(shape, g.dtype)
    try:
        out[...] = g
    except ValueError:  # viz/formula.py runs rules on symbols
        return broadcast_to(g, shape=shape)
    return out


@linear(np.sum, symbol="Σ", samples=AXES,
        x=lambda g, x_shape, axis: spread(unreduced(g, axis, x_shape), x_shape))  # fmt: skip
def sum(x, *, axis=None, keepdims=False):
    """Σ x along axis"""
    out = x.sum(axis=axis, keepdims=keepdims)
    return out if x.ndim < 3 else in_rows(out)


@linear(np.mean, symbol="mean", samples=AXES, floats=True,
        x=lambda g, x_shape, axis: spread(unreduced(g / count(x_shape, axis), axis, x_shape), x_shape))  # fmt: skip
def mean(x, *, axis=None, keepdims=False):
    """Σ x / n along axis"""
    out = x.mean(axis=axis, keepdims=keepdims)
    return out if x.ndim < 3 else in_rows(out)


def prod_rule(g, x, out, axis):
    """out / x, and where something is 0 the product of all others, from the left and from the right."""
    shape = x.shape
    axes = normalized(axis, len(shape))
    g = unreduced(g, axis, shape)
    if not shape:
        return g * 1
    if array_of(x).all():
        return g * (unreduced(out, axis, shape) / x)
    rest = [i for i in range(len(shape)) if i not in axes]
    order = [*rest, *axes]
    flat = permute(x, axes=order).reshape([shape[i] for i in rest] + [-1])
    ones = np.ones_like(array_of(flat)[..., :1])
    left = cumprod(np.concatenate([ones, flat[..., :-1]], axis=-1), axis=-1)
    right = flip(cumprod(np.concatenate([ones, flip(flat, axes=(-1,))[..., :-1]], axis=-1), axis=-1), axes=(-1,))
    others = (left * right).reshape([shape[i] for i in order])
    return g * permute(others, axes=[order.index(i) for i in range(len(shape))])


@general(np.prod, symbol="Π", samples=AXES, domain=(0.4, 1.6), x=prod_rule)
def prod(x, *, axis=None, keepdims=False):
    """Π x along axis"""
    return x.prod(axis=axis, keepdims=keepdims)


def extreme_rule(g, x, out, axis):
    """The gradient goes to the extreme elements, in equal shares; a constant share for higher orders."""
    x, out = array_of(x), array_of(out)
    out = out.reshape(kept(x.shape, axis))
    hit = (x == out) | (np.isnan(x) & np.isnan(out))
    sharing = hit.sum(axis=axis if axis is None else normalized(axis, x.ndim), keepdims=True)
    return np.where(hit, unreduced(g, axis, x.shape) / sharing.astype(x.dtype), 0)


@general(np.max, np.amax, symbol="max", samples=AXES, x=extreme_rule, refuse=ordered)
def amax(x, *, axis=None, keepdims=False):
    """max x along axis; equal maxima share the gradient"""
    return in_rows(x.max(axis=axis, keepdims=keepdims))


@general(np.min, np.amin, symbol="min", samples=AXES, x=extreme_rule, refuse=ordered)
def amin(x, *, axis=None, keepdims=False):
    """min x along axis; equal minima share the gradient"""
    return in_rows(x.min(axis=axis, keepdims=keepdims))


@general(symbol="element", samples=[((5,), dict(place=2)), ((2, 3), dict(place=4))], x=lambda g, x, out: extreme_rule(g, x, out, None))
def element(x, *, place):
    """x[place], counted in row-major order; elements that are equal to it share the gradient"""
    return x.reshape(-1)[place]


def var_rule(g, x, axis, correction):
    """2 (x − mean) / (n − correction)"""
    n = count(x.shape, axis) - correction
    factor = 2 / n if n > 0 else np.nan
    return unreduced(g, axis, x.shape) * (x - x.mean(axis=axis, keepdims=True)) * factor


@general(np.var, symbol="var", floats=True, samples=[((4, 3),), ((2, 3, 4), dict(axis=1)), ((2, 3, 4), dict(axis=(0, -1), keepdims=True, correction=0))], x=var_rule)  # fmt: skip
def var(x, *, axis=None, correction=1, keepdims=False):
    """Σ (x − mean)² / (n − correction) along axis"""
    centered = x - x.mean(axis=axis, keepdims=True)
    n = count(x.shape, axis) - correction
    total = (centered * centered).sum(axis=axis, keepdims=keepdims)
    if n > 0:
        return total / n
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.true_divide(total, 0, dtype=x.dtype)


def std_rule(g, x, out, axis, correction):
    """(x − mean) / ((n − correction) · std), and 0 where std is 0"""
    out = unreduced(out, axis, x.shape)
    n = count(x.shape, axis) - correction
    zero = array_of(out) == 0
    slope = unreduced(g, axis, x.shape) / (np.where(zero, 1, out) * (n if n > 0 else np.nan))
    return np.where(zero, 0, slope) * (x - x.mean(axis=axis, keepdims=True))


@general(np.std, symbol="std", floats=True, samples=[((4, 3),), ((2, 3, 4), dict(axis=1)), ((2, 3, 4), dict(axis=(0, -1), keepdims=True, correction=0))], x=std_rule)  # fmt: skip
def std(x, *, axis=None, correction=1, keepdims=False):
    """√var x along axis"""
    return np.sqrt(var.op.forward(x, axis=axis, correction=correction, keepdims=keepdims))


def logsumexp_rule(g, x, out, axis):
    """softmax(x)"""
    out = unreduced(out, axis, x.shape)
    return unreduced(g, axis, x.shape) * np.exp(x - np.where(array_of(out) == -np.inf, 0, out))


@general(symbol="lse", floats=True, samples=AXES, x=logsumexp_rule)
def logsumexp(x, *, axis=None, keepdims=False):
    """ln Σ eˣ along axis, without overflow"""
    top = x.max(axis=axis, keepdims=True, initial=-np.inf)
    top = np.where(np.isfinite(top), top, 0)
    with np.errstate(divide="ignore"):
        out = np.log(np.exp(x - top).sum(axis=axis, keepdims=True)) + top
    return (out if keepdims else out.squeeze(axis if axis is None else normalized(axis, x.ndim) if x.ndim else None)).astype(x.dtype, copy=False)[()]  # fmt: skip


@general(symbol="softmax", floats=True, samples=[((2, 3), dict(axis=1)), ((3, 2, 2), dict(axis=0))],
         x=lambda g, out, axis: out * (g - (g * out).sum(axis=axis, keepdims=True)), refuse=floating)  # fmt: skip
def softmax(x, *, axis):
    """eˣ / Σ eˣ along axis"""
    if not x.size:
        return x.copy()
    out = np.exp(np.subtract(x, np.maximum.reduce(x, axis=axis, keepdims=True), order="C"))
    out /= np.add.reduce(out, axis=axis, keepdims=True)
    return out


@general(symbol="log softmax", floats=True, samples=[((2, 3), dict(axis=1)), ((3, 2, 2), dict(axis=0))],
         x=lambda g, out, axis: g - np.exp(out) * g.sum(axis=axis, keepdims=True), refuse=floating)  # fmt: skip
def log_softmax(x, *, axis):
    """x − ln Σ eˣ along axis, without overflow"""
    if not x.size:
        return x.copy()
    out = np.subtract(x, np.maximum.reduce(x, axis=axis, keepdims=True), order="C")
    out -= np.log(np.add.reduce(np.exp(out), axis=axis, keepdims=True))
    return out


def norm_rule(g, x, out, axis, order):
    """x / ‖x‖ for order 2, in general sign(x) · (|x| / ‖x‖)^(order−1); 0 at 0"""
    out = unreduced(out, axis, x.shape)
    g = unreduced(g, axis, x.shape)
    zero = array_of(out) == 0
    if order == 0:
        return g * np.zeros_like(array_of(x))
    if order == 2:
        return np.where(zero, 0, g / np.where(zero, 1, out)) * x
    if order in (np.inf, -np.inf):
        hit = np.abs(array_of(x)) == array_of(out)
        share = hit / hit.sum(axis=axis, keepdims=True)
        return g * np.sign(x) * share.astype(x.dtype)
    size = np.where(array_of(x) == 0, 1, absolute(x))
    ratio = np.where(zero, 0, size / np.where(zero, 1, out)) ** (order - 1)
    return g * np.sign(x) * np.where(array_of(x) == 0, 0, ratio)


@general(symbol="‖·‖", floats=True, samples=[((4,),), ((2, 3), dict(axis=1)), ((2, 3, 4), dict(axis=(0, 2), keepdims=True, order=3)), ((5,), dict(order=1)), ((5,), dict(order=np.inf))], x=norm_rule)  # fmt: skip
def vector_norm(x, *, axis=None, order=2, keepdims=False):
    """(Σ |x|^order)^(1/order) along axis; the gradient at 0 is 0"""
    if order == 2:
        return np.sqrt((x * x).sum(axis=axis, keepdims=keepdims))
    size = np.abs(x)
    if order == np.inf:
        return size.max(axis=axis, keepdims=keepdims)
    if order == -np.inf:
        return size.min(axis=axis, keepdims=keepdims)
    if order == 0:
        return (x != 0).sum(axis=axis, keepdims=keepdims).astype(x.dtype)
    if order == 1:
        return size.sum(axis=axis, keepdims=keepdims)
    return ((size**order).sum(axis=axis, keepdims=keepdims) ** (1 / order)).astype(x.dtype, copy=False)


@linear(np.cumsum, symbol="cumsum", samples=[((4,), dict(axis=0)), ((2, 3), dict(axis=1))],
        x=lambda g, axis: flip(cumsum(flip(g, axes=(axis,)), axis=axis), axes=(axis,)))  # fmt: skip
def cumsum(x, *, axis):
    """Σ of the elements up to each one, along axis"""
    return in_rows(x.cumsum(axis=axis))


def cumprod_rule(g, x, out, axis):
    """Σₖ gₖ · outₖ / xᵢ over k ≥ i; where something is 0, the products without xᵢ one by one"""
    if not x.shape:
        return g * 1
    if array_of(x).all():
        return flip(cumsum(flip(g * out, axes=(axis,)), axis=axis), axes=(axis,)) / x
    x, g = np.moveaxis(x, axis, -1), np.moveaxis(g, axis, -1)
    n = x.shape[-1]
    without = cumprod(np.where(np.eye(n, dtype=bool), 1, x.reshape((*x.shape[:-1], 1, n))), axis=-1)
    rows = without * np.triu(np.ones((n, n), x.dtype)) * g.reshape((*g.shape[:-1], 1, n))
    return np.moveaxis(rows.sum(axis=-1), -1, axis)


@general(np.cumprod, symbol="cumprod", samples=[((4,), dict(axis=0)), ((2, 3), dict(axis=1))], domain=(0.4, 1.6), x=cumprod_rule)  # fmt: skip
def cumprod(x, *, axis):
    """Π of the elements up to each one, along axis"""
    return np.cumprod(x, axis=axis)


def logcumsumexp_rule(g, x, out, axis):
    """Σₖ gₖ · e^(xᵢ − outₖ) over k ≥ i, with the pairs written out"""
    x, out, g = np.moveaxis(x, axis, -1), np.moveaxis(out, axis, -1), np.moveaxis(g, axis, -1)
    n = x.shape[-1]
    later = np.triu(np.ones((n, n), bool))
    gaps = x.reshape((*x.shape, 1)) - out.reshape((*out.shape[:-1], 1, n))
    rows = np.where(later, np.exp(np.where(later, gaps, 0)) * g.reshape((*g.shape[:-1], 1, n)), 0)
    return np.moveaxis(rows.sum(axis=-1), -1, axis)


@general(symbol="logcumsumexp", floats=True, samples=[((4,), dict(axis=0)), ((2, 3), dict(axis=1))], x=logcumsumexp_rule)
def logcumsumexp(x, *, axis):
    """ln Σ eˣ over the elements up to each one, along axis"""
    return np.logaddexp.accumulate(x, axis=axis)


@undifferentiable(np.argmax, refuse=ordered)
def argmax_along(x, *, axis=None, keepdims=False):
    """The index of the first maximum along axis"""
    return np.asarray(x.argmax(axis=axis, keepdims=keepdims))


@undifferentiable(np.argmin, refuse=ordered)
def argmin_along(x, *, axis=None, keepdims=False):
    """The index of the first minimum along axis"""
    return np.asarray(x.argmin(axis=axis, keepdims=keepdims))


@undifferentiable(np.argsort, refuse=ordered)
def argsort_along(x, *, axis=-1, descending=False, stable=True):
    """The indices that sort x along axis"""
    if not x.ndim:
        return np.zeros((), np.int64)
    if not descending:
        return x.argsort(axis=axis, kind="stable")
    backwards = (slice(None),) * (axis % x.ndim) + (slice(None, None, -1),)  # sort the mirror image, so that equal elements keep their order
    return in_rows((x.shape[axis] - 1 - x[backwards].argsort(axis=axis, kind="stable"))[backwards])


@undifferentiable(np.all, promote=())
def all_along(x, *, axis=None, keepdims=False):
    """True where every element along axis is nonzero"""
    return np.logical_and.reduce(x, axis=axis, keepdims=keepdims)


@undifferentiable(np.any, promote=())
def any_along(x, *, axis=None, keepdims=False):
    """True where some element along axis is nonzero"""
    return np.logical_or.reduce(x, axis=axis, keepdims=keepdims)


@undifferentiable(np.count_nonzero, promote=())
def count_nonzero_along(x, *, axis=None):
    """How many elements along axis are nonzero"""
    return np.asarray(np.count_nonzero(x, axis=axis))


@composite(np.nansum, samples=AXES)
def nansum_along(x, *, axis=None, keepdims=False):
    """Σ x along axis, NaN counted as 0"""
    return sum(np.where(np.isnan(x), 0, x), axis=axis, keepdims=keepdims)


from .shapes import flip, in_rows, permute  # noqa: E402  (the two files name each other's operators in their rules)
