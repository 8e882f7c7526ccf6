"""The hypothesis strategies draw what they promise, and gradtest finds what it should."""

import numpy as np
import pytest
from hypothesis import find, given, settings
from hypothesis import strategies as st

import tinygrad_edu as tg
from tinygrad_edu import testing
from tinygrad_edu.testing import Domain, domain_of, gradtest

FEW = settings(max_examples=30)


# --- domains ----------------------------------------------------------------------------------------------------------


def test_domains_keep_off_kinks_and_poles():
    domain = Domain(-1, 1, avoid=(0, 0.5), margin=0.1)
    grid = domain.grid()
    assert len(grid) > 20 and domain.contains(grid).all() and grid[0] in (1, -1)
    assert np.array_equal(grid.astype(np.float32).astype(np.float64), grid)
    assert domain.contains(domain.sample(np.random.default_rng(0), (50,))).all()
    assert not domain.contains([0.05, 0.45, 1.1, -2]).any()


def test_domains_that_cannot_be():
    with pytest.raises(ValueError, match="low must be below high"):
        Domain(1, 1)
    with pytest.raises(ValueError, match="nothing is left"):
        Domain(0, 1, avoid=(0.5,), margin=2)
    with pytest.raises(ValueError, match="margin"):
        Domain(0, 1, margin=-1)


def test_operators_know_their_domain():
    assert domain_of("log").low == 0.2 and domain_of(tg.relu).avoid and domain_of("zeta", "x").low == 1.5
    for wrong, text in [("inv", "of a form"), ("no such operator", "not an operator")]:
        with pytest.raises(ValueError, match=text):
            domain_of(wrong)


# --- strategies -------------------------------------------------------------------------------------------------------


@FEW
@given(testing.broadcastable_shapes(3))
def test_broadcastable_shapes(shapes):
    assert len(shapes) == 3 and isinstance(np.broadcast_shapes(*shapes), tuple)


@FEW
@given(testing.matmul_tensors())
def test_matmul_tensors(pair):
    assert np.isfinite((pair[0] @ pair[1]).detach().numpy()).all()


@FEW
@given(testing.shapes(max_dims=3).flatmap(lambda shape: st.tuples(testing.tensors(shape), testing.axes(shape))))
def test_axes(drawn):
    x, axis = drawn
    np.sum(x.detach().numpy(), axis=axis)


@FEW
@given(testing.shapes(min_dims=1, max_dims=3).flatmap(lambda shape: st.tuples(st.just(shape), testing.indices(shape))))
def test_indices_fit_both_libraries(drawn):
    shape, index = drawn
    array = np.arange(float(np.prod(shape))).reshape(shape)
    assert np.array_equal(tg.tensor(array)[index].numpy(), array[index])


@FEW
@given(testing.tensors(layouts=True, domain=(0, 1), distinct=True, dtype=testing.dtypes()))
def test_tensors(x):
    array = x.detach().numpy()
    assert x.requires_grad and ((array >= 0) & (array <= 1)).all() and len(np.unique(array)) == array.size


@FEW
@given(testing.tensors(dtype=testing.dtypes("iub")))
def test_integers_have_no_gradient(x):
    assert x.dtype.kind in "iub" and not x.requires_grad


@FEW
@given(testing.broadcastable_tensors(2, distinct=True))
def test_distinct_across_tensors(pair):
    values = np.concatenate([x.detach().numpy().reshape(-1) for x in pair])
    assert len(np.unique(values)) == len(values)


def test_failures_shrink_to_something_simple():
    x = find(testing.arrays(domain=(-3, 3)), lambda a: a.size > 0 and a.sum() < 0, settings=settings(max_examples=500, database=None))
    assert x.size == 1 and x.reshape(-1)[0] == -1
    layout = find(testing.arrays((2, 2), layouts=True), lambda a: not a.flags.c_contiguous, settings=settings(max_examples=500, database=None))
    assert (layout == 1).all()


def test_every_kind_of_index_and_axis_comes():
    kinds = set()

    @settings(max_examples=200)
    @given(testing.indices((3, 2)), testing.axes((3, 2)))
    def collect(index, axis):
        parts = index if isinstance(index, tuple) else (index,)
        kinds.update("mask" if isinstance(p, np.ndarray) and p.dtype == bool else type(p).__name__ for p in parts)
        kinds.add(f"axis {type(axis).__name__}")
        for p in parts:
            if isinstance(p, np.ndarray) and p.dtype != bool and len(set((p % 2).reshape(-1).tolist())) < p.size:
                kinds.add("repeated")

    collect()
    assert kinds >= {"mask", "ndarray", "slice", "int", "ellipsis", "repeated", "axis NoneType", "axis int", "axis tuple"}, kinds


@pytest.mark.parametrize("make, error", [
    (lambda: testing.dtypes("x"), ValueError), (lambda: testing.tensors(domain=3).example, TypeError),
    (lambda: testing.indices((), lists=True, basic=False), ValueError), (lambda: testing.no_such_strategy, AttributeError),
])  # fmt: skip
def test_wrong_arguments(make, error):
    with pytest.raises(error):
        strategy = make()
        find(strategy.__self__ if hasattr(strategy, "__self__") else strategy, lambda x: True)


# --- gradtest ---------------------------------------------------------------------------------------------------------


@gradtest(order=2)
def test_right_function(x, y):
    return x * (y * x).sigmoid()


@gradtest(shapes="matmul")
def test_product(x, y):
    return (x @ y).tanh()


@gradtest(x=testing.tensors(domain=testing.POSITIVE), n=st.integers(1, 3))
def test_with_strategies(x, n):
    return x.log() ** n


@gradtest(domain=domain_of("sqrt"), fixtures=("float64",))
def test_with_a_fixture(x, float64):
    assert tg.get_default_dtype() == tg.float64
    return x.sqrt()


class Broken(tg.autograd.Function):
    """sin, with half of its derivative where x is above 1"""

    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x.sin()

    @staticmethod
    def backward(ctx, g):
        (x,) = ctx.saved_tensors
        return g * x.cos() * tg.where(x > 1, 0.5, 1.0)


def test_wrong_gradient_is_found():
    with pytest.raises(tg.autograd.GradcheckError) as caught:
        gradtest(lambda x: Broken.apply(x))()
    worst = caught.value.result.worst  # of the simplest case: one element, as near to 1 as the domain goes
    assert worst.analytic == pytest.approx(0.5 * np.cos(1.25)) and worst.numeric == pytest.approx(np.cos(1.25))


def test_wrong_second_derivative_is_found():
    def once(x):
        return Once.apply(x)

    gradtest(once)()
    with pytest.raises(tg.autograd.GradcheckError):
        gradtest(once, order=2)()


class Once(tg.autograd.Function):
    """x³, whose derivative cannot be differentiated"""

    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x**3

    @staticmethod
    def backward(ctx, g):
        (x,) = ctx.saved_tensors
        return g * 3 * x.detach() ** 2


def test_no_tie_and_no_kink_is_drawn():
    gradtest(lambda x: x.abs().max() + x.relu().sum(), examples=50)()


@pytest.mark.parametrize("options, text", [
    (dict(z=st.integers()), "no parameter 'z'"), (dict(shapes="matmul"), "two parameters"), (dict(shapes="round"), "broadcast"),
])  # fmt: skip
def test_wrong_use(options, text):
    with pytest.raises((TypeError, ValueError), match=text):
        gradtest(lambda x: x, **options)
    with pytest.raises(TypeError, match="no parameter to draw"):
        gradtest(lambda: None)


def test_without_hypothesis(monkeypatch):
    import sys

    monkeypatch.setitem(sys.modules, "hypothesis", None)
    for name in ("strategies", "property_tests", "machine"):
        monkeypatch.delitem(sys.modules, f"tinygrad_edu.testing.{name}", raising=False)
    with pytest.raises(ImportError, match=r'tensors needs hypothesis; run  pip install "tinygrad_edu\[testing\]"'):
        testing.tensors  # noqa: B018
    assert testing.check_engine({"mul": (tg.mul, np.multiply)}, programs=5)
