"""A checklist: several named checks of one thing, all of them run, and one error that lists those that failed."""

import textwrap
from dataclasses import dataclass, field

from . import records


class CheckError(AssertionError):
    """Some checks of a module, an optimizer or an engine failed; `result` is the list of all."""

    def __init__(self, message, result=None):
        super().__init__(message)
        self.result = result


@dataclass
class Result:
    """What was checked, in order: {check: None, or what is wrong}."""

    subject: str
    checks: dict = field(default_factory=dict)

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
            for line in (problem or "").splitlines():
                lines += [f"      {line}"] if len(line) < 74 else textwrap.wrap(line, 78, initial_indent="      ", subsequent_indent="      ")
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
            notes = "\n".join(getattr(error, "__notes__", ()))
            kind = "" if isinstance(error, AssertionError) else f"{type(error).__name__}: "
            problem = f"{kind}{error}\n{notes}".rstrip()
        problem = problem if isinstance(problem, str) and problem else None
        same = next((earlier for earlier, known in self.checks.items() if problem and known == problem), None)
        self.checks[name] = f"the same as in “{same}”" if same else problem

    def finish(self, raise_exception=True):
        """Record the result, and raise a CheckError unless all is well."""
        records.record(self.subject, self.ok)
        if raise_exception and not self.ok:
            raise CheckError(self.report, self)
        return self
