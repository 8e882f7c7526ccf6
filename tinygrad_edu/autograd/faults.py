"""Which step is to blame: each step of a recorded graph is checked alone, and graphs with one planted mistake are compared."""

from itertools import repeat

import numpy as np

from . import engine
from .checked import Step, steps_of
from .diagnosis import VAGUE, Cause, ShapeMismatch, explain, explain_shape, gather, vector
from .finite_differences import Projected, along, flattened, plateau, refined, sides, size_along
from .function import Bridge, Parts
from .lines import line_text
from .node import ancestors
from .recorder import own_code
from .repairs import repaired
from .replay import replays

FULL = 40_000  # derivatives of one step that are measured one by one; of larger steps a part


def guilty_steps(outputs, rtol=1e-3):
    """The steps of a recorded graph whose derivative is not that of their own forward function, oldest first."""
    found = []
    for node in steps_of(outputs):
        step = Step(node)
        try:
            with np.errstate(all="ignore"):
                wrong = wrong_inputs(step, rtol)
        except Exception:  # a step that cannot be repeated alone, one that refuses other values
            continue
        if wrong:
            found.append((step, wrong))
    return found


def wrong_inputs(step, rtol):
    """The inputs of a step along which its gradient and its slope differ, for random directions and random upstream gradients."""
    rng = np.random.default_rng(0)
    outputs = step.start()
    wrong = set()
    for k, out in enumerate(outputs):
        weights = rng.uniform(0.5, 1.5, out.shape) * rng.choice([-1, 1], out.shape)
        start = sum(o.size for o in outputs[:k])
        for i, claimed in enumerate(step.pull(k, weights)):
            array = step.arrays[i]
            if not array.size or i in wrong:
                continue
            try:
                claimed = vector(step, i, claimed)
            except ShapeMismatch:
                wrong.add(i)
                continue
            way = np.asarray(rng.uniform(0.5, 1.5, array.shape) * rng.choice([-1, 1], array.shape))  # of a single number too, an array
            if array.ndim > 1 and array.shape[-1] == array.shape[-2] and np.allclose(array, array.swapaxes(-1, -2), 1e-12, 1e-12):
                way = way + way.swapaxes(-1, -2)  # a symmetric matrix may be symmetric by nature, as for cholesky
            part = lambda values: float(np.sum(values[start : start + out.size] * weights.reshape(-1)))  # noqa: B023 (used at once)
            up, down = (part(v) for v in along(step, i, way, 1e-6))
            here, inner = part(flattened(step.evaluate())), float(np.sum(claimed * way.reshape(-1)))
            left, right, central = (here - down) / 1e-6, (up - here) / 1e-6, (up - down) / 2e-6
            slack = 1e-5 + rtol * max(abs(central), abs(inner))
            if not abs(inner - central) <= slack and not min(left, right) - slack <= inner <= max(left, right) + slack:
                slope = refined(step, i, way)  # the step of 1e-6 may have been too short or too long
                sharp, error = part(slope.value), part_error(slope.error[start : start + out.size], weights)
                unclear = abs(sharp - central) > slack or size_along(step, i, way) < 1e-4
                small = plateau(step, i, way)[0] if unclear and not abs(inner - sharp) <= slack + 3 * error else slope
                sharp, error = part(small.value), part_error(small.error[start : start + out.size], weights)
                if not abs(inner - sharp) <= slack + 3 * error or not np.isfinite(error):
                    wrong.add(i)
    return sorted(wrong)


def part_error(error, weights):
    """The error of a weighted sum."""
    return float(np.sum(np.abs(weights).reshape(-1) * error))


def blame(step, wrong, eps, atol, rtol):
    """The Cause for one guilty step: which of its inputs, why, and where the step is."""
    where = place_of(step)
    try:
        evidence = gather(step, eps, atol, rtol) if affordable(step) else None
    except ShapeMismatch as mismatch:
        shapes = [o.shape for o in step.start()]
        cause = explain_shape(step, mismatch, shapes, eps, rtol)
        cause.where = where
        return cause
    if evidence is None:
        rng = np.random.default_rng(4)
        weights = [rng.uniform(0.5, 1.5, o.shape) for o in step.start()]
        found = sampled_causes(step, weights, wrong, eps)
        causes = [(c.inputs[0], c) for c in found]
    else:
        causes = [(i, inside(step, evidence, i, rtol) or explain(evidence, i)) for i in wrong]
    causes = [(i, c) for i, c in causes if c is not None]
    if not causes and evidence is not None and (change := repaired(step, evidence)) is not None:
        change.where = where
        return change
    if not causes:
        names = " and ".join(step.names[i] for i in wrong)
        return Cause("wrong_rule", f"the derivative of {step.title} for {names} is not the slope of its own forward function, and "
                     "no single known mistake explains it", wrong, where)  # fmt: skip
    i, cause = causes[0]
    same = [j for j, c in causes if c.kind == cause.kind]
    cause.inputs, cause.where = same, where.replace("the derivative of", f"the derivative for {' and '.join(step.names[j] for j in same)} of")
    return cause


def sampled_causes(problem, weights, suspicious, eps):
    """For inputs too large to measure whole: what a sample of elements has in common."""
    rng = np.random.default_rng(2)
    found = []
    flat = flattened(weights)
    projected = Projected(problem, flat)
    total: list = [np.zeros(a.size) for a in problem.arrays]
    for k, w in enumerate(weights):
        for i, g in enumerate(problem.pull(k, w)):
            total[i] += vector(problem, i, g)
    for i in suspicious:
        chosen = rng.permutation(problem.arrays[i].size)[:64]
        numeric = np.array([sides(projected, i, int(k), eps)[0][0] for k in chosen])
        claimed = total[i][chosen]
        c = float(claimed @ numeric / (numeric @ numeric)) if numeric.any() else np.nan
        if not claimed.any() and numeric.any():
            found.append(Cause("zero", f"the gradient of {problem.names[i]} is zero at all of {len(chosen)} elements that were looked at, and the "
                               "slopes are not", [i]))  # fmt: skip
        elif np.isfinite(c) and np.allclose(claimed, c * numeric, 1e-3, 1e-3 * np.abs(claimed).max(initial=0)) and abs(c - 1) > 1e-3:
            word = {2: "exactly twice", 0.5: "exactly half", -1: "exactly the negative of"}.get(round(c, 4), f"{c:.5g} times")
            found.append(Cause("factor", f"the gradient of {problem.names[i]} is {word} the slope at all of {len(chosen)} elements that were looked "
                               "at: look for that factor", [i]))  # fmt: skip
    return found


def affordable(step):
    """True if all derivatives of a step can be measured one by one."""
    return sum(a.size for a in step.arrays) * sum(np.size(o) for o in step.evaluate()) <= FULL


def place_of(step):
    """Where a step is, in words: its operator or Function, and the line."""
    name = f"backward() of {step.title}" if step.is_function else f"the derivative of {step.title}"
    return f"in {name}" + line_text(step.line)


def inside(step, evidence, i, rtol):
    """A mistake in one step of a Function's own forward computation, where that can be recorded: rarely simpler than `explain`."""
    cause = explain(evidence, i) if step.is_function else None
    if not step.is_function or cause is not None and cause.kind not in VAGUE:
        return None
    found = step.recorded()
    return None if found is None else planted(step, found, rtol)


# --- graphs with one mistake -------------------------------------------------------------------------------------------------


def gradients_with(outputs, weights, leaves, alter=None):
    """The gradients of Σ weights · outputs by a plain walk of its own; `alter(node, k, g, args, part)` may change one part."""
    grads: dict = {}
    for y, w in zip(outputs, weights):
        if y.node is not None:
            grads[y.node] = grads[y.node] + w if y.node in grads else np.asarray(w, np.float64)
    for node in reversed(ancestors(*grads)):
        if node not in grads or node.op is None:
            continue
        g = grads[node]
        parts = engine.at_once(node.op, g, node.saved) if node.op.together else repeat(None)
        for k, (parent, rule, args, part) in enumerate(zip(node.parents, node.op.pullbacks, node.saved, parts)):
            if parent is None or args is None:
                continue
            if part is None:
                part = rule(g, *args)
            if alter is not None and not isinstance(part, Parts):
                part = alter(node, k, g, args, part)
                if part is None:
                    continue
            if not isinstance(part, Parts) and part.shape != parent.shape:
                part = engine.sum_to(part, parent.shape)
            grads[parent] = grads[parent] + part if parent in grads else part
    return [np.asarray(grads[x], np.float64) if x in grads else np.zeros(x.shape) for x in leaves]


MOVES = ("getitem", "take_flat", "gather_along", "flip", "roll", "permute", "swapaxes", "moveaxis")
MATRICES = ("matmul", "affine", "solve", "inv", "det", "log_abs_det", "outer", "einsum_operator", "cholesky", "matrix_exp")


def mistakes(node, k):
    """(kind, sentence, change) for each mistake that can be made in one step, for its input k."""
    op, parent, saved = node.op, node.parents[k], node.saved[k]
    name, step = op.name, op.name + line_text(node.note.line if node.note is not None else None)
    if parent.shape == node.shape and name in MOVES:
        yield ("permuted", f"the gradient is not put back where {step} took the values from: undo the move (with its inverse: argsort of the index)",
               lambda g, part: g)  # fmt: skip
    elif parent.shape == node.shape and name not in ("add", "sub", "neg"):
        yield ("chain_factor", f"the derivative of {step} is missing in the chain: the gradient is passed through this step unchanged",
               lambda g, part: g)  # fmt: skip
    yield "path_missing", f"the contribution that comes through {step} is missing", lambda g, part: None
    if name != "add":
        yield "factor", f"the sign of the derivative of {step} is wrong", lambda g, part: -part
        yield "factor", f"a factor 2 is missing in the derivative of {step}", lambda g, part: part / 2
        yield "factor", f"the derivative of {step} is taken twice: a factor 2 too many", lambda g, part: part * 2
    if not op.together and not op.variadic and not isinstance(op, Bridge) and node.note is not None and node.note.inputs:
        yield from wrong_arguments(node, k, step)
    yield ("mean_not_sum", f"the gradient of what was broadcast in {step} is averaged, and must be summed", averaged(parent.shape, np.mean))
    for word, index in (("first", 0), ("last", -1)):
        yield ("missing_sum", f"only the {word} row of the gradient that arrives at {step} is used: the sum over what was broadcast is missing",
               averaged(parent.shape, lambda p, axis, keepdims, index=index: np.take(p, [index], axis[0]).sum(axis, keepdims=True)))  # fmt: skip
    if len(node.shape) == 2 and node.shape[0] == node.shape[1] > 1 and parent.shape != node.shape and name not in MATRICES:
        yield ("missing_sum", f"the gradient of what was broadcast in {step} is summed over the wrong axis",
               lambda g, part: averaged(parent.shape, np.sum)(g, part.swapaxes(0, 1)))  # fmt: skip
    if "axis" in node.params and np.size(node.params.get("axis")) <= 1 and parent.shape != node.shape and name not in ("sum", "mean", *MOVES):
        yield ("chain_factor", f"the derivative of {step} is missing in the chain: each element it was computed from gets the whole gradient",
               lambda g, part: np.broadcast_to(g if g.ndim == len(parent.shape) or node.params["axis"] is None
                                               else np.expand_dims(g, node.params["axis"]), parent.shape))  # fmt: skip
    if not op.together and not isinstance(op, Bridge) and name in MATRICES and len(node.shape) > 1:
        for word, kept in (("first", 0), ("last", -1)):
            yield ("first_only", f"only the {word} row of the gradient that arrives at {step} is used, so only one of its {node.shape[-2]} samples counts",
                   lambda g, part, kept=kept: op.rules[0 if op.variadic else k](only_row(g, kept), *saved))  # fmt: skip
    if len(parent.shape) == 2 and parent.shape[0] == parent.shape[1] > 1 and name in (*MATRICES, *MOVES):
        yield "transposed", f"the gradient of {step} is transposed", lambda g, part: part.swapaxes(-1, -2)
    if name in ("getitem", "take_flat", "gather_along"):
        yield ("overwritten", f"where {step} takes an element several times, only its last use counts: z[index] = g overwrites what was there; "
               "add with np.add.at(z, index, g)", lambda g, part: overwritten(op.rules[k], g, saved))  # fmt: skip
    if name in ("mean", "sum"):
        count = int(np.prod(parent.shape)) // max(1, int(np.prod(node.shape)))
        yield "size_factor", f"the 1/{count} of a mean is missing or too many: {step} takes {count} elements", lambda g, part: part * count
        yield "size_factor", f"a 1/{count} too many: {step} takes {count} elements and does not average, or averages once", lambda g, part: part / count


def only_row(g, kept):
    """The gradient with all rows but one set to 0."""
    one = np.zeros_like(g)
    one[..., kept, :] = g[..., kept, :]
    return one


def wrong_arguments(node, k, step):
    """Mistakes in what a rule is given: the input where the result belongs, the other operand, a matrix that is transposed."""
    op, saved, rule = node.op, node.saved[k], node.op.rules[k]
    values = {"out": node.note.value, **dict(zip(op.inputs, node.note.inputs))}
    called = lambda want: "the result" if want == "out" else want
    for at, want in enumerate(op.wants[k]):
        for other, value in values.items():
            if want in values and other != want and np.shape(value) == np.shape(saved[at]) and np.size(value):
                args = (*saved[:at], value, *saved[at + 1 :])
                yield ("wrong_value", f"the derivative of {step} is given {called(other)} where it needs {called(want)}",
                       lambda g, part, args=args: rule(g, *args))  # fmt: skip
        a = saved[at]
        if op.name in MATRICES and isinstance(a, np.ndarray) and a.ndim == 2 and a.shape[0] == a.shape[1] > 1:
            args = (*saved[:at], a.T, *saved[at + 1 :])
            yield ("transposed", f"{want} is transposed the wrong way in the derivative of {step}", lambda g, part, args=args: rule(g, *args))  # fmt: skip


def averaged(shape, reduce):
    """A part reduced to its input's shape by something else than a sum; unchanged where nothing was broadcast."""

    def change(g, part):
        if part.shape == tuple(shape):
            return part
        lead = part.ndim - len(shape)
        axes = tuple(range(lead)) + tuple(a + lead for a, n in enumerate(shape) if n == 1 != part.shape[a + lead])
        return reduce(part, axis=axes, keepdims=True).reshape(shape)

    return change


def overwritten(rule, g, saved):
    """What `z[index] = g` leaves: for each element the last of the gradients that arrive."""
    total = np.zeros_like(rule(g, *saved))
    flat = np.asarray(g).reshape(-1)
    for place in range(flat.size):
        unit = np.zeros(flat.size)
        unit[place] = 1
        hit = rule(unit.reshape(np.shape(g)), *saved) != 0
        total[hit] = flat[place]
    return total


def planted(problem, recorded, rtol, wanted=None):
    """The Cause if the claimed gradients of all inputs are those of a graph with one mistake in one place; else None.

    The mistake must explain the claim at the point that was checked and at another one.
    """
    graphs = [(recorded, claims(problem, recorded[0]))]
    edges = [(n, k) for n in reversed(ancestors(*(y.node for y in recorded[0] if y.node is not None))) if n.op is not None
             for k, p in enumerate(n.parents) if p is not None and n.saved[k] is not None]  # fmt: skip
    if graphs[0][1] is None or len(edges) > 300:
        return None
    second = None
    for number, (node, k) in enumerate(edges):
        for variant, (kind, sentence, change) in enumerate(mistakes(node, k)):
            if not explains(graphs[0], edges[number], change, rtol):
                continue
            if second is None:
                second = at_another_point(problem)
            if second is not None and not confirmed(second, number, variant, len(edges), rtol):
                continue
            if kind == "path_missing":
                kind, sentence = missing_path(problem, recorded, node, k, sentence)
            return Cause(kind, sentence, list(range(len(problem.arrays))) if wanted is None else wanted)
    return constants_taken(problem, graphs[0], second, rtol, wanted)


def constants_taken(problem, graph, second, rtol, wanted):
    """The Cause if of several uses of an input only one counts, as where statistics of a batch are treated as constants; else None."""
    outputs, leaves = graph[0]
    for i, x in enumerate(leaves):
        uses = users(outputs, x)
        for number, use in enumerate(uses) if 2 < len(uses) < 20 else ():
            if not only_through(graph, i, number, rtol):
                continue
            second = second or at_another_point(problem)
            if second is None or only_through(second, i, number, rtol):
                others = " and ".join(dict.fromkeys(n.name + line_text(n.note.line if n.note is not None else None) for n, _ in uses if n is not use[0]))
                return Cause("overwritten", f"{problem.names[i]} is used in {len(uses)} places, and only the contribution that comes through {use[0].name} counts: what "
                             f"comes through {others} is treated as a constant, and must be added", [i] if wanted is None else wanted)  # fmt: skip
    return None


def only_through(graph, i, number, rtol):
    """True if the gradients are those of the graph where leaf i gets only what comes through one of its uses."""
    uses = users(graph[0][0], graph[0][1][i])
    dropped = {(id(n), k) for at, (n, k) in enumerate(uses) if at != number}
    return number < len(uses) and altered(graph, lambda node, k, g, args, part: None if (id(node), k) in dropped else part)


def missing_path(problem, recorded, node, k, sentence):
    """(kind, sentence) for a contribution that is missing: where its value is used elsewhere too, one use overwrites the other."""
    outputs, leaves = recorded
    below = set(ancestors(node.parents[k]))
    for shared in sorted(below, key=lambda n: -n.birth):
        uses = users(outputs, shared)
        lost = [u for u, at in uses if u in below or (u is node and at == k)]
        if len(lost) < len(uses):
            what = problem.names[leaves.index(shared)] if shared in leaves else f"the result of {shared.name}"
            lost_text = " and ".join(dict.fromkeys(u.name + line_text(u.note.line if u.note is not None else None) for u in lost))
            return "overwritten", (f"{what} is used in {len(uses)} places, and the contribution that comes through {lost_text} is missing: the gradients "
                                   "of all uses must be added (+=), and one overwrites the other or was forgotten")  # fmt: skip
    return "path_missing", sentence


def claims(problem, outputs):
    """(weights, claimed): random upstream gradients, and what the problem claims for them; None where shapes are wrong."""
    rng = np.random.default_rng(0)
    try:
        problem.start()
        weights = [rng.uniform(0.5, 1.5, y.shape) for y in outputs]
        total: list = [0] * len(problem.arrays)
        for k, w in enumerate(weights):
            for i, g in enumerate(problem.pull(k, w)):
                total[i] = total[i] + vector(problem, i, g).reshape(problem.arrays[i].shape)
    except Exception:  # what cannot be asked cannot be explained this way
        return None
    return weights, total


def explains(graph, edge, change, rtol):
    """True if the graph with one change at one edge has just the claimed gradients."""
    return altered(graph, lambda node, k, g, args, part: change(g, part) if node is edge[0] and k == edge[1] else part)


def altered(graph, alter):
    """True if the graph with `alter` applied to the parts of gradients has just the claimed gradients."""
    (outputs, leaves), (weights, claimed) = graph
    try:
        with np.errstate(all="ignore"):
            found = gradients_with(outputs, weights, leaves, alter)
    except Exception:  # a mistake that leads to shapes that do not fit
        return False
    size = max((np.abs(c).max(initial=0) for c in claimed), default=0)
    return all(np.allclose(f, c, 1e-6, 1e-7 * size + 1e-12) for f, c in zip(found, claimed))


def at_another_point(problem):
    """((outputs, leaves), (weights, claimed)) with the inputs moved; None where that is not possible."""
    if not callable(getattr(problem, "gradient", len)):
        return None
    try:
        with problem.moved_to(problem.elsewhere()):
            recorded = problem.recorded()
            known = claims(problem, recorded[0])
        problem.start()
    except Exception:
        return None
    return None if known is None else (recorded, known)


def confirmed(graph, number, variant, count, rtol):
    """True if the same mistake explains the claim at the other point too."""
    outputs = graph[0][0]
    edges = [(n, k) for n in reversed(ancestors(*(y.node for y in outputs if y.node is not None))) if n.op is not None
             for k, p in enumerate(n.parents) if p is not None and n.saved[k] is not None]  # fmt: skip
    if len(edges) != count:
        return False  # another branch was taken there
    found = list(mistakes(*edges[number]))
    return variant < len(found) and explains(graph, edges[number], found[variant][2], rtol)


def users(outputs, node):
    """(step, which of its inputs) for each use of a node's value."""
    return [(n, k) for n in ancestors(*(y.node for y in outputs if y.node is not None)) for k, p in enumerate(n.parents) if p is node]


# --- the engine --------------------------------------------------------------------------------------------------------------


def engine_fault(problem, evidence, wrong, order):
    """What is to blame where every step is right: a hook, a part outside of the graph, or the engine."""
    try:
        recorded = problem.recorded()
    except Exception:
        recorded = None
    if recorded is None:
        return None
    outputs, leaves = recorded
    nodes = ancestors(*(y.node for y in outputs if y.node is not None))
    weights = [np.random.default_rng(k).uniform(0.5, 1.5, y.shape) for k, y in enumerate(outputs)]
    steps = dict.fromkeys(range(len(leaves)), 0.0)
    problem.start()
    for k, w in enumerate(weights):
        for i, g in enumerate(problem.pull(k, w)):
            steps[i] = steps[i] + np.asarray(g, np.float64)
    columns = np.concatenate([w.reshape(-1) for w in weights])
    plain = gradients_with(outputs, weights, leaves)
    i = wrong[0]
    by_graph, by_engine, slope = plain[i].reshape(-1), np.reshape(steps[i], -1), evidence.N[i] @ columns
    close = lambda a, b: np.allclose(a, b, 1e-3, 1e-5 + 1e-3 * np.abs(b).max(initial=0))
    if not close(by_graph, by_engine) and (hook := hooked(recorded, wrong)) is not None:
        return hook
    if close(by_graph, slope) and not close(by_engine, slope):
        found = None
        problem_edges = [(n, k) for n in nodes if n.op is not None for k, p in enumerate(n.parents) if p is not None and n.saved[k] is not None]
        graph = ((outputs, leaves), (weights, [np.reshape(steps[j], x.shape) for j, x in enumerate(leaves)]))
        for edge in problem_edges:
            if explains(graph, edge, lambda g, part: None, 1e-3):
                found = edge
                break
        uses = len(users(outputs, found[0].parents[found[1]])) if found else 0
        if uses > 1:
            shared = found[0].parents[found[1]]
            what = problem.names[leaves.index(shared)] if shared in leaves else f"the result of {shared.name}"
            return Cause("overwritten", f"{what} is used {uses} times, and the contribution of "
                         f"{found[0].name} is lost: gradients of several uses are overwritten where they must be added (= for +=)", wrong)  # fmt: skip
        return Cause("engine", "every derivative rule is right, but back propagation loses or doubles contributions on the way: the engine "
                     "visits a step too early, or overwrites instead of adding", wrong)  # fmt: skip
    if close(by_graph, by_engine):
        if order == 2:
            return Cause("second_order", "the first derivative is computed from values that are cut off from the graph (detach, .data, NumPy "
                         "arrays or numbers kept in ctx), so its own derivative misses their part; keep tensors with ctx.save_for_backward and "
                         "compute backward with them", wrong)  # fmt: skip
        if replays(problem, 1e-3 * min((float(np.abs(a).max(initial=0)) or 1.0 for a in problem.arrays), default=1.0)) is not None:
            return None  # the graph is all that the function does
        how = cutters(problem.func)
        if any(isinstance(n.op, Bridge) for n in nodes) and "contains" not in how:
            return None  # a Function cannot be computed again here, so nothing proves it
        return Cause("detached", "part of the computation happens outside of the graph, so no gradient flows through it" + how, wrong)
    return None


def hooked(recorded, wrong):
    """The Cause if the graph has hooks, which may change what goes through it; else None."""
    nodes = ancestors(*(y.node for y in recorded[0] if y.node is not None)) if recorded is not None else ()
    for n in nodes:
        if n.note is not None and n.note.hooks:
            return Cause("hook", f"a hook on {'a leaf' if n.op is None else 'the result of ' + n.name} changes the gradient on its "
                         "way: every derivative rule is right; remove the hook to check them", wrong)  # fmt: skip
    return None


CUTTERS = {"detach": ".detach()", "data": ".data", "item": ".item()", "numpy": ".numpy()", "tolist": ".tolist()", "no_grad": "no_grad()",
           "detach_": ".detach_()", "array": ".array", "float": "float()"}  # fmt: skip


def cutters(func):
    """What in the function's code leaves the graph, as far as its names tell."""
    code = getattr(func, "__code__", None) or getattr(getattr(func, "forward", None), "__code__", None)
    found = [text for name, text in CUTTERS.items() if code is not None and not own_code(code.co_filename) and name in code.co_names]
    return f": it contains {' and '.join(found)}" if found else ": look for detach(), .data, .item(), .numpy() or no_grad()"
