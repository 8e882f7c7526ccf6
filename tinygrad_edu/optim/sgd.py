"""Stochastic gradient descent."""

import numpy as np

from .optimizer import Optimizer


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
        for name, value in dict(lr=lr, momentum=momentum, weight_decay=weight_decay).items():
            if value < 0:
                raise ValueError(f"SGD: {name} must not be negative, got {value}")
        if nesterov and (momentum <= 0 or dampening != 0):
            raise ValueError("SGD: nesterov=True needs a momentum above 0 and dampening=0")
        if differentiable:
            raise NotImplementedError("SGD(differentiable=True) is not supported; write p = p - lr * g in the graph instead")
        super().__init__(params, dict(lr=lr, momentum=momentum, dampening=dampening, weight_decay=weight_decay,
                                      nesterov=nesterov, maximize=maximize))  # fmt: skip

    def update(self, p, g, state, group):
        if group["maximize"]:
            g = -g
        if group["weight_decay"]:
            g = g + group["weight_decay"] * p
        momentum = group["momentum"]
        if momentum:
            v = state.get("momentum_buffer")
            if v is None:
                v = state["momentum_buffer"] = g.copy(order="K")
            else:
                v *= momentum
                v += g if not group["dampening"] else (1 - group["dampening"]) * g
            g = g + momentum * v if group["nesterov"] else v
        np.subtract(p, group["lr"] * g, p)
