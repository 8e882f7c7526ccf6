"""`onnx.export`: trace the model, translate what its outputs need, and write the file."""

import os
import warnings

import numpy as np

from ..autograd.tensor import Tensor
from .merging import Differs, Dim, Varying, merged
from .tracing import Ref, holds_value, tracing

OPSET, IR_VERSION = 18, 10  # stated in every file: newer defaults of the onnx package are refused by older runtimes
IGNORED = {"normalize": ("mean", "scale"), "embed": ("padding_idx", "scale")}  # what only derivatives need


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
        parts = (value.start, value.stop, value.step) if isinstance(value, slice) else value if isinstance(value, tuple) else (value,)
        if any(isinstance(v, Dim) for v in parts):
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
    program = ONNXProgram(translated(example, dynamic, output_names, dynamic_axes, export_params))
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


def translated(example, dynamic, output_names, dynamic_axes, export_params):
    """The ONNX model."""
    from onnx import helper

    from .graph import Graph, type_of
    from .table import table

    runs, symbols = runs_of(example, dynamic)
    (tracer, outputs, keys), *others = runs
    if any([s.op for s in t.steps] != [s.op for s in tracer.steps] for t, _, _ in others):
        if dynamic:
            raise NotImplementedError("onnx.export: the model takes other steps for other sizes or numbers, so the dynamic axes "
                                      f"{', '.join(dynamic)} cannot be left open; export it without them, one file per size")  # fmt: skip
        warnings.warn("onnx.export: the model takes other steps for other numbers: a branch or a loop in Python depends on its inputs, "
                      "and is frozen as the example takes it", stacklevel=4)  # fmt: skip
        runs, others = runs[:1], []
    steps = {s.ref: k for k, s in enumerate(tracer.steps)}
    g = Graph(example.model)
    g.taken |= {*example.names, *(output_names or ())}

    def agreed(values, step=None):
        try:
            return merged(values, symbols)
        except Differs as what:
            place = step.place(example.model) if step else " among the outputs"
            raise NotImplementedError(
                f"onnx.export: {what}{' of ' + step.op.name if step else ''}{place} changes with the inputs, and no operator computes it from them, "
                "or it is random. Call model.eval() where dropout is on; compute with tensors, not with .item(), .numpy() or shapes that a "
                "dynamic axis changes") from None  # fmt: skip

    inputs, count = [], 0
    for k, (name, array) in enumerate(zip(example.names, example.started)):
        g.names[Ref(count)], g.dtypes[Ref(count)], shape = name, array.dtype, list(array.shape)
        for label, places in dynamic.items():
            for i, axis in places:
                if i == k:
                    g.sizes.setdefault(label, (name, axis))
                    shape[axis] = Dim.of(symbols[label], {label: symbols[label]} if len(symbols) == 1 else symbols)
        g.shapes[Ref(count)] = tuple(shape)
        inputs.append(helper.make_tensor_value_info(name, type_of(array.dtype), [str(n) if isinstance(n, Dim) else n for n in shape]))
        count += 1
    needed, stack = set(), [outputs]
    while stack:
        x = stack.pop()
        if isinstance(x, Ref):
            if x not in needed:
                needed.add(x)
                if x in steps:
                    step = tracer.steps[steps[x]]
                    stack += [step.inputs, {k: v for k, v in step.params.items() if k not in IGNORED.get(step.op.name, ())}]
        elif isinstance(x, (tuple, list, dict)):
            stack += x.values() if isinstance(x, dict) else x
    seen: dict = {}
    for name, t in example.state.items():
        if id(t) in seen:
            continue
        seen[id(t)], ref = name, Ref(count)
        g.names[ref], g.dtypes[ref], g.shapes[ref] = name, t.dtype, tuple(t.shape)
        count += 1
        if ref in needed:
            g.taken.add(name)
            if export_params:
                g.initializer(name, np.asarray(t.array))
            else:
                inputs.append(helper.make_tensor_value_info(name, type_of(t.dtype), t.shape))
    for number, step in enumerate(tracer.steps):
        if step.ref not in needed:
            continue
        same = [step, *(t.steps[number] for t, _, _ in others)]
        operator = table.get(step.op.name)
        if operator is None:
            raise NotImplementedError(
                f"onnx.export: the operator {step.op.name} has no translation to ONNX{step.place(example.model)}; compute it from other operators, "
                "or add an entry to tinygrad_edu.onnx.table.table")
        left_out = IGNORED.get(step.op.name, ())
        params = {k: agreed([s.params[k] for s in same], step) for k in step.params if k not in left_out}
        shape = agreed([tuple(s.shape) for s in same], step) if step.op.name not in ("nonzero_positions", "getitem") else shape_of(same, symbols)
        shapes = [agreed([tuple(s.shapes[i]) for s in same], step) for i in range(len(step.shapes))]
        given = [agreed([s.inputs[i] for s in same], step) for i in range(len(step.inputs))]
        g.shapes[step.ref], g.dtypes[step.ref] = shape, step.dtype
        with g.at(step):
            names = [g.operand(x, step.dtype if step.op.name == "where" and i else None) for i, x in enumerate(given)]
            if isinstance(operator, str):
                g.names[step.ref] = g.node(operator, names)
            else:
                g.names[step.ref] = operator(g, View(step, params, shape, shapes, g, step.place(example.model)), *names)
    results = []
    for k, ref in enumerate(outputs):
        name = output_names[k] if output_names and k < len(output_names) else g.fresh(keys[k])
        ref = agreed([o[k] for _, o, _ in runs])
        g.nodes.append(helper.make_node("Identity", [g.operand(ref)], [name], name=g.fresh("Identity")))
        shape = g.shapes[ref] if isinstance(ref, Ref) else ref.shape
        labels = dict((dynamic_axes or {}).get(name, {})) if isinstance((dynamic_axes or {}).get(name), dict) else {}
        dtype = g.dtypes[ref] if isinstance(ref, Ref) else ref.dtype
        shown = [labels.get(a, str(n)) if isinstance(n, Dim) else n for a, n in enumerate(shape)]
        results.append(helper.make_tensor_value_info(name, type_of(dtype), shown))
    import tinygrad_edu

    graph = helper.make_graph(g.nodes, type(example.model).__name__, inputs, results, g.initializers)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION,
                             producer_name="tinygrad_edu", producer_version=tinygrad_edu.__version__)  # fmt: skip


def shape_of(same, symbols):
    """The shape of a result whose size may depend on the values, where it is the same in all runs; else sizes of which nothing is known."""
    try:
        return merged([tuple(s.shape) for s in same], symbols)
    except Differs:
        return tuple(same[0].shape)
