"""What may go wrong with a compiled step, and the line of the user's that it is about."""

import linecache
import sys

from ..autograd.recorder import FOLDER, own_code, users_frame


class CompileError(RuntimeError):
    """A step that cannot be recorded once and replayed: it says which line, and what to do. The step was not done."""


class Changed(Exception):
    """A replay meets something that was different when the step was recorded (at a line): this call is done without it."""


def users_line():
    """The line of the user's code that is running: its file, its number."""
    frame = users_frame()
    return (frame.f_code.co_filename, frame.f_lineno) if frame else ("", 0)


def shown(place):
    """A line of the user's as text."""
    return linecache.getline(*place).strip()


# Files whose code asks on the user's behalf:
DIRECT = ("compiled", *(f"api/{name}.py" for name in ("methods", "spelling", "printing", "everyday")),
          *(f"autograd/{name}.py" for name in ("tensor", "memory")))  # fmt: skip


def own_check():
    """True if it is this package's own code that asks for a number, as when it checks arguments, and not the user's."""
    frame = sys._getframe(2)
    while frame is not None and own_code(frame.f_code.co_filename):
        if not frame.f_code.co_filename.startswith(tuple(FOLDER + name for name in DIRECT)):
            return True
        frame = frame.f_back
    return False


def value_read(how):
    """The error for Python code that asks a recorded array for its numbers."""
    place = users_line()
    where = f"line {place[1]}, `{shown(place)}`" if shown(place) else "a line"
    return CompileError(
        f"compiled step: {where} needs the numbers of an array ({how}) while the step is recorded, and a replay could not decide "
        "anew what to do with them; return the tensor from the step and read it outside, or choose with where(condition, a, b)"
    )
