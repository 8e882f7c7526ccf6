"""Compute a recorded graph again, in plain NumPy, and only what depends on one input: what makes many small steps cheap.

A replay is never believed blindly: it must give the function's own values, bit for bit or nearly so, with all inputs moved along
random directions. What the graph does not know (a detached part, a number taken out, a branch) shows up there, and then
the function itself is called for every step.
"""

from functools import lru_cache

import numpy as np

from .finite_differences import flattened
from .function import Bridge
from .node import ancestors


class Replay:
    """The steps that lead from some inputs to the outputs, as one function of NumPy; has `arrays` and `evaluate` like a problem."""

    def __init__(self, problem, outputs, nodes, leaves, chosen):
        self.arrays, self.output_dtypes = problem.arrays, problem.output_dtypes
        memory = dict(zip(leaves, problem.arrays))
        names = {leaves[i]: f"x{i}" for i in chosen}
        space, lines = {"array": np.array}, [f"def run({', '.join(names.values())}):"]
        for number, node in enumerate(nodes):
            if node.op is None or not any(p in names for p in node.parents):
                continue
            words = []
            for k, (parent, value) in enumerate(zip(node.parents, node.note.inputs)):
                if parent in names:
                    words.append(names[parent])
                else:
                    space[f"c{number}_{k}"] = memory.get(parent, value)
                    words.append(f"c{number}_{k}")
            space[f"f{number}"], space[f"p{number}"] = node.op.forward, node.params
            names[node] = f"v{number}"
            lines.append(f"    v{number} = f{number}({', '.join(words)}{f', **p{number}' if node.params else ''})")
        results = []
        for number, y in enumerate(outputs):
            if y.node not in names:
                space[f"y{number}"] = np.array(y.array)
                results.append(f"y{number}")
            else:  # an array may be a view of an input that moves on
                results.append(names[y.node] if isinstance(y.array, np.generic) else f"array({names[y.node]})")
        lines.append(f"    return ({', '.join(results)},)")
        exec(compiled("\n".join(lines)), space)
        self.run, self.moved = space["run"], [problem.arrays[i] for i in chosen]

    def evaluate(self):
        return self.run(*self.moved)


@lru_cache(256)
def compiled(source):
    """The code of a replay; graphs of the same form share it."""
    return compile(source, "<replay>", "exec")


def replays(problem, eps):
    """A Replay for each input, or None: where the graph is not all that the function does, or not worth it."""
    try:
        recorded = problem.recorded()
        if recorded is None:
            return None
        outputs, leaves = recorded
        nodes = ancestors(*(y.node for y in outputs if y.node is not None))
        if any(n.op is not None and (isinstance(n.op, Bridge) or n.note is None or not n.note.inputs) for n in nodes):
            return None
        whole = Replay(problem, outputs, nodes, leaves, range(len(leaves)))
        if not agree(problem, whole, eps):
            return None
        return [Replay(problem, outputs, nodes, leaves, [i]) for i in range(len(leaves))] if len(leaves) > 1 else [whole]
    except Exception:  # whatever cannot be recorded or repeated is called as it is
        return None


def agree(problem, replay, eps):
    """True if the replay gives what the function gives with all inputs moved along random directions, there and back."""
    rng = np.random.default_rng(11)
    former = [a.copy() for a in problem.arrays]
    try:
        for sign in (eps, -eps):
            for a, values in zip(problem.arrays, former):
                a[...] = values + sign * rng.uniform(-1, 1, a.shape)
            if not same(replay.evaluate(), problem.evaluate()):
                return False
    finally:
        for a, values in zip(problem.arrays, former):
            a[...] = values
    return True


def same(replayed, called):
    """Equal up to the last digits, relative to the largest value."""
    a, b = flattened(replayed), flattened(called)
    size = np.abs(b).max(initial=0.0)
    return a.shape == b.shape and np.isfinite(size) and bool((np.abs(a - b) <= 1e-14 * size).all())
