"""Long chains of elementwise calls, block by block: what lies between two of them then never leaves the processor's cache."""

from .tape import values_in

PIECE = 16384  # elements of a block
LONG = 8 * PIECE  # elements from which it pays
PURE = ("ufunc", "dot", "reduce", "copy", "method", "function")


def order_of(v):
    """How the elements of a value lie in memory without gaps: "C", "F", or None."""
    for order in ("C", "F"):
        step, axes = v.dtype.itemsize, range(len(v.shape))
        for axis in reversed(axes) if order == "C" else axes:
            if v.shape[axis] != 1 and v.strides[axis] != step:
                break
            step *= v.shape[axis]
        else:
            return order
    return None


def target_of(call):
    """What a call writes to."""
    return call.out or call.outputs[0]


def blockable(call):
    """True for an elementwise call on long arrays that lie in memory alike."""
    if call.varies or not (call.kind == "copy" or call.kind == "ufunc" and call.function.signature is None):
        return False
    target = target_of(call)
    order = order_of(target)
    if target.size < LONG or order is None or target.storage.kind == "input":
        return False
    return all(not v.shape or v.shape == target.shape and (order_of(v) == order or repeated(v)) and (v.storage is not target.storage or v.key == target.key)
               for v in values_in(call.args))  # fmt: skip


def repeated(v):
    """True for one number that is shown as an array."""
    return v.storage.kind == "constant" and not any(v.strides)


class Chain:
    """Blockable calls one after the other, on arrays of one size."""

    def __init__(self, call):
        self.calls, self.keys = [], {}
        self.size, self.order = target_of(call).size, order_of(target_of(call))

    def takes(self, call):
        """True if the call belongs to this chain: nothing in it may look at the same memory in another way."""
        target = target_of(call)
        values = [v for v in (*call.reads(), *call.outputs) if v.shape]
        return (target.size, order_of(target)) == (self.size, self.order) and all(self.keys.get(v.storage, v.key) == v.key for v in values)

    def add(self, call):
        self.calls.append(call)
        self.keys.update((v.storage, v.key) for v in (*call.reads(), *call.outputs) if v.shape)


def chained(calls):
    """The calls in an order in which elementwise ones follow each other, and those as chains: a mean in between waits for their end."""
    result, waiting = [], []

    def flush():
        result.extend(waiting)
        waiting.clear()

    for call in calls:
        last = result[-1] if result and isinstance(result[-1], Chain) else None
        if blockable(call):
            made, read = {v.storage for w in waiting for v in w.outputs}, {v.storage for w in waiting for v in w.reads()}
            touched = {v.storage for v in (*call.reads(), *call.outputs)}
            if touched & made or {target_of(call).storage} & read:
                flush()
                last = None
            if last is None or not last.takes(call):
                flush()
                last = Chain(call)
                result.append(last)
            last.add(call)
        elif last is not None and call.kind in PURE and not call.writes and not call.varies and all(v.storage.kind == "made" for v in call.outputs):
            waiting.append(call)
        else:
            flush()
            result.append(call)
    flush()
    return [part for item in result for part in (item.calls if isinstance(item, Chain) and len(item.calls) < 2 else [item])]


def inside(chain, calls):
    """The storages that nothing outside of a chain looks at: a block of memory is enough for each."""
    mine = set(map(id, chain.calls))
    outside = {v.storage for c in calls if id(c) not in mine for v in (*c.reads(), *c.outputs)} | {s for c in calls if id(c) not in mine for s in c.writes}
    return {c.outputs[0].storage for c in chain.calls if c.outputs and c.outputs[0].storage not in outside}


def parts(array, size, turned):
    """The blocks of an array without gaps; of memory of one block, its beginnings."""
    flat = array.T.reshape(-1) if turned else array.reshape(-1)
    if flat.size < size:
        return [flat[: min(PIECE, size - i)] for i in range(0, size, PIECE)]
    return [flat[i : i + PIECE] for i in range(0, size, PIECE)]


__all__ = ["Chain", "chained", "inside", "parts", "repeated", "target_of"]
