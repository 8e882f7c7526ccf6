"""gradcheck passes what is right, catches what is wrong, and says where and why."""

import numpy as np
import pytest

import tinygrad_edu as tg
from tinygrad_edu.autograd import Function, GradcheckError, examination, gradcheck, gradgradcheck
from tinygrad_edu.autograd.gradcheck import check_gradient, check_gradients


def leaf(*values, dtype=tg.float64):
    return tg.tensor(list(values), dtype=dtype, requires_grad=True)


def wrong(factor=0.5, extra=0.0):
    """x² with a derivative that is off."""

    class Square(Function):
        @staticmethod
        def forward(ctx, x):
            ctx.save_for_backward(x)
            return x * x

        @staticmethod
        def backward(ctx, g):
            return g * (2 * factor * ctx.saved_tensors[0] + extra)

    return Square.apply


@pytest.mark.parametrize("fast", [False, True])
def test_right_gradients_pass(fast):
    x, w = leaf(0.5, 2.0, -1.0), tg.tensor([[1.0, 2, 3], [3, 4, 5]], dtype=tg.float64, requires_grad=True)
    assert gradcheck(lambda x, w: (w @ x, (x * x).sum()), (x, w), fast_mode=fast)
    assert gradgradcheck(lambda x, w: ((w @ x).tanh(), (x * x).sum()), (x, w), fast_mode=fast)
    assert gradcheck(lambda x, n: x**n, (x, 3), fast_mode=fast)
    assert gradcheck(lambda x: (x > 0, x * 2)[1], x, check_grad_dtypes=True, fast_mode=fast)
    assert x.grad is None and x.tolist() == [0.5, 2.0, -1.0]


@pytest.mark.parametrize("factor, text", [(0.5, "exactly half"), (-1.0, "exactly the negative of"), (2.0, "exactly twice"), (1.01, "1.01 times")])
def test_a_missing_factor_is_named(factor, text):
    x = leaf(0.5, 2.0)
    with pytest.raises(GradcheckError, match=text) as caught:
        gradcheck(wrong(factor), x)
    worst = caught.value.result.worst
    assert worst.row == (1,) and worst.column == (1,) and worst.numeric == pytest.approx(4.0) and worst.analytic == pytest.approx(4 * factor)
    assert "output[1] with respect to x[1]:" in str(caught.value)
    assert gradcheck(wrong(factor), x, raise_exception=False) is False
    assert gradcheck(wrong(factor), x, raise_exception=False, fast_mode=True) is False


def test_second_order_mistakes_are_caught():
    class Cube(Function):
        @staticmethod
        def forward(ctx, x):
            ctx.save_for_backward(x)
            return x**3

        @staticmethod
        def backward(ctx, g):
            return g * 3 * ctx.saved_tensors[0].detach() ** 2  # right, but a constant for the second derivative

    x = leaf(0.5, 2.0)
    assert gradcheck(Cube.apply, x)
    assert not gradgradcheck(Cube.apply, x, raise_exception=False)
    assert gradgradcheck(lambda x: x**3, x, gen_non_contig_grad_outputs=True)
    assert gradgradcheck(lambda x: x**3, x, leaf(1.0, 2.0))


def test_kinks_accept_what_lies_between_the_slopes():
    at = leaf(0.0, 1e-7, 1.0)
    for function in (tg.relu, tg.abs, lambda x: tg.maximum(x, -x), lambda x: x.clamp(min=0)):
        assert gradcheck(function, at)

    class Steep(Function):
        @staticmethod
        def forward(ctx, x):
            return x.relu()

        @staticmethod
        def backward(ctx, g):
            return g * 1.5

    assert not gradcheck(Steep.apply, leaf(0.0), raise_exception=False)


def test_jumps_are_no_kinks():
    with pytest.raises(GradcheckError, match="has a jump at x"):
        gradcheck(lambda x: tg.floor(x), leaf(1.0))
    assert gradcheck(tg.floor, leaf(1.5))


def test_float32_is_measured_in_float64():
    result = check_gradients(tg.sin, leaf(1.0, 2.0, dtype=tg.float32))
    assert result.ok and [n.kind for n in result.notes] == ["float32"] and gradcheck(tg.sin, leaf(1.0, 2.0, dtype=tg.float32))
    assert gradcheck(tg.sin, leaf(1.0, 2.0, dtype=tg.float32), eps=1e-2, atol=1e-2, rtol=1e-2)
    assert not gradcheck(wrong(0.99), leaf(1.0, 2.0, dtype=tg.float32), raise_exception=False)
    low = tg.nn.Linear(2, 2)
    assert check_gradients(low, tg.ones(3, 2)).ok and low.weight.dtype == tg.float32
    inside = check_gradients(lambda x: (x.float() ** 2).sum(), leaf(1.0, 2.0))  # what cannot be moved to float64: longer steps
    assert inside.ok and inside.notes[0].kind == "step"


def test_what_is_not_a_function_of_its_inputs():
    with pytest.raises(GradcheckError, match="two calls of func gave different results"):
        gradcheck(lambda x: x * tg.rand(2, dtype=tg.float64), leaf(1.0, 2.0))
    with pytest.raises(GradcheckError, match="changed its input x in place"):
        gradcheck(lambda x: x.data.add_(1) * x, leaf(1.0, 2.0))
    with pytest.raises(GradcheckError, match="no gradient arrives"):
        gradcheck(lambda x: x.detach() * 2, leaf(1.0, 2.0))


def test_dropout_with_the_generator_frozen():
    state = tg.get_rng_state().numpy().copy()
    assert check_gradients(lambda x: tg.nn.functional.dropout(x, 0.5) * x, leaf(*range(1, 9)), freeze_generator=True).ok
    assert (tg.get_rng_state().numpy() == state).all()


def test_what_cannot_be_checked_is_refused():
    with pytest.raises(ValueError, match="no input requires grad"):
        gradcheck(tg.sin, tg.ones(2))
    with pytest.raises(ValueError, match="the inputs are NumPy arrays.*check_gradient"):
        gradcheck(np.sin, np.ones(2))
    with pytest.raises(ValueError, match="must return a tensor"):
        gradcheck(lambda x: 5.0, leaf(1.0))
    with pytest.raises(ValueError, match="clone"):
        gradcheck(tg.sin, leaf(1.0).expand(3))
    with pytest.raises(ValueError, match="check_batched_forward_grad"):
        gradcheck(tg.sin, leaf(1.0), check_batched_forward_grad=True)
    with pytest.raises(ValueError, match="check_backward_ad"):
        gradcheck(tg.sin, leaf(1.0), check_backward_ad=False)
    with pytest.raises(ValueError, match="check_rev_over_rev"):
        gradgradcheck(tg.sin, leaf(1.0), check_rev_over_rev=False)
    with pytest.raises(ValueError, match="order"):
        check_gradients(tg.sin, leaf(1.0), order=3)


# --- options -----------------------------------------------------------------------------------------------------------------


def test_forward_mode():
    x, w = leaf(0.5, 2.0), leaf(1.0, 3.0)
    function = lambda x, w: ((x * w).sin(), x.exp().sum())
    assert gradcheck(function, (x, w), check_forward_ad=True) and gradcheck(function, (x, w), check_forward_ad=True, check_backward_ad=False)
    assert gradcheck(function, (x, w), check_forward_ad=True, fast_mode=True)
    assert gradgradcheck(function, (x, w), check_fwd_over_rev=True) and gradgradcheck(function, (x, w), check_fwd_over_rev=True, check_rev_over_rev=False)
    for fast in (False, True):
        result = check_gradients(wrong(0.5), x, check_forward_ad=True, check_backward_ad=False, fast_mode=fast)
        assert not result.ok and result.cause.kind == "forward_mode"


def test_batched_gradients(monkeypatch):
    inputs = leaf(0.5, 2.0), leaf(1.0, 3.0)
    for fast in (False, True):
        assert gradcheck(lambda x, w: (x * w).sin(), inputs, check_batched_grad=True, fast_mode=fast)
    right = tg.func.vmap
    monkeypatch.setattr(tg.func, "vmap", lambda f: lambda g: [t.flip(0) for t in right(f)(g)])
    assert check_gradients(lambda x, w: (x * w).sin(), inputs, check_batched_grad=True).cause.kind == "batched"

    def refuse(g):
        raise RuntimeError("no batches")

    monkeypatch.setattr(tg.func, "vmap", lambda f: refuse)
    with pytest.raises(GradcheckError, match="check_batched_grad.*no batches"):
        gradcheck(lambda x, w: (x * w).sin(), inputs, check_batched_grad=True)


def test_batched_tangents_and_masked(monkeypatch):
    inputs = leaf(0.5, 2.0), leaf(1.0, 3.0)
    for fast in (False, True):
        options = dict(check_forward_ad=True, check_batched_forward_grad=True, fast_mode=fast, masked=True)
        assert gradcheck(lambda x, w: ((x * w).sin(), w.sum(), w.detach()), inputs, **options)
    right = tg.func.vmap
    monkeypatch.setattr(tg.func, "vmap", lambda f: lambda way: [t.flip(0) for t in right(f)(way)])
    assert check_gradients(lambda x, w: (x * w).sin(), inputs, check_forward_ad=True, check_batched_forward_grad=True).cause.kind == "batched"


def test_undefined_gradients():
    class Both(Function):
        @staticmethod
        def forward(ctx, x):
            ctx.set_materialize_grads(False)
            return x * 2, x * 3

        @staticmethod
        def backward(ctx, g, h):
            return g * 2 + h * 3  # fails where one is None

    x = leaf(1.0, 2.0)
    assert gradcheck(Both.apply, x, check_undefined_grad=False) and gradgradcheck(Both.apply, x)
    with pytest.raises((GradcheckError, TypeError)):
        gradcheck(Both.apply, x)


def test_nondeterminism_may_be_tolerated():
    calls = []

    def noisy(x):
        calls.append(1)
        return x * 2 + 1e-12 * (len(calls) % 2)

    assert not gradcheck(noisy, leaf(1.0), raise_exception=False)
    assert gradcheck(noisy, leaf(1.0), nondet_tol=1e-10)


def test_steps_that_are_too_small_or_too_large():
    for eps, x in ((1e-13, leaf(1.0, 2.0)), (0.3, leaf(1.0, 2.0)), (1e-6, leaf(1e7, 3e7))):
        result = check_gradients(tg.sin if x.tolist()[0] < 10 else lambda x: x * 0.5, x, eps=eps)
        assert result.ok, result.report
    result = check_gradients(tg.sin, leaf(1.0, 2.0), eps=0.3)
    assert result.notes[0].kind == "step" and "eps = 0.3" in result.report
    assert not check_gradients(wrong(0.99), leaf(1.0, 2.0), eps=0.3).ok


@pytest.mark.parametrize("function", [lambda x: tg.log(x.abs()), lambda x: 1 / x, lambda x: tg.sin(x * 1e7), lambda x: x.norm(), lambda x: tg.softmax(x * 1e7, 0)])
@pytest.mark.parametrize("scale", [1e-8, 1e-6])
def test_steps_shrink_for_tiny_inputs(function, scale):
    x = leaf(0.4 * scale, -1.3 * scale, 0.7 * scale)
    assert check_gradients(function, x).ok, check_gradients(function, x).report
    half = check_gradients(lambda x: function(x) / 2 + function(x.detach()) / 2, x)
    assert not half.ok


def test_the_edge_of_a_domain_nearer_than_the_step():
    assert check_gradients(tg.log, leaf(1e-7, 1e-3)).ok and check_gradients(tg.sqrt, leaf(1e-7, 1e-3)).ok
    assert check_gradients(tg.sign, leaf(0.0, 1.0)).cause.kind == "jump"
    outside = check_gradients(tg.log, leaf(1.0, -1.0))
    assert outside.cause.kind == "domain" and "returns nan in output[1]" in " ".join(outside.report.split())


def test_nested_results_and_arguments():
    x, y = leaf(1.0, 2.0), leaf(3.0, 4.0)
    result = check_gradients(lambda d, pair: {"a": [d["x"] * pair[0], None], "b": d["x"].sum()}, ({"x": x}, (y, 3)))
    assert result.ok and [row.name for row in result.rows] == ["d['x']", "pair[0]"] and result.compared == 12
    assert gradcheck(tg.nn.LSTM(2, 3).double(), tg.randn(2, 1, 2, dtype=tg.float64))
    with pytest.raises(ValueError, match="no floating-point tensor"):
        gradcheck(lambda x: x.argmax(), x)


def test_outputs_that_do_not_require_grad_are_left_out():
    result = check_gradients(lambda x: (x.sin(), x.detach() * 2), leaf(1.0, 2.0))
    assert result.ok and result.compared == 4 and "output 1 of func does not require grad" in result.report


def test_complex_numbers():
    z, w = (tg.tensor(v, dtype=tg.complex128, requires_grad=True) for v in ([1 + 2j, 3 - 1j], [0.3 + 0.1j, -1 - 1j]))
    function = lambda z, w: (z * w.conj(), z.abs() + w.real)
    for options in ({}, {"fast_mode": True}, {"check_forward_ad": True}, {"check_batched_grad": True}):
        assert gradcheck(function, (z, w), **options), options
    assert gradgradcheck(lambda z, w: z * z * w, (z, w))
    wrong = check_gradients(lambda z: tg.complex(z.real**2, (z.real * z.imag).detach()), z)
    assert wrong.worst.place.startswith("output[1].imag with respect to z[1].") and wrong.rows[0].shape == (2,)


# --- Modules and losses ------------------------------------------------------------------------------------------------------


def test_modules_are_checked_with_their_parameters():
    model = tg.nn.Sequential(tg.nn.Linear(3, 4), tg.nn.BatchNorm1d(4), tg.nn.Tanh(), tg.nn.Linear(4, 2)).double()
    before = {k: v.clone() for k, v in model.state_dict().items()}
    result = check_gradients(model, tg.randn(5, 3, dtype=tg.float64))
    assert result.ok, result.report
    assert [row.name for row in result.rows] == [f"parameter {k}" for k, _ in model.named_parameters()]
    assert all((before[k] == v).all() for k, v in model.state_dict().items()) and model.training  # buffers are as they were
    assert all(p.grad is None for p in model.parameters())
    loss = check_gradients(lambda x: tg.nn.functional.mse_loss(model(x), tg.zeros(5, 2, dtype=tg.float64)), tg.randn(5, 3, dtype=tg.float64),
                           parameters=model)  # fmt: skip
    assert loss.ok and len(loss.rows) == 6 and all((before[k] == v).all() for k, v in model.state_dict().items())
    assert gradcheck(model, leaf(*range(3)).expand(4, 3).clone() * tg.randn(4, 3, dtype=tg.float64)) is True
    for parameters in (dict(model.named_parameters()), list(model.parameters()), list(model.named_parameters()), model[0].weight):
        assert check_gradients(lambda: model(tg.ones(2, 3, dtype=tg.float64) * tg.tensor([[1.0], [2.0]])), parameters=parameters).ok


def test_a_wrong_layer_is_named_by_its_path():
    class Layer(tg.nn.Module):
        def __init__(self):
            super().__init__()
            self.scale = tg.nn.Parameter(tg.tensor([1.5, 2.0], dtype=tg.float64))

        def forward(self, x):
            return wrong(0.5)(self.scale) * x

    result = check_gradients(tg.nn.Sequential(tg.nn.Tanh(), Layer()), tg.ones(3, 2, dtype=tg.float64))
    assert not result.ok and result.worst.name == "parameter 1.scale" and "backward() of Square" in result.report


# --- the result --------------------------------------------------------------------------------------------------------------


def test_the_result():
    good, bad = check_gradients(wrong(1.0), leaf(1.0, 2.0)), check_gradients(wrong(0.5), leaf(1.0, 2.0))
    assert good and good.ok and not good.causes and good.cause is None and good.worst is None and good.compared == 4
    assert not bad and bad.cause.kind == "factor" and str(bad) == bad.report and bad.worst.error == pytest.approx(2.0)
    assert good.analytic[0, 0].shape == (2, 2) and bad.numeric[0, 0][0, 0] == pytest.approx(2.0)
    for result in (good, bad):
        html = result._repr_html_()
        assert html.count("<tr>") == 2 and ("✓ right" in html) == result.ok and "<script" not in html
    bad.rows[0].largest = None  # whatever happens: a notebook shows something
    assert bad._repr_html_().startswith("<pre>")


def test_reports_fit_80_columns():
    names = [f"{'a_rather_long_name_of_a_parameter_' * 2}{k}" for k in range(22)]
    many = check_gradients(lambda: sum((wrong(0.5)(p).sum() for p in tensors[1:]), tensors[0].sum()), parameters=dict(zip(names, tensors := [
        leaf(1.0, 2.0) for _ in range(22)])))  # fmt: skip
    assert not many.ok and max(map(len, many.report.splitlines())) <= 80 and "more inputs" in many.report


# --- fast mode ---------------------------------------------------------------------------------------------------------------


def test_fast_mode_calls_the_function_a_few_times():
    calls = []

    def function(x):
        calls.append(1)
        return (x * x).sin().sum()

    x = tg.randn(300, 200, dtype=tg.float64, requires_grad=True)
    assert check_gradients(function, x, fast_mode=True).ok and len(calls) <= 6


def test_too_many_derivatives_are_refused():
    with pytest.raises(ValueError, match="250,000,000 derivatives.*fast_mode"):
        gradcheck(lambda x: x.repeat(10), tg.zeros(5000, dtype=tg.float64, requires_grad=True))


@pytest.mark.parametrize("factor, word", [(2.0, "twice"), (0.5, "half"), (0.0, "zero"), (1.01, "1.01")])
def test_fast_mode_names_causes_of_large_inputs(factor, word):
    x = tg.rand(300, 200, dtype=tg.float64).add_(0.5).requires_grad_()
    result = check_gradients(lambda x: wrong(factor)(x).sum(), x, fast_mode=True)
    assert not result.ok and word in result.report, result.report


# --- NumPy functions with a claimed gradient -----------------------------------------------------------------------------


def test_claimed_gradients():
    x, w, b = np.array([[1.0, 2.0], [3.0, 5.0], [0.5, -1.0]]), np.array([[0.3, -0.2], [0.4, 1.0]]), np.array([0.1, -0.7])
    assert check_gradient(lambda x: (x**2).sum(), lambda x: 2 * x, x)
    assert check_gradient(lambda x, w, b: x @ w + b, lambda g, x, w, b: (g @ w.T, x.T @ g, g.sum(0)), x, w, b)
    assert check_gradient(np.tanh, lambda x: 1 - np.tanh(x) ** 2, x)  # element by element
    assert check_gradient(lambda x: x @ x, lambda x: 2 * x, b) and check_gradient(lambda x: w @ x, lambda x: w, b, kind="jacobian")
    assert check_gradient(lambda x: x**2, lambda x: np.diag(2 * x), b, kind="jacobian")
    assert check_gradient(lambda x, y: (np.sin(x), x * y), lambda g, h, x, y: (g * np.cos(x) + h * y, h * x), b, b + 1)
    assert check_gradient(lambda x: (x**2).sum(), 2 * x, x)  # computed before
    assert check_gradient(lambda x, w: (x @ w).sum(), lambda x, w: {"w": x.T @ np.ones((3, 2)), "x": np.ones((3, 2)) @ w.T}, x, w)
    labels = np.array([0, 1, 1])
    assert check_gradient(lambda x, y: x[np.arange(3), y].sum(), lambda x, y: np.eye(2)[y], x, labels)
    assert check_gradient(lambda x: float(np.sin(x)), lambda x: np.cos(x), 0.3) and check_gradient(np.sin, np.cos, np.float32(0.3))
    assert check_gradient(lambda x: (x**2).sum(), lambda x: 2 * x, x, fast_mode=True)
    assert not check_gradient(lambda x: (x**2).sum(), lambda x: x, x, fast_mode=True)
    result = check_gradient(lambda x: (x**2).sum(), lambda x: x, x, names=["weights"])
    assert result.worst.name == "weights" and x[0, 0] == 1.0
    rng = np.random.default_rng(0)
    noisy = lambda x: (x * (rng.random(x.shape) > 0.5)).sum()
    assert check_gradient(noisy, lambda x: x, x).cause.kind == "state"
    np.random.seed(0)  # noqa: NPY002
    noisy = lambda x: (x * (np.random.random(x.shape) > 0.5)).sum()  # noqa: NPY002
    assert check_gradient(noisy, lambda x: np.ones_like(x), x).cause.kind == "random"


def test_gradients_that_torch_computes():
    torch = pytest.importorskip("torch")

    def loss(w):
        return torch.tanh(torch.as_tensor(w)).pow(2).sum()

    def gradient(w, factor=1.0):
        w = torch.tensor(w, requires_grad=True)
        return factor * torch.autograd.grad(torch.tanh(w).pow(2).sum(), w)[0]

    w = np.array([0.3, -1.0, 2.0])
    assert check_gradient(loss, gradient, w)
    assert "exactly half" in check_gradient(loss, lambda w: gradient(w, 0.5), w).report


def test_what_cannot_be_told_is_asked_for():
    with pytest.raises(ValueError, match="kind='vjp'"):
        check_gradient(lambda x: np.outer(x, x), lambda x: x, np.ones(3))
    with pytest.raises(ValueError, match="one per input"):
        check_gradient(lambda x, y: (x * y).sum(), lambda x, y: y, np.ones(3), np.ones(3))
    with pytest.raises(ValueError, match="floating-point"):
        check_gradient(lambda x: x.sum(), lambda x: x, np.arange(3))
    with pytest.raises(ValueError, match="kind must be"):
        check_gradient(lambda x: x.sum(), lambda x: x, np.ones(3), kind="hessian")


def test_empty_and_zero_dimensional_inputs():
    assert gradcheck(lambda x: x * 2, tg.tensor(1.5, dtype=tg.float64, requires_grad=True))
    assert gradcheck(lambda x: x * 2, tg.zeros(0, 2, dtype=tg.float64, requires_grad=True))


def test_inputs_that_are_results():
    x = leaf(1.0, 2.0)
    assert gradcheck(lambda y: y * y, (x * 3,))


# --- the replay of the graph -------------------------------------------------------------------------------------------------


def in_place(x):
    y = x * 2
    y[0] += x[1] * x[2]
    y.mul_(x)
    return (y.view(-1)[3:] ** 2).sum() + y[0].sum()


def branching(x):
    return (x * x if x.sum() > 0 else x * 3).sum()


def with_a_number_taken_out(x):
    return (x * x.max().item()).sum()


def with_numpy_inside(x):
    return (x * tg.tensor(np.sin(x.detach().numpy()))).sum()


class Buffered(tg.nn.Module):
    def __init__(self):
        super().__init__()
        self.linear = tg.nn.Linear(4, 4).double()
        self.register_buffer("mean", tg.zeros(4, dtype=tg.float64))

    def forward(self, x):
        y = self.linear(x)
        self.mean = 0.9 * self.mean + 0.1 * y.detach().mean(0)
        return y - self.mean


@pytest.mark.parametrize("function", [in_place, branching, with_a_number_taken_out, with_numpy_inside, Buffered(), tg.nn.functional.relu,
                                      lambda x: x, lambda x: x.T, lambda x: (x[0], x.sum(), x.exp()), lambda x: x.unbind(0),
                                      lambda x: wrong(1.0)(x).sum(), lambda x: tg.nn.functional.max_pool1d(x, 2)])  # fmt: skip
def test_replayed_slopes_are_those_of_the_function(function, monkeypatch):
    x = tg.tensor(np.random.default_rng(0).normal(size=(4, 4)), requires_grad=True)
    short = check_gradients(function, x)
    monkeypatch.setattr(examination, "replays", lambda *args: None)
    called = check_gradients(function, x)
    assert short.ok == called.ok and short.numeric.keys() == called.numeric.keys()
    for key, slopes in called.numeric.items():
        assert np.allclose(short.numeric[key], slopes, 0, 1e-8 * (1 + np.abs(slopes).max(initial=0)))


def test_most_functions_are_replayed():
    x, w = (tg.tensor(np.random.default_rng(k).normal(size=(4, 4)), requires_grad=True) for k in range(2))
    calls = []

    def function(x, w):
        calls.append(1)
        return (x @ w).tanh().sum()

    assert gradcheck(function, (x, w)) and len(calls) < 10  # and not 64 and more
