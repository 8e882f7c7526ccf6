"""Compiled steps compute what the step itself computes, bit for bit: many kinds of steps, and what they may see and change."""

import importlib.util
import sys

import numpy as np
import pytest

import tinygrad_edu as tg
from tinygrad_edu import nn
from tinygrad_edu.compiled import CompileError

F = nn.functional


def numbers(*shape, seed=1):
    return tg.tensor(np.random.default_rng(seed).standard_normal(shape))


def replayed(step, **options):
    return tg.compile(step, backend="numpy", **options)


def mlp():
    return nn.Sequential(nn.Linear(6, 5), nn.Tanh(), nn.Linear(5, 3)).double()


class Task:
    """A model with its optimizer, twice from the same start: for the step itself, and for the compiled one."""

    def __init__(self, make_step, make_model=mlp, optimizer=lambda p: tg.optim.SGD(p, lr=0.1)):
        self.sides = []
        for compiled in (False, True):
            tg.manual_seed(0)
            model = make_model()
            made = optimizer(list(model.parameters())) if model is not None else None
            step = make_step(model, made)
            self.sides.append((model, made, replayed(step) if compiled else step))

    def run(self, *calls, between=lambda model, optimizer, k: None, live=True):
        results = []
        for model, optimizer, step in self.sides:
            tg.manual_seed(7)
            results.append([])
            for k, args in enumerate(calls):
                out = step(*args)
                results[-1].append((plain(out), state(model, optimizer)))
                between(model, optimizer, k)
        for k, (a, b) in enumerate(zip(*results)):
            assert_same(a, b, f"call {k}")
        step = self.sides[1][2]
        assert (step.latest is not None) == live, step
        return step


def plain(x):
    if isinstance(x, tg.Tensor):
        return np.array(x.array), x.requires_grad
    if isinstance(x, dict):
        return {k: plain(v) for k, v in x.items()}
    return [plain(v) for v in x] if isinstance(x, (tuple, list)) else x


def state(model, optimizer):
    found = {}
    for name, t in model.state_dict().items() if model is not None else ():
        found[name] = np.array(t.array)
    for name, p in model.named_parameters() if model is not None else ():
        found[f"{name}.grad"] = None if p.grad is None else np.array(p.grad.array)
    for i, s in enumerate(optimizer.state.values() if optimizer is not None else ()):
        found |= {f"state {i} {k}": np.array(v.array) for k, v in s.items() if isinstance(v, tg.Tensor)}
    return found


def assert_same(a, b, where):
    assert type(a) is type(b), where
    if isinstance(a, np.ndarray):
        assert a.dtype == b.dtype and np.array_equal(a, b, equal_nan=a.dtype.kind == "f"), where
    elif isinstance(a, dict):
        assert list(a) == list(b), where
        for key in a:
            assert_same(a[key], b[key], f"{where}, {key}")
    elif isinstance(a, (tuple, list)):
        assert len(a) == len(b), where
        for x, y in zip(a, b):
            assert_same(x, y, where)
    else:
        assert a == b, where


def training(model, optimizer):
    def step(x, y):
        optimizer.zero_grad()
        loss = F.mse_loss(model(x), y)
        loss.backward()
        optimizer.step()
        return loss

    return step


X, Y = numbers(4, 6), numbers(4, 3, seed=2)


# --- what a step does -------------------------------------------------------------------------------------------------


def test_a_training_step_is_the_same_bit_for_bit_and_its_source_can_be_read():
    step = Task(training).run(*[(X, Y)] * 8)
    source = step.source
    assert "def step(x, y):" in source and "loss.backward()" in source and "optimizer.step()" in source
    assert "weight_0_grad" in source and "subtract(weight_0, " in source and "dot(" in source
    assert "tensor" not in source.lower(), "no operator and no engine takes part"


def test_several_samples_in_turn():
    Task(training).run(*[(X[k % 4 : k % 4 + 1], Y[k % 4 : k % 4 + 1]) for k in range(12)])


def test_batches_of_two_sizes_have_a_recording_each():
    step = Task(training).run(*[(X, Y) if k % 3 else (X[:2], Y[:2]) for k in range(20)])
    assert len(step.plans) == 2


def test_gradients_add_up_over_several_calls_until_the_user_clears_them():
    def make(model, optimizer):
        def step(x, y):
            loss = F.mse_loss(model(x), y)
            loss.backward()
            return loss

        return step

    def between(model, optimizer, k):
        if k % 3 == 2:
            optimizer.step()
            optimizer.zero_grad()

    Task(make).run(*[(X + k, Y) for k in range(14)], between=between)
    Task(make).run(*[(X + k, Y) for k in range(14)], between=lambda m, o, k: (o.step(), o.zero_grad(set_to_none=False)) if k % 3 == 2 else 0)


def test_gradients_that_are_set_to_zero_in_place():
    def make(model, optimizer):
        def step(x, y):
            optimizer.zero_grad(set_to_none=False)
            loss = F.mse_loss(model(x), y)
            loss.backward()
            optimizer.step()
            return loss, model[0].weight.grad

        return step

    Task(make).run(*[(X, Y)] * 9)


def test_accumulation_inside_the_step():
    def make(model, optimizer):
        def step(xs, ys):
            optimizer.zero_grad()
            total = 0.0
            for x, y in zip(xs, ys):
                loss = F.mse_loss(model(x), y) / len(xs)
                loss.backward()
                total = total + loss.detach()
            optimizer.step()
            return {"loss": total, "parts": [total / 2, None, "text", 3]}

        return step

    Task(make).run(*[((X, X * 2), [Y, Y + k]) for k in range(9)])


def test_updates_written_by_hand():
    def make(model, optimizer):
        def step(x, y):
            loss = F.mse_loss(model(x), y)
            loss.backward()
            with tg.no_grad():
                for p in model.parameters():
                    p -= 0.1 * p.grad
                    p.grad = None
            return loss

        return step

    Task(make).run(*[(X, Y)] * 8)

    def through_data(model, optimizer):
        def step(x, y):
            loss = F.mse_loss(model(x), y)
            loss.backward()
            for p in model.parameters():
                p.data -= 0.1 * p.grad.data
                p.grad.zero_()
            return loss.item if False else loss

        return step

    Task(through_data).run(*[(X, Y)] * 8)


def test_gradients_only():
    def make(model, optimizer):
        def step(x, y):
            loss = F.mse_loss(model(x), y)
            return tg.autograd.grad(loss, list(model.parameters()))

        return step

    Task(make).run(*[(X + k, Y) for k in range(8)])


def test_gradients_of_gradients():
    def make(model, optimizer):
        def step(x, y):
            optimizer.zero_grad()
            loss = F.mse_loss(model(x), y)
            grads = tg.autograd.grad(loss, list(model.parameters()), create_graph=True)
            (loss + 0.1 * sum((g * g).sum() for g in grads)).backward()
            optimizer.step()
            return loss.detach()

        return step

    Task(make).run(*[(X, Y)] * 8)


def test_gradients_of_an_argument():
    def make(model, optimizer):
        def step(x):
            loss = (x.tanh() ** 2).sum()
            loss.backward()
            return loss

        return step

    step, compiled = make(None, None), replayed(make(None, None))
    for k in range(8):
        a, b = (numbers(3, seed=k).requires_grad_() for _ in range(2))
        assert step(a).item() == compiled(b).item() and (a.grad.array == b.grad.array).all()
    assert compiled.latest is not None


def test_a_forward_pass():
    def make(model, optimizer):
        def step(x):
            with tg.no_grad():
                return model(x), x + 1

        return step

    Task(make).run(*[(X + k,) for k in range(8)])
    model = mlp()
    predict = tg.compile(model, backend="numpy")
    with tg.no_grad():
        for _ in range(6):
            assert (predict(X).array == model(X).array).all()
    assert predict.latest is not None


def test_a_compiled_module_has_the_modules_attributes():
    model = mlp()
    compiled = tg.compile(model, backend="numpy")
    assert list(compiled.parameters()) == list(model.parameters()) and compiled.eval() is model and not model.training
    with pytest.raises(AttributeError):
        compiled.nothing  # noqa: B018


def test_numpy_arrays_that_the_code_names_are_read_anew():
    table = np.arange(6.0)
    step = lambda x: (x * tg.tensor(table)).sum() + tg.from_numpy(table)[0]
    compiled = replayed(step)
    for k in range(8):
        assert compiled(X[0] + k).item() == step(X[0] + k).item()
        table += 1.0
    assert compiled.latest is not None and type(table) is np.ndarray


def test_several_threads():
    import threading

    def work(results, step, model):
        results.append([step(X, Y).item() for _ in range(30)] + [model[0].weight.sum().item()])

    apart, together = [], []
    for _ in range(3):
        model, _, step = Task(training).sides[1]
        work(apart, step, model)
    threads = [threading.Thread(target=work, args=(together, step, model)) for model, _, step in (Task(training).sides[1] for _ in range(3))]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert together == apart
    model, _, shared = Task(training).sides[1]
    results: list = []
    threads = [threading.Thread(target=work, args=(results, shared, model)) for _ in range(3)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    model, _, alone = Task(training).sides[0]
    losses = [alone(X, Y).item() for _ in range(90)]
    assert sorted((v for r in results for v in r[:-1]), reverse=True) == sorted(losses, reverse=True)


def test_keyword_arguments_and_plain_ones():
    def make(model, optimizer):
        def step(x, y, *, scale=1.0, mode="mean"):
            optimizer.zero_grad()
            loss = F.mse_loss(model(x), y, reduction=mode) * scale
            loss.backward()
            optimizer.step()
            return loss

        return step

    for _, _, step in (sides := Task(make).sides):
        step.results = [step(X, y=Y, scale=s, mode=m).item() for s, m in [(1.0, "mean"), (2.0, "sum")] * 8]
    assert sides[0][2].results == sides[1][2].results and len(sides[1][2].plans) == 2


def test_what_returns_is_the_users_own():
    _, _, step = Task(training).sides[1]
    kept = [(loss, loss.item()) for loss in (step(X, Y) for _ in range(9))]
    assert [loss.item() for loss, _ in kept] == [value for _, value in kept] and len({value for _, value in kept}) == 9
    model = Task(training).sides[1][0]
    assert model is not None


def test_old_gradients_stay_what_they_were():
    model, _, step = Task(training).sides[1]
    kept = []
    for _ in range(9):
        step(X, Y)
        kept.append((model[0].weight.grad, model[0].weight.grad.array.copy()))
    assert all((g.array == copy).all() for g, copy in kept)


def test_a_returned_loss_still_requires_grad_and_its_graph_is_used_up():
    _, _, step = Task(training).sides[1]
    for _ in range(6):
        loss = step(X, Y)
    assert loss.requires_grad and not loss.is_leaf
    with pytest.raises(RuntimeError, match="freed by an earlier backward pass"):
        loss.backward()


def test_parameters_that_are_returned_are_themselves():
    model = mlp()
    step = replayed(lambda: (model[0].weight, model[0].weight.detach(), tg.ones(2)))
    for _ in range(6):
        weight, detached, ones = step()
        assert weight is model[0].weight and np.shares_memory(detached.array, weight.array) and ones.tolist() == [1, 1]


def test_tied_weights_and_frozen_ones():
    class Tied(nn.Module):
        def __init__(self):
            super().__init__()
            self.a, self.b, self.c = nn.Linear(6, 6), nn.Linear(6, 6), nn.Linear(6, 3)
            self.b.weight = self.a.weight
            self.c.weight.requires_grad_(False)

        def forward(self, x):
            return self.c(self.b(self.a(x).relu()))

    Task(training, lambda: Tied().double()).run(*[(X, Y)] * 8)


def test_arguments_changed_in_place():
    def make(model, optimizer):
        def step(total, x):
            total += x.sum(0)
            total.mul_(0.5)
            return total.max()

        return step

    totals = [tg.zeros(6, dtype=tg.float64) for _ in range(2)]
    step, compiled = make(None, None), replayed(make(None, None))
    for k in range(8):
        assert step(totals[0], X + k).item() == compiled(totals[1], X + k).item()
        assert (totals[0].array == totals[1].array).all()
    assert compiled.latest is not None


def test_moving_averages_of_weights():
    def make(model, optimizer):
        average = [p.detach().clone() for p in model.parameters()]

        def step(x, y):
            optimizer.zero_grad()
            F.mse_loss(model(x), y).backward()
            optimizer.step()
            with tg.no_grad():
                for a, p in zip(average, model.parameters()):
                    a.mul_(0.9).add_(p, alpha=0.1)
            return [a.clone() for a in average]

        return step

    Task(make).run(*[(X, Y)] * 8)


def test_an_operator_of_ones_own():
    class Cube(tg.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            ctx.save_for_backward(x)
            return x * x * x

        @staticmethod
        def backward(ctx, g):
            (x,) = ctx.saved_tensors
            return g * 3 * x * x

    def make(model, optimizer):
        def step(x, y):
            optimizer.zero_grad()
            loss = Cube.apply(model(x) - y).abs().mean()
            loss.backward()
            optimizer.step()
            return loss

        return step

    Task(make).run(*[(X, Y)] * 8)


# --- what changes between calls ---------------------------------------------------------------------------------------


SCHEDULES = {
    "step": lambda o: tg.optim.lr_scheduler.StepLR(o, 3, 0.5),
    "cosine": lambda o: tg.optim.lr_scheduler.CosineAnnealingLR(o, 10),
    "one cycle": lambda o: tg.optim.lr_scheduler.OneCycleLR(o, 0.1, total_steps=20),
    "sequence": lambda o: tg.optim.lr_scheduler.SequentialLR(o, [tg.optim.lr_scheduler.LinearLR(o), tg.optim.lr_scheduler.ExponentialLR(o, 0.9)], [4]),
}


@pytest.mark.parametrize("inside", [False, True])
@pytest.mark.parametrize("kind", SCHEDULES)
def test_learning_rate_schedules(kind, inside):
    schedules = []

    def make(model, optimizer):
        schedule = SCHEDULES[kind](optimizer)
        schedules.append(schedule)

        def step(x, y):
            optimizer.zero_grad()
            loss = F.mse_loss(model(x), y)
            loss.backward()
            optimizer.step()
            if inside:
                schedule.step()
            return loss

        return step

    task = Task(make, optimizer=lambda p: tg.optim.SGD(p, lr=0.1, momentum=0.9))
    of = {id(o): s for (_, o, _), s in zip(task.sides, schedules)}
    step = task.run(*[(X, Y)] * 14, between=lambda m, o, k: None if inside else of[id(o)].step())
    assert len(step.plans) == 1, "a new rate is no new recording"
    assert schedules[0].get_last_lr() == schedules[1].get_last_lr()


def test_rates_and_options_set_by_hand():
    def between(model, optimizer, k):
        optimizer.param_groups[0]["lr"] *= 0.9
        if k == 6:
            optimizer.param_groups[0]["weight_decay"] = 0.1

    Task(training, optimizer=lambda p: tg.optim.Adam(p, lr=0.01)).run(*[(X, Y)] * 14, between=between)


def test_training_and_evaluation_and_gradients_switched_off():
    def make(model, optimizer):
        def step(x, y):
            if not tg.is_grad_enabled():
                return model(x).sum()
            optimizer.zero_grad()
            loss = F.mse_loss(model(x), y)
            loss.backward()
            optimizer.step()
            return loss

        return step

    def between(model, optimizer, k):
        model.train(k % 3 != 0)
        tg.set_grad_enabled(k % 5 != 0)

    try:
        Task(make, lambda: nn.Sequential(nn.Linear(6, 5), nn.BatchNorm1d(5), nn.Dropout(0.4), nn.Linear(5, 3)).double()).run(
            *[(X, Y)] * 30, between=between
        )
    finally:
        tg.set_grad_enabled(True)


def test_weights_loaded_replaced_and_written():
    def between(model, optimizer, k):
        weight = model[0].weight
        if k == 5:
            model.load_state_dict({name: t * 0.5 for name, t in model.state_dict().items()})
        if k == 7:
            weight.data = weight.data * 2
        if k == 9:
            with tg.no_grad():
                weight[0] = 1.0
        if k == 11:
            model[0] = nn.Linear(6, 5).double()
            model[0].weight.data.fill_(0.25)
            model[0].bias.data.fill_(0.5)
            optimizer.param_groups[0]["params"] = list(model.parameters())

    Task(training).run(*[(X, Y)] * 20, between=between)


def test_states_of_optimizers_loaded():
    saved = {}

    def between(model, optimizer, k):
        if k == 4:
            saved[id(optimizer)] = optimizer.state_dict()
        if k == 9:
            optimizer.load_state_dict(saved[id(optimizer)])

    Task(training, optimizer=lambda p: tg.optim.Adam(p, lr=0.01)).run(*[(X, Y)] * 16, between=between)


def test_numbers_that_the_code_names():
    sets = {}

    def make(model, optimizer):
        class Settings:
            power = 2

        class Config:
            bias = 0.0

        settings, large, box = Settings(), [1.0] * 3000, {"scale": 1.0}
        settings.offset, factors = 0.0, [1.0, 2.0]

        def step(x, y):
            optimizer.zero_grad()
            loss = (model(x) - y).pow(2).sum() * box["scale"] * factors[0] + settings.offset
            loss = loss * large[5] + Config.bias * settings.power
            loss.backward()
            optimizer.step()
            return loss

        sets[id(optimizer)] = settings, factors, large, box, Config
        return step

    task = Task(make)

    def between(model, optimizer, k):
        settings, factors, large, box, config = sets[id(optimizer)]
        box["scale"] = 1.0 if k % 16 < 4 else 0.5
        settings.offset = 0.0 if k < 8 else 3.0
        factors[0] = 1.0 if k < 12 else 0.1
        config.bias = 0.0 if k < 16 else 1.0
        type(settings).power = 2 if k < 20 else 3
        large[5] = 1.0 if k < 24 else 2.0

    task.run(*[(X, Y)] * 30, between=between)


def test_hooks_that_come_later():
    def between(model, optimizer, k):
        if k == 5:
            model[0].weight.register_hook(lambda g: g * 2)
        if k == 9:
            model[2].register_forward_hook(lambda module, args, out: out * 0.5)
        if k == 13:
            optimizer.register_step_pre_hook(lambda optimizer, args, kwargs: None if model[2].bias.grad.mul_(3.0) is None else None)

    Task(training).run(*[(X, Y)] * 18, between=between)
    handles = []

    def everywhere(model, optimizer, k):
        if k == 5:
            handles.append(nn.modules.module.register_module_forward_hook(lambda module, args, out: out * 0.9))
        if k == 8:
            handles.pop().remove()

    Task(training).run(*[(X, Y)] * 12, between=everywhere)


def test_a_tensor_that_the_code_names_is_read_anew():
    target = numbers(4, 3)

    def make(model, optimizer):
        def step(x):
            optimizer.zero_grad()
            loss = F.mse_loss(model(x), target)
            loss.backward()
            optimizer.step()
            return loss

        return step

    task = Task(make)
    for _k in range(10):
        a, b = (step(X).item() for _, _, step in task.sides)
        assert a == b
        target += 0.1
    assert task.sides[1][2].latest is not None


def test_graphs_of_before_see_that_a_replay_has_changed_weights():
    model, _, step = Task(training).sides[1]
    for _ in range(6):
        step(X, Y)
    loss = F.mse_loss(model(X), Y)
    step(X, Y)
    with pytest.raises(RuntimeError, match="compiled step has overwritten"):
        loss.backward()


def test_random_numbers_go_on_as_they_would():
    def make(model, optimizer):
        def step(x, y):
            optimizer.zero_grad()
            noise = tg.randn_like(x)
            loss = F.mse_loss(model(F.dropout(x + 0.1 * noise, 0.3)), y) + tg.rand(()) + tg.randint(0, 5, (3,)).sum()
            loss.backward()
            optimizer.step()
            return loss

        return step

    Task(make).run(*[(X, Y)] * 8)
    generators = [tg.Generator().manual_seed(3) for _ in range(2)]
    steps = [lambda x, g=g: x + tg.rand(4, generator=g) for g in generators]
    compiled = replayed(steps[1])
    for _ in range(8):
        assert (steps[0](tg.ones(4)).array == compiled(tg.ones(4)).array).all()


def test_clipped_gradients():
    def make(model, optimizer):
        def step(x, y):
            optimizer.zero_grad()
            loss = F.mse_loss(model(x), y)
            loss.backward()
            norm = nn.utils.clip_grad_norm_(model.parameters(), 0.8)
            nn.utils.clip_grad_value_(model.parameters(), 0.2)
            optimizer.step()
            return loss, norm

        return step

    step = Task(make).run(*[(X * (1 + k % 3), Y) for k in range(12)])
    assert len(step.plans) == 1


# --- what cannot be replayed says so ----------------------------------------------------------------------------------


def refused(step, *args, calls=6, match):
    compiled = replayed(step)
    with pytest.raises(CompileError, match=match) as caught:
        for _ in range(calls):
            compiled(*args)
    return caught


READS = {
    "item": lambda loss: loss.item(),
    "float": lambda loss: float(loss),
    "if": lambda loss: 1 if loss < 1 else 0,
    "bool": lambda loss: bool(loss > 0),
    "numpy": lambda loss: loss.numpy() + 1,
    "asarray": lambda loss: np.asarray(loss),
    "print": lambda loss: str(loss),
    "format": lambda loss: f"{loss:.3f}",
    "tolist": lambda loss: loss.tolist(),
    "range": lambda loss: list(range(loss.long())),
}


@pytest.mark.parametrize("how", READS)
def test_reading_a_number_inside_names_the_line(how):
    model = mlp()
    before = [p.array.copy() for p in model.parameters()]
    read = READS[how]

    def step(x):
        loss = model(x).detach().pow(2).mean()
        with tg.no_grad():
            model[0].weight.add_(1.0)
        return read(loss)

    compiled = replayed(step)
    compiled(X)
    after = [p.array.copy() for p in model.parameters()]
    with pytest.raises(CompileError, match=r"line \d+, `.*lambda loss.*` needs the numbers of an array .* return the tensor"):
        compiled(X)
    assert all((a == p.array).all() for a, p in zip(after, model.parameters())), "a step that is refused changes nothing"
    assert not (before[0] == after[0]).all()


def test_a_python_number_that_each_call_changes():
    class Counting(nn.Module):
        def __init__(self):
            super().__init__()
            self.count = 0

        def forward(self, x):
            self.count += 1
            return x * self.count

    refused(Counting(), X, match=r"each call changes .*count.* update it in place")
    losses = []

    def appending(x):
        losses.append((x * 2).sum())
        return losses[-1]

    refused(appending, X, match=r"each call changes losses \(its length\)")
    assert all(isinstance(t.array, (np.ndarray, np.generic)) and type(t.array).__module__ == "numpy" for t in losses)


def test_a_tensor_that_is_kept_outside():
    class Remembering(nn.Module):
        def forward(self, x):
            self.last = x * 2
            return self.last + 1

    refused(Remembering(), X, match="each call changes")

    class Slots:
        __slots__ = ("last",)

    box = Slots()

    def step(x):
        box.last = x * 2
        return box.last + 1

    refused(step, X, match="keeps an array that the step computes")
    assert type(box.last.array) is np.ndarray


def test_what_nobody_can_see_is_found_by_the_trial_replays():
    rng = np.random.default_rng(0)
    refused(lambda x: x + tg.tensor(rng.random(6)), X, calls=20, match="other|another .* than the step itself")
    leak = [0.0]

    class Hidden:
        __slots__ = ("value",)

    hidden = Hidden()
    hidden.value = 0.0

    def step(x):
        hidden.value += 1.0
        return x * hidden.value

    refused(step, X, calls=20, match="than the step itself, in 3 recordings")
    assert leak == [0.0]


def test_graphs_do_not_leave_a_step():
    model = mlp()
    refused(lambda x: model(x), X, match=r"returns a tensor that belongs to a graph.*y.detach\(\)")
    outside = model(X)
    refused(lambda y: y.sum().detach(), outside, match="belongs to a graph outside")


def test_data_that_is_replaced():
    model = mlp()

    def step(x):
        model[0].weight.data = model[0].weight.data * 2

    refused(step, X, match=r"puts other memory into weight_0; write to the memory that is there, as in x.data.copy_\(y\)")


def test_other_arguments_and_results():
    refused(lambda x: x * 2, X.numpy(), match="a NumPy array; pass a tensor")
    refused(lambda x: object(), X, match="returns a object")
    refused(lambda x, y: x, X, object(), match="the argument y is a object")
    with pytest.raises(CompileError, match="no source yet"):
        replayed(lambda x: x).source  # noqa: B018
    with pytest.raises(ValueError, match="expected one of numpy, scalar, auto"):
        tg.compile(lambda x: x, backend="numpi")
    with pytest.raises(TypeError, match="belong to PyTorch's compilers"):
        tg.compile(lambda x: x, backend="numpy", mode="max-autotune")


def test_sizes_that_depend_on_the_data():
    def make(model, optimizer):
        def step(x):
            return x[x > 0].sum()

        return step

    step, compiled = make(None, None), replayed(make(None, None))
    inputs = [numbers(20, seed=k % 2) for k in range(12)]
    assert [step(x).item() for x in inputs] == [compiled(x).item() for x in inputs]


def test_an_error_in_a_replay_is_that_of_the_step_and_changes_what_the_step_changes():
    def make(model, optimizer):
        def step(x, y):
            optimizer.zero_grad()
            loss = F.cross_entropy(model(x), y)
            loss.backward()
            optimizer.step()
            return loss

        return step

    labels, wrong = tg.tensor([0, 1, 2, 0]), tg.tensor([0, 1, 3, 0])
    task = Task(make, lambda: nn.Sequential(nn.Linear(6, 5), nn.BatchNorm1d(5), nn.Dropout(0.5), nn.Linear(5, 3)).double())
    task.run(*[(X, labels)] * 8)
    messages, states = [], []
    for model, optimizer, step in task.sides:
        tg.manual_seed(3)
        with pytest.raises(IndexError) as caught:
            step(X, wrong)
        messages.append(str(caught.value))
        step(X, labels)
        states.append(state(model, optimizer))
    assert messages[0] == messages[1]
    assert_same(*states, "after the error")


def test_an_error_after_a_change_leaves_the_change_as_the_step_would():
    sides = []
    for compiled in (False, True):
        count, table = tg.zeros(1), tg.arange(5.0)

        def step(i, count=count, table=table):
            count.add_(1)
            return table[i] * count

        sides.append((replayed(step) if compiled else step, count))
    for k in (0, 1, 2, 3, 9, 4):
        outcomes = []
        for step, count in sides:
            try:
                outcomes.append((step(tg.tensor([k])).item(), count.item()))
            except IndexError:
                outcomes.append(("IndexError", count.item()))
        assert outcomes[0] == outcomes[1]


class Trainer:
    """What programs have: a method that is a step, settings, a history that grows outside of it."""

    gain = 1.0

    def __init__(self, compiled):
        tg.manual_seed(0)
        self.model = nn.Sequential(nn.Linear(6, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Dropout(0.2), nn.Linear(8, 3))
        self.optimizer = tg.optim.AdamW(self.model.parameters(), lr=1e-2)
        self.schedule = tg.optim.lr_scheduler.CosineAnnealingLR(self.optimizer, 100)
        self.loss = nn.CrossEntropyLoss(label_smoothing=0.1, weight=tg.tensor([1.0, 2.0, 3.0]))
        self.settings, self.history = {"clip": 1.0}, []
        self.run = replayed(self.step) if compiled else self.step

    @property
    def doubled(self):
        return self.gain * 2

    def step(self, x, y):
        self.optimizer.zero_grad()
        out = self.model(x)
        loss = self.loss(out, y) * self.doubled
        loss.backward()
        nn.utils.clip_grad_norm_(self.model.parameters(), self.settings["clip"])
        self.optimizer.step()
        self.schedule.step()
        return loss, (out.detach().argmax(1) == y).float().mean()

    def fit(self, batches):
        for k, (x, y) in enumerate(batches):
            self.history.append([t.item() for t in self.run(x, y)])
            if k == 20:
                self.gain = 2.0
            if k == 30:
                self.settings["clip"] = 0.1
        return self.history


def test_a_trainer():
    x, y = numbers(50, 6).float(), tg.tensor(np.random.default_rng(1).integers(0, 3, 50))
    batches = [(x[k : k + 16], y[k : k + 16]) for k in (0, 16, 32, 48)] * 10
    alone, compiled = Trainer(False), Trainer(True)
    tg.manual_seed(3)
    history = alone.fit(batches)
    tg.manual_seed(3)
    assert compiled.fit(batches) == history
    assert compiled.run.latest is not None and len(compiled.run.plans) <= 6


def test_what_changes_at_every_call_is_named():
    settings = {"k": 0}
    step = replayed(lambda x: x * settings["k"])
    with pytest.raises(CompileError, match=r"settings.k is another one at nearly every call"):
        for k in range(60):
            settings["k"] = k
            step(X)
    step = replayed(lambda x, k: x * k)
    with pytest.raises(CompileError, match="an argument has another shape or value at nearly every call"):
        for k in range(60):
            step(X, k)


def test_what_changes_now_and_then_is_recorded_each_time():
    settings = {"k": 0.0}
    step = replayed(lambda x: x * settings["k"])
    for k in range(200):
        settings["k"] = float(k // 5)
        assert step(X[0]).tolist() == (X[0] * settings["k"]).tolist()
    assert step.latest is not None


def test_anomaly_detection_and_pictures_see_the_step_itself():
    _, _, step = Task(training).sides[1]
    for _ in range(6):
        step(X, Y)
    with pytest.raises(RuntimeError, match="detect_anomaly"), tg.autograd.detect_anomaly():
        step(X * np.nan, Y)


def test_nothing_of_the_recording_stays_behind():
    from tinygrad_edu.autograd import modes

    functions, inside = [np.zeros, np.array, np.asarray], nn.functional.loss.np
    Task(training).run(*[(X, Y)] * 4, live=False)
    compiled = replayed(lambda x: x.item())
    compiled(X[0, 0])
    with pytest.raises(CompileError):
        compiled(X[0, 0])
    assert [np.zeros, np.array, np.asarray] == functions and nn.functional.loss.np is inside is np
    assert modes.tapes == 0 and modes.state.tape is None


def test_a_users_file_may_be_called_as_one_of_pythons(tmp_path, monkeypatch):
    (tmp_path / "code.py").write_text("rate = 2.0\n\n\ndef scaled(x):\n    return x * rate\n")
    spec = importlib.util.spec_from_file_location("code", tmp_path / "code.py")
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "code", module)
    spec.loader.exec_module(module)
    step = tg.compile(module.scaled, backend="numpy")
    x = tg.ones(2)
    assert [step(x).tolist() for _ in range(5)] == [[2.0, 2.0]] * 5
    module.rate = 3.0
    assert step(x).tolist() == [3.0, 3.0], "its numbers are watched, for it is the user's"


# --- what once went wrong ---------------------------------------------------------------------------------------------


def same_calls(make, calls, between=lambda seen, k: None):
    """Run a step and its compiled twin, made alike by make() → (step, what it sees), and compare all they return."""
    (one, seen_by_one), (other, seen_by_other) = make(), make()
    compiled = replayed(other)
    for k, make_arguments in enumerate(calls):
        assert_same(plain(one(*make_arguments())), plain(compiled(*make_arguments())), f"call {k}")
        assert_same(plain(vars(seen_by_one)), plain(vars(seen_by_other)), f"after call {k}")
        between(seen_by_one, k), between(seen_by_other, k)
    return compiled


class Seen:
    """What a step sees, by name."""

    def __init__(self, **values):
        vars(self).update(values)


def test_hooks_on_saved_values_see_the_step_itself():
    packed: list = []
    model, _, step = Task(training).sides[1]
    for _ in range(6):
        step(X, Y)
    for _ in range(2):
        before = len(packed)
        with tg.autograd.graph.saved_tensors_hooks(lambda t: packed.append(1) or t.clone(), lambda t: t):
            step(X, Y)
        assert len(packed) > before
    count = len(packed)
    step(X, Y)
    assert len(packed) == count and step.latest is not None, "without them it is replayed again"


def test_places_that_hold_an_equal_thing_of_another_kind():
    def make():
        seen = Seen(k=1, sizes=[2.0, 3.0], scale=tg.tensor(2.0))
        return lambda x: (x * seen.k, x * seen.sizes[0], x * seen.scale), seen

    def between(seen, k):
        if k in (6, 12):
            seen.k = 1.0 if k == 6 else True
        if k == 8:
            seen.sizes, seen.scale = [2.0, 3.0], tg.tensor(2.0)
        if k > 8:
            seen.sizes[0] += 1.0
            seen.scale.add_(1)

    same_calls(make, [lambda: (tg.arange(3),)] * 16, between)


def test_values_in_a_class_that_the_code_names():
    def make():
        class Config:
            bias = 0.0

        return lambda x: x + Config.bias, Seen(config=Config)

    def between(seen, k):
        seen.config.bias = float(k > 6)

    (one, a), (other, b) = make(), make()
    compiled = replayed(other)
    for k in range(12):
        assert one(X).tolist() == compiled(X).tolist()
        between(a, k), between(b, k)
    assert compiled.latest is not None


def test_gradients_and_hooks_of_arguments_that_change_places():
    def make():
        seen = Seen(xs=[numbers(3, seed=k).requires_grad_() for k in range(3)])
        for k, x in enumerate(seen.xs):
            (x * x).sum().backward()
            if k == 2:
                x.register_hook(lambda g: g * 3)

        def step(x):
            loss = (x.tanh() ** 2).sum()
            loss.backward()
            return loss

        return step, seen

    (one, a), (other, b) = make(), make()
    compiled = replayed(other)
    for k in range(14):
        assert one(a.xs[k % 2 + k // 8]).item() == compiled(b.xs[k % 2 + k // 8]).item()
        assert [x.grad.tolist() for x in a.xs] == [x.grad.tolist() for x in b.xs]


def test_an_array_that_a_step_replaces_is_replaced():
    def make():
        table = np.zeros(3)

        def step(x):
            nonlocal table
            table = table + 1.0
            return tg.from_numpy(table) + x

        return step

    one, other = make(), replayed(make())
    with pytest.raises(CompileError, match="each call changes table"):
        for _ in range(6):
            assert one(X[0, :3]).tolist() == other(X[0, :3]).tolist()


def test_python_numbers_that_a_step_returns_and_changes():
    model = mlp()
    optimizer = tg.optim.SGD(model.parameters(), lr=0.1)
    schedule = tg.optim.lr_scheduler.StepLR(optimizer, 1, 0.9)

    def step(x):
        optimizer.step()
        schedule.step()
        return x * 1, schedule.get_last_lr()

    refused(step, X, calls=20, match=r"gives another result\[1\]\[0\] than the step itself")


def test_an_error_of_the_users_own_leaves_what_the_step_leaves():
    def make():
        seen = Seen(count=tg.zeros(1), limit=3.0)

        def step(x):
            seen.count.add_(1)
            if seen.limit > 5:
                raise ValueError("too much")
            seen.count.mul_(2)
            return x * seen.count

        return step, seen

    (one, a), (other, b) = make(), make()
    compiled = replayed(other)
    for k in range(12):
        a.limit = b.limit = 9.0 if k in (1, 2, 7, 8) else 3.0
        for step in (one, compiled):
            if a.limit > 5:
                with pytest.raises(ValueError, match="too much"):
                    step(X)
            else:
                step(X)
        assert a.count.item() == b.count.item(), k
    assert compiled.latest is not None


def test_gradients_of_frozen_parameters():
    def make(model, optimizer):
        def step(x, y):
            optimizer.zero_grad(set_to_none=False)
            loss = F.mse_loss(model(x), y)
            loss.backward()
            norm = nn.utils.clip_grad_norm_(model.parameters(), 0.5)
            optimizer.step()
            return loss, norm

        return step

    def between(model, optimizer, k):
        if k in (4, 9, 13):
            model[0].requires_grad_(k == 9)

    Task(make).run(*[(X + k, Y) for k in range(18)], between=between)


def test_complex_results_are_returned_in_two_parts():
    refused(lambda x: tg.fft.rfft(x), X[0], match="the step returns a ComplexTensor; return tensors")
    step = lambda x: (lambda z: (z.real, z.imag, z.abs()))(tg.fft.rfft(x))
    same_calls(lambda: (step, Seen()), [lambda k=k: (numbers(6, seed=k),) for k in range(7)])


def test_named_results():
    same_calls(lambda: (lambda x: (tg.max(x, 0), {"sorted": tg.sort(x)}), Seen()), [lambda k=k: (numbers(4, 3, seed=k),) for k in range(8)])
    step = replayed(lambda x: tg.max(x, 0))
    assert all(step(X).values.tolist() == tg.max(X, 0).values.tolist() for _ in range(6))
