"""Switches that each thread has for itself: gradients on or off, recording for pictures, anomaly detection."""

import functools
import threading


class State(threading.local):
    """What this thread has switched: `grad` is on and the others off unless a context says otherwise."""

    grad = True
    recording = False
    anomaly = False
    changed = False
    module = ()  # the modules whose forward is running, while a picture is recorded or hooks are there
    frames = None  # a picture's list of the learner's frames that computed, so that it can read variables' names


state = State()
special = 0  # how many threads differ from the defaults; while it is 0, operators need not look any further
lock = threading.Lock()


def switch(**values):
    """Set switches of this thread and return their former values; keeps count of threads that differ from the default."""
    global special
    before = {name: getattr(state, name) for name in values}
    for name, value in values.items():
        setattr(state, name, value)
    changed = not state.grad or state.recording or state.anomaly
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

    values: dict = {}

    def __init__(self, function=None):
        self.before = []
        if function is not None:
            raise TypeError(f"{type(self).__name__} needs its parentheses: @{type(self).__name__}()")

    def __new__(cls, function=None):
        if callable(function):  # @no_grad without parentheses, as PyTorch allows
            return cls()(function)
        return super().__new__(cls)

    def __enter__(self):
        self.before.append(switch(**self.values))
        return self

    def __exit__(self, *error):
        switch(**self.before.pop())

    def __call__(self, function):
        if isinstance(function, type):
            raise TypeError(f"{type(self).__name__} decorates functions; decorate the methods of {function.__name__}")

        @functools.wraps(function)
        def wrapped(*args, **kwargs):
            before = switch(**self.values)
            try:
                return function(*args, **kwargs)
            finally:
                switch(**before)

        return wrapped


class no_grad(Switched):
    """Compute without remembering: results inside are constants, and in-place updates of leaves are allowed."""

    values = dict(grad=False)


class enable_grad(Switched):
    """Remember computations again, inside of `no_grad`."""

    values = dict(grad=True)


class recording(Switched):
    """Keep every value, its inputs and the line that computed it, for pictures and explanations."""

    values = dict(recording=True)


class set_grad_enabled(Switched):
    """Switch gradients on or off, at once; as a context manager, until its end."""

    def __new__(cls, mode):
        return object.__new__(cls)

    def __init__(self, mode):
        self.values = dict(grad=bool(mode))
        self.before = [switch(**self.values)]

    def __enter__(self):
        switch(**self.values)
        return self

    def __call__(self, function):
        switch(**self.before[0])
        return super().__call__(function)


class detect_anomaly(Switched):
    """Stop at the first derivative that is NaN or infinite, and say which line of the forward pass it belongs to."""

    values = dict(anomaly=True)


class set_detect_anomaly(set_grad_enabled):
    """Switch `detect_anomaly` on or off, at once; as a context manager, until its end."""

    def __init__(self, mode, check_nan=True):
        self.values = dict(anomaly=bool(mode))
        self.before = [switch(**self.values)]


def is_grad_enabled():
    """True unless this thread is inside `no_grad`."""
    return state.grad
