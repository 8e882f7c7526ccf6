"""Optimizers: PyTorch's trajectories, its state layout, and a warning about forgotten zero_grad without false alarms."""

import copy
import json
import warnings

import numpy as np
import pytest
from reference import make_optim as reference

import tinygrad_edu as tg
from tinygrad_edu import nn, optim

RECORDED = json.loads(reference.RECORDED.read_text())
CASES = [pytest.param(*case, id=reference.label(*case)) for case in reference.OPTIMIZERS]
NAMES = ["SGD", "Adam", "AdamW", "NAdam", "RAdam", "RMSprop", "Adagrad", "Adadelta", "Adamax", "ASGD", "Rprop"]
RICH = dict(SGD=dict(momentum=0.9), RMSprop=dict(momentum=0.5, centered=True), Adam=dict(amsgrad=True))


@pytest.mark.parametrize("name, options", CASES)
def test_trajectories_equal_the_recorded_ones(name, options):
    rows = reference.trajectory(tg, name, options)
    np.testing.assert_allclose([rows[i] for i in reference.KEPT], RECORDED["optimizers"][reference.label(name, options)], 1e-12, 1e-12)


@pytest.mark.parametrize("name, options", CASES)
def test_trajectories_equal_torchs(name, options):
    torch = pytest.importorskip("torch")
    np.testing.assert_allclose(
        reference.trajectory(tg, name, options), reference.trajectory(torch, name, options), rtol=1e-12, atol=1e-12
    )


def trained(lib, name, options, steps, dtype="float64", start=None, optimizer_state=None):
    """A parameter after some steps with gradients that depend on it, and its optimizer."""
    p = lib.tensor([1.0, -2.0, 3.0] if start is None else start, dtype=getattr(lib, dtype), requires_grad=True)
    q = lib.tensor(0.5, dtype=getattr(lib, dtype), requires_grad=True)
    optimizer = getattr(lib.optim, name)([p, q], **options)
    if optimizer_state is not None:
        optimizer.load_state_dict(optimizer_state)
    for _ in range(steps):
        optimizer.zero_grad()
        ((p**2).sum() * q + q**2).backward()
        optimizer.step()
    return p, q, optimizer


@pytest.mark.parametrize("name", NAMES)
def test_state_travels_through_state_dict(name):
    options = RICH.get(name, {})
    whole, whole_q, _ = trained(tg, name, options, 7)
    half, half_q, optimizer = trained(tg, name, options, 4)
    state = copy.deepcopy(optimizer.state_dict())
    rest = getattr(optim, name)([half, half_q], **options)
    rest.load_state_dict(state)
    for _ in range(3):
        rest.zero_grad()
        ((half**2).sum() * half_q + half_q**2).backward()
        rest.step()
    assert half.tolist() == pytest.approx(whole.tolist(), rel=1e-7 if name in ("NAdam", "ASGD") else 1e-15)
    for k, v in state["state"][0].items():  # loading shares what fits, as in PyTorch
        assert rest.state[half][k] is v or not isinstance(v, tg.Tensor) or v.shape != half.shape


@pytest.mark.parametrize("name", NAMES)
def test_state_dict_has_torchs_layout(name):
    torch = pytest.importorskip("torch")
    for options in ({}, RICH.get(name, {})):
        *_, ours = trained(tg, name, options, 2)
        *_, theirs = trained(torch, name, options, 2)
        a, b = ours.state_dict(), theirs.state_dict()
        assert a["param_groups"] == b["param_groups"]
        assert repr(ours) == repr(theirs)
        assert a["state"].keys() == b["state"].keys()
        for n in a["state"]:
            assert {k: (str(v.dtype), tuple(v.shape)) for k, v in a["state"][n].items()} == {
                k: (str(v.dtype).removeprefix("torch."), tuple(v.shape)) for k, v in b["state"][n].items()
            }
            for k, v in a["state"][n].items():
                np.testing.assert_allclose(v.tolist(), b["state"][n][k].tolist(), rtol=1e-6)


@pytest.mark.parametrize("name", NAMES)
def test_big_and_oddly_laid_out_parameters_take_the_same_steps(name):
    """In pieces, in Fortran order, with a gradient laid out otherwise, without contiguity: the numbers of small arrays."""
    options = dict(RICH.get(name, {}), lr=0.1)
    rng = np.random.default_rng(0)
    values, gradients = rng.normal(size=(340, 200)), rng.normal(size=(4, 340, 200))
    wide = np.empty((340, 400))
    layouts = [np.array(values), np.asfortranarray(values), wide[:, ::2]]
    wide[:, ::2] = values
    results = []
    for start in layouts:
        p = tg.zeros(340, 200, dtype=tg.float64, requires_grad=True)
        p.array = start.copy(order="K") if start.base is None else start
        optimizer = getattr(optim, name)([p], **options)
        for i, g in enumerate(gradients):
            p.grad = tg.tensor(np.asfortranarray(g) if i % 2 else g)
            optimizer.step()
        results.append(p.detach().numpy())
    small = []
    for columns in np.split(np.arange(200), 4):
        p = tg.tensor(values[:, columns], requires_grad=True)
        optimizer = getattr(optim, name)([p], **options)
        for g in gradients:
            p.grad = tg.tensor(g[:, columns])
            optimizer.step()
        small.append(p.detach().numpy())
    for result in results:
        np.testing.assert_allclose(result, np.concatenate(small, 1), rtol=1e-12)
        assert not np.allclose(result, values)


@pytest.mark.parametrize("name", NAMES)
def test_the_update_is_in_place_and_keeps_the_dtype(name):
    p = tg.ones(3, 2, requires_grad=True)
    number = tg.tensor(2.0, requires_grad=True)
    array = p.array
    (p.sum() * number).backward()
    optimizer = getattr(optim, name)([p, number])
    given = p.grad.tolist()
    optimizer.step()
    assert p.array is array and p.dtype == tg.float32 and number.dtype == tg.float32
    assert p.grad.tolist() == given and not np.allclose(array, 1)
    assert all(s["exp_avg"].dtype == tg.float32 for s in optimizer.state.values() if "exp_avg" in s)


def test_backward_after_an_update_of_what_it_saved_is_an_error():
    w = tg.ones(2, requires_grad=True)
    loss = (w * w).sum()
    loss.backward(retain_graph=True)
    optim.SGD([w], lr=0.1).step()
    with pytest.raises(RuntimeError, match=r"optimizer.step\(\) has overwritten"):
        loss.backward()


def test_learning_rate_as_a_tensor():
    rate = tg.tensor(0.5)
    p = tg.ones(1, requires_grad=True)
    optimizer = optim.SGD([p], lr=rate)
    p.sum().backward()
    optimizer.step()
    scheduler = optim.lr_scheduler.ExponentialLR(optimizer, 0.5)
    scheduler.step()
    assert p.item() == 0.5 and optimizer.param_groups[0]["lr"] is rate and rate.item() == 0.25
    assert float(scheduler.get_last_lr()[0]) == 0.25


def test_groups():
    a, b, c = (nn.Parameter(tg.ones(2)) for _ in range(3))
    optimizer = optim.SGD([dict(params=[("a", a)]), dict(params=[("b", b)], lr=0.5)], lr=0.1)
    with pytest.raises(ValueError, match="names in all or in none"):
        optimizer.add_param_group(dict(params=[c]))
    optimizer.add_param_group(dict(params=[("c", c)], lr=1.0))
    assert list(optimizer.param_groups[2])[:3] == ["params", "lr", "param_names"]  # what is given comes first, then the defaults
    (a.sum() + b.sum() + c.sum()).backward()
    optimizer.step()
    assert [t[0].item() for t in (a, b, c)] == pytest.approx([0.9, 0.5, 0.0])
    assert optimizer.param_groups[2]["param_names"] == ["c"]
    optimizer.zero_grad(set_to_none=False)
    assert a.grad.tolist() == [0, 0]
    optimizer.zero_grad()
    assert a.grad is None and b.grad is None


def test_parameters_without_gradients_rest():
    a, b = (tg.ones(1, requires_grad=True) for _ in range(2))
    optimizer = optim.Adam([a, b], weight_decay=1.0)
    a.sum().backward()
    optimizer.step()
    assert b.item() == 1 and b not in optimizer.state


def test_closures_return_the_loss():
    p = tg.ones(2, requires_grad=True)
    optimizer = optim.Adam([p])

    def closure():
        optimizer.zero_grad()
        loss = (p**2).sum()
        loss.backward()
        return loss

    with tg.no_grad():
        assert optimizer.step(closure).item() == 2
    assert optimizer.step(closure).item() < 2


def test_hooks():
    seen = []
    p = tg.ones(1, requires_grad=True)
    p.grad = tg.ones(1)
    optimizer = optim.SGD([p])
    first = optimizer.register_step_pre_hook(lambda o, args, kwargs: seen.append("before"))
    optimizer.register_step_post_hook(lambda o, args, kwargs: seen.append(o is optimizer))
    optimizer.register_state_dict_post_hook(lambda o, state: {**state, "extra": 1})
    optimizer.step()
    first.remove()
    p.grad = tg.ones(1)
    optimizer.step()
    assert seen == ["before", True, True] and optimizer.state_dict()["extra"] == 1


def test_an_optimizer_written_for_pytorch():
    class Descent(optim.Optimizer):
        def __init__(self, params, lr=0.1):
            super().__init__(params, dict(lr=lr))

        @tg.no_grad()
        def step(self, closure=None):
            for group in self.param_groups:
                for p in group["params"]:
                    state = self.state[p]
                    state["seen"] = state.get("seen", 0) + 1
                    p.add_(p.grad, alpha=-group["lr"])

    p = tg.ones(2, requires_grad=True)
    optimizer, seen = Descent([p]), []
    optimizer.register_step_post_hook(lambda *args: seen.append(1))
    scheduler = optim.lr_scheduler.StepLR(optimizer, 1)
    (p * 2).sum().backward()
    optimizer.step()
    scheduler.step()
    assert p.tolist() == pytest.approx([0.8, 0.8]) and seen == [1] and optimizer.state_dict()["state"] == {0: {"seen": 1}}
    with pytest.raises(NotImplementedError, match="update"):
        plain = optim.Optimizer([p], {})
        plain.step()


def test_deepcopy_of_model_and_optimizer_train_apart():
    model = nn.Linear(2, 1)
    optimizer = optim.Adam(model.parameters())
    model(tg.ones(1, 2)).sum().backward()
    twin, twin_optimizer = copy.deepcopy((model, optimizer))
    optimizer.step()
    assert not np.allclose(model.weight.tolist(), twin.weight.tolist())
    assert twin_optimizer.param_groups[0]["params"][0] is twin.weight


def test_lbfgs_finds_the_minimum_of_rosenbrocks_valley():
    x = tg.tensor([-1.5, 2.0], dtype=tg.float64, requires_grad=True)
    optimizer = optim.LBFGS([x], max_iter=60, line_search_fn="strong_wolfe")

    def closure():
        optimizer.zero_grad()
        loss = (1 - x[0]) ** 2 + 100 * (x[1] - x[0] ** 2) ** 2
        loss.backward()
        return loss

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for _ in range(2):
            optimizer.step(closure)
    assert x.tolist() == pytest.approx([1, 1], abs=1e-5)
    state = copy.deepcopy(optimizer.state_dict())
    optimizer.load_state_dict(state)
    optimizer.step(closure)
    assert optimizer.state[x]["n_iter"] >= state["state"][0]["n_iter"]


# --- the warning about zero_grad -------------------------------------------------------------------------------------


def model_and_loss():
    model = nn.Linear(2, 1)
    return model, lambda: (model(tg.ones(4, 2)) ** 2).mean()


def test_forgotten_zero_grad_warns_once():
    model, loss = model_and_loss()
    optimizer = optim.SGD(model.parameters(), lr=0.01)
    loss().backward()
    optimizer.step()
    loss().backward()
    with pytest.warns(UserWarning, match=r"call zero_grad\(\)") as caught:
        optimizer.step()
    assert caught[0].filename == __file__
    loss().backward()
    optimizer.step()  # no second warning: warnings are errors here


def test_forgotten_zero_grad_warns_with_clipping_and_accumulation():
    model, loss = model_and_loss()
    optimizer = optim.Adam(model.parameters(), lr=0.01)
    for step in range(2):
        loss().backward()
        loss().backward()
        for p in model.parameters():
            p.grad.mul_(0.5)
        if step:
            with pytest.warns(UserWarning, match="zero_grad"):
                optimizer.step()
        else:
            optimizer.step()


def test_a_second_step_without_backward_warns():
    model, loss = model_and_loss()
    optimizer = optim.SGD(model.parameters(), lr=0.01)
    loss().backward()
    optimizer.step()
    with pytest.warns(UserWarning, match="zero_grad"):
        optimizer.step()


def forget_by_optimizer(model, optimizer):
    optimizer.zero_grad()


def forget_by_zeros(model, optimizer):
    optimizer.zero_grad(set_to_none=False)


def forget_by_model(model, optimizer):
    model.zero_grad()


def forget_by_model_with_zeros(model, optimizer):
    model.zero_grad(set_to_none=False)


def forget_by_none(model, optimizer):
    for p in model.parameters():
        p.grad = None


def forget_in_place(model, optimizer):
    for p in model.parameters():
        if p.grad is not None:
            p.grad.zero_()


def forget_through_data(model, optimizer):
    for p in model.parameters():
        if p.grad is not None:
            p.grad.data.zero_()


def forget_by_numpy(model, optimizer):
    for p in model.parameters():
        if p.grad is not None:
            p.grad.numpy()[...] = 0


FORGETTING = [forget_by_optimizer, forget_by_zeros, forget_by_model, forget_by_model_with_zeros, forget_by_none, forget_in_place,
              forget_through_data, forget_by_numpy]  # fmt: skip


@pytest.mark.parametrize("forget", FORGETTING)
@pytest.mark.parametrize("when", ["before backward", "after the step"])
def test_no_alarm_when_gradients_were_forgotten(forget, when):
    model, loss = model_and_loss()
    optimizer = optim.SGD(model.parameters(), lr=0.01)
    for _ in range(4):
        if when == "before backward":
            forget(model, optimizer)
        for _ in range(2):  # accumulation before one step
            loss().backward()
        for p in model.parameters():  # clipping in between
            p.grad.mul_(0.5)
        optimizer.step()
        if when == "after the step":
            forget(model, optimizer)


def test_no_alarm_in_adversarial_training():
    """The generator's loss adds to the discriminator's gradients too; each forgets its own only before its own step."""
    maker, judge = nn.Linear(2, 2), nn.Linear(2, 1)
    first, second = optim.Adam(judge.parameters()), optim.Adam(maker.parameters())
    for _ in range(3):
        noise = tg.ones(3, 2)
        first.zero_grad()
        (judge(maker(noise).detach()) ** 2).mean().backward()
        first.step()
        second.zero_grad()
        (judge(maker(noise)) - 1).square().mean().backward()
        second.step()
    for _ in range(3):  # junk in the judge's gradients, overwritten by hand
        second.zero_grad()
        (judge(maker(noise)) - 1).square().mean().backward()
        second.step()
        for p in judge.parameters():
            p.grad.zero_()
        (judge(noise) ** 2).mean().backward()
        first.step()


def test_no_alarm_with_two_optimizers_over_one_gradient():
    p = tg.ones(2, requires_grad=True)
    both = optim.SGD([p], lr=0.1), optim.Adam([p])
    for _ in range(3):
        (p**2).sum().backward()
        for optimizer in both:
            optimizer.step()
        p.grad = None


# --- errors ----------------------------------------------------------------------------------------------------------


def leaf():
    return tg.ones(2, requires_grad=True)


ERRORS = [
    (lambda: optim.SGD(leaf()), TypeError, "several tensors"),
    (lambda: optim.SGD([]), ValueError, "empty"),
    (lambda: optim.SGD([dict(params={leaf()})]), TypeError, "a set has no order"),
    (lambda: optim.SGD([leaf() * 2]), ValueError, "only leaves can be trained.*mul"),
    (lambda: optim.SGD([3.0]), TypeError, "trains tensors, got float"),
    (lambda: optim.SGD([{"params": [p := leaf()]}, {"params": [p]}]), ValueError, "more than one group"),
    (lambda: optim.SGD([leaf()], lr=-1), ValueError, "lr must not be negative, got -1"),
    (lambda: optim.SGD([leaf()], nesterov=True), ValueError, "nesterov"),
    (lambda: optim.Adam([leaf()], betas=(0.9, 1.0)), ValueError, r"betas\[1\]"),
    (lambda: optim.Adam([leaf()], lr=tg.ones(2)), ValueError, "one element"),
    (lambda: optim.Adam([leaf()], capturable=True), RuntimeError, "CPU"),
    (lambda: optim.Adam([leaf()], differentiable=True), NotImplementedError, "differentiable"),
    (lambda: optim.Adadelta([leaf()], rho=2), ValueError, "rho"),
    (lambda: optim.Rprop([leaf()], etas=(1.2, 0.5)), ValueError, "etas"),
    (lambda: optim.LBFGS([dict(params=[leaf()]), dict(params=[leaf()])]), ValueError, "one group"),
    (lambda: optim.LBFGS([leaf()]).step(), TypeError, "closure"),
    (lambda: optim.LBFGS([leaf()], line_search_fn="armijo"), RuntimeError, "strong_wolfe"),
    (lambda: optim.SGD([leaf()]).add_param_group([leaf()]), TypeError, "expected a dict"),
    (lambda: optim.SGD([leaf()]).load_state_dict(optim.SGD([leaf(), leaf()]).state_dict()), ValueError, r"groups of \[2\]"),
]


@pytest.mark.parametrize("attempt, error, text", ERRORS)
def test_errors(attempt, error, text):
    with pytest.raises(error, match=text):
        attempt()


# --- averages of weights ---------------------------------------------------------------------------------------------


def averaged(lib, **options):
    """Averages of a small model over four updates, and the rates of SWALR beside."""
    utils = lib.optim.swa_utils
    model = lib.nn.Linear(2, 1).double()
    average = utils.AveragedModel(model, **{k: getattr(utils, v)(0.8) if "ema" in v else getattr(utils, v)() for k, v in options.items()})
    optimizer = lib.optim.SGD(model.parameters(), lr=0.5)
    scheduler = utils.SWALR(optimizer, swa_lr=0.05, anneal_epochs=3)
    rows = []
    for i in range(5):
        with lib.no_grad():
            model.weight.fill_(i * i + 1.0)
            model.bias.fill_(-i)
        average.update_parameters(model)
        optimizer.step()
        scheduler.step()
        rows.append([*average.module.weight.reshape(-1).tolist(), average.module.bias.item(), average.n_averaged.item(),
                     *scheduler.get_last_lr()])  # fmt: skip
    return rows


@pytest.mark.parametrize("options", [{}, dict(multi_avg_fn="get_ema_multi_avg_fn"), dict(avg_fn="get_ema_avg_fn"),
                                     dict(multi_avg_fn="get_swa_multi_avg_fn")])  # fmt: skip
def test_averaged_models_equal_torchs(options):
    torch = pytest.importorskip("torch")
    np.testing.assert_allclose(averaged(tg, **options), averaged(torch, **options), rtol=1e-12)


def test_averaged_models():
    rows = averaged(tg)
    assert rows[2][0] == pytest.approx((1 + 2 + 5) / 3) and rows[-1][-1] == pytest.approx(0.05)
    weights = [1.0, 2.0, 5.0]
    assert averaged(tg, avg_fn="get_ema_avg_fn")[2][0] == pytest.approx(0.8 * (0.8 * weights[0] + 0.2 * weights[1]) + 0.2 * weights[2])


def test_adagrad_moves_complex_parameters():
    z = tg.tensor([1.0 + 2.0j], requires_grad=True)
    optimizer = optim.Adagrad([z], lr=0.1)
    (z.abs() ** 2).sum().backward()
    optimizer.step()
    assert z[0].item() == pytest.approx(0.9 + 1.9j)  # the sum of squares of each part: a step of lr in both


def test_hooks_of_steps_see_the_arguments_with_the_optimizer_first():
    seen = []
    optimizer = optim.SGD([tg.ones(1, requires_grad=True)], lr=0.1)
    optimizer.register_step_pre_hook(lambda o, args, kwargs: seen.append(args[0] is o))
    optimizer.register_step_post_hook(lambda o, args, kwargs: seen.append(len(args)))
    optimizer.step()
    optimizer.step(lambda: 1)
    assert seen == [True, 1, True, 2]
