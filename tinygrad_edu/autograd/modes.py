"""Switches that each thread has for itself: gradients on or off, recording for pictures, anomaly detection."""

import functools
import inspect
import threading
from typing import Any, NamedTuple

import numpy as np


class State(threading.local):
    """What this thread has switched: `grad` is on and the others off unless a context says otherwise."""

    grad = True
    recording = False
    inference = False  # True within inference_mode: only asked for
    anomaly: Any = False  # or a Checks: what to look for
    saving: tuple = ()  # the hooks on saved values, pairs (pack, unpack); the last one counts
    hooks_refused: Any = None  # the message of disable_saved_tensors_hooks
    duals: Any = None  # the open level of forward mode
    changed = False
    module = ()  # the modules whose forward is running, while a picture is recorded or hooks are there
    tape: Any = None  # what a compiled step is being written down on


state = State()
special = 0  # how many threads differ from the defaults; while it is 0, operators need not look any further
tapes = 0  # how many threads are recording a compiled step
lock = threading.Lock()


def switch(name, value):
    """Set a switch of this thread and return its former value; keeps count of the threads that differ from the defaults."""
    global special
    before = getattr(state, name)
    if value is not before:
        setattr(state, name, value)
        changed = not state.grad or state.recording or bool(state.anomaly) or bool(state.saving)
        if changed != state.changed:
            with lock:
                special += 1 if changed else -1
            state.changed = changed
    return before


class Switched:
    """A context that sets switches and restores them on every way out; also a decorator.

    >>> import tinygrad_edu as tg
    >>> x = tg.tensor([1.0], requires_grad=True)
    >>> with tg.no_grad():
    ...     (x * 2).requires_grad
    False
    """

    name, value = "grad", True

    def __init__(self, function=None):
        self.before = []
        if function is not None:
            raise TypeError(f"{type(self).__name__} needs its parentheses: @{type(self).__name__}()")

    def __new__(cls, function=None):
        if callable(function):  # @no_grad without parentheses, as PyTorch allows
            return cls()(function)
        return super().__new__(cls)

    def __enter__(self):
        self.before.append(switch(self.name, self.value))
        return self

    def __exit__(self, *error):
        switch(self.name, self.before.pop())

    def __call__(self, function):
        if isinstance(function, type):
            raise TypeError(f"{type(self).__name__} decorates functions; decorate the methods of {function.__name__}")

        @functools.wraps(function)
        def wrapped(*args, **kwargs):
            before = switch(self.name, self.value)
            try:
                return function(*args, **kwargs)
            finally:
                switch(self.name, before)

        if not inspect.isgeneratorfunction(function):
            return wrapped

        @functools.wraps(function)
        def generator(*args, **kwargs):
            """The switch is set while the generator runs, and as the caller has it in between."""
            running = function(*args, **kwargs)
            resume, given = running.send, None
            while True:
                before = switch(self.name, self.value)
                try:
                    answer = resume(given)
                except StopIteration as end:
                    return end.value
                finally:
                    switch(self.name, before)
                try:
                    resume, given = running.send, (yield answer)
                except GeneratorExit:
                    running.close()
                    raise
                except BaseException as error:
                    resume, given = running.throw, error

        return generator


class no_grad(Switched):
    """Compute without remembering: results inside are constants, and in-place updates of leaves are allowed."""

    value = False


class inference_mode(Switched):
    """As `no_grad`; with mode=False as `enable_grad`."""

    def __new__(cls, mode=True):
        return super().__new__(cls, mode)

    def __init__(self, mode=True):
        self.before = []
        self.value = not mode

    def __enter__(self):
        self.before.append(state.inference)
        state.inference = not self.value
        return super().__enter__()

    def __exit__(self, *error):
        super().__exit__(*error)
        state.inference = self.before.pop()

    def __call__(self, function):
        @functools.wraps(function)
        def wrapped(*args, **kwargs):
            with self:
                return function(*args, **kwargs)

        return wrapped


class enable_grad(Switched):
    """Remember computations again, inside of `no_grad`."""

    value = True


class recording(Switched):
    """Keep every value, its inputs and the line that computed it, for pictures and explanations."""

    name = "recording"


class set_grad_enabled(Switched):
    """Switch gradients on or off, at once; as a context manager, until its end."""

    def __new__(cls, mode):
        return object.__new__(cls)

    def __init__(self, mode):
        self.value = bool(mode)
        self.before = [switch(self.name, self.value)]

    def __enter__(self):
        switch(self.name, self.value)
        return self

    def __call__(self, function):
        switch(self.name, self.before[0])
        return super().__call__(function)


class Checks(NamedTuple):
    """What anomaly mode looks for; always true, so that it can stand for the switch."""

    nan: bool
    inf: bool


class detect_anomaly(Switched):
    """Stop at the first value or derivative that is NaN or infinite, and say which line, variable and input it came from.

    An infinite value is an anomaly where all inputs are finite: masks with -inf pass. `check_inf=False` allows all infinite
    values; `check_nan=False` checks nothing and only writes down the lines, for the errors of back propagation. NumPy's
    warnings are silent inside: they come before the message, and say less.

    >>> import tinygrad_edu as tg
    >>> with tg.autograd.detect_anomaly():
    ...     tg.tensor([1.0, 0.0]) / tg.tensor([1.0, 0.0])
    Traceback (most recent call last):
    RuntimeError: detect_anomaly: div(x, y) gave NaN, at [1] of the result, float32[2] (1 of 2)
    """

    name = "anomaly"

    def __new__(cls, check_nan=True, check_inf=True):
        return super().__new__(cls, check_nan)

    def __init__(self, check_nan=True, check_inf=True):
        self.before = []
        self.quiet = []
        self.value = Checks(bool(check_nan), bool(check_nan and check_inf))

    def __enter__(self):
        self.quiet.append(np.errstate(all="ignore"))
        self.quiet[-1].__enter__()
        return super().__enter__()

    def __exit__(self, *error):
        super().__exit__(*error)
        self.quiet.pop().__exit__(*error)

    def __call__(self, function):
        @functools.wraps(function)
        def wrapped(*args, **kwargs):
            with self:
                return function(*args, **kwargs)

        return wrapped


class set_detect_anomaly(set_grad_enabled):
    """Switch `detect_anomaly` on or off, at once; as a context manager, until its end."""

    name = "anomaly"

    def __new__(cls, mode, check_nan=True, check_inf=True):
        return object.__new__(cls)

    def __init__(self, mode, check_nan=True, check_inf=True):
        self.value = Checks(bool(check_nan), bool(check_nan and check_inf)) if mode else False
        self.before = [switch(self.name, self.value)]


def remembering():
    """True or False as this thread's gradients are on or off; None while it records, looks for anomalies or packs what is saved."""
    return None if state.recording or state.anomaly or state.saving else state.grad


def is_grad_enabled():
    """True unless this thread is inside `no_grad`."""
    return state.grad


def again(function, *args):
    """Arrays, and facts about them, from what changes between steps (a rate, a count): a compiled step asks anew each time."""
    return state.tape.again(function, args) if tapes and state.tape is not None else function(*args)
