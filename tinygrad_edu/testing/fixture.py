"""What the pytest plugin uses once a test asks for it: the object behind the `gradcheck` fixture, and the lines of the summary."""

import inspect
import shutil

from .claims import check_function
from .gradients import checked
from .modules import check_module
from .optimizers import check_optimizer, check_training_step
from .programs import check_engine


class Gradcheck:
    """The `gradcheck` fixture: each method raises if what it checks is wrong, and the summary lists what passed.

    >>> import tinygrad_edu as tg
    >>> from tinygrad_edu.testing.fixture import Gradcheck
    >>> gradcheck = Gradcheck()
    >>> gradcheck(tg.tanh, tg.randn(3, dtype=tg.float64, requires_grad=True))
    True
    """

    def __call__(self, func, inputs, **options):
        """Gradients of a function of tensors; arguments as of autograd.gradcheck."""
        __tracebackhide__ = True
        return checked(func, inputs, label(func), 1, **options)

    def second(self, func, inputs, **options):
        """Gradients, and gradients of the gradients."""
        __tracebackhide__ = True
        return checked(func, inputs, label(func), 2, **options)

    claimed = staticmethod(check_function)
    module = staticmethod(check_module)
    optimizer = staticmethod(check_optimizer)
    training_step = staticmethod(check_training_step)
    engine = staticmethod(check_engine)


def label(func):
    """What the summary calls a function; a lambda has no name, but a line."""
    from .gradients import name_of

    name = name_of(func).rpartition("<locals>.")[2]
    if name == "<lambda>":
        code = inspect.unwrap(func).__code__
        return f"lambda, {code.co_filename.replace(chr(92), '/').rpartition('/')[2]}:{code.co_firstlineno}"
    return name


LISTED = 15


def summary(entries, wanted="short"):
    """[(line, whether it is about something right)], one per function, the worst first; at most 80 columns."""
    merged: dict = {}
    for entry in entries:
        known = merged.setdefault(entry["name"], dict(entry, checks=0, derivatives=0))
        known["checks"] += entry["checks"]
        known["derivatives"] += entry["derivatives"]
        known["ok"] &= entry["ok"]
        errors = [e for e in (known["error"], entry["error"]) if e is not None]
        known["error"] = max(errors, default=None)
    rows = sorted(merged.values(), key=lambda e: (e["ok"], -(e["error"] or 0), e["name"]))
    right = sum(e["ok"] for e in rows)
    if wanted == "failed":
        rows = [e for e in rows if not e["ok"]]
    left_out = max(len(rows) - LISTED, 0) if wanted == "short" else 0
    rows = rows[: len(rows) - left_out]
    width = min(max((len(e["name"]) for e in rows), default=0), min(shutil.get_terminal_size().columns, 80) - 42)
    lines = [(f"  {'function':{width}}    checks  derivatives  worst error", True)] if rows else []
    for e in rows:
        name = e["name"] if len(e["name"]) <= width else e["name"][: width - 1] + "…"
        error = "" if e["error"] is None else f"{e['error']:.1e}"
        lines.append((f"{'✓' if e['ok'] else '✗'} {name:{width}}  {e['checks']:8}  {e['derivatives'] or '':>11}  {error:>11}", e["ok"]))
    if left_out:
        lines.append((f"  … and {left_out} more, with smaller errors (--gradcheck-summary=all lists them)", True))
    total = sum(e["checks"] for e in merged.values())
    lines.append((f"{right} of {len(merged)} functions right, {total} checks", right == len(merged)))
    return lines if wanted != "failed" or rows else []
