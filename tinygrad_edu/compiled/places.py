"""Places and what is in them (an attribute, an item, the memory of an array), to change them for a while and to put them back."""

from contextlib import contextmanager

import numpy as np

NOTHING = object()


def get(holder, key):
    """What is in a place: `holder[key]` of dicts and lists, else an attribute."""
    if isinstance(holder, dict):
        return holder.get(key, NOTHING)
    return holder[key] if isinstance(holder, list) else getattr(holder, key)


def put(holder, key, value):
    """Change what is in a place."""
    if not isinstance(holder, (dict, list)):
        setattr(holder, key, value)
    elif value is NOTHING:
        holder.pop(key, None)
    else:
        holder[key] = value


class Snapshot:
    """The numbers in arrays, what is in places, whole dicts, and the states of generators, to go back to."""

    def __init__(self, arrays=(), places=(), dicts=(), generators=()):
        self.arrays = [(a, a.copy(order="K")) for a in arrays if isinstance(a, np.ndarray)]
        self.places = [(holder, key, get(holder, key)) for holder, key in places]
        self.dicts = [(held, dict(held)) for held in dicts]
        self.generators = [(g, g.get_state()) for g in generators]

    def restore(self, written=None):
        """Put everything back; of the arrays those that are `written` (a set of ids), or all."""
        for held, copy in self.dicts:
            held.clear()
            held.update(copy)
        for place in self.places:
            put(*place)
        for array, copy in self.arrays:
            if (written is None or id(array) in written) and array.flags.writeable:
                array[...] = copy
        for generator, state in self.generators:
            generator.set_state(state)


@contextmanager
def replaced(changes):
    """A context in which places hold something else; `changes` are (holder, key, value)."""
    before = Snapshot(places=[(holder, key) for holder, key, _ in changes])
    try:
        for change in changes:
            put(*change)
        yield
    finally:
        before.restore()
