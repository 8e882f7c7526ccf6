"""The state before a step: to go back to it when a recording fails, and after a trial replay."""

import numpy as np


class Snapshot:
    """Copies of all that a step may change: tensors, gradients, arrays, options and state of optimizers, generators."""

    def __init__(self, tensors, surroundings):
        tensors = list({id(t): t for t in (*tensors, *surroundings.tensors.values())}.values())
        self.tensors = [(t, t.array, copied(t.array)) for t in tensors]
        self.nodes = [(t, t.node, t.node.grad) for t in tensors if t.node is not None and t.node.op is None]
        self.grads = [(g, g.array, copied(g.array), g.used) for _, _, g in self.nodes if g is not None]
        self.arrays = [(a, a.copy()) for *_, a, _ in surroundings.arrays]
        self.dicts = [(s.__dict__, dict(s.__dict__)) for s in surroundings.schedulers]
        for o in surroundings.optimizers:
            self.dicts += [(d, dict(d)) for d in (*o.param_groups, *(s for s in o.state.values() if isinstance(s, dict)))]
        self.counts = [(o, o.last_step, o.warned) for o in surroundings.optimizers]
        self.generators = [(g, g.get_state()) for g in surroundings.generators]

    def restore(self, written=()):
        """Put everything back; of the memory of arrays, what is `written` (a set of ids)."""
        for t, array, copy in self.tensors:
            t.array = array
            overwrite(array, copy, written)
        for t, node, grad in self.nodes:
            t.node, node.grad = node, grad
        for g, array, copy, used in self.grads:
            g.array, g.used = array, used
            overwrite(array, copy, written)
        for array, copy in self.arrays:
            overwrite(array, copy, written)
        for held, copy in self.dicts:
            held.clear()
            held.update(copy)
        for o, last, warned in self.counts:
            o.last_step, o.warned = last, warned
            o.numbers.clear()
        for generator, state in self.generators:
            generator.set_state(state)


def copied(array):
    return array.copy(order="K") if isinstance(array, np.ndarray) else array


def overwrite(array, copy, written):
    if id(array) in written and array.flags.writeable:
        array[...] = copy
