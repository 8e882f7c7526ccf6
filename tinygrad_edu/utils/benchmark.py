"""`torch.utils.benchmark`: how long a statement takes, and a table of several such measurements."""

import enum
import statistics
import textwrap
import timeit
from types import SimpleNamespace

__all__ = ["Compare", "Language", "Measurement", "Timer"]

UNITS = (("s", 1.0), ("ms", 1e-3), ("us", 1e-6), ("ns", 0.0))


class Language(enum.Enum):
    """The languages PyTorch measures: here PYTHON only."""

    PYTHON = 0
    CPP = 1


def unit_of(seconds):
    """(name, seconds) of the largest unit of which a time has at least one."""
    return next((name, size or 1e-9) for name, size in UNITS if seconds >= size)


def tail(label, sub_label, description):
    """The words a measurement was given, as its second line"""
    return "  ".join(part for part in (label, sub_label, description) if part)


class Measurement:
    """The times of several runs, of number_per_run executions each: `times`, seconds for one, with `mean`, `median` and `iqr`.

    >>> from tinygrad_edu.utils.benchmark import Measurement
    >>> m = Measurement(10, [0.02, 0.03, 0.07], label="sum")
    >>> m.median, m
    (0.003, <Measurement of sum: 3.00 ms, median of 3 runs of 10>)
    """

    def __init__(self, number_per_run, raw_times, label=None, sub_label=None, description=None, num_threads=1, stmt="", env=None):
        self.number_per_run, self.raw_times = number_per_run, list(raw_times)
        self.label, self.sub_label, self.description, self.num_threads, self.env = label, sub_label, description, num_threads, env
        self.task_spec = SimpleNamespace(stmt=stmt, label=label, sub_label=sub_label, description=description,
                                         num_threads=num_threads, env=env)  # fmt: skip
        self.title = label or stmt

    times = property(lambda self: [t / self.number_per_run for t in self.raw_times])
    mean = property(lambda self: statistics.fmean(self.times))
    median = property(lambda self: statistics.median(self.times))

    @property
    def iqr(self):
        """The difference of the third and the first quartile"""
        if len(self.times) < 2:
            return 0.0
        low, _, high = statistics.quantiles(self.times, n=4, method="inclusive")
        return high - low

    def __repr__(self):
        name, size = unit_of(self.median)
        words = tail(self.title, self.sub_label, self.description)
        runs = f"median of {len(self.raw_times)} runs of" if len(self.raw_times) > 1 else "mean of"
        return f"<Measurement of {words}: {self.median / size:.2f} {name}, {runs} {self.number_per_run}>"


class Timer:
    """Measure a statement, given as text, with the names in `globals`, after `setup`.

    `timeit(number)` runs it that often in one go; `blocked_autorange(min_run_time=0.2)` chooses how often, and repeats until
    min_run_time seconds have passed. Both return a Measurement. Other languages than "py" are refused with ValueError.

    >>> from tinygrad_edu.utils.benchmark import Timer
    >>> Timer("x + 1", globals=dict(x=1)).timeit(5).number_per_run
    5
    """

    def __init__(self, stmt="pass", setup="pass", global_setup="", timer=timeit.default_timer, globals=None, label=None,
                 sub_label=None, description=None, env=None, num_threads=1, language="py"):  # fmt: skip
        if language not in (Language.PYTHON, "py", "python"):
            raise ValueError(f"Timer: statements are Python here; language={language!r} is not")
        stmt, setup = (text if callable(text) else textwrap.dedent(text).strip() for text in (stmt, setup))
        import tinygrad_edu

        self.inner = timeit.Timer(stmt, setup, timer, globals={"torch": tinygrad_edu} | (globals or {}))
        self.words = dict(label=label, sub_label=sub_label, description=description, num_threads=num_threads, env=env, stmt=stmt)

    def timeit(self, number=1_000_000):
        """One run of `number` executions, after a shorter one that is not counted"""
        self.inner.timeit(max(number // 100, 2))
        return Measurement(number, [self.inner.timeit(number)], **self.words)

    def blocked_autorange(self, callback=None, min_run_time=0.2):
        """Runs of equal size, each at least a thousandth of min_run_time long, until they took min_run_time seconds together"""
        number = 1
        while (seconds := self.inner.timeit(number)) < min_run_time / 1000:
            number *= 10
        times = []
        while not times or sum(times) < min_run_time:
            seconds = self.inner.timeit(number)
            times.append(seconds)
            if callback:
                callback(number, seconds)
        return Measurement(number, times, **self.words)

    def adaptive_autorange(self, threshold=0.1, *, min_run_time=0.01, max_run_time=10.0, callback=None):
        """Like blocked_autorange, until the quartiles differ by less than threshold times the median, or for max_run_time seconds"""
        found = self.blocked_autorange(callback, min_run_time)
        while found.iqr >= threshold * found.median and sum(found.raw_times) < max_run_time:
            found.raw_times += self.blocked_autorange(callback, min_run_time).raw_times
        return found


class Compare:
    """A table of measurements: a line for each sub_label, a column for each description.

    >>> from tinygrad_edu.utils.benchmark import Compare, Measurement
    >>> Compare([Measurement(1, [t], "sum", "n = 8", d) for t, d in ((0.002, "ours"), (0.0035, "theirs"))]).print()
    sum (ms)
                    ours      theirs
    n = 8           2.00        3.50
    """

    def __init__(self, results):
        self.results = list(results)

    def extend_results(self, results):
        """Add measurements to the table"""
        self.results += results

    def trim_significant_figures(self):
        """Accepted: times have two digits after the point"""

    def colorize(self, rowwise=False):
        """Accepted: the table is plain text"""

    def __str__(self):
        lines = []
        for label in dict.fromkeys(m.title for m in self.results):
            group = [m for m in self.results if m.title == label]
            name, size = unit_of(min(m.median for m in group))
            columns = list(dict.fromkeys(m.description or "" for m in group))
            lines += [f"{label} ({name})", " " * 8 + "".join(f"{c:>12}" for c in columns)]
            for row in dict.fromkeys((m.sub_label or "", m.num_threads) for m in group):
                times = {m.description or "": m.median / size for m in group if (m.sub_label or "", m.num_threads) == row}
                lines.append(f"{row[0]:<8}" + "".join(f"{times[c]:12.2f}" if c in times else " " * 12 for c in columns))
        return "\n".join(lines)

    def print(self):
        """Print the table"""
        print(self)
