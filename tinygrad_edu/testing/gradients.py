"""Checks of gradients that are recorded: gradcheck as the fixture, gradtest and check_module call it."""

import inspect

import numpy as np

from ..autograd import GradcheckError, Tensor, grad, gradcheck, gradgradcheck
from ..autograd.tensor import as_memory
from . import records


def checked(func, inputs, name=None, order=1, raise_exception=True, **given):
    """True if the derivatives of `func` are right up to `order`, 1 or 2; options as in gradcheck. Records the result."""
    __tracebackhide__ = True  # pytest shows the test's own line and the message
    if order not in (1, 2):
        raise ValueError(f"order: gradients are order 1, gradients of gradients order 2; got {order!r}")
    name = name or name_of(func)
    options = records.options.filled(**given)
    rest = {k: v for k, v in given.items() if k not in ("eps", "atol", "rtol", "fast_mode")}
    good = True
    try:
        for check in (gradcheck, gradgradcheck)[:order]:
            good = bool(check(func, inputs, **options, **rest, raise_exception=True))
    except GradcheckError as error:
        good = False
        records.record(name, False, *extent(getattr(error, "report", None)))
        if raise_exception:
            raise error.with_traceback(None) from None
    else:
        records.record(name, good, *extent(None, func, inputs, options))
    return good


def name_of(func):
    """What a report calls a function: its name, or that of its class.

    >>> from tinygrad_edu.testing.gradients import name_of
    >>> name_of(abs)
    'abs'
    """
    owner = getattr(func, "__self__", None)
    if getattr(func, "__name__", "") == "apply" and inspect.isclass(owner):
        return owner.__name__
    return getattr(func, "__qualname__", None) or type(func).__name__


def extent(report, func=None, inputs=None, options=None):
    """(how many derivatives were compared, the largest difference from a slope)."""
    if report is None and func is not None:
        return quick_extent(func, inputs, options)
    errors = [largest(report.analytic[key], report.numeric[key]) for key in getattr(report, "analytic", {}) if key in report.numeric]
    return sum(np.size(j) for j in getattr(report, "analytic", {}).values()), max(errors, default=None)


def quick_extent(func, inputs, options):
    """Of a function that passed: how many derivatives it has, and the error along one random direction, for the summary."""
    inputs = tuple(inputs) if isinstance(inputs, (tuple, list)) else (inputs,)
    active = [x for x in inputs if isinstance(x, Tensor) and x.requires_grad]
    rng, eps = np.random.default_rng(0), options.get("eps", 1e-6)
    outputs = [y for y in as_tuple(func(*inputs)) if y.requires_grad]
    derivatives = sum(x.numel() for x in active) * sum(y.numel() for y in outputs)
    if not derivatives:
        return 0, None
    weights = [rng.uniform(0.5, 1.5, y.shape) for y in outputs]
    ways = [rng.uniform(-1, 1, x.shape) for x in active]
    gradients = grad(outputs, active, [Tensor(w.astype(y.dtype)) for w, y in zip(weights, outputs)], allow_unused=True, materialize_grads=True)
    computed = sum(float(np.sum(g.detach().array * way)) for g, way in zip(gradients, ways))

    def along(step):
        kept = [as_memory(x).copy() for x in active]
        try:
            for x, array, way in zip(active, kept, ways):
                x.array[...] = array + step * way
            return sum(float(np.sum(y.array * w)) for y, w in zip([y for y in as_tuple(func(*inputs)) if y.requires_grad], weights))
        finally:
            for x, array in zip(active, kept):
                x.array[...] = array

    with np.errstate(all="ignore"):
        up, here, down = along(eps), along(0), along(-eps)
    slope, bend = (up - down) / (2 * eps), abs(up - 2 * here + down) / eps
    return derivatives, None if bend > 1e-3 * (1 + abs(slope)) else largest(computed, slope)  # at a kink there is no one slope


def as_tuple(values):
    return tuple(values) if isinstance(values, (tuple, list)) else (values,)


def largest(analytic, numeric):
    """The largest finite difference between two arrays; infinite if one is not a number."""
    if not np.size(analytic):
        return 0.0
    with np.errstate(all="ignore"):
        error = np.abs(np.asarray(analytic, np.float64) - np.asarray(numeric, np.float64))
    return float(np.where(np.isnan(error), np.inf, error).max())
