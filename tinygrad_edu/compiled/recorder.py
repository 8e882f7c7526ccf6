"""The array that writes: it computes like the NumPy array it holds, and notes each call on the tape.

It is no subclass of ndarray, although it says so when asked: whatever NumPy's C code would read behind its back ends in
`__array__`, which is an error with the user's line. For other threads, and when the recording is over, it is no more than
the array that it holds.
"""

import operator
import sys
import threading
import types
from functools import partial
from weakref import ref

import numpy as np

from ..autograd import modes
from ..autograd.memory import owner
from ..autograd.tensor import Tensor
from ..ops import products
from .errors import own_check, value_read
from .places import replaced
from .tape import Storage, Value, recording
from .text import found, mapped

FACTS = {"shape", "dtype", "ndim", "size", "itemsize", "nbytes", "strides", "flags"}
FACTS_OF = {"ndim", "shape", "size", "result_type", "can_cast", "may_share_memory", "shares_memory", "iscomplexobj", "isrealobj",
            "common_type", "min_scalar_type"}  # fmt: skip
READS = {"tolist", "tobytes", "tofile", "dump", "dumps", "data", "ctypes"}
ABSENT = {f"__array_{name}__" for name in ("interface", "struct", "priority", "wrap", "finalize", "namespace")}
IN_PLACE = {"sort", "fill", "put", "partition", "resize", "setfield", "byteswap"}  # methods
OVERWRITING = {"copyto", "put", "place", "putmask", "put_along_axis", "fill_diagonal", "at"}  # functions
VARIES = {"nonzero", "flatnonzero", "argwhere", "unique", "extract", "compress", "bincount", "repeat", "setdiff1d", "trim_zeros"}
POWERS = {2: np.square, 0.5: np.sqrt, -1: np.reciprocal}
REDUCTIONS = {"sum": np.add, "prod": np.multiply, "max": np.maximum, "min": np.minimum}
PERFORMED = {  # kind of a call → how it is made
    "reduce": lambda ufunc, args, kwargs: ufunc.reduce(*args, **kwargs),
    "method": lambda name, args, kwargs: getattr(args[0], name)(*args[1:], **kwargs),
    "attribute": lambda name, args, kwargs: getattr(args[0], name),
    "getitem": lambda name, args, kwargs: args[0][args[1]],
    "setitem": lambda name, args, kwargs: operator.setitem(*args),
    "copy": lambda name, args, kwargs: args[0].astype(*args[1:]),
}


def perform(kind, function, args, kwargs):
    """Make a call."""
    return PERFORMED[kind](function, args, kwargs) if kind in PERFORMED else function(*args, **kwargs)


def is_recorder(x):
    return type(x) is Recorder


def real(x):
    """Arguments as NumPy takes them."""
    return mapped(x, lambda i: i.array if is_recorder(i) else i)


def noted(x, tape):
    """Arguments as the tape keeps them: values for arrays."""
    value = lambda i: i.value if is_recorder(i) and i.tape is tape else tape.constant(real(i))
    return mapped(x, lambda i: value(i) if isinstance(i, np.ndarray) else i)


def note(kind, function, args, kwargs=None, target=None):
    """Make a call of NumPy's, which overwrites `target`; a thread that records writes it down, and gets arrays that write."""
    tape, kwargs = recording(), kwargs or {}
    if tape is not None and target is not None and not is_recorder(target):
        raise tape.refused("writes into a NumPy array that no tensor holds", "keep it in a tensor, outside of the step")
    out = {"out": real(target)} if kind == "ufunc" and target is not None else {}
    result = perform(kind, function, real(args), real(kwargs) | out)
    if tape is None:
        return result
    call = tape.write(kind, function, noted(args, tape), noted(kwargs, tape), [] if target is None else [target.value])
    name = function if isinstance(function, str) else function.__name__
    mask = kind == "getitem" and any(i.dtype.kind == "b" for i in found(args[1], Recorder))
    call.varies = name in VARIES or mask or name == "where" and len(args) == 1
    return None if target is not None else results(tape, call, result, found((args, kwargs), Recorder))


def results(tape, call, result, given):
    """NumPy's result as arrays that write: with new memory, or showing memory of a `given` one's."""
    if isinstance(result, (tuple, list)):
        made = [results(tape, call, r, given) for r in result]
        return result._make(made) if hasattr(result, "_make") else type(result)(made)
    if not isinstance(result, (np.ndarray, np.generic)):
        raise value_read(f"{call.function} gives a Python {type(result).__name__}")
    for a in given:
        if a.array is result:
            tape.calls.remove(call)
            return a
    shown = owner(result) if getattr(result, "base", None) is not None else None
    return Recorder(tape, result, call, next((a for a in given if owner(a.array) is shown), None))


def address(array):
    return array.__array_interface__["data"][0]


class Recorder(np.lib.mixins.NDArrayOperatorsMixin):
    """A NumPy array whose computations are written down."""

    __slots__ = ("array", "value", "tape", "root", "scalar", "__weakref__")
    __hash__ = object.__hash__
    __class__ = property(lambda self: np.ndarray)  # type: ignore[assignment]
    base = property(lambda self: self.root)

    def __init__(self, tape, array, call=None, root=None, value=None):
        self.scalar = isinstance(array, np.generic)  # NumPy's 0-d results are scalars: an operator in place makes a new one
        self.tape, self.array = tape, np.asarray(array)
        self.root = root if root is None or root.root is None else root.root
        storage = Storage("made") if self.root is None else self.root.value.storage
        self.value = value or Value(storage, self.array, 0 if self.root is None else address(array) - address(self.root.array))
        if call is not None:
            call.outputs.append(self.value)
            self.value.call = call
            tape.alive.append(ref(self))

    # --- what NumPy calls --------------------------------------------------------------------------------------------

    def __array_ufunc__(self, ufunc, method, *inputs, out=None, **kwargs):
        if any(isinstance(x, Tensor) for x in inputs):
            return NotImplemented
        if out and is_recorder(out[0]) and out[0].scalar:  # a += b
            out = None
        if method == "__call__" and not kwargs and ufunc.nout == 1:
            made = note("ufunc", ufunc, inputs, target=out and out[0])
        elif out is not None and recording() is not None and (method != "__call__" or ufunc.nout > 1):
            raise self.tape.refused(f"calls {ufunc.__name__}.{method} with out=", "leave out= away")
        elif method == "reduce" and not set(kwargs) - {"axis", "keepdims"}:
            made = note("reduce", ufunc, inputs, kwargs)
        else:
            target = out[0] if out else inputs[0] if method == "at" else None
            function = getattr(ufunc, method) if method != "__call__" else ufunc
            more = {"out": out if ufunc.nout > 1 else target} if out else {}
            made = note("function", function, inputs, kwargs | more, target)
        return out[0] if out else made

    def __array_function__(self, function, types, args, kwargs):
        name, out = function.__name__, kwargs.get("out")
        if any(issubclass(t, Tensor) for t in types):
            return NotImplemented
        if name in FACTS_OF:
            return function(*real(args), **real(kwargs))
        if name == "copy" and len(args) == 1 and not kwargs:
            return args[0].copy()
        target = out[0] if isinstance(out, tuple) else args[0] if out is None and name in OVERWRITING else out
        made = note("dot" if name == "dot" and len(args) == 2 and out is None else "function", function, args, kwargs, target)
        return out if out is not None else made

    def __array__(self, dtype=None, copy=None):
        if recording() is None:
            return np.array(self.array, dtype) if copy or dtype is not None else self.array
        raise value_read("NumPy wants to see them, as for an index into an array that the step makes; make that one outside")

    # --- what Python calls -------------------------------------------------------------------------------------------

    def __getattr__(self, name):
        if name in ABSENT:
            raise AttributeError(name)
        there = getattr(self.array, name)
        if name in FACTS or recording() is None:
            return there
        if name == "item" and self.array.size == 1:
            return lambda *args: self.expected(operator.methodcaller("item", *args), ".item()")
        if name in READS or name == "item":
            raise value_read(f".{name}()")
        return partial(self.method, name) if callable(there) else note("attribute", name, (self,))

    def method(self, name, *args, **kwargs):
        """A call of a method; sums and the like are the ufuncs', where those do the same."""
        ufunc, dtype = REDUCTIONS.get(name), kwargs.get("dtype")
        if kwargs.get("out") is not None:
            raise self.tape.refused(f"calls {name} with out=", "leave out= away")
        exact = name in ("max", "min") or self.array.dtype.kind == "f" and (dtype is None or np.dtype(dtype) == self.array.dtype)
        if ufunc and exact and len(args) < 2 and not set(kwargs) - {"axis", "dtype", "keepdims"}:
            return ufunc.reduce(self, axis=args[0] if args else kwargs.get("axis"), keepdims=kwargs.get("keepdims", False))
        if name == "dot" and len(args) == 1:
            return note("dot", np.dot, (self, *args))
        return note("method", name, (self, *args), kwargs, self if name in IN_PLACE else None)

    def copy(self, order="C"):
        return self.astype(self.dtype, order)

    def astype(self, dtype, order="K", casting="unsafe", subok=True, copy=True):
        return self if not copy and self.dtype == dtype else note("copy", "astype", (self, np.dtype(dtype), order, casting))

    def __getitem__(self, index):
        return note("getitem", "[]", (self, index))

    def __setitem__(self, index, value):
        view = self.array[real(index)] if is_recorder(value) and value.value.storage is self.value.storage else None
        if not (isinstance(view, np.ndarray) and same_place(view, value.array)):  # a[i] += b gives back the changed view
            note("setitem", "[]", (self, index, value), target=self)

    def __pow__(self, other):
        quick = POWERS.get(other) if type(other) in (int, float) and self.dtype.kind == "f" else None  # as NumPy's own ** does
        return quick(self) if quick else np.power(self, other)

    def __ipow__(self, other):
        self[...] = self**other
        return self

    def __len__(self):
        return len(self.array)

    def __iter__(self):
        return (self[i] for i in range(len(self)))

    def expected(self, convert, how):
        """A number that this package's own code asks for, as in a check of arguments: replays look whether it is the same."""
        number = convert(self.array)
        if recording() is self.tape:
            if isinstance(number, float) or not own_check():
                raise value_read(how)
            self.tape.write("expect", convert, (self.value, number))
        return number

    def __contains__(self, value):
        return bool((self == value).any())

    def __deepcopy__(self, memo=None):
        return self.copy(order="K")

    __copy__ = __deepcopy__


def same_place(a, b):
    return address(a) == address(b) and (a.shape, a.strides, a.dtype) == (b.shape, b.strides, b.dtype)


def asked(convert, how):
    """A method that gives a number, which only this package's own code may ask for, as in a check of arguments."""
    return lambda self: self.expected(convert, how)


def shown(name, how):
    """A method that gives text or bytes with the numbers in them."""

    def show(self, *args):
        if recording() is not None:
            raise value_read(how)
        return getattr(self.array, name)(*args)

    return show


NUMBERS = dict(bool=(bool, "if, while, and, or, not, bool()"), int=(int, "int()"), float=(float, "float() or .item()"),
               index=(operator.index, "as an index or a count"))  # fmt: skip
for name, (convert, how) in NUMBERS.items():
    setattr(Recorder, f"__{name}__", asked(convert, how))
for name, how in dict(repr="to show it", str="to show it", format="to show it", reduce_ex="to save it").items():
    setattr(Recorder, f"__{name}__", shown(f"__{name}__", how))

# --- NumPy's functions that make arrays, which no protocol reaches ---------------------------------------------------
# While a step is recorded, this package's modules see a NumPy whose zeros, array and so on give arrays that write. The real one
# stays as it is: its own C code makes arrays by these names.

MAKERS = ("zeros", "ones", "empty", "full")
CONVERTERS = ("array", "asarray", "asanyarray", "ascontiguousarray")


def making(name):
    """np.zeros and its kin: new memory, noted on the tape."""

    def make(*args, **kwargs):
        tape, result = recording(), getattr(np, name)(*args, **kwargs)
        return result if tape is None else Recorder(tape, result, tape.write("new", name, args, kwargs))

    return make


def converting(name):
    """np.array and its kin, which may be given something that holds arrays that write."""

    def convert(*args, **kwargs):
        tape, function, given = recording(), getattr(np, name), (*args, *kwargs.values(), None)[0]
        if tape is None or not found(given, Recorder):
            return function(*args, **kwargs)
        if not is_recorder(given):
            return note("function", function, args, kwargs)
        dtype = np.dtype((args[1] if len(args) > 1 else kwargs.get("dtype")) or given.dtype)
        turned = name == "ascontiguousarray" and not given.flags.c_contiguous
        order, copy = kwargs.get("order") or ("C" if turned else "K"), kwargs.get("copy", name == "array")
        return given.astype(dtype, order, copy=copy or turned)

    return convert


lock = threading.RLock()
PARTS = ("api", "autograd", "distributions", "fft", "func", "linalg", "nn", "ops", "optim", "special")
PACKAGE = tuple(f"{__name__.partition('.')[0]}.{part}" for part in PARTS)


def recording_on(tape):
    """A context in which this thread writes on a tape; who enters it holds `lock`, and all other threads compute as ever."""
    seen, ones = types.ModuleType("numpy"), products.ones
    seen.__dict__.update(vars(np))
    seen.__dict__.update({name: making(name) for name in MAKERS} | {name: converting(name) for name in CONVERTERS})
    fresh_ones = lambda n, dtype: (ones if recording() is None else seen.ones)(n, dtype)  # the kept ones are for all threads
    changes = [(modes.state, "tape", tape), (modes, "tapes", 1)]
    for m in [vars(m) for name, m in list(sys.modules.items()) if name.startswith(PACKAGE)]:
        changes += [(m, name, new) for name, old, new in (("np", np, seen), ("ones", ones, fresh_ones)) if m.get(name) is old]
    return replaced(changes)
