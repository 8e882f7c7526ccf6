"""Record what PyTorch's optimizers and schedules give: `python tests/reference/make_optim.py` writes optim.json beside this file.

The same programs run on ours in test_optim.py and test_schedulers.py; only the library that is passed in differs.
"""

import json
import warnings
from pathlib import Path

KEPT = (0, 1, 4, 7, -1)  # of an optimizer's steps: the file stays small, and a late step depends on all before it
RECORDED = Path(__file__).with_name("optim.json")

OPTIMIZERS = [
    ("SGD", {}),
    ("SGD", dict(lr=0.05)),
    ("SGD", dict(lr=0.05, momentum=0.9)),
    ("SGD", dict(lr=0.05, momentum=0.9, dampening=0.3, weight_decay=0.1)),
    ("SGD", dict(lr=0.05, momentum=0.8, nesterov=True, weight_decay=0.01)),
    ("SGD", dict(lr=0.05, weight_decay=0.1)),
    ("SGD", dict(lr=0.001, maximize=True)),
    ("SGD", dict(lr=0.001, momentum=0.5, maximize=True, weight_decay=0.1)),
    ("Adam", {}),
    ("Adam", dict(lr=0.1, betas=(0.8, 0.95), eps=1e-3)),
    ("Adam", dict(lr=0.1, amsgrad=True, weight_decay=0.1)),
    ("Adam", dict(lr=0.1, maximize=True, amsgrad=True)),
    ("Adam", dict(lr=0.1, weight_decay=0.2, decoupled_weight_decay=True)),
    ("AdamW", {}),
    ("AdamW", dict(lr=0.1, weight_decay=0.3, amsgrad=True)),
    ("AdamW", dict(lr=0.1, betas=(0.0, 0.9), maximize=True)),
    ("NAdam", {}),
    ("NAdam", dict(lr=0.1, weight_decay=0.1, momentum_decay=0.02)),
    ("NAdam", dict(lr=0.1, weight_decay=0.1, decoupled_weight_decay=True, maximize=True)),
    ("RAdam", {}),
    ("RAdam", dict(lr=0.1, weight_decay=0.1, betas=(0.8, 0.9))),
    ("RAdam", dict(lr=0.1, weight_decay=0.1, decoupled_weight_decay=True, maximize=True)),
    ("RMSprop", {}),
    ("RMSprop", dict(lr=0.05, alpha=0.9, momentum=0.5, weight_decay=0.1)),
    ("RMSprop", dict(lr=0.05, centered=True)),
    ("RMSprop", dict(lr=0.05, centered=True, momentum=0.5, maximize=True, eps=1e-4)),
    ("Adagrad", {}),
    ("Adagrad", dict(lr=0.3, lr_decay=0.1, weight_decay=0.1, initial_accumulator_value=0.5)),
    ("Adagrad", dict(lr=0.3, maximize=True)),
    ("Adadelta", {}),
    ("Adadelta", dict(lr=0.5, rho=0.8, eps=1e-3, weight_decay=0.1)),
    ("Adadelta", dict(maximize=True)),
    ("Adamax", {}),
    ("Adamax", dict(lr=0.1, betas=(0.7, 0.9), weight_decay=0.1, eps=1e-4)),
    ("Adamax", dict(lr=0.1, maximize=True)),
    ("ASGD", {}),
    ("ASGD", dict(lr=0.05, lambd=0.1, alpha=0.5, t0=5, weight_decay=0.1)),
    ("ASGD", dict(lr=0.001, maximize=True)),
    ("Rprop", {}),
    ("Rprop", dict(lr=0.1, etas=(0.3, 1.5), step_sizes=(1e-3, 0.2))),
    ("Rprop", dict(lr=0.1, maximize=True)),
    ("LBFGS", dict(lr=0.1, max_iter=3)),
    ("LBFGS", dict(lr=0.5, max_iter=4, history_size=2)),
    ("LBFGS", dict(lr=0.05, max_iter=6, history_size=5)),
    ("LBFGS", dict(max_iter=4, line_search_fn="strong_wolfe")),
    ("LBFGS", dict(max_iter=3, history_size=6, line_search_fn="strong_wolfe")),
    ("LBFGS", dict(lr=3, max_iter=5, line_search_fn="strong_wolfe", history_size=3)),
    ("LBFGS", dict(max_iter=3, max_eval=5, tolerance_change=1e-3, line_search_fn="strong_wolfe")),
]

SCHEDULES = [
    ("LambdaLR", dict(lr_lambda=lambda epoch: 0.9**epoch + 0.01 * epoch)),
    ("MultiplicativeLR", dict(lr_lambda=lambda epoch: 0.9 + 0.01 * epoch)),
    ("StepLR", dict(step_size=3)),
    ("StepLR", dict(step_size=4, gamma=0.5)),
    ("MultiStepLR", dict(milestones=[2, 5, 5, 11])),
    ("ConstantLR", {}),
    ("ConstantLR", dict(factor=0.25, total_iters=7)),
    ("LinearLR", {}),
    ("LinearLR", dict(start_factor=1.0, end_factor=0.1, total_iters=8)),
    ("ExponentialLR", dict(gamma=0.8)),
    ("PolynomialLR", {}),
    ("PolynomialLR", dict(total_iters=12, power=2.5)),
    ("CosineAnnealingLR", dict(T_max=5)),
    ("CosineAnnealingLR", dict(T_max=7, eta_min=0.01)),
    ("CosineAnnealingWarmRestarts", dict(T_0=4)),
    ("CosineAnnealingWarmRestarts", dict(T_0=3, T_mult=2, eta_min=0.01)),
    ("CyclicLR", dict(base_lr=0.01, max_lr=0.2, step_size_up=4)),
    ("CyclicLR", dict(base_lr=0.01, max_lr=[0.2, 0.3], step_size_up=3, step_size_down=5, mode="triangular2")),
    ("CyclicLR", dict(base_lr=0.01, max_lr=0.2, step_size_up=3, mode="exp_range", gamma=0.9, cycle_momentum=False)),
    ("CyclicLR", dict(base_lr=0.01, max_lr=0.2, step_size_up=3, scale_fn=lambda x: 1 / (1 + x), scale_mode="iterations")),
    ("OneCycleLR", dict(max_lr=0.5, total_steps=20)),
    ("OneCycleLR", dict(max_lr=[0.5, 0.4], epochs=5, steps_per_epoch=5, pct_start=0.4, anneal_strategy="linear", three_phase=True)),
    ("OneCycleLR", dict(max_lr=0.5, total_steps=30, cycle_momentum=False, div_factor=10.0, final_div_factor=100.0)),
]

COMPOSED = {
    "warmup, then cosine": lambda s, o: s.SequentialLR(o, [s.LinearLR(o, 0.1, total_iters=4), s.CosineAnnealingLR(o, 9)], [4]),
    "three in turn": lambda s, o: s.SequentialLR(o, [s.ConstantLR(o, 0.2, 3), s.ExponentialLR(o, 0.9), s.StepLR(o, 2)], [3, 8]),
    "restarts in turn": lambda s, o: s.SequentialLR(o, [s.CosineAnnealingWarmRestarts(o, 3), s.PolynomialLR(o, 6)], [5]),
    "chained": lambda s, o: s.ChainedScheduler([s.ConstantLR(o, 0.1, 4), s.ExponentialLR(o, 0.9)]),
    "chained cosine": lambda s, o: s.ChainedScheduler([s.LinearLR(o, 0.3, total_iters=5), s.CosineAnnealingLR(o, 10)], o),
    "nested": lambda s, o: s.SequentialLR(
        o, [s.SequentialLR(o, [s.ConstantLR(o, 0.5, 2), s.ExponentialLR(o, 0.7)], [2]), s.StepLR(o, 3)], [6]),
}  # fmt: skip


def parameters(lib):
    """Three float64 parameters: a matrix, a vector and a number."""
    w = lib.tensor([[0.5, -1.0], [2.0, 0.25], [-0.75, 1.5]], dtype=lib.float64, requires_grad=True)
    v = lib.tensor([1.0, -2.0, 0.0], dtype=lib.float64, requires_grad=True)
    s = lib.tensor(0.3, dtype=lib.float64, requires_grad=True)
    return w, v, s


def loss_of(lib, w, v, s):
    """A smooth loss that is not convex; v's last element has no gradient at the start."""
    x = lib.tensor([[1.0, -0.5, 0.25], [0.5, 2.0, -1.0]], dtype=lib.float64)
    return ((x @ w - s) ** 2).sum() + (v**2).sum() ** 2 * 0.05 + (s * lib.sin(v[0])) + 0.1 * (s**2 - w[0, 0]) ** 2


def trajectory(lib, name, options, steps=24):
    """All parameters after every step, in one list per step."""
    w, v, s = parameters(lib)
    tuned = [dict(params=[w]), dict(params=[v, s], lr=options.get("lr", 0.04) / 2)]
    optimizer = getattr(lib.optim, name)([w, v, s] if name == "LBFGS" else tuned, **options)

    def closure():
        optimizer.zero_grad()
        loss = loss_of(lib, w, v, s)
        loss.backward()
        return loss

    rows = []
    for _ in range(8 if name == "LBFGS" else steps):
        if name == "LBFGS":
            optimizer.step(closure)
        else:
            closure()
            optimizer.step()
        rows.append([*w.detach().reshape(-1).tolist(), *v.tolist(), s.item()])
    return rows


def rates(lib, make, steps=18):
    """Rates, and momenta, of two groups after every step of a schedule."""
    a, b = (lib.zeros(1, requires_grad=True) for _ in range(2))
    optimizer = lib.optim.SGD([dict(params=[a], lr=0.1), dict(params=[b], lr=0.3)], lr=0.1, momentum=0.9)
    scheduler = make(lib.optim.lr_scheduler, optimizer)
    rows = []
    for _ in range(steps):
        rows.append([g[k] for g in optimizer.param_groups for k in ("lr", "momentum")] + list(scheduler.get_last_lr()))
        optimizer.step()
        scheduler.step()
    return rows


def label(name, options):
    """The key of a case in the recorded file."""
    return f"{name}({', '.join(f'{k}={v}' for k, v in options.items() if not callable(v))})"


def schedule(name, options):
    """A function that makes one plain schedule."""
    return lambda schedulers, optimizer: getattr(schedulers, name)(optimizer, **options)


def plateau(lib, **options):
    """The rates of a plateau schedule on a fixed series of metrics."""
    optimizer = lib.optim.SGD([lib.zeros(1, requires_grad=True)], lr=1.0)
    scheduler = lib.optim.lr_scheduler.ReduceLROnPlateau(optimizer, **options)
    rows = []
    for value in (5.0, 4.0, 4.0, 4.0001, 3.9999, 3.0, 3.5, 3.5, 3.5, 3.5, 3.5, 2.9995, 6.0, 6.0, 6.0, 6.0, 6.0, 6.0, 6.0):
        scheduler.step(value)
        rows.append([optimizer.param_groups[0]["lr"], scheduler.num_bad_epochs, scheduler.best])
    return rows


PLATEAUS = [dict(patience=2), dict(patience=1, factor=0.5, cooldown=2, min_lr=0.1), dict(mode="max", patience=2, threshold=0.5,
            threshold_mode="abs"), dict(patience=0, threshold=0.01, eps=0.05)]  # fmt: skip


def record(lib):
    """Everything, as plain data."""
    return {
        "optimizers": {label(*case): [trajectory(lib, *case)[i] for i in KEPT] for case in OPTIMIZERS},
        "schedules": {label(*case): rates(lib, schedule(*case)) for case in SCHEDULES},
        "composed": {name: rates(lib, make) for name, make in COMPOSED.items()},
        "plateaus": {label("ReduceLROnPlateau", options): plateau(lib, **options) for options in PLATEAUS},
    }


if __name__ == "__main__":
    import torch

    warnings.simplefilter("ignore")
    RECORDED.write_text(json.dumps(record(torch)).replace("]], ", "]],\n") + "\n")
