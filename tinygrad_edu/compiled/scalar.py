"""The same tape without arrays: for a network of a few neurons, plain Python arithmetic on floats is twenty times faster.

Each element of each array is a node of an expression; what is used once is written where it is used, the rest gets a name.
Parameters are read at the start of a call and written back at its end, all at once: if anything goes wrong in between (a
division by zero, an overflow), nothing has changed, and the step itself is run.
"""

import math
from collections import Counter
from functools import partial
from itertools import count
from struct import Struct

import numpy as np

from ..optim.optimizer import Elementwise
from ..optim.sgd import constants, rates
from .errors import CompileError, shown
from .passes import alive, once, written_by
from .program import FILLED, axis_of, layout
from .tape import Value, repeat
from .text import Space, found, indented, joined

LARGEST = 64  # elements of an array
LONGEST = 6000  # lines of a function
STEADY = (rates, constants)  # what they give does not change within `repeat`

FORMS = {
    "add": "{} + {}", "subtract": "{} - {}", "multiply": "{} * {}", "divide": "{} / {}", "negative": "-{}", "positive": "{}",
    "square": "{0} * {0}", "reciprocal": "1.0 / {}", **{name: name + "({})" for name in ("exp", "log", "log1p", "expm1")},
    "sqrt": "sqrt({})", "tanh": "tanh({})", "sin": "sin({})", "cos": "cos({})", "absolute": "fabs({})", "power": "pow({}, {})",
    "greater": "{} > {}", "less": "{} < {}", "greater_equal": "{} >= {}", "less_equal": "{} <= {}", "equal": "{} == {}",
    "maximum": "({1} if {1} > {0} or {1} != {1} else {0})", "minimum": "({1} if {1} < {0} or {1} != {1} else {0})",
    "sign": "(copysign(1.0, {0}) if {0} else 0.0 * {0})", "where": "({1} if {0} else {2})", "copy": "{} + 0.0",
}  # fmt: skip
MATH = {name: getattr(math, name) for name in "exp log log1p expm1 sqrt tanh sin cos fabs pow copysign".split()}


class Unsuitable(CompileError):
    """A step that the scalar backend cannot take; it says why."""

    def __init__(self, why, instead="use backend='numpy'"):
        super().__init__(f"compiled step: backend='scalar' {why}; {instead}")


class ScalarProgram:
    """Like a Program: `make` takes the arrays that outlive a step, and returns a function of the inputs, which has a `loop`."""

    loops = True

    def __init__(self, tape, inputs, results, title):
        self.inputs, self.results, self.title = inputs, results, title
        self.nodes: list = []  # (form, arguments) of each node; an argument is the number of another node
        self.known: dict = {}  # the same → the number of the node
        self.memory: dict = {}  # storage → the nodes of its elements, as they lie in memory
        self.externals, self.agains = [], []  # agains: (what is asked anew, as Python, whether once is enough within `repeat`)
        self.done: list = []  # what has been counted in this call, to be taken back if it fails
        self.space = Space(empty=np.empty, float64=np.float64, Struct=Struct, **MATH)
        self.space.taken |= {"make", "step", "loop", "undo", "done", "times"}
        self.first_line, self.first_write, self.risk_line, self.risky, self.careful = 0, 10**9, -1, (), False
        for v in inputs:
            self.introduce(v)
        for call in alive(once(tape.calls, results), results):
            self.take(call)
        self.write()

    # --- from arrays to nodes ----------------------------------------------------------------------------------------

    def node(self, form, *args):
        """The number of a node; the same computation is the same node."""
        number = self.known.setdefault((form, args), len(self.nodes))
        if number == len(self.nodes):
            self.nodes.append((form, args))
        if number > LONGEST:
            raise Unsuitable("is for networks of a few neurons, and this step has too many operations")
        return number

    def number(self, x):
        """The node of a number."""
        return self.node(repr(float(x)) if math.isfinite(x) else f"float('{x}')")

    def fits(self, v):
        """Refuse what plain Python floats cannot stand for."""
        if not v.size or v.size > LARGEST or v.dtype not in (np.float64, bool):
            why = f"{v.size} elements" if not v.size or v.size > LARGEST else f"{v.dtype}"
            raise Unsuitable(f"takes float64 arrays of at most {LARGEST} elements, and the step has one of {why}",
                             "use backend='numpy'" + (", or model.double()" if v.dtype == np.float32 else ""))  # fmt: skip

    def elements(self, v):
        """The nodes of an array's elements, shaped like it: a view of the nodes in its memory, to be read and written."""
        self.fits(v)
        wide = 8 // v.dtype.itemsize  # a node's number takes 8 bytes
        if v.storage not in self.memory:
            self.introduce(v if v.storage.array is None else Value(v.storage, v.storage.array, name=v.storage.name))
        return np.ndarray(v.shape, int, self.memory[v.storage], v.offset * wide, [s * wide for s in v.strides])

    def introduce(self, v):
        """Give memory to the nodes of an array; if it comes from outside, its elements are numbers, or have names."""
        self.fits(v)
        storage = v.storage
        if min(v.strides, default=0) < 0 or storage.kind == "external" and v.order is None:
            raise Unsuitable("takes tensors without gaps in memory", "use .contiguous(), or backend='numpy'")
        self.memory[storage] = np.zeros(1 + sum((n - 1) * s for n, s in zip(v.shape, v.strides)) // v.dtype.itemsize, int)
        if storage.kind == "constant":
            self.elements(v)[...] = np.reshape([self.number(x) for x in storage.array.ravel().tolist()], v.shape)
        elif storage.kind != "made":
            v.name = self.space.free(v.name)
            nodes = [self.node(f"{v.name}_{i}") for i in range(v.size)]
            if storage.kind == "external":  # numbered as they lie in memory
                self.externals.append(v)
                self.memory[storage][:] = nodes
            else:  # numbered in order
                self.elements(v)[...] = np.reshape(nodes, v.shape)

    def of(self, x):
        """The nodes of an argument."""
        if isinstance(x, Value):
            return self.elements(x)
        if not isinstance(x, (bool, int, float, np.generic)):
            raise Unsuitable(f"cannot take {type(x).__name__} arguments")
        return np.array(self.number(x))

    def take(self, call):
        """One call of the tape, element by element."""
        kind, args, function = call.kind, call.args, call.function
        name = getattr(function, "__name__", function)
        for v in call.touches():
            self.elements(v)
        if kind == "again":
            return self.again(call)
        if call.is_view:
            return None  # other places of the same elements
        if kind == "setitem" and not found(args[1], Value):
            self.elements(args[0])[args[1]] = self.of(args[2])
            return None
        nodes = None
        if kind == "ufunc" and name in FORMS or function is np.where and len(args) == 3:
            nodes = self.form(name, *map(self.of, args))
        elif kind == "copy":
            nodes = self.of(args[0]) if args[0].dtype == call.outputs[0].dtype else self.form("copy", self.of(args[0]))
        elif kind == "dot" and max(len(v.shape) for v in args) < 3:
            a, b = map(self.of, args)
            nodes = self.total("add", self.form("multiply", *((a, b) if b.ndim < 2 else (a[..., None], b))), [-min(b.ndim, 2)])
        elif kind == "reduce" and name in ("add", "maximum", "minimum"):
            axis = axis_of(call)
            axes = range(len(args[0].shape)) if axis is None else axis if isinstance(axis, tuple) else [axis]
            nodes = self.total(name, self.of(args[0]), axes).reshape(call.outputs[0].shape)
        elif kind == "new":
            nodes = self.of({**FILLED, "empty": 0}.get(name, args[1] if len(args) > 1 else call.kwargs.get("fill_value")))
        if nodes is None:
            raise Unsuitable(f"does not know {name} ({kind}), which line {call.place[1]}, `{shown(call.place)}`, needs")
        self.elements(written_by(call))[...] = nodes

    def form(self, name, *arrays):
        """A formula for each element of the broadcast arguments."""
        return np.asarray(np.frompyfunc(partial(self.one, name), len(arrays), 1)(*arrays), int)

    def total(self, name, nodes, axes):
        """Nodes along axes taken together, in order."""
        for axis in axes:
            nodes = np.frompyfunc(partial(self.one, name), 2, 1).reduce(nodes, axis, keepdims=len(axes) > 1)
        return np.asarray(nodes, int)

    def one(self, name, *args):
        """One formula; a minimum with a number needs to look only once, and lets NaN pass."""
        if name in ("maximum", "minimum"):
            for a, b in (args, args[::-1]):
                if self.is_number(b) and not self.is_number(a):
                    return self.node("({1} if {0} " + ("<" if name == "maximum" else ">") + " {1} else {0})", a, b)
        if name in ("multiply", "divide"):  # products with 1 change nothing
            one = [self.nodes[a] == ("1.0", ()) for a in args]
            if one[1] or one[0] and name == "multiply":
                return args[0] if one[1] else args[1]
        return self.node(FORMS[name], *args)

    def is_number(self, node):
        form, args = self.nodes[node]
        return not args and form[0] in "-0123456789"

    def again(self, call):
        """What is asked anew at each step, as floats."""
        function, (args, facts), line = call.function, call.args, call.place[1]
        owner, steady = getattr(function, "__self__", None), function in STEADY
        if not steady and not (isinstance(owner, Elementwise) and owner.shared_constants):
            raise Unsuitable("has no random numbers and no schedules inside of the step")

        def ask():
            arrays = repeat(function, args, facts, line)
            if not steady:
                self.done.append((owner, args))  # it has counted the step
            return [x.item() for x in arrays]

        name = f"again_{len(self.agains)}"
        self.space.globals[name] = ask
        names = [f"{name}_{i}" for i in range(len(call.outputs))]
        self.agains.append((f"{joined(names)} = {name}()" if names else f"{name}()", steady))
        for v, numbered in zip(call.outputs, names):
            self.elements(v)[...] = self.node(numbered)

    # --- from nodes to text ------------------------------------------------------------------------------------------

    def write(self):
        """The source: what is used once is written where it is used."""
        written, results = [v for v in self.externals if v.storage.written], [self.elements(v) for v in self.results]
        if any(v.storage.written for v in self.inputs):
            raise Unsuitable("does not change its arguments")
        if any(v.storage.lasting or v.dtype == bool for v in self.results):
            raise Unsuitable("returns float64 only, in memory of its own", "use .clone() or .double(), or backend='numpy'")
        final = [node for v in written for node in self.memory[v.storage].tolist()]
        left = [f"{v.name}_{i}" for v in written for i in range(v.size)]
        uses = Counter(final + 2 * [node for a in results for node in a.ravel().tolist()])  # what is returned has a name
        for node in reversed(range(len(self.nodes))):
            form, args = self.nodes[node]
            uses.update({a: max(form.count(f"{{{k}}}"), 1) for k, a in enumerate(args)} if uses[node] else {})
        text, lines = {}, []
        for node, (form, args) in enumerate(self.nodes):
            text[node] = whole = form.format(*(text[a] for a in args)) if uses[node] else ""
            if args and uses[node] and (uses[node] > 1 or len(whole) > 200):
                lines.append(f"t{node} = {whole}")
                text[node] = f"t{node}"
            elif args:
                text[node] = f"({whole})"
        new = [text[node] for node in final]
        for node in {node for a in results for node in a.ravel().tolist() if text[node] in left}:  # as it was before the step
            lines.append(f"r{node} = {text[node]}")
            text[node] = f"r{node}"
        if left:
            lines.append(f"{joined(left)} = {joined(new)}")
        flat = [(v, f"{v.name}_flat, {v.name}_struct", joined([f"{v.name}_{i}" for i in range(v.size)])) for v in self.externals]
        head = [f"{names} = {v.name}.ravel('K'), Struct('{v.size}d')" for v, names, _ in flat]
        reads = [f"{elements} = {v.name}_struct.unpack({v.name}_flat)" for v, _, elements in flat]
        reads += [f"{pattern(v.name, v.shape)} = {v.name}.tolist()" for v in self.inputs]
        end = [f"{v.name}_struct.pack_into({v.name}_flat, 0, {elements})" for v, _, elements in flat if v in written]
        returned = []
        for k, (v, nodes) in enumerate(zip(self.results, results)):
            order = sorted(range(nodes.ndim), key=lambda axis: -v.strides[axis])
            numbers = joined([text[node] for node in nodes.transpose(order).ravel().tolist()])
            if v.shape:
                self.space.globals[f"pack_{v.size}"] = Struct(f"{v.size}d").pack_into
                end.append(f"a{k} = empty({v.size}); pack_{v.size}(a{k}, 0, {numbers})")
            returned.append(layout(v, f"a{k}") if v.shape else f"float64({numbers.removesuffix(',')})")
        end.append(f"return {joined(returned) or '()'}")
        steady, counted = ([line for line, once_only in self.agains if once_only is kind] for kind in (True, False))
        inputs = [v.name for v in self.inputs]

        def function(name, parameters, middle):
            tried = ["try:", *indented([*reads, *steady, *middle]), "except BaseException:", "    undo()", "    raise"]
            return [f"def {name}({', '.join(parameters)}):", *indented([*tried, "done.clear()", *end])]

        looped = ["for _ in range(times):", *indented([*counted, *lines, "pass"])]
        functions = [*function("step", inputs, [*counted, *lines]), *function("loop", ["times", *inputs], looped)]
        body = indented([*head, *functions, "step.loop = loop", "return step"])
        self.space.globals.update(undo=self.take_back, done=self.done)
        self.source = self.space.run([f"def make({', '.join(v.name for v in self.externals)}):", *body], self.title)
        self.make = self.space.globals["make"]

    def take_back(self):
        """Undo the counting of optimizers: the step will be done in another way."""
        while self.done:
            owner, args = self.done.pop()
            owner.take_back(*args)


def pattern(name, shape, numbers=None):
    """The left side that takes nested lists apart: [[x_0, x_1], [x_2, x_3]]"""
    numbers = numbers or count()
    return f"[{', '.join(pattern(name, shape[1:], numbers) for _ in range(shape[0]))}]" if shape else f"{name}_{next(numbers)}"
