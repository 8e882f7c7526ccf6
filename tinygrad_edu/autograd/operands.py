"""What an operator's arguments become: arrays of one type, the nodes they come from, and errors that say what was called."""

import re
from itertools import zip_longest

import numpy as np

from . import dtypes, modes
from .tensor import Tensor, as_memory


def operands(op, args):
    """Arrays and parents of the arguments: numbers and arrays become constants, and all get the common type."""
    recorded = modes.state.grad and op.differentiable and any(isinstance(a, Tensor) and a.node for a in args)
    arrays, parents = [], []
    for a in args:
        if isinstance(a, Tensor):
            if op.view:
                as_memory(a)
            copied = recorded and held_by_user(a)
            arrays.append(a.array.copy() if copied else a.array)
            parents.append(getattr(a, "barrier", a.node) if a.array.dtype.kind == "c" else a.node)
        else:
            arrays.append(constant(op, a, recorded))
            parents.append(None)
    if op.refuse:
        op.refuse(op, args, arrays)
    positions = [i for i in op.promoted[: len(arrays)] if arrays[i] is not None]
    if positions:
        wanted = dtypes.common([arrays[i] for i in positions])
        if op.floats:
            wanted = dtypes.floating(wanted)
        typed = [i for i in positions if hasattr(arrays[i], "dtype")]
        for i in typed:
            if arrays[i].dtype != wanted:
                if parents[i] is not None:
                    converted = args[i].astype(wanted)  # in the graph: the gradient returns in the input's own type
                    arrays[i], parents[i] = converted.array, converted.node
                else:
                    arrays[i] = arrays[i].astype(wanted)
        # beside an array NumPy itself gives a number the array's type; an int that does not fit wraps around: uint8 − 300
        as_it_is = {"constant"} if wanted.kind in {"i", "u"} else {"constant", "elementwise"}
        for i in positions:
            if i not in typed and not (typed and op.kind in as_it_is):
                arrays[i] = np.asarray(arrays[i]).astype(wanted)
    return arrays, parents


def held_by_user(x):
    """True if the user has the memory of this constant as a NumPy array too, and may write to it unseen."""
    return x.shared or x.base is not None and x.base.shared


def constant(op, value, recorded):
    """An argument that is no tensor: None, a number, or the user's array (copied where a graph would keep it)."""
    if isinstance(value, (np.generic, np.ndarray)):
        if value.dtype.kind in dtypes.ranks:
            return value.item() if isinstance(value, np.generic) else value.copy() if recorded else value
    elif value is None or isinstance(value, dtypes.numbers):
        return value
    shown = f"an array of dtype {value.dtype}" if isinstance(value, np.ndarray) else f"{type(value).__name__}: {value!r}"
    raise TypeError(f"{op.name}: expected tensors, numeric arrays or numbers, got {shown:.200}; make a tensor of it "
                    "first, as in tensor([1.0, 2.0])")  # fmt: skip


class ShapeError(RuntimeError, ValueError):
    """Arrays that do not fit together: PyTorch calls this a RuntimeError, NumPy a ValueError; whoever expects either finds it."""


class KindError(RuntimeError, TypeError):
    """An operation that a kind of number does not have: PyTorch calls this a RuntimeError, NumPy a TypeError."""


def unstretched(words):
    """Why the shapes in NumPy's words do not fit: the first sizes from the right that differ, and a column where that was probably meant."""
    shapes = [[int(n) for n in shape.split(",") if n] for shape in re.findall(r"\(([\d,]*)\)", words)]
    for sizes in zip_longest(*map(reversed, shapes), fillvalue=1):
        unlike = [n for n in dict.fromkeys(sizes) if n != 1]
        if len(unlike) > 1:
            row = next((s[0] for s in shapes for t in shapes if len(s) == 1 and len(t) == 2 and t[0] == s[0] != t[1]), 0)
            column = f"; as a column, x[:, None], [{row}] would fit" if row else ""
            return f"; written one below the other from the right, {unlike[0]} meets {unlike[1]}, and sizes must be equal, or one of them 1{column}"
    return ""


BOTH_NAMES: dict = {ValueError: ShapeError, TypeError: KindError}


def explained(error, op, arrays, params):
    """NumPy's error with one note: the call with its types and shapes, and the operator's formula."""
    if type(error) in BOTH_NAMES:
        words = error.args
        if "broadcast together with shapes" in str(error):
            words = (str(error).strip() + unstretched(str(error)),)
        renamed = BOTH_NAMES[type(error)](*words).with_traceback(error.__traceback__)
        renamed.__notes__, renamed.__suppress_context__ = list(getattr(error, "__notes__", ())), True
        error = renamed
    shown = [f"{a.dtype}{list(a.shape)}" if hasattr(a, "dtype") else repr(a) for a in arrays]
    shown += [f"{k}={v!r}" for k, v in params.items() if not hasattr(v, "dtype")]
    error.add_note(f"while computing {op.name}({', '.join(shown)}):  {op.formula}")
    return error
