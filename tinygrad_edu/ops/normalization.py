"""Normalisation: what batch, layer, group and instance normalisation have in common, in one operator with one rule."""

from math import prod

import numpy as np

from ..autograd.operator import general
from ..autograd.tensor import Tensor
from .products import ones
from .reductions import normalized


def total(x, axes):
    """Σ x over axes, kept as 1; over the last axes, or all but the channels, a product with ones is three times faster."""
    if isinstance(x, Tensor) or not x.flags.c_contiguous:
        return x.sum(axis=axes, keepdims=True)
    lead = x.ndim - len(axes)
    if axes == tuple(range(lead, x.ndim)):
        length = prod(x.shape[lead:])
        return x.reshape((-1, length)).dot(ones(length, x.dtype)).reshape((*x.shape[:lead], *(1,) * len(axes)))
    if x.ndim > 2 and axes == (0, *range(2, x.ndim)):
        n, c = x.shape[:2]
        length = prod(x.shape[2:])
        sums = np.add.reduce(x.reshape((n * c, length)).dot(ones(length, x.dtype)).reshape((n, c)), 0)
        return sums.reshape((1, c) + (1,) * (x.ndim - 2))
    return np.add.reduce(x, axes, keepdims=True)


def size_of(shape, axes):
    """How many elements each mean is taken over."""
    return prod(shape[a] for a in axes)


def moments(x, axes):
    """Mean, and variance without correction, over axes that are kept as 1; arrays or tensors."""
    n = size_of(x.shape, axes)
    mean = total(x, axes) / n
    centered = x - mean
    return mean, total(centered * centered, axes) / n


def normalize_rule(g, x, weight, needs, axes, eps, mean, scale):
    """scale · (h − mean(h) − x̂ · mean(h · x̂)) with h = g · weight, x̂ = (x − mean) · scale; weight gets g · x̂, bias gets g."""
    axes = normalized(axes, x.ndim)
    if mean is None or isinstance(x, Tensor):  # gradients of gradients: the moments depend on x
        mean, variance = moments(x, axes)
        scale = 1 / np.sqrt(variance + eps)
    n = size_of(x.shape, axes)
    standard = (x - mean) * scale
    product, slope = g * standard, None
    if (not needs[2]) if weight is None else weight.shape == mean.shape:  # as in batch_norm: the sums serve thrice
        product_sum, g_sum = total(product, axes), total(g, axes)
        if needs[0]:
            slope = (g - g_sum / n - standard * (product_sum / n)) * (scale if weight is None else scale * weight)
        return slope, product_sum, g_sum
    if needs[0]:
        h = g if weight is None else g * weight
        slope = scale * (h - total(h, axes) / n - standard * (total(h * standard, axes) / n))
    return slope, product, g


SAMPLES = [
    ((3, 4), (4,), (4,), dict(axes=(-1,))),
    ((3, 2, 4), (1, 2, 1), (1, 2, 1), dict(axes=(0, 2))),
    ((2, 2, 3), dict(axes=(1, 2), eps=0.1)),
]


@general(symbol="normalize", samples=SAMPLES, promote=("x", "weight", "bias"), floats=True, together=normalize_rule)
def normalize(x, weight=None, bias=None, *, axes, eps=1e-5, mean=None, scale=None):
    """(x − mean) / √(variance + eps) · weight + bias, mean and variance over axes; weight and bias of one shape, broadcast

    Who knows the moments already gives `mean` and `scale` = 1 / √(variance + eps), which must belong to x.
    """
    if mean is None:
        mean, variance = moments(x, normalized(axes, x.ndim))
        scale = 1 / np.sqrt(variance + eps)
    out = np.subtract(x, mean, order="C")
    out *= scale
    if weight is not None:
        out *= weight
    if bias is not None:
        out += bias
    return out


def root_mean_square_rule(g, x, weight, needs, axes, eps):
    """scale · (h − x̂ · mean(h · x̂)) with h = g · weight, x̂ = x · scale; weight gets g · x̂."""
    axes = normalized(axes, x.ndim)
    n = size_of(x.shape, axes)
    scale = 1 / np.sqrt(total(x * x, axes) / n + eps)
    standard = x * scale
    h = g if weight is None else g * weight
    slope = scale * (h - standard * (total(h * standard, axes) / n)) if needs[0] else None
    return slope, g * standard if needs[1] else None


@general(
    symbol="rms norm",
    samples=[((3, 4), (4,), dict(axes=(-1,))), ((2, 2, 3), dict(axes=(1, 2), eps=0.1))],
    promote=("x", "weight"),
    floats=True,
    together=root_mean_square_rule,
)
def rms_normalize(x, weight=None, *, axes, eps=1e-5):
    """x / √(mean(x²) + eps) · weight, the mean over axes (Zhang and Sennrich 2019)"""
    axes = normalized(axes, x.ndim)
    out = x * (1 / np.sqrt(total(x * x, axes) / size_of(x.shape, axes) + eps))
    if weight is not None:
        out *= weight
    return out
