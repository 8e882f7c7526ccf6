"""Dropout: random zeros during training, so that no unit relies on another."""

import math

import numpy as np

from ...api.random import mask_like
from ...autograd import memory
from ...autograd.tensor import Tensor


def check_probability(name, p):
    """Refuse what is no probability."""
    if not 0 <= p <= 1:
        raise ValueError(f"{name}: p is the probability of a zero, between 0 and 1, and it is {p}")


def noise_like(input, shape, keep):
    """1 with probability `keep`, else 0, of the input's type; drawn in the order of the input's memory, as PyTorch does."""
    if tuple(shape) == input.array.shape:
        return Tensor(mask_like(input, keep).astype(input.dtype), None)
    return Tensor(np.empty(shape, input.dtype), None).bernoulli_(keep)


def dropped(name, input, p, training, inplace, shape, alpha=False):
    """input · noise / (1 − p), with noise of a shape that broadcasts; alpha=True keeps mean and variance of SELU's results."""
    check_probability(name, p)
    if p == 0 or not training or input.array.size == 0:
        return input
    shift = None
    if p == 1:
        factor = Tensor(np.zeros((), input.dtype), None)
    else:
        factor = noise_like(input, shape, 1 - p)
        if alpha:
            low = 1.7580993408473766  # −SELU(−∞) = λ · α
            scale = 1 / math.sqrt((low * low * p + 1) * (1 - p))
            shift = (factor - 1) * (low * scale) + low * scale * p
            factor = factor * scale
        else:
            factor = factor / (1 - p)
    compute = (lambda x: x * factor) if shift is None else (lambda x: x * factor + shift)
    return memory.write(input, f"{name}_", compute) if inplace else compute(input)


def channels(input):
    """The shape of noise that is the same for all of a channel: (n, c, 1, …)."""
    return tuple(input.shape[:2]) + (1,) * (input.ndim - 2)


def dropout(input, p=0.5, training=True, inplace=False):
    """Each element 0 with probability p, else divided by 1 − p; the input itself when not training

    >>> import tinygrad_edu as tg
    >>> tg.nn.functional.dropout(tg.ones(3), training=False)
    tensor([1., 1., 1.])
    """
    return dropped("dropout", input, p, training, inplace, input.array.shape)


def whole_channels(name, input, p, training, inplace, batched):
    """Dropout of whole channels, for an input with or without a batch dimension."""
    if input.ndim == batched - 1:
        check_probability(name, p)
        if p == 0 or not training or input.array.size == 0:
            return input
        return dropped(name, input, p, training, inplace, (input.shape[0],) + (1,) * (input.ndim - 1))
    return dropped(name, input, p, training, inplace, channels(input))


def dropout1d(input, p=0.5, training=True, inplace=False):
    """Whole channels 0 with probability p; input (n, c, l) or (c, l)"""
    if input.ndim not in (2, 3):
        raise RuntimeError(f"dropout1d: expected an input (n, c, l) or (c, l), got shape {list(input.shape)}; dropout drops single "
                           "elements of any shape")  # fmt: skip
    return whole_channels("dropout1d", input, p, training, inplace, 3)


def dropout2d(input, p=0.5, training=True, inplace=False):
    """Whole channels 0 with probability p; input (n, c, h, w), and (n, c, l) is taken as a batch, as in PyTorch"""
    return dropped("dropout2d", input, p, training, inplace, channels(input))


def dropout3d(input, p=0.5, training=True, inplace=False):
    """Whole channels 0 with probability p; input (n, c, d, h, w) or (c, d, h, w)"""
    return whole_channels("dropout3d", input, p, training, inplace, 5)


def alpha_dropout(input, p=0.5, training=False, inplace=False):
    """Dropout to SELU's lowest value, then scaled and shifted so that mean and variance stay (Klambauer et al. 2017)"""
    return dropped("alpha_dropout", input, p, training, inplace, input.array.shape, alpha=True)


def feature_alpha_dropout(input, p=0.5, training=False, inplace=False):
    """Alpha dropout of whole channels; input (n, c, …)"""
    return dropped("feature_alpha_dropout", input, p, training, inplace, channels(input), alpha=True)


__all__ = ["alpha_dropout", "dropout", "dropout1d", "dropout2d", "dropout3d", "feature_alpha_dropout"]
