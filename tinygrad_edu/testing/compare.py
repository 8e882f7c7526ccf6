"""assert_close: two values are equal within rounding, or an AssertionError shows where they differ most, and how."""

from collections.abc import Mapping, Sequence

import numpy as np

from ..autograd.tensor import Tensor

# (rtol, atol) per type of number, as in PyTorch; whole numbers and truth values must be equal
TOLERANCES = {"float16": (1e-3, 1e-5), "float32": (1.3e-6, 1e-5), "float64": (1e-7, 1e-7), "complex64": (1.3e-6, 1e-5),
              "complex128": (1e-7, 1e-7)}  # fmt: skip
SHOWN = 5  # places that a message lists
NUMBERS = (bool, int, float, complex, np.generic)


def assert_close(actual, expected, *, allow_subclasses=True, rtol=None, atol=None, equal_nan=False, check_device=True,
                 check_dtype=True, check_layout=True, check_stride=False, msg=None):  # fmt: skip
    """Raise an AssertionError unless |actual − expected| ≤ atol + rtol · |expected| for every element.

    Tensors, arrays, numbers, and dicts and sequences of those are compared part by part; PyTorch's tensors and whatever else
    NumPy can read count as arrays. Without `rtol` and `atol` (give both or none) the tolerances are PyTorch's for the dtype:
    1.3e-6 and 1e-5 in float32, 1e-7 and 1e-7 in float64, exact for integers. `msg` replaces the message, or is a function that
    gets it and returns another. There is one device and one layout here, so `check_device` and `check_layout` find nothing.

    >>> import tinygrad_edu as tg
    >>> tg.testing.assert_close(tg.tensor([0.1 + 0.2]), tg.tensor([0.3]))
    >>> tg.testing.assert_close(tg.tensor([1.0, 2.0]), tg.tensor([1.0, 4.0]))
    Traceback (most recent call last):
    AssertionError: the tensors differ in 1 of 2 elements (50%), float32[2]...
    """
    __tracebackhide__ = True  # pytest shows the test's own line and the message
    if (rtol is None) != (atol is None):
        raise ValueError(f"assert_close: give both rtol and atol, or neither; got rtol={rtol} and atol={atol}")
    options = dict(rtol=rtol, atol=atol, equal_nan=equal_nan, check_dtype=check_dtype, check_stride=check_stride,
                   allow_subclasses=allow_subclasses)  # fmt: skip
    found = list(differences(actual, expected, "", options))
    if found:
        message = "\n\n".join(found[:3])
        if len(found) > 3:
            message += f"\n\n(and {len(found) - 3} more parts that differ)"
        raise AssertionError(message if msg is None else msg(message) if callable(msg) else msg)


def assert_allclose(actual, expected, rtol=None, atol=None, equal_nan=True, msg=""):
    """assert_close under its former name, where types may differ and NaN equals NaN"""
    __tracebackhide__ = True
    assert_close(actual, expected, rtol=rtol, atol=atol, equal_nan=equal_nan, check_dtype=False, msg=msg or None)


def differences(actual, expected, place, options):
    """A description of each part in which two values differ."""
    if isinstance(actual, Mapping) and isinstance(expected, Mapping):
        yield from in_mappings(actual, expected, place, options)
    elif is_sequence(actual) and is_sequence(expected):
        if len(actual) != len(expected):
            yield f"{at(place)}the sequences have {len(actual)} and {len(expected)} items"
            return
        for i, (a, b) in enumerate(zip(actual, expected)):
            yield from differences(a, b, f"{place}[{i}]", options)
    elif actual is None or expected is None or isinstance(actual, str) or isinstance(expected, str):
        if not (type(actual) is type(expected) and actual == expected):
            yield f"{at(place)}actual is {actual!r}, expected {expected!r}"
    elif is_container(actual) or is_container(expected):
        yield f"{at(place)}actual is a {type(actual).__name__}, expected a {type(expected).__name__}"
    else:
        yield from in_arrays(actual, expected, place, options)


def in_mappings(actual, expected, place, options):
    missing, extra = [k for k in expected if k not in actual], [k for k in actual if k not in expected]
    if missing or extra:
        parts = [f"{name} {keys}" for name, keys in (("missing", missing), ("unexpected", extra)) if keys]
        yield f"{at(place)}the keys differ: {'; '.join(parts)}"
    for key in expected:
        if key in actual:
            yield from differences(actual[key], expected[key], f"{place}[{key!r}]", options)


def is_sequence(value):
    return isinstance(value, Sequence) and not isinstance(value, str)


def is_container(value):
    return isinstance(value, Mapping) or is_sequence(value)


def at(place):
    return f"at {place}: " if place else ""


def as_array(value):
    """Any tensor, array or number as a NumPy array; PyTorch's with history too.

    >>> from tinygrad_edu.testing.compare import as_array
    >>> as_array([1, 2]).shape
    (2,)
    """
    if isinstance(value, Tensor):
        return np.asarray(value.array)
    if hasattr(value, "detach"):
        value = value.detach()
    array = np.asarray(value)
    if array.dtype.kind not in "biufc":
        raise TypeError(f"assert_close: cannot compare a {type(value).__name__}; pass tensors, arrays, numbers, or containers of them")
    return array


def in_arrays(actual, expected, place, options):
    """At most one description: the kinds differ, or some elements do."""
    if not options["allow_subclasses"] and type(actual) is not type(expected):
        yield (f"{at(place)}actual is a {type(actual).__name__}, expected a {type(expected).__name__}\n"
               "  (allow_subclasses=False wants the same type)")
        return
    a, b = as_array(actual), as_array(expected)
    noun = "numbers" if isinstance(actual, NUMBERS) and isinstance(expected, NUMBERS) else "tensors"
    if a.shape != b.shape:
        yield f"{at(place)}the shapes differ: actual {list(a.shape)}, expected {list(b.shape)}{hint_for_shapes(a, b)}"
        return
    # Python's numbers have a type of their own: 1 is not 1.0
    if options["check_dtype"] and (kind_of(actual, a) != kind_of(expected, b)):
        yield (f"{at(place)}the dtypes differ: actual {kind_of(actual, a)}, expected {kind_of(expected, b)}\n"
               "  (check_dtype=False compares the values only)")  # fmt: skip
        return
    if options["check_stride"] and a.ndim and a.size > 1 and strides(a) != strides(b):
        yield f"{at(place)}the strides differ: actual {strides(a)}, expected {strides(b)}"
        return
    rtol, atol = tolerances(a, b, options)
    wrong = np.atleast_1d(~close(a, b, rtol, atol, options["equal_nan"]))
    if wrong.any():
        yield described(np.atleast_1d(a), np.atleast_1d(b), wrong, rtol, atol, at(place), noun, a.ndim == 0)


def kind_of(value, array):
    plain = isinstance(value, (bool, int, float, complex)) and not isinstance(value, np.generic)
    return type(value).__name__ if plain else str(array.dtype)


def strides(array):
    return tuple(s // array.itemsize for s in array.strides)


def tolerances(a, b, options):
    if options["rtol"] is not None:
        return options["rtol"], options["atol"]
    both = [TOLERANCES.get(x.dtype.name, (0.0, 0.0)) for x in (a, b)]
    return max(r for r, _ in both), max(t for _, t in both)


def close(a, b, rtol, atol, equal_nan):
    kind = np.result_type(a, b, np.float64 if a.dtype.kind in "biu" and b.dtype.kind in "biu" and (rtol or atol) else a.dtype)
    a, b = a.astype(kind), b.astype(kind)
    if not (rtol or atol):
        return (a == b) | ((a != a) & (b != b) if equal_nan else False)
    with np.errstate(all="ignore"):
        return np.isclose(a, b, rtol, atol, equal_nan)


def distance(a, b):
    """|a − b|, infinite where either is not a number."""
    wide = np.complex128 if "c" in a.dtype.kind + b.dtype.kind else np.longdouble
    with np.errstate(all="ignore"):
        error = np.abs(a.astype(wide) - b.astype(wide)).astype(np.float64)
    error[a == b] = 0  # two equal infinities
    return np.where(np.isnan(error), np.inf, error)


def described(a, b, wrong, rtol, atol, place, noun, single):
    """The message: how many differ, the worst, a few places, what the pattern suggests; at most 80 columns a line."""
    error = np.where(wrong, distance(a, b), -1)
    count, size = int(wrong.sum()), wrong.size
    with np.errstate(all="ignore"):
        relative = error / np.abs(b.astype(np.complex128 if b.dtype.kind == "c" else np.float64))
    dtypes = str(a.dtype) if a.dtype == b.dtype else f"{a.dtype} and {b.dtype}"
    allowed = f"{atol:g} + {rtol:g} · |expected|" if rtol or atol else "nothing"
    if single:
        lines = [f"{place}the {noun} differ: actual {show(a[0])}, expected {show(b[0])}, {dtypes}",
                 f"  off by {error[0]:.3g} (relative {relative[0]:.3g}); allowed: {allowed}"]  # fmt: skip
        return "\n".join(lines)
    lines = [f"{place}the {noun} differ in {count} of {size} elements ({100 * count / size:.3g}%), {dtypes}{list(a.shape)}"]
    worst = np.unravel_index(error.argmax(), error.shape)
    largest = np.unravel_index(np.where(wrong, np.nan_to_num(relative, nan=-1, posinf=np.finfo(float).max), -1).argmax(), error.shape)
    lines.append(f"  worst at {spelled(worst)}: off by {error[worst]:.3g} (relative {relative[worst]:.3g})")
    if largest != worst:
        lines.append(f"  worst relative at {spelled(largest)}: off by {error[largest]:.3g} (relative {relative[largest]:.3g})")
    lines.append(f"  allowed: {allowed}")
    order = np.argsort(-error, axis=None, kind="stable")[: min(count, SHOWN)]
    rows = [("at", "actual", "expected", "off by")]
    for flat in order:
        i = np.unravel_index(flat, error.shape)
        rows.append((spelled(i), show(a[i]), show(b[i]), f"{error[i]:.3g}"))
    widths = [max(len(row[k]) for row in rows) for k in range(4)]
    lines += ["  " + "  ".join(cell.rjust(w) for cell, w in zip(row, widths)) for row in rows]
    if count > SHOWN:
        lines.append(f"  … and {count - SHOWN} more")
    pattern = what_pattern(a, b, wrong, rtol, atol)
    return "\n".join([*lines, *([f"  {pattern}"] if pattern else [])])


def show(value):
    return repr(value.item()) if value.dtype.kind in "biu" else f"{value.item():.9g}"


def spelled(index):
    return "[" + ", ".join(str(int(i)) for i in index) + "]"


def hint_for_shapes(a, b):
    if a.size == b.size and a.shape[::-1] == b.shape:
        return " (one is the other transposed)"
    if a.size == b.size and [n for n in a.shape if n > 1] == [n for n in b.shape if n > 1]:
        return " (dimensions of size 1 differ)"
    return ""


def what_pattern(a, b, wrong, rtol, atol):
    """One line on what the differences have in common, or None."""
    if a.dtype.kind != "f" or b.dtype.kind != "f":
        return None
    a, b = a.astype(np.float64), b.astype(np.float64)
    loose_r, loose_a = max(rtol, 1e-6), max(atol, 1e-9)
    if np.isnan(a).any() != np.isnan(b).any():
        return f"{'actual' if np.isnan(a).any() else 'expected'} has {int(np.isnan(a).sum() + np.isnan(b).sum())} NaN"
    if not (np.isfinite(a).all() and np.isfinite(b).all()):
        return None
    if not a.any():
        return "actual is 0 everywhere"
    with np.errstate(all="ignore"):
        used = np.abs(b) > loose_a
        ratio = float(np.median(a[used] / b[used])) if used.any() else np.nan
    if wrong.size > 1 and np.isfinite(ratio) and np.allclose(a, ratio * b, loose_r, loose_a):
        return "only the sign differs" if np.isclose(ratio, -1) else f"actual = {ratio:.6g} · expected, everywhere"
    if a.ndim > 1 and a.shape[-1] == a.shape[-2] and np.allclose(a, b.swapaxes(-1, -2), loose_r, loose_a):
        return "actual is expected, transposed"
    if wrong.sum() > 1 and np.allclose((a - b)[wrong], (a - b)[wrong][0], loose_r, loose_a):
        return f"actual = expected + {(a - b)[wrong][0]:.6g}, wherever they differ"
    if wrong.sum() > 1 and np.allclose(np.sort(a, axis=None), np.sort(b, axis=None), loose_r, loose_a):
        return "the elements are the same, in another order"
    return None
