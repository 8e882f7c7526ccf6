"""The same tape without arrays: for a network of a few neurons, plain Python arithmetic on floats is twenty times faster.

Each element of each array is a node of an expression; what is used once is written where it is used, the rest gets a name.
Parameters are read at the start of a call and written back at its end, all at once: if anything goes wrong in between (a
division by zero, an overflow), nothing has changed, and the step itself is run.
"""

import math
from struct import Struct

import numpy as np

from ..optim.optimizer import Elementwise
from ..optim.sgd import constants, rates
from .errors import CompileError, shown
from .program import alive, layout, once
from .tape import Value, repeat, values_in

LARGEST = 64  # elements of an array
LONGEST = 6000  # lines of a function
STEADY = (rates, constants)  # what they give does not change within `repeat`

FORMS = {
    "add": "{} + {}", "subtract": "{} - {}", "multiply": "{} * {}", "divide": "{} / {}", "negative": "-{}", "positive": "{}",
    "square": "{0} * {0}", "reciprocal": "1.0 / {}", "exp": "exp({})", "log": "log({})", "log1p": "log1p({})", "expm1": "expm1({})",
    "sqrt": "sqrt({})", "tanh": "tanh({})", "sin": "sin({})", "cos": "cos({})", "absolute": "fabs({})", "power": "pow({}, {})",
    "greater": "{} > {}", "less": "{} < {}", "greater_equal": "{} >= {}", "less_equal": "{} <= {}", "equal": "{} == {}",
    "maximum": "({1} if {1} > {0} or {1} != {1} else {0})", "minimum": "({1} if {1} < {0} or {1} != {1} else {0})",
    "sign": "(copysign(1.0, {0}) if {0} else 0.0 * {0})", "where": "({1} if {0} else {2})", "copy": "{} + 0.0",
}  # fmt: skip
MATH = {name: getattr(math, name) for name in ("exp", "log", "log1p", "expm1", "sqrt", "tanh", "sin", "cos", "fabs", "pow", "copysign")}


class Unsuitable(CompileError):
    """A step that the scalar backend cannot take; it says why."""


class ScalarProgram:
    """Like a Program: `make` takes the arrays that outlive a step, and returns a function of the inputs."""

    def __init__(self, tape, inputs, results, title):
        self.tape, self.inputs, self.title = tape, inputs, title
        self.results = once(tape.calls, results)
        self.calls = alive(tape.calls, self.results)
        self.nodes: list = []  # (form, arguments) of each node; an argument is the number of another node
        self.known: dict = {}
        self.elements: dict = {}  # storage → {offset in bytes: node}
        self.externals, self.read = [], {}
        self.done: list = []  # what has been counted in this call, to be taken back if it fails
        self.space = {"repeat": repeat, "empty": np.empty, "float64": np.float64, **MATH}
        self.first_line, self.first_write, self.risk_line = 0, 10**9, -1
        self.risky_storages, self.risky_calls = set(), []
        for v in inputs:
            self.names_of(v)
        for call in self.calls:
            self.take(call)
        self.write()

    # --- from arrays to nodes ----------------------------------------------------------------------------------------

    def node(self, form, *args):
        """The number of a node; the same computation is the same node."""
        key = form, args
        if key not in self.known:
            self.known[key] = len(self.nodes)
            self.nodes.append(key)
            if len(self.nodes) > LONGEST:
                raise Unsuitable("compiled step: backend='scalar' is for networks of a few neurons, and this step has too many operations; "
                                 "use backend='numpy'")  # fmt: skip
        return self.known[key]

    def fits(self, v):
        """Refuse what plain Python floats cannot stand for."""
        if not v.size:
            raise Unsuitable("compiled step: backend='scalar' takes no empty arrays; use backend='numpy'")
        if v.size > LARGEST or v.dtype != np.float64 and v.dtype != bool:
            why = f"{v.size} elements" if v.size > LARGEST else f"{v.dtype}"
            raise Unsuitable(f"compiled step: backend='scalar' takes float64 arrays of at most {LARGEST} elements, and the step has one of {why}; "
                             "use backend='numpy'" + ("" if v.size > LARGEST else ", or model.double()"))  # fmt: skip

    def places(self, v):
        """The offsets of a value's elements, in C order, shaped like it."""
        found = np.full(v.shape, v.offset)
        for axis, (n, stride) in enumerate(zip(v.shape, v.strides)):
            found = found + (np.arange(n) * stride).reshape((n,) + (1,) * (len(v.shape) - axis - 1))
        return found

    def names_of(self, v):
        """The nodes of an array that comes from outside: a name per element."""
        self.fits(v)
        storage = v.storage
        if storage.kind == "constant":
            numbers = [self.node(repr(float(x)) if math.isfinite(x) else f"float('{x}')") for x in np.ravel(storage.array).tolist()]
        else:
            name = "".join(c if c.isalnum() else "_" for c in storage.name) or "x"
            while name in self.read.values() or name in self.space or name in ("make", "step", "loop", "undo", "done", "times"):
                name += "_"
            self.read[storage] = storage.name = name
            numbers = [self.node(f"{name}_{i}" if v.size > 1 else f"{name}_0") for i in range(v.size)]
        root = Value(storage, storage.array)
        self.elements[storage] = dict(zip(self.places(root).ravel().tolist(), numbers))
        if storage.kind == "external":
            self.externals.append(root)
            root.name = storage.name

    def of(self, x):
        """The nodes of an argument, shaped like it."""
        if not isinstance(x, Value):
            if not isinstance(x, (bool, int, float, np.generic)):
                raise Unsuitable(f"compiled step: backend='scalar' cannot take {type(x).__name__} arguments; use backend='numpy'")
            return np.array(self.node(repr(float(x)) if math.isfinite(x) else f"float('{x}')"))
        if x.storage not in self.elements:
            if x.storage.kind == "made":
                raise Unsuitable("compiled step: backend='scalar' does not know how an array was made; use backend='numpy'")
            self.names_of(x)
        held = self.elements[x.storage]
        return np.array([held[int(p)] for p in self.places(x).ravel()], int).reshape(x.shape)

    def store(self, v, nodes):
        """Give the elements of a value new nodes."""
        held = self.elements.setdefault(v.storage, {})
        for place, node in zip(self.places(v).ravel().tolist(), np.broadcast_to(nodes, v.shape).ravel().tolist()):
            held[place] = node

    def take(self, call):
        """One call of the tape, element by element."""
        kind, args = call.kind, call.args
        for v in (*call.reads(), *call.outputs):
            self.fits(v)
        if kind == "again":
            return self.again(call)
        target = call.out or (call.outputs[0] if len(call.outputs) == 1 else None)
        if kind == "setitem" and (args[1] is Ellipsis or args[1] == slice(None)):
            return self.store(args[0], self.of(args[2]))
        if target is None:
            raise self.unknown(call)
        if kind in ("attribute", "getitem", "method") and target.storage in [v.storage for v in values_in(args)]:
            return None  # a view: other places of the same elements
        if kind == "ufunc" and call.function.__name__ in FORMS:
            return self.store(target, self.form(call.function.__name__, args))
        if kind == "function" and call.function is np.where and len(args) == 3:
            return self.store(target, self.form("where", args))
        if kind == "copy":
            return self.store(target, self.of(args[0]) if args[0].dtype == target.dtype else self.form("copy", args))
        if kind == "dot":
            return self.store(target, self.dot(*map(self.of, args)))
        if kind == "reduce" and call.function in (np.add, np.maximum, np.minimum):
            return self.store(target, self.reduce(call))
        if kind == "new" and call.function in ("zeros", "ones", "full", "empty"):
            value = {"zeros": 0.0, "ones": 1.0, "empty": 0.0}.get(call.function, args[1] if len(args) > 1 else call.kwargs.get("fill_value"))
            return self.store(target, self.of(value))
        raise self.unknown(call)

    def unknown(self, call):
        name = getattr(call.function, "__name__", call.function)
        return Unsuitable(f"compiled step: backend='scalar' does not know {name} ({call.kind}), which line {call.place[1]}, `{shown(call.place)}`, "
                          "needs; use backend='numpy'")  # fmt: skip

    def form(self, name, args):
        """A formula for each element of the broadcast arguments."""
        arrays = np.broadcast_arrays(*map(self.of, args))
        made = [self.one(name, *row) for row in zip(*(a.ravel().tolist() for a in arrays))]
        return np.array(made, int).reshape(arrays[0].shape)

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

    def dot(self, a, b):
        """Rows times columns, as sums written out."""
        rows, columns = np.atleast_2d(a), b.reshape(-1, 1) if b.ndim < 2 else b
        if a.ndim > 2 or b.ndim > 2:
            raise Unsuitable("compiled step: backend='scalar' takes products of matrices and vectors; use backend='numpy'")
        made = [self.total("add", [self.one("multiply", x, y) for x, y in zip(row, column)]) for row in rows.tolist() for column in columns.T.tolist()]
        return np.array(made, int).reshape(a.shape[:-1] + b.shape[1:])

    def total(self, name, nodes):
        """Nodes taken together, from left to right."""
        result = nodes[0]
        for node in nodes[1:]:
            result = self.one(name, result, node)
        return result

    def reduce(self, call):
        """A sum, maximum or minimum over axes."""
        x = self.of(call.args[0])
        axis = call.kwargs.get("axis", call.args[1] if len(call.args) > 1 else 0)
        axes = tuple(range(x.ndim)) if axis is None else tuple(a % x.ndim for a in (axis if isinstance(axis, tuple) else (axis,)))
        kept = [a for a in range(x.ndim) if a not in axes]
        rows = x.transpose(*kept, *axes).reshape([x.shape[a] for a in kept] + [-1])
        flat = rows.reshape(-1, rows.shape[-1]).tolist()
        made = [self.total(call.function.__name__, row) for row in flat]
        return np.array(made, int).reshape(call.outputs[0].shape)

    def again(self, call):
        """What is asked anew at each step, as floats."""
        function, (args, facts) = call.function, call.args
        owner = getattr(function, "__self__", None)
        if function not in STEADY and not (isinstance(owner, Elementwise) and owner.shared_constants):
            raise Unsuitable("compiled step: backend='scalar' has no random numbers and no schedules inside of the step; use backend='numpy'")
        number = sum(name.startswith("again_") for name in self.space)
        name = f"again_{number}"
        line = call.place[1]
        if function in STEADY:
            self.space[name] = lambda: [x.item() for x in repeat(function, args, facts, line)]
        else:
            self.space[name] = lambda: self.counted(owner, repeat(function, args, facts, line), args)
        nodes = [self.node(f"{name}_{i}") for i in range(len(call.outputs))]
        self.nodes.append((f"{', '.join(f'{name}_{i}' for i in range(len(nodes)))}, = {name}()" if nodes else f"{name}()", None))
        self.statements = [*getattr(self, "statements", []), (len(self.nodes) - 1, function in STEADY)]
        for v, node in zip(call.outputs, nodes):
            self.store(v, np.array(node))

    def counted(self, owner, arrays, args):
        """The constants of an optimizer's step, which has counted it."""
        self.done.append((owner, args))
        return [x.item() for x in arrays]

    # --- from nodes to text ------------------------------------------------------------------------------------------

    def write(self):
        """The source: what is used once is written where it is used."""
        written = [v for v in self.externals if v.storage.written]
        if any(v.kind == "input" and v.written for v in {v.storage for v in self.inputs}):
            raise Unsuitable("compiled step: backend='scalar' does not change its arguments; use backend='numpy'")
        final = [(v, self.of(v).ravel().tolist()) for v in written]
        wanted = [self.of(v) for v in self.results]
        uses = [0] * len(self.nodes)
        for form, args in self.nodes:
            for a in args or ():
                uses[a] += form.count(f"{{{args.index(a)}}}") or 1
        for node in [n for _, nodes in final for n in nodes] + [n for a in wanted for n in a.ravel().tolist()]:
            uses[node] += 1
        alive_nodes = self.reachable(final, wanted)
        text, lines = {}, []
        steady = [self.nodes[i][0] for i, once_only in getattr(self, "statements", []) if once_only]
        for i, (form, args) in enumerate(self.nodes):
            if args is None:
                if form not in steady:
                    lines.append(form)
                continue
            if i not in alive_nodes:
                continue
            if not args:
                text[i] = form
                continue
            whole = form.format(*(text[a] for a in args))
            if uses[i] > 1 or len(whole) > 200:
                lines.append(f"t{i} = {whole}")
                text[i] = f"t{i}"
            else:
                text[i] = f"({whole})" if not whole.endswith(")") or " " in whole else whole
        head, reads, writes = [], [], []
        for v in self.externals:
            name, n = v.name, v.size
            turned = n > 1 and v.strides != np.empty(v.shape).strides
            if turned and v.strides != np.empty(v.shape, order="F").strides:
                raise Unsuitable("compiled step: backend='scalar' takes tensors without gaps in memory; use .contiguous(), or backend='numpy'")
            flat = f"{name}{'.T' if turned else ''}.reshape(-1)"
            head.append(f"{name}_flat, {name}_struct = {flat}, Struct('{n}d')")
            order = [i for _, i in sorted((p, i) for i, p in enumerate(self.places(v).ravel().tolist()))]
            reads.append(f"{', '.join(f'{name}_{i}' for i in order)}, = {name}_struct.unpack({name}_flat)")
            if v in written:
                writes.append(f"{name}_struct.pack_into({name}_flat, 0, {', '.join(f'{name}_{i}' for i in order)})")
        self.space["Struct"] = Struct
        for v in self.inputs:
            if v.size:
                reads.append(f"{pattern(v.storage.name, v.shape)} = {v.storage.name}.tolist()")
        left = [f"{v.name}_{i}" for v, _ in final for i in range(v.size)]
        right = [text[n] for _, nodes in final for n in nodes]
        results = []
        for k, (v, nodes) in enumerate(zip(self.results, wanted)):
            names = [text[n] for n in nodes.ravel().tolist()]
            for j, node in enumerate(nodes.ravel().tolist()):
                if not self.nodes[node][1] and text[node] in left or "(" in text[node]:
                    lines.append(f"r{k}_{j} = {text[node]}")
                    names[j] = f"r{k}_{j}"
            if v.dtype == bool:
                raise Unsuitable("compiled step: backend='scalar' returns float64 only; use backend='numpy'")
            if not v.shape:
                results.append(("", f"float64({names[0]})"))
            else:
                self.space[f"pack_{v.size}"] = Struct(f"{v.size}d").pack_into
                order = [i for _, i in sorted((p, i) for i, p in enumerate(self.places(v).ravel().tolist()))]
                results.append((f"a{k} = empty({v.size}); pack_{v.size}(a{k}, 0, {', '.join(names[i] for i in order)})", layout(v, f"a{k}")))
        if left:
            lines.append(f"{', '.join(left)}{',' if len(left) == 1 else ''} = {', '.join(right)}{',' if len(right) == 1 else ''}")
        end = [*(["done.clear()"] if len(steady) < len(getattr(self, "statements", [])) else []), *writes, *(line for line, _ in results if line), f"return ({', '.join(r for _, r in results)}{',' if results else ''})"]
        inputs = "".join(f"{v.storage.name}, " for v in self.inputs)
        body = [
            f"def make({', '.join(v.name for v in self.externals)}):", *(f"    {line}" for line in head),
            f"    def step({inputs.removesuffix(', ')}):", "        try:", *(f"            {line}" for line in (*reads, *steady, *lines)),
            "        except BaseException:", "            undo()", "            raise", *(f"        {line}" for line in end),
            f"    def loop({inputs}times):", "        try:", *(f"            {line}" for line in (*reads, *steady)), "            for _ in range(times):",
            *(f"                {line}" for line in lines or ["pass"]), "        except BaseException:", "            undo()", "            raise",
            *(f"        {line}" for line in end), "    step.loop = loop", "    return step",
        ]  # fmt: skip
        self.source = "\n".join(body) + "\n"
        self.space.update(undo=self.take_back, done=self.done)
        exec(compile(self.source, self.title, "exec"), self.space)
        self.make = self.space["make"]

    def take_back(self):
        """Undo the counting of optimizers: the step will be done in another way."""
        while self.done:
            owner, args = self.done.pop()
            owner.take_back(*args)

    def reachable(self, final, wanted):
        """The nodes that a result or a new parameter needs."""
        stack, found = [n for _, nodes in final for n in nodes] + [n for a in wanted for n in a.ravel().tolist()], set()
        while stack:
            node = stack.pop()
            if node not in found:
                found.add(node)
                stack += self.nodes[node][1] or ()
        return found


def pattern(name, shape):
    """The left side that takes nested lists apart: [[x_0, x_1], [x_2, x_3]]"""
    numbers = iter(range(10**6))

    def part(rest):
        return f"{name}_{next(numbers)}" if not rest else f"[{', '.join(part(rest[1:]) for _ in range(rest[0]))}]"

    return part(shape)
