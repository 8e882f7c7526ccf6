"""Steps compiled to plain Python arithmetic: equal to the step up to the last digits, also in a loop, or a clear error."""

import numpy as np
import pytest
from test_compiled import numbers, state

import tinygrad_edu as tg
from tinygrad_edu import nn
from tinygrad_edu.compiled import CompileError

F = nn.functional
X, Y = tg.tensor([[0.0, 0], [0, 1], [1, 0], [1, 1]], dtype=tg.float64), tg.tensor([[0.0], [1], [1], [0]], dtype=tg.float64)
SAMPLES = [(X[k : k + 1], Y[k : k + 1]) for k in range(4)]

MODELS = {
    "sigmoid": lambda: nn.Sequential(nn.Linear(2, 3), nn.Sigmoid(), nn.Linear(3, 1), nn.Sigmoid()),
    "tanh": lambda: nn.Sequential(nn.Linear(2, 3), nn.Tanh(), nn.Linear(3, 1)),
    "relu": lambda: nn.Sequential(nn.Linear(2, 5), nn.ReLU(), nn.Linear(5, 1)),
    "leaky": lambda: nn.Sequential(nn.Linear(2, 3), nn.LeakyReLU(), nn.Linear(3, 1, bias=False)),
}
OPTIMIZERS = {
    "sgd": lambda p: tg.optim.SGD(p, lr=0.3),
    "momentum": lambda p: tg.optim.SGD(p, lr=0.1, momentum=0.9, weight_decay=0.01),
    "adam": lambda p: tg.optim.Adam(p, lr=0.05),
    "amsgrad": lambda p: tg.optim.AdamW(p, lr=0.05, amsgrad=True),
    "rmsprop": lambda p: tg.optim.RMSprop(p, lr=0.01),
}


def built(model="sigmoid", optimizer="sgd", backend="scalar"):
    tg.manual_seed(1)
    model = MODELS[model]().double()
    optimizer = OPTIMIZERS[optimizer](model.parameters())

    def step(x, y):
        optimizer.zero_grad()
        loss = F.mse_loss(model(x), y)
        loss.backward()
        optimizer.step()
        return loss

    return model, optimizer, tg.compile(step, backend=backend) if backend else step


def assert_close(a, b, model_a, model_b):
    assert isinstance(b.array, np.float64) and b.array == pytest.approx(a.array, rel=1e-12, abs=1e-15)
    for (name, x), y in zip(model_a.items(), model_b.values()):
        np.testing.assert_allclose(y, x, rtol=1e-11, atol=1e-14, err_msg=name)
        assert x.dtype == y.dtype, name


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("model", MODELS)
def test_tiny_networks(model, optimizer):
    (m1, o1, step), (m2, o2, compiled) = built(model, optimizer, None), built(model, optimizer)
    for k in range(10):
        assert_close(step(*SAMPLES[k % 4]), compiled(*SAMPLES[k % 4]), state(m1, o1), state(m2, o2))
    for _ in range(25):
        a = step(X, Y)
    b = compiled.repeat(25, X, Y)
    assert_close(a, b, state(m1, o1), state(m2, o2))
    for _ in range(30):
        a = step(X, Y)
    b = compiled.repeat(30, X, Y)
    assert_close(a, b, state(m1, o1), state(m2, o2))
    assert compiled.latest.looped is not None and "numpy" not in compiled.source


def test_the_source_is_plain_arithmetic():
    _, _, step = built()
    for _ in range(3):
        step(*SAMPLES[0])
    assert "exp(" in step.source and "for _ in range(times):" in step.source and "weight_0_0 - " in step.source


def test_xor_is_learnt():
    model, _, step = built(optimizer="adam")
    step.repeat(1500, X, Y)
    assert (model(X).round().array == Y.array).all()


def test_replays_do_without_the_function():
    (m1, o1, step), (m2, o2, compiled) = built(backend=None), built()
    for _ in range(6):
        step(X, Y), compiled(X, Y)
    function, compiled.function = compiled.function, None
    for _ in range(3):
        assert_close(step(X, Y), compiled(X, Y), state(m1, o1), state(m2, o2))
    results = [step(X, Y) for _ in range(5)]
    assert_close(results[-1], compiled.repeat(5, X, Y), state(m1, o1), state(m2, o2))
    compiled.function = function


def test_repeat_of_other_backends_and_of_nothing():
    (m1, o1, step), (m2, o2, compiled) = built(backend=None), built(backend="numpy")
    for _ in range(9):
        a = step(X, Y)
    b = compiled.repeat(9, X, Y)
    assert a.item() == b.item() and compiled.repeat(0, X, Y) is None
    assert all((x == y).all() for x, y in zip(state(m1, o1).values(), state(m2, o2).values()))


def test_rates_that_change_between_calls():
    (m1, o1, step), (m2, o2, compiled) = built(backend=None), built()
    for k in range(12):
        for o in (o1, o2):
            o.param_groups[0]["lr"] = 0.1 / (k + 1)
        assert_close(step(X, Y), compiled(X, Y), state(m1, o1), state(m2, o2))


@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
def test_what_python_cannot_compute_the_step_itself_does(optimizer):
    def make(compiled):
        w = tg.tensor([1.0, 2.0], dtype=tg.float64, requires_grad=True)
        optimizer_ = OPTIMIZERS[optimizer]([w])

        def step(x):
            optimizer_.zero_grad()
            loss = (w / x).exp().sum()
            loss.backward()
            optimizer_.step()
            return loss.detach()

        return w, optimizer_, tg.compile(step, backend="scalar") if compiled else step

    (w1, o1, step), (w2, o2, compiled) = make(False), make(True)
    for x in (1.0, 2.0, 1.5, 3.0, 2.5, 0.0, -0.001, 1.0, 0.0001, 1.0):  # a division by zero, an overflow
        x = tg.tensor([x, 1.0], dtype=tg.float64)
        w1.data.fill_(1.0), w2.data.fill_(1.0)
        with np.errstate(all="ignore"):
            a, b = step(x), compiled(x)
        np.testing.assert_allclose(b.array, a.array, rtol=1e-12)
        np.testing.assert_allclose(w2.array, w1.array, rtol=1e-12)
        assert [s["step"].item() for s in o1.state.values() if s] == [s["step"].item() for s in o2.state.values() if s]
    assert compiled.latest is not None


def test_nan_stays_nan():
    step = tg.compile(lambda x: (tg.maximum(x, x * 2).sum() + tg.relu(x).sum() + tg.minimum(x, x + 1).sum()).detach(), backend="scalar")
    for value in (1.0, -1.0, 2.0, 3.0, np.nan, np.inf, 1.0):
        x = tg.tensor([value, 1.0], dtype=tg.float64)
        expected = (tg.maximum(x, x * 2).sum() + tg.relu(x).sum() + tg.minimum(x, x + 1).sum()).item()
        assert step(x).item() == expected or np.isnan(expected) and np.isnan(step(x).item())
    assert step.latest is not None


UNSUITABLE = {
    "float32": (lambda: (nn.Linear(2, 3), X.float()), "float32.*model.double()"),
    "large": (lambda: (nn.Linear(2, 40).double(), X), "at most 64 elements"),
    "sorting": (lambda: (lambda x: x.sort(0)[0], X), "does not know|int64"),
    "noise": (lambda: (lambda x: x + tg.rand(2, dtype=tg.float64), X), "random|does not know|uint64"),
}


@pytest.mark.parametrize("kind", UNSUITABLE)
def test_what_is_not_for_scalars_says_so_and_auto_takes_arrays(kind):
    make, message = UNSUITABLE[kind]
    function, x = make()
    for backend in ("scalar", "auto"):
        step = tg.compile(lambda x: function(x).detach().sum(), backend=backend)
        results = []
        try:
            for _ in range(6):
                results.append(step(x).item())
        except CompileError as error:
            assert backend == "scalar" and "use backend='numpy'" in str(error)
            pytest.raises(CompileError, step, x).match(message)
        else:
            assert backend == "auto" and step.latest is not None and step.latest.looped is None
        assert kind == "noise" or results[0] == results[-1]


def test_auto_takes_scalars_where_they_fit():
    _, _, step = built(backend="auto")
    for _ in range(6):
        step(X, Y)
    assert step.latest.looped is not None
    assert numbers(1).shape == (1,)
