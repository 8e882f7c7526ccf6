"""The tape: each NumPy call of a step, what it read, what it made and what it overwrote, as plain data."""

import sys
from functools import cache
from math import prod

import numpy as np

from ..autograd import modes
from ..autograd.engine import backprop
from ..autograd.operator import registry
from ..autograd.recorder import FOLDER
from .errors import Changed, CompileError, shown, users_line, value_read
from .text import found


class Storage:
    """A piece of memory: `kind` is "input", "external" (a parameter, a buffer …), "constant" or "made" (by the step)."""

    __slots__ = ("kind", "name", "array", "written", "same")

    def __init__(self, kind, name="", array=None):
        self.kind, self.name, self.array = kind, name, array
        self.written = False  # by anything but the call that made it
        self.same = None  # the storage that already holds what this one would

    lasting = property(lambda self: self.kind in ("external", "input"), doc="True if it is there after the step.")


class Value:
    """An array of the tape: which storage it shows, and how; a view has the storage of what it is a view of."""

    __slots__ = ("memory", "shape", "dtype", "strides", "offset", "call", "name")

    def __init__(self, storage, array, offset=0, name=""):
        self.memory, self.offset, self.call, self.name = storage, offset, None, name
        self.shape, self.dtype, self.strides = array.shape, array.dtype, getattr(array, "strides", ())

    storage = property(lambda self: self.memory.same or self.memory)
    size = property(lambda self: prod(self.shape))
    layout = property(lambda self: (self.offset, self.shape, self.strides, self.dtype))
    key = property(lambda self: (id(self.storage), *self.layout), doc="Two values with one key are the same array.")

    @property
    def order(self):
        """How the elements lie in memory without gaps: "C", "F", or None."""
        for order in ("C", "F"):
            step, axes = self.dtype.itemsize, range(len(self.shape))
            for axis in reversed(axes) if order == "C" else axes:
                if self.shape[axis] != 1 and self.strides[axis] != step:
                    break
                step *= self.shape[axis]
            else:
                return order
        return None


class Call:
    """One line of the tape: `function` of `args`; `kind` says how it is written as Python, `target` is what a ufunc writes to."""

    __slots__ = ("kind", "function", "args", "kwargs", "outputs", "target", "writes", "label", "place", "errors", "varies")

    def __init__(self, kind, function, args, kwargs, writes):
        self.kind, self.function, self.args, self.kwargs = kind, function, args, kwargs
        self.writes, self.outputs, self.varies = [v.storage for v in writes], [], False
        self.target = writes[0] if writes and kind == "ufunc" else None

    def reads(self):
        """The values among the arguments."""
        return found((self.args, self.kwargs), Value) + [v for v in [self.target] if v]

    def touches(self):
        """All values that the call reads or makes."""
        return self.reads() + self.outputs

    @property
    def is_view(self):
        """True if the only thing it does is to show memory of an argument's in another way."""
        return len(self.outputs) == 1 and not self.writes and self.outputs[0].storage in [v.storage for v in self.reads()]

    @property
    def may_stop(self):
        """True if a replay may find here that something is different now."""
        return self.kind == "expect" or self.varies or self.kind == "again" and self.args[1] is not None


class Tape:
    """What a step did, in order."""

    def __init__(self):
        self.calls, self.constants, self.alive = [], {}, []
        self.quiet, self.failed = np.geterr(), None

    def constant(self, array):
        """The value that stands for an array which was not made by the step."""
        if id(array) not in self.constants:
            self.constants[id(array)] = Value(Storage("constant", f"c{len(self.constants)}", array), array)
        return self.constants[id(array)]

    def write(self, kind, function, args, kwargs=None, writes=()):
        """Note a call; the caller adds its outputs."""
        call = Call(kind, function, args, kwargs or {}, writes)
        for storage in call.writes:
            storage.written = True
        call.label, call.place = where()
        call.errors = {k: v for k, v in np.geterr().items() if v != self.quiet[k]}
        self.calls.append(call)
        return call

    def refused(self, what, instead):
        """An error about the user's line."""
        place = users_line()
        what = f"line {place[1]}, `{shown(place)}`, {what}"
        self.failed = CompileError(f"compiled step: {what}, which cannot be recorded; {instead}")
        return self.failed

    def read(self, how):
        """Refuse to hand out the numbers of an array."""
        raise value_read(how)

    def again(self, function, args):
        """Make and note a call that every replay must make anew: it gives arrays, and facts that must stay the same."""
        from .recorder import Recorder

        modes.state.tape = None  # arrays that write are plain arrays now
        try:
            arrays, facts = function(*args)
        finally:
            modes.state.tape = self
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
        if hasattr(op, "rules"):
            known[op.forward.__code__] = name
            for x, rule in (*zip(op.inputs, op.rules), ("", op.together)):
                if hasattr(rule, "__code__"):
                    known.setdefault(rule.__code__, f"{name}′ for {x}" if x else f"{name}′")
    return known


def where():
    """(label, line): which operator or rule is at work, and for which line of the user's."""
    known, frame, label, backward = labels(len(registry)), sys._getframe(2), "", False
    while frame is not None:
        code, name = frame.f_code, frame.f_code.co_filename
        if name.startswith(FOLDER) or name.endswith(", specialised>"):
            if name.startswith(FOLDER + "optim"):
                label, backward = label or code.co_name, True
            elif code in known and (not label or not backward and "′" in known[code] and "′" not in label):
                label = known[code]
            backward = backward or code is backprop.__code__
        elif not name.startswith(NUMPY):
            return label, (name, frame.f_lineno)
        frame = frame.f_back
    return label, ("", 0)


NUMPY = np.__file__[: -len("__init__.py")]


def recording():
    """The tape of this thread while it records a step, or None."""
    return modes.state.tape if modes.tapes else None
