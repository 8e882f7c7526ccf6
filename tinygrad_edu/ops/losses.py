"""Losses in one step: small networks are all overhead, and the fused rule is the one of the textbook."""

import numpy as np

from ..autograd.operator import elementwise, general


@general(symbol="mse", promote=("input", "target"), samples=[((3, 2), (3, 2)), ((3,), (3,), dict(reduction="sum")), ((2, 3), (2, 3), dict(reduction="none"))],
         input=lambda g, input, target, reduction: g * error_slope(input, target, reduction),
         target=lambda g, input, target, reduction: g * error_slope(target, input, reduction))  # fmt: skip
def squared_error(input, target, *, reduction="mean"):
    """(input − target)², averaged, summed or one by one"""
    error = input - target
    if reduction == "none":
        return error * error
    flat = error.reshape(-1)
    total = flat.dot(flat)
    return total / flat.size if reduction == "mean" else total


def error_slope(input, target, reduction):
    """2 · (input − target), divided by n for the mean"""
    return (input - target) * (2 / input.size if reduction == "mean" else 2)


SMALLEST_LOG = -100.0  # as in PyTorch: ln 0 counts as −100, so that a certain and wrong answer costs a finite amount


@elementwise(symbol="bce", floats=True, domain=(0.1, 0.9),
             input=lambda g, input, target: g * ((input - target) / np.maximum(input * (1 - input), 1e-12)),
             target=lambda g, input: g * (safe_log(1 - input) - safe_log(input)))  # fmt: skip
def binary_entropy(input, target):
    """−target · ln input − (1 − target) · ln(1 − input), logarithms at least −100"""
    return -(target * safe_log(input) + (1 - target) * safe_log(1 - input))


def safe_log(x):
    """ln x, and −100 where that is smaller."""
    return np.maximum(np.log(np.maximum(x, 1e-45)), SMALLEST_LOG)
