"""Compiled steps of many models, losses and optimizers: each equal to the step itself, bit for bit, or a clear error."""

import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from test_compiled import Task, numbers, replayed, training

import tinygrad_edu as tg
from tinygrad_edu import nn
from tinygrad_edu.compiled import CompileError

F = nn.functional


def integers(high, *shape, seed=3):
    return tg.tensor(np.random.default_rng(seed).integers(0, high, shape))


class Language(nn.Module):
    def __init__(self):
        super().__init__()
        self.embed, self.cells, self.out = nn.Embedding(11, 8), nn.LSTM(8, 6, batch_first=True), nn.Linear(6, 11)

    def forward(self, x):
        return self.out(self.cells(self.embed(x))[0]).flatten(0, 1)


class Recurrent(nn.Module):
    def __init__(self):
        super().__init__()
        self.cells, self.out = nn.GRU(5, 6, num_layers=2, batch_first=True, dropout=0.2), nn.Linear(6, 3)

    def forward(self, x):
        return self.out(self.cells(x)[0][:, -1])


class Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.block, self.out = nn.TransformerEncoderLayer(8, 2, 16, dropout=0.1, batch_first=True), nn.Linear(8, 3)

    def forward(self, x):
        return self.out(self.block(x).mean(1))


class Autoencoder(nn.Module):
    def __init__(self):
        super().__init__()
        self.down, self.up = nn.Linear(6, 4), nn.Linear(2, 6)

    def forward(self, x):
        h = self.down(x)
        mean, logarithm = h[:, :2], h[:, 2:]
        return self.up(mean + tg.exp(logarithm / 2) * tg.randn_like(mean))


def layers(*modules):
    return lambda: nn.Sequential(*[m() for m in modules])


L = nn.Linear
ROWS, PICTURES = numbers(5, 6), numbers(4, 1, 8, 8)
MODELS = {
    "mlp": (layers(lambda: L(6, 8), nn.ReLU, lambda: L(8, 3)), ROWS, integers(3, 5)),
    "convolution": (layers(lambda: nn.Conv2d(1, 3, 3, padding=1), nn.ReLU, lambda: nn.MaxPool2d(2), lambda: nn.Conv2d(3, 4, 3), nn.Flatten,
                           lambda: L(16, 3)), PICTURES, integers(3, 4)),
    "groups and strides": (layers(lambda: nn.Conv2d(1, 4, 3, stride=2), lambda: nn.Conv2d(4, 4, 3, groups=2), lambda: nn.AdaptiveAvgPool2d(1), nn.Flatten,
                                  lambda: L(4, 3)), PICTURES, integers(3, 4)),
    "transposed convolution": (layers(lambda: nn.ConvTranspose2d(1, 2, 3, stride=2), lambda: nn.AvgPool2d(4), nn.Flatten, lambda: L(32, 3)),
                               PICTURES, integers(3, 4)),
    "batch norm": (layers(lambda: L(6, 8), lambda: nn.BatchNorm1d(8), nn.ReLU, lambda: L(8, 3)), ROWS, integers(3, 5)),
    "batch norm of pictures": (layers(lambda: nn.Conv2d(1, 3, 3), lambda: nn.BatchNorm2d(3), nn.ReLU, nn.Flatten, lambda: L(108, 3)), PICTURES, integers(3, 4)),
    "norms": (layers(lambda: nn.Conv2d(1, 4, 3), lambda: nn.GroupNorm(2, 4), lambda: nn.InstanceNorm2d(4, affine=True), nn.Flatten, lambda: L(144, 6),
                     lambda: nn.LayerNorm(6), lambda: nn.RMSNorm(6), lambda: L(6, 3)), PICTURES, integers(3, 4)),
    "dropout": (layers(lambda: L(6, 8), lambda: nn.Dropout(0.3), lambda: L(8, 3)), ROWS, integers(3, 5)),
    "dropout of channels": (layers(lambda: nn.Conv2d(1, 4, 3), lambda: nn.Dropout2d(0.3), lambda: nn.AlphaDropout(0.2), nn.Flatten, lambda: L(144, 3)),
                            PICTURES, integers(3, 4)),
    "lstm": (Language, integers(11, 2, 4), integers(11, 8, seed=4)),
    "gru": (Recurrent, numbers(2, 4, 5), integers(3, 2)),
    "transformer": (Block, numbers(2, 4, 8), integers(3, 2)),
    "lazy": (layers(lambda: nn.LazyLinear(4), nn.Tanh, lambda: nn.LazyLinear(3)), ROWS, integers(3, 5)),
    "upsampling": (layers(lambda: nn.Upsample(scale_factor=2), lambda: nn.Conv2d(1, 1, 5, stride=4), nn.Flatten, lambda: L(9, 3)), PICTURES, integers(3, 4)),
    "weight norm": (lambda: nn.Sequential(nn.utils.parametrizations.weight_norm(L(6, 8)), L(8, 3)), ROWS, integers(3, 5)),
}  # fmt: skip
ACTIVATIONS = "ELU GELU Hardswish Hardtanh LeakyReLU Mish PReLU SELU SiLU Softplus Softsign Sigmoid LogSigmoid ReLU6 Tanhshrink".split()
for name in ACTIVATIONS:
    MODELS[name] = (layers(lambda: L(6, 8), getattr(nn, name), lambda: L(8, 3)), ROWS, integers(3, 5))


def classifying(model, optimizer):
    def step(x, y):
        optimizer.zero_grad()
        loss = F.cross_entropy(model(x), y)
        loss.backward()
        optimizer.step()
        return loss

    return step


@pytest.mark.parametrize("kind", MODELS)
def test_models(kind):
    make, x, y = MODELS[kind]
    task = Task(classifying, lambda: make().double(), lambda p: tg.optim.SGD(p, lr=0.05, momentum=0.9))
    assert len(task.run(*[(x, y)] * 7).plans) == 1


def test_noise_inside_of_a_model():
    Task(training, lambda: Autoencoder().double()).run(*[(ROWS, ROWS)] * 7)


@pytest.mark.parametrize("kind", ["float32", "wide float32"])
def test_float32_and_shared_memory(kind):
    wide = 40 if kind == "float32" else 400
    task = Task(training, layers(lambda: L(60, wide), nn.ReLU, lambda: L(wide, 100), nn.Sigmoid, lambda: L(100, 30)), lambda p: tg.optim.Adam(p, lr=0.01))
    step = task.run(*[(numbers(50, 60).float(), numbers(50, 30).float())] * 7)
    assert "memory_0" in step.source, "large buffers share memory"


CHAINS = {
    "wide": lambda x, w, b: (tg.sigmoid(x * w + b) * tg.tanh(x)).mean(),
    "turned": lambda x, w, b: ((x * w).T.exp() * b.T - b.T * 2).pow(2).mean() + (x.T + w.T).relu().mean(),
    "both ways": lambda x, w, b: ((x * w + 1).log1p() * b).sum() + ((x.T * w.T + b).sqrt() * b).mean(),
    "parts": lambda x, w, b: (x[1:] * w[:-1] + b[1:]).mean() + (x * w * x.sum() / x.mean()).mean() + tg.where(x > w, x, b).abs().mean(),
    "rows": lambda x, w, b: (x * w + b[0]).sigmoid().mean() + tg.softmax(x * w, 1)[:, 0].sum(),
}


@pytest.mark.parametrize("kind", CHAINS)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_long_chains_run_in_blocks(kind, dtype):
    found = []
    for compiled in (False, True):
        x, w, b = ((numbers(400, 400, seed=k).abs() * 0.1 + 0.1).to(getattr(tg, dtype)) for k in range(3))
        w, b = w.requires_grad_(), b.requires_grad_()
        velocity = tg.zeros_like(w)

        def step(x, w=w, b=b, velocity=velocity):
            w.grad = b.grad = None
            loss = CHAINS[kind](x, w, b)
            loss.backward()
            with tg.no_grad():
                velocity.mul_(0.9).add_(w.grad)
                w -= 0.1 * velocity
                x *= 0.99
            return loss

        run = replayed(step) if compiled else step
        losses = [run(x).item() for _ in range(6)]
        found.append([losses, *(t.array for t in (x, w, b, velocity, w.grad, b.grad))])
    assert run.latest is not None and "16384 elements at a time" in run.source
    for one, other in zip(*found):
        np.testing.assert_array_equal(one, other)


def test_chains_on_shifted_views_of_one_memory():
    class Shifting(tg.optim.Optimizer):
        def update(self, p, g, state, group):
            later, earlier, slope = p[1:], p[:-1], g[1:]
            earlier *= 0.5
            total = later + slope
            np.multiply(total, 0.1, out=later)

    found = []
    for compiled in (False, True):
        w = numbers(300_000, seed=1).requires_grad_()
        optimizer = Shifting([w], {})

        def step(x, w=w, optimizer=optimizer):
            optimizer.zero_grad()
            loss = (w * x).mean()
            loss.backward()
            optimizer.step()
            return loss

        run = replayed(step) if compiled else step
        found.append([[run(numbers(300_000, seed=k)).item() for k in range(6)], w.tolist()])
    assert run.latest is not None and "at a time" in run.source and found[0] == found[1]


LOSSES = {
    "smoothed": lambda o, y, k: F.cross_entropy(o, k, label_smoothing=0.1),
    "ignored": lambda o, y, k: F.cross_entropy(o, k, ignore_index=1),
    "probabilities": lambda o, y, k: F.cross_entropy(o, y.softmax(1)),
    "nll": lambda o, y, k: F.nll_loss(o.log_softmax(1), k),
    "bce": lambda o, y, k: F.binary_cross_entropy(o.sigmoid(), y.sigmoid()),
    "logits": lambda o, y, k: F.binary_cross_entropy_with_logits(o, y.sigmoid()),
    "huber": lambda o, y, k: F.huber_loss(o, y) + F.smooth_l1_loss(o, y) + F.l1_loss(o, y, reduction="sum"),
    "kl": lambda o, y, k: F.kl_div(o.log_softmax(1), y.softmax(1), reduction="batchmean"),
    "gaussian": lambda o, y, k: F.gaussian_nll_loss(o, y, y.exp()),
    "cosine": lambda o, y, k: 1 - F.cosine_similarity(o, y).mean(),
    "margin": lambda o, y, k: F.multi_margin_loss(o, k) + F.soft_margin_loss(o, y.sign()),
    "reductions": lambda o, y, k: o.norm() + o.std() + o.var(0).sum() + o.max() + o.amin(1).sum() + tg.logsumexp(o, 1).sum() + o.cumsum(0).sum() + o.prod(),
    "rearranged": lambda o, y, k: (tg.cat([o, y]) ** 2).mean() + tg.stack([o, y]).sum() + o.sort(1)[0][:, 0].sum() + o.T.flip(0)[1].sum() + o.roll(1, 0)[0].sum(),
    "chosen": lambda o, y, k: tg.where(o > 0, o, y).sum() + o.clamp(-1, 1).sum() + o.gather(1, k[:, None]).sum() + o[k].sum() + o.triu().sum() + o[:, 1:].sum(),
    "products": lambda o, y, k: tg.einsum("ij,kj->ik", o, y).pow(2).mean() + (o @ y.T).sum() + tg.outer(o[0], y[0]).sum() + tg.matmul(o[None], y.T[None]).sum(),
    "powers": lambda o, y, k: (o**2).sum() + (o.abs() + 1).sqrt().sum() + 2 ** o.sum() + (o / (y * y + 1)).sum() + o.pow(3).mean() + (o % 1).sum(),
}  # fmt: skip


@pytest.mark.parametrize("kind", LOSSES)
def test_losses(kind):
    loss_of = LOSSES[kind]

    def make(model, optimizer):
        def step(x, y, k):
            optimizer.zero_grad()
            loss = loss_of(model(x), y, k)
            loss.backward()
            optimizer.step()
            return loss

        return step

    Task(make, lambda: nn.Linear(6, 3).double(), lambda p: tg.optim.SGD(p, lr=0.01)).run(*[(ROWS, numbers(5, 3, seed=4), integers(3, 5))] * 6)


OPTIMIZERS = {
    "nesterov": lambda p: tg.optim.SGD(p, lr=0.05, momentum=0.9, weight_decay=0.01, nesterov=True),
    "dampened": lambda p: tg.optim.SGD(p, lr=0.05, momentum=0.9, dampening=0.5),
    "ascending": lambda p: tg.optim.SGD(p, lr=0.001, maximize=True),
    "adam": lambda p: tg.optim.Adam(p, lr=0.01, weight_decay=0.1),
    "amsgrad": lambda p: tg.optim.AdamW(p, lr=0.01, amsgrad=True),
    "rmsprop": lambda p: tg.optim.RMSprop(p, lr=0.01, momentum=0.5, centered=True),
    "groups": lambda p: tg.optim.Adam([{"params": list(p)[:2], "lr": 0.01}, {"params": list(p)[2:], "betas": (0.8, 0.9)}]),
    "rate as a tensor": lambda p: tg.optim.SGD(p, lr=tg.tensor(0.05)),
    **{name: lambda p, name=name: getattr(tg.optim, name)(p, lr=0.01) for name in "Adagrad Adadelta Adamax NAdam RAdam Rprop ASGD".split()},
}  # fmt: skip


@pytest.mark.parametrize("kind", OPTIMIZERS)
def test_optimizers(kind):
    make, x, y = MODELS["batch norm"]
    Task(classifying, lambda: make().double(), OPTIMIZERS[kind]).run(*[(x, y)] * 12)


def test_an_optimizer_of_ones_own():
    class Own(tg.optim.Optimizer):
        def __init__(self, params, lr):
            super().__init__(params, dict(lr=lr))

        def update(self, p, g, state, group):
            p -= group["lr"] * np.sign(g)

    def between(model, optimizer, k):
        optimizer.param_groups[0]["lr"] = 0.1 if k < 7 else 0.01

    Task(training, lambda: nn.Linear(6, 3).double(), lambda p: Own(p, 0.1)).run(*[(ROWS, numbers(5, 3))] * 16, between=between)


def test_optimizers_that_need_numbers_say_so():
    model = nn.Linear(6, 3).double()
    step = replayed(training(model, tg.optim.Adafactor(model.parameters())))
    step(ROWS, numbers(5, 3))
    with pytest.raises(CompileError, match=r"`optimizer.step\(\)` needs the numbers"):
        step(ROWS, numbers(5, 3))


# --- any formula ------------------------------------------------------------------------------------------------------

UNARY = {"neg": lambda x: -x, "tanh": tg.tanh, "sigmoid": tg.sigmoid, "exp": lambda x: (x * 0.1).exp(), "square": lambda x: x * x, "relu": tg.relu, "abs": tg.abs,
         "sin": tg.sin, "sum": lambda x: x.sum(-1, keepdim=True), "mean": lambda x: x - x.mean(), "max": lambda x: x - x.amax(0, keepdim=True), "T": lambda x: (x.T @ x).T[:1],
         "row": lambda x: x[0], "softplus": tg.nn.functional.softplus, "view": lambda x: x.reshape(-1, 1) * 0.5, "log": lambda x: (x * x + 1).log()}  # fmt: skip
BINARY = {"add": lambda x, y: x + y, "sub": lambda x, y: x - y, "mul": lambda x, y: x * y, "div": lambda x, y: x / (y * y + 1),
          "maximum": tg.maximum, "minimum": tg.minimum, "where": lambda x, y: tg.where(x > y, x, y * 2)}  # fmt: skip


def formula(choices, w, v, x):
    """A value made of randomly chosen operators, on shapes that always fit."""
    made = [w, v, x]
    for kind, name, i, j in choices:
        a, b = made[i % len(made)], made[j % len(made)]
        if kind:
            made.append(BINARY[name](a, b if a.shape == b.shape else b.sum()))
        else:
            made.append(UNARY[name](a if a.ndim == 2 else a.reshape(1, -1)))
    return sum((m * m).mean() for m in made[-3:])


operators = st.one_of(st.tuples(st.just(False), st.sampled_from(sorted(UNARY)), st.integers(0, 9), st.integers(0, 9)),
                      st.tuples(st.just(True), st.sampled_from(sorted(BINARY)), st.integers(0, 9), st.integers(0, 9)))  # fmt: skip


@pytest.mark.parametrize("backend", ["numpy", "scalar", "auto"])
@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck), phases=[Phase.generate])
@given(choices=st.lists(operators, min_size=1, max_size=7), seed=st.integers(0, 5))
def test_any_formula(backend, choices, seed):
    results = []
    for compiled in (False, True):
        w, v = numbers(2, 3, seed=seed).requires_grad_(), numbers(1, 3, seed=seed + 1).requires_grad_()
        optimizer = tg.optim.SGD([w, v], lr=0.01)

        def step(x, w=w, v=v, optimizer=optimizer):
            optimizer.zero_grad()
            loss = formula(choices, w, v, x)
            if loss.requires_grad:
                loss.backward()
            optimizer.step()
            return loss

        run = tg.compile(step, backend=backend) if compiled else step
        try:
            with np.errstate(all="ignore"):
                losses = [run(numbers(2, 3, seed=k)).item() for k in range(7)]
        except CompileError as error:
            assert backend == "scalar" and "use backend='numpy'" in str(error)
            return
        results.append((losses, w.tolist(), v.tolist(), w.grad is None or w.grad.tolist(), v.grad is None or v.grad.tolist()))
        assert not compiled or run.latest is not None
    if backend == "numpy":
        assert str(results[0]) == str(results[1])  # NaN too
    else:
        for a, b in zip(*results):
            np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-12)
