"""Where derivative rules take another way: zeros, ties, NaN, large arrays, singular matrices, rare options, one input at a time.

Each test here was written for mutants of tests/mutation/run.py that everything else let live.
"""

import itertools
import math
from functools import partial

import numpy as np
import operator_kit as kit
import pytest

import tinygrad_edu as tg
from tinygrad_edu.autograd import Tensor, engine
from tinygrad_edu.autograd.operator import registry

RNG = np.random.default_rng(7)


class Fixed(kit.Case):
    """A case whose inputs are given, not drawn; arrays of integers or booleans among them have no derivative."""

    def __init__(self, name, *given, **params):
        self.given = [np.asarray(a) for a in given]
        shapes = tuple(a.shape if a.dtype.kind == "f" else a for a in self.given)
        super().__init__(registry[name], shapes, params)

    def arrays(self, seed, dtype=np.float64):
        return [a.astype(dtype) if a.dtype.kind == "f" else a for a in self.given]


def normal(*shape):
    return RNG.normal(size=shape)


def distinct(*shape):
    """Numbers that differ from each other by 0.1 at least, none of them 0."""
    n = int(np.prod(shape))
    return (RNG.permutation(n).reshape(shape) - n / 2 + 0.5) * 0.1


def with_zeros(array, *places):
    array = array.copy()
    for place in places:
        array[place] = 0.0
    return array


SIDES = np.array([-1.7, -0.9, 0.3, 0.45, 0.6, 1.9])  # on both sides of a threshold of 1 for 2 · x
WORDS = np.array([[0, 2, 2], [3, 2, 0]])
MANY = np.arange(40) * 7 % 6 - np.where(np.arange(40) % 3 == 0, 6, 0)  # rows of 6, each several times, some counted from the end
TWICE = np.array([[0, 1, 0], [1, 1, 0]])
AXES = dict(axis=(0, -1)), dict(axis=1), dict(axis=-1, keepdims=True), dict()
CASES = {
    "softplus": [Fixed("softplus", SIDES, beta=2.0, threshold=1.0), Fixed("softplus", SIDES, beta=0.5, threshold=0.35)],
    "prod": [Fixed("prod", with_zeros(distinct(2, 3, 2), *zeros), **options) for options in AXES
             for zeros in ([(0, 1, 0)], [(0, 1, 0), (1, 2, 1)], [(0, 1, 0), (0, 1, 1), (0, 0, 0)])],
    "cumprod": [Fixed("cumprod", with_zeros(distinct(3, 4), *zeros), axis=axis) for axis in (0, 1, -1) for zeros in ([(1, 2)], [(0, 2), (1, 2), (1, 0)])],
    "vector_norm": [Fixed("vector_norm", distinct(2, 3, 2), order=order, **options) for options in AXES for order in (1, 2, 3, 2.5, np.inf, -np.inf)],
    "std": [Fixed(name, distinct(2, 3, 2), correction=correction, **options) for options in AXES for name in ("var", "std") for correction in (0, 1)],
    "extremes": [Fixed(name, distinct(2, 3, 2), **options) for options in AXES for name in ("amax", "amin", "logsumexp", "sum", "mean")],
    "logcumsumexp": [Fixed("logcumsumexp", distinct(3, 4), axis=axis) for axis in (0, -1)],
    "embed": [Fixed("embed", normal(5, 3), indices=WORDS)],
    "getitem": [Fixed("getitem", normal(6, 2), index=(MANY,)), Fixed("getitem", normal(6), index=(MANY,)), Fixed("getitem", normal(6, 2), index=(MANY[:16],)),
                Fixed("getitem", normal(6, 6), index=(MANY, MANY[::-1].copy())), Fixed("getitem", normal(6, 2, 3), index=(MANY[:17],)),
                Fixed("getitem", normal(2, 6), index=(slice(None), MANY[:20]))],
    "scatter": [Fixed("scatter", normal(40, 2), index=(MANY,), shape=(6, 2)), Fixed("scatter", normal(40), index=(MANY,), shape=(6,))],
    "setitem": [Fixed("setitem", normal(4, 3), normal(2, 3, 3), index=(TWICE,)), Fixed("setitem", normal(4, 3), normal(3), index=(np.array([3, 0, 3]), np.array([1, 1, 1]))),
                Fixed("setitem", normal(2, 3), normal(3), index=(np.array([[True, False, True], [False, True, False]]),)),
                Fixed("setitem", normal(4, 3), normal(1), index=(TWICE,)), Fixed("setitem", normal(4, 3), np.array(0.7), index=(np.array([1, 1, 2]),))],
    "scatter_along": [Fixed("scatter_along", normal(2, 4), normal(2, 4), axis=1, index=np.array([[0, 2, 2], [1, 1, 3]])),
                      Fixed("scatter_along", normal(4, 3), normal(3, 4), axis=0, index=np.array([[0, 2, 2], [0, 1, 3]]))],
    "scatter_add_along": [Fixed("scatter_add_along", normal(2, 4), normal(3, 4), axis=1, index=np.array([[0, 2, 2], [1, 1, 3]]))],
    "take_flat": [Fixed("take_flat", normal(2, 3), positions=np.array([5, 5, -1, 0]))],
    "put_flat": [Fixed("put_flat", normal(2, 3), normal(2, 2), positions=np.array([[0, 5], [3, 1]]))],
    "repeat_along": [Fixed("repeat_along", normal(2, 3, 2), repeats=np.array([2, 0, 3]), axis=axis) for axis in (1, -2)]
                    + [Fixed("repeat_along", normal(2, 3), repeats=3, axis=-1)],
    "det": [Fixed("det", np.array([[1.0, 2.0, 3.0], [2.0, 4.0, 6.0], [1.0, 0.5, -1.0]])), Fixed("det", np.zeros((2, 2))), Fixed("det", np.array([[0.0]])),
            Fixed("det", np.ones((3, 3))), Fixed("det", normal(1, 1)), Fixed("det", np.stack([np.diag([1.0, 0.0, 2.0]), normal(3, 3)])),
            Fixed("det", np.diag([1e-4, 1.0, 1.0, 2.0]) + 1e-9 * normal(4, 4))],
    "matrix_exp": [Fixed("matrix_exp", 4 * normal(2, 2)), Fixed("matrix_exp", 2 * normal(2, 3, 3)), Fixed("matrix_exp", np.zeros((2, 2)))],
    "affine": [Fixed("affine", normal(2, 3, 4), normal(5, 4), normal(5)), Fixed("affine", normal(4), normal(5, 4), normal(5)),
               Fixed("affine", normal(1, 4), normal(1, 4), normal(1)), Fixed("affine", normal(2, 2, 3, 4), normal(5, 4))],
    "matmul": [Fixed("matmul", normal(*a), normal(*b)) for a, b in [((2, 3, 4), (4,)), ((4,), (2, 4, 3)), ((2, 1, 3, 4), (5, 4, 2)), ((5, 3, 4), (4, 2)), ((3, 4), (5, 4, 2)),
                                                                    ((5, 3, 1), (1, 2)), ((1, 3, 4), (4, 1)), ((3, 4), (4,)), ((2, 5, 3, 4), (4,)), ((4,), (2, 5, 4, 3))]],
    "einsum_operator": [Fixed("einsum_operator", *(normal(*s) for s in shapes), equation=equation) for equation, *shapes in [
        ("ij->", (2, 3)), ("iij->j", (2, 2, 3)), ("iij->ij", (2, 2, 3)), ("iii->", (3, 3, 3)), ("iii->i", (3, 3, 3)), ("ij,k->ik", (2, 3), (4,)),
        ("ii,ij->j", (2, 2), (2, 3)), ("ij,kj->", (2, 3), (4, 3)), ("iji->j", (2, 3, 2)), ("i,j,k->kij", (2,), (3,), (4,)), ("ij,ij->ij", (2, 3), (2, 3)), ("ijj->ij", (2, 3, 3))]],
    "rnn_sequence": [Fixed("rnn_sequence", distinct(4, 2, 3), normal(2, 3), 0.5 * normal(3, 3), activation=activation) for activation in ("tanh", "relu")]
                    + [Fixed("rnn_sequence", normal(1, 2, 3), normal(2, 3), normal(3, 3))],
    "lstm_sequence": [Fixed("lstm_sequence", normal(t, 2, 12), normal(2, 3), normal(2, 3), normal(12, 3)) for t in (1, 4)],
    "gru_sequence": [Fixed("gru_sequence", normal(t, 2, 9), normal(2, 3), normal(9, 3), normal(9)) for t in (1, 4)]
                    + [Fixed("gru_sequence", normal(3, 2, 9), normal(2, 3), normal(9, 3))],
    "class_cross_entropy": [Fixed("class_cross_entropy", normal(5, 3), target=np.array([2, 0, 2, 1, 1]), **dict(zip(("reduction", "weight", "ignore_index", "label_smoothing"), options)))
                            for options in itertools.product(("mean", "sum", "none"), (None, np.array([0.3, 1.0, 2.0])), (None, 1, -100), (0.0, 0.2))],
    "squared_error": [Fixed("squared_error", normal(2, 3), normal(2, 3), reduction=r) for r in ("mean", "sum", "none")],
    "normalize": [Fixed("normalize", normal(*shape), *(normal(*s) for s in weights), axes=axes) for shape, weights, axes in [
        ((3, 4), [(4,), (4,)], (-1,)), ((3, 4), [], (-1,)), ((3, 4), [(1, 4), (1, 4)], (0,)), ((3, 2, 4), [(1, 2, 1), (1, 2, 1)], (0, 2)), ((3, 2, 2, 2), [(1, 2, 1, 1), (1, 2, 1, 1)], (0, 2, 3)),
        ((3, 2, 4), [(1, 2, 1)], (0, 2)), ((2, 3, 4), [(3, 4), (3, 4)], (1, 2)), ((2, 3, 4), [(3, 4)], (1, 2)), ((2, 3, 4), [], (0, 1)), ((5,), [(5,), (5,)], (0,)), ((2, 3, 4), [], (1,)),
        ((4, 2, 3), [(1, 2, 3), (1, 2, 3)], (0,))]],
    "rms_normalize": [Fixed("rms_normalize", normal(*shape), *(normal(*s) for s in weights), axes=axes) for shape, weights, axes in [
        ((3, 4), [(4,)], (-1,)), ((3, 4), [], (0,)), ((2, 3, 4), [(3, 4)], (1, 2)), ((2, 3, 4), [], (0, 2))]],
    "clip": [Fixed("clip", distinct(2, 5), low=low, high=high) for low, high in ((None, 0.31), (-0.29, None), (-0.29, 0.31))],
    "mirror": [Fixed("convolution", normal(2, 2, 6), normal(3, 2, 2), normal(3), stride=(1,), dilation=(2,), padding=((1, 0),)),
               Fixed("convolution", normal(2, 2, 4), normal(3, 2, 1), normal(3), stride=(1,), dilation=(1,), padding=((0, 0),)),
               Fixed("convolution", normal(2, 2, 5), normal(3, 2, 1), stride=(2,), dilation=(1,), padding=((1, 0),)),
               Fixed("convolution", normal(2, 4, 3, 4), normal(6, 2, 2, 1), normal(6), stride=(1, 2), dilation=(1, 1), padding=((1, 1), (0, 1)), groups=2),
               Fixed("convolution", normal(2, 2, 7), normal(2, 1, 3), stride=(3,), dilation=(1,), padding=((0, 0),), groups=2),
               Fixed("convolution_transpose", normal(1, 2, 4), normal(2, 3, 2), normal(3), shape=(9,), stride=(2,), dilation=(1,), padding=((0, 0),)),
               Fixed("convolution_transpose", normal(2, 2, 3), normal(2, 2, 3), stride=(1,), dilation=(2,), padding=((1, 2),), shape=(4,)),
               Fixed("convolution_transpose", normal(1, 9, 3), normal(9, 1, 2), normal(1), stride=(1,), dilation=(1,), padding=((0, 0),), shape=(4,))],
    "pools": [Fixed("max_pool", distinct(2, 2, 4, 6), kernel=(2, 3), stride=(2, 3), dilation=(1, 1), padding=((0, 0), (0, 0))),
              Fixed("max_pool", distinct(2, 1, 7), kernel=(3,), stride=(2,), dilation=(1,), padding=((1, 1),)),
              Fixed("max_pool", distinct(1, 1, 5), kernel=(1,), stride=(2,), dilation=(1,), padding=((0, 0),)),
              Fixed("max_pool", distinct(1, 2, 5, 5), kernel=(2, 2), stride=(3, 2), dilation=(2, 1), padding=((1, 0), (0, 1))),
              Fixed("avg_pool", normal(2, 2, 6), kernel=(3,), stride=(1,), padding=((1, 1),), divisor=3),
              Fixed("avg_pool", normal(2, 1, 7), kernel=(2,), stride=(3,), padding=((0, 0),), divisor=2),
              Fixed("avg_pool", normal(1, 1, 5), kernel=(1,), stride=(1,), padding=((0, 0),), divisor=1)],
    "bessel": [Fixed(name, np.array([-1.5, -0.3, 0.7, 2.2])) for name in ("i0e", "i1e")],
    "resample": [Fixed("resample", normal(2, 5, 3), axis=axis, places=np.array([[0, 4, 2], [1, 1, 3]])[:, :count], shares=shares)
                 for axis in (1, -2) for count, shares in ((3, np.array([[0.2, 0.3, 0.5], [1.0, -0.5, 0.25]])), (1, None))],
    "shapes": [Fixed("concatenate", normal(2, 1), normal(2, 3), normal(2, 2), axis=1), Fixed("stack", normal(2, 3), normal(2, 3), axis=1), Fixed("stack", normal(2, 3), normal(2, 3), axis=-2),
               Fixed("roll", normal(3, 4), shifts=-1), Fixed("roll", normal(3, 4), shifts=(1, -2), axes=(1, 0)), Fixed("roll", normal(3, 4), shifts=2, axes=1),
               Fixed("tile", normal(2, 3), repeats=(2, 3, 2)), Fixed("tile", normal(2, 3), repeats=(2,)), Fixed("tile", normal(1, 3), repeats=(4, 2)),
               Fixed("pad_constant", normal(3, 4), widths=((1, 0), (-1, 2))), Fixed("pad_constant", normal(5), widths=((-2, -1),)),
               Fixed("diagonal_embed", normal(2, 2), k=-1, axis0=0, axis1=2, shape=(3, 2, 3)), Fixed("fold", normal(1, 1, 2, 2), kernel=(2,), stride=(2,), dilation=(1,), padding=((0, 0),), shape=(6,)),
               Fixed("fold", normal(1, 2, 2, 3), kernel=(2,), stride=(1,), dilation=(1,), padding=((1, 0),), shape=(5,)), Fixed("diagonal", normal(3, 4), k=-1), Fixed("diagonal", normal(2, 3, 4), k=1, axis0=-1, axis1=0)],
}  # fmt: skip


@pytest.mark.parametrize("name", list(CASES))
def test_rules_where_they_take_another_way(name):
    for case in CASES[name]:
        kit.check_first_order(case, 3)
        kit.check_raw_shapes(case, 3)
        kit.check_only_reads(case, 3)
        kit.check_float32(case, 3)


@pytest.mark.parametrize("name", [n for n in CASES if n not in ("det", "matrix_exp")])
def test_second_derivatives_where_rules_take_another_way(name):
    for case in CASES[name]:
        if case.params.get("order") not in (np.inf, -np.inf) or "order" not in case.params:
            kit.check_second_order(case, 3)


TOGETHER = [(name, k) for name, cases in CASES.items() for k, case in enumerate(cases) if case.op.together]


@pytest.mark.parametrize("name, k", TOGETHER)
def test_a_rule_for_several_inputs_serves_each_alone(name, k):
    """Which inputs want a gradient changes how a rule computes, and no number."""
    case = CASES[name][k]
    arrays = case.arrays(0)
    weights = np.random.default_rng(0).uniform(0.5, 1.5, kit.result_shape(case, arrays))
    _, together = kit.gradients(case, arrays, weights)
    for wanted in itertools.product((False, True), repeat=len(case.active)):
        chosen = [i for i, w in zip(case.active, wanted) if w]
        if not chosen:
            continue
        xs = case.tensors(arrays, chosen)
        found = engine.grad(case(*xs), [xs[i] for i in chosen], Tensor(weights, None))
        for i, g in zip(chosen, found):
            assert np.array_equal(g.array, together[case.active.index(i)].array) or np.allclose(g.array, together[case.active.index(i)].array, 1e-13, 1e-13)
        assert [p is not None for p in case(*xs).node.parents[: len(xs)]] == [i in chosen for i in range(len(xs))]


# --- large arrays: the ways that save memory or time -------------------------------------------------------------------

LARGE = 5000
BIG = [("sigmoid", {}), ("tanh", {}), ("relu", {}), ("softplus", {}), ("erf", {}), ("silu", {})]


@pytest.mark.parametrize("name, params", BIG)
@pytest.mark.parametrize("size", [4095, 4096, 4097, LARGE])
def test_large_arrays_get_what_small_ones_get(name, params, size):
    """Value and gradient of a large array, piece by piece the same as for small arrays."""
    function = registry[name].function
    x = np.random.default_rng(size).normal(size=size)
    g = np.random.default_rng(1).normal(size=size)

    def run(part):
        t = tg.tensor(x[part], requires_grad=True)
        out = function(t, **params)
        (slope,) = engine.grad(out, t, Tensor(g[part].copy(), None))
        return out.detach().numpy(), slope.numpy()

    whole = run(slice(None))
    pieces = [run(slice(k, k + 1000)) for k in range(0, size, 1000)]
    for k in (0, 1):
        np.testing.assert_allclose(whole[k], np.concatenate([p[k] for p in pieces]), 1e-14, 1e-14)
    t = tg.tensor(x, requires_grad=True)
    (slope,) = engine.grad(function(t, **params), t, tg.tensor(g, requires_grad=True), create_graph=True)
    np.testing.assert_allclose(slope.detach().numpy(), whole[1], 1e-14, 1e-14)
    assert function(tg.tensor(np.float32(x))).dtype == np.float32


def test_large_sums_and_biases():
    for rows in (1, 2, 4095, 4096, 5000):
        x, w, b = normal(rows, 2), normal(3, 2), normal(3)
        xs = [tg.tensor(a, requires_grad=True) for a in (x, w, b)]
        g = normal(rows, 3)
        found = engine.grad(registry["affine"].function(*xs), xs, Tensor(g, None))
        for computed, expected in zip(found, (g @ w, g.T @ x, g.sum(axis=0))):
            np.testing.assert_allclose(computed.numpy(), expected, 1e-11, 1e-11)
    for rows, columns in ((64, 64), (65, 64), (4097, 1)):  # the result of affine on both sides of 4096 elements
        x, w, b = normal(rows, 3), normal(columns, 3), normal(columns)
        np.testing.assert_allclose(registry["affine"].function(x, w, b), x @ w.T + b, 1e-12, 1e-12)
        np.testing.assert_allclose(registry["affine"].function(x.reshape(rows, 1, 3), w, b), (x @ w.T + b).reshape(rows, 1, columns), 1e-12, 1e-12)
    for name in ("sum", "mean"):
        for shape in ((4096,), (4097,), (41, 100), (2, 41, 60)):
            for axis in (None, 0, -1):
                t = tg.tensor(normal(*shape), requires_grad=True)
                out = registry[name].function(t, axis=axis)
                g = normal(*out.shape)
                (found,) = engine.grad(out, t, Tensor(np.asarray(g), None))
                n = {"sum": 1, "mean": t.array.size // max(1, out.array.size)}[name]
                expected = np.broadcast_to(np.asarray(g if axis is None else np.expand_dims(g, axis)) / n, shape)
                np.testing.assert_allclose(found.numpy(), expected, 1e-14)
                found.numpy().sum()


def test_ones_are_kept_and_cannot_be_written():
    from tinygrad_edu.ops.products import kept_ones, ones

    for n in range(1, 200):
        for dtype in (np.dtype("f4"), np.dtype("f8")):
            vector = ones(n, dtype)
            assert vector.tolist() == [1.0] * n and vector.dtype == dtype and not vector.flags.writeable
            assert len(kept_ones) <= 65
    assert ones(199, np.dtype("f8")) is ones(199, np.dtype("f8"))


def test_sums_of_normalisation_whatever_the_memory():
    from tinygrad_edu.ops.normalization import total

    for shape, axes in [((3, 4), (1,)), ((3, 4), (0,)), ((2, 3, 4), (0, 2)), ((2, 3, 4), (1, 2)), ((2, 3, 4), (1,)), ((2, 3, 4), (0,)), ((2, 3, 4, 5), (0, 2, 3)),
                        ((2, 3, 4, 5), (0, 2)), ((5,), (0,)), ((2, 3, 4, 5), (2, 3)), ((2, 3, 4), (0, 1, 2)), ((2, 3, 4), (0, 1)), ((2, 3), (0, 1)), ((4, 1, 3), (0, 2))]:  # fmt: skip
        x = normal(*shape)
        for array in (x, np.asfortranarray(x), x[::-1], np.repeat(x, 2, -1)[..., ::2], x.astype(np.float32)):
            found = total(array, axes)
            np.testing.assert_allclose(found, array.sum(axis=axes, keepdims=True), 1e-5 if array.dtype == np.float32 else 1e-13)
            assert found.shape == array.sum(axis=axes, keepdims=True).shape and found.dtype == array.dtype


# --- kinks, ties, NaN, and the edge of a domain --------------------------------------------------------------------------


def slopes(function, *values, g=None):
    """The value and the gradients of a function of some arrays."""
    xs = [tg.tensor(np.asarray(v, float), requires_grad=True) for v in values]
    out = function(*xs)
    grads = engine.grad(out, xs, None if g is None else Tensor(np.asarray(g, float), None), allow_unused=True) if out.array.size == 1 and g is None else engine.grad(
        out, xs, Tensor(np.ones(out.shape) if g is None else np.asarray(g, float), None), allow_unused=True)  # fmt: skip
    return [out.detach().numpy(), *(x.numpy() for x in grads)]


NAN, INF = np.nan, np.inf
KINKS = [
    ("maximum", [[1, 2, 3], [1, 3, 2]], [[0.5, 0, 1], [0.5, 1, 0]]),
    ("minimum", [[1, 2, 3], [1, 3, 2]], [[0.5, 1, 0], [0.5, 0, 1]]),
    ("fmax", [[1, 2, 3, NAN, 1, NAN], [1, 3, 2, 1, NAN, NAN]], [[1, 0, 1, 0, 1, 1], [0, 1, 0, 1, 0, 0]]),
    ("fmin", [[1, 2, 3, NAN, 1, NAN], [1, 3, 2, 1, NAN, NAN]], [[1, 1, 0, 0, 1, 1], [0, 0, 1, 1, 0, 0]]),
    ("atan2", [[0, 1, 0], [0, 0, 2]], [[0, 0, 0.5], [0, -1, 0]]),
    ("pow", [[0, 0, 2, 0, 0, 3], [0, 1, 0, 2, 3, 1]], [[0, 1, 0, 0, 0, 1], [0, 0, np.log(2), 0, 0, 3 * np.log(3)]]),
    ("sinc", [[0, 0.5]], [[0, -4 / np.pi]]),
    ("relu", [[-1, 0, 2]], [[0, 0, 1]]),
    ("abs", [[-1, 0, 2]], [[-1, 0, 1]]),
    ("leaky_relu", [[-1, 0, 2]], [[0.01, 0.01, 1]]),
    ("sqrt", [[4, 1]], [[0.25, 0.5]]),
    ("absolute_error", [[1, 2, 3], [1, 3, 2]], [[0, -1, 1], [0, 1, -1]]),
    ("huber_error", [[0, 1, 3, -2.5], [0, 0, 0, 0]], [[0, 1, 1, -1], [0, -1, -1, 1]]),
    ("hypot", [[3, 1], [4, 0]], [[0.6, 1], [0.8, 0]]),
    ("leaky_relu", [[-1, 0, 2]], [[0.3, 0.3, 1]], dict(negative_slope=0.3)),
    ("prelu_elementwise", [[-2, 0, 3], [0.5, 0.5, 0.5]], [[0.5, 0.5, 1], [-2, 0, 0]]),
    ("elu", [[0, 1, 800]], [[0.7, 1, 1]], dict(alpha=0.7)),
    ("celu", [[0, 0.5, 800, -1]], [[1, 1, 1, np.exp(-2)]], dict(alpha=0.5)),
    ("selu", [[0, 1, 800]], [[1.7580993408473766, 1.0507009873554805, 1.0507009873554805]]),
    ("hardtanh", [[-2, -0.9, 0, 0.8, 3]], [[0, 0, 1, 0, 0]], dict(low=-0.9, high=0.8)),
    ("hardsigmoid", [[-5, -4, -3, -1, 1, 3, 4, 5]], [[0, 0, 0, 1 / 6, 1 / 6, 0, 0, 0]]),
    ("hardswish", [[-5, -4, -3, 0, 1.5, 3, 3.5, 5]], [[0, 0, 0, 0.5, 1, 1, 1, 1]]),
    ("threshold_elementwise", [[0.2, 0.4, 0.7, 3.5, 9]], [[0, 0, 1, 1, 1]], dict(threshold=0.4, value=7.0)),
    ("hardshrink", [[-3, -0.5, 0, 0.5, 2, 9, -8, -0.7, 0.7]], [[1, 0, 0, 0, 1, 1, 1, 1, 1]], dict(lambd=0.5)),
    ("softshrink", [[-3, -0.5, 0, 0.5, 2, 9, -8, -0.7, 0.7]], [[1, 0, 0, 0, 1, 1, 1, 1, 1]], dict(lambd=0.5)),
    ("remainder", [[7.5, -7.5, 1], [2, 2, 3]], [[1, 1, 1], [-3, 4, 0]]),
    ("fmod", [[7.5, -7.5, 1], [2, 2, 3]], [[1, 1, 1], [-3, 3, 0]]),
    ("copysign", [[0, -1, 2, 3], [-1, 1, -1, 2]], [[0, -1, -1, 1], [0, 0, 0, 0]]),
    ("nan_to_num", [[NAN, INF, -INF, 1]], [[0, 0, 0, 1]]),
    ("gelu_exact", [[0, 1e-40, -1e-310]], [[0.5, 0.5, 0.5]]),
]  # fmt: skip


@pytest.mark.parametrize("name, inputs, expected, params", [(*k, {})[:4] for k in KINKS], ids=[k[0] for k in KINKS])
@pytest.mark.parametrize("graph", [False, True])
def test_kinks(name, inputs, expected, params, graph):
    function = partial(registry[name].function, **params)
    xs = [tg.tensor(np.array(v, float), requires_grad=True) for v in inputs]
    out = function(*xs)
    g = tg.tensor(np.arange(1.0, out.array.size + 1), requires_grad=graph)
    with np.errstate(all="ignore"):
        found = engine.grad(out, xs, g, create_graph=graph, allow_unused=True, materialize_grads=True)
    for computed, wanted in zip(found, expected, strict=True):
        np.testing.assert_allclose(computed.detach().numpy(), np.array(wanted, float) * g.detach().numpy(), 1e-12, 1e-12)
    if graph:  # the gradient with respect to g is the rule itself
        for computed, wanted in zip(found, expected, strict=True):
            if computed.requires_grad:
                (again,) = engine.grad(computed, g, Tensor(np.ones(computed.shape), None), retain_graph=True, allow_unused=True, materialize_grads=True)
                np.testing.assert_allclose(again.numpy(), wanted, 1e-12, 1e-12)


# What is cut off gets 0, whatever gradient comes (√relu(x) has an infinite one); NaN is not cut off.
CUT_OFF = [
    ("relu", [[-1, 0, 2, NAN]], [[0, 0, 1, 1]]),
    ("hardtanh", [[-2, 0.5, 1, NAN]], [[0, 1, 0, 1]]),
    ("threshold_elementwise", [[-1, 0.5, 2, NAN]], [[0, 0, 1, 1]], dict(threshold=0.5, value=7.0)),
    ("hardshrink", [[-1, 0.2, 2, NAN]], [[1, 0, 1, 1]]),
    ("softshrink", [[-1, 0.2, 2, NAN]], [[1, 0, 1, 1]]),
    ("maximum", [[1, 2, 3, NAN], [2, 2, 1, 1]], [[0, 1, 1, 1], [1, 1, 0, 1]]),
    ("minimum", [[1, 2, 3, NAN], [2, 2, 1, 1]], [[1, 1, 0, 1], [0, 1, 1, 1]]),
]


@pytest.mark.parametrize("name, inputs, passes, params", [(*k, {})[:4] for k in CUT_OFF], ids=[k[0] for k in CUT_OFF])
@pytest.mark.parametrize("copies", [1, 1500])
@pytest.mark.parametrize("kind", [np.float32, np.float64])
def test_cut_off_gradients(name, inputs, passes, params, copies, kind):
    xs = [tg.tensor(np.tile(np.array(v, kind), copies), requires_grad=True) for v in inputs]
    out = registry[name].function(*xs, **params)
    assert np.isnan(out.detach().numpy()[3])
    found = engine.grad(out, xs, Tensor(np.broadcast_to(kind(np.inf), out.shape), None))
    for g, passed in zip(found, passes, strict=True):
        np.testing.assert_array_equal(g.numpy(), np.tile(np.where(passed, kind(np.inf), kind(0)), copies))
        assert g.dtype == kind


@pytest.mark.parametrize("copies", [1, 3000])
@pytest.mark.parametrize("kind, far", [(np.float32, 110), (np.float64, 800)])
def test_sigmoid_far_out(copies, kind, far):
    """0 and 1 in the end, without a warning; so ln σ is −∞ and the cross entropy at its limit of 100, as in PyTorch."""
    x = tg.tensor(np.tile(np.array([-INF, -far, far, INF], kind), copies))
    np.testing.assert_array_equal(tg.sigmoid(x).numpy(), np.tile(np.array([0, 0, 1, 1], kind), copies))
    assert tg.nn.functional.binary_cross_entropy(tg.sigmoid(x), tg.ones_like(x)).item() == 50


def test_tensor_bounds_keep_nan():
    x = tg.tensor([NAN, -2.0, 0.5, 2.0], requires_grad=True)
    out = x.clamp(tg.full((4,), -1.0), tg.full((4,), 1.0))
    out.backward(tg.tensor([1.0, INF, 1.0, INF]))
    np.testing.assert_array_equal(out.detach().numpy(), [NAN, -1, 0.5, 1])
    np.testing.assert_array_equal(x.grad.numpy(), [1, 0, 1, 0])


def test_kinks_in_float32_stay_float32():
    for name, inputs, _, params in ((*k, {})[:4] for k in KINKS):
        xs = [tg.tensor(np.array(v, np.float32), requires_grad=True) for v in inputs]
        with np.errstate(all="ignore"):
            out = registry[name].function(*xs, **params)
            for g in engine.grad(out, xs, Tensor(np.ones(out.shape, np.float32), None), allow_unused=True, materialize_grads=True):
                assert g.dtype == np.float32, name


NUMBERS = (2, 2.0, 3, 0, 1, 0.5, -1, -2, -0.5)


@pytest.mark.parametrize("number", NUMBERS)
@pytest.mark.parametrize("name", ["pow", "mul", "add", "sub", "div", "maximum", "minimum", "atan2", "hypot", "logaddexp", "remainder", "fmod"])
def test_python_numbers_as_inputs(name, number):
    """A number beside a tensor gives the gradient that an array of that number gives."""
    if name in ("div", "remainder", "fmod") and number == 0:
        pytest.skip("division by 0")
    x = np.array([[0.7, 1.3, 2.9], [1.1, 0.4, 3.3]])
    for turned in (False, True):
        if turned and name == "pow" and number <= 0:
            continue
        call = (lambda a, b: registry[name].function(b, a)) if turned else (lambda a, b: registry[name].function(a, b))
        for create_graph in (False, True):
            results = []
            for other in (number, np.full_like(x, number)):
                t = tg.tensor(x, requires_grad=True)
                out = call(t, other)
                (g,) = engine.grad(out, t, Tensor(np.linspace(1, 2, 6).reshape(2, 3), None), create_graph=create_graph)
                row = [out.detach().numpy(), g.detach().numpy()]
                if create_graph and g.requires_grad:
                    row.append(engine.grad(g.sum(), t, allow_unused=True, materialize_grads=True)[0].numpy())
                elif create_graph:
                    row.append(np.zeros_like(x))
                results.append(row)
            for a, b in zip(*results):
                np.testing.assert_allclose(a, b, 1e-12, 1e-12)


def test_rows_of_padding_and_rows_divided_by_their_count():
    """An embedding that counts: no gradient for the padding, and the mean of a word's gradients instead of their sum."""
    for dtype in (np.float64, np.float32):
        for options, factors in ((dict(padding_idx=2), [1, 1, 0, 1, 1]), (dict(scale=True), [1 / 2, 1, 1 / 3, 1, 1]),
                                 (dict(scale=True, padding_idx=0), [0, 1, 1 / 3, 1, 1]), (dict(padding_idx=0), [0, 1, 1, 1, 1])):  # fmt: skip
            x, g = tg.tensor(normal(5, 3).astype(dtype), requires_grad=True), normal(2, 3, 3).astype(dtype)
            sums = np.zeros((5, 3), dtype)
            np.add.at(sums, WORDS, g)
            expected = sums * np.array(factors, dtype)[:, None]
            for create_graph in (False, True):
                upstream = tg.tensor(g, requires_grad=create_graph)
                (found,) = engine.grad(registry["embed"].function(x, indices=WORDS, **options), x, upstream, create_graph=create_graph)
                np.testing.assert_allclose(found.detach().numpy(), expected, 1e-6 if dtype == np.float32 else 1e-13)
                assert found.dtype == dtype
                if create_graph:
                    (again,) = engine.grad(found.sum(), upstream)
                    np.testing.assert_allclose(again.numpy(), np.broadcast_to(np.array(factors)[WORDS][..., None], (2, 3, 3)), 1e-6)


def test_squares_of_numbers():
    """x ** 2 has a way of its own."""
    x = tg.tensor([-3.0, 0.0, 2.0], dtype=tg.float64, requires_grad=True)
    (g,) = engine.grad((x**2).sum(), x, create_graph=True)
    assert g.tolist() == [-6.0, 0.0, 4.0]
    assert engine.grad(g.sum(), x)[0].tolist() == [2.0, 2.0, 2.0]
    for power, slope in ((0, [0.0, 0.0, 0.0]), (1, [1.0, 1.0, 1.0]), (3, [27.0, 0.0, 12.0])):
        assert engine.grad((x**power).sum(), x)[0].tolist() == slope


def test_ties_share_and_nan_wins():
    x = tg.tensor([[1.0, 3.0, 3.0], [2.0, 2.0, 2.0]], dtype=tg.float64, requires_grad=True)
    for options, expected in ((dict(axis=1), [[0, 0.5, 0.5], [1 / 3] * 3]), (dict(axis=None), [[0, 0.5, 0.5], [0, 0, 0]]), (dict(axis=(0, 1)), [[0, 0.5, 0.5], [0, 0, 0]]),
                              (dict(axis=0, keepdims=True), [[0, 1, 1], [1, 0, 0]]), (dict(axis=-2), [[0, 1, 1], [1, 0, 0]])):  # fmt: skip
        out = registry["amax"].function(x, **options)
        np.testing.assert_allclose(engine.grad(out, x, Tensor(np.ones(out.shape), None))[0].numpy(), expected)
        (g,) = engine.grad(registry["amax"].function(x, **options), x, tg.tensor(np.ones(out.shape), requires_grad=True), create_graph=True)
        np.testing.assert_allclose(g.detach().numpy(), expected)
    y = tg.tensor([1.0, np.nan, 3.0], dtype=tg.float64, requires_grad=True)
    for name in ("amax", "amin"):
        assert engine.grad(registry[name].function(y), y)[0].tolist() == [0.0, 1.0, 0.0]


def test_norms_at_zero_and_with_zeros():
    norm = registry["vector_norm"].function
    x = tg.tensor([[0.0, 0.0], [3.0, -4.0], [0.0, 2.0]], dtype=tg.float64, requires_grad=True)
    table = {2: [[0, 0], [0.6, -0.8], [0, 1]], 1: [[0, 0], [1, -1], [0, 1]], np.inf: [[0, 0], [0, -1], [0, 1]], -np.inf: [[0, 0], [1, 0], [0, 0]], 0: np.zeros((3, 2)),
             3: [[0, 0], [9 / 91 ** (2 / 3), -16 / 91 ** (2 / 3)], [0, 1]]}  # fmt: skip
    for order, expected in table.items():
        for create_graph in (False, True):
            out = norm(x, axis=1, order=order)
            (g,) = engine.grad(out, x, Tensor(np.ones(3), None), create_graph=create_graph, allow_unused=True, materialize_grads=True)
            np.testing.assert_allclose(g.detach().numpy(), expected, 1e-12, 1e-12, err_msg=str(order))
    zero = tg.zeros(3, requires_grad=True)
    for order in (1, 2, 3, np.inf):
        assert engine.grad(norm(zero, order=order), zero)[0].tolist() == [0.0, 0.0, 0.0]
    ties = tg.tensor([2.0, -2.0, 1.0, -1.0], dtype=tg.float64, requires_grad=True)
    assert engine.grad(norm(ties, order=np.inf), ties)[0].tolist() == [0.5, -0.5, 0.0, 0.0]
    assert engine.grad(norm(ties, order=-np.inf), ties)[0].tolist() == [0.0, 0.0, 0.5, -0.5]


def test_deviations_of_equal_numbers():
    x = tg.tensor([[2.0, 2.0, 2.0], [1.0, 2.0, 6.0]], dtype=tg.float64, requires_grad=True)
    for create_graph in (False, True):
        (g,) = engine.grad(registry["std"].function(x, axis=1), x, Tensor(np.ones(2), None), create_graph=create_graph)
        deviation = np.std([1, 2, 6], ddof=1)
        np.testing.assert_allclose(g.detach().numpy(), [[0, 0, 0], (np.array([1, 2, 6]) - 3) / (2 * deviation)], 1e-12, 1e-12)
    one = tg.tensor([5.0], dtype=tg.float64, requires_grad=True)
    with np.errstate(all="ignore"):
        assert np.isnan(engine.grad(registry["var"].function(one), one)[0].item())
    assert engine.grad(registry["var"].function(one, correction=0), one)[0].item() == 0


def test_products_and_running_products_of_a_number():
    x = tg.tensor(3.0, requires_grad=True)
    for name in ("prod",):
        assert engine.grad(registry[name].function(x), x)[0].item() == 1.0
        zero = tg.tensor(0.0, requires_grad=True)
        (g,) = engine.grad(registry[name].function(zero), zero, create_graph=True)
        assert g.item() == 1.0


def test_logarithms_of_sums_with_infinities():
    x = tg.tensor([[0.0, -np.inf], [-np.inf, -np.inf], [1.0, 1.0]], dtype=tg.float64, requires_grad=True)
    out = registry["logsumexp"].function(x, axis=1)
    np.testing.assert_allclose(out.detach().numpy(), [0, -np.inf, 1 + np.log(2)])
    np.testing.assert_allclose(engine.grad(out, x, Tensor(np.ones(3), None))[0].numpy(), [[1, 0], [0, 0], [0.5, 0.5]])


def test_clipping_at_its_edges():
    x = tg.tensor([-1.0, 0.0, 1.0, 2.0], dtype=tg.float64, requires_grad=True)
    for low, high, expected in ((0.0, 1.0, [0, 1, 1, 0]), (None, 1.0, [1, 1, 1, 0]), (0.0, None, [0, 1, 1, 1]), (-1.0, 2.0, [1, 1, 1, 1])):
        for create_graph in (False, True):
            out = registry["clip"].function(x, low=low, high=high)
            assert engine.grad(out, x, Tensor(np.ones(4), None), create_graph=create_graph)[0].tolist() == expected


def test_softplus_beyond_its_threshold():
    x = tg.tensor([19.0, 21.0, 800.0, -800.0], dtype=tg.float64, requires_grad=True)
    for create_graph in (False, True):
        (g,) = engine.grad(registry["softplus"].function(x), x, Tensor(np.ones(4), None), create_graph=create_graph)
        np.testing.assert_allclose(g.detach().numpy(), [1 / (1 + np.exp(-19.0)), 1, 1, 0], 1e-15, 1e-300)
        assert g[1].item() == 1.0
    at = tg.tensor([20.0], dtype=tg.float64, requires_grad=True)
    assert engine.grad(registry["softplus"].function(at), at, Tensor(np.ones(1), None))[0].item() < 1.0  # at the threshold itself the formula holds
    rows = tg.tensor([3.0], dtype=tg.float64, requires_grad=True)
    np.testing.assert_allclose(engine.grad(registry["softplus"].function(rows, beta=4.0, threshold=20.0), rows, Tensor(np.ones(1), None))[0].item(), 1 / (1 + np.exp(-12.0)))


def test_cross_entropies_of_large_numbers():
    """The shift by the maximum, in the rule too."""
    x = tg.tensor([[1000.0, 0.0, -1000.0], [-1000.0, -1000.0, -1000.0]], dtype=tg.float64, requires_grad=True)
    target = np.array([1, 2])
    for options in (dict(), dict(label_smoothing=0.0, ignore_index=0), dict(weight=np.ones(3))):
        (g,) = engine.grad(registry["class_cross_entropy"].function(x, target=target, **options), x)
        np.testing.assert_allclose(g.numpy(), [[0.5, -0.5, 0], [1 / 6, 1 / 6, -1 / 3]], 1e-12, 1e-12)


def test_entropies_at_the_edge():
    """ln 0 counts as −100, and x (1 − x) as 10⁻¹² at least."""
    p, t = tg.tensor([0.0, 1.0, 0.0, 0.5], dtype=tg.float64, requires_grad=True), tg.tensor([1.0, 0.0, 0.0, 1.0], dtype=tg.float64, requires_grad=True)
    gp, gt = engine.grad(registry["binary_entropy"].function(p, t), [p, t], Tensor(np.ones(4), None))
    np.testing.assert_allclose(gp.numpy(), [-1e12, 1e12, 0, -2])
    np.testing.assert_allclose(gt.numpy(), [100, -100, 100, 0], 1e-12, 1e-12)
    p, t = (tg.tensor(v, dtype=tg.float64, requires_grad=True) for v in ([0.0, 1.0, 1 - 1e-12, 1e-12], [1.0, 0.0, 0.0, 1.0]))
    gp, gt = engine.grad(registry["binary_entropy_slope"].function(p, t), [p, t], Tensor(np.ones(4), None))
    np.testing.assert_allclose(gp.numpy(), [1e24, 1e24, 2.5e23, 2.5e23], 1e-3)
    np.testing.assert_allclose(gt.numpy(), [-1e12, -1e12, -1e12, -1e12], 1e-3)
    single = tg.tensor([0.0, 1.0], requires_grad=True)
    (g,) = engine.grad(registry["binary_entropy"].function(tg.tensor([0.0, 1.0]), single), single, Tensor(np.ones(2, np.float32), None))
    np.testing.assert_allclose(g.numpy(), [100, -100])


# --- matrices --------------------------------------------------------------------------------------------------------------


def test_exponentials_of_matrices_to_the_last_digits():
    """Against eigenvectors: exp(V diag w V⁻¹) = V diag eʷ V⁻¹, and the divided differences of Daleckii and Krein for the derivative."""
    rng = np.random.default_rng(3)
    for size in (1e-3, 0.3, 1.0, 5.0, 5.3, 5.5, 12.0, 60.0):
        v = np.linalg.qr(rng.normal(size=(4, 4)))[0]
        w = rng.uniform(-1, 1, 4)
        x = (v * w) @ v.T
        scale = size / np.abs(x).sum(axis=-2).max()
        x, w = x * scale, w * scale
        t = tg.tensor(x, requires_grad=True)
        out = registry["matrix_exp"].function(t)
        expected = (v * np.exp(w)) @ v.T
        np.testing.assert_allclose(out.detach().numpy(), expected, 1e-11, 1e-12 * np.abs(expected).max())
        g = rng.normal(size=(4, 4))
        differences = (np.exp(w)[:, None] - np.exp(w)) / (w[:, None] - w + np.eye(4)) + np.diag(np.exp(w))
        slope = v @ (differences * (v.T @ g @ v)) @ v.T
        np.testing.assert_allclose(engine.grad(out, t, Tensor(g, None))[0].numpy(), slope, 1e-9, 1e-11 * np.abs(slope).max())
    nilpotent = np.array([[0.0, 1.0, 2.0], [0.0, 0.0, 3.0], [0.0, 0.0, 0.0]])
    np.testing.assert_allclose(registry["matrix_exp"].function(nilpotent), np.eye(3) + nilpotent + nilpotent @ nilpotent / 2, 1e-14, 1e-15)


def test_exponentials_of_no_matrix_and_of_infinities():
    empty = tg.zeros(0, 2, 2, requires_grad=True)
    out = registry["matrix_exp"].function(empty)
    assert out.shape == (0, 2, 2) and engine.grad(out, empty, Tensor(np.zeros((0, 2, 2), np.float32), None))[0].shape == (0, 2, 2)
    with np.errstate(all="ignore"):
        try:
            assert np.isnan(registry["matrix_exp"].function(np.full((2, 2), np.nan))).all()
        except np.linalg.LinAlgError:
            pass


def test_determinants_of_singular_matrices():
    rank_two = np.array([[1.0, 2.0, 3.0], [2.0, 4.0, 6.0], [1.0, 0.5, -1.0]])
    cofactors = np.array([[np.linalg.det(np.delete(np.delete(rank_two, i, 0), j, 1)) * (-1) ** (i + j) for j in range(3)] for i in range(3)])
    t = tg.tensor(rank_two, requires_grad=True)
    (g,) = engine.grad(registry["det"].function(t), t, create_graph=True)
    np.testing.assert_allclose(g.detach().numpy(), cofactors, 1e-12, 1e-12)
    (h,) = engine.grad(g[0, 0], t)  # ∂(ei − fh)/∂x
    np.testing.assert_allclose(h.numpy(), [[0, 0, 0], [0, -1, -0.5], [0, -6, 4]], 1e-12, 1e-12)
    nearly = np.diag([1.0, 1.0, 1e-9])
    t = tg.tensor(nearly, requires_grad=True)
    np.testing.assert_allclose(engine.grad(registry["det"].function(t), t)[0].numpy(), np.diag([1e-9, 1e-9, 1.0]), 1e-12, 1e-24)
    single = tg.tensor(rank_two, dtype=tg.float32, requires_grad=True)
    assert engine.grad(registry["det"].function(single), single)[0].dtype == np.float32


def test_equal_eigenvalues_and_singular_values():
    """A function of the matrix alone has a derivative also where eigenvectors are not unique."""
    x = tg.tensor(np.diag([2.0, 2.0, 5.0]), requires_grad=True)
    w = registry["eigvalsh"].function(x)
    np.testing.assert_allclose(engine.grad((w * w).sum(), x)[0].numpy(), 2 * np.diag([2.0, 2.0, 5.0]), 1e-12, 1e-12)


def test_a_number_to_a_power_keeps_its_precision_in_gradients_of_gradients():
    x = tg.tensor([0.5, -1.0, 2.0], dtype=tg.float64, requires_grad=True)
    for number in (2, 3, 0.5):
        (g,) = engine.grad((number**x).sum(), x, create_graph=True)
        np.testing.assert_allclose(g.detach().numpy(), np.log(number) * float(number) ** x.detach().numpy(), 1e-15)
        np.testing.assert_allclose(engine.grad(g.sum(), x)[0].numpy(), np.log(number) ** 2 * float(number) ** x.detach().numpy(), 1e-15)
    zero = tg.tensor([0.0, 1.0, 2.0], dtype=tg.float64, requires_grad=True)
    assert engine.grad((0**zero).sum(), zero)[0].tolist() == [0.0, 0.0, 0.0]


def test_numbers_have_axes_too():
    """0-d tensors take axis 0 and −1, as in NumPy and PyTorch."""
    for name in ("sum", "prod", "logsumexp", "cumsum", "cumprod"):
        for axis in (0, -1):
            x = tg.tensor(3.0, dtype=tg.float64, requires_grad=True)
            out = registry[name].function(x, axis=axis)
            assert engine.grad(out, x, Tensor(np.full(out.shape, 2.0), None))[0].tolist() == 2.0, name
            zero = tg.tensor(0.0, dtype=tg.float64, requires_grad=True)
            out = registry[name].function(zero, axis=axis)
            assert engine.grad(out, zero, Tensor(np.full(out.shape, 2.0), None))[0].tolist() == 2.0, name


def test_variances_of_too_few_numbers():
    x = tg.tensor([1.0, 2.0], dtype=tg.float64, requires_grad=True)
    with np.errstate(all="ignore"):
        for name in ("var", "std"):
            out = registry[name].function(x, correction=3)
            assert np.isnan(engine.grad(out, x)[0].numpy()).all(), name
            assert np.isfinite(engine.grad(registry[name].function(x, correction=1), x)[0].numpy()).all()


def test_softmax_of_nothing():
    for shape in ((0, 3), (3, 0), (0, 0)):
        for name in ("softmax", "log_softmax"):
            x = tg.zeros(shape, dtype=tg.float64, requires_grad=True)
            out = registry[name].function(x, axis=1)
            assert out.shape == shape and out.array is not x.array
            assert engine.grad(out, x, Tensor(np.zeros(shape), None))[0].shape == shape


def test_error_functions_in_blocks_of_any_memory():
    from math import erf, erfc

    reference, complement = np.vectorize(erf), np.vectorize(erfc)
    x = np.random.default_rng(2).uniform(-6, 6, 3 * 4096 + 17)
    x[:9] = [0, -0.0, 1, -1, 0.5, 30, -30, np.inf, -np.inf]
    for array in (x, x[::2], x[:12288].reshape(3, 4096).T, x[:12288].reshape(4096, 3)[:, 1:], x[:1][0:1], x[::-1]):
        np.testing.assert_allclose(registry["erf"].function(array), reference(array), 1e-14, 1e-16)
        np.testing.assert_allclose(registry["erfc"].function(array), complement(array), 1e-13, 1e-300)
        single = array.astype(np.float32)
        found = registry["erf"].function(single)
        assert found.dtype == np.float32 and found.shape == single.shape
        np.testing.assert_allclose(found, reference(single.astype(np.float64)), 3e-7, 1e-9)
    assert registry["erf"].function(np.float64(0.5)) == pytest.approx(erf(0.5), 1e-15)
    t = tg.tensor(x, requires_grad=True)
    (g,) = engine.grad(registry["erf"].function(t), t, Tensor(np.ones(x.size), None))
    np.testing.assert_allclose(g.numpy(), 2 / np.sqrt(np.pi) * np.exp(-np.minimum(x * x, 700.0)), 1e-12, 1e-300)
    assert np.isnan(registry["erf"].function(np.array([np.nan]))).all() and np.isnan(registry["erf"].function(np.array([np.nan], np.float32))).all()


def test_what_is_not_a_number():
    assert registry["isnan"].function(np.array([1.0, np.nan, np.inf])).tolist() == [False, True, False]


def test_counting_embeddings_of_a_table_with_unused_rows():
    """The counts have a place for every row, also for those behind the last one that is used."""
    x = tg.tensor(normal(9, 2), requires_grad=True)
    (g,) = engine.grad(registry["embed"].function(x, indices=np.array([1, 1, 0]), scale=True), x, Tensor(np.ones((3, 2)), None))
    assert g.tolist() == [[1.0, 1.0], [1.0, 1.0]] + [[0.0, 0.0]] * 7
    (g,) = engine.grad(registry["embed"].function(x, indices=np.array([1, 0]), padding_idx=0), x, Tensor(np.ones((2, 2)), None))
    assert g.tolist()[:2] == [[0.0, 0.0], [1.0, 1.0]]
    (g,) = engine.grad(registry["embed"].function(x, indices=np.array([1, 0]), padding_idx=None), x, Tensor(np.ones((2, 2)), None))
    assert g.tolist()[:2] == [[1.0, 1.0], [1.0, 1.0]]


def test_powers_where_logarithms_are_not():
    """0 to a negative power is infinite, and its slope is not hidden by the rule for 0 to a positive one."""
    x, y = tg.tensor([0.0, 0.0, 0.0], dtype=tg.float64, requires_grad=True), tg.tensor([-1.0, 0.0, 1.0], dtype=tg.float64, requires_grad=True)
    with np.errstate(all="ignore"):
        gx, gy = engine.grad(x**y, [x, y], Tensor(np.array([1.0, 2.0, 3.0]), None))
    assert gy.tolist() == [-np.inf, 0.0, 0.0] and gx.tolist() == [-np.inf, 0.0, 3.0]
    t = tg.tensor([2.0, 3.0], dtype=tg.float64, requires_grad=True)
    np.testing.assert_allclose(engine.grad(1**t, t, Tensor(np.ones(2), None))[0].numpy(), [0, 0])
    np.testing.assert_allclose(engine.grad(0.5**t, t, Tensor(np.array([1.0, 2.0]), None))[0].numpy(), np.log(0.5) * np.array([0.25, 0.25]))


def test_values_that_rules_and_forwards_compute_with_the_same_helper():
    """A helper that is wrong for both would agree with itself: values against formulas written out here."""
    x, target = normal(5, 3), np.array([2, 0, 2, 1, 1])
    logs = x - np.log(np.exp(x).sum(axis=1, keepdims=True))
    for weight, ignored, smoothing in itertools.product((None, np.array([0.3, 1.0, 2.0])), (None, 1, 2), (0.0, 0.2)):
        w = np.ones(3) if weight is None else weight
        rows = [k for k in range(5) if target[k] != ignored]
        each = np.array([-(1 - smoothing) * w[target[k]] * logs[k, target[k]] - smoothing / 3 * (w * logs[k]).sum() if k in rows else 0.0 for k in range(5)])
        options = dict(weight=weight, ignore_index=ignored, label_smoothing=smoothing, target=target)
        function = registry["class_cross_entropy"].function
        np.testing.assert_allclose(function(x, reduction="none", **options), each, 1e-12, 1e-12)
        np.testing.assert_allclose(function(x, reduction="sum", **options), each.sum(), 1e-12)
        np.testing.assert_allclose(function(x, reduction="mean", **options), each.sum() / sum(w[target[k]] for k in rows), 1e-12)
        single = tg.tensor(np.float32(x), requires_grad=True)
        out = function(single, reduction="mean", **options)
        assert out.dtype == np.float32 and engine.grad(out, single)[0].dtype == np.float32
    for beta, threshold in ((1.0, 20.0), (2.0, 1.0), (0.5, 0.35)):
        expected = np.where(SIDES * beta > threshold, SIDES, np.log1p(np.exp(SIDES * beta)) / beta)
        np.testing.assert_allclose(registry["softplus"].function(SIDES, beta=beta, threshold=threshold), expected, 1e-13)
    assert registry["softplus"].function(np.float32(SIDES), beta=2.0).dtype == np.float32
    assert registry["softplus"].function(np.array([20.0])) > 20.0, "at the threshold itself the formula holds"
    np.testing.assert_allclose(registry["sigmoid"].function(np.array([-800.0, -1.0, 0.0, 800.0])), [0, 1 / (1 + np.e), 0.5, 1], 1e-14, 1e-300)
    np.testing.assert_allclose(registry["sigmoid"].function(np.full(5000, -800.0)), 0, 0, 1e-300)


def test_powers_of_infinity():
    x = tg.tensor([np.inf, 2.0], dtype=tg.float64, requires_grad=True)
    assert engine.grad((x**0).sum(), x)[0].tolist() == [0.0, 0.0]
    with np.errstate(invalid="ignore"):
        assert engine.grad(registry["pow"].function(x, tg.zeros(2, dtype=tg.float64)).sum(), x)[0].tolist() == [0.0, 0.0]


def test_an_exponent_that_is_a_number_decides_no_type():
    """ζ(s, x), P(a, x) and Q(a, x), with numbers for s and a: float32 stays, and whole numbers are no integers."""
    for dtype, rtol in ((tg.float32, 2e-6), (tg.float64, 1e-12)):
        x = tg.tensor([1.0, 2.0], dtype=dtype, requires_grad=True)
        at = np.array([1.0, 2.0])
        for a in (2, 2.0, 2.5):
            for name, sign in zip(("gamma_lower", "gamma_upper"), (1, -1)):
                out = registry[name].function(a, x)
                (g,) = engine.grad(out.sum(), x)
                assert out.dtype == g.dtype == dtype, name
                np.testing.assert_allclose(g.numpy(), sign * at ** (a - 1) * np.exp(-at) / math.gamma(a), rtol, err_msg=name)
        for s in (2, 2.0):
            out = registry["zeta"].function(s, x)
            (g,) = engine.grad(out.sum(), x)
            assert out.dtype == g.dtype == dtype
            np.testing.assert_allclose(out.numpy(force=True), [np.pi**2 / 6, np.pi**2 / 6 - 1], rtol)
            np.testing.assert_allclose(g.numpy(), [-2 * 1.2020569031595942, -2 * 0.2020569031595942], rtol)
            out = registry["zeta"].function(tg.tensor([2.0, 4.0], dtype=dtype), s - 1)
            assert out.dtype == dtype
            np.testing.assert_allclose(out.numpy(), [np.pi**2 / 6, np.pi**4 / 90], rtol)


def test_signs():
    """0 for NaN among real numbers; a complex number that is none stays that; integers stay integers."""
    sign = registry["sign"].forward
    for dtype in (np.float32, np.float64):
        found = sign(np.array([np.nan, -2.5, -0.0, 3.0, -np.inf], dtype))
        assert found.dtype == dtype and found.tolist() == [0, -1, 0, 1, -1]
    assert sign(np.array([-3, 0, 7], np.int8)).dtype == np.int8 and sign(np.array([-3, 0, 7])).tolist() == [-1, 0, 1]
    (bad, good) = sign(np.array([complex(np.nan, 1), 3j]))
    assert np.isnan(bad.real) and good == 1j


@pytest.mark.parametrize("graph", [False, True])
@pytest.mark.parametrize("eps, expected", [(None, [NAN, INF, 1 / 0.0099, 1 / 0.09, 4, 1 / 0.09, 1 / 0.0099, INF, NAN, NAN]), (0.1, [0, 0, 0, 1 / 0.09, 4, 1 / 0.09, 0, 0, 0, NAN])])
def test_logits_at_their_edges(eps, expected, graph):
    x = tg.tensor([-0.5, 0.0, 0.01, 0.1, 0.5, 0.9, 0.99, 1.0, 1.5, NAN], dtype=tg.float64, requires_grad=True)
    with np.errstate(all="ignore"):
        out = registry["logit"].function(x, eps=eps)
        (g,) = engine.grad(out, x, Tensor(np.ones(10), None), create_graph=graph)
    np.testing.assert_allclose(g.detach().numpy(), expected, 1e-12)
    at = np.clip(x.detach().numpy(), eps or 0, 1 - (eps or 0))[1:8]
    with np.errstate(divide="ignore"):
        np.testing.assert_allclose(out.detach().numpy()[1:8], np.log(at) - np.log1p(-at), 1e-12, 1e-12)


def test_cross_entropies_of_rows_that_do_not_count():
    """Of no rows the mean is NaN, its slope 0."""
    for options in (dict(), dict(weight=np.array([0.3, 1.0, 2.0])), dict(label_smoothing=0.2)):
        for graph in (False, True):
            x = tg.tensor(normal(2, 3), requires_grad=True)
            out = registry["class_cross_entropy"].function(x, target=np.array([1, 1]), ignore_index=1, **options)
            assert np.isnan(out.item()) and engine.grad(out, x, create_graph=graph)[0].tolist() == [[0, 0, 0]] * 2


# Where comparisons choose, the gradient is a function of the input with slope 0, and not a constant.
PIECES = [
    ("relu", [-1.0, 0.5, 2.0], {}), ("leaky_relu", [-1.0, 0.5, 2.0], {}), ("hardtanh", [-2.0, 0.5, 2.0], {}), ("hardshrink", [-2.0, 0.2, 2.0], {}),
    ("softshrink", [-2.0, 0.2, 2.0], {}), ("threshold_elementwise", [-2.0, 0.2, 2.0], dict(threshold=0.1, value=7.0)),
    ("gather_chosen", [3.0, 1.0, 2.0], dict(axis=0, index=np.array([2, 0]))), ("max_pool", [[[3.0, 1.0, 2.0]]], dict(kernel=(2,), stride=(1,), dilation=(1,), padding=((0, 0),))),
]  # fmt: skip


@pytest.mark.parametrize("name, numbers, params", PIECES, ids=[k[0] for k in PIECES])
def test_slopes_of_pieces_are_zero_and_not_unknown(name, numbers, params):
    x = tg.tensor(numbers, dtype=tg.float64, requires_grad=True)
    (g,) = engine.grad(registry[name].function(x, **params).sum(), x, create_graph=True)
    assert engine.grad(g.sum(), x)[0].tolist() == np.zeros(x.shape).tolist()


def test_slopes_of_a_learned_slope():
    """PReLU: of each input's gradient, the one with respect to that input is 0, and with respect to the other as it should be."""
    x, weight = (tg.tensor(v, dtype=tg.float64, requires_grad=True) for v in ([-2.0, 1.0, -3.0], 0.25))
    gx, gw = engine.grad(registry["prelu_elementwise"].function(x, weight).sum(), (x, weight), create_graph=True)
    assert [g.tolist() for g in engine.grad(gx.sum(), (x, weight))] == [[0, 0, 0], 2]
    assert engine.grad(gw.sum(), x)[0].tolist() == [1, 0, 1]


def test_products_of_two_operands_lie_in_rows():
    """A result of einsum that names the first operand's indices first can be viewed, as PyTorch's."""
    for equation, x, y in [("ij,jk->ik", (2, 3), (3, 4)), ("bij,bjk->bik", (5, 2, 3), (5, 3, 4)), ("bij,jk->bik", (5, 2, 3), (3, 4)), ("ji,jk->ik", (3, 2), (3, 4)), ("i,j->ij", (2,), (3,))]:
        x, y = normal(*x), normal(*y)
        found = registry["einsum_operator"].forward(x, y, equation=equation)
        assert found.flags.c_contiguous, equation
        np.testing.assert_allclose(found, np.einsum(equation, x, y), 1e-12)


def test_results_lie_in_rows_whatever_the_memory_of_their_inputs():
    """So that .view takes them, as in PyTorch."""
    x = normal(3, 4, 5).transpose(2, 0, 1)
    for name, params in (("softmax", dict(axis=1)), ("log_softmax", dict(axis=-1)), ("cumsum", dict(axis=1)), ("concatenate", dict(axis=1)), ("stack", dict(axis=1)), ("amax", dict(axis=0)), ("sum", dict(axis=0))):
        xs = (x, x) if name in ("concatenate", "stack") else (x,)
        assert registry[name].forward(*xs, **params).flags.c_contiguous, name
    np.testing.assert_allclose(registry["softmax"].forward(x, axis=1), np.exp(x) / np.exp(x).sum(1, keepdims=True), 1e-12)
    np.testing.assert_array_equal(registry["cumsum"].forward(x, axis=1), np.cumsum(x, 1))


def test_the_largest_elements_of_rows_with_what_is_not_a_number():
    """NaN wins, and shares with no number; a number that was chosen although there is NaN gets all."""
    for name in ("amax", "amin"):
        x = tg.tensor([[1.0, NAN, NAN], [2.0, 2.0, 2.0]], dtype=tg.float64, requires_grad=True)
        assert engine.grad(registry[name].function(x, axis=1).sum(), x)[0].tolist() == [[0, 0.5, 0.5], [1 / 3] * 3]
    x = tg.tensor([1.0, NAN, 2.0, 2.0], dtype=tg.float64, requires_grad=True)
    assert engine.grad(registry["element"].function(x, place=2), x)[0].tolist() == [0, 0, 0.5, 0.5]
    assert engine.grad(registry["element"].function(x, place=1), x)[0].tolist() == [0, 1, 0, 0]
