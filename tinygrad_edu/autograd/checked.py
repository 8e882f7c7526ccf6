"""What can be checked: a function whose inputs can be moved, together with the gradients that are claimed for it.

Three kinds with the same interface: `TensorFunction` (the engine's gradients of any function of tensors), `ClaimedGradient`
(a NumPy function and a gradient that somebody wrote by hand), and `Step` (one step of a recorded graph, all alone).

    names, arrays            of the inputs; `arrays` is memory, and finite_differences.py moves it
    evaluate()               the outputs, as arrays of their own
    pull(output, weights)    what is claimed for the gradients of Σ weights · output: per input an array, or None
"""

import copy
import inspect
from contextlib import contextmanager

import numpy as np

from . import engine, modes
from .function import Bridge, Context, Function
from .node import Node, ancestors, leaf
from .tensor import Tensor, array_of, as_memory


def as_tuple(values):
    return tuple(values) if isinstance(values, (tuple, list)) else (values,)


class Problem:
    """What all kinds share."""

    names: list = []
    arrays: list = []
    output_dtypes: tuple = ()
    sums_broadcasts = True  # a claimed gradient may still be broadcast: the engine sums it

    def jacobian(self, shapes):
        """Per input a list with one claimed gradient for each element of each output: the upstream gradient is 1 there, else 0."""
        columns: list = [[] for _ in self.arrays]
        for k, shape in enumerate(shapes):
            for place in range(int(np.prod(shape))):
                unit = np.zeros(shape)
                unit.reshape(-1)[place] = 1
                for column, g in zip(columns, self.pull(k, unit)):
                    column.append(g)
        return columns

    @contextmanager
    def moved_to(self, arrays):
        """The inputs with other values, for the time of a `with` block."""
        former = [a.copy() for a in self.arrays]
        try:
            for a, values in zip(self.arrays, arrays):
                a[...] = values
            yield self
        finally:
            for a, values in zip(self.arrays, former):
                a[...] = values

    def elsewhere(self, seed=1):
        """Values near the present ones, of the same signs and at no special place."""
        rng = np.random.default_rng(seed)
        return [a * (1 + 0.3 * rng.random(a.shape)) + (a == 0) * 0.3 * rng.random(a.shape) for a in self.arrays]

    def recorded(self):
        """(outputs, leaves): the computation as a recorded graph, or None where there is none."""
        return None


# --- names -------------------------------------------------------------------------------------------------------------------


def argument_names(func, count):
    """What the function calls its first `count` positional arguments; their numbers where it does not say."""
    target = func
    if is_module(func):
        target = func.forward
    owner = getattr(func, "__self__", None)
    skip = 0
    if isinstance(owner, type) and issubclass(owner, Function) and func.__name__ == "apply":
        target, skip = owner.forward, 0 if hasattr(owner, "setup_context") else 1
    try:
        parameters = list(inspect.signature(target).parameters.values())[skip:]
    except (TypeError, ValueError):
        parameters = []
    names: list = []
    for p in parameters:
        if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD):
            names.append(p.name)
        elif p.kind is p.VAR_POSITIONAL:
            names += [f"{p.name}[{k}]" for k in range(count - len(names))]
            break
        else:
            break
    return [names[k] if k < len(names) else f"input {k}" for k in range(count)]


def named_leaves(name, value):
    """(name, leaf) for each leaf of nested tuples, lists and dicts: xs[0], state['hidden']."""
    if isinstance(value, dict):
        for key, part in value.items():
            yield from named_leaves(f"{name}[{key!r}]", part)
    elif isinstance(value, (tuple, list)):
        for k, part in enumerate(value):
            yield from named_leaves(f"{name}[{k}]", part)
    else:
        yield name, value


def as_real(array):
    """Complex numbers as pairs of real ones, in the same memory; a real array as it is."""
    return array[..., None].view(array.real.dtype) if array.dtype.kind == "c" else array


def in_pairs(y):
    """A complex result as a tensor of pairs of real numbers."""
    from ..api.complexes import view_as_real

    return view_as_real(y)


def function_name(func):
    """A short name for messages: of a function, a Module's class, a Function's class."""
    owner = getattr(func, "__self__", None)
    if isinstance(owner, type) and issubclass(owner, Function):
        return owner.__name__
    if is_module(func):
        return type(func).__name__
    name = getattr(func, "__name__", None) or type(func).__name__
    return "the function" if name in ("<lambda>", "function") else name


def is_module(value):
    """True for a Module: autograd does not know the class, only what it offers."""
    return not isinstance(value, type) and hasattr(value, "named_parameters") and hasattr(value, "named_modules")


def modules_of(func):
    """The Modules that a function uses: itself, its owner, and those it reaches by its variables."""
    found = [func] if is_module(func) else []
    owner = getattr(func, "__self__", None)
    if owner is not None and is_module(owner):
        found.append(owner)
    return found + [v for _, v in variables_of(func) if v is not None and is_module(v)]


def variables_of(func):
    """(name, value) of the variables that a function's code uses from outside, and of its defaults."""
    code = getattr(func, "__code__", None)
    if code is None:
        return []
    known = getattr(func, "__globals__", {})
    found = [(name, known.get(name)) for name in code.co_names]
    for name, cell in zip(code.co_freevars, func.__closure__ or ()):
        try:
            found.append((name, cell.cell_contents))
        except ValueError:  # a variable that has no value yet
            continue
    return found + list(zip(code.co_varnames[: code.co_argcount][::-1], (func.__defaults__ or ())[::-1]))


def constants_of(func):
    """(name, array) of the arrays and tensors that a function uses besides its inputs: the data of a loss, say."""
    return [(name, plain(v)) for name, v in variables_of(func) if isinstance(v, (Tensor, np.ndarray))]


# --- what a call of the function may change ------------------------------------------------------------------------------


class State:
    """Buffers, counters and modes of Modules, as they were: to put them back after each call."""

    def __init__(self, modules):
        self.kept, self.contents = [], []
        seen = set()
        for module in modules:
            for _, m in module.named_modules():
                if id(m) in seen:
                    continue
                seen.add(id(m))
                for key, value in vars(m).items():
                    if isinstance(value, (bool, int, float, str)):
                        self.kept.append((m, key, value))
                    elif isinstance(value, Tensor) and value.node is None:
                        self.kept.append((m, key, value))
                        self.contents.append((value, value.array.copy()))

    def changed(self):
        """True if something is not as it was."""
        return any(vars(m).get(key) is not value and vars(m).get(key) != value if not isinstance(value, Tensor)
                   else vars(m).get(key) is not value for m, key, value in self.kept) \
            or any(not np.array_equal(t.array, before, equal_nan=True) for t, before in self.contents)  # fmt: skip

    def restore(self):
        """Put everything back."""
        for m, key, value in self.kept:
            vars(m)[key] = value
        for tensor, before in self.contents:
            if isinstance(tensor.array, np.ndarray) and tensor.array.flags.writeable:
                tensor.array[...] = before
            else:
                tensor.array = before.copy()


class Frozen:
    """The random generators as they are now: ours, NumPy's and Python's; `restore()` makes the same numbers come again."""

    def __init__(self):
        import random

        from ..api.random import source

        self.generator = source()
        self.state = self.generator.get_state()
        self.numpy = np.random.get_state()  # noqa: NPY002 (what user code may draw from)
        self.python = random.getstate()

    def restore(self):
        import random

        self.generator.set_state(self.state)
        np.random.set_state(self.numpy)  # noqa: NPY002
        random.setstate(self.python)


# --- functions of tensors ----------------------------------------------------------------------------------------------------


class TensorFunction(Problem):
    """The engine's gradients of `func(*args)` with respect to the arguments and parameters that require grad."""

    def __init__(self, func, args, parameters=(), names=None, undefined=True):
        from ..func import flatten

        self.func, self.undefined = func, undefined
        self.args, self.nested = flatten(tuple(args)) if any(isinstance(x, (dict, list, tuple)) for x in args) else (list(args), tuple)
        given = names or [name for pair in zip(argument_names(func, len(args)), args) for name, _ in named_leaves(*pair)]
        chosen = [(name, x) for name, x in zip(given, self.args) if isinstance(x, Tensor) and x.requires_grad]
        positions = [k for k, x in enumerate(self.args) if isinstance(x, Tensor) and x.requires_grad]
        known = {id(x) for _, x in chosen}
        more = [(f"parameter {name}", p) for name, p in parameters if id(p) not in known and p.requires_grad]
        self.names = [name for name, _ in chosen + more]
        self.tensors = [x for _, x in chosen + more]
        self.positions: list = positions + [None] * len(more)
        self.parameters = list(parameters)
        for name, x in zip(self.names, self.tensors):
            if not as_memory(x).flags.writeable:
                raise ValueError(f"gradcheck: {name} is expanded or read-only memory, and its elements cannot be moved one by "
                                 "one; pass x.clone()")  # fmt: skip
        self.arrays = [as_real(as_memory(x)) for x in self.tensors]
        self.complex = [x.array.dtype.kind == "c" for x in self.tensors]
        self.title = function_name(func)
        self.modules, self.constants = modules_of(func), constants_of(func)
        self.state = State(self.modules) if self.modules else None
        self.frozen = None
        self.restores = False
        self.unreached: set = set()
        self.graph = self.kept = None
        self.found, self.left_out, self.complex_outputs = [], [], [False]

    def restore(self):
        """Before a call: what the last call may have changed."""
        if self.restores and self.state is not None:
            self.state.restore()
        if self.frozen is not None:
            self.frozen.restore()

    def forward(self):
        """The differentiable tensors that the function returns, with their graph: of tuples, lists and dicts all leaves but None."""
        if self.restores or self.frozen is not None:
            self.restore()
        outputs = self.func(*self.nested(self.args))
        if outputs.__class__ is Tensor and outputs.array.dtype.kind == "f":
            return (outputs,)
        found = [y for _, y in named_leaves("output", outputs) if y is not None]
        wrong = [type(y).__name__ for y in found or [outputs] if not isinstance(y, Tensor)]
        if wrong:
            raise ValueError(f"gradcheck: func must return a tensor or several, and it returned {wrong[0]}")
        self.found = found
        chosen = [y for y in found if y.array.dtype.kind in "fc"] if self.kept is None else [found[k] for k in self.kept]
        self.complex_outputs = [y.array.dtype.kind == "c" for y in chosen]
        return tuple(in_pairs(y) if y.array.dtype.kind == "c" else y for y in chosen)

    def evaluate(self):
        outputs = self.forward()
        if len(outputs) == 1:
            return (np.array(outputs[0].array),)  # a copy: the output may be a view of an input that moves on
        return [np.array(y.array) for y in outputs]

    def start(self):
        """Compute the graph that `pull` goes back through. Of several outputs those that do not require grad are left out."""
        self.graph = self.forward()
        if not self.graph:
            raise ValueError("gradcheck: func returned no floating-point tensor, so there is nothing to differentiate")
        if self.kept is None and len(self.graph) > 1 and any(y.requires_grad for y in self.graph):
            self.kept = [k for k, y in enumerate(self.found) if y.requires_grad]
            self.left_out = [k for k, y in enumerate(self.found) if not y.requires_grad and y.array.dtype.kind in "fc"]
            self.complex_outputs = [self.found[k].array.dtype.kind == "c" for k in self.kept]
            self.graph = tuple(y for y in self.graph if y.requires_grad)
        self.output_dtypes = tuple(y.array.dtype for y in self.graph)
        return self.graph

    @contextmanager
    def moved_to(self, arrays):
        graph = self.graph
        with super().moved_to(arrays):
            try:
                self.start()
                yield self
            finally:
                self.graph = graph

    def pull(self, k, weights):
        """The gradients of Σ weights · output k, with respect to each input."""
        y = self.graph[k]
        if not y.requires_grad:
            self.unreached.update(range(len(self.tensors)))
            return [np.zeros(a.shape, a.dtype) for a in self.arrays]
        outputs, upstream = [y], [Tensor(np.asarray(weights, y.array.dtype), None)]
        if not self.undefined:
            others = [o for o in self.graph if o is not y and o.requires_grad]
            outputs, upstream = outputs + others, upstream + [Tensor(np.zeros_like(o.array), None) for o in others]
        found = engine.grad(outputs, self.tensors, upstream, retain_graph=True, allow_unused=True)
        self.unreached.update(i for i, g in enumerate(found) if g is None)
        return [np.zeros(a.shape, a.dtype) if g is None else as_real(np.asarray(g.array)) for g, a in zip(found, self.arrays)]

    def tangent(self, i, way):
        """J · way for input i: all outputs, flat."""
        pieces = [np.asarray(t.array, np.float64).reshape(-1) for t in self.tangents(i, Tensor(way, None))]
        return np.concatenate(pieces) if pieces else np.zeros(0)

    def tangents(self, i, way):
        """J · way for input i, computed as `func.jvp` does: the derivative of uᵀ·J with respect to u; a tensor per output."""
        found = []
        for y in self.graph:
            u = Tensor(np.zeros_like(np.asarray(y.array)), leaf(y.array.shape, y.array.dtype))
            pulled = Tensor(np.zeros(0), None)
            if y.requires_grad:
                (pulled,) = engine.grad([y], [self.tensors[i]], [u], retain_graph=True, create_graph=True, materialize_grads=True)
            if pulled.node is None:
                found.append(Tensor(np.zeros_like(np.asarray(y.array)), None))
                continue
            pulled = in_pairs(pulled) if pulled.array.dtype.kind == "c" else pulled
            (along,) = engine.grad([pulled], [u], [way.to(pulled.dtype)], create_graph=True, allow_unused=True, materialize_grads=True)
            found.append(along)
        return found

    def evaluate_complex(self, i, k, step):
        """The outputs with element k of input i moved along the imaginary axis."""
        position = self.positions[i]
        if position is None or self.complex[i]:
            raise TypeError("only real inputs can be moved along the imaginary axis, and parameters inside a module stay real")
        moved = self.arrays[i].astype(complex)
        moved.flat[k] += step
        self.restore()
        with modes.no_grad():
            outputs = self.func(*self.nested([Tensor(moved, None) if p == position else x for p, x in enumerate(self.args)]))
        found = [y for _, y in named_leaves("output", outputs) if y is not None]
        return [np.asarray(found[k].array) for k in self.kept or range(len(found)) if found[k].array.dtype.kind in "fc"]

    def in_double(self):
        """The same check with everything in float64, or None where that cannot be arranged."""
        wide = {"f": np.float64, "c": np.complex128}
        double = [Tensor(np.asarray(x.array, wide[x.array.dtype.kind]), None) if isinstance(x, Tensor) and x.array.dtype.kind in wide else x
                  for x in self.args]  # fmt: skip
        for x, y in zip(self.args, double):
            if isinstance(x, Tensor) and x is not y:
                y.requires_grad = x.requires_grad
        func, parameters = self.func, self.parameters
        if is_module(func):
            func = copy.deepcopy(func).double()
            parameters = list(func.named_parameters())
        elif parameters:
            return None
        try:
            twin = TensorFunction(func, self.nested(double), parameters, undefined=self.undefined)
            twin.names, twin.restores, twin.frozen = self.names, self.restores, self.frozen
            outputs = twin.start()
            return twin if all(y.dtype.itemsize == 8 for y in outputs) else None
        except Exception:  # something inside insists on float32
            return None

    def recorded(self):
        with modes.recording():
            outputs = self.forward()
        if not any(y.requires_grad for y in outputs) or any(self.complex):
            return None
        return outputs, [x.node for x in self.tensors]


# --- claimed gradients of functions of arrays --------------------------------------------------------------------------------


class ClaimedGradient(Problem):
    """A function of arrays and a gradient that somebody claims for it: NumPy's, PyTorch's, JAX's, or arrays computed before."""

    sums_broadcasts = False
    state = frozen = None
    restores = False

    def __init__(self, function, gradient, arrays, kind="auto", names=None):
        self.function, self.gradient = function, gradient
        self.title = function_name(function)
        self.args = [x if isinstance(x, np.ndarray) and x.dtype.kind != "f" else plain(x) for x in arrays]
        self.args = [np.array(x) for x in self.args]
        self.positions = [k for k, x in enumerate(self.args) if x.dtype.kind == "f"]
        if not self.positions:
            raise ValueError("check_gradient: none of the arrays is floating-point, so there is nothing to move; pass them as "
                             "float64, as in np.asarray(x, np.float64)")  # fmt: skip
        given = list(names or argument_names(function, len(self.args)))
        self.names = [given[k] for k in self.positions]
        self.arrays = [self.args[k] for k in self.positions]
        self.kind, self.constants = kind, constants_of(function)
        self.unreached: set = set()

    def restore(self):
        if self.frozen is not None:
            self.frozen.restore()

    def called(self, function, *before):
        """Call a function of the user's on copies, so that it cannot change what is measured."""
        self.restore()
        return function(*before, *(a.copy() if a.ndim else a[()] for a in self.args))

    def evaluate(self):
        value = self.called(self.function)
        values = value if isinstance(value, (tuple, list)) else (value,)
        return [np.array(plain(v)) for v in values]

    def start(self):
        outputs = self.evaluate()
        self.output_dtypes = tuple(o.dtype for o in outputs)
        if any(o.dtype.kind == "c" for o in outputs):
            raise ValueError("check_gradient: the function returned complex numbers; return its real part, or check real and "
                             "imaginary part as two outputs")  # fmt: skip
        self.shapes = [o.shape for o in outputs]
        if self.kind == "auto":
            self.kind = self.guessed(outputs)
        return outputs

    def guessed(self, outputs):
        """What the claimed gradient is, from its arguments and from the shape of the result."""
        required, more = required_arguments(self.gradient)
        if not callable(self.gradient) or len(outputs) == 1 and outputs[0].size == 1 and required <= len(self.args):
            return "gradient"
        if required == len(self.args) + len(outputs) or more and required:
            return "vjp"
        if len(outputs) == 1:
            claimed = as_tuple(self.called(self.gradient))
            shape, shapes = outputs[0].shape, [np.shape(plain(c)) for c in claimed if c is not None]
            fits = {kind for kind, right in (("derivative", lambda a: shape), ("jacobian", lambda a: shape + a.shape))
                    if len(shapes) == len(self.arrays) and all(s == right(a) for s, a in zip(shapes, self.arrays))}  # fmt: skip
            if len(fits) == 1:
                return fits.pop()
        raise ValueError(f"check_gradient: the function returns shape {[list(o.shape) for o in outputs]}, not one number, and it is "
                         "not clear what its gradient returns; pass kind='vjp' for gradient(g, *arrays) with g of the result's "
                         "shape, kind='derivative' for f′(x) element by element, or kind='jacobian'")  # fmt: skip

    def pull(self, k, weights):
        """What is claimed for the gradients of Σ weights · output k."""
        if self.kind == "vjp":
            upstream = [np.array(weights) if o == k else np.zeros(shape) for o, shape in enumerate(self.shapes)]
            claimed = self.called(self.gradient, *(u[()] if u.ndim == 0 else u for u in upstream))
        else:
            claimed = self.called(self.gradient) if callable(self.gradient) else self.gradient
        if isinstance(claimed, dict):
            claimed = [claimed.get(name) for name in self.names]
        claimed = list(claimed) if isinstance(claimed, (tuple, list)) else [claimed]
        if len(claimed) == len(self.args) != len(self.arrays):
            claimed = [claimed[p] for p in self.positions]
        if len(claimed) != len(self.arrays):
            raise ValueError(f"check_gradient: the gradient returned {len(claimed)} arrays for {len(self.arrays)} floating-point "
                             f"inputs ({', '.join(self.names)}); return one per input, in their order")  # fmt: skip
        results: list = []
        for i, (c, a) in enumerate(zip(claimed, self.arrays)):
            if c is None:
                self.unreached.add(i)
            results.append(np.zeros(a.shape) if c is None else self.weighted(np.asarray(plain(c), np.float64), a, weights))
        return results

    def weighted(self, claimed, array, weights):
        """The claimed gradient of Σ weights · output, from whatever form it is claimed in."""
        weights = np.asarray(weights)
        if self.kind == "derivative":
            return reduced(claimed * weights, array.shape)
        if self.kind == "jacobian":
            if claimed.shape != weights.shape + array.shape:
                raise ValueError(f"check_gradient: the Jacobian has shape {list(claimed.shape)}; it must be the result's shape "
                                 f"followed by the input's, {list(weights.shape + array.shape)}")  # fmt: skip
            return np.tensordot(weights, claimed, weights.ndim)
        return claimed * weights.reshape(-1)[0] if self.kind == "gradient" and weights.size == 1 else claimed

    def evaluate_complex(self, i, k, step):
        moved = [np.array(a) for a in self.args]
        position = self.positions[i]
        moved[position] = moved[position].astype(complex)
        moved[position].flat[k] += step
        self.restore()
        return [np.asarray(v) for v in as_tuple(self.function(*(a if a.ndim else a[()] for a in moved)))]

    def in_double(self):
        twin = ClaimedGradient(self.function, self.gradient, [np.asarray(a, np.float64) if a.dtype.kind == "f" else a for a in self.args],
                               self.kind)  # fmt: skip
        twin.names, twin.frozen = self.names, self.frozen
        return twin if callable(self.gradient) and all(o.dtype.itemsize == 8 for o in twin.start()) else None

    def recorded(self):
        return traced(self.function, self.args, self.positions)


def required_arguments(function):
    """(how many positional arguments a function must have, whether it takes any number more)."""
    if isinstance(function, np.ufunc):
        return function.nin, False
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):
        return 0, False
    needed = [p for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD) and p.default is p.empty]
    return len(needed), any(p.kind is p.VAR_POSITIONAL for p in parameters)


def plain(x):
    """A NumPy array of anything array-like; a tensor of PyTorch that requires grad without its graph."""
    if isinstance(x, Tensor):
        return np.asarray(x.array)
    if hasattr(x, "detach"):
        x = x.detach()
    return np.asarray(x)


def reduced(array, shape):
    """The array summed to a shape it was broadcast from; as it is where that cannot be."""
    try:
        return engine.sum_to(array, shape)
    except ValueError:
        return array


def traced(function, arrays, positions):
    """(outputs, leaves): a NumPy function run on our tensors and so recorded step by step; None where it cannot be.

    NumPy's functions work on tensors, so what a function of arrays does can be written down without changing it.
    """
    inputs = [Tensor(np.array(a, np.float64), leaf(a.shape, np.dtype(np.float64))) if k in positions else a for k, a in enumerate(arrays)]
    try:
        with modes.enable_grad(), modes.recording(), np.errstate(all="ignore"):
            outputs = as_tuple(function(*inputs))
        expected = as_tuple(function(*(np.array(a) if np.ndim(a) else a[()] for a in arrays)))
    except Exception:  # a library of its own, or NumPy functions that have no operator here
        return None
    if len(outputs) != len(expected) or not all(
        isinstance(y, Tensor) and y.array.shape == np.shape(plain(e)) and np.allclose(y.array, plain(e), 1e-9, 1e-12, equal_nan=True)
        for y, e in zip(outputs, expected)
    ):
        return None
    return (outputs, [inputs[k].node for k in positions]) if any(y.requires_grad for y in outputs) else None


# --- one step of a graph -----------------------------------------------------------------------------------------------------


class Step(Problem):
    """One step of a recorded graph, all alone: its operator's forward function, and what its rules return."""

    def __init__(self, node: Node):
        self.node, self.op = node, node.op
        self.is_function = isinstance(node.op, Bridge)
        self.unreached: set = set()
        if self.is_function:
            values, kwargs = node.op.arguments
            self.kwargs = kwargs
            self.inputs = [x.array if isinstance(x, Tensor) else x for x in values]
            names = argument_names(node.op.function.apply, len(values))
        else:
            self.inputs = list(node.note.inputs)
            names = [f"{node.op.variadic}[{k}]" for k in range(len(self.inputs))] if node.op.variadic else list(node.op.inputs)
        self.title = node.name
        self.positions = [k for k, p in enumerate(node.parents) if p is not None and node.saved[k] is not None]
        self.tensors = [k for k, x in enumerate(values) if isinstance(x, Tensor)] if self.is_function else []
        for k in self.positions:
            self.inputs[k] = np.array(self.inputs[k])
        self.names = [names[k] if k < len(names) else f"input {k}" for k in self.positions]
        self.arrays = [self.inputs[k] for k in self.positions]

    def evaluate(self):
        if not self.is_function:
            return [np.array(self.op.forward(*self.inputs, **self.node.params))]
        outputs, _ = self.run()
        return [np.array(outputs[k].array) for k in self.active]

    def run(self):
        """Call the Function's `forward` again: (outputs, context)."""
        cls, context = self.op.function, Context(self.op.context.needs_input_grad)
        args = [Tensor(x, None) if k in self.tensors else x for k, x in enumerate(self.inputs)]
        with modes.no_grad():
            if hasattr(cls, "setup_context"):
                results = cls.forward(*args, **self.kwargs)
                cls.setup_context(context, tuple(args), results)
            else:
                results = cls.forward(context, *args, **self.kwargs)
        outputs = as_tuple(results)
        self.active = [k for k, y in enumerate(outputs)
                       if y.dtype.kind == "f" and not any(y is u for u in context.non_differentiable)]  # fmt: skip
        return outputs, context

    def start(self):
        outputs = self.evaluate()
        self.output_dtypes = tuple(o.dtype for o in outputs)
        return outputs

    def pull(self, k, weights):
        if not self.is_function:
            return self.pull_operator(weights)
        outputs, context = self.run()
        upstream: list = []
        for o, y in enumerate(outputs):
            if o == self.active[k]:
                upstream.append(Tensor(np.asarray(weights, y.dtype), None))
            else:
                upstream.append(Tensor(np.zeros(y.shape, y.dtype), None) if context.materialize_grads else None)
        with modes.no_grad():
            results = as_tuple(self.op.function.backward(context, *upstream))
        found: list = []
        for i, position in enumerate(self.positions):
            g = results[position] if position < len(results) else None
            if g is None:
                self.unreached.add(i)
            found.append(np.zeros(self.arrays[i].shape) if g is None else np.array(array_of(g)))
        return found

    def pull_operator(self, weights):
        op, node = self.op, self.node
        out = op.forward(*self.inputs, **node.params)
        parents = [node.parents[k] if k in self.positions else None for k in range(len(node.parents))]
        saved = op.save(parents, out, *self.inputs, **node.params)
        g = np.asarray(weights, out.dtype)
        if op.together:
            parts = engine.at_once(op, g, saved)
            return [np.array(parts[k]) for k in self.positions]
        rules = op.rules * len(parents) if op.variadic else op.rules
        return [np.array(rules[k](g, *saved[k])) for k in self.positions]

    def recorded(self):
        """The inside of a Function's `forward`, run on leaves."""
        if not self.is_function:
            return None
        cls, kwargs, tensors = self.op.function, self.kwargs, self.tensors

        def inside(*values):
            args = [x if isinstance(x, Tensor) or k not in tensors else Tensor(x, None) for k, x in enumerate(values)]
            if hasattr(cls, "setup_context"):
                return cls.forward(*args, **kwargs)
            return cls.forward(Context(self.op.context.needs_input_grad), *args, **kwargs)

        return traced(inside, self.inputs, self.positions)

    @property
    def line(self):
        """(file, line) of the user's code that made this step, or None."""
        return self.node.note.line if self.node.note is not None else None


def steps_of(outputs):
    """The steps of a recorded graph that can be checked alone, oldest first."""
    found = []
    for node in ancestors(*(y.node for y in outputs if y.node is not None)):
        known = node.op.arguments if isinstance(node.op, Bridge) else node.note is not None and node.note.inputs
        if node.op is not None and known and node.dtype.kind != "c" and not any(p is not None and p.dtype.kind == "c" for p in node.parents):
            found.append(node)
    return found


__all__ = ["ClaimedGradient", "Frozen", "Problem", "State", "Step", "TensorFunction", "steps_of", "traced"]
