"""Derivatives of functions, as `torch.func` spells them: grad, vjp, jvp, jacobians, vmap, functional_call.

They nest: `grad(grad(f))`, `vmap(grad(f))`, `jacfwd(jacrev(f))`. Each transform gives the function inputs of its own, and
a result keeps its graph exactly where something outside of the transform takes part in it.
"""

import functools

import numpy as np

from .autograd import engine, modes
from .autograd.node import ancestors, leaf
from .autograd.tensor import Tensor, array_of
from .ops import shapes

__all__ = ["functional_call", "grad", "grad_and_value", "hessian", "jacfwd", "jacrev", "jvp", "linearize", "replace_all_batch_norm_modules_", "stack_module_state",
           "value_and_grad", "vjp", "vmap"]  # fmt: skip

# --- nested containers -----------------------------------------------------------------------------------------------


def flatten(tree, is_leaf=None):
    """The leaves of nested tuples, lists and dicts, and a function that puts other leaves in their places."""
    if is_leaf is not None and is_leaf(tree):
        return [tree], lambda new: next(iter(new))
    if isinstance(tree, dict):
        parts = {key: flatten(value, is_leaf) for key, value in tree.items()}
        leaves = [leaf for found, _ in parts.values() for leaf in found]

        def rebuild(new):
            new = iter(new)
            return type(tree)({k: put([next(new) for _ in found]) for k, (found, put) in parts.items()})

        return leaves, rebuild
    if isinstance(tree, (tuple, list)):
        pieces = [flatten(value, is_leaf) for value in tree]

        def rebuild(new):
            new = iter(new)
            values = [put([next(new) for _ in found]) for found, put in pieces]
            return type(tree)(*values) if hasattr(tree, "_fields") else type(tree)(values)

        return [leaf for found, _ in pieces for leaf in found], rebuild
    return [tree], lambda new: next(iter(new))


def tree_map(func, tree, *rests, is_leaf=None):
    """The tree with `func` applied to each leaf, together with the leaves in the same places of other trees."""
    leaves, rebuild = flatten(tree, is_leaf)
    return rebuild([func(*of_one_place) for of_one_place in zip(leaves, *(flatten(other, is_leaf)[0] for other in rests), strict=True)])


# --- inputs and results of a transform -----------------------------------------------------------------------------------


def lifted(x, outer):
    """An input of the transform's own: connected to x where an outer graph wants that, else a new leaf."""
    if not isinstance(x, Tensor):
        raise TypeError(f"func: expected Tensors to differentiate with respect to, got {type(x).__name__}")
    if x.dtype.kind != "f":
        raise RuntimeError(f"func: only floating-point tensors have derivatives, got {x.dtype}; convert it, as in x.float()")
    if outer and x.node is not None:
        return shapes.reshape(x, shape=x.array.shape)
    return Tensor(x.array, leaf(x.array.shape, x.dtype))


def wants_graph(outputs, inputs, outer):
    """True if the outputs depend on anything that asks for gradients beside the transform's own new leaves."""
    roots = [out.node for out in outputs if isinstance(out, Tensor) and out.node is not None]
    own = {x.node for x in inputs}
    return outer and any(node not in own for node in ancestors(*roots) if node.op is None)


def settled(tree, keep):
    """The results, without their graph unless it is to be kept."""
    return tree if keep else tree_map(lambda x: x.detach() if isinstance(x, Tensor) and x.node is not None else x, tree)


def gradients(outputs, inputs, weights, create_graph=True, retain_graph=True):
    """Σ weight · ∂output/∂input for each input, zeros where there is no connection."""
    kept = [(out, w) for out, w in zip(outputs, weights) if out.node is not None]
    if not kept:
        return tuple(Tensor(np.zeros_like(x.array), None) for x in inputs)
    return engine.grad([out for out, _ in kept], inputs, [w for _, w in kept], retain_graph, create_graph, materialize_grads=True)


def split_aux(result, has_aux, name):
    """(outputs, aux) of a function that returns both."""
    if not has_aux:
        return result, None
    if not (isinstance(result, tuple) and len(result) == 2):
        raise RuntimeError(f"{name}(has_aux=True): the function must return the pair (output, aux), not {type(result).__name__}")
    return result


def chosen(args, argnums, name):
    """The positional arguments that `argnums` names, one or a tuple."""
    if not isinstance(argnums, (int, tuple)) or isinstance(argnums, tuple) and not all(isinstance(n, int) for n in argnums):
        raise RuntimeError(f"{name}: argnums must be an int or a tuple of ints, got {argnums!r}")
    numbers = (argnums,) if isinstance(argnums, int) else argnums
    if not numbers and name != "vjp":
        raise RuntimeError(f"{name}: argnums must name at least one argument")
    if len(set(numbers)) < len(numbers):
        raise RuntimeError(f"{name}: argnums={argnums} names an argument twice")
    for number in numbers:
        if not -len(args) <= number < len(args):
            raise RuntimeError(f"{name}: argnums={argnums} for a call with {len(args)} positional arguments")
    return [number % len(args) for number in numbers]


def replaced(args, numbers, values):
    """The arguments with some of them exchanged."""
    args = list(args)
    for number, value in zip(numbers, values):
        args[number] = value
    return args


def called(function, args, argnums, kwargs, name):
    """Call the function on inputs of the transform's own: (result, inputs, how to put leaves back)."""
    outer = modes.state.grad
    numbers = chosen(args, argnums, name)
    leaves, rebuild = flatten([args[number] for number in numbers])
    with modes.enable_grad():
        inputs = [lifted(x, outer) for x in leaves]
        result = function(*replaced(args, numbers, rebuild(inputs)), **kwargs)

    def put(values):
        values = rebuild(values)
        return values[0] if isinstance(argnums, int) else tuple(values)

    return result, inputs, put, outer


# --- first derivatives -----------------------------------------------------------------------------------------------


def grad_and_value(func, argnums=0, has_aux=False):
    """A function that returns the gradient of `func` and its value (with `has_aux`, the pair (value, aux))

    >>> import tinygrad_edu as tg
    >>> tg.func.grad_and_value(lambda x: (x**3).sum())(tg.tensor([1.0, 2.0]))
    (tensor([ 3., 12.]), tensor(9.))
    """

    @functools.wraps(func, updated=())
    def transformed(*args, **kwargs):
        result, inputs, put, outer = called(func, args, argnums, kwargs, "grad")
        value, aux = split_aux(result, has_aux, "grad")
        if not isinstance(value, Tensor) or value.array.ndim:
            shown = f"a tensor of shape {list(value.shape)}" if isinstance(value, Tensor) else type(value).__name__
            raise RuntimeError(f"grad: the function must return a single number (a 0-d tensor), not {shown}; reduce it, as in "
                               ".sum(), or use jacrev")  # fmt: skip
        keep = wants_graph([value], inputs, outer)
        with modes.enable_grad():
            found = gradients([value], inputs, [None], keep, keep)
        found = settled(put(found), keep)
        value, aux = settled(value, keep), settled(aux, keep)
        return found, (value, aux) if has_aux else value

    return transformed


def grad(func, argnums=0, has_aux=False):
    """A function that returns the gradient of `func`, with respect to the arguments that `argnums` names

    >>> import tinygrad_edu as tg
    >>> tg.func.grad(tg.func.grad(lambda x: x**3))(tg.tensor(2.0))
    tensor(12.)
    """
    both = grad_and_value(func, argnums, has_aux)

    @functools.wraps(func, updated=())
    def transformed(*args, **kwargs):
        found, value = both(*args, **kwargs)
        return (found, value[1]) if has_aux else found

    return transformed


def value_and_grad(func, argnums=0, has_aux=False):
    """A function that returns the value of `func` and its gradient: `grad_and_value` in the order of JAX"""
    both = grad_and_value(func, argnums, has_aux)

    @functools.wraps(func, updated=())
    def transformed(*args, **kwargs):
        found, value = both(*args, **kwargs)
        return value, found

    return transformed


def vjp(func, *primals, has_aux=False):
    """The outputs of `func`, and a function from weights of the outputs to gradients of the inputs, a tuple

    >>> import tinygrad_edu as tg
    >>> out, pull = tg.func.vjp(lambda x: x**2, tg.tensor([1.0, 2.0]))
    >>> pull(tg.tensor([1.0, 10.0]))
    (tensor([ 2., 40.]),)
    """
    result, inputs, put, outer = called(func, primals, tuple(range(len(primals))), {}, "vjp")
    outputs, aux = split_aux(result, has_aux, "vjp")
    leaves, _ = flatten(outputs)
    keep = wants_graph(leaves, inputs, outer)

    def pull(*cotangents, retain_graph=True, create_graph=None):
        weights, _ = flatten(cotangents[0] if len(cotangents) == 1 else cotangents)
        if len(weights) != len(leaves):
            raise RuntimeError(f"vjp: {len(weights)} cotangents for {len(leaves)} outputs; there must be one for each")
        graph = modes.state.grad and (keep or any(w.requires_grad for w in weights))
        with modes.enable_grad():
            found = gradients(leaves, inputs, weights, graph, retain_graph)
        return settled(put(found), graph)

    outputs = settled(outputs, keep)
    return (outputs, pull, settled(aux, keep)) if has_aux else (outputs, pull)


def pushed(leaves, inputs):
    """A function from tangents of the inputs to tangents of the outputs.

    The vector-Jacobian product is linear in its weights v; its derivative with respect to v, in the direction of the
    tangents, is the Jacobian-vector product. So reverse mode twice gives forward mode.
    """
    weights = [Tensor(np.zeros_like(out.array), leaf(out.array.shape, out.dtype)) for out in leaves]
    with modes.enable_grad():
        pulled = gradients(leaves, inputs, weights)

    def push(tangents, create_graph):
        with modes.enable_grad():
            return gradients(pulled, weights, tangents, create_graph)

    return push


def jvp(func, primals, tangents, *, strict=False, has_aux=False):
    """The outputs of `func`, and their change in the direction of the tangents

    >>> import tinygrad_edu as tg
    >>> tg.func.jvp(lambda x: x**2, (tg.tensor(3.0),), (tg.tensor(1.0),))
    (tensor(9.), tensor(6.))
    """
    if not isinstance(primals, tuple) or not isinstance(tangents, tuple) or len(primals) != len(tangents):
        raise RuntimeError("jvp: primals and tangents must be tuples of the same length, as in jvp(f, (x,), (v,))")
    directions, _ = flatten(tangents)
    for x, v in zip(flatten(primals)[0], directions):
        if not isinstance(v, Tensor):
            raise RuntimeError(f"jvp: the tangents must be Tensors, got {type(v).__name__}")
        if array_of(x).shape != array_of(v).shape:
            raise RuntimeError(f"jvp: a tangent of shape {list(array_of(v).shape)} for a primal of shape {list(array_of(x).shape)}")
    result, inputs, _, outer = called(func, primals, tuple(range(len(primals))), {}, "jvp")
    outputs, aux = split_aux(result, has_aux, "jvp")
    leaves, rebuild = flatten(outputs)
    keep = wants_graph(leaves, inputs, outer) or outer and any(v.requires_grad for v in directions)
    changes = settled(rebuild(pushed(leaves, inputs)(directions, keep)), keep)
    outputs = settled(outputs, keep)
    return (outputs, changes, settled(aux, keep)) if has_aux else (outputs, changes)


def linearize(func, *primals):
    """The outputs of `func`, and a function from tangents of the inputs to tangents of the outputs"""
    result, inputs, _, outer = called(func, primals, tuple(range(len(primals))), {}, "linearize")
    leaves, rebuild = flatten(result)
    keep = wants_graph(leaves, inputs, outer)
    push = pushed(leaves, inputs)
    return settled(result, keep), lambda *tangents: settled(rebuild(push(flatten(tangents)[0], keep)), keep)


# --- jacobians and hessians --------------------------------------------------------------------------------------------


def unit_vectors(x):
    """For each element of x, an array of zeros with a one there."""
    for place in range(x.array.size):
        unit = np.zeros(x.array.size, x.dtype)
        unit[place] = 1
        yield Tensor(unit.reshape(x.array.shape), None)


def jacobian_of(func, argnums, has_aux, name, blocks):
    """The transform behind jacrev and jacfwd; `blocks` computes ∂output/∂input for all pairs."""

    @functools.wraps(func, updated=())
    def transformed(*args, **kwargs):
        result, inputs, put, outer = called(func, args, argnums, kwargs, name)
        outputs, aux = split_aux(result, has_aux, name)
        leaves, rebuild = flatten(outputs)
        if not all(isinstance(out, Tensor) for out in leaves):
            raise RuntimeError(f"{name}: the function must return Tensors, got {[type(out).__name__ for out in leaves]}")
        keep = wants_graph(leaves, inputs, outer)
        with modes.enable_grad():
            rows = blocks(leaves, inputs, keep)
        result = settled(rebuild([put(row) for row in rows]), keep)
        return (result, settled(aux, keep)) if has_aux else result

    return transformed


def by_rows(outputs, inputs, keep):
    """One backward pass for each element of the outputs."""
    blocks = []
    for out in outputs:
        rows = [gradients([out], inputs, [unit], keep) for unit in unit_vectors(out)]
        blocks.append([stacked([row[k] for row in rows], x.dtype, (*out.shape, *x.shape)) for k, x in enumerate(inputs)])
    return blocks


def by_columns(outputs, inputs, keep):
    """One forward pass for each element of the inputs."""
    push = pushed(outputs, inputs)
    blocks: list = [[] for _ in outputs]
    for k, x in enumerate(inputs):
        zeros = [Tensor(np.zeros_like(y.array), None) for y in inputs]
        columns = [push([*zeros[:k], unit, *zeros[k + 1 :]], keep) for unit in unit_vectors(x)]
        for block, j in zip(blocks, range(len(outputs))):
            shape = (*x.shape, *outputs[j].shape)
            joined = stacked([column[j] for column in columns], x.dtype, shape)
            n = x.ndim
            block.append(shapes.permute(joined, axes=(*range(n, joined.ndim), *range(n))) if joined.ndim else joined)
    return blocks


def stacked(parts, dtype, shape):
    """The parts side by side, in a shape."""
    if not parts:
        return Tensor(np.zeros(shape, dtype), None)
    return shapes.reshape(shapes.stack(*parts), shape=tuple(shape))


def jacrev(func, argnums=0, *, has_aux=False, chunk_size=None, _preallocate_and_copy=False):
    """A function that returns all derivatives of `func`, shape output + input, one backward pass per output element

    >>> import tinygrad_edu as tg
    >>> tg.func.jacrev(lambda x: x**2)(tg.tensor([1.0, 2.0]))
    tensor([[2., 0.],
            [0., 4.]])
    """
    if chunk_size is not None and chunk_size < 1:
        raise ValueError(f"jacrev: chunk_size must be at least 1, got {chunk_size}")
    return jacobian_of(func, argnums, has_aux, "jacrev", by_rows)


def jacfwd(func, argnums=0, has_aux=False, *, randomness="error"):
    """The same as `jacrev`, one forward pass per input element: for functions with fewer inputs than outputs"""
    return jacobian_of(func, argnums, has_aux, "jacfwd", by_columns)


def hessian(func, argnums=0):
    """A function that returns all second derivatives of `func`, shape output + input + input

    >>> import tinygrad_edu as tg
    >>> tg.func.hessian(lambda x: (x**3).sum())(tg.tensor([1.0, 2.0]))
    tensor([[ 6.,  0.],
            [ 0., 12.]])
    """
    return jacfwd(jacrev(func, argnums), argnums)


# --- vmap ------------------------------------------------------------------------------------------------------------


def spread(dims, tree, name):
    """One dimension (or None) for each leaf of `tree`, from a tree of dimensions that may stop early."""
    if dims is None or isinstance(dims, int):
        return [dims] * len(flatten(tree)[0])
    if isinstance(dims, dict):
        return [d for key in tree for d in spread(dims[key], tree[key], name)]
    if not isinstance(tree, (tuple, list)) or len(dims) != len(tree):
        raise ValueError(f"vmap: {name}={dims!r} does not have the structure of the values it is for")
    return [d for part, value in zip(dims, tree) for d in spread(part, value, name)]


def vmap(func, in_dims=0, out_dims=0, randomness="error", *, chunk_size=None):
    """A function that applies `func` to each slice of its arguments and stacks the results

    `in_dims` says along which dimension each argument is sliced (None: not at all), `out_dims` where the new dimension of
    the results goes. The slices are computed one after the other. `randomness` is "error", "same" or "different".

    >>> import tinygrad_edu as tg
    >>> tg.vmap(tg.dot)(tg.ones(3, 2), tg.ones(3, 2))
    tensor([2., 2., 2.])
    """
    if randomness not in ("error", "same", "different"):
        raise RuntimeError(f'vmap: randomness must be "error", "same" or "different", not {randomness!r}')

    @functools.wraps(func, updated=())
    def mapped(*args, **kwargs):
        given, put = flatten((list(args), kwargs))
        dims = spread(list(in_dims) if isinstance(in_dims, tuple) else in_dims, list(args), "in_dims")
        dims += [0 if isinstance(x, Tensor) else None for x in given[len(dims) :]]  # keyword arguments: the first dimension
        dims = [d if isinstance(x, Tensor) else without_dim(d, x, in_dims) for x, d in zip(given, dims)]
        sizes = {slices_of(x, d) for x, d in zip(given, dims) if d is not None}
        if len(sizes) != 1:
            known = f"sizes {sorted(sizes)}" if sizes else "no dimension"
            raise ValueError(f"vmap: the arguments must agree in one size along the dimensions they are mapped over; got {known}")
        results = run_slices(func, given, dims, put, sizes.pop(), randomness)
        if not results:
            raise RuntimeError("vmap: there is nothing to map over, the dimension has size 0; the shape of a result is unknown")
        leaves, rebuild = flatten(results[0])
        columns = zip(*(flatten(r)[0] for r in results))
        out = spread(list(out_dims) if isinstance(out_dims, tuple) else out_dims, results[0], "out_dims")
        return rebuild([joined(column, d) for column, d in zip(columns, out)])

    return mapped


def without_dim(dim, x, in_dims):
    """Arguments that are no tensors are not mapped: their dimension must be None, or 0 by default."""
    if dim not in (None, 0) or dim == 0 and not isinstance(in_dims, int):
        raise ValueError(f"vmap: in_dims asks for dimension {dim} of a {type(x).__name__}; only tensors can be mapped, use None")
    if dim == 0:
        raise ValueError(f"vmap: got {type(x).__name__} where in_dims=0 needs a Tensor; pass in_dims with None in its place")
    return None


def slices_of(x, dim):
    """How many slices x has along a dimension."""
    if not -x.ndim <= dim < x.ndim:
        raise ValueError(f"vmap: in_dims asks for dimension {dim} of a tensor of shape {list(x.shape)}")
    return x.array.shape[dim]


def run_slices(func, given, dims, put, count, randomness):
    """The results of `func` for each slice."""
    from .api.random import default_generator, drawing

    outer, noted = drawing.noted, {default_generator: default_generator.get_state()}
    drawing.noted = noted
    results = []
    try:
        for i in range(count):
            for generator, before in noted.items() if randomness == "same" and i else ():
                generator.set_state(before)
            args, kwargs = put([x if d is None else x.select(d, i) for x, d in zip(given, dims)])
            results.append(func(*args, **kwargs))
    finally:
        drawing.noted = outer
        for generator, before in noted.items() if outer is not None else ():
            outer.setdefault(generator, before)
    if randomness == "error" and not all(before.equal(generator.get_state()) for generator, before in noted.items()):
        raise RuntimeError('vmap: the function drew random numbers; say with randomness="different" or "same" whether each slice '
                           "gets numbers of its own")  # fmt: skip
    return results


def joined(values, dim):
    """The results of all slices along a new dimension."""
    values = [x if isinstance(x, Tensor) else Tensor(np.asarray(x), None) for x in values]
    if dim is None:
        return values[0]
    n = values[0].ndim + 1
    if not -n <= dim < n:
        raise IndexError(f"vmap: out_dims={dim} for results of shape {list(values[0].shape)}; it must be between {-n} and {n - 1}")
    return shapes.stack(*values, axis=dim)


# --- modules as functions --------------------------------------------------------------------------------------------


def functional_call(module, parameter_and_buffer_dicts, args=None, kwargs=None, *, tie_weights=True, strict=False):
    """Call a module with other tensors in the place of its parameters and buffers, given by name

    >>> import tinygrad_edu as tg
    >>> layer = tg.nn.Linear(2, 1)
    >>> tg.func.functional_call(layer, {"weight": tg.ones(1, 2), "bias": tg.zeros(1)}, tg.tensor([3.0, 4.0]))
    tensor([7.])
    """
    given = parameter_and_buffer_dicts
    if not isinstance(given, dict):
        merged: dict = {}
        for part in given:
            twice = merged.keys() & part.keys()
            if twice:
                raise ValueError(f"functional_call: {sorted(twice)} appear in more than one dictionary")
            merged.update(part)
        given = merged
    args = () if args is None else args if isinstance(args, tuple) else (args,)
    own = {**dict(module.named_parameters(remove_duplicate=False)), **dict(module.named_buffers(remove_duplicate=False))}
    unknown = [name for name in given if name not in own]
    if strict and (unknown or len(given) < len(own)):
        missing = [name for name in own if name not in given]
        raise RuntimeError(f"functional_call(strict=True): unexpected names {unknown}, missing names {missing}")
    given = {name: value for name, value in given.items() if name in own}
    if tie_weights:
        by_tensor = {id(own[name]): value for name, value in given.items()}
        twice = [name for name, value in given.items() if by_tensor[id(own[name])] is not value]
        if twice:
            raise ValueError(f"functional_call: {twice} are tied to other parameters that are given other values; give one value for all, "
                             "or pass tie_weights=False")  # fmt: skip
        given = {**{name: by_tensor[id(t)] for name, t in own.items() if id(t) in by_tensor}, **given}
    places = [(module.get_submodule(name.rpartition(".")[0]), name.rpartition(".")[2], value) for name, value in given.items()]
    before = [(owner, name, owner.__dict__[name]) for owner, name, _ in places]
    try:
        for owner, name, value in places:
            owner.__dict__[name] = value
        return module(*args, **(kwargs or {}))
    finally:
        for owner, name, value in before:
            owner.__dict__[name] = value


def replace_all_batch_norm_modules_(root):
    """Let every batch normalization below a module use its batch only: running averages have no place in functions of one example

    >>> import tinygrad_edu as tg
    >>> tg.func.replace_all_batch_norm_modules_(tg.nn.BatchNorm1d(2)).running_mean is None
    True
    """
    from .nn.layers.normalization import BatchNorm

    for module in root.modules():
        if isinstance(module, BatchNorm) and module.track_running_stats:
            module.running_mean = module.running_var = module.num_batches_tracked = None
            module.track_running_stats = False
    return root


def stack_module_state(models):
    """(parameters, buffers) of several modules of one kind, each stacked along a new first dimension, by name"""
    models = list(models)
    if not models:
        raise RuntimeError("stack_module_state: expected at least one module")
    if any(type(m) is not type(models[0]) for m in models):
        raise RuntimeError("stack_module_state: all modules must be of one class")
    if len({m.training for m in models}) > 1:
        raise RuntimeError("stack_module_state: all modules must be in the same mode, training or evaluation")

    def stack(named):
        tables = [dict(named(m)) for m in models]
        result = {}
        for name, first in tables[0].items():
            values = Tensor(np.stack([table[name].array for table in tables]), None)
            result[name] = values.requires_grad_(first.requires_grad)
        return result

    return stack(lambda m: m.named_parameters()), stack(lambda m: m.named_buffers())
