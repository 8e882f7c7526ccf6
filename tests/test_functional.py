"""autograd.functional: products and matrices of derivatives against formulas written by hand, and what strict refuses."""

import numpy as np
import pytest

import tinygrad_edu as tg
from tinygrad_edu.autograd import functional as fn


def t(*values, **options):
    return tg.tensor(values, dtype=tg.float64, **options)


def arrays(value):
    return tuple(arrays(v) for v in value) if isinstance(value, tuple) else value.detach().numpy()


def same(found, expected):
    """Same nesting, same numbers."""
    if isinstance(expected, tuple):
        assert isinstance(found, tuple) and len(found) == len(expected)
        for f, e in zip(found, expected):
            same(f, e)
    else:
        expected = np.asarray(expected, float)
        assert isinstance(found, tg.Tensor) and found.shape == expected.shape, (found, expected)
        np.testing.assert_allclose(found.detach().numpy(), expected, 1e-12, 1e-12)


def two(x, y):
    """Two outputs of two inputs: x² y elementwise (3), and Σ x + 5 y₀ (a number)."""
    return x * x * y, x.sum() + 5 * y[0]


X, Y = t(1.0, 2.0, 3.0), t(4.0, 5.0, 6.0)
x, y = arrays(X), arrays(Y)
FIRST = 2 * x * y  # ∂(x² y)/∂x, on the diagonal
SECOND = x * x  # ∂(x² y)/∂y
VALUES = (x * x * y, x.sum() + 5 * y[0])


def test_vjp():
    v = (t(1.0, 10.0, 100.0), tg.tensor(7.0, dtype=tg.float64))
    outputs, found = fn.vjp(two, (X, Y), v)
    same(outputs, VALUES)
    same(found, (FIRST * arrays(v[0]) + 7, SECOND * arrays(v[0]) + np.array([35.0, 0, 0])))
    same(fn.vjp(lambda x: x * x, X, Y), (x * x, 2 * x * y))
    same(fn.vjp(lambda x: (x * x).sum(), X), ((x * x).sum(), 2 * x))
    same(fn.vjp(lambda x, y: (x * y).sum(), (X, Y)), ((x * y).sum(), (y, x)))
    same(fn.vjp(lambda x: (x * x,), X, Y), ((x * x,), 2 * x * y))
    same(fn.vjp(lambda x: x * x, (X,), Y), (x * x, (2 * x * y,)))


def test_jvp():
    v = (t(1.0, 10.0, 100.0), t(-1.0, 2.0, 3.0))
    outputs, found = fn.jvp(two, (X, Y), v)
    same(outputs, VALUES)
    same(found, (FIRST * arrays(v[0]) + SECOND * arrays(v[1]), 111.0 - 5))
    same(fn.jvp(lambda x: x * x, X, Y), (x * x, 2 * x * y))
    same(fn.jvp(lambda x: (x * x,), X, Y), ((x * x,), (2 * x * y,)))
    same(fn.jvp(lambda x: x * Y, tg.tensor(3.0, dtype=tg.float64)), (3 * y, y))


def quadratic(x, y):
    """x₀² y₀ + x₁ y₁² + x₂³"""
    return x[0] * x[0] * y[0] + x[1] * y[1] * y[1] + x[2] ** 3


HXX = np.diag([2 * y[0], 0, 6 * x[2]])
HXY = np.diag([2 * x[0], 2 * y[1], 0])
HYY = np.diag([0, 2 * x[1], 0])
VALUE = x[0] ** 2 * y[0] + x[1] * y[1] ** 2 + x[2] ** 3


@pytest.mark.parametrize("product", [fn.hvp, fn.vhp])
def test_products_with_second_derivatives(product):
    v = (t(1.0, 10.0, 100.0), t(-1.0, 2.0, 3.0))
    a, b = arrays(v)
    same(product(quadratic, (X, Y), v), (VALUE, (HXX @ a + HXY @ b, HXY @ a + HYY @ b)))
    same(product(lambda x: quadratic(x, Y), X, v[0]), (VALUE, HXX @ a))
    same(product(lambda x: (x**3).sum(), tg.tensor(2.0, dtype=tg.float64)), (8.0, 12.0))
    with pytest.raises(RuntimeError, match="v can be left out only where the input is a single number"):
        product(lambda x: (x**3).sum(), X)
    with pytest.raises(RuntimeError, match="must return one number"):
        product(lambda x: x * x, X, X)
    with pytest.raises(RuntimeError, match="must return one number"):
        product(lambda x: (x.sum(), x.sum()), X, X)
    with pytest.raises(RuntimeError, match="must return one number"):
        product(lambda x: (x.sum(),), X, X)


def test_jacobian():
    same(fn.jacobian(two, (X, Y)), ((np.diag(FIRST), np.diag(SECOND)), (np.ones(3), np.array([5.0, 0, 0]))))
    same(fn.jacobian(lambda x: x * x, X), np.diag(2 * x))
    same(fn.jacobian(lambda x: x * x, (X,)), (np.diag(2 * x),))
    same(fn.jacobian(lambda x: (x * x,), X), (np.diag(2 * x),))
    same(fn.jacobian(lambda x: x.sum(), X), np.ones(3))
    m = tg.arange(6, dtype=tg.float64).reshape(2, 3)
    found = fn.jacobian(lambda x: m @ x, X)
    same(found, arrays(m))
    same(fn.jacobian(lambda w: w @ X, m), np.einsum("ij,k->ijk", np.eye(2), x))
    for options in (dict(vectorize=True), dict(strategy="forward-mode"), dict(strategy="reverse-mode")):
        same(fn.jacobian(lambda x: x * x, X, **options), np.diag(2 * x))
    with pytest.raises(ValueError, match="strategy must be"):
        fn.jacobian(lambda x: x * x, X, strategy="sideways")
    empty = fn.jacobian(lambda x: x[:0], X)
    assert empty.shape == (0, 3) and empty.dtype == tg.float64


def test_hessian():
    same(fn.hessian(quadratic, (X, Y)), ((HXX, HXY), (HXY.T, HYY)))
    same(fn.hessian(lambda x: quadratic(x, Y), X), HXX)
    same(fn.hessian(lambda x: quadratic(x, Y), (X,)), ((HXX,),))
    same(fn.hessian(lambda x: x.sum(), X), np.zeros((3, 3)))
    with pytest.raises(RuntimeError, match="must return one number"):
        fn.hessian(lambda x: x * x, X)
    with pytest.raises(RuntimeError, match="must return one number"):
        fn.hessian(lambda x: (x.sum(), x.sum()), X)
    with pytest.raises(ValueError, match="strategy"):
        fn.hessian(lambda x: x.sum(), X, outer_jacobian_strategy="sideways")


def test_inputs_that_do_not_matter_have_zeros_and_strict_refuses_them():
    constant = t(1.0, 1.0)
    same(fn.vjp(lambda x, y: x * 2, (X, Y), X), (2 * x, (2 * x, np.zeros(3))))
    same(fn.vjp(lambda x: (x * 2, constant), X, (X, constant)), ((2 * x, arrays(constant)), 2 * x))
    same(fn.vjp(lambda x: constant, X, constant), (arrays(constant), np.zeros(3)))
    same(fn.jvp(lambda x: (constant, x * 2), X, X), ((arrays(constant), 2 * x), (np.zeros(2), 2 * x)))
    same(fn.jacobian(lambda x, y: x * 2, (X, Y)), (2 * np.eye(3), np.zeros((3, 3))))
    same(fn.hvp(lambda x, y: (x**2).sum(), (X, Y), (X, Y)), ((x**2).sum(), (2 * x, np.zeros(3))))
    same(fn.vjp(lambda x, y: constant, (X, Y), constant), (arrays(constant), (np.zeros(3), np.zeros(3))))
    same(fn.jvp(lambda x, y: constant, (X, Y), (X, Y)), (arrays(constant), np.zeros(2)))
    same(fn.jacobian(lambda x, y: constant, (X, Y)), (np.zeros((2, 3)), np.zeros((2, 3))))
    for product in (fn.hvp, fn.vhp):
        same(product(lambda x, y: (x**2).sum(), (X, Y), (X, Y)), ((x**2).sum(), (2 * x, np.zeros(3))))
        same(product(lambda x, y: constant[0], (X, Y), (X, Y)), (1.0, (np.zeros(3), np.zeros(3))))
    for attempt in (lambda: fn.vjp(lambda x, y: x * 2, (X, Y), X, strict=True), lambda: fn.jacobian(lambda x, y: x * 2, (X, Y), strict=True),
                    lambda: fn.jvp(lambda x, y: x * 2, (X, Y), (X, Y), strict=True),
                    lambda: fn.hessian(lambda x, y: (x * x).sum(), (X, Y), strict=True),
                    lambda: fn.hvp(lambda x, y: (x * x).sum(), (X, Y), (X, Y), strict=True)):  # fmt: skip
        with pytest.raises(RuntimeError, match=r"\(strict=True\): the outputs do not depend on input 1"):
            attempt()
    with pytest.raises(RuntimeError, match=r"vjp\(strict=True\): output 1 does not depend on the inputs"):
        fn.vjp(lambda x: (x * 2, constant), X, (X, constant), strict=True)
    with pytest.raises(RuntimeError, match=r"hvp\(strict=True\): the outputs do not depend on input 0"):
        fn.hvp(lambda x, y: (y * x.detach()).sum() + y.sum() ** 2, (X, Y), (X, Y), strict=True)
    same(fn.vjp(lambda x, y: x * y, (X, Y), X, strict=True), (x * y, (x * y, x * x)))
    same(fn.jacobian(lambda x: x * x, X, strict=True), np.diag(2 * x))


def test_second_derivatives_that_are_zero_and_strict():
    with pytest.raises(RuntimeError, match=r"\(strict=True\)"):
        fn.hvp(lambda x: (x * 3).sum(), X, X, strict=True)
    with pytest.raises(RuntimeError, match=r"\(strict=True\)"):
        fn.vhp(lambda x: (x * 3).sum(), X, X, strict=True)
    same(fn.hvp(lambda x: (x * 3).sum(), X, X), (3 * x.sum(), np.zeros(3)))


@pytest.mark.parametrize("attempt", [
    lambda leaf: fn.vjp(lambda x: x**3, leaf, X, create_graph=True)[1],
    lambda leaf: fn.jvp(lambda x: x**3, leaf, X, create_graph=True)[1],
    lambda leaf: fn.jacobian(lambda x: x**3, leaf, create_graph=True) @ X,
    lambda leaf: fn.hvp(lambda x: (x**4).sum() / 4, leaf, X / (leaf.detach()), create_graph=True)[1],
    lambda leaf: fn.hessian(lambda x: (x**4).sum() / 12, leaf, create_graph=True) @ X,
    lambda leaf: fn.vhp(lambda x: (x**4).sum() / 4, leaf, X / (leaf.detach()), create_graph=True)[1],
])  # fmt: skip
def test_results_stay_in_a_graph_where_that_is_asked_for(attempt):
    """3 x² v and its kin, differentiated once more with respect to the caller's own leaf."""
    leaf = t(2.0, 0.5, -1.0, requires_grad=True)
    found = attempt(leaf)
    assert found.requires_grad
    (slope,) = tg.autograd.grad(found.sum(), leaf)
    at = leaf.detach().numpy()
    assert any(np.allclose(slope.numpy(), expected) for expected in (6 * at * x, 6 * x, 2 * at * x)), slope
    assert leaf.grad is None


def test_results_have_no_graph_otherwise_and_leave_the_inputs_alone():
    leaf = t(2.0, 0.5, -1.0, requires_grad=True)
    for found in (fn.vjp(lambda x: x**3, leaf, X), fn.jvp(lambda x: x**3, leaf, X), fn.jacobian(lambda x: x**3, leaf),
                  fn.hessian(lambda x: (x**3).sum(), leaf), fn.hvp(lambda x: (x**3).sum(), leaf, X), fn.vhp(lambda x: (x**3).sum(), leaf, X)):  # fmt: skip
        for result in found if isinstance(found, tuple) else (found,):
            assert not result.requires_grad
    assert leaf.grad is None and leaf.is_leaf
    plain = t(1.0, 2.0)
    created = fn.jacobian(lambda x: x**3, plain, create_graph=True)
    assert created.shape == (2, 2) and not plain.requires_grad
    with tg.no_grad():
        same(fn.vjp(lambda x: x**3, X, X), (x**3, 3 * x**3))
        same(fn.jvp(lambda x: x**3, X, X), (x**3, 3 * x**3))
        same(fn.jacobian(lambda x: x**3, X), np.diag(3 * x**2))
        same(fn.hvp(lambda x: (x**3).sum(), X, X), ((x**3).sum(), 6 * x * x))
        same(fn.hessian(lambda x: (x**3).sum(), X), np.diag(6 * x))


def test_the_function_sees_inputs_of_its_own():
    leaf, seen = t(1.0, 2.0, requires_grad=True), []
    fn.vjp(lambda x: seen.append(x) or x * 2, leaf, t(1.0, 1.0))
    assert seen[0] is not leaf and seen[0].is_leaf and seen[0].requires_grad
    fn.vjp(lambda x: seen.append(x) or x * 2, leaf, t(1.0, 1.0), create_graph=True)
    assert seen[1] is not leaf and not seen[1].is_leaf
    fn.vjp(lambda x: seen.append(x) or x * 2, leaf.detach(), t(1.0, 1.0), create_graph=True)
    assert seen[2].is_leaf and seen[2].requires_grad


@pytest.mark.parametrize("attempt, words", [
    (lambda: fn.vjp(lambda x: x, 5.0), "vjp: the inputs must be a Tensor or a tuple of Tensors, not float"),
    (lambda: fn.vjp(lambda x: x, ()), "vjp: the inputs must be"),
    (lambda: fn.jvp(lambda x: x, (X, 5.0)), "jvp: the inputs must be a Tensor or a tuple of Tensors, not tuple"),
    (lambda: fn.vjp(lambda x: 5.0, X), "vjp: what the function returns must be"),
    (lambda: fn.vjp(lambda x: x, X, 5.0), "vjp: v must be"),
    (lambda: fn.hessian(lambda x: 5.0, X), "hessian: what the function returns must be"),
    (lambda: fn.hessian(lambda x: x, 5.0), "hessian: the inputs must be"),
])  # fmt: skip
def test_what_is_no_tensor_is_refused(attempt, words):
    with pytest.raises(TypeError) as caught:
        attempt()
    assert words in str(caught.value)


@pytest.mark.parametrize("attempt, words", [
    (lambda: fn.vjp(lambda x: x, X), "vjp: v can be left out only where the output is a single number"),
    (lambda: fn.vjp(lambda x: (x.sum(), x.sum()), X), "vjp: v can be left out"),
    (lambda: fn.vjp(lambda x: x, X, t(1.0)), "vjp: v has shapes [[1]] and the output [[3]]"),
    (lambda: fn.vjp(lambda x: x, X, (X, X)), "v has shapes [[3], [3]] and the output [[3]]"),
    (lambda: fn.vjp(lambda x: (x, x.sum()), X, (X, X)), "v has shapes [[3], [3]] and the output [[3], []]"),
    (lambda: fn.vjp(lambda x: (x, x), X, (X,)), "v has shapes [[3]] and the output [[3], [3]]"),
    (lambda: fn.jvp(lambda x, y: x, (X, Y), (t(1.0), X)), "v has shapes [[1], [3]] and the input [[3], [3]]"),
    (lambda: fn.jvp(lambda x: x, X, t(1.0)), "jvp: v has shapes [[1]] and the input [[3]]"),
    (lambda: fn.jvp(lambda x: x, X), "jvp: v can be left out only where the input is a single number"),
])  # fmt: skip
def test_directions_that_do_not_fit_are_refused(attempt, words):
    with pytest.raises(RuntimeError) as caught:
        attempt()
    assert words in str(caught.value)


def test_lists_are_taken_like_tuples():
    same(fn.vjp(lambda x, y: [x * y], [X, Y], [X]), ((x * y,), (x * y, x * x)))


def test_results_come_in_tuples_with_and_without_a_graph():
    """As many as there are inputs or outputs, whether these come in tuples or lists; one tensor where there is one."""
    for graph in (False, True):
        for inputs in ((X, Y), [X, Y]):
            same(fn.vjp(lambda x, y: [x * y, x], inputs, (X, Y), create_graph=graph), ((x * y, x), (x * y + y, x * x)))
            same(fn.jvp(lambda x, y: [x * y, x], inputs, [X, Y], create_graph=graph), ((x * y, x), (2 * x * y, x)))
            same(fn.jacobian(lambda x, y: [x * y, x], inputs, create_graph=graph), ((np.diag(y), np.diag(x)), (np.eye(3), np.zeros((3, 3)))))
            same(fn.hessian(lambda x, y: (x * y).sum(), inputs, create_graph=graph), ((np.zeros((3, 3)), np.eye(3)), (np.eye(3), np.zeros((3, 3)))))
            same(fn.hvp(lambda x, y: (x * y).sum(), inputs, [X, Y], create_graph=graph), ((x * y).sum(), (y, x)))
            same(fn.vhp(lambda x, y: (x * y).sum(), inputs, [X, Y], create_graph=graph), ((x * y).sum(), (y, x)))


def test_a_direction_of_one_element_may_be_left_out_whatever_its_shape():
    for shape in ((), (1,), (1, 1)):
        number = tg.full(shape, 2.0, dtype=tg.float64)
        same(fn.vjp(lambda x: x**3, number), (number.numpy() ** 3, 3 * number.numpy() ** 2))
        same(fn.jvp(lambda x: x**3, number), (number.numpy() ** 3, 3 * number.numpy() ** 2))
        same(fn.hvp(lambda x: (x**3).sum(), number), (8.0, 6 * number.numpy()))
        same(fn.vhp(lambda x: x**3, number), (number.numpy() ** 3, 6 * number.numpy()))
        same(fn.hessian(lambda x: x**3, number), np.full(shape * 2, 12.0))


def test_jvp_overflows_only_where_its_result_does():
    """u is 0 while the product is recorded as a function of u, so that no sum over outputs overflows."""
    same(fn.jvp(lambda x: (x * 1e308, x * 1e308), t(1.0), t(1.0)), ((np.array([1e308]), np.array([1e308])), (np.array([1e308]), np.array([1e308]))))
