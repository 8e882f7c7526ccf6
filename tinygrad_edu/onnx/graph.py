"""An ONNX graph in the making: `g.Add(x, 1.0)` appends a node and gives its output's name; numbers and arrays become constants."""

from contextlib import contextmanager

import numpy as np
from onnx import helper, numpy_helper

from .merging import Dim, Varying
from .tracing import Ref, path_of


def type_of(dtype):
    """ONNX's number of a type."""
    return helper.np_dtype_to_tensor_dtype(np.dtype(dtype))


class Graph:
    """Nodes and constants of one graph, or of the body of a loop."""

    type_of = staticmethod(type_of)

    def __init__(self, model):
        self.model = model
        self.nodes, self.initializers = [], []
        self.names: dict = {}  # Ref → name
        self.shapes: dict = {}  # Ref → shape, with a Dim where an axis is dynamic
        self.dtypes: dict = {}  # Ref → dtype
        self.constants: dict = {}  # what an array holds → its name
        self.sizes: dict = {}  # dynamic axis → (the input that has it, which axis)
        self.taken, self.prefix, self.dtype = set(), "", np.dtype(np.float32)

    def fresh(self, base):
        """A name that nothing has."""
        name, number = base, 0
        while name in self.taken:
            number += 1
            name = f"{base}_{number}"
        self.taken.add(name)
        return name

    def __getattr__(self, kind):
        if not kind[0].isupper():
            raise AttributeError(kind)
        return lambda *inputs, **attributes: self.node(kind, inputs, **attributes)

    def node(self, kind, inputs, outputs=1, **attributes):
        """Append a node; the name of its output, or a list of them. None stands for an input that is left out."""
        names = ["" if x is None else x if isinstance(x, str) else self.constant(x) for x in inputs]
        while names and not names[-1]:
            names.pop()
        label = self.fresh(self.prefix + kind)
        made = [self.fresh(f"{label}_output_{k}") for k in range(outputs)]
        self.nodes.append(helper.make_node(kind, names, made, name=label, **attributes))
        return made[0] if outputs == 1 else made

    def constant(self, value, dtype=None):
        """The name of a constant; a Python number is of the type of the step that is being translated."""
        array = np.asarray(value, dtype or (None if hasattr(value, "dtype") else self.dtype))
        at = array.dtype.str, array.shape, array.tobytes()
        if at not in self.constants:
            self.constants[at] = self.initializer(self.fresh(f"{self.prefix}constant"), array)
        return self.constants[at]

    def integers(self, *values):
        """int64 numbers, as shapes and axes are given; the sizes among them that follow dynamic axes are computed by the graph."""
        if not any(isinstance(v, Dim) for v in values):
            return self.constant(np.array(values, np.int64))
        parts = [self.size(v) if isinstance(v, Dim) else self.integers(v) for v in values]
        return self.Concat(*parts, axis=0) if len(parts) > 1 else parts[0]

    def size(self, dim):
        """A size that follows dynamic axes, int64[1]."""
        total = None
        for name in dim.axes:
            source, axis = self.sizes[name]
            one = self.Gather(self.Shape(source), self.integers(axis), axis=0)
            total = one if total is None else self.Mul(total, one)
        if dim.factor != 1:
            total = self.Mul(total, self.integers(dim.factor))
        return self.Add(total, self.integers(dim.offset)) if dim.offset else total

    def choice(self, condition, x, y, dtype):
        """x where the condition holds, else y; ONNX Runtime's Where takes no booleans."""
        if dtype.kind != "b":
            return self.Where(condition, x, y)
        return self.Or(self.And(condition, x), self.And(self.Not(condition), y))

    def counted(self, start, count):
        """int64 numbers one by one, from `start`."""
        first = self.integers(start)
        return self.Range(*(self.Squeeze(n) for n in (first, self.Add(first, self.integers(count)), self.integers(1))))

    def initializer(self, name, array):
        """Store an array under a name."""
        self.initializers.append(numpy_helper.from_array(np.ascontiguousarray(array).reshape(np.shape(array)), name))
        return name

    def operand(self, x, dtype=None):
        """The name of an input of a step: a value, a constant, or None."""
        if isinstance(x, Ref):
            return self.names[x]
        if isinstance(x, Varying):
            return x.said(self)
        if isinstance(x, Dim):
            return self.Cast(self.Squeeze(self.integers(x)), to=type_of(dtype or self.dtype))
        return None if x is None else self.constant(x, None if hasattr(x, "dtype") else dtype)

    @contextmanager
    def at(self, step):
        """Translate a step: its nodes are named after the module that it ran in, and numbers get its type."""
        path = path_of(step.modules, self.model)
        floats = [d for d in step.dtypes if d is not None]
        self.prefix, self.dtype = (path.replace(".", "/") + "/") if path else "", (floats or [step.dtype])[0]
        yield
        self.prefix = ""

    def body(self, name, inputs, outputs):
        """A graph of its own for a loop: inputs as (name, dtype, shape), outputs as names with the same."""
        value = lambda item: helper.make_tensor_value_info(item[0], type_of(item[1]), item[2])
        return helper.make_graph(self.nodes, name, [value(i) for i in inputs], [value(o) for o in outputs], self.initializers)
