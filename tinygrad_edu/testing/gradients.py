"""Checks of gradients that are recorded: gradcheck as the fixture, gradtest and check_module call it."""

import inspect

import numpy as np

from ..autograd import GradcheckError, check_gradients
from ..autograd.checked import Problem
from ..autograd.examination import Options, examine
from . import records


def checked(func, inputs=(), name=None, order=1, raise_exception=True, **given):
    """True if the derivatives of `func` are right up to `order`, 1 or 2; options as in gradcheck. Records the result.

    `func` may be a Problem of autograd.checked as well, which brings its inputs and its gradient with it.
    """
    __tracebackhide__ = True  # pytest shows the test's own line and the message
    name = name or name_of(func)
    options = {k: v for k, v in given.items() if k not in ("eps", "atol", "rtol", "fast_mode")} | records.options.filled(**given)
    if isinstance(func, Problem):
        options["fast"] = options.pop("fast_mode")
        result = examine(func, Options(**options))
    else:
        result = check_gradients(func, inputs, order=order, **options)
    records.record(name, result.ok, result.compared, largest_error(result))
    if not result.ok and raise_exception:
        raise GradcheckError(result.report, result)
    return result.ok


def largest_error(result):
    """The largest difference from a slope that a check has seen; None where nothing could be compared."""
    errors = [row.largest for row in result.rows if np.isfinite(row.largest)]
    return np.inf if result.mismatches and not errors else max(errors, default=None)


def name_of(func):
    """What a report calls a function: its name, or that of its class.

    >>> from tinygrad_edu.testing.gradients import name_of
    >>> name_of(abs)
    'abs'
    """
    owner = getattr(func, "__self__", None)
    if getattr(func, "__name__", "") == "apply" and inspect.isclass(owner):
        return owner.__name__
    operator = getattr(getattr(func, "op", None), "name", None)  # operators of ours are called by a few functions made for all
    return operator or getattr(func, "__qualname__", None) or type(func).__name__
