"""Read a recorded computation: names, values, gradients, local derivatives. What all pictures and explanations share."""

import inspect
import sys
from itertools import repeat

import numpy as np

from ..autograd import node as nodes_of
from ..autograd.engine import sum_to
from ..autograd.function import Parts, Select
from ..autograd.lines import assigned_name
from ..autograd.node import Node, births
from ..autograd.operator import apply
from ..autograd.recorder import own_code
from ..autograd.tensor import Tensor


def array_of(value):
    """The array of a Tensor; anything else as it is."""
    return value.array if isinstance(value, Tensor) else value


SUBSCRIPTS = str.maketrans("0123456789", "₀₁₂₃₄₅₆₇₈₉")


class Run:
    """One run of the learner's function while everything was recorded: results, names in scope, and an error if it failed."""

    def __init__(self):
        self.result = self.error = None
        self.arguments: dict = {}  # the function's own arguments
        self.scopes: list = []  # names → values, the most telling scope first
        self.failed = None  # (op, args, params) of the operator that failed
        self.began = births()  # what is younger was made by the run

    def tensors(self):
        """The tensors that the run returned, or had in hand when it failed."""
        if self.error is None:
            return tensors_in(self.result)
        held = [a for a in self.failed[1] if isinstance(a, Tensor)] if self.failed else []
        for scope in self.scopes:
            held += [t for t in tensors_in(list(scope.values())) if t.node is not None and t.node.birth > self.began]
        return held


def tensors_in(value, depth=3):
    """Every tensor in nested lists, tuples and dicts."""
    if isinstance(value, Tensor):
        return [value]
    if depth and isinstance(value, dict):
        return [t for v in value.values() for t in tensors_in(v, depth - 1)]
    if depth and isinstance(value, (list, tuple)):
        return [t for v in value for t in tensors_in(v, depth - 1)]
    return []


def run(fn, args, keep_error=False):
    """Call `fn(*args)` with recording on and gradients on; `keep_error` returns a failed run instead of raising."""
    from ..autograd.modes import enable_grad, recording

    done = Run()
    try:
        with enable_grad(), recording():
            done.result = fn(*args)
    except Exception as error:
        if not keep_error:
            raise
        done.error = error
        read_traceback(done, error.__traceback__)
    done.scopes += scopes_of(fn)
    try:
        bound = inspect.signature(getattr(fn, "forward", fn)).bind(*args).arguments
        done.arguments = {k: v for k, v in bound.items()}
    except (TypeError, ValueError):
        pass
    return done


def scopes_of(fn):
    """The variables that a function takes from around it: of its closure, its object, its module."""
    function = getattr(fn, "__func__", fn)
    if not inspect.isfunction(function) or own_code(function.__code__.co_filename):
        return []
    closed = inspect.getclosurevars(function).nonlocals
    itself = {"self": fn.__self__} if hasattr(fn, "__self__") else {}
    return [named(closed), itself, named(function.__globals__)]


def read_traceback(done, traceback):
    """Find the operator that failed, and the learner's variables on the way to it."""
    while traceback is not None:
        frame = traceback.tb_frame
        if frame.f_code is apply.__code__:
            done.failed = tuple(frame.f_locals[k] for k in ("op", "args", "params"))
        elif not inside(frame):
            done.scopes.insert(0, named(frame.f_locals))
        traceback = traceback.tb_next


def inside(frame):
    """True for a frame of this package."""
    return own_code(frame.f_code.co_filename)


def named(scope):
    """The variables of a scope that a person named."""
    return {k: v for k, v in scope.items() if isinstance(k, str) and not k.startswith(("_", "."))}


def callers_scopes():
    """Variables of the innermost frame outside of this package: its locals, then its globals."""
    frame = sys._getframe(1)
    while frame is not None and inside(frame):
        frame = frame.f_back
    if frame is None:
        return []
    scopes = [named(dict(frame.f_locals))]
    return scopes if frame.f_locals is frame.f_globals else [*scopes, named(dict(frame.f_globals))]


def is_module(value):
    """True for a Module (asked without importing nn)."""
    return not isinstance(value, type) and hasattr(value, "named_parameters") and hasattr(value, "named_modules")


class Names:
    """What people call things: {node: name}, and the same for constants, by the tensor or array they came from."""

    def __init__(self, scopes=(), names=None, model=None):
        self.nodes, self.others, self.arrays, self.held, self.modules, self.assigned = {}, {}, {}, {}, {}, {}
        if isinstance(names, dict):
            scopes = [names, *scopes]
        models = dict(model=model) if model is not None else {}
        for scope in scopes if model is None else ():
            models.update({k: v for k, v in scope.items() if is_module(v) and all(v is not m for m in models.values())})
        below = {id(m) for root in models.values() for path, m in root.named_modules() if path}
        models = {k: v for k, v in models.items() if id(v) not in below}
        for variable, root in models.items():
            prefix = "" if len(models) == 1 else variable + "."
            self.modules[id(root)] = (variable, root)
            for path, m in root.named_modules():
                self.modules.setdefault(id(m), (prefix + path, m))
            for path, p in [*root.named_parameters(), *root.named_buffers()]:
                self.add(prefix + path, p)
        for scope in scopes:
            for name, value in scope.items():
                if isinstance(value, (Tensor, np.ndarray)):
                    self.add(name, value)
                elif isinstance(value, (list, tuple)) and len(value) <= 1000:
                    for i, v in enumerate(value):
                        if isinstance(v, Tensor):
                            self.add(f"{name}[{i}]", v)
                elif isinstance(value, dict) and len(value) <= 1000:
                    for k, v in value.items():
                        if isinstance(v, Tensor):
                            self.add(f"{name}[{k!r}]", v)
                elif not is_module(value) and hasattr(value, "__dict__") and not isinstance(value, type) and not callable(value):
                    for k, v in vars(value).items():
                        if isinstance(v, Tensor):
                            self.add(f"{name}.{k}", v)

    def add_assigned(self, nodes):
        """Names from the learner's lines: what was computed by `h = …` is called h."""
        last, together = None, {}
        for node in nodes:
            spot = node.note.spot if node.note is not None else None
            if spot is not None and last is not None and last[0] == spot and last[1] in self.assigned:
                del self.assigned[last[1]]  # the layer before was a step inside of the same call
            name = assigned_name(*spot) if spot is not None else None
            if name and "," in name:
                together.setdefault((spot, name), []).append(node)
            elif name:
                self.assigned[node] = name
            last = (spot, node)
        for (_, target), made in together.items():
            self.assigned.update(unpacked(target, made))
        for node, name in self.assigned.items():
            self.nodes.setdefault(node, name)
        often: dict = {}
        for node in nodes:
            if node in self.nodes and node.op is not None:
                often.setdefault(self.nodes[node], []).append(node)
        for name, same in often.items():
            for k, node in enumerate(same if len(same) > 1 else (), 1):  # `h = …` in a loop: h₁, h₂, h₃
                self.nodes[node] = name + str(k).translate(SUBSCRIPTS)

    def add(self, name, value):
        """Remember one name, unless the thing has one already."""
        if isinstance(value, Tensor) and value.node is not None:
            if value.node not in self.nodes:
                self.nodes[value.node] = str(name)
                self.held[value.node] = value
        else:
            self.others.setdefault(id(value), (str(name), value))
            self.arrays.setdefault(id(array_of(value)), (str(name), value))

    def constant(self, node, i):
        """The name of a constant input, if the tensor or array that it came from has one."""
        held = giver(node, i)
        return self.of_constant(held) if held is not None else None

    def of_constant(self, held):
        """The name of a constant tensor or array, or None."""
        found = self.others.get(id(held))
        return found[0] if found is not None and found[1] is held else None

    def like(self, array):
        """(name, tensor or array) of whole numbers that somebody named, such as targets, from which an operator made its own copy."""
        for name, value in self.others.values():
            own = array_of(value)
            if own.dtype.kind in "iu" and own.shape == array.shape and np.array_equal(own, array):
                return name, value
        return None, None


def unpacked(target, nodes):
    """{node: name} for `a, b = …`, where it is sure which result is which: outputs of a Function, parts of one tensor, a value with its index."""
    names = target.strip("()").split(", ")
    if not all(name.replace(".", "").isidentifier() for name in names):
        return {}
    inner = {p for node in nodes for p in parents(node)}
    ends = [node for node in nodes if node not in inner]
    if all(isinstance(node.op, Select) for node in ends):
        return {node: names[node.op.position] for node in ends if node.op.position < len(names)}
    if len(ends) == len(names) and all(node.op.name == "getitem" and parents(node) == parents(ends[0]) for node in ends):
        return dict(zip(ends, names))
    if len(ends) == 1 and len(names) == 2 and ends[0].op.name in ("gather_along", "squeeze"):
        return {ends[0]: names[0]}
    return {}


# --- one node per result: an autograd.Function with several outputs has a node of its own besides, which readers skip -----


def ancestors(*roots):
    """`autograd.ancestors`, with one node per result: the step that several outputs of a Function share is left out."""
    found = nodes_of.ancestors(*roots)
    shared = {n.parents[0] for n in found if isinstance(n.op, Select)}
    return [n for n in found if n not in shared] if shared else found


def call_of(node):
    """The step that made a node: of a Function's outputs the call that they share, else the node itself."""
    return node.parents[0] if isinstance(node.op, Select) else node


def parents(node):
    """The nodes that a result was computed from, None for constants."""
    return node.parents[0].parents if type(node.op) is Select else node.parents


def given(node):
    """The recorded inputs of the step that made a node: arrays and numbers."""
    note = call_of(node).note
    return note.inputs if note is not None and note.inputs is not None else ()


def giver(node, i):
    """The tensor or array that input `i` came from, if it is known and still there."""
    note = call_of(node).note
    return alive(note.givers, i) if note is not None else None


def origin(node, i):
    """The tensor of which the constant input `i` is a view, such as the batch in x.flatten(1), if it is still there."""
    note = call_of(node).note
    return alive(note.origins, i) if note is not None else None


def alive(references, i):
    """What the weak reference in place `i` leads to; None where there is no such reference, or what it led to is gone."""
    return references[i]() if i < len(references) and references[i] is not None else None


def place_name(op, i):
    """What input `i` is called in pictures: of two that an operator calls x and y, as variables may be called, left and right."""
    return ("left", "right")[i] if op.kind != "function" and op.inputs == ["x", "y"] else input_name(op, i)


def input_name(op, i):
    """What input `i` of an operator is called in its definition; of a Function, in its `forward`."""
    if op.kind == "function":
        names = forward_names(op.function)
        return names[i] if i < len(names) else f"input {i}"
    if op.variadic:
        return f"{op.variadic}[{i}]"
    return op.inputs[i] if i < len(op.inputs) else f"input {i}"


def forward_names(function):
    """The names in the signature of a Function's `forward`, without ctx."""
    names = list(inspect.signature(function.forward).parameters)
    return names if hasattr(function, "setup_context") else names[1:]


def constant_key(node, i):
    """What makes two uses the same constant: the tensor it came from; else every use is its own."""
    held = giver(node, i)
    return ("tensor", id(held)) if held is not None else ("use", node, i)


def recorded(node):
    """True if `recording()` was on when the node was made."""
    return node.note is not None and node.note.value is not None


def leaf_values(nodes):
    """{leaf: array} as it was when the computation used it."""
    found = {}
    for node in nodes:
        if recorded(node):
            for parent, value in zip(parents(node), given(node)):
                if parent is not None and parent.op is None and parent not in found:
                    found[parent] = value
    return found


def arguments_of(node):
    """Per input, what the rule gets after g: from the graph, or from the recording where the graph was freed."""
    node = call_of(node)
    if node.op.kind == "function":
        return [() if p is not None else None for p in node.parents]  # all that its rule needs is in its ctx
    if node.saved is not None:
        return node.saved
    if recorded(node):
        return node.op.save(node.parents, node.note.value, *node.note.inputs, **node.params)
    return None


def contributions(node, g):
    """Per input, the gradient that flows to it through this one operator; None where none does.

    Returns None if the graph was freed by backward() and nothing was recorded.
    """
    saved = arguments_of(node)
    if saved is None:
        return None
    if isinstance(node.op, Select):
        node, g = call_of(node), Parts({node.op.position: g})
    op, parts = node.op, []
    together = op.together(g, *next(a for a in saved if a is not None)) if op.together else repeat(None)
    for parent, rule, args, part in zip(node.parents, op.pullbacks, saved, together):
        if parent is None or args is None:
            parts.append(None)
            continue
        c = np.asarray(rule(g, *args) if part is None else part)
        parts.append(c if c.shape == parent.shape else np.asarray(sum_to(c, parent.shape)))
    return parts


def all_gradients(roots, seeds=None):
    """{node: gradient} of Σ roots (or Σ seed · root) for every node, without touching `.grad` or freeing anything."""
    order = ancestors(*roots)
    grads = {r: np.asarray(s) for r, s in zip(roots, seeds or [np.ones(r.shape, r.dtype) for r in roots])}
    for node in reversed(order):
        g = grads.get(node)
        if g is None or node.op is None:
            continue
        parts = contributions(node, g)
        if parts is None:
            raise RuntimeError(
                f"the values that {node.name} saved were freed by backward(); run the forward pass inside "
                "`with recording():`, or pass retain_graph=True to backward()"
            )
        for parent, c in zip(parents(node), parts):
            if c is not None:
                grads[parent] = grads[parent] + c if parent in grads else c
    return grads


def known_gradients(nodes):
    """{node: gradient} after backward(): of leaves, of results that keep theirs, and of all recorded results."""
    found = {}
    for node in nodes:
        if node.grad is not None:
            found[node] = node.grad.array
        elif recorded(node) and node.note.gradient is not None:
            found[node] = array_of(node.note.gradient)
    return found


__all__ = ["Names", "Node", "Run", "all_gradients", "callers_scopes", "contributions", "known_gradients", "leaf_values", "run"]
