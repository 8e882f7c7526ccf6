"""Embeddings: rows of a table by their numbers."""

import numpy as np

from ...api.index import PlaceError
from ...autograd.operands import ShapeError
from ...autograd.tensor import Tensor, array_of
from ...ops.embeddings import embed
from ...ops.indexing import scatter
from .basic import renormalized


def checked_indices(name, input, weight):
    """The indices as an integer array in memory of their own, or an error that names the first one out of range."""
    indices = array_of(input)
    if indices.dtype.kind not in "iu":
        raise RuntimeError(f"{name}: the indices must be integers, not {indices.dtype}; use x.long()")
    if weight.ndim != 2:
        raise RuntimeError(f"{name}: the weight must be a table (rows, columns), and its shape is {list(weight.shape)}")
    if indices.size and (indices.min() < 0 or indices.max() >= weight.shape[0]):
        wrong = indices.min() if indices.min() < 0 else indices.max()
        raise PlaceError(f"{name}: index {wrong} is out of range; the table has rows 0 to {weight.shape[0] - 1}")
    return indices.copy()


def checked_padding(name, padding_idx, rows):
    """padding_idx counted from 0."""
    if padding_idx is None:
        return None
    if not -rows <= padding_idx < rows:
        raise (RuntimeError if name == "embedding_bag" else AssertionError)(f"{name}: padding_idx={padding_idx} is no row of a table with {rows} rows")
    return padding_idx % rows


def remember_rows(weight, out, indices):
    """For sparse=True: have `backward()` note on the table which rows it went through, for SparseAdam.

    The note is (number of the last node seen, list of indices). It starts anew with the first look-up of a pass that finds no
    gradient; within one pass, younger nodes come before older ones.
    """
    node = out.node

    def note(g):
        last, places = weight.__dict__.get("looked_up", (None, []))
        if weight.grad is None and (last is None or node.birth >= last):
            places = []
        weight.__dict__["looked_up"] = node.birth, [*places, indices.reshape(-1)]

    if node is not None and weight.is_leaf:
        out.register_hook(note)
    return out


def embedding(input, weight, padding_idx=None, max_norm=None, norm_type=2.0, scale_grad_by_freq=False, sparse=False):
    """weight[input], shapes (…), (n, d) → (…, d); row padding_idx gets no gradient

    max_norm first shrinks, in place, those of the rows asked for that are longer. Gradients are dense, with `sparse` too, which is for
    optim.SparseAdam.

    >>> import tinygrad_edu as tg
    >>> tg.nn.functional.embedding(tg.tensor([1, 0]), tg.tensor([[1.0, 2.0], [3.0, 4.0]]))
    tensor([[3., 4.],
            [1., 2.]])
    """
    indices = checked_indices("embedding", input, weight)
    padding_idx = checked_padding("embedding", padding_idx, weight.shape[0])
    if max_norm is not None:
        renormalized(weight, indices, max_norm, norm_type)
    out = embed(weight, indices=indices, padding_idx=padding_idx, scale=scale_grad_by_freq)
    return out if not sparse else remember_rows(weight, out, indices if padding_idx is None else indices[indices != padding_idx])


def embedding_bag(input, weight, offsets=None, max_norm=None, norm_type=2, scale_grad_by_freq=False, mode="mean", sparse=False,
                  per_sample_weights=None, include_last_offset=False, padding_idx=None):  # fmt: skip
    """The sum, mean or maximum of the rows of each bag: input (b, n), or (n) cut into bags at offsets (b); → (b, d)

    >>> import tinygrad_edu as tg
    >>> table = tg.tensor([[1.0, 2.0], [3.0, 4.0]])
    >>> tg.nn.functional.embedding_bag(tg.tensor([0, 1, 1]), table, tg.tensor([0, 2]), mode="sum")
    tensor([[4., 6.],
            [3., 4.]])
    """
    name = "embedding_bag"
    if mode not in ("sum", "mean", "max"):
        raise ValueError(f'{name}: mode must be "sum", "mean" or "max", not {mode!r}')
    if mode == "max" and scale_grad_by_freq:
        raise ValueError(f'{name}: mode "max" does not know how to divide gradients by a frequency; leave scale_grad_by_freq out')
    if per_sample_weights is not None and mode != "sum":
        raise NotImplementedError(f'{name}: per_sample_weights are for mode "sum", and the mode is {mode!r}')
    indices = checked_indices(name, input, weight)
    padding_idx = checked_padding(name, padding_idx, weight.shape[0])
    if per_sample_weights is not None and tuple(per_sample_weights.shape) != indices.shape:
        raise ValueError(f"{name}: input has shape {list(indices.shape)} and per_sample_weights {list(per_sample_weights.shape)}; "
                         "give one weight for each index")  # fmt: skip
    if per_sample_weights is not None and per_sample_weights.dtype != weight.dtype:
        raise RuntimeError(f"{name}: the weight is {weight.dtype} and per_sample_weights {per_sample_weights.dtype}; they must be the same")
    starts = bag_starts(name, indices, offsets, include_last_offset)
    if max_norm is not None:
        renormalized(weight, indices, max_norm, norm_type)
    lengths = np.diff(np.append(starts, indices.size))
    bags, flat = np.repeat(np.arange(len(starts)), lengths), indices.reshape(-1)
    counted = np.ones(len(flat), bool) if padding_idx is None else flat != padding_idx
    rows = embed(weight, indices=flat[counted], scale=scale_grad_by_freq)
    if sparse:
        remember_rows(weight, rows, flat[counted])
    bags = bags[counted]
    shape = (len(starts), weight.shape[1])
    if mode == "max":
        return bag_maximum(rows, bags, shape)
    if per_sample_weights is not None:
        rows = rows * per_sample_weights.reshape((-1,))[np.flatnonzero(counted)].unsqueeze(-1)
    total = scatter(rows, index=(bags,), shape=shape)
    if mode == "sum":
        return total
    counts = np.maximum(np.bincount(bags, minlength=shape[0]), 1).astype(weight.dtype)
    return total / Tensor(counts.reshape((-1, 1)), None)


def bag_starts(name, indices, offsets, include_last_offset):
    """Where each bag begins among the flat indices."""
    if indices.ndim == 2:
        if offsets is not None:
            raise ValueError(f"{name}: a two-dimensional input holds one bag in each row; leave offsets out")
        return np.arange(indices.shape[0]) * indices.shape[1]
    if indices.ndim != 1 or offsets is None:
        raise ValueError(f"{name}: expected an input (b, n), or (n) with offsets (b), got shape {list(indices.shape)}"
                         + (" without offsets" if offsets is None else ""))  # fmt: skip
    starts = array_of(offsets)
    if starts.ndim != 1 or len(starts) and (starts[0] != 0 or (np.diff(starts) < 0).any() or starts[-1] > len(indices)):
        raise ShapeError(f"{name}: offsets must be one-dimensional, begin with 0, never fall and not pass the input's {len(indices)} "
                         f"elements; got {starts.tolist()}")  # fmt: skip
    return starts[:-1] if include_last_offset else starts


def bag_maximum(rows, bags, shape):
    """The largest element of each bag and column, the first one where several are; 0 for an empty bag."""
    values = array_of(rows)
    highest = np.full(shape, -np.inf, values.dtype)
    np.maximum.at(highest, bags, values)
    place, column = np.nonzero((values == highest[bags]) | np.isnan(values))
    first = np.full(shape, len(values))
    np.minimum.at(first, (bags[place], column), place)
    bag, column = np.nonzero(first < len(values))
    return scatter(rows[first[bag, column], column], index=(bag, column), shape=shape)


__all__ = ["embedding", "embedding_bag"]
