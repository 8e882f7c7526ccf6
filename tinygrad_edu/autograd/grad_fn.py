"""x.grad_fn: a step of a graph as PyTorch shows it, with its name, what it came from, its hooks and what it saved.

The graph itself is made of Nodes (node.py); what is here only reads them, and is made when somebody asks.
"""

import gc
from functools import cache
from itertools import count
from weakref import WeakValueDictionary

import numpy as np

from .node import note_of
from .tensor import Tensor

known: WeakValueDictionary = WeakValueDictionary()  # a node's birth → how it is shown, so that `is` and `in` work while somebody holds it

PYTORCHS = dict(
    reshape="View", swapaxes="Transpose", moveaxis="Permute", broadcast_to="Expand", concatenate="Cat", clip="Clamp", cast="ToCopy",
    tile="Repeat", vector_norm="LinalgVectorNorm", gelu_exact="Gelu", log1p="Log1P", squared_error="MseLoss",
    class_cross_entropy="NllLoss", convolution_transpose="Convolution", max_pool="MaxPool2DWithIndices", avg_pool="AvgPool2D",
    embed="Embedding", pad_constant="ConstantPadNd", gather_along="Gather", scatter_add_along="ScatterAdd", index_add_to="IndexAdd",
    dot_vectors="Dot", logsigmoid="LogSigmoid", inv="LinalgInvEx", det="LinalgDet", cholesky="LinalgCholeskyEx", setitem="CopySlices",
    put_flat="CopySlices", take_flat="AsStrided", scatter_along="Scatter", square="Pow", windows_along="Unfold", solve="LinalgSolveEx",
    matrix_exp="LinalgMatrixExp", outer="Mul",
)  # fmt: skip


def grad_name(node):
    """The name of a node as PyTorch prints it: MulBackward0."""
    name, params = node.name, node.params
    if node.op.kind == "function":  # a program's own, under the name of its class
        return f"{name.partition('[')[0]}Backward"
    number = int(name in ("sum", "mean", "prod") and params.get("axis") is not None or name == "clip")
    constant = [p is None for p in node.parents]
    if name == "pow":  # x ** 2, x ** y, 2 ** x
        number = 0 if constant[1] else 2 if constant[0] else 1
    elif name in ("amax", "amin") and params.get("axis") is None:
        return "MaxBackward1" if name == "amax" else "MinBackward1"
    elif name == "sub" and constant[0]:
        return "RsubBackward1"
    if name == "getitem":
        word = picking(params["index"])
    elif name in ("matmul", "affine"):
        word = ("Dot", "Mv", "Mm", "Bmm", "UnsafeView")[min(len(node.shape), 4)]
        word = "Addmm" if word == "Mm" and name == "affine" else word
    else:
        word = PYTORCHS.get(name) or "".join(part.capitalize() for part in name.split("_"))
    return word if word == "CopySlices" else f"{word}Backward{number}"


def picking(index):
    """What PyTorch calls the last step of x[index]."""
    if any(isinstance(i, np.ndarray) for i in index):
        return "Index"
    steps = [i for i in index if i is not Ellipsis and i != slice(None)]
    return "Unsqueeze" if steps and steps[-1] is None else "Select" if steps and isinstance(steps[-1], int) else "Slice"


class GradientFunction:
    """One step of a graph: `y.grad_fn` is the one that made y, and leads to all others.

    >>> import tinygrad_edu as tg
    >>> x = tg.tensor([1.0, 2.0], requires_grad=True)
    >>> step = (x * x).sum().grad_fn
    >>> step.name(), step.next_functions[0][0].name(), step.next_functions[0][0].next_functions[0][0].variable is x
    ('SumBackward0', 'MulBackward0', True)
    """

    def __init__(self, node):
        self.node = node
        self.metadata: dict = {}

    def name(self):
        """What PyTorch calls this step, such as MulBackward0."""
        name = type(self).__name__
        return f"torch::autograd::{name}" if name in ("AccumulateGrad", "CopySlices") else name

    @property
    def next_functions(self):
        """A pair (step, which of its results) per input; (None, 0) for a constant."""
        return tuple((None, 0) if p is None else (shown(p), getattr(p.op, "position", 0)) for p in self.node.parents)

    @property
    def variable(self):
        """The leaf whose gradient is added up here."""
        if self.node.op is not None:
            raise AttributeError  # only where a path ends is there a leaf
        for holder in gc.get_referrers(self.node):  # a node does not know its tensor, which may die before it
            if isinstance(holder, Tensor) and holder.node is self.node:
                return holder
        raise RuntimeError("the tensor of this leaf is no longer alive")

    def register_hook(self, hook):
        """Call `hook(gradients of the inputs, gradients of the results)` when this step is done; gradients it returns replace the former."""
        if self.node.op is None:
            return registered(note_of(self.node), "after", (lambda tensor: hook((), (tensor.grad,)), self.variable))
        if not isinstance(self.node.op, Watched):
            self.node.op = Watched(self.node)
        return registered(self.node.op, "hooks", hook)

    def register_prehook(self, hook):
        """Call `hook(gradients of the results)` before this step; gradients it returns replace the former."""

        def before(gradient):
            changed = hook((gradient,))
            return changed[0] if isinstance(changed, tuple) else changed

        return registered(note_of(self.node), "hooks", before)

    def __getattr__(self, name):
        op = self.__dict__["node"].op
        if name.startswith("_saved_") and op is not None:
            return self.saved(name[len("_saved_") :])
        if not name.startswith("_") and hasattr(op, "context"):  # the ctx of a Function, which this step is in PyTorch
            return getattr(op.context, name)
        raise AttributeError(f"{self.name()} has no attribute {name!r}")

    def saved(self, word):
        """A value that this step saved for its derivative: of its first input (`self`), the second (`other`), the result, or a parameter."""
        from .engine import as_tensors

        node = self.node
        op = node.op
        if node.saved is None:
            raise RuntimeError("Trying to access the saved tensors of a step after they were freed; pass retain_graph=True to backward()")
        place = {"self": 0, "mat1": 0, "input": 0, "other": 1, "mat2": 1, "exponent": 1}.get(word)
        want = "out" if word == "result" else op.inputs[place] if place is not None and place < len(op.inputs) else word
        wants = op.wants * len(node.saved) if op.variadic else op.wants
        for names, row in zip(wants, as_tensors(node)):
            if row is not None and want in names:
                return row[names.index(want)]
        if word in node.params:
            return node.params[word]
        raise AttributeError(f"{self.name()} has not saved {word!r}")

    def __repr__(self):
        return f"<{type(self).__name__} object at {hex(id(self))}>"


handle_ids = count()


class RemovableHandle:
    """What a registration returns: `remove()` takes it back."""

    def __init__(self, registered):
        self.registered = registered
        # not id(self): a handle that nobody keeps would give its number to the next one; hooks of a loaded model have theirs already
        self.id = next(number for number in handle_ids if number not in registered)

    def remove(self):
        """Take the registration back."""
        self.registered.pop(self.id, None)

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.remove()


def registered(owner, table, hook):
    """Keep a hook in a table of somebody's, made when it is first wanted; returns the handle that takes it back."""
    hooks = getattr(owner, table)
    if hooks is None:
        hooks = {}
        setattr(owner, table, hooks)
    handle = RemovableHandle(hooks)
    hooks[handle.id] = hook
    return handle


@cache
def class_named(name):
    """A class for all steps of one kind, for type(step).__name__ is how programs ask what a step is."""
    return type(name, (GradientFunction,), {"__doc__": f"A step {name} of a graph."})


def shown(node):
    """A node as PyTorch shows it; the parts of a Function with several results are one step."""
    if hasattr(node.op, "position"):
        node = node.parents[0]
    found = known.get(node.birth)
    if found is None:
        found = known[node.birth] = class_named("AccumulateGrad" if node.op is None else grad_name(node))(node)
    return found


class Watched:
    """A node's operator with hooks around its rules: when the first gradient is wanted all are computed, and the hooks see them."""

    def __init__(self, node):
        self.__dict__.update(vars(node.op))
        self.node, self.op, self.hooks, self.parts = node, node.op, None, {}
        if node.op.together:
            self.together = self.all_parts
        else:
            self.pullbacks = tuple(map(self.one_part, range(len(node.parents))))

    def __getattr__(self, name):
        return getattr(self.__dict__["op"], name)

    def one_part(self, i):
        """The rule for one input, which gives what the hooks left."""

        def rule(g, *args):
            if i not in self.parts:
                from .engine import as_tensors

                rows = as_tensors(self.node) if isinstance(g, Tensor) else self.node.saved
                rules = zip(self.op.pullbacks, rows)
                self.parts = dict(enumerate(self.seen([row and pull(g, *row) if row is not None else None for pull, row in rules], g)))
            return self.parts.pop(i)

        return rule

    def all_parts(self, g, *args):
        """What one rule for all inputs gives, and the hooks leave."""
        return self.seen(self.op.together(g, *args), g)

    def seen(self, parts, g):
        """The gradients of the inputs after the hooks."""
        from .engine import sum_to

        def tensor(value):
            return value if value is None or isinstance(value, Tensor) else Tensor(np.asarray(value), None)

        parts = [None if c is None or p is None else c if c.shape == p.shape else sum_to(c, p.shape) for c, p in zip(parts, self.node.parents)]
        for hook in list((self.hooks or {}).values()):
            changed = hook(tuple(map(tensor, parts)), (tensor(g),))
            if changed is not None:
                changed = changed if isinstance(changed, tuple) else (changed,)
                changed = [c if c is not None or p is None else Tensor(np.zeros(p.shape, p.dtype), None) for c, p in zip(changed, self.node.parents)]
                parts = [c if c is None or isinstance(g, Tensor) else c.array for c in changed]
        return parts


def gradient_function(x):
    """The step that made a tensor, or None for a leaf or a constant."""
    return None if x.is_leaf else shown(x.node)


def register_multi_grad_hook(tensors, fn, *, mode="all"):
    """Call `fn` in a back propagation when the gradients of all these tensors are computed, with a list of them; or at the first of them

    With mode="any" it is called once, with the first gradient that is computed.

    >>> import tinygrad_edu as tg
    >>> x, y = tg.ones(1, requires_grad=True), tg.ones(1, requires_grad=True)
    >>> handle = tg.autograd.graph.register_multi_grad_hook((x, y), lambda gradients: print(gradients))
    >>> (2 * x + 3 * y).backward()
    [tensor([2.]), tensor([3.])]
    """
    if mode not in ("all", "any"):
        raise ValueError(f"register_multi_grad_hook: mode is 'all' or 'any', not {mode!r}")
    arrived: dict = {}

    def note(i):
        def hook(gradient):
            arrived[i] = gradient
            if mode == "any" and len(arrived) == 1:
                fn(gradient)
            if len(arrived) == len(tensors):
                gradients = [arrived[k] for k in range(len(tensors))]
                arrived.clear()
                if mode == "all":
                    fn(gradients)

        return hook

    return Handles([t.register_hook(note(i)) for i, t in enumerate(tensors)])


class Handles(RemovableHandle):
    """Several registrations that are taken back together."""

    def remove(self):
        """Take the registrations back."""
        for handle in self.registered:
            handle.remove()
