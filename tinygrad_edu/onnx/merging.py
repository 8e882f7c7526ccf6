"""Compare runs of one model with other numbers and other sizes: which sizes follow a dynamic axis, and what was frozen and must not be."""

from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np

from .tracing import Ref


class Dim(int):
    """A size that follows dynamic axes: factor · Π axes + offset; as an int, what it was in the first run."""

    axes: tuple = ()
    factor, offset = 1, 0

    @classmethod
    def of(cls, values, symbols):
        """The Dim that explains one size in every run, or None; `symbols` gives each dynamic axis's size in every run.

        Run 0 is the first one, run i + 1 the one in which only axis i has another size, and in the last run all have.
        """
        axes = [name for run, name in enumerate(symbols, 1) if values[run] != values[0]]
        products = [prod(symbols[name][run] for name in axes) for run in range(len(values))]
        if not axes:
            return None
        run = 1 + list(symbols).index(axes[0])
        factor, rest = divmod(values[run] - values[0], products[run] - products[0])
        offset = values[0] - factor * products[0]
        if rest or any(factor * p + offset != v for p, v in zip(products, values)):
            return None
        dim = cls(values[0])
        dim.axes, dim.factor, dim.offset = tuple(axes), factor, offset
        return dim

    def __repr__(self):
        text = "*".join([str(self.factor)] * (self.factor != 1) + list(self.axes))
        return text + (f"{self.offset:+d}" if self.offset else "")


@dataclass(frozen=True)
class Varying:
    """A constant whose size follows dynamic axes and whose elements have a rule."""

    shape: tuple
    dtype: np.dtype


@dataclass(frozen=True)
class Filled(Varying):
    """One number everywhere."""

    value: Any

    def said(self, g):
        return g.Expand(g.constant(self.value), g.integers(*self.shape))


@dataclass(frozen=True)
class Counted(Varying):
    """Integers one by one, from `start`."""

    start: int

    def said(self, g):
        numbers = g.counted(self.start, next(n for n in self.shape if isinstance(n, Dim)))
        return g.Reshape(g.Cast(numbers, to=g.type_of(self.dtype)), g.integers(*(-1 if isinstance(n, Dim) else n for n in self.shape)))


@dataclass(frozen=True)
class Triangle(Varying):
    """One number up to the diagonal with number `k`, another one above it, as in causal masks."""

    below: Any
    above: Any
    k: int

    def said(self, g):
        rows, columns = (g.counted(0, n) for n in self.shape)
        inside = g.LessOrEqual(columns, g.Add(g.Unsqueeze(rows, g.integers(1)), g.integers(self.k)))
        return g.choice(inside, self.below, self.above, self.dtype)


class Differs(Exception):
    """Something is not the same in all runs, and no dynamic axis explains it."""


def merged(values, symbols):
    """What all runs have in common, with a Dim for each size that follows dynamic axes."""
    first = values[0]
    if all(isinstance(v, Ref) for v in values):
        if any(v != first for v in values):
            raise Differs("which value goes in")
        return first
    if any(type(v) is not type(first) for v in values):
        raise Differs("the kind of a parameter")
    if isinstance(first, np.ndarray):
        return merged_arrays(values, symbols)
    if isinstance(first, slice):
        return slice(*merged([(v.start, v.stop, v.step) for v in values], symbols))
    if isinstance(first, (tuple, list)):
        if any(len(v) != len(first) for v in values):
            raise Differs("the number of inputs or sizes")
        return tuple(merged(part, symbols) for part in zip(*values))
    if isinstance(first, dict):
        return {k: merged([v[k] for v in values], symbols) for k in first}
    if all(v is first or v == first or v != v and first != first for v in values):
        return first
    dim = Dim.of(values, symbols) if type(first) is int else None
    if dim is None:
        raise Differs(f"the number {first}, which is {next(v for v in values if v != first)} in another run,")
    return dim


def merged_arrays(values, symbols):
    """A constant: the same in all runs, or one of which the size alone differs."""
    first = values[0]
    if all(np.array_equal(v, first, equal_nan=first.dtype.kind == "f") for v in values):
        return first
    if any(v.ndim != first.ndim for v in values) or all(v.shape == first.shape for v in values):
        raise Differs(f"a constant {first.dtype}{list(first.shape)}")
    shape = merged([v.shape for v in values], symbols)
    if first.size and all((v == first.flat[0]).all() for v in values):
        return Filled(shape, first.dtype, first.flat[0])
    if first.size == max(first.shape) and all(np.array_equal(v.reshape(-1), int(first.flat[0]) + np.arange(v.size)) for v in values):
        return Counted(shape, first.dtype, int(first.flat[0]))
    if first.ndim == 2 and first.size:
        below, above = first[-1, 0], first[0, -1]
        k = int((first[0] == below).sum()) - 1
        if all(np.array_equal(v, np.where(np.tri(*v.shape, k, dtype=bool), below, above)) for v in values):
            return Triangle(shape, first.dtype, below, above, k)
    raise Differs(f"a constant {first.dtype}{list(first.shape)}, whose size follows a dynamic axis and whose elements have no simple rule,")
