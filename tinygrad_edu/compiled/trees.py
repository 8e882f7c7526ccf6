"""Arguments and results: tensors in nested tuples, lists and dicts."""

import numpy as np

from ..autograd.tensor import Tensor


def leaves(x, path):
    """(path as Python, kind, value) of what arguments hold: tensors, arrays, containers, plain values."""
    if isinstance(x, (Tensor, np.ndarray)):
        yield path, "tensor" if isinstance(x, Tensor) else "array", x
    elif isinstance(x, (tuple, list, dict)):
        yield path, "container", x
        for key, item in x.items() if isinstance(x, dict) else enumerate(x):
            yield from leaves(item, f"{path}[{key!r}]")
    else:
        yield path, "plain", x


def mapped(x, change):
    """The same containers with other leaves."""
    if isinstance(x, dict):
        return {k: mapped(v, change) for k, v in x.items()}
    if isinstance(x, (tuple, list)):
        made = [mapped(i, change) for i in x]
        return x._make(made) if hasattr(x, "_make") else type(x)(made)
    return change(x)


class Same:
    """In a result: a tensor that was there before."""

    def __init__(self, tensor):
        self.tensor = tensor


class Made:
    """In a result: a tensor that the step made, by its place among the program's results."""

    def __init__(self, place, array, node, grad):
        self.place, self.array, self.node, self.grad = place, array, node, grad

    def tensor(self):
        return self.grad.node.grad if self.grad is not None else Tensor(self.array, self.node)
