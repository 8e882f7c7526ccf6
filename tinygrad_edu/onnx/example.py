"""A model with its example inputs, and the traced runs of it that are compared: with other numbers, and with other sizes of dynamic axes."""

import inspect

import numpy as np

from ..autograd.tensor import Tensor
from ..func import flatten, tree_map
from .tracing import tracing


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
                args, kwargs = tree_map(lambda x: next(given) if isinstance(x, Tensor) else x, (self.args, self.kwargs))
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
    try:
        parameters = inspect.signature(getattr(model, "forward", model)).parameters.values()
        names = [p.name for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    except (TypeError, ValueError):
        names = []
    return [*names[:count], *(f"input_{k}" for k in range(len(names), count))]


def tensors_in(x):
    """The tensors in nested tuples, lists and dicts, in order."""
    return [leaf for leaf in flatten(x)[0] if isinstance(leaf, Tensor)]


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
