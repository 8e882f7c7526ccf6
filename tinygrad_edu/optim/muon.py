"""Muon: momentum whose matrix is replaced by a nearly orthogonal one, by a few steps of Newton and Schulz."""

from math import sqrt

import numpy as np

from ..autograd.tensor import Tensor
from .optimizer import Optimizer, check_options, number

ADJUSTMENTS = ("original", "match_rms_adamw")


def short(x):
    """float32 numbers rounded to bfloat16, to even where two are equally near: as wide as float32, with 7 bits of fraction."""
    bits = np.ascontiguousarray(x, np.float32).view(np.uint32)
    with np.errstate(over="ignore"):
        rounded = (bits + ((bits >> 16) & 1) + np.uint32(0x7FFF)) & np.uint32(0xFFFF0000)
    return rounded.view(np.float32)


def orthogonal(g, coefficients, steps, eps):
    """X ← a·X + (b·A + c·A²)·X with A = X·Xᵀ, from X = g / ‖g‖: singular values near 1, in bfloat16 as PyTorch computes it"""
    a, b, c = (np.float32(x) for x in coefficients)
    x = short(g)
    if g.shape[0] > g.shape[1]:
        x = x.T
    x = short(x / np.maximum(short(np.sqrt(np.square(x, dtype=np.float32).sum(dtype=np.float64))), short(np.float32(eps))))
    for _ in range(steps):
        gram = short(x @ x.T)
        x = short(short(gram @ gram * c + gram * b) @ x + x * a)
    return x.T if g.shape[0] > g.shape[1] else x


class Muon(Optimizer):
    """m ← μ·m + (1−μ)·g, p ← p · (1 − lr · weight_decay) − lr · r · O, where O is nearly the orthogonal matrix next to m (next to
    (1−μ)·g + μ·m with nesterov) and r = √max(1, rows / columns), or 0.2 · √max(rows, columns) with "match_rms_adamw".

    For matrices only; give other parameters to another optimizer. The matrix O has the accuracy of bfloat16, two to three digits, in
    PyTorch too: both agree to that accuracy, and bit for bit where both round alike. (Jordan 2024)

    >>> import tinygrad_edu as tg
    >>> w = tg.eye(2, requires_grad=True)
    >>> optimizer = tg.optim.Muon([w], lr=0.1, weight_decay=0.0)
    >>> (w * w).sum().backward(); optimizer.step(); bool((w.diag() < 0.95).all())
    True
    """

    def __init__(self, params, lr=1e-3, weight_decay=0.1, momentum=0.95, nesterov=True, ns_coefficients=(3.4445, -4.775, 2.0315), eps=1e-7,
                 ns_steps=5, adjust_lr_fn=None):  # fmt: skip
        check_options("Muon", lr=lr, momentum=momentum, weight_decay=weight_decay)
        if adjust_lr_fn is not None and adjust_lr_fn not in ADJUSTMENTS:
            raise ValueError(f"Muon: adjust_lr_fn must be one of {ADJUSTMENTS} or None, not {adjust_lr_fn!r}")
        if ns_steps >= 100 or len(ns_coefficients) != 3:
            raise ValueError(f"Muon: ns_steps={ns_steps} must be below 100, and ns_coefficients three numbers, not {ns_coefficients}")
        super().__init__(params, dict(lr=lr, weight_decay=weight_decay, momentum=momentum, nesterov=nesterov, ns_coefficients=ns_coefficients,
                                      eps=eps, ns_steps=ns_steps, adjust_lr_fn=adjust_lr_fn))  # fmt: skip
        for group in self.param_groups:
            for p in group["params"]:
                if p.ndim != 2:
                    raise ValueError(f"Muon: it trains matrices, and a parameter has shape {list(p.shape)}; give that one to another optimizer")

    def update(self, p, g, state, group):
        lr, momentum = number(group["lr"]), number(group["momentum"])
        if not state:
            state["momentum_buffer"] = Tensor(np.zeros_like(p), None)
        m = state["momentum_buffer"].array
        m += (g - m) * (1 - momentum)
        direction = m - (m - g) * (1 - momentum) if group["nesterov"] else m
        rows, columns = p.shape
        ratio = 0.2 * sqrt(max(rows, columns)) if group["adjust_lr_fn"] == "match_rms_adamw" else sqrt(max(1, rows / columns))
        p *= 1 - lr * number(group["weight_decay"])
        p -= (lr * ratio) * orthogonal(direction, group["ns_coefficients"], group["ns_steps"], group["eps"]).astype(p.dtype)
