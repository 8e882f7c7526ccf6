"""gradcheck: compare the gradients that the engine computes with slopes measured by moving each input a little."""

from dataclasses import dataclass, field

import numpy as np

from . import engine, modes
from .tensor import Tensor, as_memory


class GradcheckError(RuntimeError):
    """A gradient differs from the measured slope; `report` holds both, and every place where they differ."""

    def __init__(self, message, report=None):
        super().__init__(message)
        self.report = report


@dataclass
class Mismatch:
    """One derivative that is wrong: of element `column` of output `output` with respect to element `row` of input `input`."""

    input: int
    output: int
    row: tuple
    column: tuple
    analytic: float
    numeric: float
    left: float = np.nan
    right: float = np.nan

    @property
    def error(self):
        """How far the computed derivative is from the measured one; not a number counts as infinitely far."""
        error = abs(self.analytic - self.numeric)
        return error if error == error else np.inf


@dataclass
class Report:
    """What was compared: per (input, output) the two Jacobians, one row per input element, and where they differ."""

    analytic: dict = field(default_factory=dict)
    numeric: dict = field(default_factory=dict)
    mismatches: list = field(default_factory=list)
    hints: list = field(default_factory=list)
    tolerances: tuple = (1e-5, 1e-3)

    @property
    def ok(self):
        """True if every derivative agrees with its measured slope, or lies between the two slopes at a kink."""
        return not self.mismatches

    @property
    def worst(self):
        """The mismatch with the largest error."""
        return max(self.mismatches, key=lambda m: m.error)

    def __str__(self):
        if self.ok:
            return f"gradcheck: all {sum(j.size for j in self.analytic.values())} derivatives agree"
        m, compared = self.worst, sum(j.size for j in self.analytic.values())
        atol, rtol = self.tolerances
        lines = [
            f"gradcheck: {len(self.mismatches)} of {compared} derivatives differ from the measured slopes; the worst is that of "
            f"output {m.output}{list(m.column)} with respect to input {m.input}{list(m.row)}: the gradient is {m.analytic:.6g}, "
            f"the slope {m.numeric:.6g}, the error {m.error:.3g} (allowed: {atol:g} + {rtol:g} · |slope|)"
        ]
        return "\n".join(lines + [f"  hint: {hint}" for hint in self.hints])


def gradcheck(func, inputs, *, eps=1e-6, atol=1e-5, rtol=1e-3, raise_exception=True, nondet_tol=0.0, check_undefined_grad=True,
              check_grad_dtypes=False, check_batched_grad=False, check_batched_forward_grad=False, check_forward_ad=False,
              check_backward_ad=True, fast_mode=False, masked=None):  # fmt: skip
    """True if the gradients of `func(*inputs)` are right: each compared with (f(x + eps) − f(x − eps)) / 2·eps.

    Inputs that require grad are checked; use float64, for slopes of float32 functions are mere estimates. At a kink any
    derivative between the slopes on both sides is right. `fast_mode` compares one random direction instead of every
    element. Raises GradcheckError, or returns False if `raise_exception` is off.

    >>> import tinygrad_edu as tg
    >>> x = tg.tensor([0.5, 2.0], dtype=tg.float64, requires_grad=True)
    >>> tg.autograd.gradcheck(lambda x: (x * x).sin(), x)
    True
    """
    refuse(check_batched_grad=check_batched_grad, check_batched_forward_grad=check_batched_forward_grad,
           check_forward_ad=check_forward_ad, check_backward_ad=not check_backward_ad, masked=masked)  # fmt: skip
    try:
        report = compare(func, inputs, eps, atol, rtol, nondet_tol, check_grad_dtypes, fast_mode)
        if not report.ok:
            raise GradcheckError(str(report), report)
    except GradcheckError:
        if raise_exception:
            raise
        return False
    return True


def gradgradcheck(func, inputs, grad_outputs=None, *, eps=1e-6, atol=1e-5, rtol=1e-3, gen_non_contig_grad_outputs=False,
                  raise_exception=True, nondet_tol=0.0, check_undefined_grad=True, check_grad_dtypes=False,
                  check_batched_grad=False, check_fwd_over_rev=False, check_rev_over_rev=True, fast_mode=False, masked=False):  # fmt: skip
    """True if the gradients of the gradients of `func(*inputs)` are right; options as in `gradcheck`.

    >>> import tinygrad_edu as tg
    >>> x = tg.tensor([0.5, 2.0], dtype=tg.float64, requires_grad=True)
    >>> tg.autograd.gradgradcheck(lambda x: x**3, x)
    True
    """
    refuse(check_batched_grad=check_batched_grad, check_fwd_over_rev=check_fwd_over_rev,
           check_rev_over_rev=not check_rev_over_rev, masked=masked)  # fmt: skip
    inputs = as_tuple(inputs)
    outputs = differentiable(func(*inputs))
    if grad_outputs is None:
        rng = np.random.default_rng(0)
        grad_outputs = []
        for y in outputs:
            g = rng.normal(size=y.shape).astype(y.dtype)
            g = Tensor(np.repeat(g[..., None], 2, -1)[..., 0] if gen_non_contig_grad_outputs else g)
            g.requires_grad = True
            grad_outputs.append(g)
    count = len(inputs)

    def gradients(*args):
        wanted = [x for x in args[:count] if isinstance(x, Tensor) and x.requires_grad]
        outputs = differentiable(func(*args[:count]))
        return engine.grad(outputs, wanted, args[count:], create_graph=True, allow_unused=True, materialize_grads=True)

    return gradcheck(gradients, (*inputs, *as_tuple(grad_outputs)), eps=eps, atol=atol, rtol=rtol, raise_exception=raise_exception,
                     nondet_tol=nondet_tol, check_grad_dtypes=check_grad_dtypes, fast_mode=fast_mode)  # fmt: skip


def refuse(**options):
    """Options of PyTorch that have no meaning here may only be off."""
    for name, on in options.items():
        if on:
            raise ValueError(f"gradcheck: {name} cannot be changed here: derivatives are computed backward, from one rule per "
                             "operator, on dense arrays; leave it at its default")  # fmt: skip


def as_tuple(values):
    return tuple(values) if isinstance(values, (tuple, list)) else (values,)


def differentiable(outputs):
    """The results that have gradients."""
    return [y for y in as_tuple(outputs) if isinstance(y, Tensor) and y.requires_grad]


def compare(func, inputs, eps=1e-6, atol=1e-5, rtol=1e-3, nondet_tol=0.0, check_grad_dtypes=False, fast_mode=False):
    """The Report for `func(*inputs)`: all derivatives, computed and measured."""
    inputs = as_tuple(inputs)
    checked = [i for i, x in enumerate(inputs) if isinstance(x, Tensor) and x.requires_grad]
    if not checked:
        raise ValueError("gradcheck: no input requires grad, so there is nothing to check; make the inputs with "
                         "requires_grad=True")  # fmt: skip
    for i in checked:
        if not as_memory(inputs[i]).flags.writeable:
            raise ValueError(f"gradcheck: input {i} is expanded or read-only memory, and its elements cannot be moved one by "
                             "one; pass x.clone()")  # fmt: skip
    before = [inputs[i].array.copy() for i in checked]
    outputs = results(func, inputs)
    for i, array in zip(checked, before):
        if not np.array_equal(array, inputs[i].array, equal_nan=True):
            raise GradcheckError(f"gradcheck: func changed its input {i} in place; let it work on a x.clone()")
    report = Report(tolerances=(atol, rtol))
    again = results(func, inputs)
    for a, b in zip(outputs, again):
        if a.shape != b.shape or not np.allclose(a.array, b.array, 0, nondet_tol, equal_nan=True):
            report.hints.append("two calls of func gave different results: seed its random numbers, or keep it from changing "
                                "state")  # fmt: skip
            break
    rng = np.random.default_rng(0)
    directions = {i: [rng.normal(size=inputs[i].shape)] for i in checked} if fast_mode else {}
    weights = [[rng.normal(size=y.shape)] for y in outputs] if fast_mode else None
    for k, y in enumerate(outputs):
        rows = jacobian_rows(y, [inputs[i] for i in checked], weights[k] if weights else None)
        repeated = jacobian_rows(again[k], [inputs[i] for i in checked], weights[k] if weights else None)
        for i, row, other in zip(checked, rows, repeated):
            if not report.hints and not np.allclose(row, other, 0, nondet_tol, equal_nan=True):
                raise GradcheckError(f"gradcheck: two backward passes gave different gradients for input {i}; a derivative rule "
                                     "must not draw random numbers or keep state (nondet_tol allows a difference)")  # fmt: skip
            if check_grad_dtypes and row.dtype != inputs[i].dtype:
                raise GradcheckError(f"gradcheck: the gradient of input {i} is {row.dtype}, and the input {inputs[i].dtype}")
            if fast_mode:
                row = np.array([[np.sum(row * directions[i][0].reshape(-1, 1))]])
            report.analytic[i, k] = row
    for i in checked:
        for k, slopes in enumerate(measured(func, inputs, i, eps, directions.get(i), weights)):
            numeric, left, right = slopes
            report.numeric[i, k] = numeric
            find_mismatches(report, func, inputs, outputs, (i, k), slopes, eps, directions.get(i), weights)
    if not report.ok:
        add_hints(report, inputs, checked)
    return report


def results(func, inputs):
    """The floating-point tensors that func returns."""
    outputs = as_tuple(func(*inputs))
    wrong = [type(y).__name__ for y in outputs if not isinstance(y, Tensor)]
    if wrong:
        raise ValueError(f"gradcheck: func must return a tensor or several, and it returned {wrong[0]}")
    if any(y.dtype.kind == "c" for y in outputs):
        raise ValueError("gradcheck: func returned complex numbers, which have no gradients here")
    return [y for y in outputs if y.dtype.kind == "f"]


def jacobian_rows(y, inputs, weights):
    """Per input a matrix: a row for each of its elements, a column for each element of y (or one, for a weighted sum)."""
    if weights is None:
        weights = np.eye(y.array.size).reshape((y.array.size, *y.shape))
    if not y.requires_grad:
        return [np.zeros((x.array.size, len(weights)), x.dtype) for x in inputs]
    columns = [engine.grad(y, inputs, Tensor(w.astype(y.dtype)), retain_graph=True, allow_unused=True, materialize_grads=True)
               for w in weights]  # fmt: skip
    if not columns:
        return [np.zeros((x.array.size, 0), x.dtype) for x in inputs]
    return [np.stack([c[i].detach().array.reshape(-1) for c in columns], axis=1) for i in range(len(inputs))]


def values(func, inputs, weights):
    """What func computes, as flat float64 arrays, one per output."""
    with modes.enable_grad():
        outputs = results(func, inputs)
    if weights is not None:
        return [np.array([np.sum(y.array * w[0])]) for y, w in zip(outputs, weights)]
    return [np.array(y.array, np.float64).reshape(-1) for y in outputs]


def moved(func, inputs, i, direction, step, weights):
    """The values of func with input i moved by step · direction, an array or the index of one element."""
    array = as_memory(inputs[i])
    former = array.copy()
    try:
        if isinstance(direction, tuple):
            array[direction] += step
        else:
            array += (step * direction).astype(array.dtype)
        return values(func, inputs, weights)
    finally:
        array[...] = former


def slopes_along(func, inputs, i, direction, eps, weights, here):
    """Per output the slope over ±eps, and the slopes on the left and on the right."""
    up, down = moved(func, inputs, i, direction, eps, weights), moved(func, inputs, i, direction, -eps, weights)
    return [((u - d) / (2 * eps), (h - d) / eps, (u - h) / eps) for u, d, h in zip(up, down, here)]


def measured(func, inputs, i, eps, directions, weights):
    """Per output three matrices: a row for each element of input i, with the central, the left and the right slopes."""
    with np.errstate(all="ignore"):
        here = values(func, inputs, weights)
        ways = list(np.ndindex(inputs[i].shape)) if directions is None else directions
        rows = [slopes_along(func, inputs, i, way, eps, weights, here) for way in ways]
        if not rows:
            return [(np.zeros((0, len(h))),) * 3 for h in here]
        return [tuple(np.stack([row[k][side] for row in rows]) for side in range(3)) for k in range(len(here))]


def find_mismatches(report, func, inputs, outputs, key, slopes, eps, directions, weights):
    """Enter every element whose derivative and slope differ, unless it lies between the two slopes at a kink."""
    i, k = key
    atol, rtol = report.tolerances
    analytic, (numeric, left, right) = np.asarray(report.analytic[key], np.float64), slopes
    wrong = ~np.isclose(analytic, numeric, rtol, atol)
    for row, column in zip(*np.nonzero(wrong)):
        place = np.unravel_index(row, inputs[i].shape) if directions is None else ()
        way = tuple(int(n) for n in place) if directions is None else directions[0]
        m = Mismatch(i, k, tuple(int(n) for n in place),
                     tuple(int(n) for n in np.unravel_index(column, outputs[k].shape)) if weights is None else (),
                     *(float(a[row, column]) for a in (analytic, numeric, left, right)))  # fmt: skip
        if not is_subgradient(m, func, inputs, way, eps, weights, column, report.tolerances):
            report.mismatches.append(m)


def is_subgradient(m, func, inputs, way, eps, weights, column, tolerances):
    """True if a closer look explains the difference: a kink within ±eps, and a derivative that is valid there."""
    if not np.isfinite([m.analytic, m.left, m.right]).all() or inputs[m.input].dtype.itemsize < 8:
        return False
    atol, rtol = tolerances
    close = lambda a, b: abs(a - b) <= atol + rtol * abs(b)
    if close(m.left, m.right):
        return False  # the function is smooth here
    with np.errstate(all="ignore"):
        here = values(func, inputs, weights)
        near = slopes_along(func, inputs, m.input, way, eps / 100, weights, here)[m.output]
    central, left, right = (float(side[column]) for side in near)
    if close(m.analytic, central):
        return True  # the kink is close by, not here
    stable = close(left, m.left) and close(right, m.right)  # at a jump the slopes grow as the step shrinks
    slack = atol + rtol * max(abs(left), abs(right))
    return stable and min(left, right) - slack <= m.analytic <= max(left, right) + slack


def add_hints(report, inputs, checked):
    """What the pattern of errors suggests."""
    low = [i for i in checked if inputs[i].dtype.itemsize < 8]
    if low:
        report.hints.append(f"input {low[0]} is {inputs[low[0]].dtype}, whose rounding hides small steps: check with float64, as "
                            "in x.double(), or use a larger eps, atol and rtol")  # fmt: skip
    if report.hints:
        return  # what follows would only describe noise
    worst = report.worst
    if not np.isclose(worst.left, worst.right, *report.tolerances[::-1]):
        report.hints.append(f"the function has a kink or a jump near this point: its slope is {worst.left:.6g} on the left and "
                            f"{worst.right:.6g} on the right, and the gradient should lie between; or move the input away")  # fmt: skip
    pairs = [(m.analytic, m.numeric) for m in report.mismatches if m.numeric]
    ratios = [a / n for a, n in pairs]
    if ratios and np.ptp(ratios) <= 1e-3 * abs(ratios[0]) and not low:
        if ratios[0] == 0:
            report.hints.append("no gradient arrives at this input: does func leave the graph, by detach(), .data or no_grad()?")
            return
        name = {0.5: "exactly half", 2.0: "exactly twice", -1.0: "exactly the negative of"}
        times = name.get(round(ratios[0], 4), f"{ratios[0]:.4g} times")
        report.hints.append(f"wherever they differ, the gradient is {times} the slope: look for that factor in the rule")
    elif not ratios and all(m.numeric == 0 for m in report.mismatches):
        report.hints.append("the function does not change with this input, yet its gradient is not zero")
