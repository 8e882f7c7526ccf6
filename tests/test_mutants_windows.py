"""Windows, shapes, indices and sequences against loops written for these tests, over tables of options; new memory is full of NaN.

Each test here was written for mutants of tests/mutation/run.py that everything else let live.
"""

import itertools

import numpy as np
import pytest

import tinygrad_edu as tg
from tinygrad_edu.autograd import engine
from tinygrad_edu.autograd.operator import registry
from tinygrad_edu.ops import windows
from tinygrad_edu.viz import formula

RNG = np.random.default_rng(11)


def normal(*shape):
    return RNG.normal(size=shape)


def forward(name, *arrays, **params):
    """An operator's numbers, computed from arrays."""
    return registry[name].forward(*arrays, **params)


def gradients(name, *arrays, upstream, **params):
    """The gradients of all inputs, once as numbers and once as tensors that can be differentiated again; both must agree."""
    found = []
    for create_graph in (False, True):
        xs = [tg.tensor(a, requires_grad=True) for a in arrays]
        out = registry[name].function(*xs, **params)
        g = tg.tensor(upstream, requires_grad=create_graph)
        found.append([x.detach().numpy() for x in engine.grad(out, xs, g, create_graph=create_graph)])
    for plain, differentiable in zip(*found):
        np.testing.assert_allclose(plain, differentiable, 1e-12, 1e-12)
    return found[0]


def close(found, expected):
    assert found.shape == expected.shape and found.dtype == expected.dtype, (found.shape, expected.shape, found.dtype, expected.dtype)
    np.testing.assert_allclose(found, expected, 1e-6 if found.dtype == np.float32 else 1e-12, 1e-6 if found.dtype == np.float32 else 1e-12)


@pytest.fixture(autouse=True)
def new_memory_is_full_of_nan(monkeypatch):
    """What an operator reads must have been written before."""
    for name in ("empty", "empty_like"):
        original = getattr(np, name)

        def filled(*args, original=original, **kwargs):
            out = original(*args, **kwargs)
            if type(out) is np.ndarray and out.dtype.kind in "fib":
                out.fill(np.nan if out.dtype.kind == "f" else 1)
            return out

        monkeypatch.setattr(np, name, filled)


# --- windows -----------------------------------------------------------------------------------------------------------------


def meetings(sizes, kernel, stride, dilation, padding, lengths=None):
    """(window, tap, place) for all that meet: the tap's number in the window, and the place in the data or None in the border."""
    if lengths is None:
        lengths = []
        for n, k, s, d, (a, b) in zip(sizes, kernel, stride, dilation, padding):
            lengths.append(sum(start + d * (k - 1) < n + a + b for start in range(0, n + a + b, s)))
    found = []
    for window in np.ndindex(*lengths):
        for number, tap in enumerate(np.ndindex(*kernel)):
            place = tuple(i * s + t * d - a for i, t, s, d, (a, _) in zip(window, tap, stride, dilation, padding))
            found.append((window, number, tap, place if all(0 <= p < n for p, n in zip(place, sizes)) else None))
    return tuple(lengths), found


def geometry(sizes, kernel, stride=1, dilation=1, padding=0):
    """(sizes, parameters) with one entry per axis; a padding may be a number, or one pair per axis."""
    n = len(sizes)
    several = [v if isinstance(v, tuple) else (v,) * n for v in (stride, dilation, padding)]
    several[2] = tuple(p if isinstance(p, tuple) else (p, p) for p in several[2])
    return sizes, dict(kernel=kernel, stride=several[0], dilation=several[1], padding=several[2])


GEOMETRIES = [
    geometry((5,), (3,)), geometry((6,), (2,), 2), geometry((7,), (2,), 3), geometry((5,), (1,)), geometry((5,), (1,), 2, 3, ((1, 0),)), geometry((5,), (1,), padding=1),
    geometry((3,), (3,)), geometry((1,), (3,), padding=((2, 0),)), geometry((1,), (3,), padding=((0, 2),)), geometry((1,), (3,), padding=((2, 2),)),
    geometry((4,), (1,), padding=((1, 0),)), geometry((4,), (1,), padding=((0, 1),)), geometry((4,), (2,), padding=((0, 2),)), geometry((4,), (2,), padding=((2, 0),)),
    geometry((4,), (2,), 2, padding=((1, 0),)), geometry((4,), (2,), 2, padding=((0, 1),)), geometry((6,), (3,), 2), geometry((4,), (2,), 2, 2), geometry((6,), (2,), 2, 2),
    geometry((6,), (2,), 3), geometry((6,), (2,), 1, 4, ((1, 0),)), geometry((5,), (2,), 2), geometry((7, 5), (3, 2), (3, 2)), geometry((2,), (3,)), geometry((1,), (5,), 2), geometry((0,), (2,), padding=((1, 1),)),
    geometry((4, 5), (2, 3)), geometry((4, 6), (2, 3), (2, 3)), geometry((4, 5), (1, 2), (2, 1)), geometry((5, 4), (3, 1), (1, 2), padding=((0, 0), (1, 1))),
    geometry((4, 4), (2, 2), (1, 2)), geometry((4, 4), (2, 2), (2, 1)), geometry((4, 5), (2, 2), padding=((0, 0), (0, 1))), geometry((5, 6), (2, 2), (2, 2), (1, 2), ((1, 0), (0, 1))),
    geometry((3, 3), (1, 1), (2, 1)), geometry((3, 4), (1, 1)), geometry((3, 3), (4, 1)), geometry((3, 4), (3, 3), padding=((2, 1), (0, 2))),
    geometry((3, 2, 4), (2, 1, 3), (1, 1, 2), (1, 1, 1), ((1, 0), (0, 0), (0, 1))), geometry((2, 4, 2), (1, 2, 1), (1, 2, 1)), geometry((4, 4, 4), (2, 2, 2), 2),
    geometry((2, 5, 6), (2, 2, 2)), geometry((3, 4, 3), (2, 1, 2), padding=((0, 1), (0, 0), (1, 1))), geometry((5, 6), (2, 3), (2, 1)), geometry((3, 1), (1, 3)), geometry((2, 1, 9), (1, 3, 1)), geometry((3, 0), (2, 1)),
]  # fmt: skip
NAMED = [pytest.param(*case, id=f"{case[0]}, {', '.join(f'{k} {v}' for k, v in case[1].items())}") for case in GEOMETRIES]


@pytest.mark.parametrize("sizes, window", NAMED)
def test_unfold_and_fold(sizes, window):
    lengths, met = meetings(sizes, **window)
    x = normal(2, 3, *sizes)
    expected = np.zeros((2, 3, int(np.prod(window["kernel"])), *lengths))
    back = np.zeros(x.shape)
    g = normal(*expected.shape)
    for at, number, _, place in met:
        if place is not None:
            expected[(..., number, *at)] = x[(..., *place)]
            back[(..., *place)] += g[(..., number, *at)]
    close(forward("unfold", x, **window), expected)
    close(forward("fold", g, shape=sizes, **window), back)


def naive_convolution(x, weight, bias, g, groups, window, lengths):
    """(value, gradient of x, of weight, of bias) of a convolution, number by number."""
    lengths, met = meetings(x.shape[2:], weight.shape[2:], window["stride"], window["dilation"], window["padding"], lengths)
    o, c = weight.shape[:2]
    out = np.zeros((len(x), o, *lengths))
    g = normal(*out.shape) if g is None else g
    slopes = np.zeros_like(x), np.zeros_like(weight), np.zeros(o)
    for at, _, tap, place in met:
        if place is None:
            continue
        for k in range(o):
            first = k // (o // groups) * c
            for i in range(c):
                one, factor = x[(slice(None), first + i, *place)], weight[(k, i, *tap)]
                out[(slice(None), k, *at)] += one * factor
                slopes[0][(slice(None), first + i, *place)] += g[(slice(None), k, *at)] * factor
                slopes[1][(k, i, *tap)] += (g[(slice(None), k, *at)] * one).sum()
    slopes[2][:] = g.swapaxes(0, 1).reshape(o, -1).sum(axis=1)
    return out + bias.reshape(o, *(1 for _ in lengths)), g, slopes


CHANNELS = [(2, 3, 1, 2), (4, 6, 2, 2), (4, 2, 2, 1), (2, 4, 2, 3), (6, 6, 3, 1), (1, 4, 1, 0)]  # of the input, of the result; groups; images
CONVOLUTIONS = [(*case, *CHANNELS[(k + shift) % len(CHANNELS)]) for k, case in enumerate(GEOMETRIES) for shift in (0, 1)]


@pytest.mark.parametrize("k", range(0, len(CONVOLUTIONS), 6))
def test_convolutions_and_their_adjoints(k, monkeypatch):
    for n, (sizes, window, c, o, groups, images) in enumerate(CONVOLUTIONS[k : k + 6]):
        monkeypatch.setattr(windows, "BLOCK", 1 if n % 2 else 2**19)  # each image alone, or all at once
        kernel = window["kernel"]
        rest = dict(stride=window["stride"], dilation=window["dilation"], padding=window["padding"], groups=groups)
        x, weight, bias = normal(images, c, *sizes), normal(o, c // groups, *kernel), normal(o)
        out, g, slopes = naive_convolution(x, weight, bias, None, groups, rest, None)
        close(forward("convolution", x, weight, bias, **rest), out)
        close(forward("convolution", x, weight, **rest), out - bias.reshape(o, *(1 for _ in sizes)))
        close(forward("convolution", *(np.float32(a) for a in (x, weight, bias)), **rest), np.float32(out))
        close(forward("convolution_weight", g, x, kernel=kernel, **rest), slopes[1])
        other = normal(c)
        close(forward("convolution_transpose", g, weight, other, shape=sizes, **rest), slopes[0] + other.reshape(c, *(1 for _ in sizes)))
        close(forward("convolution_transpose", g, weight, shape=sizes, **rest), slopes[0])
        for found, expected in zip(gradients("convolution", x, weight, bias, upstream=g, **rest), slopes):
            close(found, expected)
        close(gradients("convolution_transpose", g, weight, other, upstream=x, shape=sizes, **rest)[2], x.swapaxes(0, 1).reshape(c, -1).sum(axis=1))


def test_fewer_windows_than_would_fit():
    """A transposed convolution may have an output that a convolution would find more windows in: they count for nothing."""
    for sizes, lengths, kernel, stride, dilation in [((6,), (3,), (2,), (1,), (2,)), ((4, 5), (3, 2), (2, 2), (1, 1), (1, 2)), ((9,), (3,), (1,), (1,), (3,)), ((9, 4), (3, 2), (1, 1), (2, 1), (9, 9)), ((9, 4), (3, 3), (1, 1), (1, 1), (1, 1))]:
        window = dict(stride=stride, dilation=dilation, padding=((0, 0),) * len(sizes), groups=1)
        c = 2 if len(lengths) == 1 else 5  # more of them than filters, and fewer
        y, weight, x = normal(2, 3, *lengths), normal(3, c, *kernel), normal(2, c, *sizes)
        out, _, slopes = naive_convolution(x, weight, np.zeros(3), y, 1, window, lengths)
        close(forward("convolution_transpose", y, weight, shape=sizes, **window), slopes[0])
        found = gradients("convolution_transpose", y, weight, upstream=x, shape=sizes, **window)
        close(found[0], out)
        close(found[1], slopes[1])
        close(gradients("convolution_weight", y, x, upstream=weight, kernel=kernel, **window)[0], out)


def test_whole_numbers_are_convolved_too():
    x, weight = np.arange(10).reshape(1, 2, 5) % 7 - 3, np.arange(12).reshape(3, 2, 2) % 5 - 2
    found = forward("convolution", x, weight, np.array([1, 2, 3]), stride=(1,), dilation=(2,), padding=((1, 0),))
    assert found.dtype == np.int64
    window = dict(stride=(1,), dilation=(2,), padding=((1, 0),))
    assert np.array_equal(found, naive_convolution(x * 1.0, weight * 1.0, np.array([1.0, 2, 3]), None, 1, window, None)[0])


def naive_maximum(x, window, lengths, met):
    """(maxima, places): of equal ones the first counts, NaN is larger than all, and the border is never chosen."""
    shape = (*x.shape[:2], *lengths)
    out, places = np.zeros(shape, x.dtype), np.zeros(shape, object)
    for n, c in np.ndindex(*x.shape[:2]):
        best = {}
        for at, _, _, place in met:
            if place is not None:
                value = x[(n, c, *place)]
                if at not in best or value > best[at][0] or value != value and best[at][0] == best[at][0]:
                    best[at] = value, place
        for at, (value, place) in best.items():
            out[(n, c, *at)], places[(n, c, *at)] = value, place
    return out, places


def some_inside(sizes, window):
    """True if each window has a place in the data."""
    lengths, met = meetings(sizes, **window)
    return len({at for at, _, _, place in met if place is not None}) == np.prod(lengths) > 0


POOLED = [case for case in GEOMETRIES if some_inside(*case)]
VALUES = {
    "distinct": lambda shape: RNG.permutation(int(np.prod(shape))).reshape(shape) - 1e3,
    "equal": lambda shape: RNG.integers(-3, -1, shape) * 1.0,
    "not a number": lambda shape: np.where(RNG.random(shape) < 0.3, np.nan, RNG.integers(1, 4, shape)),
    "infinite": lambda shape: RNG.choice([-np.inf, -np.inf, np.inf, 1.0, np.nan], shape),
    "lowest": lambda shape: np.full(shape, -np.inf),
    "float32": lambda shape: np.float32(RNG.permutation(int(np.prod(shape))).reshape(shape)),
    "one strange number": lambda shape: np.where(np.arange(np.prod(shape)).reshape(shape) == np.prod(shape) // 2, np.nan, RNG.integers(-5, -2, shape)),
}


@pytest.mark.parametrize("values", VALUES)
def test_maxima_of_windows(values):
    for sizes, window in POOLED:
        x = VALUES[values]((2, 2, *sizes))
        lengths, met = meetings(sizes, **window)
        expected, places = naive_maximum(x, window, lengths, met)
        found = forward("max_pool", x, **window)
        assert found.dtype == x.dtype and np.array_equal(found, expected, equal_nan=True) and not np.shares_memory(found, x)
        g, back = normal(*expected.shape).astype(x.dtype), np.zeros_like(x)
        for at in np.ndindex(*g.shape):
            back[(*at[:2], *places[at])] += g[at]
        close(gradients("max_pool", x, upstream=g, **window)[0], back)
        chosen = windows.first_largest(x, found, **window)
        assert np.array_equal(chosen.sum(axis=0), np.ones(found.shape))
        close(forward("pool_pick", np.where(np.isfinite(x), x, 7).astype(x.dtype), chosen=chosen, **window), np.where(np.isfinite(expected), expected, 7).astype(x.dtype))
        with np.errstate(invalid="ignore"):
            close(forward("pool_pick", x, chosen=chosen, **window), expected)
            g.flat[:: max(2, g.size // 3)], back = RNG.choice([np.inf, -np.inf, np.nan]), np.zeros_like(x)
            for at in np.ndindex(*g.shape):
                back[(*at[:2], *places[at])] += g[at]
            close(forward("pool_place", g, chosen=chosen, shape=sizes, **window), back)


@pytest.mark.parametrize("dtype", [np.int64, np.int8, np.uint8])
def test_maxima_of_whole_numbers(dtype):
    for sizes, window in POOLED:
        x = (RNG.permutation(2 * int(np.prod(sizes))).reshape((1, 2, *sizes)) - (0 if dtype is np.uint8 else 200)).astype(dtype)
        if dtype is np.int8:
            x = np.full(x.shape, -128, dtype)
        lengths, met = meetings(sizes, **window)
        expected, places = naive_maximum(x, window, lengths, met)
        found = forward("max_pool", x, **window)
        assert found.dtype == dtype and np.array_equal(found, expected)
        chosen = windows.first_largest(x, found, **window)  # the border is as low as the data may be, and not chosen
        for at in np.ndindex(*found.shape):
            taps = [number for window_at, number, _, place in met if window_at == at[2:] and place == places[at]]
            assert taps == np.flatnonzero(chosen[(slice(None), *at)]).tolist()


def test_means_of_windows():
    """Sums of windows over a divisor, which may differ from window to window, and what they pass back."""
    for sizes, window in GEOMETRIES:
        if max(window["dilation"]) > 1:
            continue
        lengths, met = meetings(sizes, **window)
        options = {key: window[key] for key in ("kernel", "stride", "padding")}
        x = normal(2, 3, *sizes)
        for divisor in (4, 0.5, np.arange(1, np.prod(lengths) + 1).reshape(lengths)):
            out, back = np.zeros((2, 3, *lengths)), np.zeros(x.shape)
            g = normal(*out.shape)
            for at, _, _, place in met:
                if place is not None:
                    by = divisor[at] if isinstance(divisor, np.ndarray) else divisor
                    out[(..., *at)] += x[(..., *place)] / by
                    back[(..., *place)] += g[(..., *at)] / by
            close(forward("avg_pool", x, divisor=divisor, **options), out)
            close(forward("avg_pool", np.float32(x), divisor=divisor, **options), np.float32(out))
            close(forward("pool_spread", g, shape=sizes, divisor=divisor, **options), back)


def test_resampling():
    places, shares = np.array([[0, 2, 1], [3, 3, 0], [1, 2, 2], [0, 0, 3]]), normal(4, 3)
    for axis, count, weighed, dtype in itertools.product((0, 1, -1), (1, 3), (False, True), (np.float32, np.float64)):
        if not weighed and count > 1:
            continue
        shape = [2, 3, 5]
        shape[axis] = 4
        x = normal(*shape).astype(dtype)
        matrix = np.zeros((4, 4))
        for i, k in np.ndindex(4, count):
            matrix[i, places[i, k]] += shares[i, k] if weighed else 1
        given = dict(axis=axis, places=places[:, :count], shares=shares[:, :count] if weighed else None)
        close(forward("resample", x, **given), np.moveaxis(np.moveaxis(x, axis, -1) @ matrix.T.astype(dtype), -1, axis))
        close(forward("resample_back", x, size=4, **given), np.moveaxis(np.moveaxis(x, axis, -1) @ matrix.astype(dtype), -1, axis))


# --- shapes ------------------------------------------------------------------------------------------------------------------


def test_axes_in_another_order():
    x = normal(2, 3, 4)
    for axes in itertools.permutations(range(3)):
        for shown in itertools.product(*((a, a - 3) for a in axes)):
            found = forward("permute", x, axes=shown)
            assert found.shape == tuple(x.shape[a] for a in axes)
            for at in np.ndindex(*x.shape):
                assert found[tuple(at[a] for a in axes)] == x[at]
            assert np.array_equal(gradients("permute", x, upstream=found, axes=shown)[0], x)
    for source, destination in itertools.product(range(-3, 3), repeat=2):
        order = [a for a in range(3) if a != source % 3]
        order.insert(destination % 3, source % 3)
        found = forward("moveaxis", x, source=source, destination=destination)
        assert np.array_equal(found, x.transpose(order))
        assert np.array_equal(gradients("moveaxis", x, upstream=found, source=source, destination=destination)[0], x)


def test_copies_side_by_side():
    for shape, repeats in [((2, 3, 2), (2,)), ((2, 3, 2), (3, 1)), ((2, 3), (2, 2)), ((2,), (3, 1, 2)), ((), (2, 3)), ((3,), ()), ((2, 3), (0, 1)), ((2, 1), [1, 4])]:
        x = normal(*shape)
        out = forward("tile", x, repeats=repeats)
        g, expected = normal(*out.shape), np.zeros(shape)
        for at in np.ndindex(*out.shape):
            source = tuple(i % n for i, n in zip(at[len(at) - len(shape) :], shape))
            assert out[at] == x[source]
            expected[source] += g[at]
        close(gradients("tile", x, upstream=g, repeats=repeats)[0], expected)


def test_borders():
    x = normal(3, 4)
    for a, b, c, d in [*itertools.product((-1, 0, 2), (-1, 0, 1), (-2, 1), (-2, 1)), (0, 0, 0, 0), (0, 0, 3, 0)]:
        for value in (0, 7.0):
            out = forward("pad_constant", x, widths=((a, b), (c, d)), value=value)
            assert out.shape == (3 + a + b, 4 + c + d)
            g, expected = normal(*out.shape), np.zeros(x.shape)
            for i, j in np.ndindex(*out.shape):
                inside = 0 <= i - a < 3 and 0 <= j - c < 4
                assert out[i, j] == (x[i - a, j - c] if inside else value)
                if inside:
                    expected[i - a, j - c] = g[i, j]
            close(gradients("pad_constant", x, upstream=g, widths=((a, b), (c, d)), value=value)[0], expected)


AXES = [None, (), 0, -1, (0,), [1], (0, 1), [-1, 0], (-2,)]
SHIFTS = [(0, None), (2, None), (-5, None), (7, None), (1, 0), (-1, 1), (4, -1), (-9, -2), ((1, -2), (1, 0)), ((0, 5), (0, -1)), ((1, 1), (1, 1)), ((2,), (-1,))]


@pytest.mark.parametrize("shape", [(3, 4), (1, 2), (0, 3), (2, 3, 2)])
def test_turning_and_rolling_as_numpy_does(shape):
    """Spelled with slices, which is faster; also in memory of other orders, and of other kinds of numbers."""
    for x in (normal(*shape), np.arange(np.prod(shape)).reshape(shape[::-1]).T, np.ones(shape, bool)):
        for axes in AXES:
            found, expected = forward("flip", x, axes=axes), np.flip(x, axes if axes is None or isinstance(axes, int) else tuple(axes))
            assert found.dtype == x.dtype and np.array_equal(found, expected) and not np.shares_memory(found, x)
        for shifts, axes in SHIFTS:
            found = forward("roll", x, shifts=shifts, axes=axes)
            assert found.dtype == x.dtype and np.array_equal(found, np.roll(x, shifts, axes)), (shifts, axes)
        for axis in range(-x.ndim - 1, x.ndim + 1):
            assert np.array_equal(forward("stack", x, x, x[::-1], axis=axis), np.stack([x, x, x[::-1]], axis=axis))
            assert np.array_equal(forward("unsqueeze", x, axis=axis), np.expand_dims(x, axis))
    assert forward("flip", np.array([1.0, 2, 3]), axes=None).tolist() == [3, 2, 1] and forward("roll", np.array([1.0, 2, 3]), shifts=1).tolist() == [3, 1, 2]


def test_borders_of_other_numbers():
    for dtype in (np.int8, np.float32, bool):
        found = forward("pad_constant", np.ones((2, 2), dtype), widths=((0, 1), (-1, 1)), value=0)
        assert found.dtype == dtype and found.tolist() == [[1, 0], [1, 0], [0, 0]]
    assert forward("pad_constant", np.ones(()), widths=()).tolist() == 1


def test_a_diagonal_is_a_view_that_can_be_written_where_its_tensor_can():
    x = tg.zeros(2, 3)
    x.diagonal().fill_(5)
    x.diagonal(1).add_(2)
    assert x.tolist() == [[5, 2, 0], [0, 5, 2]]
    frozen = np.zeros((3, 3))
    frozen.flags.writeable = False
    assert not forward("diagonal", frozen).flags.writeable
    assert tg.ones(1, 1).expand(2, 2).diagonal().tolist() == [1, 1]


def test_strided_views():
    for shape, size, stride, offset in [((2, 4), (2, 3), (3, 1), 1), ((3, 5), (2, 2, 3), (1, 5, 2), 0), ((8,), (3, 2), (2, 2), 1), ((2, 3), (), (), 4), ((6,), (2, 3), (0, 1), 2)]:
        x = normal(*shape)
        out = forward("as_strided", x, size=size, stride=stride, offset=offset)
        g, expected = normal(*size), np.zeros(x.size)
        for at in np.ndindex(*size):
            place = offset + sum(i * s for i, s in zip(at, stride))
            assert out[at] == x.flat[place]
            expected[place] += g[at]
        close(gradients("as_strided", x, upstream=g, size=size, stride=stride, offset=offset)[0], expected.reshape(shape))


# --- indices -----------------------------------------------------------------------------------------------------------------

MANY = np.array([0, -1, 5, 3, -3, 5, 0, -6, 2, 1, 4, -2, -5, 0, 5, -1, 3, 2, 2, 4])  # rows of 6, the same one from both ends
INDICES = [
    ((6, 2), (MANY,)), ((6, 2), (MANY.reshape(10, 2),)), ((6, 2), (np.stack([MANY, MANY]),)), ((6,), (MANY,)), ((6, 1, 2), (MANY,)), ((6, 6), (MANY, MANY[::-1].copy())), ((6, 2), (MANY[:16],)),
    ((6, 2), (MANY[:17],)), ((6, 0), (MANY,)), ((6, 2), (np.zeros((20, 3), int),)), ((3, 2), (True,)), ((3, 2), (False,)), ((3, 2), (np.array(True),)), ((), (True,)), ((2, 3), (np.array([[True, False, True], [False, True, True]]),)),
    ((2, 3), (np.array([False, True]), np.array([0, 0]))), ((2, 3), (np.array([False, True]),)), ((4,), (None, slice(None, None, -2))), ((3, 2), (Ellipsis, 0)), ((3, 2), (slice(None), MANY[:2] % 2)),
    ((2, 3), (np.array([True, True]), np.array([2, 2]))), ((2, 3), (np.array([True, False]), slice(0, 2))),
]  # fmt: skip


@pytest.mark.parametrize("k", range(len(INDICES)))
def test_picking_and_its_gradient(k):
    shape, index = INDICES[k]
    x = normal(*shape)
    places = np.arange(x.size).reshape(shape)[index]
    out = forward("getitem", x, index=index)
    g, expected = normal(*out.shape), np.zeros(x.size)
    for place, part in zip(places.reshape(-1), g.reshape(-1)):
        expected[place] += part
    close(forward("scatter", g, index=index, shape=shape), expected.reshape(shape))
    close(gradients("getitem", x, upstream=g, index=index)[0], expected.reshape(shape))


@pytest.mark.parametrize("k", range(len(INDICES)))
def test_storing_and_its_gradients(k):
    """x[index] = value: of several values for one place the last one counts, and only it gets a gradient."""
    shape, index = INDICES[k]
    x = normal(*shape)
    places = np.arange(x.size).reshape(shape)[index]
    value, upstream = normal(*places.shape), normal(*shape)
    last = {place: k for k, place in enumerate(places.reshape(-1).tolist())}
    expected, kept, to_value = x.reshape(-1).copy(), upstream.reshape(-1).copy(), np.zeros(value.size)
    for place, number in last.items():
        expected[place], kept[place], to_value[number] = value.flat[number], 0, upstream.flat[place]
    close(forward("setitem", x, value, index=index), expected.reshape(shape))
    found = gradients("setitem", x, value, upstream=upstream, index=index)
    close(found[0], kept.reshape(shape))
    close(found[1], to_value.reshape(value.shape))


def test_true_and_false_as_indices():
    x = tg.tensor([1.0, 2.0], requires_grad=True)
    (picked,) = engine.grad((x[True] * 3).sum(), x)
    assert picked.tolist() == [3, 3]
    value = tg.tensor(5.0, requires_grad=True)
    y = x.clone()
    y[True] = value
    assert y.tolist() == [5, 5]
    assert [g.tolist() for g in engine.grad(y.sum(), (x, value))] == [[0, 0], 2]


def test_what_is_overwritten_gets_zero_even_of_an_infinite_gradient():
    for bad in (np.inf, np.nan):
        upstream = np.array([bad, 2.0, 3.0])
        with np.errstate(invalid="raise"):
            assert gradients("setitem", np.ones(3), np.array(1.0), upstream=upstream, index=(0,))[0].tolist() == [0, 2, 3]
            assert gradients("put_flat", np.ones(3), np.ones(1), upstream=upstream, positions=np.array([0]))[0].tolist() == [0, 2, 3]
            assert gradients("scatter_along", np.ones(3), np.ones(1), upstream=upstream, axis=0, index=np.array([0]))[0].tolist() == [0, 2, 3]


def test_picking_along_an_axis():
    for shape, index, axis in [((3, 3), [[0, 2, 2], [1, 0, 0]], 0), ((2, 4), [[0, 3, 3], [1, 0, -1]], 1), ((2, 3, 2), [[[1, 1]], [[0, 2]]], 1), ((4,), [3, 0, 0], -1), ((3, 3), [[2, 0, 2], [2, 1, 2]], -2),
                               ((2, 3, 4), np.zeros((2, 2, 1), int), -1), ((2, 3, 4), [[[3, 0]], [[1, 1]]], 2), ((2, 3, 2, 3), np.arange(24).reshape(2, 3, 2, 2) % 2, -2), ((3, 2), np.zeros((0, 2), int), 0)]:
        x, index = normal(*shape), np.array(index)
        out = forward("gather_along", x, axis=axis, index=index)
        g, expected = normal(*index.shape), np.zeros(shape)
        for at in np.ndindex(*index.shape):
            place = list(at)
            place[axis] = index[at]
            assert out[at] == x[tuple(place)]
            expected[tuple(place)] += g[at]
        close(gradients("gather_along", x, upstream=g, axis=axis, index=index)[0], expected)
        added = forward("scatter_add_along", x, g, axis=axis, index=index)
        close(added, x + expected)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_rows_of_a_table(dtype):
    for indices, padding, scale in itertools.product((np.array([[0, 2, 2], [3, 2, 0]]), np.arange(40) % 5, np.zeros((0,), int)), (None, 0, 2), (False, True)):
        table, g = normal(6, 3).astype(dtype), normal(*indices.shape, 3).astype(dtype)
        expected = np.zeros((6, 3))
        for at in np.ndindex(*indices.shape):
            if indices[at] != padding:
                expected[indices[at]] += g[at] / ((indices == indices[at]).sum() if scale else 1)
        found = gradients("embed", table, upstream=g, indices=indices, padding_idx=padding, scale=scale)[0]
        assert found.dtype == dtype
        np.testing.assert_allclose(found, expected, 1e-5, 1e-6)


# --- sequences and running products ------------------------------------------------------------------------------------------


def sigma(z):
    return 1 / (1 + np.exp(-z))


@pytest.mark.parametrize("t, b, h", [(1, 1, 1), (3, 2, 3), (4, 1, 2), (2, 5, 2)])
def test_recurrent_networks_step_by_step(t, b, h):
    """Each operator against its equations, one sequence and one time step after the other."""
    x, first, cell, bias = normal(t, b, 4 * h), normal(b, h), normal(b, h), normal(3 * h)
    for activation, act in (("tanh", np.tanh), ("relu", lambda z: z * (z > 0))):
        weight, state, steps = normal(h, h), first, []
        for z in x[..., :h]:
            state = np.array([act(z[k] + weight @ state[k]) for k in range(b)])
            steps.append(state)
        close(forward("rnn_sequence", x[..., :h], first, weight, activation=activation), np.array(steps))
    weight, state, memory, steps = normal(4 * h, h), first, cell, []
    for z in x:
        new = np.zeros((2, b, h))
        for k in range(b):
            i, f, u, o = np.split(z[k] + weight @ state[k], 4)
            new[1, k] = sigma(f) * memory[k] + sigma(i) * np.tanh(u)
            new[0, k] = sigma(o) * np.tanh(new[1, k])
        state, memory = new
        steps.append(np.concatenate([state, memory], axis=1))
    close(forward("lstm_sequence", x, first, cell, weight), np.array(steps))
    for given in (bias, None):
        weight, state, steps = normal(3 * h, h), first, []
        for z in x[..., : 3 * h]:
            new = np.zeros((b, h))
            for k in range(b):
                p = np.split(weight @ state[k] + (0 if given is None else given), 3)
                r, update, n = np.split(z[k], 3)
                r, update = sigma(r + p[0]), sigma(update + p[1])
                new[k] = (1 - update) * np.tanh(n + r * p[2]) + update * state[k]
            state = new
            steps.append(state)
        close(forward("gru_sequence", x[..., : 3 * h], first, weight, *(() if given is None else (given,))), np.array(steps))


def test_running_products_with_zeros():
    """The gradient of each element is Σ over later ends of the product of all others."""
    for shape, axis in [((3, 4, 2), 0), ((3, 4, 2), 1), ((3, 4, 2), -1), ((5, 3), 0), ((4,), 0)]:
        x = normal(*shape)
        x[RNG.random(shape) < 0.4] = 0
        x[(0,) * len(shape)] = 0
        g, expected = normal(*shape), np.zeros(shape)
        rows, ups, slopes = (np.moveaxis(a, axis, -1) for a in (x, g, expected))
        for at in np.ndindex(*rows.shape):
            row, i = rows[at[:-1]], at[-1]
            slopes[at] = sum(ups[(*at[:-1], k)] * np.prod(np.delete(row[: k + 1], i)) for k in range(i, len(row)))
        close(gradients("cumprod", x, upstream=g, axis=axis)[0], expected)


def test_running_log_sums():
    for shape, axis in [((3, 4, 2), 0), ((3, 4, 2), 1), ((3, 4, 2), -1), ((5,), 0)]:
        x, g = normal(*shape), normal(*shape)
        expected = np.zeros(shape)
        rows, ups, slopes = (np.moveaxis(a, axis, -1) for a in (x, g, expected))
        for at in np.ndindex(*rows.shape):
            row, i = np.exp(rows[at[:-1]]), at[-1]
            slopes[at] = sum(ups[(*at[:-1], k)] * row[i] / row[: k + 1].sum() for k in range(i, len(row)))
        close(gradients("logcumsumexp", x, upstream=g, axis=axis)[0], expected)


def test_sums_have_a_formula():
    """Their rules run on symbols too, which no array can hold."""
    for name, words in (("sum", "g"), ("mean", "g / 3")):
        g = np.array([2.0, 5.0])
        found = formula.rule_on_symbols(registry[name], 0, ((2, 3), 1), g=g)
        assert found is not None and formula.written(found) == words
        np.testing.assert_allclose(formula.value_of(found), np.repeat(g[:, None], 3, axis=1) / (3 if name == "mean" else 1))
