"""Slopes by moving: what a function does when one element, or a whole input along a direction, is moved a little.

A `problem` here is anything with `arrays`, memory that may be moved, and `evaluate()`, which returns the outputs as arrays.
"""

from typing import NamedTuple

import numpy as np


class Slope(NamedTuple):
    """Derivatives measured with several steps: the values, and how far they may be off."""

    value: np.ndarray
    error: np.ndarray


def moved_values(problem, i, eps):
    """Per output two matrices, a row for each element of input i: the values with it moved up, and moved down."""
    evaluate, flat = problem.evaluate, problem.arrays[i].flat
    ups, downs = [], []
    for k in range(problem.arrays[i].size):
        former = flat[k]
        try:
            flat[k] = former + eps
            ups.append(evaluate())
            flat[k] = former - eps
            downs.append(evaluate())
        finally:
            flat[k] = former
    return [(as_rows(ups, o), as_rows(downs, o)) for o in range(len(ups[0]) if ups else 0)]


def as_rows(values, output):
    """One output of several evaluations as a matrix, a row for each evaluation."""
    return np.array([v[output] for v in values], np.float64).reshape(len(values), -1)


def slopes(problem, i, eps):
    """All central slopes of input i, side by side for all outputs: a row per element of the input, a column per value."""
    if not problem.arrays[i].size:
        return np.zeros((0, sum(o.size for o in problem.evaluate())))
    return np.concatenate([(up - down) / (2 * eps) for up, down in moved_values(problem, i, eps)], axis=1)


def along(problem, i, way, eps):
    """The outputs, as one flat array, with input i moved by +eps · way and by −eps · way (`way`: an array, or one position)."""
    array = problem.arrays[i]
    former = array.copy()
    result = []
    try:
        for step in (eps, -eps):
            if isinstance(way, np.ndarray):
                array[...] = former + (step * way).astype(array.dtype)
            else:
                array[...] = former
                array.flat[way] += step
            result.append(flattened(problem.evaluate()))
    finally:
        array[...] = former
    return result


def together(problem, ways, eps):
    """The outputs, as one flat array, with every input moved along its own way, by +eps and by −eps."""
    former = [a.copy() for a in problem.arrays]
    result = []
    try:
        for step in (eps, -eps):
            for array, before, way in zip(problem.arrays, former, ways):
                array[...] = before + step * way
            result.append(flattened(problem.evaluate()))
    finally:
        for array, before in zip(problem.arrays, former):
            array[...] = before
    return result


def flattened(outputs):
    """All outputs one after the other, in float64."""
    if len(outputs) == 1:
        return np.asarray(outputs[0], np.float64).reshape(-1)
    return np.concatenate([np.asarray(o, np.float64).reshape(-1) for o in outputs]) if outputs else np.zeros(0)


def sides(problem, i, way, eps):
    """(central, left, right): the slopes of input i along `way`, one per output value."""
    here = flattened(problem.evaluate())
    up, down = along(problem, i, way, eps)
    return (up - down) / (2 * eps), (here - down) / eps, (up - here) / eps


def jitter(problem, i, way, eps):
    """How much the outputs scatter by rounding: the largest second difference between five places on a line, on both sides."""
    ups, downs = zip(*(along(problem, i, way, eps * (1 + 0.5 * k)) for k in range(5)))
    return np.maximum(*(np.abs(np.diff(np.array(values), 2, axis=0)).max(axis=0) for values in (ups, downs)))


def refined(problem, i, way):
    """The slope of input i along `way`, from many steps: Richardson's extrapolation, and the step at which it is steadiest.

    The error of a central slope is c·h² + rounding / h. From steps h and h/2, (4·D(h/2) − D(h)) / 3 is free of the h² term; the
    difference to D(h/2) bounds what is left, and the rounding of the values, divided by h, is added.
    """
    here = flattened(problem.evaluate())
    scale = max(1.0, size_along(problem, i, way))
    best, best_error = np.zeros_like(here), np.full(here.shape, np.inf)
    for _, central, extrapolated, former, noise in extrapolations(problem, i, way, here, [0.25 * scale * 0.5**k for k in range(22)]):
        error = np.maximum((np.abs(extrapolated - central) + noise) / 4, np.abs(extrapolated - former)) + noise
        better = error < best_error
        best, best_error = np.where(better, extrapolated, best), np.where(better, error, best_error)
    return Slope(best, best_error)


def extrapolations(problem, i, way, here, steps):
    """For each step h, half as long as the one before: (h, D(h), (4·D(h) − D(2h)) / 3, the same of the step before, the values' rounding / h)."""
    unit = float(np.finfo(lowest_precision(problem)).eps)
    former = former_extrapolated = None
    for h in steps:
        up, down = along(problem, i, way, h)
        central = (up - down) / (2 * h)
        if former is not None:
            extrapolated = (4 * central - former) / 3
            if former_extrapolated is not None:
                yield h, central, extrapolated, former_extrapolated, unit * (np.abs(up) + np.abs(down) + np.abs(here)) / h
            former_extrapolated = extrapolated
        former = central


def size_along(problem, i, way):
    """How large the numbers are that move."""
    array = problem.arrays[i]
    return float(np.abs(array).max(initial=0.0) if isinstance(way, np.ndarray) else abs(array.flat[way]))


def plateau(problem, i, way):
    """The slope of input i along `way` from the smallest steps that do not drown in rounding: (Slope, a step that is as small).

    Where inputs are tiny, or the function turns quickly, the steps of `refined` are too long. Values that three steps in a row agree
    on are the slope; an error is infinite where no three do.
    """
    here = flattened(problem.evaluate())
    size = size_along(problem, i, way)
    best, best_error, length = np.zeros_like(here), np.full(here.shape, np.inf), np.inf
    agreed = np.zeros(here.shape, int)
    longest = 2.0 ** (np.floor(np.log2(max(1.0, size))) - 20)
    steps = [h for h in longest * 0.5 ** np.arange(90) if h >= 64 * np.spacing(size)]
    for h, central, extrapolated, former, noise in extrapolations(problem, i, way, here, steps):
        error = np.abs(extrapolated - former) + (noise + np.spacing(size) / h * np.abs(central))
        with np.errstate(invalid="ignore"):
            agreed = np.where(error <= 1e-4 * np.abs(extrapolated), agreed + 1, 0)
            better = (agreed >= 3) & ((error < best_error) | (np.abs(extrapolated - best) > 0.01 * np.abs(best)))
        if better.any():
            length = h
        best, best_error = np.where(better, extrapolated, best), np.where(better, error, best_error)
    return Slope(best, best_error), length


def lowest_precision(problem):
    """The coarsest floating-point type among inputs and outputs."""
    types = [a.dtype for a in problem.arrays] + list(getattr(problem, "output_dtypes", ()))
    return max((t for t in types if t.kind == "f"), key=lambda t: np.finfo(t).eps, default=np.dtype(np.float64))


class Projected:
    """Σ weights · outputs of a problem: one number."""

    def __init__(self, problem, weights):
        self.problem, self.weights = problem, weights
        self.arrays, self.output_dtypes = problem.arrays, problem.output_dtypes

    def evaluate(self):
        return (np.asarray(self.weights @ flattened(self.problem.evaluate())),)


def complex_slopes(problem, i):
    """The slopes of input i by a step along the imaginary axis, exact to the last digit; None where the function is not analytic.

    f(x + ih) = f(x) + ih·f′(x) + …, so f′(x) = Im f(x + ih) / h, and nothing is subtracted that could cancel. A function that
    is not made of analytic steps (abs, max, comparisons) gives another answer, so it is compared with real steps first.
    """
    evaluate = getattr(problem, "evaluate_complex", None)
    if evaluate is None or not problem.arrays[i].size:
        return None
    rows, here = [], None
    try:
        with np.errstate(all="ignore"):
            here = flattened(problem.evaluate())
            for k in range(problem.arrays[i].size):
                values = evaluate(i, k, 1e-30j)
                flat = np.concatenate([np.asarray(v).reshape(-1) for v in values])
                if flat.dtype.kind != "c" or not np.allclose(flat.real, here, 1e-12, 1e-12):
                    return None
                rows.append(flat.imag / 1e-30)
            found = np.array(rows)
            rng = np.random.default_rng(0)
            way = rng.uniform(0.5, 1.5, problem.arrays[i].shape)
            real = refined(problem, i, way)
            agrees = np.abs(way.reshape(-1) @ found - real.value) <= 1e-6 * (1 + np.abs(real.value)) + 10 * real.error
    except Exception:  # complex numbers are refused somewhere inside: then there is no such referee
        return None
    return found if agrees.all() and np.isfinite(found).all() else None
