"""Progress of a training in the terminal: a bar with loss, its curve and the rate; plain lines when piped."""

import sys
from time import monotonic

from .text import number
from .trace import array_of

BARS = "▁▂▃▄▅▆▇█"


class Progress:
    """Count the steps of a training and show how it goes.

    Iterate over it, or use it as a context and call `step()`; `show(loss=…)` hands in numbers. On a terminal, with `rich`
    installed, it is one line that renews itself; else a plain line is printed `lines` times in all.

    >>> from tinygrad_edu.viz import Progress
    >>> for i in (steps := Progress(4, lines=2)):
    ...     steps.show(loss=1 / (i + 1))
    step 2 of 4  loss 0.5
    step 4 of 4  loss 0.25
    """

    def __init__(self, total, title="training", *, lines=10, file=None, rate=None):
        self.total = len(total) if hasattr(total, "__len__") else int(total)
        self.items = total if hasattr(total, "__iter__") else range(self.total)
        self.title, self.lines, self.file = title, max(1, lines), file
        self.done, self.values, self.history, self.live = 0, {}, [], None
        self.rate = rate  # show the steps per second on plain lines too; they differ from run to run
        self.started = self.drawn = monotonic()

    def __iter__(self):
        with self:
            for item in self.items:
                yield item
                self.step()

    def __enter__(self):
        self.started = self.drawn = monotonic()
        out = self.file or sys.stdout
        if getattr(out, "isatty", lambda: False)():
            try:
                from rich.console import Console
                from rich.live import Live
            except ImportError:
                return self
            self.live = Live(self.line(), console=Console(file=out), refresh_per_second=8)
            self.live.start()
        return self

    def __exit__(self, *error):
        if self.live is not None:
            self.live.update(self.line())
            self.live.stop()
            self.live = None

    def show(self, **values):
        """Hand in numbers (or tensors) to be shown; the first one is drawn as a curve."""
        self.values = {k: float(array_of(v)) for k, v in values.items()}
        if self.values:
            self.history.append(next(iter(self.values.values())))
            if len(self.history) > 4000:
                del self.history[::2]  # the curve needs no more

    def step(self):
        """One step is done."""
        self.done += 1
        now = monotonic()
        if self.live is not None:
            if now - self.drawn > 0.12 or self.done == self.total:
                self.drawn = now
                self.live.update(self.line())
        elif self.done * self.lines // self.total > (self.done - 1) * self.lines // self.total:
            print(self.plain(), file=self.file or sys.stdout, flush=True)

    def numbers(self):
        """`loss 0.25  accuracy 0.9`."""
        return "  ".join(f"{k} {number(v)}" for k, v in self.values.items())

    def speed(self):
        """Steps per second so far."""
        return self.done / max(monotonic() - self.started, 1e-9)

    def plain(self):
        """A line for a log."""
        rate = f"  {self.speed():,.0f} steps/s" if self.rate else ""
        return f"step {self.done:,} of {self.total:,}  {self.numbers()}{rate}".rstrip()

    def line(self):
        """The line that renews itself."""
        width = 24
        full = round(width * self.done / max(self.total, 1))
        bar = "━" * full + "╌" * (width - full)
        left = (self.total - self.done) / self.speed() if self.done else 0
        return f"{self.title} {bar} {self.done:,}/{self.total:,}  {sparkline(self.history)}  {self.numbers()}  {self.speed():,.0f} steps/s  {left:.0f} s left"


def sparkline(values, width=20):
    """The course of some numbers in one line of text.

    >>> from tinygrad_edu.viz.display import sparkline
    >>> sparkline([4, 3, 2, 1])
    '█▆▃▁'
    """
    values = [v for v in values if v == v and abs(v) != float("inf")]
    if not values:
        return ""
    size = max(1, -(-len(values) // width))
    means = [sum(values[k : k + size]) / len(values[k : k + size]) for k in range(0, len(values), size)]
    low, high = min(means), max(means)
    return "".join(BARS[int((v - low) / (high - low) * (len(BARS) - 1) + 0.5) if high > low else 0] for v in means)
