"""The tensor surface as a PyTorch user knows it: linear algebra, special functions, transforms, dims, errors, printing.

Nothing here needs PyTorch: values come from NumPy and Python's math, derivatives from differences, texts were recorded from
PyTorch 2.13. The comparison with PyTorch itself is in test_opinfo.py.
"""

import math

import numpy as np
import pytest

import tinygrad_edu as tg
from tinygrad_edu.autograd import functional

pytestmark = pytest.mark.usefixtures("float64")

rng = np.random.default_rng(0)
SQUARE, TALL, WIDE = (rng.standard_normal(shape) for shape in ((2, 3, 3), (4, 3), (3, 4)))
SYMMETRIC = SQUARE @ SQUARE.swapaxes(-1, -2) + np.eye(3)


def close(ours, theirs, tolerance=1e-12):
    ours = ours.detach().numpy() if isinstance(ours, tg.Tensor) else np.asarray(ours)
    assert ours.shape == np.shape(theirs)
    np.testing.assert_allclose(ours, theirs, tolerance, tolerance)


def slope_agrees(function, *arrays):
    """First and second derivatives along random directions, against differences."""
    local = np.random.default_rng(1)
    directions = [local.standard_normal(a.shape) for a in arrays]

    def first(arrays):
        xs = [tg.tensor(a, requires_grad=True) for a in arrays]
        out = function(*xs)
        out = sum((o * np.cos(np.arange(o.numel()).reshape(o.shape))).sum() for o in (out if isinstance(out, tuple) else (out,)))
        grads = tg.autograd.grad(out, xs, create_graph=True)
        return out, sum((g * tg.tensor(d)).sum() for g, d in zip(grads, directions)), xs

    def moved(step):
        return first([a + step * d for a, d in zip(arrays, directions)])

    up, down = moved(1e-5), moved(-1e-5)
    _, slope, xs = first(arrays)
    assert slope.item() == pytest.approx((up[0] - down[0]).item() / 2e-5, rel=1e-6, abs=1e-6)
    bend = sum((g * tg.tensor(d)).sum().item() for g, d in zip(tg.autograd.grad(slope, xs, materialize_grads=True), directions))
    assert bend == pytest.approx((up[1] - down[1]).item() / 2e-5, rel=1e-5, abs=1e-5)


# --- linear algebra ----------------------------------------------------------------------------------------------------

LINEAR = {
    "inv": (tg.linalg.inv, np.linalg.inv, SQUARE),
    "det": (tg.linalg.det, np.linalg.det, SQUARE),
    "slogdet": (tg.linalg.slogdet, np.linalg.slogdet, SQUARE),
    "cholesky": (lambda x: tg.linalg.cholesky(x @ x.mT + tg.eye(3)), lambda x: np.linalg.cholesky(x @ x.swapaxes(-1, -2) + np.eye(3)), SQUARE),
    "eigvalsh": (lambda x: tg.linalg.eigvalsh(x + x.mT), lambda x: np.linalg.eigvalsh(x + x.swapaxes(-1, -2)), SQUARE),
    "eigh": (lambda x: tuple(tg.linalg.eigh(x + x.mT)), lambda x: tuple(np.linalg.eigh(x + x.swapaxes(-1, -2))), SQUARE),
    "svd": (lambda x: tuple(tg.linalg.svd(x, False)), lambda x: tuple(np.linalg.svd(x, False)), TALL),
    "svd wide": (lambda x: tuple(tg.linalg.svd(x, False)), lambda x: tuple(np.linalg.svd(x, False)), WIDE),
    "svdvals": (tg.linalg.svdvals, lambda x: np.linalg.svd(x, compute_uv=False), TALL),
    "qr": (lambda x: tuple(tg.linalg.qr(x)), lambda x: tuple(np.linalg.qr(x)), TALL),
    "qr wide": (lambda x: tuple(tg.linalg.qr(x)), lambda x: tuple(np.linalg.qr(x)), WIDE),
    "pinv": (tg.linalg.pinv, np.linalg.pinv, TALL),
    "matrix_power": (lambda x: tg.linalg.matrix_power(x, 3), lambda x: np.linalg.matrix_power(x, 3), SQUARE),
    "matrix_power -2": (lambda x: tg.linalg.matrix_power(x, -2), lambda x: np.linalg.matrix_power(x, -2), SYMMETRIC),
    "nuclear": (lambda x: tg.linalg.matrix_norm(x, "nuc"), lambda x: np.linalg.norm(x, "nuc"), TALL),
    "spectral": (lambda x: tg.linalg.norm(x, 2), lambda x: np.linalg.norm(x, 2), TALL),
    "rows": (lambda x: tg.linalg.norm(x, math.inf), lambda x: np.linalg.norm(x, np.inf), TALL),
    "norm 3": (lambda x: tg.linalg.vector_norm(x, 3, 0), lambda x: (np.abs(x) ** 3).sum(0) ** (1 / 3), TALL),
    "cond": (tg.linalg.cond, np.linalg.cond, SQUARE),
    "multi_dot": (lambda x: tg.linalg.multi_dot([x, x.T, x]), lambda x: x @ x.T @ x, TALL),
    "cross": (lambda x: tg.linalg.cross(x, x.flip(0)), lambda x: np.cross(x, x[::-1]), TALL),
    "solve": (lambda x: tg.linalg.solve(x, x[..., 0]), lambda x: np.linalg.solve(x, x[..., :1])[..., 0], SQUARE),
}  # fmt: skip


@pytest.mark.parametrize("name", LINEAR)
def test_linear_algebra(name):
    ours, theirs, x = LINEAR[name]
    results, expected = ours(tg.tensor(x)), theirs(x)
    for a, b in zip(results, expected) if isinstance(expected, tuple) else [(results, expected)]:
        close(a, b, 1e-10)
    slope_agrees((lambda t: ours(t)[1]) if name == "slogdet" else ours, x)


def test_exponential_of_matrices():
    x = np.array([[0.0, 2.0], [-2.0, 0.0]])
    close(tg.matrix_exp(tg.tensor(x)), [[math.cos(2), math.sin(2)], [-math.sin(2), math.cos(2)]])
    close(tg.matrix_exp(tg.tensor(np.diag([1.0, 20.0]))).diagonal(), np.exp([1.0, 20.0]))
    slope_agrees(tg.matrix_exp, SQUARE)


def test_the_determinant_of_singular_matrices_has_its_derivative():
    x = tg.tensor([[1.0, 2.0], [2.0, 4.0]], requires_grad=True)
    (g,) = tg.autograd.grad(tg.det(x), x, create_graph=True)
    close(g, [[4, -2], [-2, 1]])
    (h,) = tg.autograd.grad(g[0, 0], x)
    close(h, [[0, 0], [0, 1]])


def test_triangles_and_least_squares():
    a = tg.tensor(np.tril(SYMMETRIC[0]) + 100 * np.triu(np.ones((3, 3)), 1))  # what lies above must not be looked at
    b = tg.tensor(TALL[:3])
    close(tg.linalg.solve_triangular(a, b, upper=False), np.linalg.solve(np.tril(SYMMETRIC[0]), TALL[:3]), 1e-9)
    L = tg.linalg.cholesky(tg.tensor(SYMMETRIC[0]))
    close(tg.cholesky_solve(b, L), np.linalg.solve(SYMMETRIC[0], TALL[:3]), 1e-9)
    close(tg.cholesky_inverse(L), np.linalg.inv(SYMMETRIC[0]), 1e-9)
    close(tg.linalg.lstsq(tg.tensor(TALL), tg.tensor(TALL[:, :2])).solution, np.eye(3)[:, :2], 1e-9)
    assert tg.linalg.matrix_rank(tg.tensor(np.outer([1.0, 2], [3.0, 4]))).item() == 1


def test_equal_eigenvalues_have_finite_derivatives_where_nothing_tells_them_apart():
    x = tg.eye(3).requires_grad_()
    tg.linalg.eigh(x).eigenvalues.sum().backward()
    close(x.grad, np.eye(3))


# --- special functions -------------------------------------------------------------------------------------------------

POINTS = np.array([-3.7, -1.5, -0.3, 1e-8, 0.3, 1.0, 1.0 + 1e-9, 1.75, 2.0, 2.2, 7.5, 50.0, 1e5])


def test_gamma_functions():
    close(tg.lgamma(tg.tensor(POINTS)), [math.lgamma(x) for x in POINTS], 2e-14)
    h = 1e-5
    for x in (-3.7, 0.3, 1.75, 7.5):
        assert tg.digamma(tg.tensor(x)).item() == pytest.approx((math.lgamma(x + h) - math.lgamma(x - h)) / (2 * h), rel=1e-7)
    close(tg.digamma(tg.tensor([1.0, 0.5])), [-0.5772156649015329, -1.9635100260214235], 1e-14)
    close(tg.polygamma(1, tg.tensor([1.0, 0.5])), [math.pi**2 / 6, math.pi**2 / 2], 1e-14)
    close(tg.polygamma(2, tg.tensor(1.0)), -2.4041138063191886, 1e-14)
    close(tg.special.zeta(tg.tensor([2.0, 4.0]), tg.tensor([1.0, 1.0])), [math.pi**2 / 6, math.pi**4 / 90], 1e-14)
    slope_agrees(tg.lgamma, np.array([0.4, 1.5, 6.0]))


def test_bessel_functions_solve_their_equation():
    x = tg.tensor([0.5, 3.0, 25.0, 35.0], requires_grad=True)  # x²y″ + xy′ = x²y
    (first,) = tg.autograd.grad(tg.special.i0e(x).sum(), x, create_graph=True)
    close(tg.i0(tg.tensor([0.0, 1.0, 10.0])), [1.0, 1.2660658777520084, 2815.716628466254], 1e-14)
    close(tg.special.i1(tg.tensor([0.0, 1.0, -10.0])), [0.0, 0.5651591039924851, -2670.988303701255], 1e-14)
    close(first, (tg.special.i1e(x) - tg.special.i0e(x)).detach().numpy(), 1e-14)
    y = tg.tensor([0.5, 3.0, 8.0], requires_grad=True)
    (d1,) = tg.autograd.grad(tg.i0(y).sum(), y, create_graph=True)
    (d2,) = tg.autograd.grad(d1.sum(), y)
    close(y * y * d2 + y * d1, (y * y * tg.i0(y)).detach().numpy(), 1e-12)


def test_the_normal_distribution():
    x = np.array([-30.0, -8.0, -1.0, 0.0, 0.5, 3.0, 9.0])
    close(tg.special.ndtr(tg.tensor(x)), [0.5 * math.erfc(-v / math.sqrt(2)) for v in x], 1e-13)
    assert tg.special.log_ndtr(tg.tensor(-100.0)).item() == pytest.approx(-5005.524208694205, rel=1e-13)
    close(tg.special.ndtri(tg.special.ndtr(tg.tensor(x[1:6]))), x[1:6], 1e-12)
    close(tg.special.erfcx(tg.tensor([0.0, 1.0, 1e3])), [1.0, 0.427583576155807, 5.641893014533876e-4], 1e-13)
    for function in (tg.special.ndtr, tg.special.log_ndtr, tg.special.erfcx):
        slope_agrees(function, np.array([-2.0, 0.3, 1.7]))


# --- transforms of functions -------------------------------------------------------------------------------------------


def wave(x):
    return tg.sin(tg.tensor(TALL) @ x)


def test_jacobians_and_hessians_agree_in_all_spellings():
    x = tg.tensor([0.3, -0.2, 0.5])
    expected = np.cos(TALL @ x.numpy())[:, None] * TALL
    for jacobian in (tg.func.jacrev(wave), tg.func.jacfwd(wave), lambda x: functional.jacobian(wave, x)):
        close(jacobian(x), expected)
    total = lambda x: wave(x).sum()
    expected = -(TALL.T * np.sin(TALL @ x.numpy())) @ TALL
    for hessian in (tg.func.hessian(total), tg.func.jacrev(tg.func.jacrev(total)), tg.func.jacfwd(tg.func.jacfwd(total)),
                    lambda x: functional.hessian(total, x)):  # fmt: skip
        close(hessian(x), expected)
    v = tg.tensor([1.0, 2.0, 3.0])
    close(functional.hvp(total, x, v)[1], expected @ v.numpy())
    close(functional.vhp(total, x, v)[1], expected @ v.numpy())
    close(tg.func.jvp(wave, (x,), (v,))[1], np.cos(TALL @ x.numpy()) * (TALL @ v.numpy()))
    close(functional.jvp(wave, x, v)[1], np.cos(TALL @ x.numpy()) * (TALL @ v.numpy()))
    close(tg.func.vjp(wave, x)[1](tg.ones(4))[0], np.cos(TALL @ x.numpy()) @ TALL)
    value, push = tg.func.linearize(wave, x)
    close(push(v), tg.func.jvp(wave, (x,), (v,))[1].numpy())


def test_gradients_of_nested_containers_and_of_gradients():
    loss = lambda p, x: (p["w"] * x).sum() * p["b"][0]
    params = {"w": tg.tensor([1.0, 2.0]), "b": [tg.tensor(3.0)]}
    grads, value = tg.func.grad_and_value(loss)(params, tg.tensor([4.0, 5.0]))
    close(grads["w"], [12.0, 15.0]), close(grads["b"][0], 14.0), close(value, 42.0)
    assert not grads["w"].requires_grad
    close(tg.func.grad(tg.func.grad(tg.func.grad(lambda x: x**4)))(tg.tensor(2.0)), 48.0)
    w = tg.tensor([1.0, 2.0], requires_grad=True)  # what the function closes over stays in its graph
    g = tg.func.grad(lambda x: (x**2 * w).sum())(tg.tensor([3.0, 4.0]))
    close(tg.autograd.grad(g.sum(), w)[0], [6.0, 8.0])
    with tg.no_grad():
        assert not tg.func.grad(lambda x: (x**2 * w).sum())(w).requires_grad


def test_vmap():
    a = tg.tensor(TALL)
    close(tg.vmap(tg.func.grad(lambda r: (r**3).sum()))(a), 3 * TALL**2)
    close(tg.vmap(lambda u, v: u * v, in_dims=(1, None), out_dims=1)(a, tg.arange(4.0)), TALL * np.arange(4.0)[:, None])
    outer = tg.vmap(tg.vmap(lambda u, v: u * v, in_dims=(None, 0)), in_dims=(0, None))
    close(outer(tg.tensor([1.0, 2.0]), tg.tensor([3.0, 4.0])), [[3, 4], [6, 8]])
    noisy = lambda u: u + tg.rand(())
    with pytest.raises(RuntimeError, match="random"):
        tg.vmap(noisy)(a[:, 0])
    same = tg.vmap(noisy, randomness="same")(tg.zeros(3))
    different = tg.vmap(noisy, randomness="different")(tg.zeros(3))
    assert len(set(same.tolist())) == 1 and len(set(different.tolist())) == 3
    with pytest.raises(ValueError, match="agree"):
        tg.vmap(tg.add)(tg.ones(2), tg.ones(3))


def test_modules_as_functions():
    model = tg.nn.Sequential(tg.nn.Linear(3, 2), tg.nn.Tanh(), tg.nn.Linear(2, 1))
    before = {name: p.detach().clone() for name, p in model.named_parameters()}
    ones = {name: tg.ones_like(p) for name, p in before.items()}
    close(tg.func.functional_call(model, ones, (tg.tensor([1.0, 1.0, 1.0]),)), [2 * math.tanh(4) + 1])
    for name, p in model.named_parameters():
        assert p.equal(before[name])
    per_sample = tg.vmap(tg.func.grad(lambda p, x: tg.func.functional_call(model, p, (x,)).sum()), in_dims=(None, 0))(before, tg.tensor(TALL))
    assert per_sample["0.weight"].shape == (4, 2, 3)
    params, buffers = tg.func.stack_module_state([tg.nn.Linear(3, 2) for _ in range(5)])
    assert params["weight"].shape == (5, 2, 3) and params["weight"].requires_grad and not buffers


# --- dimensions, dtypes, results ---------------------------------------------------------------------------------------


def test_zero_dimensional_tensors_have_dimension_0_and_minus_1():
    x = tg.tensor(2.0)
    for name in ("sum", "mean", "prod", "amax", "cumsum", "logsumexp", "softmax", "argmax", "all"):
        assert getattr(tg, name)(x, 0).shape == () and getattr(tg, name)(x, -1).shape == ()
        with pytest.raises(IndexError):
            getattr(tg, name)(x, 1)
    for name in ("max", "median", "sort", "cummax", "mode"):
        values, indices = getattr(tg, name)(x, 0)
        assert values.item() == 2.0 and indices.item() == 0
    assert x.amax([]).item() == x.amin(()).item() == 2.0
    assert x.index_fill(0, tg.tensor([0]), 5.0).item() == 5.0 and x.unfold(0, 1, 1).shape == (1,)


def test_results_have_names():
    x = tg.tensor([[3.0, 1.0, 2.0]])
    assert x.max(1).values.item() == 3.0 and x.sort(1).indices.tolist() == [[1, 2, 0]]
    assert repr(tg.tensor([3.0, 1.0]).max(0)) == "return_types.max(\nvalues=tensor(3.),\nindices=tensor(0))"
    assert tg.linalg.svd(x)._fields == ("U", "S", "Vh") and tg.linalg.qr(x)._fields == ("Q", "R")


def test_out_stores_results():
    out, index = tg.empty(3), tg.empty(3, dtype=tg.int64)
    assert tg.add(tg.ones(3), 2, out=out) is out and out.tolist() == [3, 3, 3]
    tg.max(tg.tensor([[1.0, 5.0]] * 3), 1, out=(out, index))
    assert out.tolist() == [5, 5, 5] and index.tolist() == [1, 1, 1]
    with pytest.raises(RuntimeError, match="shape"):
        tg.add(tg.ones(2), 2, out=out)
    with pytest.raises(RuntimeError, match="cannot be stored"):
        tg.add(tg.ones(3), 2, out=index)


DTYPES = [("uint8", "sum", "int64"), ("bool", "sum", "int64"), ("int32", "prod", "int64"), ("uint8", "all", "uint8"), ("int64", "exp", "float32"),
          ("bool", "square", "int64"), ("float16", "sum", "float16"), ("int32", "cumsum", "int64"), ("int8", "abs", "int8")]  # fmt: skip


@pytest.mark.parametrize("given, name, expected", DTYPES)
def test_dtypes_of_results(given, name, expected):
    tg.set_default_dtype(tg.float32)
    args = (0,) if name == "cumsum" else ()
    assert getattr(tg.ones(3, dtype=getattr(tg, given)), name)(*args).dtype == expected
    tg.set_default_dtype(tg.float64)


def test_scattered_products_and_their_zeros():
    x, index = tg.tensor([2.0, 0.0, 0.0]), tg.tensor([0, 0, 1, 2])
    src = tg.tensor([3.0, 5.0, 7.0, 0.0])
    close(x.scatter_reduce(0, index, src, "prod"), [30, 0, 0])
    for zeros in ([3.0, 5.0, 7.0, 0.0], [0.0, 0.0, 2.0, 1.0]):
        slope_agrees(lambda x, s: x.scatter_reduce(0, index, s, "prod"), np.array([2.0, 0.0, 1.0]), np.array(zeros))


ERRORS = [
    (lambda: tg.ones(2, 3).sum(2), IndexError, "between -2 and 1"),
    (lambda: tg.ones(2, 3).sum((0, 0)), RuntimeError, "twice"),
    (lambda: tg.ones(2, 3).flip((0, 0)), RuntimeError, "twice"),
    (lambda: tg.ones(3).masked_fill(tg.tensor([1, 0, 1]), 2), RuntimeError, "boolean"),
    (lambda: tg.arange(3).masked_fill(tg.tensor([True, False, True]), tg.ones(2)), RuntimeError, "0-d"),
    (lambda: tg.ones(3).scatter(0, tg.tensor([0]), tg.ones(1, dtype=tg.float32)), RuntimeError, "float32"),
    (lambda: tg.ones(3).scatter(0, tg.tensor([0]), 1.0, reduce="max"), RuntimeError, "'max'"),
    (lambda: tg.ones(3).gather(0, tg.tensor([3])), IndexError, "index 3"),
    (lambda: tg.ones(3).index_add(0, tg.tensor([0]), tg.ones(2)), RuntimeError, "source"),
    (lambda: tg.quantile(tg.ones(3), 0.5, interpolation="cubic"), RuntimeError, "cubic"),
    (lambda: tg.quantile(tg.ones(3), 1.5), RuntimeError, "between 0 and 1"),
    (lambda: tg.arange(3).mean(), RuntimeError, "float"),
    (lambda: tg.linalg.inv(tg.ones(2, 3)), RuntimeError, "square"),
    (lambda: tg.linalg.inv(tg.ones(2, 2)), tg.linalg.LinAlgError, "singular"),
    (lambda: tg.linalg.cholesky(-tg.eye(2)), tg.linalg.LinAlgError, "positive definite"),
    (lambda: tg.linalg.inv(tg.ones(2, 2).long()), RuntimeError, "floating"),
    (lambda: tg.linalg.qr(tg.ones(3, 2, requires_grad=True), "complete"), NotImplementedError, "complete"),
    (lambda: tg.linalg.matrix_norm(tg.ones(2, 2), 3), RuntimeError, "order"),
    (lambda: tg.ones(4).t().as_strided((2,), (1,), 1)[0:].t().as_strided((9,), (1,)), RuntimeError, ""),
    (lambda: tg.diag(tg.ones(1, 1, 1)), RuntimeError, "vector or a matrix"),
    (lambda: tg.tril(tg.ones(3)), RuntimeError, "two dimensions"),
    (lambda: tg.roll(tg.ones(3, 3), (1, 2), 0), RuntimeError, "equally many"),
    (lambda: tg.ones(3).unfold(0, 4, 1), RuntimeError, "size 4"),
    (lambda: tg.func.grad(lambda x: x)(tg.ones(3)), RuntimeError, "single number"),
    (lambda: tg.func.grad(lambda x: x.sum())(tg.arange(3)), RuntimeError, "floating-point"),
    (lambda: functional.jacobian(lambda x: tg.ones(2), tg.ones(2), strict=True), RuntimeError, "does not depend"),
    (lambda: tg.reshape(tg.ones(4), size=(2, 2)), TypeError, "shape"),
    (lambda: tg.addmm(tg.arange(2), tg.arange(4).reshape(2, 2), tg.arange(4).reshape(2, 2), alpha=0.5), RuntimeError, "alpha=0.5"),
    (lambda: format(tg.ones(2), ".2f"), TypeError, "single numbers"),
]


@pytest.mark.parametrize("number", range(len(ERRORS)))
def test_errors(number):
    call, kind, text = ERRORS[number]
    with pytest.raises(kind) as caught:
        call()
    assert text in str(caught.value)


# --- printing, recorded from PyTorch 2.13 (without the prefix of dtypes) ---------------------------------------------------

TEXTS = [
    ([1.0, 2.5], "tensor([1.0000, 2.5000])"),
    ([1.0, 5000.0], "tensor([1.0000e+00, 5.0000e+03])"),
    ([1.0, 2.0, 3.0], "tensor([1., 2., 3.])"),
    ([math.nan, 1.0], "tensor([nan, 1.])"),
    ([math.inf, 2.5], "tensor([   inf, 2.5000])"),
    ([0.0, 0.0], "tensor([0., 0.])"),
    ([1e-5, 1.0], "tensor([1.0000e-05, 1.0000e+00])"),
    (1e10, "tensor(1.0000e+10)"),
    (-0.5, "tensor(-0.5000)"),
    ([True, False], "tensor([ True, False])"),
    ([-1, 10], "tensor([-1, 10])"),
    ([], "tensor([])"),
    ([[1, 2], [3, 4]], "tensor([[1, 2],\n        [3, 4]])"),
    ([[[1], [2]], [[3], [4]]], "tensor([[[1],\n         [2]],\n\n        [[3],\n         [4]]])"),
]


@pytest.mark.parametrize("data, text", TEXTS)
def test_texts(data, text):
    assert repr(tg.tensor(data)) == str(tg.tensor(data)) == text


def test_texts_of_types_sizes_and_history():
    assert repr(tg.zeros(2, 0)) == "tensor([], size=(2, 0))"
    assert repr(tg.zeros(0, dtype=tg.int64)) == "tensor([], dtype=int64)"
    assert repr(tg.ones(1, dtype=tg.float32)) == "tensor([1.], dtype=float32)"
    assert repr(tg.arange(1001)) == "tensor([   0,    1,    2,  ...,  998,  999, 1000])"
    x = tg.ones(2, requires_grad=True)
    assert repr(x) == "tensor([1., 1.], requires_grad=True)"
    assert repr(x * 2) == "tensor([2., 2.], grad_fn=<MulBackward0>)"
    assert repr(tg.nn.Parameter(tg.ones(1))) == "Parameter containing:\ntensor([1.], requires_grad=True)"
    assert f"{tg.tensor(1.5)} {tg.tensor(1.5):.3f} {tg.tensor([1])}" == "1.5 1.500 tensor([1])"
    lines = repr(tg.ones(100, 100)).splitlines()
    assert len(lines) == 7 and lines[3] == "        ...,"


def test_printing_options():
    tg.set_printoptions(precision=2)
    assert repr(tg.tensor([0.123456])) == "tensor([0.12])"
    tg.set_printoptions(profile="default")
    assert repr(tg.tensor([0.123456])) == "tensor([0.1235])"


# --- the everyday rest -------------------------------------------------------------------------------------------------


def test_everyday():
    assert tg.finfo(tg.float32).max == 3.4028234663852886e38 and tg.iinfo(tg.int8).min == -128
    assert not tg.cuda.is_available() and not tg.backends.mps.is_available() and not tg.accelerator.is_available()
    assert tg.LongTensor([1, 2]).dtype == tg.int64 and tg.FloatTensor(2, 3).shape == (2, 3)
    assert tg.ones(2, 3).new_zeros(4).dtype == tg.float64 and tg.ones(2).new([1, 2]).tolist() == [1, 2]
    assert tg.ones(2, 3).sum_to_size(1, 3).tolist() == [[2, 2, 2]]
    close(tg.gradient(tg.tensor([1.0, 4.0, 9.0, 16.0]))[0], np.gradient([1.0, 4.0, 9.0, 16.0]))
    close(tg.cumulative_trapezoid(tg.tensor([1.0, 2.0, 4.0])), [1.5, 4.5])
    close(tg.hann_window(4), [0, 0.5, 1, 0.5])
    close(tg.vander(tg.tensor([2.0, 3.0]), 3), np.vander([2.0, 3.0], 3))
    x = tg.tensor([1.0, 4.0])
    assert tg.sqrt_(x) is x and x.tolist() == [1, 2]
    assert [t.shape for t in tg.atleast_2d(tg.ones(()), tg.ones(3))] == [(1, 1), (1, 3)]
    close(tg.tensordot(tg.ones(2, 3), tg.ones(3, 4), 1), np.full((2, 4), 3.0))
    mantissa, exponent = tg.frexp(tg.tensor([3.0, 0.2]))
    close(tg.ldexp(mantissa, exponent), [3.0, 0.2])
