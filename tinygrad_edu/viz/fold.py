"""Make a large graph small: modules, repeated blocks and stretches of operators become one box each, in linear time."""

from collections import Counter

import numpy as np

from . import trace

LONGEST = 64  # operators in a repeated block that is searched for without knowing the modules


class Box:
    """Several operators drawn as one box."""

    def __init__(self, nodes, title="", times=1, path=()):
        self.nodes, self.title, self.times, self.path = nodes, title, times, path

    def lines(self):
        """What is written in the box."""
        counts = Counter(node.op.name for node in self.nodes)
        each = Counter({k: n // self.times for k, n in counts.items()}) if self.times > 1 else counts
        most = ", ".join(k if n == 1 else f"{k} ×{n}" for k, n in each.most_common(4))
        more = f", {len(each) - 4} more kinds" if len(each) > 4 else ""
        head = f"{self.title or 'repeated block'} ×{self.times:,}" if self.times > 1 else self.title
        if len(self.nodes) == 1:
            return [line for line in (head, self.nodes[0].op.name) if line]
        return [line for line in (head, f"{len(self.nodes):,} operators folded", most + more) if line]


def by_modules(nodes, depth=None):
    """One box per call of a module (at most `depth` levels deep); operators outside of modules stay as they are."""
    places, last = [], None
    for node in nodes:
        path = node.note.module if node.note is not None else ()
        cut = path[:depth] if depth is not None else path
        if not cut:
            places.append(node)
            last = None
            continue
        whole = depth is None or len(path) <= depth
        same = last is not None and same_modules(last[0], cut) and (not whole or not last[1] or last[2] is path)
        if same:
            places[-1].nodes.append(node)
        else:
            places.append(Box([node], path=cut))
        last = (cut, whole, path)
    return places


def same_modules(a, b):
    """True for the same modules, one by one."""
    return len(a) == len(b) and all(x is y for x, y in zip(a, b))


def signatures(nodes):
    """A number per operator: equal where two are the same operator, of the same shape, fed from the same distances."""
    rank = {node: i for i, node in enumerate(nodes)}
    numbers: dict = {}
    out = np.empty(len(nodes), np.int64)
    for i, node in enumerate(nodes):
        distances = []
        for p in trace.parents(node):
            back = i - rank[p] if p in rank else None
            distances.append(back if back is None or back <= LONGEST else -1)
        out[i] = numbers.setdefault((node.op.name, node.shape, tuple(distances)), len(numbers))
    return out


def repeats(codes, longest=LONGEST, least=6):
    """[(start, period, times)] of stretches in which a block of `period` codes comes at least three times in a row."""
    found = []
    n = len(codes)
    for period in range(1, min(longest, n // 3) + 1):
        equal = np.concatenate(([0], (codes[period:] == codes[:-period]).astype(np.int8), [0]))
        edges = np.diff(equal)
        starts, ends = np.flatnonzero(edges == 1), np.flatnonzero(edges == -1)
        times = (ends - starts) // period + 1
        for k in np.flatnonzero(times >= 3)[:2000]:
            found.append((int(times[k]) * period, -period, int(starts[k]), int(times[k])))
    taken, chosen = np.zeros(n, bool), []
    for covered, minus, start, times in sorted(found, reverse=True):
        if covered >= least and not taken[start : start + covered].any():
            taken[start : start + covered] = True
            chosen.append((start, -minus, times))
    return sorted(chosen)


def by_repetition(nodes):
    """One box per stretch in which the same block of operators repeats; the others stay as they are."""
    places, at = [], 0
    for start, period, times in repeats(signatures(nodes)):
        places += nodes[at:start]
        at = start + period * times
        places.append(Box(nodes[start:at], times=times))
    return places + nodes[at:]


def by_stretch(places, most):
    """Neighbours in the order of computation put together until at most `most` boxes are left."""
    size = -(-len(places) // most)
    out = []
    for k in range(0, len(places), size):
        part = places[k : k + size]
        nodes = [n for p in part for n in (p.nodes if isinstance(p, Box) else [p])]
        single = len(part) == 1
        out.append(part[0] if single else Box(nodes, title=f"operators {places_before(out):,} …"))
    return out


def places_before(boxes):
    """How many operators the boxes so far hold, plus one."""
    return sum(len(b.nodes) if isinstance(b, Box) else 1 for b in boxes) + 1


def merged(places):
    """Stretches of boxes in which the same modules with the same operators come again and again become one box ×N."""
    numbers: dict = {}
    codes = np.empty(len(places), np.int64)
    for i, place in enumerate(places):
        key: object = i
        if isinstance(place, Box) and place.path:
            module = place.path[-1]
            key = (len(place.path), type(module).__name__, repr(module)[:400], tuple((n.op.name, n.shape) for n in place.nodes))
        codes[i] = numbers.setdefault(key, len(numbers))
    out, at, found = [], 0, repeats(codes, 16, 3)
    for k, (start, period, times) in enumerate(found):
        start = aligned(places, codes, start, period, times, found[k + 1][0] if k + 1 < len(found) else len(places))
        out += places[at:start]
        at = start + period * times
        nodes = [n for place in places[start:at] for n in place.nodes]
        first, last = places[start].path, places[at - 1].path
        level = next((k for k, (a, b) in enumerate(zip(first, last)) if a is not b), len(first) - 1)
        out.append(Box(nodes, times=times, path=first[: level + 1]))
    return out + places[at:]


def aligned(places, codes, start, period, times, end):
    """The start moved on, as far as the repetition allows, to where the module changes at the outermost level: whole layers."""
    best, least = start, None
    for shift in range(period):
        last = start + shift + period * times
        if last > end or shift and codes[last - 1] != codes[last - 1 - period]:
            break
        before, here = (places[k].path if k >= 0 and isinstance(places[k], Box) else () for k in (start + shift - 1, start + shift))
        common = next((k for k, (a, b) in enumerate(zip(before, here)) if a is not b), min(len(before), len(here)))
        if least is None or common < least:
            best, least = start + shift, common
    return best


def fold(nodes, most):
    """Operators → operators and boxes, at most about `most` of them; contiguous in the order of computation, so no cycles."""
    if len(nodes) <= most:
        return list(nodes)
    deepest = max((len(n.note.module) for n in nodes if n.note is not None), default=0)
    places = list(nodes)
    for depth in [None, *range(deepest - 1, 0, -1)] if deepest else []:
        places = merged(by_modules(nodes, depth))
        if len(places) <= most:
            return places
    if not deepest:
        places = by_repetition(nodes)
        if len(places) <= most:
            return places
    return by_stretch(places, max(most // 2, 2))
