"""Stochastic gradient descent."""

from operator import attrgetter

import numpy as np

from ..autograd import modes
from ..autograd.tensor import Tensor
from .optimizer import Optimizer, check_flags, check_options, decayed, number, sweep

dtype_of, size_of, subtract = attrgetter("dtype"), attrgetter("size"), np.subtract


class SGD(Optimizer):
    """p ← p − lr · g, with momentum, Nesterov's form, dampening and weight decay.

    With momentum μ: v ← μ·v + (1 − dampening)·g and p ← p − lr·v, or p − lr·(g + μ·v) with nesterov.

    >>> import tinygrad_edu as tg
    >>> x = tg.tensor([1.0], requires_grad=True)
    >>> optimizer = tg.optim.SGD([x], lr=0.1)
    >>> (x * x).sum().backward(); optimizer.step(); x
    tensor([0.8000], requires_grad=True)
    """

    def __init__(self, params, lr=1e-3, momentum=0, dampening=0, weight_decay=0, nesterov=False, *, maximize=False,
                 foreach=None, differentiable=False, fused=None):  # fmt: skip
        check_options("SGD", lr=lr, momentum=momentum, weight_decay=weight_decay)
        check_flags("SGD", differentiable)
        if nesterov and (momentum <= 0 or dampening != 0):
            raise ValueError("SGD: nesterov=True needs a momentum above 0 and dampening=0")
        super().__init__(params, dict(lr=lr, momentum=momentum, dampening=dampening, weight_decay=weight_decay, nesterov=nesterov,
                                      maximize=maximize, foreach=foreach, differentiable=differentiable, fused=fused))  # fmt: skip

    def update_group(self, params, arrays, grads, group):
        if group["momentum"] or group["weight_decay"]:
            return super().update_group(params, arrays, grads, group)
        kinds = {*map(dtype_of, arrays)}
        if len(kinds) == 1 and max(map(size_of, arrays)) < 4096:
            ((rate,), _) = modes.again(rates, group, kinds) if modes.tapes else rates(group, kinds)
            for p, g in zip(arrays, grads):
                subtract(p, g * rate, p)
        else:
            numbers, _ = modes.again(rates, group, kinds)
            for p, g in zip(arrays, grads):
                rate = next(x for x in numbers if x.dtype == p.dtype)
                sweep(descend, (rate, None, None, None, False, False), p, g, (), self.scratch)

    def update(self, p, g, state, group):
        momentum, key = group["momentum"], p.dtype.num
        c = self.numbers.get(key)
        if c is None:
            numbers, facts = modes.again(constants, group, p.dtype)
            numbers = iter(numbers)
            c = self.numbers[key] = [next(numbers) if x == "array" else x for x in facts]
        if not momentum:
            return sweep(descend, c, p, g, (), self.scratch)
        v = state.get("momentum_buffer")
        if v is None:  # the first step takes the whole gradient, whatever the dampening
            c = [c[0], c[1], None, *c[3:]]
            v = state["momentum_buffer"] = Tensor(np.zeros_like(p), None)
        sweep(roll, c, p, g, (v.array,), self.scratch)


def rates(group, kinds):
    """The learning rate as 0-d arrays of some dtypes: NumPy takes half the time for a constant that is one."""
    lr = number(group["lr"])
    if group["maximize"]:
        lr = -lr
    return [np.array(lr, kind) for kind in kinds], None


def constants(group, dtype):
    """lr, momentum, 1 − dampening and weight decay as 0-d arrays, and where they stand in the list that the kernels take."""
    rest, decay = 1 - number(group["dampening"]), number(group["weight_decay"])
    values = number(group["lr"]), number(group["momentum"]), rest if rest != 1 else None, decay or None
    facts = [None if x is None else "array" for x in values] + [group["maximize"], group["nesterov"]]
    return [np.array(x, dtype) for x in values if x is not None], facts


def descend(c, p, g, s, q):
    """p ← p − lr · (g + decay · p)"""
    lr, _, _, decay, maximize, _ = c
    if decay is not None or maximize:
        g = decayed(p, g, decay, maximize, s, q)
    p -= np.multiply(g, lr, s)


def roll(c, p, g, v, s, q):
    """v ← μ·v + (1 − dampening)·g, and p along v."""
    lr, momentum, undamped, decay, maximize, nesterov = c
    if decay is not None or maximize:
        g = decayed(p, g, decay, maximize, s, q)
    v *= momentum
    v += g if undamped is None else np.multiply(g, undamped, s)
    p -= np.multiply(np.add(g, np.multiply(v, momentum, s), s) if nesterov else v, lr, s)
