"""The checkers of the kit: what is right passes, and each planted mistake is found and named."""

import numpy as np
import pytest
from planted_gradients import function

import tinygrad_edu as tg
from tinygrad_edu import nn
from tinygrad_edu.testing import (
    CheckError,
    Engine,
    GradcheckError,
    Operation,
    check_engine,
    check_function,
    check_module,
    check_optimizer,
    check_training_step,
    program_machine,
    records,
)

X, W, B = np.array([[0.5, -1.0, 2.0], [1.5, 0.25, -0.75]]), np.array([[1.0, 0.5], [-0.5, 2.0], [0.25, -1.0]]), np.array([0.5, -0.25])


def linear(x, w, b):
    return x @ w + b


def mean_error(z, labels):
    return -np.log(np.exp(z) / np.exp(z).sum(1, keepdims=True))[np.arange(len(labels)), labels].mean()


def mean_error_gradient(z, labels):
    p = np.exp(z) / np.exp(z).sum(1, keepdims=True)
    p[np.arange(len(labels)), labels] -= 1
    return p / len(labels)


# --- check_function ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("function, inputs, claim", [
    (linear, [X, W, B], dict(vjp=lambda g, x, w, b: (g @ w.T, x.T @ g, g.sum(0)))),
    (mean_error, [X, np.array([0, 2])], dict(gradient=mean_error_gradient)),
    (lambda x, n: x**n, [2.0, 3], dict(gradient=lambda x, n: n * x ** (n - 1))),
    (lambda x: np.maximum(x, 0), [np.array([-1.0, 0.0, 2.0])], dict(vjp=lambda g, x: g * (x > 0))),
    (lambda x: x.max(), [np.array([1.0, 3.0, 3.0])], dict(gradient=lambda x: (x == 3) / 2)),
    (lambda x: (x * x).sum(), [X.astype(np.float32)], dict(gradient=lambda x: 2 * x)),
    (lambda x: x.sin(), [tg.tensor([1.0, 2.0])], {}),
])  # fmt: skip
def test_right_gradients_pass(function, inputs, claim):
    assert check_function(function, inputs, **claim) is True


@pytest.mark.parametrize("function, inputs, claim, text", [
    (linear, [X, W, B], dict(vjp=lambda g, x, w, b: (g @ w.T, x.T @ g, g)), r"gradient of b has shape \[2, 2\].*sum it over"),
    (linear, [X, W, B], dict(vjp=lambda g, x, w, b: (g @ w.T, (x.T @ g).T, g.sum(0))), r"gradient of w .* transposed"),
    (linear, [X, W, B], dict(vjp=lambda g, x, w, b: (g @ w.T, 2 * x.T @ g, g.sum(0))), "twice"),
    (linear, [X, W, B], dict(vjp=lambda g, x, w, b: (g @ w.T, x.T @ g)), "2 parts.*3 floating-point inputs"),
    (linear, [X, W, B], dict(vjp=lambda g, x, w, b: (g @ w.T, x.T @ g, None)), "gradient of b is None"),
    (linear, [X, W, B], dict(gradient=lambda x, w, b: (x, w, b)), "return one number"),
    (lambda x: x.max(), [np.array([1.0, 3.0, 3.0])], dict(gradient=lambda x: (x == 3) * 1.0), "ties"),
    (lambda x: np.maximum(x, 0, out=x), [X], dict(vjp=lambda g, x: g * (x > 0)), "the function wrote into its input x"),
    (lambda x: x * 1, [X], dict(vjp=lambda g, x: np.multiply(x, 0, out=x) + g), "the gradient wrote into its input x"),
    (lambda x: x * 1, [X], dict(vjp=lambda g, x: np.multiply(g, 1.0, out=g) * 0 + np.add(g, 1, out=g)), "wrote into the gradient of the result"),
    (lambda x: np.float32(1) * x.astype(np.float32), [X], dict(vjp=lambda g, x: g), "float32 for float64 inputs"),
    (lambda x: x > 0, [X], dict(vjp=lambda g, x: g), "bool, which has no derivative"),
])  # fmt: skip
def test_wrong_gradients_are_found(function, inputs, claim, text):
    records.take()
    with pytest.raises(GradcheckError, match=f"(?s){text}"):
        check_function(function, inputs, **claim)
    assert check_function(function, inputs, raise_exception=False, **claim) is False
    assert [entry["ok"] for entry in records.take()] == [False]


def test_use_of_check_function():
    for arguments, text in [((np.sin, [X]), "does not know its derivative"), ((np.sin, [X], np.cos), None)]:
        with pytest.raises((TypeError, GradcheckError), match=text or "return one number"):
            check_function(*arguments)
    with pytest.raises(TypeError, match="not both"):
        check_function(np.sin, [X], np.cos, vjp=np.cos)
    with pytest.raises(ValueError, match="nothing to differentiate"):
        check_function(np.sin, [np.arange(3)], np.cos)


def test_functions_of_pytorch():
    torch = pytest.importorskip("torch")

    class Cube(torch.autograd.Function):
        factor = 3

        @staticmethod
        def forward(ctx, x):
            ctx.save_for_backward(x)
            return x**3

        @staticmethod
        def backward(ctx, g):
            return g * Cube.factor * ctx.saved_tensors[0] ** 2

    x = torch.tensor([1.0, -2.0])
    assert check_function(Cube.apply, [x])
    assert check_function(lambda x: x.sum(), [x], gradient=lambda x: torch.ones_like(x))
    Cube.factor = 1
    with pytest.raises(GradcheckError, match="1/3|0.33333"):
        check_function(Cube.apply, [x])


def test_functions_of_jax():
    jax = pytest.importorskip("jax")
    jax.config.update("jax_enable_x64", True)
    assert check_function(lambda x: jax.numpy.sin(x).sum(), [jax.numpy.ones(3)], gradient=jax.grad(lambda x: jax.numpy.sin(x).sum()))
    assert check_function(jax.numpy.sin, [jax.numpy.ones(3)])
    assert check_function(jax.jit(lambda x, i: x[i].sum()), [jax.numpy.ones(3), jax.numpy.array([0, 0, 2])])

    def cube(factor):
        function = jax.custom_vjp(lambda x: x**3)
        function.defvjp(lambda x: (x**3, x), lambda x, g: (g * factor * x**2,))
        return lambda x: function(x)

    x = jax.numpy.array([1.0, -2.0])
    assert check_function(cube(3), [x])
    with pytest.raises(GradcheckError, match="2/3|0.6666"):
        check_function(cube(2), [x])


def test_a_claim_is_looked_at_step_by_step():
    x, w = np.random.default_rng(0).normal(size=(4, 3)), np.random.default_rng(1).normal(size=(3, 2))
    with pytest.raises(GradcheckError, match=r"(?s)derivative\s+of\s+tanh,\s+at\s+test_testing_checks.*missing\s+in\s+the\s+chain"):
        check_function(lambda w: np.tanh(x @ w).sum(), [w], gradient=lambda w: x.T @ np.ones((4, 2)))
    square = function("Square", lambda x: x * x, lambda g, out, x: g * x)
    with pytest.raises(GradcheckError, match=r"(?s)exactly\s+half.*backward\(\)\s+of\s+Square"):
        check_function(lambda x: square(x.sin()).sum(), [tg.tensor([0.3, 0.8], requires_grad=True)])


def test_several_results_are_checked_one_by_one():
    with pytest.raises(GradcheckError, match="returned 2 results, .* one by one"):
        check_function(lambda x: (x, x * x), [X], vjp=lambda g, x: g)


# --- check_module -----------------------------------------------------------------------------------------------------

MODULES = [
    (nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.ReLU(), nn.Dropout(0.5), nn.Linear(4, 2)), [tg.ones(4, 3).cumsum(0).sin()], {}),
    (nn.Linear(3, 2), [tg.ones(4, 3)], dict(batch=True, order=2)),
    (nn.Embedding(4, 2), [tg.tensor([0, 1, 1])], {}),
    (nn.GRU(2, 2), [tg.ones(3, 1, 2)], {}),
]


@pytest.mark.parametrize("module, inputs, options", MODULES, ids=lambda m: type(m).__name__)
def test_right_modules_pass(module, inputs, options):
    state = {name: value.clone() for name, value in module.state_dict().items()}
    generator = tg.get_rng_state()
    result = check_module(module, *inputs, **options)
    assert result.ok and "✗" not in result.report and len(result.checks) >= 8
    tg.testing.assert_close(module.state_dict(), state)  # it worked on copies, and gave the random numbers back
    assert all(p.grad is None for p in module.parameters()) and (tg.get_rng_state() == generator).all()


class Wrong(nn.Module):
    """A module that does one thing wrong."""

    def __init__(self, mistake):
        super().__init__()
        self.first, self.second = nn.Linear(3, 3), nn.Linear(3, 3)
        self.mistake = mistake
        self.register_buffer("count", tg.zeros(()))
        if mistake == "unused":
            self.third = nn.Linear(2, 2)
        if mistake == "unregistered state":
            self.scale = [1.0]

    def forward(self, x):
        if self.mistake == "writes":
            x.mul_(2) if not x.requires_grad else x.data.mul_(2)
        code = self.first(x)
        if self.mistake == "detached":
            code = code.detach()
        if self.mistake == "mixes rows":
            code = code - code.mean(0)
        if self.mistake == "random in eval mode":
            code = code + tg.rand(3, dtype=code.dtype)
        if self.mistake == "promotes":
            code = code * tg.ones(3, dtype=tg.float64)
        if self.mistake == "hooked":
            code = code + 0
            if code.requires_grad:
                code.register_hook(lambda g: g * 2)
        return self.second(code.tanh())


@pytest.mark.parametrize("mistake, failed", [
    ("unused", {"every parameter gets a gradient"}),
    ("detached", {"every parameter gets a gradient", "gradients in train mode", "gradients in eval mode"}),
    ("mixes rows", {"eval mode: rows are independent"}),
    ("random in eval mode", {"eval mode: the same result twice"}),
    ("promotes", {"float32 stays float32"}),
    ("hooked", {"gradients in train mode", "gradients in eval mode"}),
    ("writes", {"the inputs are only read"}),
])  # fmt: skip
def test_wrong_modules_are_found(mistake, failed):
    with pytest.raises(CheckError) as caught:
        check_module(Wrong(mistake), tg.ones(4, 3).cumsum(0).sin(), batch=True)
    result = caught.value.result
    assert failed <= set(result.failed) and (mistake == "writes" or failed == set(result.failed)), result.report
    assert max(map(len, result.report.splitlines())) <= 80
    assert str(caught.value) == result.report and not result and check_module(Wrong(mistake), tg.ones(1, 3), raise_exception=False) is not None


def test_unused_may_be_named():
    result = check_module(Wrong("unused"), tg.ones(4, 3), unused=["third.weight", "third.bias"])
    assert result.ok
    assert "unused= names" in check_module(Wrong("none"), tg.ones(4, 3), unused=["fourth"], raise_exception=False).report


# --- check_optimizer --------------------------------------------------------------------------------------------------


def adam(p, g, state, lr=0.05, a=0.9, b=0.999, eps=1e-8):
    n = state["n"] = state.get("n", 0) + 1
    m = state["m"] = a * state.get("m", 0) + (1 - a) * g
    v = state["v"] = b * state.get("v", 0) + (1 - b) * g * g
    return p - lr * (m / (1 - a**n)) / (np.sqrt(v / (1 - b**n)) + eps)


def nesterov(p, g, state):
    state["v"] = 0.9 * state.get("v", 0) + g
    return p - 0.1 * (g + 0.9 * state["v"])


@pytest.mark.parametrize("make, reference", [
    (lambda params: tg.optim.Adam(params, lr=0.05), adam),
    (lambda params: tg.optim.SGD(params, lr=0.1, momentum=0.9, nesterov=True), nesterov),
    (lambda params: tg.optim.RMSprop(params, lr=0.01, momentum=0.5, centered=True), None),
    (lambda params: tg.optim.Adadelta(params), None),
])  # fmt: skip
def test_right_optimizers_pass(make, reference):
    assert check_optimizer(make, reference).ok


def test_optimizers_of_pytorch_pass():
    torch = pytest.importorskip("torch")
    assert check_optimizer(lambda params: torch.optim.Adam(params, lr=0.05), adam, library=torch).ok


class Plain(tg.optim.Optimizer):
    """p − lr·g, with one mistake"""

    mistake = ""

    def __init__(self, params, lr=0.1):
        super().__init__(params, dict(lr=lr))
        self.velocity = {}

    def step(self, closure=None):
        loss = closure() if closure is not None else None
        for group in self.param_groups:
            for p in group["params"]:
                if p.grad is None and self.mistake != "moves all":
                    continue
                g = np.ones(p.shape) if p.grad is None else p.grad.numpy()
                lr = self.defaults["lr"] if self.mistake == "one rate for all" else group["lr"]
                if self.mistake == "writes":
                    p.grad.array[...] *= 0.5
                if self.mistake == "uphill":
                    lr = -lr
                if self.mistake in ("hidden state", "shared state"):
                    key = p if self.mistake == "hidden state" else 0
                    g = self.velocity[key] = 0.5 * self.velocity.get(key, 0) + (g if self.mistake == "hidden state" else g.mean())
                if self.mistake == "new memory":
                    p.array = p.array - np.asarray(lr * g, p.dtype)
                elif self.mistake == "promotes":
                    p.array = p.array - np.float64(lr) * g.astype(np.float64)
                else:
                    p.array[...] -= lr * g
        return None if self.mistake == "no loss" else loss

    def zero_grad(self, set_to_none=True):
        if self.mistake != "remembers":
            super().zero_grad(set_to_none)


@pytest.mark.parametrize("mistake, failed", [
    ("", None), ("moves all", "a parameter without gradient stays"), ("one rate for all", "groups have options of their own"),
    ("writes", "gradients are only read"), ("uphill", "the first step goes downhill"), ("hidden state", "state_dict carries on where it stopped"),
    ("shared state", "parameters do not share state"), ("new memory", "updates are in place and keep the dtype"),
    ("promotes", "updates are in place and keep the dtype"), ("no loss", "step(closure) returns the loss"), ("remembers", "zero_grad() forgets"),
])  # fmt: skip
def test_wrong_optimizers_are_found(mistake, failed, monkeypatch):
    monkeypatch.setattr(Plain, "mistake", mistake)
    result = check_optimizer(Plain, raise_exception=False)
    assert result.ok if failed is None else failed in result.failed, result.report
    assert max(map(len, result.report.splitlines())) <= 80
    formula = check_optimizer(Plain, lambda p, g, state: p - 0.1 * g, raise_exception=False)
    assert ("steps follow the formula" in formula.failed) == (mistake in ("hidden state", "shared state", "uphill", "writes"))


# --- check_training_step ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("mistake", ["", "no zero_grad", "two steps", "detached", "other parameters", "wrong rate"])
def test_training_steps(mistake):
    tg.manual_seed(0)
    model = nn.Sequential(nn.Linear(2, 3), nn.Tanh(), nn.Linear(3, 1)).double()
    x = tg.randn(6, 2, dtype=tg.float64)
    known = list(model.parameters())[:2] if mistake == "other parameters" else model.parameters()
    optimizer = tg.optim.SGD(known, lr=0.2 if mistake == "wrong rate" else 0.1)

    def loss():
        return (model(x) ** 2).mean()

    def step():
        if mistake != "no zero_grad":
            optimizer.zero_grad()
        (loss() if mistake != "detached" else (model[2](model[1](model[0](x)).detach()) ** 2).mean()).backward()
        optimizer.step()
        if mistake == "two steps":
            optimizer.step()

    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # the optimizer's own about zero_grad
        result = check_training_step(step, dict(model.named_parameters()), loss, lr=0.1, raise_exception=False)
    assert result.ok == (not mistake), result.report
    words = " ".join(result.report.split())
    if mistake == "wrong rate":
        assert "2 times as far" in words
    if mistake == "detached":
        assert "0.weight" in words and "did not move at all" in words


def test_training_step_of_numpy_with_momentum():
    w, v = np.array([1.0, -2.0]), np.zeros(2)

    def step():
        v[...] = 0.9 * v + 2 * w
        w[...] -= 0.1 * v

    def update(p, g, state):
        state["v"] = 0.9 * state.get("v", 0) + g
        return p - 0.1 * state["v"]

    assert check_training_step(step, [w], lambda: (w**2).sum(), update).ok
    with pytest.raises(TypeError, match="give lr= .* or update="):
        check_training_step(step, [w], lambda: 0.0)


# --- engines ----------------------------------------------------------------------------------------------------------


class Value:
    """micrograd's idea: a number that remembers; `mistake` breaks it."""

    mistake = ""

    def __init__(self, data, parents=(), send=lambda g: ()):
        self.data, self.parents, self.send, self.grad = data, parents, send, 0.0

    def __add__(self, other):
        return Value(self.data + other.data, (self, other), lambda g: (g, g))

    def __mul__(self, other):
        return Value(self.data * other.data, (self, other), lambda g: (g * other.data, g * self.data))

    def backward(self):
        order, seen = [], set()

        def visit(v):
            if v not in seen:
                seen.add(v)
                for p in v.parents:
                    visit(p)
                order.append(v)

        visit(self)
        for v in order:
            if v.parents:
                v.grad = 0.0
        self.grad = 1.0
        for v in order if self.mistake == "order" else reversed(order):
            for p, g in zip(v.parents, v.send(v.grad)):
                p.grad = g if self.mistake == "=" else p.grad + g


NUMBERS = {"add": (lambda a, b: a + b, np.add), "mul": (lambda a, b: a * b, np.multiply)}


@pytest.mark.parametrize("mistake", ["", "=", "order"])
def test_engines_of_numbers(mistake, monkeypatch):
    monkeypatch.setattr(Value, "mistake", mistake)
    engine = Engine.of_numbers(Value, deep=200)
    if not mistake:
        assert check_engine(NUMBERS, engine)
        return
    with pytest.raises(CheckError, match="the slope is") as caught:
        check_engine(NUMBERS, engine)
    assert len(str(caught.value).splitlines()) <= 8  # a short program
    assert check_engine(NUMBERS, engine, raise_exception=False) is False


def test_recursion_is_found():
    with pytest.raises(CheckError, match="RecursionError"):
        check_engine({"add": NUMBERS["add"], "half": (lambda a: a * Value(0.5), lambda a: a * 0.5)}, Engine.of_numbers(Value, deep=5000))


def test_own_operators():
    def swish(x):
        return x * x.sigmoid()

    class Halved(tg.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            return x * 1

        @staticmethod
        def backward(ctx, g):
            return g * 0.5

    assert check_engine({"swish": swish, "mul": tg.mul}, programs=40)
    with pytest.raises(CheckError, match="halved"):
        check_engine({"mul": tg.mul, "halved": lambda x: Halved.apply(x)}, programs=40)
    with pytest.raises(CheckError, match="NumPy says"):
        check_engine({"swish": (swish, lambda x: x / (1 + np.exp(-2 * x)))}, programs=5)
    with pytest.raises(CheckError, match="the engine fails: ValueError: never"):
        check_engine({"broken": (never, lambda x: x)}, programs=5)
    with pytest.raises(TypeError, match="how many inputs"):
        check_engine({"sum": (lambda *xs: xs[0], None or (lambda *xs: xs[0]))})


def never(x):
    raise ValueError("never")


def test_the_machine_finds_and_shrinks(monkeypatch):
    engine = Engine.of_numbers(Value, deep=0)
    program_machine(NUMBERS, engine, examples=10).TestCase("runTest").runTest()
    monkeypatch.setattr(Value, "mistake", "=")
    with pytest.raises(AssertionError, match="the slope is") as caught:
        program_machine(NUMBERS, engine).TestCase("runTest").runTest()
    message = str(caught.value).partition("Failing test case")[0]
    assert message.count("\n") <= 7, message
    with pytest.raises(ValueError, match="no operations"):
        program_machine({})


def test_operations_that_do_not_fit_are_left_out():
    operation = Operation(lambda a: a[0], lambda a: a[0], 1, lambda shape: len(shape) > 1)
    assert check_engine({"first": operation, "add": (lambda a, b: a + b, np.add)}, programs=30)
