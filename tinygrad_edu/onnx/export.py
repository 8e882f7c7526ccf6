"""`onnx.export`: trace the model, translate what its outputs need, and write the file."""

import os
import warnings

import numpy as np

from ..autograd.tensor import Tensor
from .merging import Differs, Dim, Varying, merged
from .tracing import Ref, holds_value, tracing

OPSET, IR_VERSION = 18, 10  # stated in every file: newer defaults of the onnx package are refused by older runtimes
IGNORED = {"normalize": ("mean", "scale"), "embed": ("padding_idx", "scale")}  # what only derivatives need
ANY_SIZE = {"sum", "mean", "prod", "amax", "amin", "logsumexp", "count_nonzero_along", "any_along", "all_along", "eq", "ne", "lt", "le", "gt", "ge",
            "matmul", "affine", "affine_sigmoid", "cast", "clone", "softmax", "log_softmax"}  # what asks for no size  # fmt: skip


class ONNXProgram:
    """An exported model: `model_proto` is the onnx.ModelProto, `save(path)` writes it."""

    def __init__(self, model_proto):
        self.model_proto = self.model = model_proto

    def save(self, destination, *, external_data=False, **options):
        """Write the `.onnx` file to a path or a file object; with external_data=True the weights go into a file beside it"""
        import onnx

        if hasattr(destination, "write"):
            destination.write(self.model_proto.SerializeToString())
        elif external_data:
            copied = onnx.ModelProto()  # onnx takes the weights out of what it saves
            copied.CopyFrom(self.model_proto)
            onnx.save_model(copied, os.fspath(destination), save_as_external_data=True, location=os.path.basename(destination) + ".data", size_threshold=0)
        else:
            onnx.save_model(self.model_proto, os.fspath(destination))


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


def export(model, args=(), f=None, *, kwargs=None, input_names=None, output_names=None, dynamic_axes=None, dynamic_shapes=None,
           opset_version=OPSET, export_params=True, do_constant_folding=True, verbose=False, external_data=False, **accepted):  # fmt: skip
    """Write a model as `.onnx`: it is run on the example `args`, and what its outputs need is translated operator by operator

    `model` is a Module or any function of tensors, `args` a tensor or a tuple of tensors and other values; `f` is a path or a file. The
    result has `save(path)` and `model_proto`. The file states opset 18 and IR version 10. Parameters and buffers become initializers under
    the names of the state_dict. The model is exported as it stands: call `model.eval()` first.

    What Python decides while the model runs (branches on values, the number of steps of a loop) is frozen as the example takes it, as in
    PyTorch's tracer. Two runs with other numbers guard against worse: a constant that turns out to depend on the inputs, or on
    random numbers, is refused. `dynamic_axes={"x": {0: "batch"}}` leaves sizes open (or `dynamic_shapes`, in PyTorch's newer spelling): more
    runs, with other sizes, find every size that follows them, and what cannot follow is refused.

    NotImplementedError: an operator that has no translation. ModuleNotFoundError: the package onnx is missing. Accepted and without
    effect: do_constant_folding (runtimes fold themselves) and the further options of `torch.onnx.export`.

    >>> import tinygrad_edu as tg
    >>> model = tg.nn.Linear(3, 2)
    >>> tg.onnx.export(model, tg.ones(1, 3), "model.onnx", dynamic_axes={"x": {0: "batch"}})  # doctest: +SKIP
    """
    try:
        import onnx
    except ModuleNotFoundError:
        raise ModuleNotFoundError("onnx.export needs the package onnx: pip install 'onnx>=1.17'", name="onnx") from None
    if opset_version not in (None, OPSET):
        raise ValueError(f"onnx.export: opset_version={opset_version}, and models are written in opset {OPSET}, which every runtime since 2023 "
                         "reads; leave it out, or convert the file with onnx.version_converter")  # fmt: skip
    args = args if isinstance(args, tuple) else tuple(args) if isinstance(args, list) else (args,)
    if args and isinstance(args[-1], dict) and kwargs is None:
        args, kwargs = args[:-1], args[-1]
    example = Example(model, args, kwargs or {}, input_names)
    dynamic = example.dynamic(dynamic_axes, dynamic_shapes)
    program = ONNXProgram(Translation(example, dynamic).model(output_names, dynamic_axes, export_params))
    onnx.checker.check_model(program.model_proto, full_check=True)
    if verbose:
        print(onnx.printer.to_text(program.model_proto))
    if f is not None:
        program.save(f, external_data=external_data)
    return program


class Example:
    """The model with its example: inputs by name, and runs of it with other numbers and sizes."""

    def __init__(self, model, args, kwargs, names):
        self.model, self.args, self.kwargs = model, args, kwargs
        found = [*((name, a) for name, a in zip(parameter_names(model, len(args)), args)), *kwargs.items()]
        groups = [(name, tensors_in(a)) for name, a in found]
        flat = [(name if len(group) == 1 else f"{name}_{k}", t) for name, group in groups for k, t in enumerate(group)]
        self.names = [name for name, _ in flat]
        self.tensors = [t for _, t in flat]
        names = list(names or ())[: len(flat)]
        self.names[: len(names)] = names
        state = model.state_dict(keep_vars=True) if hasattr(model, "state_dict") else {}
        self.state = {**dict(getattr(model, "named_buffers", dict)()), **state}
        self.started = [t.array.copy() for t in self.tensors]

    def dynamic(self, axes, shapes):
        """{name of a dynamic axis: [(input, axis), …]}"""
        if isinstance(shapes, (tuple, list)):
            shapes = dict(zip(self.names, shapes))
        found: dict = {}
        for table in (axes or {}, shapes or {}):
            for name, wanted in table.items():
                for axis in wanted if wanted is not None else ():
                    label = wanted[axis] if isinstance(wanted, dict) else f"{name}_dim_{axis}"
                    label = f"{name}_dim_{axis}" if label is None else getattr(label, "__name__", label)
                    if name in self.names:
                        found.setdefault(str(label), []).append((self.names.index(name), axis % self.tensors[self.names.index(name)].ndim))
                    elif table is not axes:
                        raise ValueError(f"onnx.export: dynamic_shapes names {name!r}, and the inputs are {', '.join(self.names)}")
        return found

    def run(self, sizes, seed):
        """One traced run; `sizes` maps (input, axis) to another size, and a seed changes the numbers."""
        arrays = [other(a, {axis: n for (i, axis), n in sizes.items() if i == k}, seed) for k, a in enumerate(self.started)]
        held = {id(t): (t, t.array, t.array.copy()) for t in self.state.values()}
        with tracing() as tracer:
            try:
                given = iter([Tensor(tracer.new(a), None) for a in arrays])
                for t, array, _ in held.values():
                    t.array = tracer.new(array)
                fill = lambda x: with_tensors(x, given)
                args, kwargs = fill(self.args), fill(self.kwargs)
                try:
                    result = self.model(*args, **kwargs)
                except Exception as error:
                    if sizes:
                        error.add_note("while onnx.export ran the model with inputs of the shapes " + ", ".join(str(list(a.shape)) for a in arrays)
                                       + ", as the dynamic axes allow")  # fmt: skip
                    raise
                outputs = [tracer.operand(t.array) for t in tensors_in(result)]
            finally:
                for t, array, before in held.values():
                    np.copyto(np.asarray(array), before)
                    t.array = array
        return tracer, outputs, names_of(result)


def other(array, sizes, seed):
    """Another example of the same kind: other sizes, and the same numbers in another order, moved a little if they are floats."""
    for axis, n in sizes.items():
        array = np.take(array, np.arange(n) % array.shape[axis], axis=axis)
    if seed is None:
        return array.copy()
    rng = np.random.default_rng(seed)
    array = np.flip(array).copy()
    if array.dtype.kind == "f":
        array *= rng.uniform(0.9, 1.1, array.shape).astype(array.dtype)
        array += rng.uniform(0, 1e-3, array.shape).astype(array.dtype)
    return array


def parameter_names(model, count):
    """What the model calls its arguments."""
    import inspect

    try:
        parameters = inspect.signature(getattr(model, "forward", model)).parameters.values()
        names = [p.name for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    except (TypeError, ValueError):
        names = []
    return [*names[:count], *(f"input_{k}" for k in range(len(names), count))]


def tensors_in(x):
    """The tensors in nested tuples, lists and dicts, in order."""
    if isinstance(x, Tensor):
        return [x]
    return [t for v in (x.values() if isinstance(x, dict) else x) for t in tensors_in(v)] if isinstance(x, (tuple, list, dict)) else []


def with_tensors(x, given):
    """The same nest with other tensors."""
    if isinstance(x, Tensor):
        return next(given)
    if isinstance(x, dict):
        return type(x)((k, with_tensors(v, given)) for k, v in x.items())
    if isinstance(x, tuple) and hasattr(x, "_fields"):
        return type(x)(*(with_tensors(v, given) for v in x))
    return type(x)(with_tensors(v, given) for v in x) if isinstance(x, (tuple, list)) else x


def names_of(result):
    """The keys of a dict of outputs, else numbers."""
    flat = isinstance(result, dict) and all(isinstance(v, Tensor) for v in result.values())
    return [str(k) for k in result] if flat else [f"output_{k}" if k else "output" for k in range(len(tensors_in(result)))]


def runs_of(example, dynamic):
    """The runs that are compared, and the size of each dynamic axis in every run."""
    first = {name: max(2, example.started[i].shape[axis]) for name, ((i, axis), *_) in dynamic.items()}
    steps = {name: -1 if n > 3 else 1 for name, n in first.items()}  # rather fewer: tables of positions end somewhere
    alone = [{**first, name: first[name] + steps[name]} for name in dynamic]
    every = {name: n + 2 * steps[name] for name, n in first.items()}
    table = [first, *alone, *([every] if dynamic else [first])]
    places = lambda sizes: {place: n for name, n in sizes.items() for place in dynamic[name]}
    runs = [example.run(places(sizes), seed or None) for seed, sizes in enumerate(table)]
    return runs, {name: [sizes[name] for sizes in table] for name in dynamic}


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
                          "and is frozen as the example takes it", stacklevel=4)  # fmt: skip
            self.runs = self.runs[:1]
        self.graph, self.inputs, self.loose = Graph(example.model), [], set()

    def model(self, output_names, dynamic_axes, export_params):
        """The ONNX model."""
        from onnx import helper

        from .. import __version__

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
