"""How tensors print: in PyTorch's format, and large ones only in part."""

import math

import numpy as np

from ..autograd import dtypes
from ..autograd.grad_fn import grad_name
from .spelling import only_function, only_method

DEFAULTS = dict(precision=4, threshold=1000, edgeitems=3, linewidth=80, sci_mode=None)
PROFILES = dict(default=DEFAULTS, short={**DEFAULTS, "precision": 2, "edgeitems": 2}, full={**DEFAULTS, "threshold": math.inf})
printing = dict(DEFAULTS)


@only_function()
def set_printoptions(precision=None, threshold=None, edgeitems=None, linewidth=None, profile=None, sci_mode=None):
    """How tensors print: digits, how many elements before a summary, how many at each edge, the width of a line."""
    if profile is not None:
        if profile not in PROFILES:
            raise ValueError(f"set_printoptions: profile must be one of {sorted(PROFILES)}, not {profile!r}")
        printing.update(PROFILES[profile])
    given = dict(precision=precision, threshold=threshold, edgeitems=edgeitems, linewidth=linewidth)
    printing.update({k: v for k, v in given.items() if v is not None}, sci_mode=sci_mode)


def summarized(array):
    """What will be printed of a large array: a repr must not read a million numbers."""
    edge = printing["edgeitems"]
    for axis, n in enumerate(array.shape):
        if n > 2 * edge:
            array = np.concatenate([array.take(range(edge), axis), array.take(range(n - edge, n), axis)], axis)
    return array


def formatter(values):
    """(a function from an element to its text, the width of the texts) for the values that will be printed."""
    if values.dtype.kind not in "fc":
        width = max((len(str(v)) for v in values.reshape(-1).tolist()), default=1)
        return lambda v: str(v).rjust(width), width
    digits, forced = printing["precision"], printing["sci_mode"]
    if values.dtype.kind == "c":
        (real, w), (imaginary, w2) = formatter(values.real), formatter(values.imag)
        return lambda v: real(v.real) + signed(imaginary(v.imag).lstrip()) + "j", w + w2 + 1
    numbers = values.reshape(-1).astype(np.float64)
    counted = numbers[np.isfinite(numbers) & (numbers != 0)]
    whole = bool((counted == np.ceil(counted)).all())
    scientific = False
    if counted.size:
        sizes = np.abs(counted)
        low, high = sizes.min(), sizes.max()
        scientific = bool(high / low > 1000 or high > 1e8 or low < 1e-4) if forced is None else forced
    form = f".{digits}e" if scientific else ".0f" if whole else f".{digits}f"
    width = max((len(format(v, form)) + (whole and not scientific) for v in counted.tolist()), default=1)

    def text(v):
        point = "." if whole and not scientific and math.isfinite(v) else ""
        return (format(v, form) + point).rjust(width)

    return text, width


def signed(text):
    """A number's text with its sign, also where that is +."""
    return text if text[0] in "+-" else "+" + text


def body(array, indent, short, text, width):
    """The nested lists of numbers, line by line."""
    edge = printing["edgeitems"]
    if array.ndim == 0:
        return text(array.item())
    cut = short and array.shape[0] > 2 * edge
    if array.ndim == 1:
        numbers = array.tolist()
        words = [text(v) for v in (numbers[:edge] if cut else numbers)]
        words += [" ...", *(text(v) for v in numbers[len(numbers) - edge :])] if cut else []
        per_line = max(1, (printing["linewidth"] - indent) // (width + 2))
        lines = [", ".join(words[i : i + per_line]) for i in range(0, len(words), per_line)]
        return "[" + (",\n" + " " * (indent + 1)).join(lines) + "]"
    n = array.shape[0]
    rows = [*range(edge), None, *range(n - edge, n)] if cut else range(n)
    parts = ["..." if i is None else body(array[i], indent + 1, short, text, width) for i in rows]
    return "[" + ("," + "\n" * (array.ndim - 1) + " " * (indent + 1)).join(parts) + "]"


@only_method()
def __repr__(self):
    array, prefix = np.asarray(self.array), "tensor("
    remarks = []
    if array.size:
        short = array.size > printing["threshold"]
        text = body(array, len(prefix), short, *formatter(summarized(array) if short else array))
        shown = self.dtype in (dtypes.default, np.dtype("int64"), np.dtype(bool), np.result_type(dtypes.default, np.complex64))
    else:
        text, shown = "[]", self.dtype == dtypes.default
        remarks += [f"size={tuple(array.shape)}"] if array.ndim != 1 else []
    remarks += [] if shown else [f"dtype={self.dtype}"]
    wider = len("torch.")  # a dtype's name is that much longer in PyTorch, and lines break where they do there
    if self.node is not None:
        remarks.append("requires_grad=True" if self.node.op is None else f"grad_fn=<{grad_name(self.node)}>")
    text = prefix + text
    room = len(text) - text.rfind("\n") + 1
    for remark in remarks:
        width = len(remark) + wider * remark.startswith("dtype=")
        if room + width + 2 > printing["linewidth"]:
            text += ",\n" + " " * len(prefix) + remark
            room = len(prefix) + width
        else:
            text += ", " + remark
            room += width + 2
    head = "Parameter containing:\n" if type(self).__name__ == "Parameter" else ""
    return f"{head}{text})"


@only_method()
def __format__(self, spec):
    if self.array.ndim == 0 and type(self).__name__ != "Parameter":
        return format(self.array.item(), spec)
    if spec:
        raise TypeError(f"format: {spec!r} is for single numbers, and this tensor has shape {list(self.shape)}; use .tolist() or .item()")
    return repr(self)
