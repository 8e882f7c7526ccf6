"""From the runs of an example to an ONNX model: what the outputs need, step by step, through the table."""

import warnings

import numpy as np

from .. import __version__
from .example import runs_of
from .merging import Differs, Dim, Varying, merged
from .tracing import Ref, holds_value

OPSET, IR_VERSION = 18, 10  # stated in every file: newer defaults of the onnx package are refused by older runtimes
IGNORED = {"normalize": ("mean", "scale"), "embed": ("padding_idx", "scale")}  # what only derivatives need
ANY_SIZE = {"sum", "mean", "prod", "amax", "amin", "logsumexp", "count_nonzero_along", "any_along", "all_along", "eq", "ne", "lt", "le", "gt", "ge",
            "matmul", "affine", "affine_sigmoid", "cast", "clone", "softmax", "log_softmax"}  # what asks for no size  # fmt: skip


class View:
    """A step as the table reads it: runs agreed on, parameters by name."""

    def __init__(self, step, params, shape, shapes, graph, place):
        self.step, self.params, self.shape, self.shapes, self.graph, self.place = step, params, shape, shapes, graph, place
        self.dtype, self.dtypes = step.dtype, step.dtypes

    def sizes(self, name):
        """A parameter that may follow a dynamic axis, or hold values."""
        return self.params[name]

    def __getitem__(self, name):
        value = self.params.get(name)
        if holds_value(value) or isinstance(value, Varying):
            raise self.refused(f"{name}=… that depends on the inputs")
        if holds_dim(value):
            raise self.refused(f"{name}={value} that follows a dynamic axis")
        return value

    def array(self, name):
        """An integer array, which the model may compute, as a name."""
        return self.graph.operand(self.params[name])

    def dtype_of(self, name):
        value = self.params[name]
        return self.graph.dtypes[value] if isinstance(value, Ref) else value.dtype

    def static(self, size):
        """A size that must not follow a dynamic axis."""
        if isinstance(size, Dim):
            raise self.refused(f"a size that follows the dynamic axis {size}")
        return size

    def refused(self, what):
        """The error for what this operator cannot be translated with."""
        return NotImplementedError(f"onnx.export: {self.step.op.name} with {what} has no translation to ONNX{self.place}; "
                                   "compute it in another way, or make that axis fixed")  # fmt: skip


class Translation:
    """From the runs of an example to an ONNX model."""

    def __init__(self, example, dynamic):
        from .graph import Graph

        self.example, self.dynamic = example, dynamic
        self.runs, self.symbols = runs_of(example, dynamic)
        first, self.outputs, self.keys = self.runs[0]
        self.steps = first.steps
        if any([s.op for s in tracer.steps] != [s.op for s in self.steps] for tracer, *_ in self.runs[1:]):
            if dynamic:
                raise NotImplementedError("onnx.export: the model takes other steps for other sizes or numbers, so the dynamic axes "
                                          f"{', '.join(dynamic)} cannot be left open; export it without them, one file per size")  # fmt: skip
            warnings.warn("onnx.export: the model takes other steps for other numbers: a branch or a loop in Python depends on its inputs, "
                          "and is frozen as the example takes it", stacklevel=3)  # fmt: skip
            self.runs = self.runs[:1]
        self.graph, self.inputs, self.loose = Graph(example.model), [], set()

    def model(self, output_names, dynamic_axes, export_params):
        """The ONNX model."""
        from onnx import helper

        self.graph.taken |= {*self.example.names, *(output_names or ())}
        needed = self.needed()
        self.add_inputs()
        self.add_state(needed, export_params)
        for number, step in enumerate(self.steps):
            if step.ref in needed:
                with self.graph.at(step):
                    self.translate(step, [tracer.steps[number] for tracer, *_ in self.runs])
        results = [self.output(k, output_names or (), dynamic_axes or {}) for k in range(len(self.outputs))]
        graph = helper.make_graph(self.graph.nodes, type(self.example.model).__name__, self.inputs, results, self.graph.initializers)
        return helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION,
                                 producer_name="tinygrad_edu", producer_version=__version__)  # fmt: skip

    def agreed(self, values, step=None):
        """What all runs have in common, or an error that says where they differ."""
        try:
            return merged(values, self.symbols)
        except Differs as what:
            place = f" of {step.op.name}{step.place(self.example.model)}" if step else " among the outputs"
            raise NotImplementedError(
                f"onnx.export: {what}{place} changes with the inputs, and no operator computes it from them, or it is random. Call model.eval() "
                "where dropout is on; compute with tensors, not with .item(), .numpy() or shapes that a dynamic axis changes") from None  # fmt: skip

    def needed(self):
        """The values that the outputs depend on."""
        made, found, stack = {s.ref: s for s in self.steps}, set(), [self.outputs]
        while stack:
            x = stack.pop()
            if isinstance(x, Ref):
                if x not in found and x in made:
                    stack += [made[x].inputs, relevant(made[x])]
                found.add(x)
            elif isinstance(x, (tuple, list, dict)):
                stack += x.values() if isinstance(x, dict) else x
        return found

    def value(self, ref, name, dtype, shape):
        """A value that no step makes, and how an input of the graph is declared."""
        from onnx import helper

        g = self.graph
        g.names[ref], g.dtypes[ref], g.shapes[ref] = name, dtype, tuple(shape)
        return helper.make_tensor_value_info(name, g.type_of(dtype), [str(n) if isinstance(n, Dim) else n for n in shape])

    def add_inputs(self):
        for k, (name, array) in enumerate(zip(self.example.names, self.example.started)):
            shape = list(array.shape)
            for label, places in self.dynamic.items():
                for axis in (axis for i, axis in places if i == k):
                    self.graph.sizes.setdefault(label, (name, axis))
                    shape[axis] = Dim.of(self.symbols[label], self.symbols)
            self.inputs.append(self.value(Ref(k), name, array.dtype, shape))

    def add_state(self, needed, export_params):
        """Parameters and buffers that take part, under their names."""
        different = {id(t): (name, t) for name, t in reversed(self.example.state.items())}
        for k, (name, t) in enumerate(reversed(different.values()), len(self.inputs)):
            declared = self.value(Ref(k), name, t.dtype, t.shape)
            if Ref(k) in needed:
                self.graph.taken.add(name)
                if export_params:
                    self.graph.initializer(name, np.asarray(t.array))
                else:
                    self.inputs.append(declared)

    def translate(self, step, same):
        """Say one step in ONNX; `same` are that step's records in all runs."""
        from .table import table

        g, name, place = self.graph, step.op.name, step.place(self.example.model)
        operator = table.get(name)
        if operator is None:
            raise NotImplementedError(f"onnx.export: the operator {name} has no translation to ONNX{place}; compute it from other operators, "
                                      "or add an entry to tinygrad_edu.onnx.table.table")  # fmt: skip
        params = {k: self.agreed([s.params[k] for s in same], step) for k in relevant(step)}
        given = [self.agreed([s.inputs[i] for s in same], step) for i in range(len(step.inputs))]
        sizes = lambda ref, shapes: (None,) * len(shapes[0]) if self.is_loose(ref) else self.agreed(list(map(tuple, shapes)), step)
        self.follow_loose(step, given, params, place)
        shape = sizes(step.ref, [s.shape for s in same])
        shapes = [sizes(x, [s.shapes[i] for s in same]) for i, x in enumerate(step.inputs)]
        g.shapes[step.ref], g.dtypes[step.ref] = shape, step.dtype
        names = [g.operand(x, step.dtype if name == "where" and i else None) for i, x in enumerate(given)]
        view = View(step, params, shape, shapes, g, place)
        g.names[step.ref] = g.node(operator, names) if isinstance(operator, str) else operator(g, view, *names)

    def is_loose(self, x):
        return isinstance(x, Ref) and x in self.loose

    def follow_loose(self, step, given, params, place):
        """A size that depends on values (how many a mask picks) is known to the exported graph alone, and few operators need no more."""
        mask = [i for i in params.get("index", ()) if isinstance(i, Ref) and self.graph.dtypes[i].kind == "b"] if step.op.name == "getitem" else ()
        used = any(map(self.is_loose, [*given, *params.values()]))
        if used and not (step.op.kind == "elementwise" or step.op.name in ANY_SIZE):
            raise NotImplementedError(f"onnx.export: {step.op.name}{place} is given a tensor whose size depends on values, as x[mask] gives; "
                                      "use where(mask, x, 0) instead")  # fmt: skip
        if step.shape and (used or mask or step.op.name == "nonzero_positions"):
            self.loose.add(step.ref)

    def output(self, k, names, axes):
        """Give an output its name, and say its type and sizes."""
        from onnx import helper

        g, name = self.graph, names[k] if k < len(names) else self.graph.fresh(self.keys[k])
        x = self.agreed([outputs[k] for _, outputs, _ in self.runs])
        g.nodes.append(helper.make_node("Identity", [g.operand(x)], [name], name=g.fresh("Identity")))
        shape, dtype = (g.shapes[x], g.dtypes[x]) if isinstance(x, Ref) else (x.shape, x.dtype)
        labels = axes[name] if isinstance(axes.get(name), dict) else {}
        return helper.make_tensor_value_info(name, g.type_of(dtype), [labels.get(a, str(n)) if isinstance(n, Dim) else n for a, n in enumerate(shape)])


def holds_dim(x):
    """True if a size in nested tuples and slices follows a dynamic axis."""
    if isinstance(x, slice):
        x = (x.start, x.stop, x.step)
    return any(map(holds_dim, x)) if isinstance(x, tuple) else isinstance(x, Dim)


def relevant(step):
    """The parameters that the value depends on."""
    return {k: v for k, v in step.params.items() if k not in IGNORED.get(step.op.name, ())}
