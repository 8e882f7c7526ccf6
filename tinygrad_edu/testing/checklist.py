"""A checklist: several named checks of one thing, all of them run, and one error that lists those that failed."""

import textwrap
from dataclasses import dataclass, field

from . import records


class CheckError(AssertionError):
    """Some checks of a module, an optimizer or an engine failed; `result` is the list of all."""

    def __init__(self, message, result=None):
        super().__init__(message)
        self.result = result


class Enough(Exception):
    """The first failed check has ended a checklist that stops there."""


@dataclass
class Result:
    """What was checked, in order: {check: None, or what is wrong}."""

    subject: str
    checks: dict = field(default_factory=dict)
    stop: bool = False  # at the first check that fails

    @property
    def ok(self):
        """True if every check passed."""
        return not any(self.checks.values())

    @property
    def failed(self):
        """The names of the checks that failed."""
        return [name for name, problem in self.checks.items() if problem]

    @property
    def report(self):
        """The checks as text, at most 80 columns."""
        lines = [f"{self.subject}: {len(self.checks) - len(self.failed)} of {len(self.checks)} checks passed"]
        for name, problem in self.checks.items():
            lines += textwrap.wrap(f"{'✗' if problem else '✓'} {name}", 78, initial_indent="  ", subsequent_indent="    ")
            told = (problem or "").splitlines()
            if len(told) == 1:
                lines += textwrap.wrap(told[0], 78, initial_indent="      ", subsequent_indent="      ")
            else:  # a report of its own, up to 80 columns wide: moved in as far as there is room
                room = max(min([80 - len(line) for line in told if len(line) <= 80] + [6]), 0)
                for line in told:
                    inside = " " * (room + len(line) - len(line.lstrip()))
                    lines += textwrap.wrap(line, 80, initial_indent=" " * room, subsequent_indent=inside) if len(line) > 80 else [f"{' ' * room}{line}".rstrip()]
        return "\n".join(lines)

    def __str__(self):
        return self.report

    def __bool__(self):
        return self.ok

    def run(self, name, check):
        """Run one check: it fails by returning a text or by raising any error."""
        try:
            problem = check()
        except Exception as error:
            problem = told(error)
        problem = problem if isinstance(problem, str) and problem else None
        same = next((earlier for earlier, known in self.checks.items() if problem and known == problem), None)
        self.checks[name] = f"the same as in “{same}”" if same else problem
        if problem and self.stop:
            raise Enough

    def finish(self, raise_exception=True):
        """Record the result, and raise a CheckError unless all is well."""
        records.record(self.subject, self.ok)
        if raise_exception and not self.ok:
            __tracebackhide__ = True
            raise CheckError(self.report, self)
        return self


def told(error):
    """What an error says: its message and notes; of a checklist inside of this one, what failed there."""
    if isinstance(error, CheckError) and isinstance(error.result, Result):
        return "\n".join(f"{name}: {problem}" for name, problem in error.result.checks.items() if problem)
    kind = "" if isinstance(error, AssertionError) or type(error).__name__ == "GradcheckError" else f"{type(error).__name__}: "
    return "\n".join([f"{kind}{error}", *getattr(error, "__notes__", ())])
