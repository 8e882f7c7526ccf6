"""Learning-rate schedules: PyTorch's sequences of rates and momenta, resuming, and the order of the two steps."""

import copy
import json
import warnings

import numpy as np
import pytest
from reference import make_optim as reference

import tinygrad_edu as tg
from tinygrad_edu import optim
from tinygrad_edu.optim import lr_scheduler

RECORDED = json.loads(reference.RECORDED.read_text())
PLAIN = [pytest.param(reference.schedule(*case), "schedules", reference.label(*case), id=reference.label(*case))
         for case in reference.SCHEDULES]  # fmt: skip
COMPOSED = [pytest.param(make, "composed", name, id=name) for name, make in reference.COMPOSED.items()]


@pytest.mark.parametrize("make, kind, name", PLAIN + COMPOSED)
def test_rates_equal_the_recorded_ones(make, kind, name):
    np.testing.assert_allclose(reference.rates(tg, make), RECORDED[kind][name], rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("make, kind, name", PLAIN + COMPOSED)
@pytest.mark.filterwarnings("ignore:.*lr_scheduler.step.*:UserWarning")
def test_rates_equal_torchs(make, kind, name):
    torch = pytest.importorskip("torch")
    np.testing.assert_allclose(reference.rates(tg, make), reference.rates(torch, make), rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("options", reference.PLATEAUS)
def test_plateaus(options):
    recorded = RECORDED["plateaus"][reference.label("ReduceLROnPlateau", options)]
    np.testing.assert_allclose(reference.plateau(tg, **options), recorded, rtol=1e-12)


def optimizer_of(lr=0.1):
    return optim.SGD([tg.zeros(1, requires_grad=True)], lr=lr, momentum=0.9)


def rates_of(optimizer, scheduler, steps):
    rates = []
    for _ in range(steps):
        optimizer.step()
        scheduler.step()
        rates.append((optimizer.param_groups[0]["lr"], optimizer.param_groups[0]["momentum"], *scheduler.get_last_lr()))
    return rates


@pytest.mark.parametrize("make, kind, name", PLAIN + COMPOSED)
def test_state_dict_resumes(make, kind, name):
    if "[" in name and "milestones" not in name:
        pytest.skip("this case wants two groups")
    optimizer = optimizer_of()
    scheduler = make(lr_scheduler, optimizer)
    rates_of(optimizer, scheduler, 5)
    saved = copy.deepcopy((scheduler.state_dict(), optimizer.state_dict()))
    rest = rates_of(optimizer, scheduler, 8)
    again = optimizer_of()
    resumed = make(lr_scheduler, again)
    resumed.load_state_dict(saved[0])
    again.load_state_dict(saved[1])
    assert rates_of(again, resumed, 8) == rest
    if kind == "schedules" and "lambda" not in name:  # its data are those of a state that can be saved without pickle
        json.dumps(saved[0])


@pytest.mark.parametrize("make, kind, name", PLAIN)
def test_state_has_torchs_names(make, kind, name):
    torch = pytest.importorskip("torch")
    if "[" in name and "milestones" not in name:
        pytest.skip("this case wants two groups")
    ours = make(lr_scheduler, optimizer_of())
    theirs = make(torch.optim.lr_scheduler, torch.optim.SGD([torch.zeros(1)], lr=0.1, momentum=0.9))
    extra = {"_is_initial", "_get_lr_called_within_step", "base_momentums", "max_momentums", "_scale_fn_custom"}
    assert ours.state_dict().keys() ^ theirs.state_dict().keys() <= extra
    optimizer = optimizer_of()
    resumed = make(lr_scheduler, optimizer)
    resumed.load_state_dict(theirs.state_dict())
    other = optimizer_of()
    assert rates_of(optimizer, resumed, 6) == rates_of(other, make(lr_scheduler, other), 6)


def test_scheduler_before_optimizer_warns_once():
    optimizer = optimizer_of()
    scheduler = lr_scheduler.StepLR(optimizer, 2)
    with pytest.warns(UserWarning, match=r"before `optimizer.step\(\)`"):
        scheduler.step()
    scheduler.step()


def test_the_right_order_does_not_warn():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for make in reference.COMPOSED.values():
            optimizer = optimizer_of()
            scheduler = make(lr_scheduler, optimizer)
            rates_of(optimizer, scheduler, 12)


def test_a_schedule_of_ones_own():
    class Half(lr_scheduler.LRScheduler):
        def get_lr(self):
            return [base / (1 + self.last_epoch) for base in self.base_lrs]

    optimizer = optimizer_of(1.0)
    scheduler = Half(optimizer)
    assert [rate for rate, *_ in rates_of(optimizer, scheduler, 3)] == [1 / 2, 1 / 3, 1 / 4]


def test_jumps_and_fractions():
    optimizer = optimizer_of(1.0)
    optimizer.step()
    scheduler = lr_scheduler.StepLR(optimizer, 2, gamma=0.5)
    scheduler.step(6)
    assert scheduler.get_last_lr() == [0.125] and scheduler.last_epoch == 6
    restarts = lr_scheduler.CosineAnnealingWarmRestarts(optimizer_of(1.0), T_0=2, T_mult=2)
    restarts.step(2.5)
    assert restarts.T_i == 4 and restarts.get_last_lr()[0] == pytest.approx((1 + np.cos(np.pi * 0.5 / 4)) / 2)


def test_cycles_move_beta1_of_adam():
    optimizer = optim.Adam([tg.zeros(1, requires_grad=True)])
    scheduler = lr_scheduler.OneCycleLR(optimizer, max_lr=1.0, total_steps=10)
    assert optimizer.param_groups[0]["betas"] == (0.95, 0.999)
    for _ in range(2):
        optimizer.step()
        scheduler.step()
    assert optimizer.param_groups[0]["betas"][0] == pytest.approx(0.85)


def test_continuing_from_an_epoch():
    optimizer = optimizer_of(1.0)
    with pytest.raises(KeyError, match="initial_lr"):
        lr_scheduler.ExponentialLR(optimizer, 0.5, last_epoch=3)
    optimizer.param_groups[0].update(initial_lr=1.0, lr=0.125)
    scheduler = lr_scheduler.ExponentialLR(optimizer, 0.5, last_epoch=3)
    assert scheduler.last_epoch == 4 and rates_of(optimizer, scheduler, 1)[0][0] == 0.0625


ERRORS = [
    (lambda: lr_scheduler.StepLR(3, 2), TypeError, "expected an Optimizer"),
    (lambda: lr_scheduler.LambdaLR(optimizer_of(), [abs, abs]), ValueError, "one per group"),
    (lambda: lr_scheduler.ConstantLR(optimizer_of(), 2.0), ValueError, "between 0 and 1"),
    (lambda: lr_scheduler.LinearLR(optimizer_of(), 0.0), ValueError, "start_factor"),
    (lambda: lr_scheduler.CyclicLR(optimizer_of(), 0.1, 1.0, mode="round"), ValueError, "triangular"),
    (lambda: lr_scheduler.CyclicLR(optim.Adagrad([tg.zeros(1)]), 0.1, 1.0), ValueError, "cycle_momentum=False"),
    (lambda: lr_scheduler.OneCycleLR(optimizer_of(), 0.1), ValueError, "total_steps"),
    (lambda: lr_scheduler.OneCycleLR(optimizer_of(), 0.1, total_steps=5, pct_start=2.0), ValueError, "pct_start"),
    (lambda: lr_scheduler.ReduceLROnPlateau(optimizer_of(), factor=1.5), ValueError, "below 1"),
    (lambda: lr_scheduler.ReduceLROnPlateau(optimizer_of(), mode="best"), ValueError, "'best'"),
    (lambda: lr_scheduler.CosineAnnealingWarmRestarts(optimizer_of(), 0), ValueError, "T_0"),
    (lambda: lr_scheduler.SequentialLR(optimizer_of(), [], []), ValueError, "at least one"),
    (lambda: lr_scheduler.ChainedScheduler([]), ValueError, "at least one"),
]


@pytest.mark.parametrize("attempt, error, text", ERRORS)
def test_errors(attempt, error, text):
    with pytest.raises(error, match=text):
        attempt()


def test_composed_schedules_check_their_parts():
    optimizer = optimizer_of()
    one, other = lr_scheduler.StepLR(optimizer, 2), lr_scheduler.StepLR(optimizer_of(), 2)
    with pytest.raises(ValueError, match="another optimizer"):
        lr_scheduler.ChainedScheduler([one, other])
    with pytest.raises(ValueError, match="metric"):
        lr_scheduler.ChainedScheduler([one, lr_scheduler.ReduceLROnPlateau(optimizer)])
    with pytest.raises(ValueError, match="need 1 milestones"):
        lr_scheduler.SequentialLR(optimizer, [one, one], [])
    with pytest.raises(ValueError, match="total_steps larger"):
        cycle = lr_scheduler.OneCycleLR(optimizer, 0.1, total_steps=2)
        rates_of(optimizer, cycle, 5)
