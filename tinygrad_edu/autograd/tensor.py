"""Tensor: an array, and the node that remembers how it was made. Read after node.py; its methods are in api/."""

import warnings
from typing import Any

import numpy as np

from . import dtypes
from .node import Node, leaf, note_of
from .size import Size


class Tensor:
    """An n-dimensional array that can remember how it was computed.

    `array` is the data (a NumPy array, or a NumPy scalar for a 0-d result); `node` is None for a constant, else the
    Node that made it: `Tensor(array, None)` is a constant. Users call `tensor(data, requires_grad=True)`. PyTorch's old
    constructor works too: `Tensor(data)` copies data to the default dtype, `Tensor(2, 3)` is of that shape.
    """

    __slots__ = ("array", "node", "__dict__", "__weakref__")

    of_data: Any = None  # what PyTorch's old constructor makes, as in Tensor(2, 3) or Tensor(data); set by api/everyday.py
    base = None  # the Tensor whose memory this one is a view of
    frozen = False  # True: a graph may have saved this memory, so NumPy gets it read-only
    detached = None  # True: shares the memory of `base` but no history; a view of such a tensor names that tensor
    views = ()  # weak references to the living views of this memory
    used = 0  # of a gradient: when an optimizer's step used it; negative once backward() has added to it since
    shared = False  # True: the user holds this memory as a NumPy array and may write to it

    def __init__(self, array=..., node=..., *sizes):
        if node is not None and node.__class__ is not Node:
            array, node = self.of_data([a for a in (array, node, *sizes) if a is not ...]), None
        self.array = array
        self.node = node

    shape = property(lambda self: Size(self.array.shape), doc="The sizes of the dimensions, a tuple.")
    dtype = property(lambda self: dtypes.of[self.array.dtype], doc="The type of the elements, such as `tinygrad_edu.float32`.")
    ndim = property(lambda self: self.array.ndim, doc="The number of dimensions.")
    itemsize = property(lambda self: self.array.itemsize, doc="Bytes per element.")
    nbytes = property(lambda self: self.array.nbytes, doc="Bytes of all elements.")

    @property
    def requires_grad(self):
        """True if this tensor takes part in a graph; set it on a leaf to ask for its gradient."""
        return self.node is not None

    @requires_grad.setter
    def requires_grad(self, wanted):
        if bool(wanted) == (self.node is not None):
            return
        if not wanted:
            if self.node.op is not None:
                raise RuntimeError(
                    f"requires_grad = False: this tensor is the result of {self.node.name}, and only a leaf can stop "
                    "asking for its gradient; use y = x.detach() to get its value without its history"
                )
            self.__dict__["thawed"], self.node = self.node, None
        elif self.dtype.kind != "f":
            raise RuntimeError(
                f"requires_grad = True: only floating-point tensors can have gradients, and this one is {self.dtype}; "
                "convert it first, as in x.float()"
            )
        else:
            if self.shared or self.base is not None and self.base.shared:
                self.array = self.array.copy()  # a leaf's memory is its own: NumPy writes cannot reach the graph
                self.__dict__.pop("base", None)
                self.shared = False
            before = self.__dict__.pop("thawed", None)
            self.node = before if before and before.shape == self.array.shape else leaf(self.array.shape, self.array.dtype)

    @property
    def is_leaf(self):
        """True if nothing computed this tensor in a graph: gradients of leaves are kept in `.grad`."""
        return self.node is None or self.node.op is None

    @property
    def grad(self):
        """The gradient that `backward()` summed up for this leaf, a Tensor, or None."""
        node = self.node
        if node is None:
            frozen = self.__dict__.get("thawed")
            return frozen and frozen.grad
        if node.grad is None and node.op is not None:
            explain_missing_gradient(node)
        return node.grad

    @grad.setter
    def grad(self, value):
        node = self.node if self.node is not None else self.__dict__.get("thawed")
        if value is None:
            if node is not None:
                node.grad = None
            return
        if not isinstance(value, Tensor):
            raise TypeError(f"x.grad = …: expected a Tensor or None, got {type(value).__name__}")
        if value.array.shape != self.array.shape or value.dtype != self.dtype:
            raise RuntimeError(
                f"x.grad = …: the gradient is {value.dtype}{list(value.array.shape)} and the tensor "
                f"{self.dtype}{list(self.array.shape)}; they must have the same shape and dtype"
            )
        if node is None:
            node = self.__dict__["thawed"] = leaf(self.array.shape, self.array.dtype)
        node.grad = value

    def __len__(self):
        if not self.array.ndim:
            raise TypeError("len() of a 0-d tensor: it has no first dimension")
        return self.array.shape[0]

    def __bool__(self):
        if self.array.size != 1:
            raise RuntimeError(
                f"the truth value of a tensor with {self.array.size} elements is ambiguous; use .any() or .all()"
            )
        return bool(self.array)


def explain_missing_gradient(node):
    """Say, once per node, why a result has no gradient."""
    note = note_of(node)
    if not (note.retain or note.explained):
        note.explained = True
        warnings.warn(
            f".grad of a result of {node.name} is None: backward() keeps gradients for leaves only; "
            "call .retain_grad() on this tensor before backward() to keep this one too",
            stacklevel=3,
        )


def array_of(value):
    """The array of a Tensor; anything else as it is."""
    return value.array if isinstance(value, Tensor) else value


def as_memory(x):
    """The tensor's array as real memory: a 0-d result is kept as a NumPy scalar until somebody wants to share it."""
    if not isinstance(x.array, np.ndarray):
        x.array = np.asarray(x.array)
    return x.array
