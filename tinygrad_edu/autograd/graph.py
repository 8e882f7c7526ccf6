"""What may be done with the values that a graph keeps for back propagation, as `torch.autograd.graph` spells it.

`saved_tensors_hooks` replaces each saved value by whatever `pack` makes of it, and asks `unpack` for it when a rule needs it: to compress
values, to write them to disk, or to look at them.
"""

from contextlib import contextmanager
from typing import Any, NamedTuple

import numpy as np

from . import memory, modes
from .grad_fn import GradientFunction as Node
from .grad_fn import register_multi_grad_hook, shown
from .tensor import Tensor

__all__ = ["GradientEdge", "Node", "allow_mutation_on_saved_tensors", "disable_saved_tensors_hooks", "get_gradient_edge",
           "increment_version", "register_multi_grad_hook", "save_on_cpu", "saved_tensors_hooks"]  # fmt: skip


class Handle:
    """What `pack` made of one saved value, and how to get the value back."""

    __slots__ = ("packed", "unpack", "is_tensor")

    def __init__(self, value, pack, unpack):
        self.is_tensor = isinstance(value, Tensor)
        self.packed, self.unpack = pack(value if self.is_tensor else Tensor(value, None)), unpack

    def value(self):
        """The saved value: an array, or a tensor if it was one."""
        value = self.unpack(self.packed)
        if not isinstance(value, Tensor):
            raise TypeError(f"saved_tensors_hooks: unpack must return a Tensor, not {type(value).__name__}")
        return value if self.is_tensor else value.array


class Packed(list):
    """What a node saved, a row per input, unpacked whenever it is read."""

    last = None  # the rows, between the two times that the engine reads those of an operator with one rule for all inputs

    def __init__(self, op, rows, pack, unpack):
        handles: dict = {}
        self.shared = bool(op.together)

        def packed(want, value):
            if isinstance(value, (np.ndarray, np.generic)) and (want in op.inputs or want == "out"):
                if (want, id(value)) not in handles:  # x · x saves x twice, as PyTorch does
                    handles[want, id(value)] = Handle(value, pack, unpack)
                return handles[want, id(value)]
            if want == op.variadic:
                return tuple(packed("out", v) for v in value)
            return value

        wants = op.wants * len(rows) if op.variadic else op.wants
        super().__init__(row and tuple(packed(w, v) for w, v in zip(names, row)) for row, names in zip(rows, wants))

    def unpacked(self):
        """All rows with their values; a value that several rows share is unpacked once."""
        values: dict = {}

        def value(x):
            if isinstance(x, tuple):
                return tuple(map(value, x))
            if not isinstance(x, Handle):
                return x
            if x not in values:
                values[x] = x.value()
            return values[x]

        return [row and tuple(map(value, row)) for row in list.__iter__(self)]

    def __iter__(self):
        rows = self.last or self.unpacked()
        self.last = rows if self.shared and self.last is None else None
        return iter(rows)

    def __getitem__(self, index):
        return self.unpacked()[index]


class PackedTensors(tuple):
    """What a Function's `save_for_backward` was given, unpacked whenever it is read."""

    def __new__(cls, tensors, pack, unpack):
        return super().__new__(cls, (t if t is None else Handle(t, pack, unpack) for t in tensors))

    def __iter__(self):
        return (h if h is None else h.value() for h in super().__iter__())

    def __getitem__(self, index):
        return tuple(self)[index]


def pack(node):
    """Replace what a new node saved, as the innermost hooks say."""
    node.saved = Packed(node.op, node.saved, *modes.state.saving[-1])


def pack_tensors(tensors):
    """The same for the tensors that a Function saved."""
    return PackedTensors(tensors, *modes.state.saving[-1]) if modes.state.saving and tensors else tensors


class saved_tensors_hooks:
    """While it is open, each value saved for back propagation is replaced by pack_hook(value); unpack_hook gives it back

    `pack_hook` gets a tensor and returns anything; `unpack_hook` gets that and must return a tensor of the same shape. Of several open
    ones the innermost counts.

    >>> import tinygrad_edu as tg
    >>> x = tg.tensor([1.0, 2.0], requires_grad=True)
    >>> with tg.autograd.graph.saved_tensors_hooks(lambda t: t.tolist(), lambda numbers: tg.tensor(numbers)):
    ...     y = (x * x).sum()
    >>> y.backward(); x.grad
    tensor([2., 4.])
    """

    def __init__(self, pack_hook, unpack_hook):
        self.hooks = pack_hook, unpack_hook

    def __enter__(self):
        if modes.state.hooks_refused is not None:
            raise RuntimeError(modes.state.hooks_refused)
        modes.switch("saving", (*modes.state.saving, self.hooks))

    def __exit__(self, *error):
        modes.switch("saving", modes.state.saving[:-1])


class save_on_cpu(saved_tensors_hooks):
    """Keep saved values on the CPU, where all values are here: nothing changes"""

    def __init__(self, pin_memory=False, device_type="cuda"):
        super().__init__(lambda x: x, lambda x: x)


class allow_mutation_on_saved_tensors(saved_tensors_hooks):
    """While it is open, saved values may be overwritten later: back propagation uses copies of what they were

    >>> import tinygrad_edu as tg
    >>> x = tg.ones(2, requires_grad=True)
    >>> with tg.autograd.graph.allow_mutation_on_saved_tensors():
    ...     y = x.clone()
    ...     out = (y**2).sum()
    ...     y.sin_()
    ...     out.backward()
    tensor([0.8415, 0.8415], grad_fn=<SinBackward0>)
    >>> x.grad
    tensor([2., 2.])
    """

    def __init__(self):
        super().__init__(lambda x: Tensor(np.array(x.array), None), lambda x: x)


@contextmanager
def disable_saved_tensors_hooks(error_message):
    """Refuse saved_tensors_hooks, with a message, while this is open"""
    before, modes.state.hooks_refused = modes.state.hooks_refused, error_message
    try:
        yield
    finally:
        modes.state.hooks_refused = before


class GradientEdge(NamedTuple):
    """A place in a graph where a gradient arrives: a node, and which of its outputs."""

    node: Any
    output_nr: int = 0
    ownership_token: Any = None


def get_gradient_edge(tensor):
    """Where the gradient of a tensor arrives, without keeping the tensor"""
    if tensor.node is None:
        raise RuntimeError("It is not possible to get the gradient edge for a Tensor that does not require gradients; use requires_grad_()")
    return GradientEdge(shown(tensor.node))


def increment_version(tensor):
    """Tell the graph that the memory of a tensor, or of several, was overwritten by other means"""
    for t in (tensor,) if isinstance(tensor, Tensor) else tensor:
        memory.note_write(t.array, "increment_version")
