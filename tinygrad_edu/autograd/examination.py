"""The examination of a gradient: compare with slopes, look closer at what differs (kinks, steps, precision), collect causes."""

from copy import copy
from functools import lru_cache

import numpy as np

from . import engine, modes
from .checked import Frozen, TensorFunction, as_real, as_tuple, in_pairs, named_leaves
from .diagnosis import IGNORES, VAGUE, Cause, Evidence, ShapeMismatch, elsewhere, explain, explain_shape, matrix, vector
from .faults import FULL, blame, cutters, engine_fault, guilty_steps, hooked, place_of, planted, sampled_causes
from .finite_differences import (
    Projected,
    Slope,
    along,
    complex_slopes,
    flattened,
    jitter,
    lowest_precision,
    plateau,
    refined,
    sides,
    size_along,
    slopes,
    together,
)
from .gradcheck import GradcheckError
from .gradient_report import Compared, GradientCheck, Mismatch
from .repairs import repaired
from .replay import replays
from .tensor import Tensor


class Options:
    """What to compare, and how closely."""

    def __init__(self, eps=1e-6, atol=1e-5, rtol=1e-3, nondet_tol=0.0, fast=False, dtypes=False, batched=False, forward=False,
                 backward=True, batched_forward=False):  # fmt: skip
        self.eps, self.atol, self.rtol, self.nondet_tol, self.fast = eps, atol, rtol, nondet_tol, fast
        self.dtypes, self.batched, self.forward, self.backward, self.batched_forward = dtypes, batched, forward, backward, batched_forward

    def close(self, a, b):
        """True where a computed and a measured derivative agree."""
        return np.abs(a - b) <= self.atol + self.rtol * np.abs(b)


def second_order(problem, grad_outputs, strided):
    """The problem whose function is the gradient of another one's, in its inputs and in what arrives from above."""
    with modes.enable_grad():
        outputs = [y for y in problem.forward() if y.requires_grad]
        original = problem.func
    if grad_outputs is None:
        rng = np.random.default_rng(0)
        grad_outputs = []
        for y in outputs:
            g = rng.normal(size=y.shape).astype(y.array.dtype)
            g = Tensor(np.repeat(g[..., None], 2, -1)[..., 0] if strided else g, None)
            g.requires_grad = True
            grad_outputs.append(g)
    grad_outputs = as_tuple(grad_outputs)
    count, tensors = len(problem.args), problem.tensors
    own = {id(x): k for k, x in enumerate(problem.args)}

    def gradients(*args):
        wanted = [args[own[id(x)]] if id(x) in own else x for x in tensors]
        found = [y for _, y in named_leaves("output", original(*problem.nested(args[:count]))) if isinstance(y, Tensor) and y.requires_grad]
        results = [in_pairs(y) if y.array.dtype.kind == "c" else y for y in found]
        return engine.grad(results, wanted, args[count:], create_graph=True, allow_unused=True, materialize_grads=True)

    names = [f"grad_output {k}" if len(grad_outputs) > 1 else "grad_output" for k in range(len(grad_outputs))]
    arguments = dict(zip([id(x) for x in problem.tensors], problem.names))
    given = [arguments.get(id(x), f"input {k}") for k, x in enumerate(problem.args)] + names
    second = TensorFunction(gradients, (*problem.args, *grad_outputs), problem.parameters, given, problem.undefined)
    second.title, second.modules, second.state, second.frozen = problem.title, problem.modules, problem.state, problem.frozen
    second.restores = problem.restores
    return second


# --- the check ---------------------------------------------------------------------------------------------------------------


def examine(problem, options, order=1):
    """The GradientCheck of a problem: everything compared, differences explained."""
    result = GradientCheck(problem.title, order, tolerances=(options.atol, options.rtol), fast=options.fast)
    with modes.enable_grad(), np.errstate(all="ignore"):
        try:
            compare(problem, options, result)
        except ShapeMismatch as mismatch:
            wrong_shape(problem, mismatch, options, result)
        except (RuntimeError, ValueError) as error:
            if not explained_error(problem, error, options, result):
                raise
    return result


def compare(problem, options, result):
    """Fill in the result: what is claimed against what is measured."""
    before = [a.copy() for a in problem.arrays]
    outputs = start(problem, before)
    repeatable(problem, outputs, options, result)
    if result.causes:
        return
    if left_out := getattr(problem, "left_out", ()):
        result.notes.append(Cause("not_differentiable", f"output{'s' * (len(left_out) > 1)} {', '.join(map(str, left_out))} of func "
                                  f"{'do' if len(left_out) > 1 else 'does'} not require grad, and {'were' if len(left_out) > 1 else 'was'} not checked"))  # fmt: skip
    shapes = [y.shape for y in outputs]
    low = any(a.dtype.kind == "f" and a.dtype.itemsize < 8 for a in problem.arrays) or any(t.itemsize < 8 for t in problem.output_dtypes)
    measured = problem.in_double() if low else None
    if options.fast:
        compare_projections(problem, measured, shapes, options, result)
    else:
        compare_all(problem, measured, shapes, options, result)


def start(problem, before):
    """The outputs; an error if the function has changed its inputs, and a note to put back what it changes in a Module."""
    outputs = problem.start()
    for name, now, array in zip(problem.names, problem.arrays, before):
        if not same(now, array):
            now[...] = array
            raise GradcheckError(f"gradcheck: func changed its input {name} in place; let it work on a {name.split()[-1]}.clone()")
    if problem.state is not None and problem.state.changed():
        problem.restores = True
        problem.state.restore()
    return outputs


def same(a, b, tolerance=0.0):
    """True if two arrays are equal, NaN at the same places included."""
    if a.shape != b.shape:
        return False
    return bool((a == b).all()) or bool(np.allclose(a, b, 0, tolerance, equal_nan=True))


def repeatable(problem, outputs, options, result):
    """Two calls must give the same: if not, say whether it is random numbers, and go on with the generators frozen."""
    first = [np.array(getattr(y, "array", y)) for y in outputs]
    problem.restore()
    again = problem.evaluate()
    if alike(first, again, options.nondet_tol):
        return
    problem.frozen = Frozen()
    calls = [problem.evaluate() for _ in range(3)]
    dropout = [type(m).__name__ for module in getattr(problem, "modules", ()) for m in module.modules() if "Dropout" in type(m).__name__]
    if not all(alike(calls[0], other, options.nondet_tol) for other in calls[1:]):
        problem.frozen = None
        result.causes.append(Cause("state", "two calls of func gave different results: it keeps a state (a counter, a cache, the time) that changes from "
                                   "call to call, or draws from a random generator of its own; make it a function of its inputs alone (for a "
                                   "generator, seed it anew inside of func)"))  # fmt: skip
        return
    inner = GradientCheck(problem.title, result.order, tolerances=result.tolerances, fast=options.fast)
    compare(problem, options, inner)
    problem.frozen.restore()
    problem.frozen = None
    source = f"{dropout[0]} draws" if dropout else "it draws"
    sentence = (f"two calls of func gave different results: {source} random numbers, so each slope compares two different functions. Check it "
                f"with the same numbers every time (check_gradients(…, freeze_generator=True)){', or after model.eval()' if dropout else ''}")  # fmt: skip
    sentence += (". With the generator frozen all derivatives agree" if inner.ok else
                 ". With the generator frozen there is a mistake still: " + "; ".join(str(c) for c in inner.causes))  # fmt: skip
    result.rows, result.mismatches, result.causes = inner.rows, inner.mismatches, [Cause("random", sentence), *inner.causes]


def alike(first, second, tolerance):
    """True if two lists of outputs are the same."""
    return len(first) == len(second) and all(a.shape == b.shape and same(a, b, tolerance) for a, b in zip(first, second))


def claimed_columns(problem, shapes, options):
    """Per input the matrix of what is claimed; two backward passes must agree, and the dtype must be the input's if asked."""
    with np.errstate(all="ignore"):
        columns = problem.jacobian(shapes)
    if options.dtypes:
        for name, array, column in zip(problem.names, problem.arrays, columns):
            wrong = [g.dtype for g in column if g.dtype != array.dtype]
            if wrong:
                raise GradcheckError(f"gradcheck: check_grad_dtypes: the gradient of {name} is {wrong[0]}, and the input {array.dtype}")
    return [matrix(problem, i, column) for i, column in enumerate(columns)]


def linear_in_upstream(problem, weights, claimed, options):
    """(a Cause or None, per input the gradient of Σ weights · outputs): two passes must agree, and the derivative be linear in g."""
    total: list = [np.zeros(a.size) for a in problem.arrays]
    start = 0
    for k, w in enumerate(weights):
        once, again = ([vector(problem, i, g) for i, g in enumerate(problem.pull(k, w))] for _ in range(2))
        for i, (g, other) in enumerate(zip(once, again)):
            total[i] += g
            if not same(g, other, options.nondet_tol):
                return Cause("backward_state", f"two backward passes gave different gradients for {problem.names[i]}: a derivative rule must "
                             "not draw random numbers, keep state or overwrite what was saved (nondet_tol allows a difference)", [i]), total  # fmt: skip
            if claimed is None:
                continue
            columns = claimed[i][:, start : start + w.size]
            slack = options.atol + options.rtol * (np.abs(columns).sum(1) + np.abs(g))
            if (np.abs(columns @ w.reshape(-1) - g) > slack).any():
                return upstream_fault(problem, k, w, i) or Cause("nonlinear_upstream", NONLINEAR, [i]), total
        start += w.size
    return None, total


def signed(rng, shape):
    """Random numbers of both signs, away from 0."""
    return np.asarray(rng.uniform(0.5, 1.5, shape) * rng.choice([-1.0, 1.0], shape))


NONLINEAR = ("the gradient is not proportional to the gradient that arrives from above: a derivative rule multiplies g by something, and "
             "must not square, clip or round it")  # fmt: skip


def upstream_fault(problem, k, weights, i):
    """How a gradient depends on the one that arrives: not at all, or by its square."""
    once, twice, minus = (np.asarray(problem.pull(k, w)[i], np.float64) for w in (weights, 2 * weights, -weights))
    if not once.any() or not np.isfinite([once, twice, minus]).all():
        return None
    if np.allclose(once, twice, 1e-6, 1e-12) and np.allclose(once, minus, 1e-6, 1e-12):
        return Cause("ignores_upstream", IGNORES, [i])
    if np.allclose(once, twice, 1e-6, 1e-12) and np.allclose(once, -minus, 1e-6, 1e-12):
        return Cause("nonlinear_upstream", "only the direction of the gradient that arrives from above counts, not its size: it is normalised, clipped, or "
                     "replaced by its sign; a derivative rule multiplies by g itself", [i])  # fmt: skip
    if np.allclose(2 * once, twice, 1e-6, 1e-12) and not np.allclose(once, -minus, 1e-6, 1e-12) and not np.allclose(once, minus, 1e-6, 1e-12):
        return Cause("nonlinear_upstream", "negative gradients that arrive from above are treated otherwise than positive ones: a condition looks at g, and must "
                     "look at the input (x > 0, not g > 0)", [i])  # fmt: skip
    if np.allclose(2 * once, twice, 1e-6, 1e-12) and np.allclose(once, minus, 1e-6, 1e-12):
        return Cause("nonlinear_upstream", "the sign of the gradient that arrives from above is lost: with −g the result is the same (|g|, √g²?)", [i])
    if np.allclose(4 * once, twice, 1e-6, 1e-12):
        return Cause("squared_upstream", "the gradient that arrives from above enters twice (g² instead of g): doubling it makes the result "
                     "four times as large", [i])  # fmt: skip
    if np.allclose(2 * once, twice, 1e-6, 1e-12):
        return None
    without = np.asarray(problem.pull(k, 0 * weights)[i], np.float64)
    if without.any() and np.allclose(2 * (once - without), twice - without, 1e-6, 1e-9):
        return Cause("added_constant", "something is added that does not depend on the gradient that arrives from above: where that is 0, the gradient must "
                     f"be 0, and it is {without.reshape(-1)[np.abs(without).argmax()]:.4g}", [i])  # fmt: skip
    return Cause("nonlinear_upstream", NONLINEAR, [i])


def compare_all(problem, double, shapes, options, result):
    """Every derivative, one by one."""
    count = sum(a.size for a in problem.arrays) * sum(int(np.prod(s)) for s in shapes)
    if count > LARGEST:
        raise ValueError(f"gradcheck: {problem.title} has {count:,} derivatives, too many to compare one by one; use fast_mode=True, reduce the "
                         "result to a number, as in .sum(), or check a smaller example")  # fmt: skip
    claimed = claimed_columns(problem, shapes, options)
    rng = np.random.default_rng(1)
    fault, _ = linear_in_upstream(problem, [signed(rng, s) for s in shapes], claimed, options) if options.backward else (None, None)
    if fault is not None:
        result.causes.append(located(problem, fault, options))
    measured = double or problem
    with np.errstate(all="ignore"):
        short = replays(measured, options.eps) if sum(a.size for a in problem.arrays) > 3 * len(problem.arrays) + 8 else None
        numeric = [slopes(short[i] if short else measured, i, options.eps) for i in range(len(problem.arrays))]
    evidence = Evidence(problem, claimed, numeric, list(shapes), options.eps, options.atol, options.rtol)
    if options.backward:
        judge(problem, measured, evidence, options, result)
    if options.forward:
        forward_check(problem, evidence, options, result)
    if options.batched and result.ok:
        batched_check(problem, shapes, result)
    if options.batched_forward and result.ok:
        batched_tangents(problem, result)
    if double is not None and result.ok:
        result.notes.append(Cause("float32", "float32 is too coarse to measure slopes with small steps (they would be mostly rounding), so they "
                                  "were measured in float64, and the float32 gradients agree with them"))  # fmt: skip


def judge(problem, measured, evidence, options, result):
    """Find what differs, look closer (kinks, steps, precision), and ask for causes."""
    bad: list = [None] * len(problem.arrays)
    for i in range(len(problem.arrays)):
        wrong = ~options.close(evidence.A[i], evidence.N[i])
        if wrong.any():
            settle(problem, measured, evidence, i, wrong, options, result)
            bad[i] = evidence.wrong(i)
    wrong = [i for i, b in enumerate(bad) if b is not None and b.any()]
    enter(problem, evidence, bad, result)
    if wrong and not result.causes:
        if measured is not problem:
            twin = GradientCheck(problem.title, result.order, tolerances=result.tolerances)
            compare_all(measured, None, evidence.shapes, Options(options.eps, options.atol, options.rtol, options.nondet_tol), twin)
            if twin.ok and rounding_explains(problem, evidence, wrong, bad, options):
                result.mismatches.clear()
                for row in result.rows:
                    row.wrong = 0
            elif twin.ok:
                result.causes.append(Cause("float32", "the gradient is right in float64 and wrong in float32: rounding or overflow in between; compute "
                                           "it in a more stable form, or in float64", wrong))  # fmt: skip
            else:
                result.causes += twin.causes
            return
        if evidence.lengths:
            options = copy(options)
            options.eps = evidence.eps
        result.causes += causes(problem, evidence, wrong, options, result.order)


def rounding_explains(problem, evidence, wrong, bad, options):
    """True if float32 gradients change as much as they are off when the inputs change in their last digit: no better can be had."""
    spread = {i: 0.0 for i in wrong}
    for seed in range(6):
        rng = np.random.default_rng(seed)
        with problem.moved_to([(a * (1 + rng.choice([-1.0, 1.0], a.shape) * np.finfo(a.dtype).eps)).astype(a.dtype) for a in problem.arrays]):
            columns = problem.jacobian(evidence.shapes)
        for i in wrong:
            spread[i] = max(spread[i], float(np.abs(matrix(problem, i, columns[i]) - evidence.A[i]).max(initial=0)))
    allowed = 200 * max(float(np.finfo(a.dtype).eps) for a in problem.arrays)
    return all(np.abs(evidence.A[i] - evidence.N[i])[bad[i]].max() <= 10 * spread[i] + allowed * max(1, np.abs(evidence.A[i]).max()) for i in wrong)


LARGEST = 200_000_000  # derivatives: two matrices of so many float64 numbers are 3 GB
ACCEPTED = ("kink", "near_kink", "step", "uncertain")  # differences that are the measurement's, not the gradient's


def settle(problem, measured, evidence, i, wrong, options, result):
    """Look closer at the derivatives of one input that differ: what is right after all is noted and ignored from here on."""
    ignored = np.zeros(wrong.shape, bool)
    rows = np.flatnonzero(wrong.any(1))
    errors = np.where(wrong, np.abs(np.nan_to_num(evidence.A[i] - evidence.N[i], nan=np.inf)), 0).max(1)
    rows = rows[np.argsort(-errors[rows], kind="stable")]
    kinks, kinds = {}, {}
    exact = lru_cache(None)(lambda: complex_slopes(measured, i))
    for number, row in enumerate(rows):
        if number == 32 and not ignored.any():
            break  # nothing of the worst was a kink or a matter of the step: the rest is wrong like them
        deep = evidence.lengths if number < 4 or evidence.lengths else None
        found, better = look_closer(measured, i, int(row), evidence.A[i][row], np.flatnonzero(wrong[row]), options, exact, deep)
        for column, kind in found.items():
            kinds.setdefault(kind, []).append((int(row), column))
            if kind in ACCEPTED:
                ignored[row, column] = True
            elif kind == "wrong" and better.error[column] <= options.atol + options.rtol * abs(better.value[column]):
                evidence.N[i][row, column] = better.value[column]
        evidence.eps = min(evidence.lengths, default=options.eps)
        if any(kind == "kink" for kind in found.values()):
            kinks[int(row)] = [c for c, kind in found.items() if kind == "kink"]
    name = problem.names[i]
    shape = problem.arrays[i].shape
    if "kink" in kinds:
        row, column = kinds["kink"][0]
        excess = ties(measured, i, evidence.A[i], kinks, options)
        if excess:
            ignored[list(kinks)] = False
            result.causes.append(Cause("ties", excess, [i]))
        else:
            _, left, right = sides(measured, i, row, options.eps)
            more = f" (and {len(kinds['kink']) - 1} more)" if len(kinds["kink"]) > 1 else ""
            result.notes.append(Cause("kink", f"{name}{index_text(row, shape)}{more} is at a kink: the slope is {left[column]:.4g} on the left and "
                                      f"{right[column]:.4g} on the right, and the gradient {evidence.A[i][row, column]:.4g} lies between. Any such value "
                                      "is a valid subgradient: accepted", [i]))  # fmt: skip
    if "near_kink" in kinds:
        row, _ = kinds["near_kink"][0]
        result.notes.append(Cause("near_kink", f"there is a kink less than {options.eps:g} away from {name}{index_text(row, shape)}; measured closer "
                                  "by, the gradient agrees", [i]))  # fmt: skip
    if "step" in kinds or "uncertain" in kinds:
        row, column = (kinds.get("step") or kinds.get("uncertain"))[0]
        digits = "" if "step" in kinds else " as far as they can be measured"
        result.notes.append(Cause("step", f"eps = {options.eps:g} is not a good step for {name}{index_text(row, shape)}: that slope comes out as "
                                  f"{evidence.N[i][row, column]:.6g}. With other steps, extrapolated, the gradient agrees{digits}", [i]))  # fmt: skip
    if ignored.any():
        evidence.ignored[i] = ignored
    left_over = wrong & ~ignored
    if left_over.any() and not result.causes:
        if "jump" in kinds:
            row, _ = kinds["jump"][0]
            result.causes.append(Cause("jump", f"the function has a jump at {name}{index_text(row, shape)}: its slope grows as the step shrinks, and "
                                       "there is no derivative; move the input away from it", [i]))  # fmt: skip
        elif "noise" in kinds and not {"wrong", "jump"} & set(kinds):
            row, column = kinds["noise"][0]
            result.causes.append(Cause("noise", f"no slope can be measured at {name}{index_text(row, shape)}: the values of the function are so large, or "
                                       "so coarsely rounded, that its change drowns in the rounding with every step, and it is not analytic, so that "
                                       "an imaginary step does not help; take a constant away, or scale the function", [i]))  # fmt: skip
        elif not np.isfinite(evidence.N[i][left_over]).all():
            row, column = (int(n) for n in np.argwhere(left_over & ~np.isfinite(evidence.N[i]))[0])
            value = flattened(measured.evaluate())[column]
            result.causes.append(Cause("domain", f"func itself returns {value} in {output_text(column, evidence.shapes)}, so no slope can be measured: an input "
                                       "is outside of the domain (a root or a logarithm of a negative number?), or a value overflows; check it at "
                                       "another point" if not np.isfinite(value) else
                                       f"the function is NaN or infinite right beside {name}{index_text(row, shape)}: the input is at the edge "
                                       "of the domain (a root or a logarithm at 0?), where no slope can be measured; move it away", [i]))  # fmt: skip


def index_text(row, shape):
    """[1, 2] of a flat position."""
    return str([int(n) for n in np.unravel_index(row, shape)]) if shape else ""


def output_text(column, shapes):
    """output 1[0, 2] of a flat position among all outputs."""
    for k, shape in enumerate(shapes):
        size = int(np.prod(shape))
        if column < size:
            return f"output{f' {k}' if len(shapes) > 1 else ''}{index_text(column, shape)}"
        column -= size


def look_closer(problem, i, way, claimed, columns, options, exact=None, lengths=None):
    """({column: what it is}, the best Slope): kink, near_kink, jump, step, uncertain, or wrong.

    `exact()` gives the slopes by a complex step, or None; it is asked only where real steps cannot tell. If `lengths` is a list,
    the smallest steps are tried too, and the length of those that are needed is put into it.
    """
    central, left, right = sides(problem, i, way, options.eps)
    best, bends = Slope(central, np.zeros_like(central)), ~options.close(left, right)
    if bends[columns].any():
        bends &= np.abs(right - left) * options.eps > 10 * jitter(problem, i, way, options.eps)  # more than rounding makes
    if bends[columns].any():
        near, near_left, near_right = sides(problem, i, way, options.eps / 100)
    up, down = along(problem, i, way, 8 * options.eps)
    quarter = 0.25 * (options.atol + options.rtol * np.abs(central))
    noise = float(np.finfo(lowest_precision(problem)).eps) * (np.abs(up) + np.abs(down)) / options.eps
    steady = (np.abs((up - down) / (16 * options.eps) - central) <= quarter) & (noise <= quarter)
    closer = central if (steady | bends)[columns].all() else sides(problem, i, way, options.eps / 100)[0]
    if not (steady & ~bends)[columns].all():
        best = refined(problem, i, way)
    off = ~options.close(best.value, claimed)[columns]
    if lengths is not None and (off & ~steady[columns]).any() or off.any() and 0 < size_along(problem, i, way) < 100 * options.eps:
        lengths = [] if lengths is None else lengths
        small, length = plateau(problem, i, way)
        use = np.isfinite(small.error) & ~options.close(best.value, claimed) & (small.value != 0)
        if use[columns].any() and not options.close(small.value, central)[columns].all():
            best = Slope(np.where(use, small.value, best.value), np.where(use, small.error, best.error))
            lengths.append(length)
            steady &= ~use
    found = {}
    for c in columns:
        a, c = float(claimed[c]), int(c)
        found[c] = "wrong"
        tolerance = options.atol + options.rtol * abs(best.value[c])
        if not np.isfinite(a):
            continue
        sharp = best.error[c] <= tolerance and abs(a - best.value[c]) <= tolerance
        if not np.isfinite([left[c], right[c]]).all():
            found[c] = "step" if sharp else "wrong"  # a step past the edge of the domain
            continue
        if bends[c]:
            stable = options.close(near_left[c], left[c]) and options.close(near_right[c], right[c])  # at a jump slopes grow as steps shrink
            slack = options.atol + options.rtol * max(abs(left[c]), abs(right[c]))
            if options.close(a, near[c]):
                bend, near_bend = right[c] - left[c], near_right[c] - near_left[c]
                smooth = abs(100 * near_bend - bend) <= 0.3 * abs(bend)  # shrinks with the step: curvature, not a kink
                found[c] = "step" if smooth else "near_kink"
                continue
            if stable:
                if min(left[c], right[c]) - slack <= a <= max(left[c], right[c]) + slack:
                    found[c] = "kink"
                continue
            if not sharp and max(abs(near_left[c]), abs(near_right[c])) > 10 * max(abs(left[c]), abs(right[c])):
                found[c] = "jump"
                continue
        elif steady[c]:
            continue  # two steps agree: the slope is what was measured
        elif not sharp and abs(closer[c]) > 10 * abs(central[c]) > 1e3 * noise[c]:
            found[c] = "jump"  # in the middle of it both sides are as steep
            continue
        if best.error[c] > tolerance and exact is not None and exact() is not None:
            slope = float(exact()[way, c])
            best.value[c], best.error[c], tolerance = slope, 0.0, options.atol + options.rtol * abs(slope)
        if best.error[c] <= tolerance and abs(a - best.value[c]) <= tolerance:
            found[c] = "step"
        elif abs(a - best.value[c]) <= tolerance + 3 * best.error[c] and best.error[c] <= 0.05 * max(abs(best.value[c]), abs(a)):
            found[c] = "uncertain"
        elif abs(a - best.value[c]) <= tolerance + 3 * best.error[c]:
            found[c] = "noise"
    return found, best


def ties(problem, i, claimed, kinks, options):
    """A sentence if several elements at a kink claim more together than the function changes when all of them move: ties counted twice."""
    rows = sorted(kinks)
    columns = sorted({c for found in kinks.values() for c in found})[:50]
    if len(rows) < 2:
        return None
    for c in columns:
        tied = [r for r in rows if c in kinks[r]]
        if len(tied) < 2:
            continue
        way = np.zeros(problem.arrays[i].size)
        way[tied] = 1
        way = way.reshape(problem.arrays[i].shape)
        with np.errstate(all="ignore"):
            _, left, right = sides(problem, i, way, options.eps)
        together = float(claimed[tied, c].sum())
        largest = max(abs(left[c]), abs(right[c]))
        if abs(together) > largest * 1.01 + 10 * options.atol:
            return (f"ties are counted {together / largest:.3g} times: {len(tied)} elements are equally large, and each gets the whole gradient. "
                    "Together they may get no more than one: share it, or give it to the first") if largest > options.atol else (
                    f"{len(tied)} elements at a kink claim {together:.4g} together, and the function does not change when all of them move")  # fmt: skip
    return None


def enter(problem, evidence, bad, result):
    """The rows of the table, and every mismatch; `bad` marks the wrong derivatives of each input, or is None for one without."""
    ends = np.cumsum([0, *(int(np.prod(s)) for s in evidence.shapes)])
    pairs = getattr(problem, "complex", [False] * len(problem.arrays))
    output_pairs = getattr(problem, "complex_outputs", None) or [False] * len(evidence.shapes)
    for i, (name, array) in enumerate(zip(problem.names, problem.arrays)):
        A, N = evidence.A[i], evidence.N[i]
        error = np.abs(A - N)
        if i in evidence.ignored:
            error = np.where(evidence.ignored[i], 0, error)
        largest = float(error.max(initial=0.0))
        if largest != largest and not np.isnan(error).all():
            largest = float(np.nanmax(error))
        count = 0 if bad[i] is None else int(bad[i].sum())
        result.rows.append(Compared(name, array.shape[:-1] if pairs[i] else array.shape, A.size, count, largest))
        for k, shape in enumerate(evidence.shapes):
            part = slice(ends[k], ends[k + 1])
            result.analytic[i, k], result.numeric[i, k] = A[:, part], N[:, part]
            for row, column in zip(*np.nonzero(bad[i][:, part])) if count else ():
                place = tuple(int(n) for n in np.unravel_index(row, array.shape))
                target = tuple(int(n) for n in np.unravel_index(column, shape))
                result.mismatches.append(Mismatch(i, k, place, target, float(A[row, ends[k] + column]), float(N[row, ends[k] + column]), name,
                                                  len(evidence.shapes), (pairs[i], output_pairs[k])))  # fmt: skip


# --- fast mode ---------------------------------------------------------------------------------------------------------------


def compare_projections(problem, double, shapes, options, result):
    """Along random directions, with one random upstream gradient per output: all inputs at once, and one by one if that differs.

    Together, the derivatives must agree more closely: by what is allowed for the input that contributes least.
    """
    rng = np.random.default_rng(0)
    weights = [rng.normal(size=shape) for shape in shapes]
    ways = [rng.normal(size=a.shape) for a in problem.arrays]
    fault, total = linear_in_upstream(problem, weights, None, options)
    if fault is not None and options.backward:
        result.causes.append(fault)
    claimed = [float(g.dot(way.reshape(-1))) for g, way in zip(total, ways)]
    projected = Projected(double or problem, flattened(weights))
    up, down = together(projected, ways, options.eps)
    error = abs(sum(claimed) - float((up - down)[0]) / (2 * options.eps))
    agree = error <= options.atol + options.rtol * min(map(abs, claimed)) or not options.backward
    suspicious = [] if agree else [i for i in range(len(ways)) if differs(projected, i, ways[i], claimed[i], options, result)]
    for i, (name, array) in enumerate(zip(problem.names, problem.arrays)):
        found = [m.error for m in result.mismatches if m.input == i]
        result.rows.append(Compared(name, array.shape, 1, len(found), found[0] if found else error))
    size = sum(a.size for a in problem.arrays) * sum(int(np.prod(s)) for s in shapes)
    if options.forward:
        tangents(problem, projected, weights, options, result, rng)
    if options.batched and result.ok:
        batched_check(problem, shapes, result)
    if options.batched_forward and result.ok:
        batched_tangents(problem, result)
    if not suspicious or result.causes:
        return
    if size <= FULL:
        full = GradientCheck(problem.title, result.order, tolerances=result.tolerances)
        compare_all(problem, double, shapes, options, full)
        if not full.ok:
            result.causes, result.mismatches, result.rows, result.fast = full.causes, full.mismatches, full.rows, False
            result.notes, result.analytic, result.numeric = full.notes, full.analytic, full.numeric
            return
    found = step_causes(problem, options)
    result.causes += found or sampled_causes(problem, weights, suspicious, options.eps)


def differs(projected, i, way, claimed, options, result):
    """True, and a mismatch, if one input's derivative along a direction is not the slope."""
    up, down = along(projected, i, way, options.eps)
    slope = float((up - down)[0] / (2 * options.eps))
    right = bool(options.close(claimed, slope)) or look_closer(projected, i, way, [claimed], [0], options)[0][0] in ACCEPTED
    if right:
        return False
    name = f"{projected.problem.names[i]}, along a random direction"
    result.mismatches.append(Mismatch(i, 0, (), (), claimed, slope, name))
    return True


def tangents(problem, projected, weights, options, result, rng):
    """Forward mode in fast mode: one direction per input."""
    for i, array in enumerate(problem.arrays):
        way = rng.normal(size=array.shape)
        up, down = along(projected, i, way, options.eps)
        slope = float((up - down)[0] / (2 * options.eps))
        claimed = float(flattened(weights) @ problem.tangent(i, way))
        if not options.close(claimed, slope):
            result.mismatches.append(Mismatch(i, 0, (), (), claimed, slope, f"{problem.names[i]}, forward along a random direction"))
            result.causes.append(Cause("forward_mode", FORWARD, [i]))


# --- further checks ----------------------------------------------------------------------------------------------------------

FORWARD = ("J·v as func.jvp computes it (the derivative of the backward pass with respect to what arrives) differs from the slope along v: "
           "the backward pass is not built of differentiable steps, or not linear in g")  # fmt: skip


def forward_check(problem, evidence, options, result):
    """J·v for each unit vector v against the measured slopes."""
    if not result.rows:
        enter(problem, evidence, [None] * len(problem.arrays), result)
    for i, array in enumerate(problem.arrays):
        for row in range(array.size):
            unit = np.zeros(array.size)
            unit[row] = 1
            claimed = problem.tangent(i, unit.reshape(array.shape))
            numeric = evidence.N[i][row]
            wrong = ~options.close(claimed, numeric)
            if i in evidence.ignored:
                wrong &= ~evidence.ignored[i][row]
            if wrong.any():
                found, _ = look_closer(problem, i, row, claimed, np.flatnonzero(wrong), options)
                column = next((c for c, kind in found.items() if kind in ("wrong", "jump")), None)
                if column is None:
                    continue
                result.mismatches.append(Mismatch(i, 0, tuple(int(n) for n in np.unravel_index(row, array.shape)), (), float(claimed[column]),
                                                  float(numeric[column]), problem.names[i]))  # fmt: skip
                result.rows[i].wrong += 1
                if not result.causes:
                    result.causes.append(Cause("forward_mode", FORWARD, [i]))


def batched_check(problem, shapes, result):
    """`func.vmap` over the backward pass against one pass after the other."""
    from .. import func

    rng = np.random.default_rng(3)
    for k, y in enumerate(problem.graph):
        if not y.requires_grad:
            continue
        batch = rng.uniform(0.5, 1.5, (3, *shapes[k]))

        def back(g, y=y):
            return engine.grad(y, problem.tensors, g, retain_graph=True, create_graph=True, materialize_grads=True)

        try:
            at_once = func.vmap(back)(Tensor(batch.astype(y.array.dtype), None))
        except Exception as error:
            raise GradcheckError(f"gradcheck: check_batched_grad: the backward pass of {problem.title} cannot be batched by func.vmap: "
                                 f"{type(error).__name__}: {error}") from error  # fmt: skip
        for row, g in enumerate(batch):
            for i, one in enumerate(problem.pull(k, g)):
                if not np.allclose(as_real(np.asarray(at_once[i].array))[row], one, 1e-6, 1e-9):
                    result.causes.append(Cause("batched", f"func.vmap over the backward pass gives another gradient for {problem.names[i]} than one pass "
                                               "after the other: a rule treats the batch as part of its data", [i]))  # fmt: skip
                    return


def batched_tangents(problem, result):
    """`func.vmap` over tangents against one J·v after the other."""
    from .. import func

    rng = np.random.default_rng(4)
    for i, array in enumerate(problem.arrays):
        batch = rng.uniform(0.5, 1.5, (3, *array.shape)).astype(array.dtype)
        try:
            at_once = func.vmap(lambda way, i=i: problem.tangents(i, way))(Tensor(batch, None))
        except Exception as error:
            raise GradcheckError(f"gradcheck: check_batched_forward_grad: the tangents of {problem.title} cannot be batched by func.vmap: "
                                 f"{type(error).__name__}: {error}") from error  # fmt: skip
        for row, way in enumerate(batch):
            together = [np.asarray(t.array)[row].reshape(-1) for t in at_once]
            if not np.allclose(np.concatenate(together), problem.tangent(i, way), 1e-6, 1e-9):
                result.causes.append(Cause("batched", f"func.vmap over the tangents of {problem.names[i]} gives another J·v than one after the other: a rule treats "
                                           "the batch as part of its data", [i]))  # fmt: skip
                return


# --- causes ------------------------------------------------------------------------------------------------------------------


def causes(problem, evidence, wrong, options, order):
    """Why the gradients of these inputs are wrong: all causes that could be named."""
    if isinstance(problem, TensorFunction):
        return tensor_causes(problem, evidence, wrong, options, order)
    cut = [i for i in wrong if i in problem.unreached]
    found = [Cause("none", "None was returned where the slope is not zero: the gradient for this input is missing", cut)] if cut else []
    rest = [i for i in wrong if i not in cut]
    patterns = {i: explain(evidence, i) for i in rest}
    kinds = {(c.kind, c.sentence) for c in patterns.values() if c is not None}
    vague = any(c is None or c.kind in VAGUE for c in patterns.values())
    if rest and (vague or len(kinds) > 1 or len(rest) < len(problem.arrays)):
        recorded = problem.recorded()
        one = planted(problem, recorded, options.rtol, rest) if recorded is not None else None
        if one is not None:
            return found + [one]
    named = found + grouped(patterns)
    if not named and (change := repaired(problem, evidence)) is not None:
        change.inputs = wrong
        named.append(change)
    return named


def grouped(patterns):
    """One cause for all inputs that share it."""
    found: dict = {}
    for i, cause in patterns.items():
        if cause is not None:
            known = found.setdefault((cause.kind, cause.sentence), cause)
            known.inputs = sorted({*known.inputs, i})
    together: dict = {}
    for cause in found.values():  # x and y have changed places: said once
        if cause.kind == "swapped" and "swapped" in together:
            together["swapped"].inputs = sorted({*together["swapped"].inputs, *cause.inputs})
        else:
            together[cause.kind if cause.kind == "swapped" else id(cause)] = cause
    return list(together.values())


def tensor_causes(problem, evidence, wrong, options, order):
    """Of the engine's gradients: which step is wrong and why; if none is, what happens between the steps."""
    second = elsewhere(evidence) if all(np.isfinite(evidence.A[i]).all() for i in wrong) else None
    if second is not None and not any(second.wrong(i).any() for i in wrong) and any(np.abs(n).max(initial=0) > 0 for n in second.N):
        return [Cause("special_point", "only at this point: nearby all gradients agree. Pieces of the function have kinks here that cancel (as in "
                      "relu(x) − relu(−x) at 0), or a derivative is 0/0; each piece is right by its convention", wrong)]  # fmt: skip
    cut = [i for i in wrong if i in problem.unreached]
    found = []
    if cut:
        found.append(Cause("second_order" if order == 2 else "detached", "no gradient arrives at this input: the function leaves the graph on every way "
                           "to it" + (" when the first derivative is computed, whose values are cut off from the graph (detached or NumPy values in backward)"
                                      if order == 2 else
                                      cutters(problem.func)), cut))  # fmt: skip
    rest = [i for i in wrong if i not in cut]
    if not rest:
        return found
    steps = step_causes(problem, options)
    if steps:
        for cause in steps:
            if order == 2:
                cause.sentence = f"the first derivatives are right; in the second, {cause.sentence}"
        return found + steps
    fault = engine_fault(problem, evidence, rest, order)
    if fault is not None:
        return found + [fault]
    return found + grouped({i: explain(evidence, i) for i in rest})


def step_causes(problem, options):
    """The causes of up to three steps whose derivative is not that of their own forward function."""
    try:
        recorded = problem.recorded()
    except Exception:  # recording changes nothing, so what fails is the function itself, elsewhere too
        return []
    found: dict = {}
    for step, wrong in guilty_steps(recorded[0], options.rtol) if recorded is not None else ():
        outputs = step.start()
        cause = None
        for k, out in enumerate(outputs):
            cause = cause or upstream_fault(step, k, signed(np.random.default_rng(k), out.shape), wrong[0])
        if cause is not None:
            cause.inputs = []
        else:
            cause = blame(step, wrong, options.eps, options.atol, options.rtol)
        if not cause.where:
            cause.where = place_of(step)
        cause.inputs = []
        found.setdefault((step.title, cause.kind, cause.sentence), cause)
        if len(found) == 3:
            break
    return list(found.values())


def located(problem, fault, options):
    """A fault of the whole, in the step that has it, if one can be named."""
    if isinstance(problem, TensorFunction) and fault.kind != "backward_state":
        steps = step_causes(problem, options)
        if steps:
            return steps[0]
        return hooked(problem.recorded(), fault.inputs) or fault
    return fault


def wrong_shape(problem, mismatch, options, result):
    """A claimed gradient does not have its input's shape; the others are compared all the same."""
    shapes = [y.shape for y in problem.start()]
    result.causes.append(explain_shape(problem, mismatch, shapes, options.eps, options.rtol))
    columns = problem.jacobian(shapes)
    for i, (name, array) in enumerate(zip(problem.names, problem.arrays)):
        try:
            error = np.abs(matrix(problem, i, columns[i]) - (slope := slopes(problem, i, options.eps)))
            wrong = int((error > options.atol + options.rtol * np.abs(slope)).sum())
            result.rows.append(Compared(name, array.shape, error.size, wrong, float(error.max(initial=0.0))))
        except ShapeMismatch:
            result.rows.append(Compared(name, array.shape, array.size, array.size, np.nan))


def explained_error(problem, error, options, result):
    """True if an error of the backward pass is a wrong derivative that can be explained."""
    if isinstance(error, GradcheckError) or not isinstance(problem, TensorFunction):
        return False
    if "once_differentiable" in str(error):
        result.causes.append(Cause("once_differentiable", "this Function's backward is marked once_differentiable, so it has no second derivative: "
                                   "take the mark away and write backward with tensor operations"))  # fmt: skip
        return True
    steps = step_causes(problem, options)
    if not any(c.kind in ("transposed", "wrong_shape", "missing_sum", "mean_not_sum", "summed_too_much") for c in steps):
        return False
    result.causes += steps
    return True
