"""Learning-rate schedules: each sets `group["lr"]` of an optimizer, step by step.

Most give the next rate from the present one (`get_lr`), so that several can work on one optimizer; where a closed form
exists, `step(epoch)` and SequentialLR jump with it. Call `optimizer.step()` first, then `scheduler.step()`.
"""

import math
import types
import warnings
from bisect import bisect_right
from collections import Counter

from ..autograd.tensor import Tensor
from .optimizer import Optimizer


def set_option(group, name, value):
    """Set an option of a group; one that is a tensor stays the same tensor."""
    if isinstance(group[name], Tensor):
        group[name].fill_(float(value))
    else:
        group[name] = value


def options(optimizer, name):
    """An option of every group; a tensor as a copy."""
    return [g[name].clone() if isinstance(g[name], Tensor) else g[name] for g in optimizer.param_groups]


def per_group(name, optimizer, value):
    """One value per group, from one for all or from a list."""
    n = len(optimizer.param_groups)
    if not isinstance(value, (list, tuple)):
        return [value] * n
    if len(value) != n:
        raise ValueError(f"{name}: the optimizer has {n} parameter groups, and {len(value)} values came in; give one per group")
    return list(value)


def check_optimizer(scheduler, optimizer):
    """Refuse what is no optimizer."""
    if not isinstance(optimizer, Optimizer):
        raise TypeError(f"{type(scheduler).__name__}: expected an Optimizer first, got {type(optimizer).__name__}")


class LRScheduler:
    """The base of all schedules: a subclass gives `get_lr()`, a list with the next rate of every group.

    `last_epoch` counts the steps; the group's first rate is kept in `group["initial_lr"]`.
    """

    closed_form = None  # a method with the rates at `last_epoch` from nothing but the initial ones
    _is_initial = False  # True while the constructor takes step 0

    def __init__(self, optimizer, last_epoch=-1):
        check_optimizer(self, optimizer)
        self.optimizer = optimizer
        for i, group in enumerate(optimizer.param_groups):
            if last_epoch == -1:
                group.setdefault("initial_lr", group["lr"].clone() if isinstance(group["lr"], Tensor) else group["lr"])
            elif "initial_lr" not in group:
                raise KeyError(f"{type(self).__name__}(last_epoch={last_epoch}): parameter group {i} has no 'initial_lr' to continue "
                               "from; load the optimizer's state_dict first, or leave last_epoch out")  # fmt: skip
        self.base_lrs = options(optimizer, "initial_lr")
        self.last_epoch = last_epoch
        self._initial_step()

    def _initial_step(self):
        self._step_count = 0
        self._is_initial = True
        self._get_lr_called_within_step = False  # of PyTorch's states, which programs print and compare
        try:
            self.step()
        finally:
            self._is_initial = False

    def get_last_lr(self):
        """The rates that the last step set, one per group."""
        return self._last_lr

    def get_lr(self):
        """The rates of the next step, one per group."""
        raise NotImplementedError(f"{type(self).__name__} has no get_lr method; give it one that returns a list of rates")

    def step(self, epoch=None):
        """Set the next rates, after `optimizer.step()`; with `epoch`, those of that epoch."""
        if self._step_count == 1 and not self.optimizer.last_step:
            warnings.warn(
                f"{type(self).__name__}.step() was called before `optimizer.step()`, so the first rate of the schedule is skipped; "
                "call `optimizer.step()` first, then `lr_scheduler.step()`",
                UserWarning,
                stacklevel=2,
            )
        self._step_count += 1
        self.move(epoch)

    def move(self, epoch=None):
        """Go to the next epoch, or to the given one, and set its rates."""
        self.last_epoch = self.last_epoch + 1 if epoch is None else epoch
        self.assign(self.get_lr() if epoch is None or self.closed_form is None else self.closed_form())

    def assign(self, rates):
        """Give each group its rate."""
        for group, lr in zip(self.optimizer.param_groups, rates):
            set_option(group, "lr", lr)
        self._last_lr = options(self.optimizer, "lr")

    def scaled(self, factor):
        """Every present rate times a factor."""
        return [lr * factor for lr in options(self.optimizer, "lr")]

    def state_dict(self):
        """All numbers of the schedule, without the optimizer and without functions."""
        return {k: v for k, v in self.__dict__.items() if k != "optimizer" and not callable(v)}

    def load_state_dict(self, state_dict):
        """Continue from a `state_dict`."""
        self.__dict__.update(state_dict)


_LRScheduler = LRScheduler  # PyTorch's older name, which many programs still import


class LambdaLR(LRScheduler):
    """lr = initial_lr · lr_lambda(epoch); one function, or one per group.

    >>> import tinygrad_edu as tg
    >>> optimizer = tg.optim.SGD([tg.zeros(1, requires_grad=True)], lr=1.0)
    >>> tg.optim.lr_scheduler.LambdaLR(optimizer, lambda epoch: 0.5 ** (epoch + 1)).get_last_lr()
    [0.5]
    """

    def __init__(self, optimizer, lr_lambda, last_epoch=-1):
        check_optimizer(self, optimizer)
        self.lr_lambdas = per_group("lr_lambda", optimizer, lr_lambda)
        super().__init__(optimizer, last_epoch)

    def get_lr(self):
        return [base * f(self.last_epoch) for f, base in zip(self.lr_lambdas, self.base_lrs)]

    def state_dict(self):
        """All numbers of the schedule; of the functions, the attributes of those that are objects."""
        plain = [None if isinstance(f, (types.FunctionType, types.BuiltinFunctionType)) else dict(f.__dict__) for f in self.lr_lambdas]
        return {**super().state_dict(), "lr_lambdas": plain}

    def load_state_dict(self, state_dict):
        """Continue from a `state_dict`."""
        super().load_state_dict({k: v for k, v in state_dict.items() if k != "lr_lambdas"})
        for f, saved in zip(self.lr_lambdas, state_dict["lr_lambdas"]):
            if saved is not None:
                f.__dict__.update(saved)


class MultiplicativeLR(LambdaLR):
    """lr ← lr · lr_lambda(epoch) at every step but the first."""

    def get_lr(self):
        if self._is_initial:
            return options(self.optimizer, "lr")
        return [lr * f(self.last_epoch) for f, lr in zip(self.lr_lambdas, options(self.optimizer, "lr"))]


class StepLR(LRScheduler):
    """lr ← lr · gamma every step_size steps.

    >>> import tinygrad_edu as tg
    >>> optimizer = tg.optim.SGD([tg.zeros(1, requires_grad=True)], lr=1.0)
    >>> scheduler = tg.optim.lr_scheduler.StepLR(optimizer, step_size=2, gamma=0.5)
    >>> [(optimizer.step(), scheduler.step(), scheduler.get_last_lr()[0])[2] for _ in range(4)]
    [1.0, 0.5, 0.5, 0.25]
    """

    def __init__(self, optimizer, step_size, gamma=0.1, last_epoch=-1):
        self.step_size, self.gamma = step_size, gamma
        super().__init__(optimizer, last_epoch)

    def get_lr(self):
        return self.scaled(1.0 if self.last_epoch == 0 or self.last_epoch % self.step_size else self.gamma)

    def closed_form(self):
        """The rates of this epoch from its number alone, for step(epoch)."""
        return [base * self.gamma ** (self.last_epoch // self.step_size) for base in self.base_lrs]


class MultiStepLR(LRScheduler):
    """lr ← lr · gamma at each of the milestones."""

    def __init__(self, optimizer, milestones, gamma=0.1, last_epoch=-1):
        self.milestones, self.gamma = Counter(milestones), gamma
        super().__init__(optimizer, last_epoch)

    def get_lr(self):
        return self.scaled(self.gamma ** self.milestones[self.last_epoch] if self.last_epoch in self.milestones else 1.0)

    def closed_form(self):
        """The rates of this epoch from its number alone, for step(epoch)."""
        passed = bisect_right(sorted(self.milestones.elements()), self.last_epoch)
        return [base * self.gamma**passed for base in self.base_lrs]


class ConstantLR(LRScheduler):
    """lr · factor until total_iters, lr from then on."""

    def __init__(self, optimizer, factor=1.0 / 3, total_iters=5, last_epoch=-1):
        if not 0 <= factor <= 1:
            raise ValueError(f"ConstantLR: factor must be between 0 and 1, got {factor}")
        self.factor, self.total_iters = factor, total_iters
        super().__init__(optimizer, last_epoch)

    def get_lr(self):
        if self.last_epoch == 0:
            return self.scaled(self.factor)
        return self.scaled(1.0 if self.last_epoch != self.total_iters else 1.0 / self.factor)

    def closed_form(self):
        """The rates of this epoch from its number alone, for step(epoch)."""
        return [base * (1 if self.last_epoch >= self.total_iters else self.factor) for base in self.base_lrs]


class LinearLR(LRScheduler):
    """lr · a factor that goes from start_factor to end_factor in total_iters equal steps."""

    def __init__(self, optimizer, start_factor=1.0 / 3, end_factor=1.0, total_iters=5, last_epoch=-1):
        if not 0 < start_factor <= 1:
            raise ValueError(f"LinearLR: start_factor must be above 0 and at most 1, got {start_factor}")
        if not 0 <= end_factor <= 1:
            raise ValueError(f"LinearLR: end_factor must be between 0 and 1, got {end_factor}")
        self.start_factor, self.end_factor, self.total_iters = start_factor, end_factor, total_iters
        super().__init__(optimizer, last_epoch)

    def get_lr(self):
        if self.last_epoch == 0:
            return self.scaled(self.start_factor)
        if self._is_initial or self.last_epoch > self.total_iters:
            return options(self.optimizer, "lr")
        rise = self.end_factor - self.start_factor
        return self.scaled(1 + rise / (self.total_iters * self.start_factor + (self.last_epoch - 1) * rise))

    def closed_form(self):
        """The rates of this epoch from its number alone, for step(epoch)."""
        done = min(self.total_iters, self.last_epoch) / self.total_iters
        return [base * (self.start_factor + (self.end_factor - self.start_factor) * done) for base in self.base_lrs]


class ExponentialLR(LRScheduler):
    """lr ← lr · gamma at every step."""

    def __init__(self, optimizer, gamma, last_epoch=-1):
        self.gamma = gamma
        super().__init__(optimizer, last_epoch)

    def get_lr(self):
        return options(self.optimizer, "lr") if self._is_initial else self.scaled(self.gamma)

    def closed_form(self):
        """The rates of this epoch from its number alone, for step(epoch)."""
        return [base * self.gamma**self.last_epoch for base in self.base_lrs]


class PolynomialLR(LRScheduler):
    """lr = initial_lr · (1 − epoch/total_iters)^power, down to 0 at total_iters."""

    def __init__(self, optimizer, total_iters=5, power=1.0, last_epoch=-1):
        self.total_iters, self.power = total_iters, power
        super().__init__(optimizer, last_epoch)

    def get_lr(self):
        if self._is_initial or self.last_epoch > self.total_iters:
            return options(self.optimizer, "lr")
        left, before = (1 - epoch / self.total_iters for epoch in (self.last_epoch, self.last_epoch - 1))
        return self.scaled((left / before) ** self.power)

    def closed_form(self):
        """The rates of this epoch from its number alone, for step(epoch)."""
        left = 1 - min(self.total_iters, self.last_epoch) / self.total_iters
        return [base * left**self.power for base in self.base_lrs]


class CosineAnnealingLR(LRScheduler):
    """lr = eta_min + (initial_lr − eta_min) · (1 + cos(π · epoch / T_max)) / 2. (Loshchilov and Hutter 2017)

    >>> import tinygrad_edu as tg
    >>> optimizer = tg.optim.SGD([tg.zeros(1, requires_grad=True)], lr=1.0)
    >>> scheduler = tg.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=2)
    >>> [(optimizer.step(), scheduler.step(), round(scheduler.get_last_lr()[0], 6))[2] for _ in range(2)]
    [0.5, 0.0]
    """

    def __init__(self, optimizer, T_max, eta_min=0.0, last_epoch=-1):
        self.T_max, self.eta_min = T_max, eta_min
        super().__init__(optimizer, last_epoch)

    def get_lr(self):
        rates, low = options(self.optimizer, "lr"), self.eta_min
        if self._is_initial:
            return rates
        if self._step_count == 1 and self.last_epoch > 0:
            return self.closed_form()
        if (self.last_epoch - 1 - self.T_max) % (2 * self.T_max) == 0:  # leaving the bottom, where a ratio would be 0/0
            return [lr + (base - low) * (1 - math.cos(math.pi / self.T_max)) / 2 for lr, base in zip(rates, self.base_lrs)]
        height, before = (1 + math.cos(math.pi * epoch / self.T_max) for epoch in (self.last_epoch, self.last_epoch - 1))
        return [height / before * (lr - low) + low for lr in rates]

    def closed_form(self):
        """The rates of this epoch from its number alone, for step(epoch)."""
        height = (1 + math.cos(math.pi * self.last_epoch / self.T_max)) / 2
        return [self.eta_min + (base - self.eta_min) * height for base in self.base_lrs]


class CosineAnnealingWarmRestarts(LRScheduler):
    """Cosine annealing that starts anew after T_0 steps, then after T_0·T_mult, and so on. (Loshchilov and Hutter 2017)"""

    def __init__(self, optimizer, T_0, T_mult=1, eta_min=0.0, last_epoch=-1):
        for name, value in dict(T_0=T_0, T_mult=T_mult).items():
            if not isinstance(value, int) or value < 1:
                raise ValueError(f"CosineAnnealingWarmRestarts: {name} must be a positive integer, got {value}")
        self.T_0 = self.T_i = T_0
        self.T_mult, self.eta_min, self.T_cur = T_mult, eta_min, last_epoch
        super().__init__(optimizer, last_epoch)

    def get_lr(self):
        height = (1 + math.cos(math.pi * self.T_cur / self.T_i)) / 2
        return [self.eta_min + (base - self.eta_min) * height for base in self.base_lrs]

    def step(self, epoch=None):
        """Set the next rates; `epoch` may be a fraction, as in epoch + batch / batches."""
        self.move(epoch)

    def move(self, epoch=None):
        if epoch is None and self.last_epoch < 0:
            epoch = 0
        if epoch is None:
            epoch = self.last_epoch + 1
            self.T_cur += 1
            if self.T_cur >= self.T_i:
                self.T_cur %= self.T_i
                self.T_i *= self.T_mult
        elif epoch < 0:
            raise ValueError(f"CosineAnnealingWarmRestarts.step({epoch}): an epoch cannot be negative")
        else:
            self.T_cur, self.T_i = epoch, self.T_0
            if epoch >= self.T_0 and self.T_mult == 1:
                self.T_cur = epoch % self.T_0
            elif epoch >= self.T_0:
                n = int(math.log(epoch / self.T_0 * (self.T_mult - 1) + 1, self.T_mult))
                self.T_cur = epoch - self.T_0 * (self.T_mult**n - 1) / (self.T_mult - 1)
                self.T_i = self.T_0 * self.T_mult**n
        self.last_epoch = math.floor(epoch)
        self.assign(self.get_lr())


class MomentumCycle(LRScheduler):
    """What the cyclic schedules share: momentum (or β₁) goes down while the rate goes up."""

    def begin_momentum(self, base_momentum, max_momentum, last_epoch):
        """Start every group at its highest momentum."""
        optimizer = self.optimizer
        if "momentum" not in optimizer.defaults and "betas" not in optimizer.defaults:
            raise ValueError(f"{type(self).__name__}: {type(optimizer).__name__} has neither momentum nor betas to cycle; "
                             "pass cycle_momentum=False")  # fmt: skip
        self.use_beta1 = "betas" in optimizer.defaults
        self.base_momentums = per_group("base_momentum", optimizer, base_momentum)
        self.max_momentums = per_group("max_momentum", optimizer, max_momentum)
        if last_epoch == -1:
            for group, low, high in zip(optimizer.param_groups, self.base_momentums, self.max_momentums):
                group.update(max_momentum=high, base_momentum=low)
                self.set_momentum(group, high)

    def set_momentum(self, group, momentum):
        """Set the momentum of a group: of SGD, or the first beta of Adam."""
        if self.use_beta1:
            group["betas"] = (momentum, *group["betas"][1:])
        else:
            group["momentum"] = momentum


class CyclicLR(MomentumCycle):
    """Rates that go from base_lr up to max_lr in step_size_up steps and back in step_size_down, again and again.

    mode "triangular" keeps the height, "triangular2" halves it every cycle, "exp_range" scales it by gamma^iteration;
    `scale_fn` replaces all three. (Smith 2017)
    """

    def __init__(self, optimizer, base_lr, max_lr, step_size_up=2000, step_size_down=None, mode="triangular", gamma=1.0, scale_fn=None,
                 scale_mode="cycle", cycle_momentum=True, base_momentum=0.8, max_momentum=0.9, last_epoch=-1):  # fmt: skip
        check_optimizer(self, optimizer)
        self.optimizer = optimizer
        bases = per_group("base_lr", optimizer, base_lr)
        if last_epoch == -1:
            for group, lr in zip(optimizer.param_groups, bases):
                set_option(group, "lr", lr)
        self.max_lrs = per_group("max_lr", optimizer, max_lr)
        up = float(step_size_up)
        self.total_size = up + (up if step_size_down is None else float(step_size_down))
        self.step_ratio = up / self.total_size
        if mode not in ("triangular", "triangular2", "exp_range") and scale_fn is None:
            raise ValueError(f'CyclicLR: mode must be "triangular", "triangular2" or "exp_range", or a scale_fn must be given; got {mode!r}')
        self.mode, self.gamma, self._scale_fn_custom = mode, gamma, scale_fn
        self.scale_mode = scale_mode if scale_fn is not None else "iterations" if mode == "exp_range" else "cycle"
        self.cycle_momentum = cycle_momentum
        if cycle_momentum:
            self.begin_momentum(base_momentum, max_momentum, last_epoch)
        super().__init__(optimizer, last_epoch)
        self.base_lrs = bases

    def state_dict(self):
        """All numbers of the schedule; a scale_fn of one's own is not among them."""
        return {**super().state_dict(), "_scale_fn_custom": None}

    def load_state_dict(self, state_dict):
        """Continue from a `state_dict`, with the scale_fn that this schedule was made with."""
        super().load_state_dict({**state_dict, "_scale_fn_custom": state_dict.get("_scale_fn_custom") or self._scale_fn_custom})

    def scale_fn(self, x):
        """How high a cycle (or an iteration) goes, 1 being max_lr."""
        if self._scale_fn_custom is not None:
            return self._scale_fn_custom(x)
        return dict(triangular=1.0, triangular2=0.5 ** (x - 1), exp_range=self.gamma**x)[self.mode]

    def get_lr(self):
        position = self.last_epoch / self.total_size
        cycle = math.floor(1 + position)
        x = 1 + position - cycle
        height = x / self.step_ratio if x <= self.step_ratio else (x - 1) / (self.step_ratio - 1)
        height *= self.scale_fn(cycle if self.scale_mode == "cycle" else self.last_epoch)
        if self.cycle_momentum:
            for group, low, high in zip(self.optimizer.param_groups, self.base_momentums, self.max_momentums):
                self.set_momentum(group, high - (high - low) * height)
        return [low + (high - low) * height for low, high in zip(self.base_lrs, self.max_lrs)]


class OneCycleLR(MomentumCycle):
    """One cycle: from max_lr/div_factor up to max_lr, then down to that start divided by final_div_factor. (Smith and Topin 2018)

    Step it after every batch, `total_steps` (or epochs · steps_per_epoch) times in all.
    """

    def __init__(self, optimizer, max_lr, total_steps=None, epochs=None, steps_per_epoch=None, pct_start=0.3, anneal_strategy="cos",
                 cycle_momentum=True, base_momentum=0.85, max_momentum=0.95, div_factor=25.0, final_div_factor=1e4, three_phase=False,
                 last_epoch=-1):  # fmt: skip
        check_optimizer(self, optimizer)
        self.optimizer = optimizer
        if total_steps is None and (epochs is None or steps_per_epoch is None):
            raise ValueError("OneCycleLR: give total_steps, or epochs and steps_per_epoch")
        steps = epochs * steps_per_epoch if total_steps is None else total_steps
        if not isinstance(steps, int) or steps <= 0:
            raise ValueError(f"OneCycleLR: the number of steps must be a positive integer, got {steps}")
        if not isinstance(pct_start, float) or not 0 <= pct_start <= 1:
            raise ValueError(f"OneCycleLR: pct_start must be a float between 0 and 1, got {pct_start}")
        if anneal_strategy not in ("cos", "linear"):
            raise ValueError(f'OneCycleLR: anneal_strategy must be "cos" or "linear", got {anneal_strategy!r}')
        self.total_steps, self._anneal_func_type, self.cycle_momentum = steps, anneal_strategy, cycle_momentum
        peak, low, high = float(pct_start * steps) - 1, "base_momentum", "max_momentum"
        phases = [(peak, "initial_lr", "max_lr", high, low)]
        if three_phase:
            phases += [(float(2 * pct_start * steps) - 2, "max_lr", "initial_lr", low, high), (steps - 1, "initial_lr", "min_lr", high, high)]
        else:
            phases += [(steps - 1, "max_lr", "min_lr", low, high)]
        names = "end_step", "start_lr", "end_lr", "start_momentum", "end_momentum"
        self._schedule_phases = [dict(zip(names, phase)) for phase in phases]
        peaks = per_group("max_lr", optimizer, max_lr)
        if last_epoch == -1:
            for group, top in zip(optimizer.param_groups, peaks):
                group.update(initial_lr=top / div_factor, max_lr=top, min_lr=top / div_factor / final_div_factor)
        if cycle_momentum:
            self.begin_momentum(base_momentum, max_momentum, last_epoch)
        super().__init__(optimizer, last_epoch)

    def between(self, start, end, part):
        """From start to end, straight or along half a cosine."""
        if self._anneal_func_type == "linear":
            return (end - start) * part + start
        return end + (start - end) / 2.0 * (1 + math.cos(math.pi * part))

    def get_lr(self):
        now = self.last_epoch
        if now > self.total_steps:
            raise ValueError(f"OneCycleLR.step(): this is step {now}, and the cycle has {self.total_steps} steps; make total_steps larger")
        ends = [phase["end_step"] for phase in self._schedule_phases]
        i = next((i for i, end in enumerate(ends) if now <= end), len(ends) - 1)
        start = ends[i - 1] if i else 0.0
        phase, part = self._schedule_phases[i], (now - start) / (ends[i] - start)
        groups = self.optimizer.param_groups
        if self.cycle_momentum:
            for g in groups:
                self.set_momentum(g, self.between(g[phase["start_momentum"]], g[phase["end_momentum"]], part))
        return [self.between(g[phase["start_lr"]], g[phase["end_lr"]], part) for g in groups]


class ReduceLROnPlateau(LRScheduler):
    """lr ← lr · factor when a metric, given to `step`, has not improved for more than `patience` steps.

    >>> import tinygrad_edu as tg
    >>> optimizer = tg.optim.SGD([tg.zeros(1, requires_grad=True)], lr=1.0)
    >>> scheduler = tg.optim.lr_scheduler.ReduceLROnPlateau(optimizer, factor=0.5, patience=1)
    >>> [(scheduler.step(loss), scheduler.get_last_lr()[0])[1] for loss in (3.0, 2.0, 2.0, 2.0)]
    [1.0, 1.0, 1.0, 0.5]
    """

    def __init__(self, optimizer, mode="min", factor=0.1, patience=10, threshold=1e-4, threshold_mode="rel", cooldown=0, min_lr=0,
                 eps=1e-8):  # fmt: skip
        check_optimizer(self, optimizer)
        if factor >= 1:
            raise ValueError(f"ReduceLROnPlateau: factor must be below 1, got {factor}")
        if mode not in ("min", "max") or threshold_mode not in ("rel", "abs"):
            raise ValueError('ReduceLROnPlateau: mode must be "min" or "max" and threshold_mode "rel" or "abs", '
                             f"got {mode!r} and {threshold_mode!r}")  # fmt: skip
        self.factor, self.optimizer = factor, optimizer
        self.default_min_lr = None if isinstance(min_lr, (list, tuple)) else min_lr
        self.min_lrs = per_group("min_lr", optimizer, min_lr)
        self.patience, self.cooldown, self.eps, self.last_epoch = patience, cooldown, eps, 0
        self._last_lr = options(optimizer, "lr")
        self.mode_worse = math.inf if mode == "min" else -math.inf
        self.mode, self.threshold, self.threshold_mode, self.best = mode, threshold, threshold_mode, self.mode_worse
        self.cooldown_counter = self.num_bad_epochs = 0

    def better(self, value):
        """True if a value is better than the best so far by more than the threshold."""
        sign = 1 if self.mode == "max" else -1
        bound = self.best * (1 + sign * self.threshold) if self.threshold_mode == "rel" else self.best + sign * self.threshold
        return value > bound if self.mode == "max" else value < bound

    in_cooldown = property(lambda self: self.cooldown_counter > 0, doc="True while the schedule waits after a reduction.")

    def step(self, metrics, epoch=None):
        """Look at the metric, a number or a 0-d tensor, and lower the rates if it has stopped improving."""
        value = float(metrics)
        self.last_epoch = self.last_epoch + 1 if epoch is None else epoch
        if self.better(value):
            self.best, self.num_bad_epochs = value, 0
        else:
            self.num_bad_epochs += 1
        if self.in_cooldown:
            self.cooldown_counter -= 1
            self.num_bad_epochs = 0
        if self.num_bad_epochs > self.patience:
            self.reduce()
            self.cooldown_counter, self.num_bad_epochs = self.cooldown, 0
        self._last_lr = options(self.optimizer, "lr")

    def reduce(self):
        """Lower the rates, down to min_lr; a change below eps is left out."""
        groups = self.optimizer.param_groups
        if len(groups) != len(self.min_lrs):
            if self.default_min_lr is None:
                raise RuntimeError(f"ReduceLROnPlateau: the optimizer has {len(groups)} parameter groups now, and min_lr was given for "
                                   f"{len(self.min_lrs)}; extend scheduler.min_lrs")  # fmt: skip
            self.min_lrs = [self.default_min_lr] * len(groups)
        for group, low in zip(groups, self.min_lrs):
            old = float(group["lr"])
            new = max(old * self.factor, low)
            if old - new > self.eps:
                set_option(group, "lr", new)


def check_schedulers(owner, optimizer, schedulers):
    """Several schedules can work together if they serve one optimizer and need no metric."""
    if not schedulers:
        raise ValueError(f"{owner}: expected at least one scheduler, got none")
    for i, scheduler in enumerate(schedulers):
        if not hasattr(scheduler, "optimizer"):
            raise TypeError(f"{owner}: schedulers[{i}] is a {type(scheduler).__name__}, which has no optimizer")
        if isinstance(scheduler, ReduceLROnPlateau):
            raise ValueError(f"{owner}: schedulers[{i}] is a ReduceLROnPlateau, whose step needs a metric; step it by itself")
        if scheduler.optimizer is not optimizer:
            raise ValueError(f"{owner}: schedulers[{i}] belongs to another optimizer; all must serve the same one")


class SequentialLR(LRScheduler):
    """One schedule after the other: the next takes over at each milestone.

    >>> import tinygrad_edu as tg
    >>> from tinygrad_edu.optim.lr_scheduler import ConstantLR, ExponentialLR, SequentialLR
    >>> optimizer = tg.optim.SGD([tg.zeros(1, requires_grad=True)], lr=1.0)
    >>> both = [ConstantLR(optimizer, 0.5, total_iters=9), ExponentialLR(optimizer, 0.1)]
    >>> scheduler = SequentialLR(optimizer, both, milestones=[2])
    >>> [(optimizer.step(), scheduler.step(), scheduler.get_last_lr()[0])[2] for _ in range(3)]
    [0.5, 1.0, 0.1]
    """

    def __init__(self, optimizer, schedulers, milestones, last_epoch=-1):
        check_schedulers("SequentialLR", optimizer, schedulers)
        if len(milestones) != len(schedulers) - 1:
            raise ValueError(f"SequentialLR: {len(schedulers)} schedulers need {len(schedulers) - 1} milestones between them, "
                             f"got {len(milestones)}")  # fmt: skip
        self.optimizer, self._schedulers, self._milestones, self.last_epoch = optimizer, schedulers, milestones, last_epoch + 1
        for group in optimizer.param_groups:
            set_option(group, "lr", group["initial_lr"])
        self.undo(self)
        first = schedulers[bisect_right(milestones, 0)]
        first._initial_step()
        self._last_lr = first.get_last_lr()

    def undo(self, scheduler):
        """Take back the step that each schedule made when it was constructed."""
        for s in getattr(scheduler, "_schedulers", ()):
            self.undo(s)
        if not hasattr(scheduler, "_schedulers"):
            scheduler.last_epoch -= 1

    def _initial_step(self):
        with warnings.catch_warnings():  # as a part of another sequence: this is no step of the user's
            warnings.simplefilter("ignore", UserWarning)
            super()._initial_step()

    def step(self):
        """Step the schedule whose turn it is; at a milestone, the next one starts."""
        self.last_epoch += 1
        i = bisect_right(self._milestones, self.last_epoch)
        scheduler = self._schedulers[i]
        if i > 0 and self._milestones[i - 1] == self.last_epoch:
            scheduler.move(0)
        else:
            scheduler.step()
        self._last_lr = scheduler.get_last_lr()

    def state_dict(self):
        """All numbers of the schedule, and the states of the schedules in it."""
        return {**super().state_dict(), "_schedulers": [s.state_dict() for s in self._schedulers]}

    def load_state_dict(self, state_dict):
        """Continue from a `state_dict`."""
        super().load_state_dict({k: v for k, v in state_dict.items() if k != "_schedulers"})
        for scheduler, state in zip(self._schedulers, state_dict["_schedulers"]):
            scheduler.load_state_dict(state)


class ChainedScheduler(SequentialLR):
    """Several schedules at once: each step steps all of them, and their factors multiply."""

    def __init__(self, schedulers, optimizer=None):
        schedulers = list(schedulers)
        optimizer = optimizer or (schedulers[0].optimizer if schedulers else None)
        check_schedulers("ChainedScheduler", optimizer, schedulers)
        self.optimizer, self._schedulers = optimizer, schedulers
        self._last_lr = options(optimizer, "lr")

    def step(self):
        """Step every schedule."""
        for scheduler in self._schedulers:
            scheduler.step()
        self._last_lr = options(self.optimizer, "lr")


__all__ = ["ChainedScheduler", "ConstantLR", "CosineAnnealingLR", "CosineAnnealingWarmRestarts", "CyclicLR", "ExponentialLR",
           "LRScheduler", "LambdaLR", "LinearLR", "MultiStepLR", "MultiplicativeLR", "OneCycleLR", "PolynomialLR", "ReduceLROnPlateau",
           "SequentialLR", "StepLR"]  # fmt: skip
