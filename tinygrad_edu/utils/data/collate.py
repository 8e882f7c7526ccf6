"""From a list of examples to one batch: tensors are stacked, and containers keep their form."""

from collections.abc import Mapping, Sequence
from copy import copy

import numpy as np

from ...api import functions
from ...autograd.tensor import Tensor


def default_collate(batch):
    """One batch of a list of examples: tensors, arrays and numbers are stacked along a new first dimension.

    Dicts, named tuples and lists keep their form, tuples become lists, and strings stay a list. Floats become float64.

    >>> from tinygrad_edu.utils.data import default_collate
    >>> default_collate([dict(x=1, name="a"), dict(x=2, name="b")])
    {'x': tensor([1, 2]), 'name': ['a', 'b']}
    """
    first = batch[0]
    if isinstance(first, Tensor):
        return functions["stack"](list(batch), 0)
    if isinstance(first, np.ndarray):
        if first.dtype.kind not in "biufc":
            raise TypeError(f"default_collate: tensors hold numbers, and these arrays hold {first.dtype}; pass a collate_fn")
        return functions["stack"]([functions["as_tensor"](b) for b in batch], 0)
    if isinstance(first, np.generic):
        return Tensor(np.array(batch, first.dtype), None) if first.dtype.kind in "biufc" else batch
    if isinstance(first, float):
        return functions["tensor"](list(batch), dtype=np.float64)
    if isinstance(first, int):
        return functions["tensor"](list(batch))
    if isinstance(first, (str, bytes)):
        return batch
    if isinstance(first, Mapping):
        return same_form(first, {key: default_collate([example[key] for example in batch]) for key in first})
    if isinstance(first, tuple) and hasattr(first, "_fields"):
        return type(first)(*map(default_collate, zip(*batch)))
    if isinstance(first, Sequence):
        if len({len(example) for example in batch}) > 1:
            raise RuntimeError(f"default_collate: the examples of a batch have different lengths, {[len(e) for e in batch]}; pad them "
                               "in a collate_fn of your own")  # fmt: skip
        columns = [default_collate(column) if isinstance(column[0], (str, bytes)) else default_collate(list(column))
                   for column in zip(*batch)]  # fmt: skip
        return columns if isinstance(first, tuple) else same_form(first, columns)
    raise TypeError(f"default_collate: cannot make a batch of {type(first).__name__}; a batch holds tensors, arrays, numbers, strings, "
                    "dicts or lists of them; pass a collate_fn for anything else")  # fmt: skip


def default_convert(data):
    """Arrays inside `data` as tensors; what is used where batching is off (batch_size=None)."""
    if isinstance(data, (np.ndarray, np.generic)):
        return functions["as_tensor"](data) if data.dtype.kind in "biufc" else data
    if isinstance(data, Mapping):
        return same_form(data, {key: default_convert(data[key]) for key in data})
    if isinstance(data, tuple):
        converted = [default_convert(d) for d in data]
        return type(data)(*converted) if hasattr(data, "_fields") else converted
    if isinstance(data, Sequence) and not isinstance(data, (str, bytes)):
        return same_form(data, [default_convert(d) for d in data])
    return data


def same_form(container, content):
    """`content` in a container like the given one: an OrderedDict stays one; what cannot be filled becomes a dict or list."""
    if type(container) in (dict, list):
        return content
    try:
        if hasattr(container, "update"):
            filled = copy(container)
            filled.update(content)
            return filled
        return type(container)(content)
    except TypeError:
        return content
