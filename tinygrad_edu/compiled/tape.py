"""The tape: each NumPy call of a step, what it read, what it made and what it overwrote, as plain data."""

import sys
from functools import cache

import numpy as np

from ..autograd import modes
from ..autograd.engine import backprop
from ..autograd.operator import registry
from ..autograd.recorder import FOLDER
from .errors import Changed, CompileError, shown, users_line, value_read


class Storage:
    """A piece of memory: `kind` is "input", "external" (a parameter, a buffer …), "constant" or "made" (by the step)."""

    __slots__ = ("kind", "name", "array", "written", "calls")

    def __init__(self, kind, name, array=None):
        self.kind, self.name, self.array = kind, name, array
        self.written = False  # by anything but the call that made it


class Value:
    """An array of the tape: which storage it shows, and how; a view has the storage of what it is a view of."""

    __slots__ = ("storage", "shape", "dtype", "strides", "offset", "call", "name", "number")

    def __init__(self, storage, array, offset=0):
        self.storage, self.offset, self.call, self.name = storage, offset, None, ""
        self.shape, self.dtype, self.strides = array.shape, array.dtype, getattr(array, "strides", ())
        self.number = 0

    @property
    def key(self):
        """What tells views apart: two values with one key are the same array."""
        return id(self.storage), self.offset, self.shape, self.strides, self.dtype

    @property
    def size(self):
        return int(np.prod(self.shape))


class Call:
    """One line of the tape: `function` of `args`; `kind` says how it is written as Python, and whether it takes a buffer."""

    __slots__ = ("kind", "function", "args", "kwargs", "outputs", "out", "writes", "label", "place", "stage", "errors", "varies")

    def __init__(self, kind, function, args, kwargs=None):
        self.kind, self.function, self.args, self.kwargs = kind, function, args, kwargs or {}
        self.outputs, self.out, self.writes, self.varies = [], None, [], False

    def reads(self):
        """The values among the arguments."""
        return [*values_in(self.args), *values_in(self.kwargs), *([self.out] if self.out else [])]


def values_in(x):
    """The values in nested arguments."""
    if isinstance(x, Value):
        yield x
    elif isinstance(x, (tuple, list)):
        for item in x:
            yield from values_in(item)
    elif isinstance(x, dict):
        yield from values_in(list(x.values()))
    elif isinstance(x, slice):
        yield from values_in([x.start, x.stop, x.step])


class Tape:
    """What a step did, in order."""

    def __init__(self):
        self.calls, self.constants, self.alive = [], {}, []
        self.quiet = np.geterr()
        self.failed, self.swap = None, None

    def constant(self, array):
        """The value that stands for an array which was not made by the step."""
        known = self.constants.get(id(array))
        if known is None:
            known = self.constants[id(array)] = Value(Storage("constant", f"c{len(self.constants)}", array), array)
        return known

    def write(self, kind, function, args, kwargs=None, out=None, writes=()):
        """Note a call; the caller adds its outputs."""
        call = Call(kind, function, args, kwargs)
        call.out, call.writes = out, [v.storage for v in writes]
        for v in writes:
            v.storage.written = True
            if v.storage.kind == "constant":
                raise self.refused("writes into a NumPy array that no tensor holds", "keep it in a tensor, outside of the step")
        call.label, call.stage, call.place = where()
        now = np.geterr()
        call.errors = None if now == self.quiet else now
        self.calls.append(call)
        return call

    def refused(self, what, instead):
        """An error about the user's line."""
        place = users_line()
        self.failed = CompileError(f"compiled step: line {place[1]}, `{shown(place)}`, {what}, which cannot be recorded; {instead}")
        return self.failed

    def read(self, how):
        """Refuse to hand out the numbers of an array."""
        raise value_read(how)

    def again(self, function, args):
        """Make and note a call that every replay must make anew: it gives arrays, and facts that must stay the same."""
        from .recorder import Recorder

        modes.state.tape = None
        self.swap.suspend()
        try:
            arrays, facts = function(*args)
        finally:
            modes.state.tape = self
            self.swap.resume()
        call = self.write("again", function, (args, facts))
        call.label = function.__name__
        return [Recorder(self, a, call) for a in arrays], facts


def repeat(function, args, facts, line):
    """In a replay: the arrays that an `again` call gives now."""
    arrays, now = function(*args)
    if now != facts:
        take_back = getattr(getattr(function, "__self__", None), "take_back", None)
        if take_back is not None:
            take_back(*args)
        raise Changed(line)
    return arrays


@cache
def labels(count):
    """Code object → what to call it: the operators and their rules."""
    known = {}
    for name, op in registry.items():
        if not hasattr(op, "rules"):
            continue
        known[op.forward.__code__] = name
        for x, rule in zip(op.inputs, op.rules):
            if hasattr(rule, "__code__"):
                known.setdefault(rule.__code__, f"{name}′ for {x}")
        if op.together is not None:
            known.setdefault(op.together.__code__, f"{name}′")
    return known


OWN = FOLDER + "compiled"
BACKPROP = backprop.__code__


def where():
    """(label, stage, line): which operator or rule is at work, whether in "forward", "backward" or "update", for which line."""
    known, frame, label, stage, place = labels(len(registry)), sys._getframe(2), "", "forward", ("", 0)
    while frame is not None:
        code = frame.f_code
        name = code.co_filename
        if name.startswith(OWN):
            pass
        elif name.startswith(FOLDER) or name.endswith(", specialised>"):
            if code is BACKPROP:
                stage = "backward"
            elif name.startswith(FOLDER + "optim"):
                stage, label = "update", label or code.co_name
            elif code in known:
                if not label or stage == "forward" and "′" in known[code] and "′" not in label:
                    label = known[code]
        elif not name.startswith(NUMPY):
            place = (name, frame.f_lineno)
            break
        frame = frame.f_back
    return label, stage, place


NUMPY = np.__file__[: -len("__init__.py")]


def recording():
    """The tape of this thread while it records a step, or None."""
    return modes.state.tape if modes.tapes else None
