"""How numbers, arrays, shapes and source lines are written in pictures."""

import linecache
from pathlib import Path

import numpy as np


def number(x, digits=4):
    """A number as a person writes it: 4 significant digits, a real minus sign.

    >>> from tinygrad_edu.viz.text import number
    >>> number(-0.0214187), number(7.0), number(1e-9)
    ('−0.02142', '7', '1e−09')
    """
    if isinstance(x, (bool, np.bool_)):
        return str(bool(x))
    if isinstance(x, (int, np.integer)):
        text = str(int(x))
    else:
        text = f"{x + 0.0:.{digits}g}"  # + 0.0 makes −0 a plain 0
        if "e+" in text and abs(x) < 1e6:
            text = f"{x:.0f}"
    return text.replace("-", "−")


def array(a, digits=4, most=12, newline="\n"):
    """An array in few characters: a number, rows of numbers, or the range of a large one."""
    a = np.asarray(a)
    if a.size == 1 and a.ndim == 0:
        return number(a[()], digits)
    if a.size == 0:
        return "empty"
    if a.size <= most and a.ndim <= 2:
        cells = [[number(v, digits) for v in row] for row in np.atleast_2d(a)]
        width = max(len(c) for row in cells for c in row) if len(cells) > 1 else 0
        if a.ndim == 1:
            return "[" + ", ".join(cells[0]) + "]"
        return newline.join("[" + " ".join(c.rjust(width) for c in row) + "]" for row in cells)
    if a.dtype.kind == "f":
        finite = a[np.isfinite(a)]
        broken = f", {a.size - finite.size} not finite" if finite.size < a.size else ""
        return f"{number(finite.min(), 3)} … {number(finite.max(), 3)}{broken}" if finite.size else "all not finite"
    return f"{number(a.min())} … {number(a.max())}"


def shape(of, dtype=None):
    """A shape as PyTorch prints it, with the dtype where it is not the default one."""
    from ..autograd import dtypes

    shown = f"[{', '.join(map(str, of))}]" if len(of) else "scalar"
    return shown if dtype is None or np.dtype(dtype) == np.dtype(dtypes.get_default_dtype()) else f"{shown} {dtype}"


def size_of(g):
    """The typical magnitude of an array: the root of its mean square."""
    g = np.asarray(g, np.float64)
    return float(np.sqrt(np.mean(g * g))) if g.size else 0.0


def source_line(line):
    """`train.py:31  loss = ((y - t) ** 2).mean()` for a recorded (file, number)."""
    if not line:
        return ""
    text = linecache.getline(*line).strip()
    return f"{Path(line[0]).name}:{line[1]}  {text}".rstrip()


def shortened(text, most=40):
    """A text that fits into a box."""
    text = " ".join(str(text).split())
    return text if len(text) <= most else text[: most - 1] + "…"
