"""Run a model and write down every operator that depends on its inputs or parameters, as a list of steps.

A value is known by its memory: every array that a step made is kept alive, so whatever shows that memory in the same way (a view, a detached
tensor, an index that went into a parameter) is that value. Arrays that no step made are constants. Operators are listened to at
`Op.forward`, through which every call passes while something is recorded, and in-place updates at `memory.fill`.
"""

import threading
from contextlib import contextmanager
from typing import Any, NamedTuple

import numpy as np

from ..autograd import memory, modes
from ..autograd.operator import numpy_functions, registry
from ..autograd.recorder import users_frame


class Active(threading.local):
    """The tracer of this thread, while it exports."""

    tracer: Any = None


active = Active()
listening = threading.RLock()  # one export at a time: listeners are put into the registry


class Ref(NamedTuple):
    """The value with this number: of an input, a parameter, or a step."""

    number: int


class Step(NamedTuple):
    """One call of an operator: what went in (a Ref, a constant array, a number or None), its parameters, what came out, and where."""

    op: Any
    inputs: list
    params: dict
    ref: Ref
    shapes: list
    dtypes: list
    shape: tuple
    dtype: Any
    modules: tuple
    line: Any

    def place(self, model):
        """Where the call stands: the module's path and the user's line."""
        path = path_of(self.modules, model)
        return (f" in {path}" if path else "") + (f", line {self.line[1]} of {self.line[0]}" if self.line else "")


def path_of(modules, model):
    """The dotted path of the innermost running module that belongs to the model."""
    paths = {id(m): name for name, m in model.named_modules()} if hasattr(model, "named_modules") else {}
    return next((paths[id(m)] for m in reversed(modules) if id(m) in paths), "")


class Traced(np.ndarray):
    """An array of a known value: what NumPy itself makes of it on the way from operator to operator is written down too."""

    def copy(self, order="C"):
        return alike(self, np.array(self, order=order, subok=True))

    def astype(self, dtype, order="K", casting="unsafe", subok=True, copy=True):
        if not copy and self.dtype == dtype:
            return self
        return call("cast", self, dtype=np.dtype(dtype)) if known(self) else super().astype(dtype, order, casting, subok, copy)

    def reshape(self, *shape, **options):
        shape = shape[0] if len(shape) == 1 and isinstance(shape[0], (tuple, list)) else shape
        return call("reshape", self, shape=tuple(shape)) if known(self) and not options else super().reshape(*shape, **options)

    def squeeze(self, axis=None):
        return call("squeeze", self, axis=axis) if known(self) else super().squeeze(axis)

    def take(self, indices, axis=None, out=None, mode="raise"):
        if known(self) and axis is not None and out is None:
            return call("getitem", self, index=(slice(None),) * (axis % self.ndim) + (np.asarray(indices),))
        return super().take(indices, axis, out, mode)

    def __getitem__(self, index):
        return call("getitem", self, index=index if isinstance(index, tuple) else (index,)) if known(self) else super().__getitem__(index)

    def argmax(self, axis=None, out=None, *, keepdims=False):
        return call("argmax_along", self, axis=axis, keepdims=keepdims) if known(self) else super().argmax(axis, out, keepdims=keepdims)

    def argmin(self, axis=None, out=None, *, keepdims=False):
        return call("argmin_along", self, axis=axis, keepdims=keepdims) if known(self) else super().argmin(axis, out, keepdims=keepdims)

    def __array_ufunc__(self, ufunc, method, *inputs, out=None, **options):
        operator, tracer = numpy_functions.get(ufunc), active.tracer
        if operator is None or method != "__call__" or options or tracer is None or tracer.busy:
            return getattr(ufunc, method)(*plain(inputs), **plain(options), **({} if out is None else {"out": plain(out)}))
        result = operator(*inputs)
        if out is None:
            return result
        tracer.overwrite(out[0], Ellipsis, result, lambda: np.copyto(plain(out[0]), plain(result), casting="same_kind"))
        return out[0]


def known(array):
    """True if the array is a value that the tracer of this thread knows."""
    return active.tracer is not None and not active.tracer.busy and key(array) in active.tracer.refs


def call(name, x, **params):
    """An operator, applied to an array."""
    return registry[name].forward(x, **params)


def alike(original, copied):
    """Know a copy as the value that the original is."""
    if known(original):
        active.tracer.know(copied, active.tracer.refs[key(original)])
    return copied


def plain(x):
    """Arrays in nested tuples and dicts without their class."""
    if isinstance(x, Traced):
        return x.view(np.ndarray)
    if type(x) in (tuple, list):
        return type(x)(map(plain, x))
    return {k: plain(v) for k, v in x.items()} if type(x) is dict else x


def key(array):
    """What two arrays have in common that show the same elements of the same memory."""
    strides = tuple(s if n != 1 else 0 for s, n in zip(array.strides, array.shape))
    return array.__array_interface__["data"][0], array.shape, strides, array.dtype.str


class Tracer:
    """One run: the steps, and the values by their memory."""

    def __init__(self):
        self.steps, self.busy, self.count = [], False, 0
        self.refs: dict = {}  # key → Ref
        self.kept: dict = {}  # key → the array, so that its memory is not used again, and what it held

    def new(self, array):
        """A new value, and the array that is known as it from now on."""
        array = np.asarray(array).view(Traced)
        self.know(array, Ref(self.count))
        self.count += 1
        return array

    def know(self, array, ref):
        if array.size:
            self.refs[key(array)], self.kept[key(array)] = ref, (array, np.array(array.view(np.ndarray)))

    def operand(self, x):
        """The Ref of a known value; a constant's array; of tuples and dicts, those of what they hold; anything else as it is."""
        if type(x) in (tuple, list):
            return type(x)(map(self.operand, x))
        if type(x) is dict:
            return {k: self.operand(v) for k, v in x.items()}
        if not isinstance(x, (np.ndarray, np.generic)):
            return x
        x = np.asarray(x)
        if x.dtype.kind == "c":
            raise NotImplementedError("onnx.export: ONNX has no arithmetic for complex numbers; compute with real and imaginary part")
        if key(x) not in self.refs:
            return x.copy()
        ref, (_, before) = self.refs[key(x)], self.kept[key(x)]
        if not np.array_equal(before, x, equal_nan=x.dtype.kind == "f"):
            raise NotImplementedError("onnx.export: a value was overwritten in place through a view of it, which cannot be followed here; "
                                      "compute a new tensor instead, or update the whole tensor")  # fmt: skip
        return ref

    def call(self, op, forward, args, params):
        """Apply an operator, and write it down if anything in it is a value; else it is a constant, computed now."""
        inputs, named = [self.operand(a) for a in args], self.operand({**op.params, **params})
        self.busy = True
        try:
            out = forward(*plain(args), **plain(params))
        finally:
            self.busy = False
        return self.write_down(op, inputs, named, args, out) if holds_value((inputs, named)) else out

    def write_down(self, op, inputs, params, args, out):
        out = self.new(out)
        ref, frame = Ref(self.count - 1), users_frame()
        shapes = [a.shape if hasattr(a, "shape") else () for a in args]
        dtypes = [getattr(a, "dtype", None) for a in args]
        line = frame and (frame.f_code.co_filename.replace("\\", "/").rpartition("/")[2], frame.f_lineno)
        self.steps.append(Step(op, inputs, params, ref, shapes, dtypes, out.shape, out.dtype, modes.state.module, line))
        return out

    def overwrite(self, array, index, values, write):
        """An update in place: a step whose result lies where its input was."""
        inputs, named, args = [self.operand(array), self.operand(values)], self.operand(index), (plain(array).copy(), values)
        write()
        if holds_value((inputs, named)):
            named = named if isinstance(named, tuple) and not isinstance(named, Ref) else (named,)
            self.write_down(registry["setitem"], inputs, {"index": named}, args, plain(array))


def holds_value(x):
    """True if there is a Ref in nested tuples, lists and dicts."""
    if isinstance(x, Ref):
        return True
    return any(map(holds_value, x.values() if type(x) is dict else x)) if type(x) in (tuple, list, dict) else False


@contextmanager
def tracing():
    """Give a Tracer that listens to every operator of this thread until the end."""

    def listener(op, forward):
        def listen(*args, **params):
            tracer = active.tracer
            return forward(*args, **params) if tracer is None or tracer.busy else tracer.call(op, forward, args, params)

        return listen

    def listening_fill(x, index, values, what, part=None):
        if active.tracer is None:
            return fill(x, index, values, what, part)
        return active.tracer.overwrite(x.array, index, values, lambda: fill(x, plain(index), plain(values), what, part))

    with listening:
        operators = [op for op in registry.values() if hasattr(op, "forward")]
        forwards, fill = [op.forward for op in operators], memory.fill
        active.tracer = Tracer()
        try:
            for op, forward in zip(operators, forwards):
                op.forward = listener(op, forward)
            memory.fill = listening_fill
            with modes.no_grad(), modes.recording():
                yield active.tracer
        finally:
            active.tracer, memory.fill = None, fill
            for op, forward in zip(operators, forwards):
                op.forward = forward
