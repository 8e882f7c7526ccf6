"""Losses in one step: small networks are all overhead, and the fused rule is the one of the textbook."""

from math import prod

import numpy as np

from ..autograd.operator import elementwise, general
from ..autograd.tensor import Tensor
from .activations import ONE_AND_LIMIT, sigmoid
from .embeddings import pick
from .products import ones
from .reductions import softmax


@general(symbol="mse", promote=("input", "target"), samples=[((3, 2), (3, 2)), ((3,), (3,), dict(reduction="sum")), ((2, 3), (2, 3), dict(reduction="none"))],
         input=lambda g, input, target, reduction: error_slope(g, input, target, reduction),
         target=lambda g, input, target, reduction: error_slope(g, target, input, reduction))  # fmt: skip
def squared_error(input, target, *, reduction="mean"):
    """(input − target)², averaged, summed or one by one"""
    error = input - target
    if reduction == "none":
        return error * error
    flat = error.reshape(-1)
    total = flat.dot(flat)
    return total / flat.size if reduction == "mean" else total


def error_slope(g, input, target, reduction):
    """2 · (input − target), divided by n for the mean; the numbers first, so that one array is made less"""
    return (input - target) * (g * (2 / prod(input.shape) if reduction == "mean" else 2))


@elementwise(symbol="|·|", input=lambda g, input, target: g * np.sign(input - target),
             target=lambda g, input, target: g * np.sign(target - input))  # fmt: skip
def absolute_error(input, target):
    """|input − target|; the slope where they are equal is 0"""
    return np.abs(input - target)


@elementwise(symbol="huber", samples=[dict(delta=0.47)], input=lambda g, input, target, delta: g * np.clip(input - target, -delta, delta),
             target=lambda g, input, target, delta: g * np.clip(target - input, -delta, delta))  # fmt: skip
def huber_error(input, target, *, delta=1.0):
    """e²/2 for errors e = input − target up to δ, beyond it δ · (|e| − δ/2)"""
    size = np.abs(input - target)
    inner = np.minimum(size, delta)
    return inner * (size - 0.5 * inner)


SMALLEST_LOG = -100.0  # as in PyTorch: ln 0 counts as −100, so that a certain and wrong answer costs a finite amount
SMALLEST_VARIANCE = 1e-12  # as in PyTorch: x · (1 − x) counts as at least this much in the slope


@elementwise(symbol="bce′", floats=True, domain=(0.1, 0.9),
             input=lambda g, input, target: g * (input * input - 2 * input * target + target) / np.square((input + SMALLEST_VARIANCE) * (1 - input + SMALLEST_VARIANCE)),
             target=lambda g, input: -g / np.maximum(input * (1 - input), SMALLEST_VARIANCE))  # fmt: skip
def binary_entropy_slope(input, target):
    """(input − target) / (input · (1 − input)), the denominator at least 10⁻¹²"""
    return (input - target) / np.maximum(input * (1 - input), SMALLEST_VARIANCE)


@elementwise(symbol="bce", floats=True, domain=(0.1, 0.9),
             input=lambda g, input, target: g * binary_entropy_slope(input, target),
             target=lambda g, input: g * (safe_log(1 - input) - safe_log(input)))  # fmt: skip
def binary_entropy(input, target):
    """−target · ln input − (1 − target) · ln(1 − input), logarithms at least −100"""
    with np.errstate(divide="ignore"):
        return (target - 1) * np.maximum(np.log1p(-input), SMALLEST_LOG) - target * np.maximum(np.log(input), SMALLEST_LOG)


def safe_log(x):
    """ln x, and −100 where that is smaller."""
    return np.maximum(np.log(np.maximum(x, np.finfo(x.dtype).smallest_subnormal)), SMALLEST_LOG)


@elementwise(symbol="bce", floats=True, input=lambda g, input, target: g * (sigmoid(input) - target), target=lambda g, input: -g * input)
def binary_entropy_of_logits(input, target):
    """ln(1 + eˣ) − target · x, without overflow"""
    return input * ((input > 0) - target) + np.log1p(np.exp(np.maximum(-np.abs(input), -ONE_AND_LIMIT[input.itemsize][1])))


def cross_entropy_rule(g, input, target, weight, ignore_index, label_smoothing, reduction):
    """(softmax(input) · Σ k − k) · g, where k is what each class counts in its row; for plain targets, softmax − one-hot"""
    n = len(target)
    if ignore_index is None and weight is None and not label_smoothing and not isinstance(g, Tensor) and not isinstance(input, Tensor):
        slope = input.T.copy()
        slope -= np.maximum.reduce(slope, 0)
        np.exp(slope, slope)
        slope *= 1 / ones(len(slope), slope.dtype).dot(slope)
        slope[target, np.arange(n)] -= 1
        slope *= g / n if reduction == "mean" else g
        return slope.T
    counts, total = class_counts(input.shape, input.dtype, target, weight, ignore_index, label_smoothing)
    mean = reduction == "mean"  # of no rows at all, its value is NaN, and its slope 0 as in PyTorch
    g = g * (1 / total if total else 0) if mean else g.reshape((-1, 1)) if reduction == "none" else g
    return (softmax(input, axis=1) * counts.sum(axis=1, keepdims=True) - counts) * g


def class_counts(shape, dtype, target, weight, ignore_index, label_smoothing):
    """What each class counts in each row: (1 − ε) · one-hot + ε/c, times the classes' weights; and the mean's denominator."""
    counted = np.ones(len(target), bool) if ignore_index is None else target != ignore_index
    rows, classes = np.flatnonzero(counted), target[counted]
    counts = np.zeros(shape, dtype)
    weights = np.ones(shape[1], dtype) if weight is None else weight.astype(dtype, copy=False)
    if label_smoothing:
        counts[rows] = weights * (label_smoothing / shape[1])
    counts[rows, classes] += weights[classes] * (1 - label_smoothing)
    return counts, weights[classes].sum()


CLASSES = np.array([2, 0, 2, 1])


@general(symbol="cross entropy", floats=True, samples=[((4, 3), dict(target=CLASSES)), ((4, 3), dict(target=CLASSES, reduction="none", label_smoothing=0.1)),
                                           ((4, 3), dict(target=CLASSES, weight=np.array([0.3, 1.0, 2.0]), ignore_index=1)),
                                           ((4, 3), dict(target=CLASSES, weight=np.array([0.3, 1.0, 2.0]), label_smoothing=0.2, reduction="sum"))],
         input=cross_entropy_rule)  # fmt: skip
def class_cross_entropy(input, *, target, weight=None, ignore_index=None, label_smoothing=0.0, reduction="mean"):
    """ln Σ eˣ − x[target] for each row of (n, c), averaged, summed or one by one"""
    n, classes = input.shape
    z = input.T.copy()  # classes below each other: sums and maxima over them are several times faster
    z -= np.maximum.reduce(z, 0)
    if ignore_index is None and weight is None and not label_smoothing:
        chosen = z[target, np.arange(n)]
        np.exp(z, z)
        losses = np.log(ones(classes, z.dtype).dot(z))
        losses -= chosen
        if reduction == "none":
            return losses
        total = losses.sum()
        return total / n if reduction == "mean" and n else total if reduction == "sum" else total * np.nan
    z -= np.log(ones(classes, z.dtype).dot(np.exp(z)))
    counts, total = class_counts(input.shape, input.dtype, target, weight, ignore_index, label_smoothing)
    losses = 0 - np.where(counts == 0, 0, counts * z.T).sum(axis=1)  # and not −0 where nothing counts
    if reduction == "none":
        return losses
    return losses.sum() if reduction == "sum" else losses.sum() / total if total else input.dtype.type(np.nan)


__all__ = ["absolute_error", "binary_entropy", "binary_entropy_of_logits", "class_cross_entropy", "huber_error", "pick", "squared_error"]
