"""The result of a gradient check: true or false, a text of at most 80 columns, and a table in a notebook."""

import textwrap
from dataclasses import dataclass, field
from html import escape

import numpy as np

WIDTH = 80


@dataclass
class Mismatch:
    """One wrong derivative: of element `column` of output `output` with respect to element `row` of input `input`, called `name`."""

    input: int
    output: int
    row: tuple
    column: tuple
    analytic: float
    numeric: float
    name: str = ""
    outputs: int = 1
    complex: tuple = (False, False)  # the input, the output: then the last number of the index is 0 for the real part, 1 for the imaginary

    @property
    def error(self):
        """How far the computed derivative is from the measured one; not a number counts as infinitely far."""
        error = abs(self.analytic - self.numeric)
        return error if error == error else np.inf

    @property
    def place(self):
        """The derivative in words: output[1] with respect to x[1]."""
        number = str(self.output) if self.outputs > 1 else ""
        spaced = " " if number else ""
        return f"output{spaced}{number}{index(self.column, self.complex[1])} with respect to {self.name}{index(self.row, self.complex[0])}"


def index(place, pairs=False):
    """[1, 2]; nothing for a number; [1].imag of complex numbers."""
    if pairs and place:
        return index(place[:-1]) + (".imag" if place[-1] else ".real")
    return str([int(n) for n in place]) if place else ""


@dataclass
class Compared:
    """What was compared for one input: how many derivatives, how many of them are wrong, and the largest error."""

    name: str
    shape: tuple
    count: int
    wrong: int
    largest: float
    gradient: float = np.nan
    slope: float = np.nan


@dataclass
class GradientCheck:
    """What a gradient check found: `ok` (also its truth value), `report` (text), `causes`, `notes`, `mismatches`, `worst`.

    `analytic` and `numeric` hold, per (input, output), the matrices that were compared: a row for each element of the input.
    A note says what was accepted, and why: a kink, a step of another length. A cause says why a gradient is wrong.
    """

    title: str = "the function"
    order: int = 1
    rows: list = field(default_factory=list)
    mismatches: list = field(default_factory=list)
    causes: list = field(default_factory=list)
    notes: list = field(default_factory=list)
    analytic: dict = field(default_factory=dict)
    numeric: dict = field(default_factory=dict)
    tolerances: tuple = (1e-5, 1e-3)
    fast: bool = False

    @property
    def ok(self):
        """True if every derivative agrees with its measured slope, or is a valid one at a kink."""
        return not self.mismatches and not self.causes

    def __bool__(self):
        return self.ok

    @property
    def cause(self):
        """The first cause, or None."""
        return self.causes[0] if self.causes else None

    @property
    def worst(self):
        """The mismatch with the largest error, or None."""
        return max(self.mismatches, key=lambda m: m.error, default=None)

    @property
    def compared(self):
        """How many derivatives were compared; in fast mode, along how many directions."""
        return sum(row.count for row in self.rows)

    def headline(self):
        """The verdict in one sentence."""
        what = "second derivatives" if self.order == 2 else "derivatives"
        what = f"random projections of {what}" if self.fast else what
        if self.ok:
            return f"gradcheck: {self.title}: all {self.compared} {what} agree with the measured slopes"
        if not self.mismatches and any(row.wrong for row in self.rows):
            return f"gradcheck: {self.title}: the gradient of {listed([r.name for r in self.rows if r.wrong])} is wrong"
        if not self.mismatches:
            return f"gradcheck: {self.title}: the {what} could not be confirmed"
        return f"gradcheck: {self.title}: {sum(r.wrong for r in self.rows)} of {self.compared} {what} differ from the measured slopes"

    def worst_lines(self):
        """The worst element: its index, both values, and what would have been allowed."""
        m = self.worst
        if m is None:
            return []
        atol, rtol = self.tolerances
        allowed = atol + rtol * abs(m.numeric)
        return [f"{m.place}:", f"the gradient is {m.analytic:.7g}, the slope {m.numeric:.7g}",
                f"the error is {m.error:.3g}, allowed {allowed:.3g} = {atol:g} + {rtol:g} · |slope|"]  # fmt: skip

    @property
    def report(self):
        """The whole result as text, no line longer than 80 columns."""
        lines = wrapped("", self.headline())
        worst = self.worst_lines()
        if worst:
            lines += wrapped("  worst: ", worst[0]) + [line for text in worst[1:] for line in wrapped("         ", text)]
        for cause in self.causes:
            lines += wrapped("  cause: ", self.cause_text(cause))
        if not self.causes and self.mismatches:
            lines += wrapped("  cause: ", "none of the known mistakes explains these numbers")
        for note in self.notes:
            lines += wrapped("  note: ", note.sentence)
        if len(self.rows) > 1 or not self.ok:
            lines += self.table()
        return "\n".join(lines)

    def cause_text(self, cause):
        """A cause with its inputs and its place."""
        names = [self.rows[i].name for i in cause.inputs if i < len(self.rows)] if not cause.where else []
        head = f"{listed(names)}: " if names and len(self.rows) > 1 else ""
        tail = f" ({cause.where})" if cause.where else ""
        return f"{head}{cause.sentence}{tail}"

    def cells(self):
        """The table's rows, as text."""
        body = [[shortened(r.name, 26), str(list(r.shape)), str(r.count), str(r.wrong), "–" if r.largest != r.largest else f"{r.largest:.2g}",
                 "right" if not r.wrong else "wrong"] for r in self.rows]  # fmt: skip
        return [["input", "shape", "compared", "wrong", "largest error", ""], *body]

    def table(self, limit=20):
        """The table as lines; the inputs with wrong derivatives first if there are many."""
        head, *body = self.cells()
        hidden = max(0, len(body) - limit)
        if hidden:
            body = sorted(body, key=lambda c: c[-1] == "right")[:limit]
        lines = [head, *body]
        widths = [max(len(c[k]) for c in lines) for k in range(len(head))]
        written = ["  " + "  ".join(c.ljust(w) if k in (0, 1, 5) else c.rjust(w) for k, (c, w) in enumerate(zip(line, widths))).rstrip()
                   for line in lines]  # fmt: skip
        if max(len(line) for line in written) > WIDTH:  # shapes with many axes
            written = [shortened(line, WIDTH) for line in written]
        return ["", *written] + ([f"  … and {hidden} more inputs"] if hidden else [])

    def __str__(self):
        return self.report

    __repr__ = __str__

    def _repr_html_(self):
        try:
            return self.html()
        except Exception:  # a notebook must show something in any case
            return f"<pre>{escape(object.__repr__(self))}</pre>"

    def html(self):
        """The table as HTML: readable on light and dark pages, nothing loaded from anywhere."""
        good, bad = "#1a7f37", "#cf222e"
        mark = f'<span style="color:{good if self.ok else bad};font-weight:600">{"✓" if self.ok else "✗"}</span> '
        cell = "padding:3px 10px;text-align:{};border-bottom:1px solid #8884"
        rows = []
        for row in self.rows:
            shown = [row.name, str(list(row.shape)), row.count, row.wrong, "–" if row.largest != row.largest else f"{row.largest:.2g}"]
            verdict = f'<td style="{cell.format("left")};color:{bad if row.wrong else good}">{"✗ wrong" if row.wrong else "✓ right"}</td>'
            cells = "".join(f'<td style="{cell.format("left" if k < 2 else "right")}">{escape(str(c))}</td>' for k, c in enumerate(shown))
            rows.append(f"<tr>{cells}{verdict}</tr>")
        heads = "".join(f'<th style="{cell.format("left" if k in (0, 1, 5) else "right")}">{h}</th>' for k, h in
                        enumerate(["input", "shape", "compared", "wrong", "largest error", "verdict"]))  # fmt: skip
        worst = "<br>".join(escape(line) for line in self.worst_lines())
        parts = [f'<p style="margin:4px 0">{mark}{escape(self.headline())}</p>']
        parts += [f'<p style="margin:4px 0">{worst}</p>'] if worst else []
        parts += [f'<p style="margin:4px 0;border-left:3px solid {bad};padding-left:8px"><b>Cause:</b> {escape(self.cause_text(c))}</p>'
                  for c in self.causes]  # fmt: skip
        parts += [f'<p style="margin:4px 0"><b>Note:</b> {escape(n.sentence)}</p>' for n in self.notes]
        table = f'<table style="border-collapse:collapse;font-size:90%"><tr>{heads}</tr>{"".join(rows)}</table>'
        return f'<div style="max-width:52em">{"".join(parts)}{table}</div>'


def wrapped(head, text):
    """Text in lines of at most 80 columns, with a head before the first one."""
    return textwrap.wrap(text, WIDTH, initial_indent=head, subsequent_indent=" " * len(head), break_on_hyphens=False) or [head]


def shortened(text, width):
    """The text, or its beginning and its end."""
    return text if len(text) <= width else text[: width // 2 - 1] + "…" + text[-(width - width // 2) :]


def listed(names):
    """x; x and y; x, y and 3 more"""
    if len(names) > 3:
        return f"{', '.join(names[:2])} and {len(names) - 2} more"
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)
