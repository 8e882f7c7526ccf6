"""How one tensor was made: the record that back propagation, pictures and explanations read. Read this file first."""

from itertools import count
from operator import attrgetter

births = count(1).__next__  # one running number for every node and every in-place write: who came first?
by_birth = attrgetter("birth")


class Node:
    """One step of a computation: which operator made the value, from which nodes, and what its rules will need.

    `op` is None for a leaf, a tensor that asks for its gradient. `parents` holds a Node per input, None for a constant.
    `saved` holds, per input, the arguments that its derivative rule gets after the gradient; None where no gradient is
    needed, and `saved` itself is None once the graph is freed. A parent is always older than its child: that is all
    the order that back propagation needs.
    """

    __slots__ = ("op", "parents", "saved", "params", "shape", "dtype", "birth", "grad", "note", "__weakref__")

    def __init__(self, op, parents, saved, params, shape, dtype):
        self.op = op
        self.parents = parents
        self.saved = saved
        self.params = params
        self.shape = shape
        self.dtype = dtype
        self.birth = births()
        self.grad = None
        self.note = None

    @property
    def name(self):
        """The operator's name; "leaf" for a tensor that nothing computed."""
        return self.op.name if self.op else "leaf"

    @property
    def next_functions(self):
        """A pair (parent, 0) per input, as PyTorch has it: the way back through the graph; (None, 0) for a constant."""
        return tuple((parent, 0) for parent in self.parents)

    def __repr__(self):
        made_from = ", ".join("constant" if p is None else f"#{p.birth}" for p in self.parents)
        return f"#{self.birth} = {self.name}({made_from}) {self.dtype}{list(self.shape)}"


class Note:
    """What is known of a node beyond the computation: hooks, a kept gradient, and what `recording()` wrote down."""

    __slots__ = (
        "hooks", "retain", "after", "explained", "value", "inputs", "name",
        "line", "module", "gradient", "givers", "origins", "spot", "names",
    )

    def __init__(self):
        self.hooks = self.after = self.value = self.inputs = self.name = self.line = self.gradient = self.spot = None
        self.module = self.givers = self.origins = self.names = ()
        self.retain = self.explained = False


def note_of(node):
    """The node's note, made when it is first wanted: most nodes of most graphs have none."""
    if node.note is None:
        node.note = Note()
    return node.note


def leaf(shape, dtype):
    """The node of a tensor that nothing computed and that asks for its gradient."""
    return Node(None, (), (), {}, shape, dtype)


def ancestors(*roots):
    """Every node the roots were made from, and the roots, oldest first: the one walk that all readers share."""
    seen, stack = set(roots), list(roots)
    while stack:
        for parent in stack.pop().parents:
            if parent is not None and parent not in seen:
                seen.add(parent)
                stack.append(parent)
    return sorted(seen, key=by_birth)
