"""Back propagation: from the youngest node to the oldest, each rule called once. Read last of the four."""

from heapq import heapify, heappop, heappush
from itertools import repeat
from operator import attrgetter
from sys import getrefcount

import numpy as np

from . import memory, modes
from .anomaly import check_derivative
from .checks import freed_graph, located, noted, start
from .node import Node, ancestors, leaf
from .tensor import Tensor

ndarray, note_in, nothing = np.ndarray, attrgetter("note"), repeat(None)


def sum_to(g, shape):
    """The adjoint of broadcasting, written once for all operators: sum over the axes that were stretched."""
    lead = g.ndim - len(shape)
    axes = tuple(range(lead)) + tuple(i + lead for i, n in enumerate(shape) if n == 1 != g.shape[i + lead])
    if axes:
        g = g.sum(axis=axes, keepdims=True)
    if g.shape[lead:] != tuple(shape):
        raise ValueError(f"a derivative rule returned a gradient that does not sum to its input's shape {list(shape)}: what is "
                         f"left is {list(g.shape)}")  # fmt: skip
    return g.reshape(shape)


def backprop(grads, needed=None, create_graph=False, retain_graph=False):
    """Yield every result and its gradient, youngest first, given the roots' gradients `grads`: {node: gradient}.

    A node's gradient is complete when it is yielded: whatever depends on it is younger, and has been visited. When all
    are, `grads` holds those of the leaves. Gradients are arrays; Tensors, remembered in their turn, where `create_graph`
    is set. `needed` limits the visit to the paths that lead to some nodes. What a node saved is freed right after use
    unless `retain_graph` is set.
    """
    anomaly, sums = modes.state.anomaly, set()  # sums: nodes whose gradient was added up here, so that one may add in place
    waiting = [(-node.birth, node) for node in grads if node.op is not None]  # a heap: the youngest comes out first
    heapify(waiting)
    while waiting:
        node = heappop(waiting)[1]
        g = grads.pop(node)
        if node.note is not None:
            g = noted(node, g, create_graph)
        yield node, g
        op, saved = node.op, node.saved
        if saved is None:
            raise RuntimeError(freed_graph(node))
        if node.birth < memory.last_write:
            memory.check_unchanged(node)
        if create_graph:
            saved = as_tensors(node)
        try:
            parts = at_once(op, g, saved) if op.together else nothing
            for parent, rule, args, c in zip(node.parents, op.pullbacks, saved, parts):
                if args is None or needed is not None and parent not in needed:
                    continue
                if c is None:
                    c = rule(g, *args)
                if anomaly:
                    check_derivative(node, parent, c, g, args, saved)
                if c.shape != parent.shape:
                    c = sum_to(c, parent.shape)
                if parent not in grads:
                    grads[parent] = c
                    if parent.op is not None:
                        heappush(waiting, (-parent.birth, parent))
                elif parent in sums:
                    grads[parent] += c
                else:
                    grads[parent] = grads[parent] + c
                    if not create_graph:
                        sums.add(parent)
        except Exception as error:
            raise located(error, node)  # noqa: B904, the same error with a note
        if not retain_graph and op.keeps_values:
            node.saved = None
    for node in grads if any(map(note_in, grads)) else ():  # the leaves: nothing is left that could add to them
        if node.note is not None:
            grads[node] = noted(node, grads[node], create_graph)


def at_once(op, g, saved):
    """The gradients of all inputs, from a rule that serves several inputs together."""
    for args in saved:
        if args is not None:
            return op.together(g, *args)


def as_tensors(node):
    """What the rules get, as tensors that know their origin: so gradients have gradients."""
    op = node.op
    source = dict(zip(op.inputs, node.parents), out=node)

    def tensor(want, value):
        if want in source and isinstance(value, (np.ndarray, np.generic)):
            return Tensor(value, source[want])
        if want == op.variadic:
            return tuple(Tensor(v, p) for v, p in zip(value, node.parents))
        return value

    return [args and tuple(tensor(w, v) for w, v in zip(wants, args))
            for wants, args in zip(op.wants if not op.variadic else op.wants * len(node.saved), node.saved)]  # fmt: skip


def paths_to(targets, order):
    """The nodes through which a gradient reaches `targets`."""
    needed = set(targets)
    for node in order:
        if any(p in needed for p in node.parents):
            needed.add(node)
    return needed


def add_to_grad(node, g):
    """Add a finished gradient to `node.grad`: in place, where no graph remembers that one."""
    old = node.grad
    if isinstance(g, Tensor):
        node.grad = old + g
    elif old.node is None and isinstance(old.array, np.ndarray) and old.array.flags.writeable:
        if old.used:
            memory.note_use(old)
        old.array += g
        memory.note_write(old.array, "backward()")
    else:
        node.grad = Tensor(old.array + g, None)


def run(grads, needed, create_graph, retain_graph):
    """`backprop` with the modes it needs: a recorded computation for gradients of higher order."""
    if not create_graph:
        return backprop(grads, needed, False, retain_graph)
    return recorded(backprop(grads, needed, True, True if retain_graph is None else retain_graph))


def recorded(steps):
    """The steps of a back propagation, computed while gradients are remembered."""
    with modes.enable_grad():
        yield from steps


def gradients_of(targets, grads, create_graph, retain_graph):
    """{node: gradient} of the nodes among `targets` that a gradient reaches."""
    steps = run(grads, paths_to(targets, ancestors(*grads)), create_graph, retain_graph)
    found = {node: g for node, g in steps if node in targets}
    return found | {node: g for node, g in grads.items() if node in targets}


def count_alone():
    """How many references an array has in the last loop of `backward` when nobody else holds it."""
    for _, g in {leaf((1,), np.dtype("f8")): np.ones(1)}.items():
        return getrefcount(g)


alone = count_alone()  # a leaf's gradient of which nobody else holds the memory is kept as it is, without a copy


def sequence(x):
    """`x` as a tuple: PyTorch takes one or several, such as model.parameters()."""
    if x.__class__ is tuple:
        return x
    return tuple(x) if hasattr(x, "__iter__") and not hasattr(x, "dtype") else (x,)


def backward(tensors, gradients=None, retain_graph=None, create_graph=False, inputs=None):
    """Compute the gradients of `tensors` and add them to `.grad` of the leaves (or of `inputs`).

    >>> import tinygrad_edu as tg
    >>> x = tg.tensor(3.0, requires_grad=True)
    >>> tg.autograd.backward(x * x); x.grad
    tensor(6.)
    """
    tensors = sequence(tensors)
    gradients = (None,) * len(tensors) if gradients is None else sequence(gradients)
    grads = start(tensors, gradients, create_graph, "backward()")
    if inputs is None:
        kept = {node: g for node, g in run(grads, None, create_graph, retain_graph) if node.note is not None and node.note.retain}
        finished = grads | kept if kept else grads
    else:
        inputs = (inputs,) if isinstance(inputs, Tensor) else tuple(inputs)
        if not inputs or any(x.node is None for x in inputs):
            raise RuntimeError("backward(inputs=…): every input must require grad, and there must be one at least")
        finished = gradients_of({x.node for x in inputs}, grads, create_graph, retain_graph)
    followed = []
    for node, g in finished.items():  # only now: a failed backward changes no gradient
        if g.__class__ is not ndarray or g.base is not None or getrefcount(g) > alone:
            g = memory.owned(node, g)
        if node.grad is None:
            node.grad = g if create_graph else Tensor(g, None)
        else:
            add_to_grad(node, g)
        if node.note is not None and node.note.after:
            followed += node.note.after.values()
    for hook, tensor in followed:
        hook(tensor)


def grad(outputs, inputs, grad_outputs=None, retain_graph=None, create_graph=False, only_inputs=True, allow_unused=None,
         is_grads_batched=False, materialize_grads=False):  # fmt: skip
    """The gradients of `outputs` with respect to `inputs`, a tuple; no `.grad` is touched (`only_inputs` is always true).

    >>> import tinygrad_edu as tg
    >>> x = tg.tensor(3.0, requires_grad=True)
    >>> tg.autograd.grad(x**3, x)
    (tensor(27.),)
    """
    outputs, inputs = sequence(outputs), sequence(inputs)
    if is_grads_batched:
        from .rows import rows_of_gradients

        options = dict(create_graph=create_graph, allow_unused=allow_unused, materialize_grads=materialize_grads)
        return rows_of_gradients(outputs, inputs, grad_outputs, retain_graph, options)
    gradients = (None,) * len(outputs) if grad_outputs is None else sequence(grad_outputs)
    grads = start(outputs, gradients, create_graph, "grad()")
    for k, x in enumerate(inputs):
        if not isinstance(x, Tensor) or x.node is None:
            raise RuntimeError(f"grad(): input {k} does not require grad; only tensors that do have a gradient")
    found = gradients_of({x.node for x in inputs}, grads, create_graph, retain_graph)
    results: list = []
    for k, x in enumerate(inputs):
        if x.node in found:
            g = found[x.node]
            results.append(g if create_graph else Tensor(memory.owned(x.node, g), None))
        elif materialize_grads:
            results.append(Tensor(np.zeros_like(x.array), leaf(x.array.shape, x.array.dtype) if create_graph else None))
        elif allow_unused:
            results.append(None)
        else:
            raise RuntimeError(
                f"grad(): the outputs do not depend on input {k}; pass allow_unused=True to get None for it, or "
                "materialize_grads=True for zeros"
            )
    return tuple(results)


__all__ = ["Node", "backprop", "backward", "grad", "sum_to"]
