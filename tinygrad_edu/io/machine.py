"""Reading pickles without running them: a machine that knows the instructions, and makes only what stands in a list.

A pickle is a program for a machine with a stack. Python's own machine calls whatever function the program names, which is why a pickle from
a stranger can do anything. This one knows the same instructions, but a name stands for an entry of a table, and what is not in the table is
refused before anything happens. So nothing in a file is ever imported or called.
"""

import pickle
import pickletools
from collections import Counter, OrderedDict

import numpy as np

from ..api.create import bfloat16, device, dtype_names
from ..autograd.size import Size

ARGUMENT = set("INT BININT BININT1 BININT2 LONG LONG1 LONG4 FLOAT BINFLOAT STRING BINSTRING SHORT_BINSTRING UNICODE BINUNICODE SHORT_BINUNICODE "
               "BINUNICODE8 BINBYTES SHORT_BINBYTES BINBYTES8 BYTEARRAY8".split())  # fmt: skip
CONSTANT = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False}
EMPTY = {"EMPTY_LIST": list, "EMPTY_TUPLE": tuple, "EMPTY_DICT": dict, "EMPTY_SET": set}
OF_ITEMS = {"TUPLE": tuple, "LIST": list}
OF_LAST = {"TUPLE1": 1, "TUPLE2": 2, "TUPLE3": 3}
ERRORS = (ValueError, TypeError, KeyError, IndexError, AttributeError, OverflowError, RecursionError, MemoryError, EOFError)

DTYPES = dtype_names | {"bfloat16": bfloat16}

trusted: dict = {}  # name → class: what serialization.add_safe_globals has allowed


TRUST = ("and to make one takes unpickling, which runs whatever code the file's writer put there. If you trust the file, load it with "
         "weights_only=False, or allow this class with serialization.add_safe_globals")  # fmt: skip


class RefusedError(pickle.UnpicklingError, RuntimeError):
    """A file holds something that only running code of its choice could make."""


class Maker:
    """Stands for a function or class that a pickle names: the one of ours that does its work."""

    def __init__(self, name, make):
        self.name, self.make = name, make

    def __call__(self, *args):
        try:
            return self.make(*args)
        except (RuntimeError, AssertionError) as error:
            raise error if isinstance(error, RefusedError) else ValueError(f"{self.name}: {error}") from None

    def __repr__(self):
        return self.name


class Trusted(Maker):
    """Stands for a class that the user has allowed, which is then made as Python makes it."""

    def new(self, *args, **options):
        """An empty instance, whose state comes next."""
        return self.make.__new__(self.make, *args, **options)


def run(file, find, persistent):
    """The object that the next pickle in a file describes; `find(name)` says what a name stands for, `persistent(id)` what lies outside."""
    stack, marks, memo = [], [], {}

    def since_mark():
        nonlocal stack
        items, stack = stack, marks.pop()
        return items

    for instruction, argument, _ in pickletools.genops(file):
        match instruction.name:
            case "PROTO" | "FRAME":
                pass
            case name if name in ARGUMENT:
                stack.append(argument)
            case name if name in CONSTANT:
                stack.append(CONSTANT[name])
            case name if name in EMPTY:
                stack.append(EMPTY[name]())
            case "MARK":
                marks.append(stack)
                stack = []
            case name if name in OF_ITEMS:
                items = since_mark()
                stack.append(OF_ITEMS[name](items))
            case name if name in OF_LAST:
                stack[-OF_LAST[name] :] = [tuple(stack[-OF_LAST[name] :])]
            case "DICT":
                items = since_mark()
                stack.append(dict(zip(keys(items[::2]), items[1::2], strict=True)))
            case "FROZENSET":
                items = since_mark()
                stack.append(frozenset(keys(items)))
            case "APPEND":
                item = stack.pop()
                of_kind(stack[-1], list).append(item)
            case "APPENDS":
                items = since_mark()
                of_kind(stack[-1], list).extend(items)
            case "ADDITEMS":
                items = since_mark()
                of_kind(stack[-1], set).update(keys(items))
            case "SETITEM":
                value, key = stack.pop(), stack.pop()
                keys([key])
                of_kind(stack[-1], dict)[key] = value
            case "SETITEMS":
                items = since_mark()
                mapping = of_kind(stack[-1], dict)
                for key, value in zip(keys(items[::2]), items[1::2], strict=True):
                    mapping[key] = value
            case "PUT" | "BINPUT" | "LONG_BINPUT":
                memo[argument] = stack[-1]
            case "MEMOIZE":
                memo[len(memo)] = stack[-1]
            case "GET" | "BINGET" | "LONG_BINGET":
                stack.append(memo[argument])
            case "POP":
                stack.pop() if stack else since_mark()
            case "POP_MARK":
                since_mark()
            case "DUP":
                stack.append(stack[-1])
            case "GLOBAL":
                stack.append(find(argument.replace(" ", ".", 1)))
            case "STACK_GLOBAL":
                name, module = stack.pop(), stack.pop()
                stack.append(find(f"{of_kind(module, str)}.{of_kind(name, str)}"))
            case "REDUCE":
                args = stack.pop()
                stack[-1] = of_kind(stack[-1], Maker)(*of_kind(args, tuple))
            case "NEWOBJ":
                args = stack.pop()
                stack[-1] = getattr(of_kind(stack[-1], Maker), "new", stack[-1])(*of_kind(args, tuple))
            case "NEWOBJ_EX":
                options, args = stack.pop(), stack.pop()
                stack[-1] = of_kind(stack[-1], Trusted).new(*of_kind(args, tuple), **options)
            case "BUILD":
                state, x = stack.pop(), stack.pop()
                stack.append(give_state(x, state))
                if stack[-1] is not x:
                    memo = {number: stack[-1] if known is x else known for number, known in memo.items()}
            case "BINPERSID":
                stack[-1] = persistent(stack[-1])
            case "STOP":
                return stack.pop()
            case name:
                raise RefusedError(f"a pickle with the instruction {name}, which is not among those that are followed here")
    raise EOFError("the pickle has no end")


def of_kind(x, kind):
    """`x`, if it is what an instruction works on."""
    if not isinstance(x, kind):
        raise TypeError(f"a {type(x).__name__} is in a place for something else")
    return x


def keys(items):
    """The items, if they can be keys: RecursionError for tuples in tuples without end, where hash() itself would end the process."""
    for item in items:
        if isinstance(item, (tuple, frozenset)):
            keys(item)
    return items


def give_state(x, state):
    """What BUILD does: fill an object that was made before; returns it."""
    if isinstance(x, np.dtype):
        return x.newbyteorder(">") if state[1] == ">" else x
    if isinstance(x, OrderedDict):  # a state_dict of PyTorch's has _metadata
        x.__dict__.update({of_kind(name, str): value for name, value in of_kind(state, dict).items()})
    elif isinstance(x, np.ndarray) and not x.size and x.flags.owndata:  # only a new one: nothing may look at its memory yet
        version, shape, dtype, column_major, data = state
        x.__setstate__((version, shape, of_kind(dtype, np.dtype), column_major, encode(data) if isinstance(data, str) else of_kind(data, bytes)))
    elif type(x) in trusted.values():
        if hasattr(x, "__setstate__"):
            x.__setstate__(state)
        else:
            held, slots = state if isinstance(state, tuple) and len(state) == 2 else (state, None)
            x.__dict__.update(held or {})
            for name, value in (slots or {}).items():
                setattr(x, name, value)
    else:
        raise TypeError(f"no state can be given to a {type(x).__name__}")
    return x


def unpickle(file, module, persistent, find):
    """The object of the next pickle in a file, made as Python makes it, which runs what is in it; `find` may know some names better."""

    class Unpickler(module.Unpickler):
        def persistent_load(self, said):
            return persistent(said)

        def find_class(self, module, name):
            known = find(f"{module}.{name}")
            return super().find_class(module, name) if known is None else known

    try:
        return Unpickler(file).load()
    except (AttributeError, ImportError) as error:
        error.add_note("load: a pickle holds only the names of classes and functions; define or import them, under the same names, before loading")
        raise


# --- what may be named -----------------------------------------------------------------------------------------------


def numpy_dtype(name, *_):
    """A dtype of NumPy's, of numbers."""
    if of_kind(name, str)[:1] not in "biufc" or not name[1:].isdecimal():
        raise RefusedError(f"an array of NumPy's with the dtype {name!r}, and only arrays of numbers are read")
    return np.dtype(name)


def scalar(kind, data):
    """A number with a NumPy type."""
    (number,) = np.frombuffer(encode(data) if isinstance(data, str) else data, of_kind(kind, np.dtype))
    return number.astype(kind.newbyteorder("="))


def array_from_buffer(data, kind, shape, order):
    """An array from its bytes, as pickles of protocol 5 have it."""
    return np.frombuffer(bytearray(data), of_kind(kind, np.dtype)).reshape(shape, order=order)


def some_device(kind, index=None):
    """A device by its name."""
    return device(of_kind(kind, str), index)


def encode(text, encoding="latin1"):
    """Bytes, which old pickles have as text."""
    if encoding not in ("latin1", "latin-1"):
        raise ValueError("bytes in another encoding than latin1")
    return of_kind(text, str).encode("latin1")


def octets(data=b"", encoding="latin1"):
    """A bytearray; of bytes only, as a number would ask for memory."""
    return bytearray(data if isinstance(data, bytes) else encode(data, encoding))


MAKERS = {
    "collections.OrderedDict": lambda pairs=(): OrderedDict(zip(keys([key for key, _ in pairs]), [value for _, value in pairs])),
    "collections.Counter": lambda counts=(): Counter(keys(counts) if isinstance(counts, list) else of_kind(counts, (dict, tuple))),
    "builtins.set": lambda items=(): set(keys(items)), "builtins.frozenset": lambda items=(): frozenset(keys(items)),
    "builtins.complex": complex, "builtins.bytearray": octets, "_codecs.encode": encode, "numpy.dtype": numpy_dtype,
    **{f"numpy.{core}.multiarray.scalar": scalar for core in ("core", "_core")},
    **{f"numpy.{core}.multiarray._reconstruct": lambda *_: np.empty(0) for core in ("core", "_core")},
    **{f"numpy.{core}.numeric._frombuffer": array_from_buffer for core in ("core", "_core")},
    "tinygrad_edu.autograd.size.Size": Size, "tinygrad_edu.autograd.dtypes.dtype": lambda name: dtype_names[name],
    "tinygrad_edu.autograd.dtypes.Unsupported": lambda name, *_: {"bfloat16": bfloat16}[name],
    "tinygrad_edu.api.create.device": some_device,
}  # fmt: skip
MAKERS = {name: Maker(name, make) for name, make in MAKERS.items()}
VALUES = {"numpy.ndarray": np.ndarray}


def found(name, table):
    """What a name in a pickle stands for, in the reader's own table or in the list; None for what is in neither."""
    name = name.replace("__builtin__.", "builtins.", 1)
    for known in (table, MAKERS, VALUES):
        if name in known:
            return known[name]
    kind = trusted.get(name)
    return Trusted(name, kind) if callable(kind) else kind
