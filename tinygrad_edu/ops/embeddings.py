"""Rows of a table by their numbers, and classes of a row: what embeddings and classification losses pick."""

import numpy as np

from ..autograd.operator import linear
from .indexing import scatter

WORDS = np.array([[0, 2], [2, 3]])


def table_rule(g, x_shape, indices, padding_idx, scale):
    """Each row's gradients, summed; nothing for the padding, and divided by the row's count where the embedding asks for it."""
    rows, flat = g.reshape((-1, x_shape[1])), indices.reshape(-1)
    if padding_idx is not None:
        rows = rows * (flat != padding_idx).astype(g.dtype).reshape((-1, 1))
    if scale:
        rows = rows * (1 / np.bincount(flat)[flat]).astype(g.dtype).reshape((-1, 1))
    return scatter(rows, index=(flat,), shape=x_shape)


@linear(symbol="embed", samples=[((4, 3), dict(indices=WORDS))], x=table_rule)
def embed(x, *, indices, padding_idx=None, scale=False):
    """x[indices], shapes (n, d), (…) → (…, d); row padding_idx gets no gradient"""
    return x[indices]


CLASSES = np.array([2, 0, 2, 1])


@linear(symbol="pick", samples=[((4, 3), dict(classes=CLASSES))],
        x=lambda g, x_shape, classes: place(g, classes=classes, count=x_shape[1]))  # fmt: skip
def pick(x, *, classes):
    """x[i, classes[i]], shape (n, c) → (n)"""
    return x[np.arange(len(classes)), classes]


@linear(symbol="place", samples=[((4,), dict(classes=CLASSES, count=3))], x=lambda g, classes: pick(g, classes=classes))
def place(x, *, classes, count):
    """Zeros of shape (n, count) with x[i] at [i, classes[i]]: the adjoint of pick"""
    out = np.zeros_like(x, shape=(len(classes), count))
    out[np.arange(len(classes)), classes] = x
    return out
