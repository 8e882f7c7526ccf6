"""Borders around the last one, two or three dimensions, as modules."""

from .. import functional as F
from ..module import Module


class Padding(Module):
    """A border of (before, after) elements, last dimension first; one number means the same on all sides."""

    mode, dims = "constant", 1

    def __init__(self, padding):
        super().__init__()
        self.padding = (padding,) * (2 * self.dims) if isinstance(padding, int) else tuple(padding)
        if len(self.padding) != 2 * self.dims:
            raise ValueError(f"{type(self).__name__}: padding must be one number or {2 * self.dims} of them, got {padding}")

    def forward(self, input):
        return F.pad(input, self.padding, self.mode)

    def extra_repr(self):
        return f"{self.padding}"


class ConstantPadding(Padding):
    """A border of one value."""

    def __init__(self, padding, value):
        super().__init__(padding)
        self.value = value

    def forward(self, input):
        return F.pad(input, self.padding, "constant", self.value)

    def extra_repr(self):
        return f"padding={self.padding}, value={self.value}"


class ZeroPadding(Padding):
    """A border of zeros."""

    def forward(self, input):
        return F.pad(input, self.padding, "constant", 0)


KINDS = {"ConstantPad": (ConstantPadding, "constant", "a border of one value"),
         "ZeroPad": (ZeroPadding, "constant", "a border of zeros"),
         "ReflectionPad": (Padding, "reflect", "a border that mirrors the input, without its edge"),
         "ReplicationPad": (Padding, "replicate", "a border that repeats the edge"),
         "CircularPad": (Padding, "circular", "a border that goes on at the other end")}  # fmt: skip
INPUTS = {1: "(n, c, w) or (c, w)", 2: "(n, c, h, w) or (c, h, w)", 3: "(n, c, d, h, w) or (c, d, h, w)"}

__all__ = []
for kind, (base, mode, what) in KINDS.items():
    for dims in (1, 2, 3):
        name = f"{kind}{dims}d"
        doc = f"x with {what}; input {INPUTS[dims]}, widths (before, after) with the last dimension first"
        globals()[name] = type(name, (base,), {"__doc__": doc, "__module__": __name__, "mode": mode, "dims": dims})
        __all__ += [name]
