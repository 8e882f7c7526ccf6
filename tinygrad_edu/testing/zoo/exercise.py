"""One exercise of the bug zoo: a program with one place broken, its symptom, hints and explanation; and the list of all."""

import contextlib
import difflib
import io
import textwrap
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path

PROGRAMS = Path(__file__).parent / "programs"


@dataclass(frozen=True)
class Exercise:
    """A planted bug: each of `changes` replaces a text of the program, which stands there once, by another.

    `name` tells the cause, so it is for teachers; learners know the exercise by its number and title.
    """

    name: str
    program: str
    title: str
    symptom: str
    changes: tuple
    hints: tuple
    explanation: str
    tempting: tuple = ()  # wrong fixes that look right: other texts in the place of the first change
    number: int = 0

    @cached_property
    def right(self):
        """The program as it should be."""
        return source_of(self.program)

    @cached_property
    def broken(self):
        """The program with the bug."""
        return self.changed([wrong for _, wrong in self.changes])

    @property
    def wrong_fixes(self):
        """The program with each of the tempting wrong fixes."""
        rest = [wrong for _, wrong in self.changes[1:]]
        return [self.changed([text, *rest]) for text in self.tempting]

    def changed(self, texts):
        source = self.right
        for (right, _), text in zip(self.changes, texts):
            if source.count(right) != 1:
                raise ValueError(f"{self.name}: {self.program}.py has {source.count(right)} times, not once, the text {right!r}")
            source = source.replace(right, text)
        return source

    @property
    def file(self):
        """What the learner gets: the broken program, with the task on top."""
        _, _, rest = self.broken.partition("\n")
        what = self.right.partition("\n")[0].strip('"')
        command = f"python -m tinygrad_edu.testing zoo check {self.number}"
        head = [*filled(what, 75), "", f"Bug {self.number}: {self.title}", "", *filled(self.symptom), "",
                *filled("One place in this file is wrong; the rest is as it should be. Run the file to see what happens, find the "
                        "place, and mend it. Then:"), "", f"    {command}", "", "What it should print:", "",
                *(f"    {line}".rstrip() for line in expected_output(self.program).splitlines())]  # fmt: skip
        return '"""' + "\n".join(head) + '\n"""\n' + rest

    @property
    def difference(self):
        """The mended lines as a diff."""
        lines = difflib.unified_diff(self.broken.splitlines(), self.right.splitlines(), "yours", "mended", n=2, lineterm="")
        return "\n".join(lines)


def filled(text, width=78):
    """A paragraph as lines of at most `width` characters.

    >>> from tinygrad_edu.testing.zoo.exercise import filled
    >>> filled("one two", 4)
    ['one', 'two']
    """
    return textwrap.wrap(text, width)


@cache
def source_of(program):
    """The text of one of the programs."""
    return (PROGRAMS / f"{program}.py").read_text(encoding="utf-8")


@cache
def expected_output(program):
    """What one of the programs prints as it should be."""
    out, names = io.StringIO(), {"__name__": program}
    exec(compile(source_of(program), program, "exec"), names)
    with contextlib.redirect_stdout(out):
        names["main"]()
    return out.getvalue()
