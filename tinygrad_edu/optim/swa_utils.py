"""Averages of a model's weights over training: AveragedModel, equal or exponential, and the rate schedule for it."""

import math
from copy import deepcopy

from ..api.create import tensor
from ..autograd.modes import no_grad
from ..nn.module import Module
from .lr_scheduler import LRScheduler, per_group


def get_swa_avg_fn():
    """The equal average: a + (p − a) / (n + 1)."""
    return lambda average, current, n: average + (current - average) / (n + 1)


def get_ema_avg_fn(decay=0.999):
    """The exponential average: decay · a + (1 − decay) · p."""
    if not 0 <= decay <= 1:
        raise ValueError(f"get_ema_avg_fn: decay must be between 0 and 1, got {decay}")
    return lambda average, current, n: decay * average + (1 - decay) * current


def get_ema_multi_avg_fn(decay=0.999):
    """The exponential average for lists of tensors, in place."""
    one = get_ema_avg_fn(decay)

    def update(averages, currents, n):
        with no_grad():
            for average, current in zip(averages, currents):
                average.copy_(one(average, current, n))

    return update


def get_swa_multi_avg_fn():
    """The equal average for lists of tensors, in place; the weight 1 / (n + 1) has the default dtype, as in PyTorch."""

    def update(averages, currents, n):
        weight = float(1 / (n + 1))
        with no_grad():
            for average, current in zip(averages, currents):
                average.copy_(average + weight * (current - average))

    return update


class AveragedModel(Module):
    """A copy of a model whose weights are the average over all calls of `update_parameters(model)`.

    The first call copies. avg_fn(average, current, n) replaces the equal average; get_ema_multi_avg_fn gives the exponential
    one. Buffers are averaged only with use_buffers=True and copied otherwise.

    >>> import tinygrad_edu as tg
    >>> model = tg.nn.Linear(1, 1, bias=False)
    >>> average = tg.optim.swa_utils.AveragedModel(model)
    >>> for w in (1.0, 2.0, 6.0):
    ...     model.weight.data.fill_(w); average.update_parameters(model)
    tensor([[1.]])
    tensor([[2.]])
    tensor([[6.]])
    >>> average.module.weight.item()
    3.0
    """

    def __init__(self, model, device=None, avg_fn=None, multi_avg_fn=None, use_buffers=False):
        super().__init__()
        if avg_fn is not None and multi_avg_fn is not None:
            raise AssertionError("AveragedModel: give avg_fn or multi_avg_fn, not both")
        self.module = deepcopy(model)
        self.register_buffer("n_averaged", tensor(0))
        self.avg_fn, self.multi_avg_fn, self.use_buffers = avg_fn, multi_avg_fn, use_buffers

    def forward(self, *args, **kwargs):
        return self.module(*args, **kwargs)

    def update_parameters(self, model):
        """Take the model's present weights into the average."""
        n = self.n_averaged.item()
        own, new = ([*m.parameters(), *(m.buffers() if self.use_buffers else ())] for m in (self.module, model))
        own, new = [t.detach() for t in own], [t.detach() for t in new]
        if n == 0:
            for a, p in zip(own, new):
                a.copy_(p)
        elif self.multi_avg_fn is not None:
            self.multi_avg_fn(own, new, self.n_averaged)
        else:
            for a, p in zip(own, new):
                a.copy_((self.avg_fn or get_swa_avg_fn())(a, p, self.n_averaged))
        if not self.use_buffers:
            for a, b in zip(self.module.buffers(), model.buffers()):
                a.detach().copy_(b.detach())
        self.n_averaged += 1


def update_bn(loader, model, device=None):
    """Compute the running statistics of all batch normalisation layers anew, from one pass over `loader`."""
    layers = {m: m.momentum for m in model.modules() if hasattr(m, "reset_running_stats") and getattr(m, "running_mean", None) is not None}
    if not layers:
        return
    training = model.training
    model.train()
    for layer in layers:
        layer.reset_running_stats()
        layer.momentum = None  # the average over all batches
    with no_grad():
        for batch in loader:
            model(batch[0] if isinstance(batch, (list, tuple)) else batch)
    for layer, momentum in layers.items():
        layer.momentum = momentum
    model.train(training)


class SWALR(LRScheduler):
    """Rates that go to swa_lr in anneal_epochs steps, along half a cosine or straight, and stay there."""

    def __init__(self, optimizer, swa_lr, anneal_epochs=10, anneal_strategy="cos", last_epoch=-1):
        if anneal_strategy not in ("cos", "linear"):
            raise ValueError(f'SWALR: anneal_strategy must be "cos" or "linear", got {anneal_strategy!r}')
        if not isinstance(anneal_epochs, int) or anneal_epochs < 0:
            raise ValueError(f"SWALR: anneal_epochs must be an integer of at least 0, got {anneal_epochs}")
        for group, lr in zip(optimizer.param_groups, per_group("swa_lr", optimizer, swa_lr)):
            group["swa_lr"] = lr
        self._anneal_strategy, self.anneal_epochs = anneal_strategy, anneal_epochs
        super().__init__(optimizer, last_epoch)

    def part(self, step):
        """How far the way to swa_lr is done at a step, from 0 to 1."""
        t = max(0, min(1, step / max(1, self.anneal_epochs)))
        return (1 - math.cos(math.pi * t)) / 2 if self._anneal_strategy == "cos" else t

    def get_lr(self):
        step = self._step_count - 1
        if self.anneal_epochs == 0:
            step = max(1, step)
        before, now = self.part(step - 1), self.part(step)
        rates = []
        for group in self.optimizer.param_groups:
            lr, goal = group["lr"], group["swa_lr"]
            start = goal if before == 1 else (lr - before * goal) / (1 - before)
            rates.append(goal * now + start * (1 - now))
        return rates
