"""What would make a claimed gradient right: its formula is recorded, one step is changed at a time, and the result compared with slopes."""

import numpy as np

from . import modes
from .diagnosis import Cause, elsewhere
from .lines import line_text
from .node import ancestors, leaf
from .operator import registry
from .tensor import Tensor

STEPS, OTHERS = 120, 12  # the longest formula that is tried, and how many values are tried in place of another
TWINS = {"add": ("sub", "−", "+"), "sub": ("add", "+", "−"), "mul": ("div", "/", "*"), "div": ("mul", "*", "/")}
AXIS = ("sum", "mean", "amax", "amin", "prod", "cumsum", "softmax", "flip")


def repaired(problem, evidence):
    """The Cause if one change in one step of the claimed formula makes all gradients right, here and at another point; else None."""
    try:
        here = formula(problem, evidence)
        if here is None or len(here[1]) > STEPS:
            return None
        for index, sentence, node in trials(here):
            second = elsewhere(evidence)
            with problem.moved_to(second.at):
                there = formula(problem, second)
            if any(other == index for other, _, _ in trials(there)):
                return Cause("formula", f"the formula of the gradient would be right with one change{line_text(node.note.line)}: {sentence}", [])
    except Exception:  # what cannot be recorded, or computed again, cannot be mended this way
        return None
    return None


def trials(recorded):
    """((the number of the step, of the change), the sentence, the step) for each change that makes the gradients right, the simplest first."""
    steps = recorded[1]
    tried = [list(changes(node, steps, recorded[3])) for node in steps]
    for plain in (True, False):
        for number, node in enumerate(steps):
            for variant, (simple, sentence, change) in enumerate(tried[number]):
                if simple == plain and right(recorded, {node: change}):
                    yield (number, variant), sentence, node
    for number, node in enumerate(steps):  # the same change in all steps of the kind in one line
        alike = [k for k, n in enumerate(steps) if n.op is node.op and n.note.line == node.note.line]
        for variant, (simple, sentence, _) in enumerate(tried[number]) if len(alike) > 1 and alike[0] == number else ():
            if simple and all(len(tried[k]) > variant and tried[k][variant][1] == sentence for k in alike):
                if right(recorded, {steps[k]: tried[k][variant][2] for k in alike}):
                    yield (number, variant, len(alike)), f"{sentence}, {len(alike)} times", node


def formula(problem, evidence):
    """(outputs, steps, wanted, names): the claimed gradient recorded step by step, for random upstream gradients, and what it should be."""
    rng = np.random.default_rng(0)
    weights = [rng.uniform(0.5, 1.5, s) for s in evidence.shapes]
    names: dict = {}

    def made(values, name):
        x = Tensor(np.array(values, np.float64), leaf(np.shape(values), np.dtype(np.float64)))
        names[x.node] = name
        return x

    if getattr(problem, "is_function", False):
        _, context = problem.run()
        for k, x in enumerate(context.saved_tensors):
            if x.array.dtype.kind == "f":
                x.node = leaf(x.array.shape, x.array.dtype)
                names[x.node] = f"saved tensor {k}"
        call, args = problem.op.function.backward, [context, *(made(w, "g") for w in weights)]
        if len(weights) != len(problem.active) or len(weights) > 1:
            return None
    elif getattr(problem, "kind", None) in ("gradient", "vjp") and callable(problem.gradient):
        weights = weights if problem.kind == "vjp" else [np.ones(s) for s in evidence.shapes]
        given = dict(zip(problem.positions, zip(problem.arrays, problem.names)))
        call, args = problem.gradient, [made(*given[k]) if k in given else a for k, a in enumerate(problem.args)]
        args = [*(made(w, "g") for w in weights), *args] if problem.kind == "vjp" else args
    else:
        return None
    flat = np.concatenate([w.reshape(-1) for w in weights])
    wanted = [N @ flat for N in evidence.N]
    with modes.enable_grad(), modes.recording():
        found = call(*args)
    outputs = list(found) if isinstance(found, (tuple, list)) else [found]
    if getattr(problem, "is_function", False):
        outputs = [outputs[k] for k in problem.positions]
    if len(outputs) != len(wanted) or not all(isinstance(y, Tensor) and y.node is not None and y.array.size == w.size for y, w in zip(outputs, wanted)):
        return None
    claimed = [A @ flat for A in evidence.A]  # x.var() of a tensor is not that of an array: what is recorded must be what was claimed
    if not all(np.allclose(y.array.reshape(-1), c, 1e-9, 1e-12) for y, c in zip(outputs, claimed)):
        return None
    return outputs, [n for n in ancestors(*(y.node for y in outputs)) if n.op is not None], wanted, names


def changes(node, steps, names):
    """(simple, sentence, a function of the inputs of a step that gives another value) for each change that is tried."""
    op, params, name = node.op, node.params, node.op.name
    values, parents = node.note.inputs, node.parents
    called = lambda n: "the constant" if n is None else names.get(n, "an input") if n.op is None else f"the result of {n.op.name}"
    if name in TWINS:
        twin, new, old = TWINS[name]
        yield True, f"{new} in place of {old}", lambda *xs: registry[twin].forward(*xs, **params)
    if name == "matmul":
        yield True, "with the two factors of @ exchanged", lambda a, b: op.forward(b, a, **params)
    if name in AXIS and isinstance(params.get("axis"), (int, np.integer)):
        for axis in range(np.ndim(values[0])):
            if axis != params["axis"]:
                yield True, f"{name} along axis {axis}, not {params['axis']}", lambda x, axis=axis: op.forward(x, **{**params, "axis": axis})
    if name in ("sum", "mean"):
        count = int(np.prod(np.shape(values[0]))) / max(1, int(np.prod(node.shape)))
        scale = 1 / count if name == "sum" else count
        yield True, "mean in place of sum" if name == "sum" else "sum in place of mean", lambda *xs: op.forward(*xs, **params) * scale
    for k, value in enumerate(values):
        if np.shape(value) == node.shape and parents[k] is not None:
            yield True, f"without this {name}: {called(parents[k])} is right as it is", lambda *xs, k=k: xs[k]
        if isinstance(value, np.ndarray) and value.ndim == 2 and name in ("matmul", "mul", "sub", "add"):
            yield True, f"with the transpose of {called(parents[k])}", lambda *xs, k=k: op.forward(*xs[:k], xs[k].T, *xs[k + 1 :], **params)
        if parents[k] is not None:
            yield True, f"with the square of {called(parents[k])}", lambda *xs, k=k: op.forward(*xs[:k], xs[k] ** 2, *xs[k + 1 :], **params)
            for grand, below in zip(parents[k].parents, parents[k].note.inputs) if parents[k].op is op else ():
                if grand is not None and np.shape(below) == node.shape:
                    yield True, f"without this {name} and the one in it: {called(grand)} is right as it is", lambda *xs, below=below: below
            for other in [s for s in steps if s.birth < node.birth and s.shape == np.shape(value) and s is not parents[k]][-OTHERS:]:
                yield (False, f"with {called(other)} in place of {called(parents[k])}",
                       lambda *xs, k=k, other=other: op.forward(*xs[:k], other.note.value, *xs[k + 1 :], **params))  # fmt: skip


def right(recorded, changed):
    """True if the formula with some steps changed gives the wanted gradients."""
    outputs, steps, wanted, _ = recorded
    values: dict = {}
    try:
        with np.errstate(all="ignore"):
            for n in steps:
                if n in changed or any(p in values for p in n.parents):
                    given = [values.get(p, x) for p, x in zip(n.parents, n.note.inputs)]
                    values[n] = changed[n](*given) if n in changed else n.op.forward(*given, **n.params)
                    if np.shape(values[n]) != n.shape:
                        return False
    except Exception:  # shapes that do not fit
        return False
    size = max(np.abs(w).max(initial=0) for w in wanted)
    return all(np.allclose(np.reshape(values.get(y.node, y.array), -1), w, 1e-5, 1e-6 * size + 1e-9) for y, w in zip(outputs, wanted))


__all__ = ["repaired"]
