"""Which calls of a tape matter, and in which order: what nobody uses is dropped, what is computed twice is computed once.

Then checks come first, and elementwise calls on long arrays follow each other, so that they can run block by block: what
lies between two of them then never leaves the processor's cache.
"""

from .tape import Value
from .text import mapped

PIECE = 16384  # elements of a block
LONG = 8 * PIECE  # elements from which it pays
PURE = ("ufunc", "dot", "reduce", "attribute", "getitem", "method", "copy", "new")


def once(calls, results):
    """The calls without those that compute what is there: x − y in a loss, and again in its derivative."""
    versions, known, kept, returned = {}, {}, [], {v.storage for v in results}

    def mark(x):
        if isinstance(x, Value):
            return *x.key, versions.get(x.storage, 0)
        return (type(x), repr(x)) if isinstance(x, (int, float, str)) else id(x)  # repr: −0.0 is not 0.0

    for call in calls:
        for storage in call.writes:
            versions[storage] = versions.get(storage, 0) + 1
        if call.kind in PURE and not call.writes and not call.varies and len(call.outputs) == 1 and not call.is_view:
            (v,) = call.outputs
            if not v.storage.written and v.storage not in returned:
                computation = mapped((call.kind, call.function, call.args, call.kwargs), mark)
                first = known.setdefault(repr((computation, v.dtype, v.strides)), v)
                if first is not v:
                    v.memory.same = first.storage
                    continue
        kept.append(call)
    return kept


def alive(calls, results):
    """The calls without which a result, or what outlives the step, would be different."""
    needed, keys, kept = {v.storage for v in results}, {v.key for v in results}, []
    for call in reversed(calls):
        if call.is_view:
            wanted = call.outputs[0].key in keys
        else:
            wanted = call.kind in ("again", "expect") or any(s in needed or s.lasting for s in call.writes)
            wanted = wanted or any(v.storage in needed for v in call.outputs)
        if wanted:
            kept.append(call)
            needed.update(call.writes, (v.storage for v in call.touches()))
            keys.update(v.key for v in call.touches())
    return kept[::-1]


def checks_first(calls):
    """Checks that look only at arguments come first: nothing has been changed yet if a replay gives up there."""
    changed, early, chosen = {s for c in calls for s in c.writes}, set(), set()
    for call in calls:
        read = {v.storage for v in call.reads()}
        given = {s for s in read if s.kind in ("input", "constant") or s in early}
        if call.kind in (*PURE, "function", "expect") and not call.writes and read == given and not read & changed:
            early.update(v.storage for v in call.outputs)
            chosen.add(call)
    needed, first = set(), []
    for call in reversed(calls):
        made = {x for v in call.outputs for x in (v.key, v.storage) if x is not v.storage or x.kind == "made"}
        if call in chosen and (call.kind == "expect" or needed & made):
            first.append(call)
            needed.update(x for v in call.reads() for x in (v.storage, v.key))
    moved = set(first)
    return first[::-1] + [c for c in calls if c not in moved]


def written_by(call):
    """What an elementwise call writes to."""
    return call.target or call.outputs[0]


def elementwise(call):
    return call.kind == "copy" or call.kind == "ufunc" and call.function.signature is None


def repeated(v):
    """True for one number that is shown as an array."""
    return v.storage.kind == "constant" and not any(v.strides)


def blockable(call):
    """True for an elementwise call on long arrays that lie in memory alike."""
    if call.varies or not elementwise(call):
        return False
    out = written_by(call)
    if out.size < LONG or out.order is None or out.storage.kind == "input":
        return False
    alike = [v for v in call.reads() if v.shape == out.shape and (v.order == out.order or repeated(v))]
    return all(not v.shape or v in alike and (v.storage is not out.storage or v.key == out.key) for v in call.reads())


class Chain:
    """Blockable calls one after the other, on arrays of one size."""

    def __init__(self, out):
        self.calls, self.keys, self.size, self.order = [], {}, out.size, out.order

    def takes(self, call):
        """Add the call if it belongs to this chain: nothing in it may look at the same memory in another way."""
        out, arrays = written_by(call), [v for v in call.touches() if v.shape]
        if (out.size, out.order) != (self.size, self.order) or any(self.keys.get(v.storage, v.key) != v.key for v in arrays):
            return False
        self.calls.append(call)
        self.keys.update((v.storage, v.key) for v in arrays)
        return True

    def inside(self, calls):
        """The storages that no other of the calls looks at: a block of memory is enough for each."""
        others = set(calls) - set(self.calls)
        seen = {v.storage for c in others for v in c.touches()} | {s for c in others for s in c.writes}
        return {v.storage for c in self.calls for v in c.outputs} - seen


def chained(calls):
    """The calls in an order in which elementwise ones follow each other, as chains: a mean in between waits for their end."""
    result, waiting = [], []
    for call in calls:
        chain = result[-1] if result and isinstance(result[-1], Chain) else None
        if blockable(call):
            made, read = {v.storage for w in waiting for v in w.outputs}, {v.storage for w in waiting for v in w.reads()}
            apart = not made & {v.storage for v in call.touches()} and written_by(call).storage not in read
            if not (chain and apart and chain.takes(call)):
                result += waiting + [Chain(written_by(call))]
                waiting = []
                result[-1].takes(call)
        elif chain and call.kind in (*PURE, "function") and not call.writes and not call.varies and {
                v.storage.kind for v in call.outputs} == {"made"}:  # fmt: skip
            waiting.append(call)
        else:
            result += [*waiting, call]
            waiting = []
    return [item.calls[0] if isinstance(item, Chain) and len(item.calls) < 2 else item for item in result + waiting]
