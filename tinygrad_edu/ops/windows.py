"""Sliding windows: unfold ⇄ fold, convolutions (three operators, each the rule of the others), and pooling.

Data is (N, C, *S): any number of spatial axes. A window has a `kernel` (its size), a `stride`, a `dilation` and a `padding`, the
zeros (before, after) each axis; all are tuples with one entry per spatial axis. Every operator here is written as a loop
over the few places inside a window (the *taps*); each tap reads or writes one strided slice of the whole batch.
"""

from functools import lru_cache
from itertools import product
from math import prod

import numpy as np

from ..autograd.operator import general, linear
from ..autograd.refusals import alike
from ..autograd.tensor import Tensor, array_of
from .functions import chosen as chosen_by
from .products import ones

BLOCK = 2**19  # bytes of columns made at once: images are taken in groups that stay in the processor's cache


@lru_cache(maxsize=1024)
def taps(kernel, stride, dilation, lengths):
    """For each place inside the window, the slices of the padded input that this place meets as the window slides."""
    along = [
        [slice(k * d, k * d + s * (n - 1) + 1 if n else 0, s) for k in range(size)]
        for size, s, d, n in zip(kernel, stride, dilation, lengths)
    ]
    return [(Ellipsis, *tap) for tap in product(*along)]


def lengths_of(sizes, kernel, stride, dilation, padding):
    """How many windows fit along each axis."""
    return tuple(
        max(0, (n + a + b - d * (k - 1) - 1) // s + 1) for n, k, s, d, (a, b) in zip(sizes, kernel, stride, dilation, padding)
    )


def padded(x, padding, value=0):
    """x with a border; x itself where there is none."""
    if not any(a or b for a, b in padding):
        return x
    lead = x.ndim - len(padding)
    shape = (*x.shape[:lead], *(n + a + b for n, (a, b) in zip(x.shape[lead:], padding)))
    out = np.full_like(x, value, shape=shape)
    out[inside(x.shape[lead:], padding)] = x
    return out


def inside(sizes, padding):
    """The index of the data within its border."""
    return (Ellipsis, *(slice(a, a + n) for n, (a, _) in zip(sizes, padding)))


def border(x, shape, padding):
    """Zeros like x of shape (N, C, *shape with its border), to be filled by windows."""
    return np.zeros_like(x, shape=(*x.shape[:2], *(n + a + b for n, (a, b) in zip(shape, padding))))


def cropped(x, shape, padding):
    """x without its border: memory of its own where there is none."""
    return x[inside(shape, padding)] if any(a or b for a, b in padding) else x


# --- unfold and fold -------------------------------------------------------------------------------------------------

ROW = dict(kernel=(3,), stride=(1,), dilation=(1,), padding=((0, 0),))
WIDE = dict(kernel=(2, 3), stride=(2, 1), dilation=(1, 2), padding=((1, 0), (2, 1)))


@linear(
    symbol="unfold",
    samples=[((1, 2, 5), ROW), ((2, 1, 4, 5), WIDE)],
    x=lambda g, x_shape, kernel, stride, dilation, padding: fold(
        g, shape=tuple(x_shape[2:]), kernel=kernel, stride=stride, dilation=dilation, padding=padding
    ),
)
def unfold(x, *, kernel, stride, dilation, padding, lengths=None):
    """The elements of every window side by side, shapes (N, C, *S) → (N, C, K, *L): K taps, L windows along each axis"""
    if lengths is None:
        lengths = lengths_of(x.shape[2:], kernel, stride, dilation, padding)
    x = padded(x, padding)
    places = taps(kernel, stride, dilation, lengths)
    out = np.empty_like(x, shape=(*x.shape[:2], len(places), *lengths))
    for k, tap in enumerate(places):
        out[:, :, k] = x[tap]
    return out


@linear(
    symbol="fold",
    samples=[((1, 2, 3, 3), dict(shape=(5,), **ROW)), ((2, 1, 6, 2, 4), dict(shape=(4, 5), **WIDE))],
    x=lambda g, x_shape, kernel, stride, dilation, padding: unfold(
        g, kernel=kernel, stride=stride, dilation=dilation, padding=padding, lengths=tuple(x_shape[3:])
    ),
)
def fold(x, *, shape, kernel, stride, dilation, padding):
    """Windows added into zeros (N, C, *shape), overlaps summed: the adjoint of unfold"""
    out = border(x, shape, padding)
    for k, tap in enumerate(taps(kernel, stride, dilation, tuple(x.shape[3:]))):
        out[tap] += x[:, :, k]
    return cropped(out, shape, padding)


# --- convolution -----------------------------------------------------------------------------------------------------


def parts(x, sizes):
    """Slices of the batch whose columns fit in a block."""
    step = max(1, BLOCK // max(1, sizes * x.itemsize))
    return [slice(i, i + step) for i in range(0, len(x), step)]


def grid_of(x_shape, kernel, stride, padding, lengths, filters):
    """How many windows `columns` makes along each axis: with stride 1 those that run over the ends of rows too, if they are few.

    They are thrown away afterwards, which takes a copy of the result: where filters are fewer than numbers in a window, that pays.
    """
    rows = tuple(n + a + b for n, (a, b) in zip(x_shape[2:], padding))[1:]
    pays = x_shape[1] * prod(kernel) > filters and prod(rows) <= 1.5 * prod(lengths[1:])
    return (*lengths[:1], *rows) if pays and max(stride) == 1 < max(kernel) else lengths


def columns(x, kernel, stride, dilation, padding, lengths, grid):
    """`unfold` for a product: where the window is a single place, the data itself; over whole rows, a tap is one piece of memory."""
    if max(kernel) == 1:
        (place,) = taps(kernel, stride, dilation, lengths)
        return padded(x, padding)[place]
    if grid == lengths:
        return unfold(x, kernel=kernel, stride=stride, dilation=dilation, padding=padding, lengths=lengths)
    (a, b), *others = padding
    flat = padded(x, ((a, b + 1), *others)).reshape((*x.shape[:2], -1))  # the last window runs into a row more
    length, step, starts = prod(grid), 1, [0]
    for size, d, n in zip(kernel[::-1], dilation[::-1], (*grid[:0:-1], 0)):
        starts = [k * d * step + start for k in range(size) for start in starts]
        step *= n
    out = np.empty_like(x, shape=(*x.shape[:2], len(starts), length))
    for k, start in enumerate(starts):
        out[:, :, k] = flat[:, :, start : start + length]
    return out


def mirrored(weight, groups):
    """The filters of the adjoint where the stride is 1: (O, C/groups, *K) → (C, O/groups, *K), each tap in the opposite place."""
    o, c, *kernel = weight.shape
    turned = weight.reshape((groups, o // groups, c, *kernel)).swapaxes(1, 2).reshape((groups * c, o // groups, *kernel))
    return np.ascontiguousarray(turned[(slice(None), slice(None), *(slice(None, None, -1) for _ in kernel))])


def mirrored_padding(shape, kernel, stride, dilation, padding, lengths):
    """The padding with which the adjoint is a convolution; None where it is none."""
    reach = [d * (k - 1) for k, d in zip(kernel, dilation)]
    outside = tuple((r - a, size + a - n) for r, (a, _), size, n in zip(reach, padding, shape, lengths))
    return outside if max(stride) == 1 and min(side for pair in outside for side in pair) >= 0 else None


def channel_sum(g):
    """Σ g over all axes but the channels."""
    if isinstance(g, Tensor):
        return g.sum(axis=(0, *range(2, g.ndim)))
    n, c = g.shape[:2]
    length = prod(g.shape[2:])
    return g.reshape((n * c, length)).dot(ones(length, g.dtype)).reshape((n, c)).sum(axis=0)


GROUPED = dict(stride=(2, 1), dilation=(1, 2), padding=((1, 0), (2, 1)), groups=2)
ROWS = dict(stride=(1, 1), dilation=(1, 2), padding=((1, 0), (2, 1)), groups=2)
SIMPLE = dict(stride=(1,), dilation=(1,), padding=((0, 0),), groups=1)


def convolution_rule_x(g, x_shape, weight, stride, dilation, padding, groups):
    """The adjoint: g spread over the windows that the result came from."""
    geometry = dict(stride=stride, dilation=dilation, padding=padding, groups=groups)
    return convolution_transpose(g, weight, shape=tuple(x_shape[2:]), **geometry)


def convolution_rule_weight(g, x, weight_shape, stride, dilation, padding, groups):
    """Σ g · window"""
    geometry = dict(stride=stride, dilation=dilation, padding=padding, groups=groups)
    return convolution_weight(g, x, kernel=tuple(weight_shape[2:]), **geometry)


@general(
    symbol="conv",
    samples=[((2, 2, 5), (3, 2, 3), (3,), SIMPLE), ((2, 4, 4, 5), (2, 2, 2, 3), (2,), GROUPED), ((2, 2, 2, 9), (2, 1, 2, 3), (2,), ROWS)],
    x=convolution_rule_x,
    weight=convolution_rule_weight,
    bias=channel_sum,
    refuse=alike,
)
def convolution(x, weight, bias=None, *, stride, dilation, padding, groups=1, lengths=None):
    """Σ weight · window + bias, shapes (N, C, *S), (O, C/groups, *K), (O) → (N, O, *L)"""
    kernel, n, o = tuple(weight.shape[2:]), len(x), len(weight)
    if lengths is None:
        lengths = lengths_of(x.shape[2:], kernel, stride, dilation, padding)
    grid = grid_of(x.shape, kernel, stride, padding, lengths, o)
    rows, length = weight.shape[1] * prod(kernel), prod(grid)
    filters = weight.reshape((groups, o // groups, rows))
    out = np.empty_like(x, shape=(n, o, *lengths))
    chosen = (slice(None), slice(None), *map(slice, lengths))
    for part in parts(x, groups * rows * length):
        windows = columns(x[part], kernel, stride, dilation, padding, lengths, grid)
        found = np.matmul(filters, windows.reshape((len(windows), groups, rows, length)))
        if bias is not None:
            found += bias.reshape((groups, o // groups, 1))
        out[part] = found.reshape((len(windows), o, *grid))[chosen]
    return out


def transpose_rule_x(g, x_shape, weight, stride, dilation, padding, groups):
    """The adjoint's adjoint: the convolution."""
    geometry = dict(stride=stride, dilation=dilation, padding=padding, groups=groups)
    return convolution(g, weight, lengths=tuple(x_shape[2:]), **geometry)


def transpose_rule_weight(g, x, weight_shape, stride, dilation, padding, groups):
    """Σ x · window of g"""
    geometry = dict(stride=stride, dilation=dilation, padding=padding, groups=groups)
    return convolution_weight(x, g, kernel=tuple(weight_shape[2:]), **geometry)


SPREADS = [
    ((2, 3, 3), (3, 2, 3), (2,), dict(shape=(5,), **SIMPLE)),
    ((1, 5, 3), (5, 2, 3), dict(shape=(5,), **SIMPLE)),
    ((2, 2, 2, 4), (2, 2, 2, 3), (4,), dict(shape=(4, 5), **GROUPED)),
    ((1, 2, 3), (2, 1, 2), dict(shape=(6,), stride=(1,), dilation=(2,), padding=((0, 0),))),
]


@general(symbol="convᵀ", samples=SPREADS, x=transpose_rule_x, weight=transpose_rule_weight, bias=channel_sum, refuse=alike)
def convolution_transpose(x, weight, bias=None, *, shape, stride, dilation, padding, groups=1):
    """x · weight spread over windows, + bias, shapes (N, O, *L), (O, C/groups, *K), (C) → (N, C, *shape): its adjoint"""
    kernel, n, o = tuple(weight.shape[2:]), len(x), len(weight)
    lengths = tuple(x.shape[2:])
    outside = mirrored_padding(shape, kernel, stride, dilation, padding, lengths)
    if outside and o <= 2 * weight.shape[1] * groups:  # reading columns is twice as fast as adding into an image
        return convolution(x, mirrored(weight, groups), bias, stride=stride, dilation=dilation, padding=outside, groups=groups)
    c, rows, length = weight.shape[1] * groups, weight.shape[1] * prod(kernel), prod(lengths)
    filters = weight.reshape((groups, o // groups, rows)).swapaxes(1, 2)
    x = x.reshape((n, groups, o // groups, length))
    out = np.empty_like(x, shape=(n, c, *shape))
    for part in parts(x, groups * rows * length):
        windows = np.matmul(filters, x[part])
        windows = windows.reshape((len(windows), c, prod(kernel), *lengths))
        out[part] = fold(windows, shape=shape, kernel=kernel, stride=stride, dilation=dilation, padding=padding)
    if bias is not None:
        out += bias.reshape((c,) + (1,) * len(shape))
    return out


def weight_rule_g(upstream, x, g_shape, stride, dilation, padding, groups):
    """The convolution with the weight's gradient as filters."""
    geometry = dict(stride=stride, dilation=dilation, padding=padding, groups=groups)
    return convolution(x, upstream, lengths=tuple(g_shape[2:]), **geometry)


def weight_rule_x(upstream, g, x_shape, stride, dilation, padding, groups):
    """Its adjoint."""
    geometry = dict(stride=stride, dilation=dilation, padding=padding, groups=groups)
    return convolution_transpose(g, upstream, shape=tuple(x_shape[2:]), **geometry)


FILTERS = [((2, 3, 3), (2, 2, 5), dict(kernel=(3,), **SIMPLE)), ((2, 2, 2, 4), (2, 4, 4, 5), dict(kernel=(2, 3), **GROUPED)),
           ((2, 2, 2, 8), (2, 2, 2, 9), dict(kernel=(2, 3), **ROWS))]  # fmt: skip


@general(symbol="conv filter", samples=FILTERS, g=weight_rule_g, x=weight_rule_x)
def convolution_weight(g, x, *, kernel, stride, dilation, padding, groups=1):
    """Σ g · window over windows and batch, shapes (N, O, *L), (N, C, *S) → (O, C/groups, *K): convolution's weight gradient"""
    n, o = g.shape[:2]
    lengths = tuple(g.shape[2:])
    grid = grid_of(x.shape, kernel, stride, padding, lengths, o)
    channels = x.shape[1] // groups
    rows, length = channels * prod(kernel), prod(grid)
    beyond = tuple((0, m - k) for k, m in zip(lengths, grid))  # where windows run over the ends of rows, nothing counts
    out = np.zeros_like(x, shape=(groups, rows, o // groups))
    for part in parts(x, groups * rows * length):
        windows = columns(x[part], kernel, stride, dilation, padding, lengths, grid)
        windows = windows.reshape((len(windows), groups, rows, length))
        slopes = padded(g[part], beyond).reshape((len(windows), groups, o // groups, length))
        out += np.matmul(windows, slopes.swapaxes(2, 3)).sum(axis=0)
    return out.swapaxes(1, 2).reshape((o, channels, *kernel))


# --- pooling ---------------------------------------------------------------------------------------------------------


def combined(ufunc, x, kernel, stride, dilation, lengths):
    """The elements of each window combined by a ufunc, one axis after the other."""
    lead = x.ndim - len(kernel)
    for axis, (size, s, d, n) in enumerate(zip(kernel, stride, dilation, lengths)):
        before = (slice(None),) * (lead + axis)
        slices = [(*before, tap[1]) for tap in taps((size,), (s,), (d,), (n,))]
        if size == 1:
            x = x[slices[0]]
            continue
        out = ufunc(x[slices[0]], x[slices[1]])
        for tap in slices[2:]:
            ufunc(out, x[tap], out=out)
        x = out
    return x


def lowest(dtype):
    """The number that no maximum chooses."""
    return -np.inf if dtype.kind == "f" else np.iinfo(dtype).min


def first_largest(x, out, kernel, stride, dilation, padding):
    """(K, *shape of out), booleans: True at the tap where each window has its largest element, the first one if several."""
    border = padded(x, padding, lowest(x.dtype))
    places = taps(kernel, stride, dilation, tuple(out.shape[-len(kernel) :]))
    chosen = np.empty((len(places), *out.shape), bool)
    strange = not (out > lowest(x.dtype)).all()
    real = padded(np.ones(x.shape[-len(kernel) :], bool), padding) if strange else None
    chosen[-1] = True  # what remains to be chosen, until the last place takes it
    for k, tap in enumerate(places[:-1]):
        hit = np.equal(border[tap], out, out=chosen[k])
        if strange:  # NaN counts as the largest; the border does not count where all data is as low
            hit |= np.isnan(border[tap])
            hit &= real[tap]
        hit &= chosen[-1]
        chosen[-1] ^= hit
    return chosen


def chooser(x):
    """A function of x and of where it counts: x there, else 0. A product is several times faster than a choice, but ∞ · 0 is not 0."""
    return np.multiply if np.isfinite(x).all() else chosen_ones


def chosen_ones(x, hit, out=None):
    """x where hit holds, else 0"""
    return np.where(hit, x, 0) if out is None else np.copyto(out, np.where(hit, x, 0))


def max_pool_rule(g, x, out, kernel, stride, dilation, padding):
    """Each window gives its gradient to its largest element, the first one if several are equal."""
    chosen = first_largest(array_of(x), array_of(out), kernel, stride, dilation, padding)
    geometry = dict(kernel=kernel, stride=stride, dilation=dilation, padding=padding)
    return chosen_by(pool_place(g, chosen=chosen, shape=tuple(x.shape[2:]), **geometry), x)


POOL = dict(kernel=(2, 2), stride=(2, 2), dilation=(1, 1), padding=((0, 0), (0, 0)))
OVERLAP = dict(kernel=(3,), stride=(1,), dilation=(2,), padding=((1, 2),))


PADDED = dict(kernel=(3,), stride=(3,), dilation=(1,), padding=((1, 1),))


@general(symbol="max pool", samples=[((2, 1, 4, 5), POOL), ((1, 2, 6), OVERLAP), ((1, 2, 6), PADDED)], x=max_pool_rule)
def max_pool(x, *, kernel, stride, dilation, padding):
    """max of each window, shapes (N, C, *S) → (N, C, *L)"""
    lengths = lengths_of(x.shape[2:], kernel, stride, dilation, padding)
    out = combined(np.maximum, padded(x, padding, lowest(x.dtype)), kernel, stride, dilation, lengths)
    return out.copy() if prod(kernel) == 1 else out


CHOSEN = np.arange(16).reshape(4, 2, 1, 2, 1) % 3 == 0
CHOSEN_ROW = np.arange(15).reshape(3, 1, 1, 5) % 2 == 0


@linear(
    symbol="place",
    samples=[
        ((2, 1, 2, 1), dict(chosen=CHOSEN, shape=(4, 3), **POOL)),
        ((1, 1, 5), dict(chosen=CHOSEN_ROW, shape=(6,), **OVERLAP)),
    ],
    x=lambda g, chosen, kernel, stride, dilation, padding: pool_pick(
        g, chosen=chosen, kernel=kernel, stride=stride, dilation=dilation, padding=padding
    ),
)
def pool_place(x, *, chosen, shape, kernel, stride, dilation, padding):
    """Zeros with x added at each window's chosen place: the adjoint of pool_pick"""
    overlap = any(d * (k - 1) >= s for k, s, d in zip(kernel, stride, dilation))
    out, only = border(x, shape, padding), chooser(x)
    for hit, tap in zip(chosen, taps(kernel, stride, dilation, tuple(x.shape[2:]))):
        if overlap:
            out[tap] += only(x, hit)
        else:
            only(x, hit, out[tap])
    return cropped(out, shape, padding)


@linear(
    symbol="pick",
    samples=[((2, 1, 4, 3), dict(chosen=CHOSEN, **POOL)), ((1, 1, 6), dict(chosen=CHOSEN_ROW, **OVERLAP))],
    x=lambda g, x_shape, chosen, kernel, stride, dilation, padding: pool_place(
        g, chosen=chosen, shape=tuple(x_shape[2:]), kernel=kernel, stride=stride, dilation=dilation, padding=padding
    ),
)
def pool_pick(x, *, chosen, kernel, stride, dilation, padding):
    """The elements of x at each window's chosen place"""
    x = padded(x, padding)
    out, only = np.zeros_like(x, shape=chosen.shape[1:]), chooser(x)
    for hit, tap in zip(chosen, taps(kernel, stride, dilation, tuple(out.shape[2:]))):
        out += only(x[tap], hit)
    return out


def share(x, divisor):
    """x / divisor, in x's type."""
    return x / (divisor if isinstance(divisor, (int, float)) else divisor.astype(x.dtype))


HALVES = dict(kernel=(3, 2), stride=(1, 2), padding=((1, 0), (0, 1)), divisor=np.array([[4, 2], [6, 3], [6, 3]]))


@linear(
    symbol="avg pool",
    samples=[((2, 1, 4, 3), dict(kernel=(2, 2), stride=(2, 1), padding=((0, 0), (0, 0)), divisor=4)), ((1, 2, 4, 3), HALVES)],
    x=lambda g, x_shape, kernel, stride, padding, divisor: pool_spread(
        g, shape=tuple(x_shape[2:]), kernel=kernel, stride=stride, padding=padding, divisor=divisor
    ),
)
def avg_pool(x, *, kernel, stride, padding, divisor):
    """Σ of each window / divisor, shapes (N, C, *S) → (N, C, *L)"""
    once = (1,) * len(kernel)
    lengths = lengths_of(x.shape[2:], kernel, stride, once, padding)
    return share(combined(np.add, padded(x, padding), kernel, stride, once, lengths), divisor)


@linear(
    symbol="spread",
    samples=[
        ((2, 1, 2, 2), dict(shape=(4, 3), kernel=(2, 2), stride=(2, 1), padding=((0, 0), (0, 0)), divisor=4)),
        ((1, 2, 3, 2), dict(shape=(4, 3), **HALVES)),
    ],
    x=lambda g, kernel, stride, padding, divisor: avg_pool(g, kernel=kernel, stride=stride, padding=padding, divisor=divisor),
)
def pool_spread(x, *, shape, kernel, stride, padding, divisor):
    """x / divisor added to every element of its window: the adjoint of avg_pool"""
    x = share(x, divisor)
    out = border(x, shape, padding)
    overlap = any(k > s for k, s in zip(kernel, stride))
    for tap in taps(kernel, stride, (1,) * len(kernel), tuple(x.shape[2:])):
        if overlap:
            out[tap] += x
        else:
            out[tap] = x
    return cropped(out, shape, padding)


# --- resampling along one axis ---------------------------------------------------------------------------------------

PLACES = np.array([[0, 1], [2, 2], [1, 0]])
SHARES = np.array([[0.25, 0.75], [1.0, 0.0], [0.5, 0.5]])


def spreading(places, shares, size, dtype):
    """The matrix (out, size) of a resampling along one axis."""
    matrix = np.zeros((len(places), size), dtype)
    np.add.at(matrix, (np.arange(len(places))[:, None], places), 1 if shares is None else shares)
    return matrix


@linear(
    symbol="resample",
    samples=[((2, 3), dict(axis=1, places=PLACES, shares=SHARES)), ((3, 2), dict(axis=0, places=PLACES[:, :1], shares=None))],
    x=lambda g, x_shape, axis, places, shares: resample_back(g, axis=axis, places=places, shares=shares, size=x_shape[axis]),
)
def resample(x, *, axis, places, shares):
    """Σₖ x[places[:, k]] · shares[:, k] along axis"""
    if shares is None:
        return x.take(places[:, 0], axis=axis)
    column = (len(shares),) + (1,) * (x.ndim - 1 - axis % x.ndim)
    shares = shares.astype(x.dtype, copy=False)
    out = x.take(places[:, 0], axis=axis) * shares[:, 0].reshape(column)
    for k in range(1, places.shape[1]):
        out += x.take(places[:, k], axis=axis) * shares[:, k].reshape(column)
    return out


@linear(
    symbol="resampleᵀ",
    samples=[
        ((2, 3), dict(axis=1, places=PLACES, shares=SHARES, size=3)),
        ((3, 2), dict(axis=0, places=PLACES[:, :1], shares=None, size=3)),
    ],
    x=lambda g, axis, places, shares: resample(g, axis=axis, places=places, shares=shares),
)
def resample_back(x, *, axis, places, shares, size):
    """Zeros of `size` along axis with x · shares added at places: the adjoint of resample"""
    matrix = spreading(places, shares, size, x.dtype)
    return np.moveaxis(np.moveaxis(x, axis, -1) @ matrix, -1, axis)
