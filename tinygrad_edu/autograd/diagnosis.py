"""Why a gradient is wrong: known mistakes are tried one after another, and one that explains every number is named.

Evidence holds what is claimed and what was measured, as matrices: a row per element of an input, a column per element of the
outputs. A hypothesis is a function of Evidence that is true if the claimed matrix is just what its mistake would give. It
must hold at the point that was checked and at another one nearby, so that a coincidence is not called a cause.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from itertools import permutations, product
from math import e, log, pi, sqrt

import numpy as np

from .engine import sum_to
from .finite_differences import flattened, slopes
from .function import stretches


@dataclass
class Cause:
    """One mistake by its kind (a word for programs), as a sentence (for people), and where it is."""

    kind: str
    sentence: str
    inputs: list = field(default_factory=list)
    where: str = ""

    def __str__(self):
        return self.sentence + (f" ({self.where})" if self.where else "")


@dataclass
class Evidence:
    """What is claimed (A) and what was measured (N) for one problem; `ignored` marks what no hypothesis needs to explain."""

    problem: object
    A: list
    N: list
    shapes: list  # of the outputs
    eps: float = 1e-6
    atol: float = 1e-5
    rtol: float = 1e-3
    ignored: dict = field(default_factory=dict)
    at: list | None = None  # the values of the inputs, for evidence from elsewhere
    lengths: list = field(default_factory=list)  # of the steps that were needed where eps was too long

    @cached_property
    def mixed(self):
        """The evidence with the values of each input at other places, three times: what depends on a place is told from what depends on a value."""
        found = []
        for seed in (5, 6, 7):
            rng = np.random.default_rng(seed)
            values = [rng.permutation(a.reshape(-1)).reshape(a.shape) if a.size > 1 else a for a in self.problem.elsewhere(seed)]
            found.append(elsewhere(self, values))
        return found

    def same(self, i, predicted, claimed=None):
        """True if `predicted` is what is claimed for input i, wherever the measurement is a number."""
        claimed = self.A[i] if claimed is None else claimed
        if predicted is None or np.shape(predicted) != claimed.shape:
            return False
        with np.errstate(all="ignore"):
            size = float(np.max(np.abs(claimed), initial=0.0))
            if not np.isfinite(size):
                return False
            allowed = min(self.atol, 1e-3 * size + 1e-9) + self.rtol * np.abs(predicted)
            wrong = np.abs(claimed - predicted) > allowed
        if i in self.ignored:
            wrong &= ~self.ignored[i]
        finite = np.isfinite(predicted) | ~np.isfinite(self.N[i]) if predicted.shape == self.N[i].shape else np.isfinite(predicted)
        return not wrong.any() and bool(finite.all())

    def shape(self, i):
        """The shape of input i."""
        return self.problem.arrays[i].shape

    @property
    def out_shape(self):
        """The shape of the output, if there is one only."""
        return self.shapes[0] if len(self.shapes) == 1 else None

    def wrong(self, i):
        """Where the claimed derivatives of input i differ from the measured ones."""
        with np.errstate(all="ignore"):
            wrong = ~(np.abs(self.A[i] - self.N[i]) <= self.atol + self.rtol * np.abs(self.N[i]))
        return wrong & ~self.ignored[i] if i in self.ignored else wrong


def gather(problem, eps, atol, rtol, inputs=None):
    """The Evidence for a problem: everything claimed, everything measured. Raises ValueError if a claim has a wrong shape."""
    with np.errstate(all="ignore"):
        outputs = problem.start()
        shapes = [o.shape for o in outputs]
        columns = problem.jacobian(shapes)
        claimed = [matrix(problem, i, column) for i, column in enumerate(columns)]
        measured = [slopes(problem, i, eps) for i in range(len(problem.arrays))]
    return Evidence(problem, claimed, measured, shapes, eps, atol, rtol)


class ShapeMismatch(ValueError):
    """A claimed gradient whose shape is not its input's."""

    def __init__(self, i, shape):
        super().__init__(f"the gradient of input {i} has shape {list(shape)}")
        self.i = i


def matrix(problem, i, gradients):
    """The gradients for all columns as a matrix; a gradient that is still broadcast is summed where the engine does that."""
    rows = [vector(problem, i, g) for g in gradients]
    return np.array(rows, np.float64).T if rows else np.zeros((problem.arrays[i].size, 0))


def vector(problem, i, g):
    """One gradient as a vector."""
    shape = problem.arrays[i].shape
    g = np.asarray(g)
    if g.shape != shape:
        if not problem.sums_broadcasts or not stretches(shape, g.shape):
            raise ShapeMismatch(i, g.shape)
        g = sum_to(g, shape)
    return g.reshape(-1)


# --- trying the hypotheses ---------------------------------------------------------------------------------------------------


@dataclass
class Hypothesis:
    """A mistake, the test whether it explains the evidence, and what a teacher would say."""

    kind: str
    explains: Callable
    sentence: str


VAGUE = {"permuted", "first_row", "edge", "one_element", "diagonal", "triangle", "added_constant", "averaged", "shifted", "overwritten", "first_only",
         "clipped", "stale"}  # fmt: skip


def explain(evidence, i):
    """The first mistake that explains all claimed derivatives of input i, here, nearby, and with the values in another order; or None."""
    others = None
    for make in HYPOTHESES:
        for hypothesis in make(evidence, i):
            if not safely(hypothesis.explains, evidence):
                continue
            if others is None:
                others = [E for E in (elsewhere(evidence), *evidence.mixed) if E is not None]
            if all(safely(hypothesis.explains, E) for E in others):
                return Cause(hypothesis.kind, hypothesis.sentence, [i])
    return None


def safely(test, evidence):
    """A test that may call the user's function at unusual places: what fails there does not explain anything."""
    try:
        with np.errstate(all="ignore"):
            problem = evidence.problem
            if evidence.at is None:
                return bool(test(evidence))
            with problem.moved_to(evidence.at):
                return bool(test(evidence))
    except Exception:  # a domain that was left, a shape that did not fit
        return False


def elsewhere(evidence, values=None):
    """The evidence at another point, or None where none can be had."""
    problem = evidence.problem
    if not callable(getattr(problem, "gradient", len)):
        return None  # gradients that were computed before belong to one point
    try:
        values = problem.elsewhere() if values is None else values
        with problem.moved_to(values):
            second = gather(problem, evidence.eps, evidence.atol, evidence.rtol)
        problem.start()
    except Exception:  # the function is not defined there
        return None
    if not all(np.isfinite(n).all() for n in second.N):
        return None
    second.at = values
    return second


# --- the hypotheses, the more special ones first ------------------------------------------------------------------------------


def not_finite(evidence, i):
    """NaN or infinity where the slope is a number."""
    bad = ~np.isfinite(evidence.A[i]) & np.isfinite(evidence.N[i])
    if bad.any():
        word = "NaN" if np.isnan(evidence.A[i][bad]).any() else "infinite"
        place = position(np.argwhere(bad)[0][0], evidence.shape(i))
        yield Hypothesis("not_finite", lambda E: True,
                         f"the gradient is {word} (first at {place}) where the slope is a finite number: look for 0/0, 0·inf, log(0) or "
                         "a square root at 0 in the derivative; np.where needs a safe argument in both branches")  # fmt: skip


def conjugate(evidence, i):
    """Complex numbers: a conjugate is missing."""
    if getattr(evidence.problem, "complex", [False] * (i + 1))[i]:
        rows = evidence.shape(i)[:-1]
        sign = np.broadcast_to([1.0, -1.0], (*rows, 2)).reshape(-1, 1)
        yield Hypothesis("conjugate", lambda E: E.same(i, sign * E.N[i]),
                         "the gradient is the complex conjugate of the right one: it points to where the result grows, ∂L/∂Re z + i·∂L/∂Im z")  # fmt: skip
        if evidence.A[i].shape[1] % 2 == 0 and all(s and s[-1] == 2 for s in evidence.shapes):
            pairs = (len(evidence.A[i]) // 2, 2, -1, 2)
            yield Hypothesis("conjugate", lambda E: E.same(i, E.N[i].reshape(pairs).swapaxes(1, 3).reshape(E.N[i].shape)),
                             "a conjugate is missing in the derivative: for y = f(z) the gradient of z is g · conj(f′(z)), not g · f′(z)")  # fmt: skip


def zero(evidence, i):
    """Nothing at all arrives."""
    if not evidence.A[i].any() and evidence.N[i].any():
        yield Hypothesis("zero", lambda E: not E.A[i].any(),
                         "the gradient is zero everywhere, and the slope is not: the derivative returns zeros or None for this input, "
                         "or a mask lets nothing through")  # fmt: skip


def no_dependence(evidence, i):
    """A gradient where the function does not change."""
    if evidence.A[i].any() and np.abs(evidence.N[i]).max(initial=0) <= evidence.atol:
        yield Hypothesis("no_dependence", lambda E: np.abs(E.N[i]).max(initial=0) <= E.atol and E.A[i].any(),
                         "the function does not change with this input, yet its gradient is not zero: the input may be unused, "
                         "rounded or compared, or its derivative belongs to another input")  # fmt: skip


def ignores_upstream(evidence, i):
    """The derivative does not depend on the gradient that comes in."""
    A, problem = evidence.A[i], evidence.problem
    if A.shape[1] < 2 or not A.any():
        return
    alike = lambda E: np.abs(E.A[i] - E.A[i][:, :1]).max() <= 1e-12 * np.abs(E.A[i]).max() and E.A[i].any()
    reacts = len(evidence.shapes) == 1 and not np.allclose(*(problem.pull(0, np.full(evidence.shapes[0], w))[i] for w in (1.0, 2.0)))
    if not reacts:
        yield Hypothesis("ignores_upstream", alike, IGNORES)
    for word, count in (("summed", 1), ("averaged", A.shape[1])) if reacts else ():
        yield Hypothesis("upstream_summed", lambda E, count=count: alike(E) and E.same(i, np.repeat(E.N[i].sum(1, keepdims=True) / count, E.N[i].shape[1], 1)),
                         f"the gradient that arrives from above is {word} to one number before it is used: each of its elements belongs to one "
                         "result, so multiply element by element (g · f′(x), not g.sum() · f′(x))")  # fmt: skip


IGNORES = ("the gradient does not depend on the gradient that arrives from above: the chain rule multiplies the two, so "
           "the factor g (grad_output) is missing")  # fmt: skip


def swapped(evidence, i):
    """The gradients of two inputs have changed places, or one was given the other's."""
    for j in range(len(evidence.A)):
        if j == i or evidence.shape(j) != evidence.shape(i):
            continue
        name, other = evidence.problem.names[i], evidence.problem.names[j]
        yield Hypothesis("swapped", lambda E, j=j: E.same(i, E.N[j]) and E.same(j, E.N[i]) and differ(E.N[i], E.N[j]),
                         f"the gradients of {name} and {other} have changed places: each got the other's; return them in the "
                         "order of the inputs")  # fmt: skip


def other_input(evidence, i):
    """One input's gradient is that of another."""
    for j in range(len(evidence.A)):
        if j == i or evidence.shape(j) != evidence.shape(i):
            continue
        other = evidence.problem.names[j]
        yield Hypothesis("other_input", lambda E, j=j: E.same(i, E.N[j]) and differ(E.N[i], E.N[j]),
                         f"this is the gradient of {other}: it was returned for {evidence.problem.names[i]} too, or instead")  # fmt: skip
        yield Hypothesis("operands_swapped", lambda E, j=j: E.same(i, with_swapped(E, i, j)) and differ(E.N[i], with_swapped(E, i, j)),
                         f"the formula of the derivative has {evidence.problem.names[i]} and {other} exchanged: it is right for the "
                         "function called with the two the other way round")  # fmt: skip


def counted_twice(evidence, i):
    """The gradient of another input is added."""
    for j in range(len(evidence.A)):
        if j != i and evidence.shape(j) == evidence.shape(i):
            yield Hypothesis("counted_twice", lambda E, j=j: E.same(i, E.N[i] + E.N[j]) and differ(E.N[j], 0 * E.N[j]),
                             f"the gradient of {evidence.problem.names[j]} is added to that of {evidence.problem.names[i]}: each input gets its own part only, "
                             "and where one tensor is given for both, the engine adds the two")  # fmt: skip


def differ(P, Q):
    """True if two matrices are not the same, so that telling them apart means something."""
    return P.shape != Q.shape or not np.allclose(P, Q, 1e-3, 1e-6)


def with_swapped(evidence, i, j):
    """The measured slopes of input i with the values of inputs i and j exchanged."""
    values = [a.copy() for a in evidence.problem.arrays]
    values[i], values[j] = values[j], values[i]
    with evidence.problem.moved_to(values):
        return slopes(evidence.problem, i, evidence.eps)


def axes_exchanged(evidence, i):
    """Transposed: the input's axes, or those of the gradient that arrives, are in another order."""
    shape, N = evidence.shape(i), evidence.N[i]
    for a in range(len(shape)):
        for b in range(a + 1, len(shape)):
            if shape[a] == shape[b] > 1:
                yield Hypothesis("transposed", lambda E, a=a, b=b: E.same(i, cube(E, i).swapaxes(a, b).reshape(E.N[i].shape)),
                                 "the gradient is the transpose of the right one: rows and columns have changed places"
                                 + (f" (axes {a} and {b})" if len(shape) > 2 else "") + "; for y = x @ W it is g @ W.T and x.T @ g")  # fmt: skip
    for order in permutations(range(len(shape))) if 2 <= len(shape) <= 4 else ():
        if list(order) != sorted(order):
            yield Hypothesis("reshaped", lambda E, order=order: differ(E.A[i], E.N[i]) and E.same(i, np.ascontiguousarray(
                                 cube(E, i).transpose(*order, len(shape))).reshape(E.N[i].shape)),
                             "the numbers are right, but in the order of the transpose: reshape was used where "
                             + (".T is needed" if len(shape) == 2 else "the axes have to be exchanged (permute with the inverse order)"))  # fmt: skip
    out = evidence.out_shape
    if out is not None and len(out) >= 2:
        for a in range(len(out)):
            for b in range(a + 1, len(out)):
                if out[a] == out[b] > 1:
                    axes = stretched_axes(shape, out)
                    wrong_sum = axes is not None and len(axes) == 1 and axes[0] in (a, b) and stretches_only(evidence, i)
                    other = a + b - axes[0] if wrong_sum else 0
                    yield Hypothesis("missing_sum" if wrong_sum else "upstream_transposed",
                                     lambda E, a=a, b=b: E.same(i, E.N[i].reshape(-1, *out).swapaxes(a + 1, b + 1).reshape(E.N[i].shape)),
                                     f"the sum goes over the wrong axis: it was broadcast along axis {axes[0]}, and the gradient is summed along axis {other}"
                                     if wrong_sum else "the gradient that arrives from above is used transposed: take g, not g.T")  # fmt: skip
    if N.shape[0] == N.shape[1] > 1 and differ(N, N.T):
        yield Hypothesis("not_adjoint", lambda E: E.same(i, E.N[i].T),
                         "the forward operation is applied to the gradient; going back needs its transpose (the adjoint): a sum from "
                         "the left becomes one from the right, A @ x becomes A.T @ g, a shift to the right one to the left")  # fmt: skip


def stretches_only(evidence, i):
    """True if each element of the output depends on that element of input i alone which broadcasting puts there."""
    shape = evidence.shape(i)
    owner = np.broadcast_to(np.arange(int(np.prod(shape))).reshape(shape), evidence.out_shape).reshape(-1)
    return not np.abs(evidence.N[i][np.arange(len(evidence.N[i]))[:, None] != owner]).max(initial=0) > evidence.atol


def cube(evidence, i):
    """The measured slopes with the input's axes first and one axis for all outputs."""
    return evidence.N[i].reshape(*evidence.shape(i), -1)


CONSTANTS = {2: "twice", 0.5: "half", -1: "the negative of", -2: "minus twice", -0.5: "minus half", 3: "three times", 4: "four times",
             0.25: "a quarter of"}  # fmt: skip
NAMED = {pi: "π", 1 / pi: "1/π", 2 * pi: "2π", 1 / (2 * pi): "1/(2π)", pi / 180: "π/180 (degrees and radians?)", 180 / pi: "180/π (degrees and radians?)",
         log(2): "ln 2 (the base of a logarithm?)", 1 / log(2): "1/ln 2 (the base of a logarithm?)",
         log(10): "ln 10 (the base of a logarithm?)", 1 / log(10): "1/ln 10 (the base of a logarithm?)", e: "e", 1 / e: "1/e",
         sqrt(2): "√2", 1 / sqrt(2): "1/√2", sqrt(2 * pi): "√(2π)", 1 / sqrt(2 * pi): "1/√(2π)", 2 / sqrt(pi): "2/√π", sqrt(pi) / 2: "√π/2"}  # fmt: skip


def factor(evidence, i):
    """A constant times the right gradient: 2, ½, −1, 1/N, …"""
    A, N = evidence.A[i], evidence.N[i]
    keep = np.isfinite(A) & np.isfinite(N)
    if i in evidence.ignored:
        keep &= ~evidence.ignored[i]
    square = float((N[keep] ** 2).sum())
    if not square:
        return
    c = float((A[keep] * N[keep]).sum()) / square
    near = next((k for k in CONSTANTS if abs(c - k) <= 2e-4 * abs(k)), None)
    c = float(near) if near is not None else c
    test = lambda E: E.same(i, c * E.N[i])
    stretched = broadcast_count(evidence, i)
    if stretched and abs(c * stretched - 1) < 2e-4:
        axes = words(stretched_axes(evidence.shape(i), evidence.out_shape))
        yield Hypothesis("mean_not_sum", test,
                         f"the gradient is averaged over the broadcast {axes} (1/{stretched} of the slope): each of the {stretched} "
                         "uses adds its share, so it must be summed, not averaged")  # fmt: skip
    if c == 2:
        yield Hypothesis("factor", test, "the gradient is exactly twice the slope, everywhere: a factor 2 too many. Is the same "
                         f"contribution added twice, or is there a ½ in the function that the derivative has lost{mean_of_two(evidence)}?")  # fmt: skip
    elif c == 0.5:
        yield Hypothesis("factor", test, "the gradient is exactly half the slope, everywhere: a factor 2 is missing. The derivative of x² is "
                         f"2x, not x: bring the exponent down{', unless it is a mean' * bool(two := mean_of_two(evidence))}{two}")  # fmt: skip
    elif c == -1:
        yield Hypothesis("factor", test, "the gradient is exactly the negative of the slope, everywhere: the sign is wrong. Look for y − t "
                         "where t − y is meant, or a minus lost on the way")  # fmt: skip
    else:
        size = None if c in (-2, -0.5) else size_of(evidence, i, c)
        near = next((k for k in NAMED if abs(abs(c) / k - 1) < 2e-4), None)
        norm = float(np.sqrt(square))
        if size:
            yield Hypothesis("size_factor", test, f"the gradient is {size}: " + (
                "a mean's 1/n was taken where the function sums, or taken twice" if abs(c) < 1 else
                "the 1/n of a mean is missing, or that of another axis was taken") + (", and the sign is wrong" if c < 0 else ""))  # fmt: skip
        if N.shape[1] == 1 and abs(c * norm - 1) < 2e-4 and norm > 0 and N.size > 1:
            yield Hypothesis("normalised", lambda E: E.same(i, E.N[i] / np.linalg.norm(E.N[i])),
                             "the gradient was scaled to length 1: its direction is right, its length is lost (clipped or normalised?)")  # fmt: skip
        named = CONSTANTS.get(c) or (f"{'minus ' if c < 0 else ''}{NAMED[near]} times" if near else f"{c:.5g} times")
        yield Hypothesis("factor", test, f"the gradient is {named} the slope, everywhere: look for that constant factor in the derivative")  # fmt: skip


def mean_of_two(evidence):
    """A hint where 2 is the size of something, so that a factor 2 may be that of a mean; the same one for all inputs."""
    sizes = sizes_of(evidence, 0)
    sums = any((uses.sum(0) > 1).any() or (uses.sum(1) > 1).any() for uses in (np.abs(N) > evidence.atol for N in evidence.N))
    return f", as of a mean over 2 = {sizes[2]}" if 2 in sizes and sums else ""  # not where all is element by element


def sizes_of(evidence, i):
    """{number: what has that size} of the outputs, the inputs, and the arrays that the function uses besides."""
    problem, known = evidence.problem, {}
    for k, s in enumerate(evidence.shapes):
        known.setdefault(int(np.prod(s)), "the elements of the output" if len(evidence.shapes) == 1 else f"the elements of output {k}")
    order = [i, *(j for j in range(len(problem.arrays)) if j != i)]
    extra = [(f"{name}", np.shape(x)) for name, x in getattr(problem, "constants", ())]
    for name, shape in [*((problem.names[j], evidence.shape(j)) for j in order), *extra]:
        known.setdefault(int(np.prod(shape)), f"the elements of {name}")
        for axis, n in enumerate(shape):
            known.setdefault(n, f"the size of axis {axis} of {name}")
    for s in evidence.shapes:
        for axis, n in enumerate(s):
            known.setdefault(n, f"the size of axis {axis} of the output")
    return known


def size_of(evidence, i, c):
    """What a factor is, in words, if it is made of sizes: "1/6 (6 = the elements of x) of"."""
    known = sizes_of(evidence, i)
    for forms in (lambda n: ((n, f"{n} times"), (1 / n, f"1/{n} of")),  # the simple ones first, for all sizes
                  lambda n: ((n * n, f"{n}² times"), (1 / n**2, f"1/{n}² of"), (2 / n, f"2/{n} of"), (n / 2, f"{n}/2 times"), (sqrt(n), f"√{n} times"),
                             (1 / sqrt(n), f"1/√{n} of"))):  # fmt: skip
        for n, what in known.items():
            for value, text in forms(n) if n > 1 else ():
                if abs(abs(c) / value - 1) < 2e-4:
                    return f"{'minus ' if c < 0 else ''}{text} the slope, everywhere ({n} = {what})"
    for n, m in product(known, known):
        if 1 < n != m > 1 and known[n][-20:] != known[m][-20:] and abs(abs(c) * m / n - 1) < 2e-4:
            return f"{'minus ' if c < 0 else ''}{n}/{m} of the slope, everywhere ({n} = {known[n]}, {m} = {known[m]})"
    return None


def stretched_axes(shape, out):
    """The axes of the output along which an input of this shape is broadcast; None if it is not."""
    if out is None or len(out) < len(shape):
        return None
    lead = len(out) - len(shape)
    if any(n != m and n != 1 for n, m in zip(shape, out[lead:])):
        return None
    return [a for a in range(lead) if out[a] != 1] + [a + lead for a, n in enumerate(shape) if n == 1 != out[a + lead]]


def broadcast_count(evidence, i):
    """How many elements of the output share one element of input i by broadcasting; 0 if they do not."""
    axes = stretched_axes(evidence.shape(i), evidence.out_shape)
    return int(np.prod([evidence.out_shape[a] for a in axes])) if axes else 0


def words(axes):
    """axis 0, axes 0 and 2"""
    names = [str(a) for a in axes]
    return f"axis {names[0]}" if len(names) == 1 else f"axes {', '.join(names[:-1])} and {names[-1]}"


def part_of_outputs(evidence, i):
    """Only some elements of the gradient that arrives are used."""
    A, N = evidence.A[i], evidence.N[i]
    used = np.abs(A).max(0, initial=0) > 1e-9
    lost = ~used & (np.abs(N).max(0, initial=0) > evidence.atol)
    if not lost.any() or not used.any():
        return
    if len(evidence.shapes) > 1:
        ends = np.cumsum([0, *(int(np.prod(s)) for s in evidence.shapes)])
        for k in range(len(evidence.shapes)):
            inside = np.arange(len(lost))
            inside = (inside >= ends[k]) & (inside < ends[k + 1])
            if (lost <= inside).all() and not used[inside].any():
                yield Hypothesis("output_ignored", lambda E, inside=inside: E.same(i, np.where(inside, 0, E.N[i])),
                                 f"the gradient that arrives at output {k} is ignored: its contribution must be added to that of the "
                                 "others")  # fmt: skip
        return
    out = evidence.out_shape
    uses = np.abs(N) > evidence.atol
    last = uses & (np.cumsum(uses[:, ::-1], axis=1)[:, ::-1] == 1)
    first = uses & (np.cumsum(uses, axis=1) == 1)
    for axis, n in enumerate(out):
        for index, name in ((0, "first"), (n - 1, "last")):
            mask = np.zeros(out, bool)
            mask[(slice(None),) * axis + (index,)] = True
            mask = mask.reshape(-1)
            if n > 1 and (used <= mask).all():
                axes = stretched_axes(evidence.shape(i), out)
                text = (f"the sum over the broadcast axis {axis} is missing: only the {name} of its {n} entries is used. What was "
                        "stretched going forward is summed going back") if axes and axis in axes else (
                       f"only the {name} entry along axis {axis} of the gradient that arrives is used, and there are {n}")  # fmt: skip
                kind = "missing_sum" if axes and axis in axes else "first_only"
                yield Hypothesis(kind, lambda E, mask=mask: E.same(i, np.where(mask, E.N[i], 0)), text)
    for mask, name in ((last, "last"), (first, "first")):
        if (uses.sum(1) > 1).any():
            yield Hypothesis("overwritten", lambda E, mask=mask: E.same(i, np.where(mask, E.N[i], 0)),
                             f"where an element is used several times, only its {name} use counts: contributions are overwritten where "
                             "they must be added (+= instead of =, np.add.at instead of z[index] = g)")  # fmt: skip


def passed_on(evidence, i):
    """The gradient is handed on as it came: the step's own derivative is missing."""
    A = evidence.A[i]
    if not evidence.wrong(i).any(1).all():
        return
    if A.shape[0] == A.shape[1] and evidence.out_shape is not None:
        yield Hypothesis("passed_on", lambda E: E.same(i, np.eye(len(E.A[i]))),
                         "the gradient that arrives is passed on unchanged: the factor of the chain rule, the derivative of this step "
                         "itself, is missing")  # fmt: skip
    elif A.shape[1] == 1 and A.shape[0] > 1:
        yield Hypothesis("all_ones", lambda E: E.same(i, np.ones_like(E.A[i])),
                         "every derivative is 1: only the gradient of a sum is there, the derivative of what is summed is missing")  # fmt: skip


def wrong_point(evidence, i):
    """The right formula at the wrong point: out where x belongs, or the other way round; the value instead of the derivative."""
    if evidence.out_shape != evidence.shape(i) or not evidence.A[i].size or evidence.A[i].shape[0] != evidence.A[i].shape[1]:
        return
    problem = evidence.problem

    def values(E):
        return np.asarray(problem.evaluate()[0], np.float64)

    def there(E):
        moved = [a.copy() for a in problem.arrays]
        moved[i] = values(E)
        return moved

    def expects_output(E):
        with problem.moved_to(there(E)):
            claimed = matrix(problem, i, problem.jacobian(E.shapes)[i])
        return E.same(i, E.N[i], claimed)

    def at_output(E):
        with problem.moved_to(there(E)):
            return E.same(i, slopes(problem, i, E.eps))

    yield Hypothesis("value", lambda E: E.same(i, np.diag(values(E).reshape(-1))),
                     "this is the value of the function, not its derivative")  # fmt: skip
    if differ(np.asarray(problem.arrays[i], np.float64), np.asarray(problem.evaluate()[0], np.float64)):
        yield Hypothesis("expects_output", expects_output,
                         "the formula of the derivative is written for the result, and is given the input: s·(1 − s) is the slope of the "
                         "sigmoid where s is its output, 1 − t² that of tanh where t is its output")  # fmt: skip
        yield Hypothesis("at_output", at_output,
                         "the derivative is taken at the result instead of the input: save x in the forward pass and use that")  # fmt: skip


def transformed(evidence, i):
    """The right numbers after something was done to each."""
    N = evidence.N[i]
    if (N < 0).any():
        yield Hypothesis("sign_lost", lambda E: E.same(i, np.abs(E.N[i])), "the sizes are right, and all are positive: the sign was lost "
                         "(abs, a square root of a square?)")  # fmt: skip
    yield Hypothesis("reciprocal", lambda E: E.same(i, np.where(np.abs(E.N[i]) > 1e-12, 1 / np.where(np.abs(E.N[i]) > 1e-12, E.N[i], 1), 0)),
                     "the gradient is 1 divided by the slope: multiply where it divides, or divide where it multiplies (the derivative of the "
                     "inverse function?)")  # fmt: skip
    yield Hypothesis("squared", lambda E: E.same(i, E.N[i] ** 2) or E.same(i, np.sign(E.N[i]) * E.N[i] ** 2),
                     "each derivative is the square of the slope: a factor is multiplied in twice")  # fmt: skip
    yield Hypothesis("at_negative", lambda E: differ(E.A[i], E.N[i]) and E.same(i, slopes_with(E, i, i, np.negative)),
                     "the derivative is taken at −x instead of x: a sign inside of it is wrong (exp(−x) for exp(x)?)")  # fmt: skip
    yield from value_too_often(evidence, i)
    yield from value_of_inputs(evidence, i)
    limit = float(np.abs(evidence.A[i]).max(initial=0))
    at_limit = int((np.abs(np.abs(evidence.A[i]) - limit) < 1e-12).sum())
    if limit and at_limit > 1 and (np.abs(N) > limit * 1.01).any() and at_limit == (np.abs(N) >= limit * 0.999).sum():
        yield Hypothesis("clipped", lambda E: E.same(i, np.clip(E.N[i], -limit, limit)),
                         f"the gradient is cut off at ±{limit:.4g}: clip gradients after back propagation, not in a derivative")  # fmt: skip


def value_too_often(evidence, i):
    """The function's own value is a factor too many, or too few: norms, determinants, exponentials, roots."""
    for power, sentence in ((1, "a factor is missing or too many: the gradient is the slope times the value of the function. Divide by the result (the derivative "
                                "of √u is u′/(2√u), that of a norm x/|x|)"),
                            (-1, "the value of the function is missing as a factor: the gradient is the slope divided by it. Multiply by the result (the "
                                 "derivative of exp(u) is exp(u)·u′, that of det(A) is det(A)·A⁻ᵀ)")):  # fmt: skip
        yield Hypothesis("value_factor", lambda E, power=power: differ(E.A[i], E.N[i]) and E.same(i, E.N[i] * flattened(E.problem.evaluate()) ** power), sentence)


def value_of_inputs(evidence, i):
    """An input is a factor too many, or too few: xⁿ for xⁿ⁻¹, 1/x for 1/x²."""
    problem = evidence.problem
    for j in [i, *(j for j in range(len(problem.arrays)) if j != i)]:
        if evidence.shape(j) != evidence.shape(i) or not np.asarray(problem.arrays[j]).all():
            continue
        name = problem.names[j]
        for power, sentence in ((1, f"{name} is a factor too many: an exponent was not lowered (the derivative of xⁿ is n·xⁿ⁻¹, that of 1/x is −1/x²)"),
                                (-1, f"{name} is missing as a factor: an exponent was lowered too far, or {name} divides where it does not belong")):  # fmt: skip
            yield Hypothesis("input_factor", lambda E, j=j, power=power: E.same(i, E.N[i] * column(E, j) ** power), sentence)


def of_one(evidence, i):
    """Each result is one of the inputs, chosen by a condition: who gets the gradient?"""
    N = evidence.N[i]
    chosen = np.abs(np.concatenate(evidence.N)) > evidence.atol
    if N.size > 1 and (chosen.sum(0) <= 1).all() and chosen.any():
        yield Hypothesis("mask_missing", lambda E: spread(E, i), "the gradient goes to all that a result might have been taken from; only the element that it "
                         "was taken from (the largest?) gets it, the others get 0")  # fmt: skip
    if N.shape[0] == N.shape[1] > 1 and not (N - np.diag(np.diag(N))).any() and not np.diag(N).all():
        yield Hypothesis("mask_inverted", lambda E: not (E.A[i] - np.diag(np.diag(E.A[i]))).any() and bool(
                             ((np.abs(np.diag(E.A[i])) > 1e-9) != (np.abs(np.diag(E.N[i])) > 1e-9)).all()),
                         "the condition is the wrong way round: the gradient is 0 exactly where the slope is not, and the other way round")  # fmt: skip


def spread(E, i):
    """True if the gradient of each result goes to the right element, and in the same size to others as well."""
    A, N = E.A[i], E.N[i]
    chosen = np.abs(N) > E.atol
    given = np.abs(A) > E.atol
    sizes = np.broadcast_to(np.concatenate(E.N).sum(0), N.shape)
    return bool((given[chosen]).all() and (given & ~chosen).any() and np.allclose(A[given], sizes[given], 1e-3, 1e-6))


def rounded_input(evidence, i):
    """The derivative at the input cast to an integer."""
    x = np.asarray(evidence.problem.arrays[i])
    if x.size and (x != np.floor(x)).any():
        for name, change in (("floor", np.floor), ("round", np.round), ("trunc", np.trunc)):
            yield Hypothesis("rounded", lambda E, change=change: not np.array_equal(change(E.problem.arrays[i]), E.problem.arrays[i])
                             and E.same(i, slopes_with(E, i, i, change)),
                             f"the derivative is taken at the rounded input ({name}): a cast to integers, or // instead of /")  # fmt: skip


def flipped_operand(evidence, i):
    """The right formula with an operand in reverse order: kernels of convolutions."""
    for j, other in enumerate(evidence.problem.arrays):
        axes = [a for a, n in enumerate(np.shape(other)) if n > 1]
        for chosen in {tuple(axes[-1:]), tuple(axes[-2:]), tuple(axes)} - {()}:
            yield Hypothesis("flipped", lambda E, j=j, chosen=chosen: differ(E.A[i], E.N[i]) and E.same(i, slopes_with(E, i, j, lambda v: np.flip(v, chosen))),
                             f"{evidence.problem.names[j]} enters the derivative in reverse order: what the forward pass applies from the left goes back from "
                             "the right, so a kernel is flipped exactly once")  # fmt: skip


def slopes_with(E, i, j, change):
    """The slopes of input i where input j was changed."""
    values = [a.copy() for a in E.problem.arrays]
    values[j] = change(values[j])
    with E.problem.moved_to(values):
        return slopes(E.problem, i, E.eps)


def second_derivative(evidence, i):
    """The derivative of the derivative."""
    N = evidence.N[i]
    if N.shape[0] == N.shape[1] > 1 and not np.abs(N - np.diag(np.diag(N))).max() > evidence.atol or N.shape[1] == 1:
        yield Hypothesis("second_derivative", lambda E: E.same(i, (slopes_with(E, i, i, lambda v: v + 1e-3) - slopes_with(E, i, i, lambda v: v - 1e-3)) / 2e-3)
                         and differ(E.A[i], E.N[i]), "this is the second derivative: the function was differentiated once too often")  # fmt: skip


def stale(evidence, i):
    """What was saved by an earlier call."""
    second = evidence.mixed[0]
    if second is not None and evidence.A[i].any() and np.array_equal(second.A[i], evidence.A[i]) and differ(second.N[i], evidence.N[i]):
        yield Hypothesis("stale", lambda E: np.array_equal(E.A[i], evidence.A[i]),
                         "the gradient stays the same when the inputs change, and the slope does not: it is computed from values that were kept from an "
                         "earlier call, or only from constants; save the inputs of this call, and use them")  # fmt: skip


def shifted(evidence, i):
    """Right numbers at the wrong places."""
    shape, out = evidence.shape(i), evidence.out_shape
    for axis, n in enumerate(shape):
        if n > 1:
            tail = f" along axis {axis}" if len(shape) > 1 else ""
            yield Hypothesis("reversed", lambda E, axis=axis: E.same(i, np.flip(cube(E, i), axis).reshape(E.N[i].shape)),
                             f"the right numbers in reverse order{tail}: the last comes first")  # fmt: skip
            for step in (1, -1):
                if n > 2 or step == 1:
                    yield Hypothesis("shifted", lambda E, axis=axis, step=step: E.same(i, np.roll(cube(E, i), step, axis).reshape(E.N[i].shape)),
                                     f"the right numbers, shifted by one place{tail}: an index is off by one")  # fmt: skip
                    yield Hypothesis("shifted", lambda E, axis=axis, step=step: E.same(i, slid(cube(E, i), step, axis).reshape(E.N[i].shape)),
                                     f"the right numbers, shifted by one place{tail}, with zeros moving in: an index is off by one")  # fmt: skip
    if out is not None:
        for axis, n in enumerate(out):
            if n > 1:
                tail = f" along axis {axis}" if len(out) > 1 else ""
                yield Hypothesis("upstream_reversed",
                                 lambda E, axis=axis: E.same(i, np.flip(E.N[i].reshape(-1, *out), axis + 1).reshape(E.N[i].shape)),
                                 f"the gradient that arrives is read in reverse order{tail}")  # fmt: skip
                for step, move in product((1, -1), (np.roll, slid)) if n > 2 else ():
                    yield Hypothesis("upstream_shifted",
                                     lambda E, axis=axis, step=step, move=move: E.same(i, move(E.N[i].reshape(-1, *out), step, axis + 1).reshape(E.N[i].shape)),
                                     f"the gradient that arrives is read one place off{tail}: an index, a slice or a padding is off by one")  # fmt: skip
    if len(shape) == 1 and shape[0] > 2 or len(shape) > 1:
        yield Hypothesis("permuted", permuted_rows(i), "the right numbers at the wrong places: the elements are in another order (undo the "
                         "permutation with its inverse: argsort of it)")  # fmt: skip


def averaged(evidence, i):
    """One number for all elements along an axis."""
    for axis, n in enumerate(evidence.shape(i)):
        if n > 1:
            for name, reduce in (("mean", np.mean), ("sum", np.sum)):
                yield Hypothesis("averaged", lambda E, axis=axis, reduce=reduce: differ(E.A[i], E.N[i]) and E.same(i, np.broadcast_to(
                                     reduce(cube(E, i), axis=axis, keepdims=True), cube(E, i).shape).reshape(E.N[i].shape)),
                                 f"all elements along axis {axis} have the same derivative, the {name} of the right ones: it was reduced over an axis "
                                 "that the input has, too")  # fmt: skip


def slid(values, step, axis):
    """Shifted by one place, with zeros moving in."""
    result = np.roll(values, step, axis)
    result[(slice(None),) * axis + (0 if step == 1 else -1,)] = 0
    return result


def permuted_rows(i):
    """A test: the rows of the claimed matrix are those of the measured one, in another order."""

    def test(E):
        A, N = E.A[i], E.N[i]
        size = np.abs(N).max(initial=0)
        if len(np.unique(np.round(N / (size or 1), 4), axis=0)) < min(3, len(N)):
            return False
        free = list(range(len(N)))
        for row in A:
            found = next((k for k in free if np.allclose(row, N[k], E.rtol, 1e-4 * size)), None)
            if found is None:
                return False
            free.remove(found)
        return True

    return test


def cross_terms(evidence, i):
    """Each element treated alone, where all depend on each other."""
    N, shape = evidence.N[i], evidence.shape(i)
    if N.shape[0] == N.shape[1] > 1:
        off = N - np.diag(np.diag(N))
        if np.abs(off).max() > 10 * evidence.atol:
            yield Hypothesis("diagonal_only", lambda E: E.same(i, np.diag(np.diag(E.N[i]))),
                             "each result is treated as if it depended on its own input only: the diagonal is right, the mixed terms (as of "
                             "softmax: −sᵢ·sⱼ) are missing")  # fmt: skip
            yield Hypothesis("diagonal_missing", lambda E: off_diagonal(E, i),
                             "the mixed terms are right, and how each result depends on its own input is wrong: the diagonal of the Jacobian (as "
                             "of softmax: sᵢ·(1 − sᵢ)) has a term missing")  # fmt: skip
    for axis, n in enumerate(shape):
        if n > 1:
            yield Hypothesis("mean_constant", lambda E, axis=axis: mean_constant(E, i, axis),
                             f"the mean along axis {axis} was treated as a constant: it depends on every element, so its derivative (minus the "
                             "mean of the gradient) is missing")  # fmt: skip


def off_diagonal(E, i):
    """True if all but the diagonal is right."""
    wrong, eye = E.wrong(i), np.eye(len(E.N[i]), dtype=bool)
    return bool(wrong[eye].all() and not wrong[~eye].any() and np.abs(E.N[i][~eye]).max() > 10 * E.atol)


def mean_constant(E, i, axis):
    claimed = E.A[i].reshape(*E.shape(i), -1)
    return differ(E.A[i], E.N[i]) and E.same(i, E.N[i], (claimed - claimed.mean(axis, keepdims=True)).reshape(E.A[i].shape))


def added(evidence, i):
    """Something is added to the right gradient."""
    D = evidence.A[i] - evidence.N[i]
    x = np.asarray(evidence.problem.arrays[i], np.float64).reshape(-1, 1)
    if not D.size or i in evidence.ignored and evidence.ignored[i].any():
        return
    c = float(np.median(D))
    if abs(c) > evidence.atol and D.size > 1:
        yield Hypothesis("added_constant", lambda E: E.same(i, E.N[i] + c), f"a constant {c:+.4g} is added to every derivative")
    name = evidence.problem.names[i]
    if D.shape[1] == 1 and x.any():
        slope = float((D * x).sum() / (x * x).sum())
        if abs(slope) > 1e-9:
            yield Hypothesis("weight_decay", lambda E: E.same(i, E.N[i] + slope * column(E, i)),
                             f"the gradient holds {slope:.4g} · {name} more than the function has: a weight decay (L2 penalty) is in only one of the two"
                             if slope > 0 else f"{-slope:.4g} · {name} is missing in the gradient: the derivative of a square, as of a weight decay "
                             "(L2 penalty), was forgotten, or taken in part")  # fmt: skip
        sign = float(np.median(D * np.sign(x)))
        if abs(sign) > evidence.atol:
            yield Hypothesis("l1_penalty", lambda E: E.same(i, E.N[i] + sign * np.sign(column(E, i))),
                             f"the gradient holds {sign:.4g} · sign({name}) more than the function has: an L1 penalty is in only one of the two"
                             if sign > 0 else f"{-sign:.4g} · sign({name}) is missing in the gradient: an L1 penalty is in only one of the two")  # fmt: skip


def column(E, i):
    return np.asarray(E.problem.arrays[i], np.float64).reshape(-1, 1)


def outputs_swapped(evidence, i):
    """The gradients that arrive at two outputs have changed places."""
    shapes = evidence.shapes
    ends = np.cumsum([0, *(int(np.prod(s)) for s in shapes)])
    for a in range(len(shapes)):
        for b in range(a + 1, len(shapes)):
            if shapes[a] == shapes[b]:
                order = np.arange(ends[-1])
                order[ends[a] : ends[a + 1]], order[ends[b] : ends[b + 1]] = np.arange(ends[b], ends[b + 1]), np.arange(ends[a], ends[a + 1])
                yield Hypothesis("outputs_swapped", lambda E, order=order: E.same(i, E.N[i][:, order]),
                                 f"the gradients that arrive at outputs {a} and {b} have changed places")  # fmt: skip


def part_right(evidence, i):
    """Only part of the elements is wrong: which part, and how."""
    wrong = evidence.wrong(i)
    rows = wrong.any(1)
    if rows.all() or not rows.any() or len(rows) < 2:
        return
    x = np.asarray(evidence.problem.arrays[i], np.float64)
    by_value, by_place = of_values(rows, x.reshape(-1)), of_places(rows, evidence.shape(i))
    others = [E for E in evidence.mixed if E is not None and np.isfinite(E.A[i]).all()]
    if others:  # with the values at other places: what is wrong stayed, or went with them
        there = [(E.wrong(i).any(1), E.at[i].reshape(-1)) for E in others]
        stayed = all((wrong == rows).all() for wrong, _ in there)
        went = by_value is not None and all(of_values(wrong, values, by_value[1]) for wrong, values in there) \
            and any(wrong.any() and not wrong.all() for wrong, _ in there)  # fmt: skip
        by_value, by_place = by_value if went and not stayed else None, by_place if stayed else None
    place = by_value or by_place
    if place is None:
        return
    kind, text = place
    A, N = evidence.A[i][rows], evidence.N[i][rows]
    how = ""
    with np.errstate(all="ignore"):
        c = float((A * N).sum() / (N * N).sum()) if N.any() else np.nan
        if not A.any():
            how = ": there it is zero"
        elif not (np.abs(N) > evidence.atol).any():
            how = ": there it should be zero"
        elif np.isfinite(c) and np.allclose(A, c * N, 1e-3, 1e-3 * np.abs(A).max()):
            how = f": there it is {CONSTANTS.get(round(c, 3), f'{c:.4g} times')} the slope"
    advice = {"first_row": "; is it the loop, or the index, that handles only one?", "sign_case": "; that case of the derivative is missing or wrong",
              "one_element": "", "edge": "; look at how the border is handled"}.get(kind, "")  # fmt: skip
    yield Hypothesis(kind, lambda E: True if E.at is not None else bool((E.wrong(i).any(1) == rows).all()), f"{text}{how}{advice}")


def of_values(rows, flat, expected=None):
    """What the values of the wrong elements have in common: (kind, sentence), or None; with the sentence `expected`: is it that?"""
    if expected is not None:
        found = of_values(rows, flat)
        return not rows.any() or rows.all() or found is not None and found[1].partition(":")[0] == expected.partition(":")[0]
    for test, text in ((flat < 0, "negative"), (flat > 0, "positive"), (flat == 0, "zero")):
        if (rows == test).all() and test.any() and not test.all():
            return "sign_case", f"the gradient is wrong exactly where the input is {text}"
    if len(flat) > 3 and rows.any() and not rows.all():
        above, below = flat[rows], flat[~rows]
        if above.min() > below.max():
            return "sign_case", f"the gradient is wrong where the input is large: from {above.min():.4g} on, and right up to {below.max():.4g}"
        if above.max() < below.min():
            return "sign_case", f"the gradient is wrong where the input is small: up to {above.max():.4g}, and right from {below.min():.4g} on"
        above, below = np.abs(flat[rows]), np.abs(flat[~rows])
        if above.min() > below.max():
            return "sign_case", f"the gradient is wrong where the size of the input is large: from {above.min():.4g} on, right up to {below.max():.4g}"
        if above.max() < below.min():
            return "sign_case", f"the gradient is wrong where the size of the input is small: up to {above.max():.4g}, right from {below.min():.4g} on"
    return None


def of_places(rows, shape):
    """What the places of the wrong elements have in common: (kind, sentence), or None."""
    grid = rows.reshape(shape)
    for axis, n in enumerate(shape):
        if n < 2:
            continue
        lines = grid.any(axis=tuple(k for k in range(len(shape)) if k != axis))
        full = grid.all(axis=tuple(k for k in range(len(shape)) if k != axis))
        if not (lines == full).all():
            continue
        noun = {1: "element"}.get(len(shape), {0: "row", 1: "column"}.get(axis, "slice") if len(shape) == 2 else f"index along axis {axis}")
        right = np.flatnonzero(~lines)
        bad = np.flatnonzero(lines)
        if len(right) == 1 and n > 2:
            return "first_row", f"only {noun} {right[0]} is right, the other {n - 1} are wrong"
        if len(bad) == 1 and n > 2:
            return ("edge" if bad[0] in (0, n - 1) else "one_element"), f"only {noun} {bad[0]} is wrong, the others are right"
        if len(bad) == 2 and bad[0] == 0 and bad[1] == n - 1:
            return "edge", f"only the first and the last {noun} are wrong"
    if rows.sum() == 1:
        return "one_element", f"only the element {position(int(np.argmax(rows)), shape)} is wrong, the others are right"
    if len(shape) == 2 and shape[0] == shape[1] > 2:
        eye = np.eye(shape[0], dtype=bool)
        if (grid == eye).all():
            return "diagonal", "the diagonal is wrong, everything else is right"
        if (grid == ~eye).all():
            return "diagonal", "only the diagonal is right"
        for name, half in (("above", np.triu(np.ones_like(eye), 1)), ("below", np.tril(np.ones_like(eye), -1))):
            if (grid == half.astype(bool)).all():
                return "triangle", f"everything {name} the diagonal is wrong, the rest is right"
    return None


def position(row, shape):
    """The index of an element, as it is written: [1, 2]; "the number" for 0-d."""
    return str([int(n) for n in np.unravel_index(row, shape)]) if shape else "the number itself"


HYPOTHESES = [not_finite, zero, no_dependence, conjugate, ignores_upstream, swapped, factor, axes_exchanged, part_of_outputs, outputs_swapped, of_one,
              passed_on, other_input, counted_twice, wrong_point, transformed, flipped_operand, shifted, averaged, cross_terms, rounded_input, added,
              second_derivative, part_right, stale]  # fmt: skip


# --- shapes ------------------------------------------------------------------------------------------------------------------


def explain_shape(problem, mismatch, shapes, eps, rtol):
    """Why a claimed gradient has the wrong shape: each way to bring it to the right one is tried, and compared with the slopes."""
    i = mismatch.i
    gradients = [np.asarray(g, np.float64) for g in problem.jacobian(shapes)[i]]
    shape, found = problem.arrays[i].shape, gradients[0].shape
    with np.errstate(all="ignore"):
        N = slopes(problem, i, eps)
    head = f"the gradient of {problem.names[i]} has shape {list(found)}, and {problem.names[i]} itself {list(shape)}"
    tries: list = []
    lead = len(found) - len(shape)
    if lead >= 0 and all(n == m or n == 1 for n, m in zip(shape, found[lead:])):
        axes = tuple(range(lead)) + tuple(a + lead for a, n in enumerate(shape) if n == 1 != found[a + lead])
        which_axes = words(axes) if axes else ""
        tries.append(("missing_sum", lambda g: g.sum(axes).reshape(shape),
                      f"{head}: the sum over the broadcast {which_axes} is missing. Each element of {problem.names[i]} was used "
                      f"{int(np.prod([found[a] for a in axes]))} times going forward, so its gradient is the sum of as many; "
                      f"g.sum(axis={axes[0] if len(axes) == 1 else axes}) is right"))  # fmt: skip
        tries.append(("mean_not_sum", lambda g: g.mean(axes).reshape(shape), f"{head}; averaged over {which_axes} it is right: reduce it"))
    if sorted(found) == sorted(shape) and len(shape) > 1:
        tries.append(("transposed", lambda g: g.T.reshape(shape) if g.T.shape == shape else np.full(shape, np.nan),
                      f"{head}: it is the transpose of the right gradient. For y = x @ W the gradients are g @ W.T and x.T @ g"))  # fmt: skip
    if int(np.prod(found)) == int(np.prod(shape)):
        tries.append(("wrong_shape", lambda g: g.reshape(shape), f"{head}: the numbers are right, the shape is not; keepdims=True, or "
                      f".reshape{tuple(shape)}, keeps it"))  # fmt: skip
    if lead < 0 or any(f == 1 != s for f, s in zip(found[::-1], shape[::-1])):
        tries.append(("summed_too_much", lambda g: np.broadcast_to(g, shape), f"{head}: broadcast to that shape it is right; a gradient needs "
                      "every element"))  # fmt: skip
    size = np.abs(N).max(initial=0)
    for kind, change, sentence in tries:
        try:
            with np.errstate(all="ignore"):
                claimed = np.stack([np.asarray(change(g)).reshape(-1) for g in gradients], axis=1)
        except ValueError:
            continue
        if claimed.shape == N.shape and np.allclose(claimed, N, rtol, 1e-3 * size + 1e-9):
            return Cause(kind, sentence, [i])
    return Cause("wrong_shape", f"{head}; a gradient has the shape of its input, and no sum, transpose or reshape of this one is right",
                 [i])  # fmt: skip
