"""The array that writes: it computes like the NumPy array it holds, and notes each call on the tape.

It is no subclass of ndarray, although it says so when asked: whatever NumPy's C code would read behind its back ends in
`__array__`, which is an error with the user's line. For other threads, and when the recording is over, it is no more than
the array that it holds.
"""

import operator
import sys
import threading
import types
from weakref import ref

import numpy as np

from ..autograd import modes
from ..autograd.memory import owner
from ..autograd.tensor import Tensor
from .errors import own_check, value_read
from .tape import Storage, Value, recording

FACTS = {"shape", "dtype", "ndim", "size", "itemsize", "nbytes", "strides", "flags"}
READS = {"item", "tolist", "tobytes", "tofile", "dump", "dumps", "data", "ctypes", "__array_interface__", "__array_struct__"}
ABSENT = {"__array_interface__", "__array_struct__", "__array_priority__", "__array_wrap__", "__array_finalize__", "__array_namespace__"}
IN_PLACE = {"sort", "fill", "put", "partition", "resize", "setfield", "byteswap"}
IN_PLACE_FUNCTIONS = {"copyto", "put", "place", "putmask", "put_along_axis", "fill_diagonal", "at"}
VARIES = {"nonzero", "flatnonzero", "argwhere", "unique", "extract", "compress", "bincount", "repeat", "setdiff1d", "trim_zeros"}
POWERS = {2: np.square, 0.5: np.sqrt, -1: np.reciprocal}
PLAIN_FACTS = {"ndim", "shape", "size", "result_type", "can_cast", "may_share_memory", "shares_memory", "iscomplexobj", "isrealobj",
               "common_type", "min_scalar_type"}  # fmt: skip
NUMBERS_WANTED = {"array_equal", "allclose", "array_equiv", "array_repr", "array_str", "array2string", "save", "savetxt"}


def is_recorder(x):
    return type(x) is Recorder


def value_of(x, tape):
    """Arguments as the tape keeps them: values for arrays."""
    if type(x) is Recorder:
        return x.value
    if isinstance(x, np.ndarray):
        return tape.constant(x)
    if type(x) in (tuple, list):
        return type(x)(value_of(i, tape) for i in x)
    if type(x) is dict:
        return {k: value_of(v, tape) for k, v in x.items()}
    if type(x) is slice:
        return slice(*(value_of(i, tape) for i in (x.start, x.stop, x.step)))
    return x


def real(x):
    """Arguments as NumPy takes them."""
    if type(x) is Recorder:
        return x.array
    if type(x) in (tuple, list):
        return type(x)(map(real, x))
    if type(x) is dict:
        return {k: real(v) for k, v in x.items()}
    return x


def contains(x, test):
    """True if `test` holds for anything in nested arguments."""
    if isinstance(x, (tuple, list)):
        return any(contains(i, test) for i in x)
    if isinstance(x, dict):
        return any(contains(i, test) for i in x.values())
    return test(x)


def result_of(tape, call, result, args):
    """NumPy's result as recorders: of new memory, or of a view of an argument's."""
    if isinstance(result, (tuple, list)):
        made = [result_of(tape, call, r, args) for r in result]
        return result._make(made) if hasattr(result, "_make") else type(result)(made)
    if not isinstance(result, (np.ndarray, np.generic)):
        raise value_read(f"{call.function} gives a Python {type(result).__name__}")
    given = [a for a in recorders(args) if a.array is result]
    if given:
        tape.calls.remove(call)
        return given[0]
    root = None
    if isinstance(result, np.ndarray) and result.base is not None:
        memory = owner(result)
        root = next((a for a in recorders(args) if owner(a.array) is memory), None)
    return Recorder(tape, result, call, root)


def recorders(x):
    """The recorders among nested arguments."""
    found = []
    contains(x, lambda i: type(i) is Recorder and found.append(i))
    return found


def address(array):
    return array.__array_interface__["data"][0]


class Recorder:
    """A NumPy array whose computations are written down."""

    __slots__ = ("array", "value", "tape", "root", "scalar", "__weakref__")
    __hash__ = object.__hash__
    __class__ = property(lambda self: np.ndarray)  # type: ignore[assignment]

    def __init__(self, tape, array, call=None, root=None, value=None):
        self.scalar = isinstance(array, np.generic)  # NumPy's 0-d results are scalars: an operator in place makes a new one
        self.tape, self.array = tape, MAKERS["asarray"](array)
        self.root = root if root is None or root.root is None else root.root
        if value is not None:
            self.value = value
        elif root is not None:
            self.value = Value(root.value.storage, array, address(array) - address(self.root.array))
        else:
            self.value = Value(Storage("made", ""), self.array)
        if call is not None:
            call.outputs.append(self.value)
            self.value.call = call
            tape.alive.append(ref(self))

    @property
    def idle(self):
        """True unless this thread is recording: then nothing is noted, and results are plain arrays."""
        return recording() is not self.tape

    base = property(lambda self: self.root)
    T = property(lambda self: self.generic("attribute", "T", (self,)))

    # --- what NumPy calls --------------------------------------------------------------------------------------------

    def __array_ufunc__(self, ufunc, method, *inputs, out=None, **kwargs):
        if any(isinstance(x, Tensor) for x in inputs):
            return NotImplemented
        tape, arrays = self.tape, real(inputs)
        if self.idle:
            result = getattr(ufunc, method)(*arrays, **real(kwargs), **({} if out is None else {"out": real(out)}))
            return result if out is None else out[0]
        if out is not None and any(not is_recorder(o) for o in out if o is not None):
            raise tape.refused("writes into a NumPy array that no tensor holds", "keep it in a tensor, outside of the step")
        if method == "at":
            if not is_recorder(inputs[0]):
                raise tape.refused("writes into a NumPy array that no tensor holds", "keep it in a tensor, outside of the step")
            getattr(ufunc, method)(*arrays, **real(kwargs))
            tape.write("statement", (ufunc, "at"), value_of(inputs, tape), value_of(kwargs, tape), writes=[inputs[0].value])
            return None
        result = getattr(ufunc, method)(*arrays, **real(kwargs), **({} if out is None else {"out": real(out)}))
        simple = method == "__call__" and not kwargs and ufunc.nout == 1
        kind = "ufunc" if simple else "reduce" if method == "reduce" and not set(kwargs) - {"axis", "keepdims"} else "ufunc method"
        if out is not None:
            if not simple:
                raise tape.refused(f"calls {ufunc.__name__}.{method} with out=", "leave out= away")
            tape.write(kind, ufunc, value_of(inputs, tape), out=out[0].value, writes=[out[0].value])
            return out[0]
        call = tape.write(kind, ufunc if kind != "ufunc method" else (ufunc, method), value_of(inputs, tape), value_of(kwargs, tape))
        return result_of(tape, call, result, ())

    def __array_function__(self, function, types, args, kwargs):
        if any(issubclass(t, Tensor) for t in types):
            return NotImplemented
        return self.function(function, args, kwargs)

    def function(self, function, args, kwargs):
        """Note a call of a function of NumPy's."""
        tape, name = self.tape, function.__name__
        if self.idle:
            return function(*real(args), **real(kwargs))
        if name in PLAIN_FACTS:
            return function(*real(args), **real(kwargs))
        if name in NUMBERS_WANTED:
            raise value_read(f"np.{name}")
        if name == "dot" and len(args) == 2 and not kwargs:
            return self.product(*args)
        if name == "copy" and len(args) == 1 and not kwargs:
            return args[0].copy()
        result = function(*real(args), **real(kwargs))
        out = kwargs.get("out")
        if name in IN_PLACE_FUNCTIONS or out is not None:
            target = out[0] if isinstance(out, tuple) else args[0] if out is None else out
            if not is_recorder(target):
                raise tape.refused("writes into a NumPy array that no tensor holds", "keep it in a tensor, outside of the step")
            tape.write("statement", function, value_of(args, tape), value_of(kwargs, tape), writes=[target.value])
            return out
        call = tape.write("function", function, value_of(args, tape), value_of(kwargs, tape))
        call.varies = name in VARIES or name == "where" and len(args) == 1
        return result_of(tape, call, result, (args, kwargs))

    def __array__(self, dtype=None, copy=None):
        if self.idle:
            return MAKERS["array"](self.array, dtype) if copy or dtype is not None else self.array
        raise value_read("NumPy wants to see them, as for an index into an array that the step makes; make that one outside")

    # --- what Python calls -------------------------------------------------------------------------------------------

    def generic(self, kind, name, args, kwargs=None):
        """Note a method, an attribute, an index."""
        array, kwargs = self.array, kwargs or {}
        if not self.idle and kwargs.get("out") is not None:
            raise self.tape.refused(f"calls {name} with out=", "leave out= away")
        if kind == "attribute":
            result = getattr(array, name)
        elif kind == "getitem":
            result = array[real(args[1])]
        else:
            result = getattr(array, name)(*real(args[1:]), **real(kwargs))
        if self.idle:
            return result
        if name in IN_PLACE:
            self.tape.write("statement", name, value_of(args, self.tape), value_of(kwargs, self.tape), writes=[self.value])
            return None
        call = self.tape.write(kind, name, value_of(args, self.tape), value_of(kwargs, self.tape))
        call.varies = name in VARIES or kind == "getitem" and contains(args[1], is_mask)
        return result_of(self.tape, call, result, (self, args, kwargs))

    def __getattr__(self, name):
        if name in FACTS:
            return getattr(self.array, name)
        if name in ABSENT:
            raise AttributeError(name)
        if self.idle:
            return getattr(self.array, name)
        if name == "item" and self.array.size == 1:
            return lambda *args: self.expected(lambda array: array.item(*args), ".item()")
        if name in READS:
            raise value_read(f".{name}()")
        found = getattr(self.array, name)
        if callable(found):
            return lambda *args, **kwargs: self.generic("method", name, (self, *args), kwargs)
        return self.generic("attribute", name, (self,))

    def product(self, a, b):
        """a · b of two or one dimensions."""
        if self.idle:
            return np.dot(real(a), real(b))
        call = self.tape.write("dot", np.dot, value_of((a, b), self.tape))
        return result_of(self.tape, call, np.dot(real(a), real(b)), ())

    def dot(self, other):
        return self.product(self, other)

    def copy(self, order="C"):
        if self.idle:
            return self.array.copy(order)
        call = self.tape.write("copy", None, (self.value,))
        return Recorder(self.tape, self.array.copy(order), call)

    def astype(self, dtype, order="K", casting="unsafe", subok=True, copy=True):
        if not copy and self.array.dtype == dtype:
            return self
        if self.idle:
            return self.array.astype(dtype, order, casting)
        call = self.tape.write("copy", None, (self.value,))
        return Recorder(self.tape, self.array.astype(dtype, order, casting), call)

    def reduced(self, ufunc, name, axis, dtype=None, out=None, keepdims=False, **options):
        plain = not options and out is None and (dtype is None or np.dtype(dtype) == self.array.dtype)
        if plain and (name in ("max", "min") or self.array.dtype.kind == "f"):
            return ufunc.reduce(self, axis=axis, keepdims=keepdims)
        return self.generic("method", name, (self,), dict(axis=axis, keepdims=keepdims, **options) | ({} if dtype is None else dict(dtype=dtype)))

    def sum(self, axis=None, *args, **options):
        return self.reduced(np.add, "sum", axis, *args, **options)

    def prod(self, axis=None, *args, **options):
        return self.reduced(np.multiply, "prod", axis, *args, **options)

    def max(self, axis=None, out=None, keepdims=False, **options):
        return self.reduced(np.maximum, "max", axis, None, out, keepdims, **options)

    def min(self, axis=None, out=None, keepdims=False, **options):
        return self.reduced(np.minimum, "min", axis, None, out, keepdims, **options)

    def __getitem__(self, index):
        return self.generic("getitem", "[]", (self, index))

    def __setitem__(self, index, value):
        if value is self:  # a += b, on a view that was asked for by a[i] += b
            return
        self.array[real(index)] = real(value)
        if self.idle or is_recorder(value) and value.value.key == self.key_of(index):
            return  # also what an in-place operator of a view gives back
        self.tape.write("setitem", "[]", value_of((self, index, value), self.tape), writes=[self.value])

    def key_of(self, index):
        """The key of the view that a plain index would give; None for others."""
        view = self.array[real(index)]
        if not isinstance(view, np.ndarray) or view.base is None or owner(view) is not owner(self.array):
            return None
        root = self if self.root is None else self.root
        return Value(self.value.storage, view, address(view) - address(root.array)).key

    def __pow__(self, other):
        quick = POWERS.get(other) if type(other) in (int, float) and self.dtype.kind == "f" else None  # as NumPy's own ** does
        return quick(self) if quick else defer(np.power, self, other)

    def __ipow__(self, other):
        self[...] = self**other
        return self

    def __len__(self):
        return len(self.array)

    def __iter__(self):
        return (self[i] for i in range(len(self)))

    def __bool__(self):
        return self.expected(bool, "if, while, and, or, not, bool()")

    def __int__(self):
        return self.expected(int, "int()")

    def __float__(self):
        return self.expected(float, "float() or .item()")

    def __index__(self):
        return self.expected(operator.index, "as an index or a count")

    def expected(self, convert, how):
        """A number that this package's own code asks for, as in a check of arguments: replays look whether it is the same."""
        found = convert(self.array)
        if self.idle:
            return found
        if isinstance(found, float) or not own_check():
            raise value_read(how)
        self.tape.write("expect", convert, (self.value, found))
        return found

    def __contains__(self, value):
        return bool((self == value).any())

    def __repr__(self):
        return self.shown(repr)

    def __str__(self):
        return self.shown(str)

    def __format__(self, spec):
        return self.shown(lambda array: format(array, spec))

    def shown(self, text):
        if self.idle:
            return text(self.array)
        raise value_read("to show it")

    def __reduce_ex__(self, protocol):
        if self.idle:
            return self.array.__reduce_ex__(protocol)
        raise value_read("to save it")

    def __deepcopy__(self, memo):
        return self.copy(order="K")

    def __copy__(self):
        return self.copy(order="K")


def is_mask(x):
    return isinstance(x, np.ndarray) and x.dtype.kind == "b"


def operators():
    """a + b and its kin, forwards, backwards and in place."""
    binary = dict(add=np.add, sub=np.subtract, mul=np.multiply, truediv=np.true_divide, floordiv=np.floor_divide, mod=np.remainder,
                  matmul=np.matmul, and_=np.bitwise_and, or_=np.bitwise_or, xor=np.bitwise_xor, lshift=np.left_shift, rshift=np.right_shift)  # fmt: skip
    for name, ufunc in binary.items():
        name = name.rstrip("_")
        setattr(Recorder, f"__{name}__", lambda self, other, ufunc=ufunc: defer(ufunc, self, other))
        setattr(Recorder, f"__r{name}__", lambda self, other, ufunc=ufunc: defer(ufunc, other, self))
        setattr(Recorder, f"__i{name}__", lambda self, other, ufunc=ufunc: defer(ufunc, self, other, self))
    for name in ("lt", "le", "gt", "ge", "eq", "ne"):
        ufunc = {"lt": np.less, "le": np.less_equal, "gt": np.greater, "ge": np.greater_equal, "eq": np.equal, "ne": np.not_equal}[name]
        setattr(Recorder, f"__{name}__", lambda self, other, ufunc=ufunc: defer(ufunc, self, other))
    for name, ufunc in dict(neg=np.negative, pos=np.positive, abs=np.absolute, invert=np.invert).items():
        setattr(Recorder, f"__{name}__", lambda self, ufunc=ufunc: ufunc(self))
    Recorder.__rpow__ = lambda self, other: np.power(other, self)
    Recorder.__divmod__ = lambda self, other: (self // other, self % other)


def defer(ufunc, a, b, out=None):
    """The ufunc; tensors compute themselves."""
    if isinstance(a, Tensor) or isinstance(b, Tensor):
        return NotImplemented
    return ufunc(a, b) if out is None or out.scalar else ufunc(a, b, out=(out,))


operators()

# --- NumPy's functions that make arrays, which no protocol reaches ---------------------------------------------------
# While a step is recorded, this package's modules see a NumPy whose zeros, array and so on give arrays that write. The real one stays as
# it is: its own C code makes arrays by these names.


def making(name):
    """np.zeros and its kin, for a thread that records: new memory, noted on the tape."""
    made = getattr(np, name)

    def make(*args, **kwargs):
        tape = recording()
        if tape is None or not args and not kwargs:
            return made(*args, **kwargs)
        if name in ("array", "asarray", "asanyarray", "ascontiguousarray"):
            return converted(tape, name, made, args, kwargs)
        result = made(*args, **kwargs)
        call = tape.write("new", name, args, kwargs)
        return Recorder(tape, result, call)

    make.__name__ = name
    return make


def converted(tape, name, made, args, kwargs):
    """np.array and np.asarray of something that holds recorders, or the plain call."""
    given = args[0] if args else kwargs.get("object", kwargs.get("a"))
    if not contains(given, is_recorder):
        return made(*args, **kwargs)
    dtype = args[1] if len(args) > 1 else kwargs.get("dtype")
    copy = kwargs.get("copy", name == "array")
    if is_recorder(given):
        if name == "ascontiguousarray" and not given.flags.c_contiguous:
            return given.copy()
        wanted = given.dtype if dtype is None else np.dtype(dtype)
        return given.astype(wanted, order=kwargs.get("order") or "K") if copy or wanted != given.dtype else given
    result = made(*real(args), **real(kwargs))
    call = tape.write("function", made, value_of(args, tape), value_of(kwargs, tape))
    return Recorder(tape, result, call)


class Kept(dict):
    """The vectors of ones that operators keep, for a thread that records; other threads find their own."""

    def __init__(self, former):
        self.former, self.mine = former, {}

    def get(self, key, default=None):
        tape = recording()
        if tape is None:
            return self.former.get(key, default)
        if key not in self.mine:
            plain = MAKERS["ones"](*key)
            plain.flags.writeable = False
            self.mine[key] = Recorder(tape, plain, value=tape.constant(plain))
        return self.mine[key]

    def __setitem__(self, key, value):
        self.former[key] = value

    def __len__(self):
        return len(self.former)

    def __iter__(self):
        return iter(self.former)

    def pop(self, *key):
        return self.former.pop(*key)


MAKERS = {name: getattr(np, name) for name in ("zeros", "ones", "empty", "full", "array", "asarray", "asanyarray", "ascontiguousarray")}


lock = threading.RLock()
PACKAGE = tuple(f"{__name__.partition('.')[0]}.{part}" for part in ("api", "autograd", "distributions", "fft", "func", "linalg", "nn", "ops", "optim", "special"))


class Recording:
    """A context in which this thread writes on a tape: one thread at a time, and all others compute as ever."""

    def __init__(self, tape):
        self.tape = tape

    def __enter__(self):
        from ..ops import products

        lock.acquire()
        modes.state.tape, self.kept = self.tape, products.kept_ones
        modes.tapes += 1
        products.kept_ones = Kept(self.kept)
        self.modules = [m for name, m in list(sys.modules.items()) if name.startswith(PACKAGE) and getattr(m, "np", None) is np]
        seen = types.ModuleType("numpy")
        seen.__dict__.update(vars(np))
        seen.__dict__.update({name: making(name) for name in MAKERS})
        for module in self.modules:
            vars(module)["np"] = seen
        return self.tape

    def __exit__(self, *error):
        from ..ops import products

        modes.state.tape = None
        modes.tapes -= 1
        products.kept_ones = self.kept
        for module in self.modules:
            vars(module)["np"] = np
        lock.release()


