"""autograd.Function: PyTorch's way to write an operator, with `forward(ctx, …)` and `backward(ctx, g)`."""

import weakref

import numpy as np

from . import memory, modes
from .anomaly import check_result
from .graph import pack_tensors
from .node import Node
from .operands import held_by_user
from .recorder import record
from .tensor import Tensor, array_of


class Context:
    """What `forward` leaves for `backward`: saved tensors, flags, and any attribute (so what is kept here has no everyday name)."""

    def __init__(self, needs):
        self.needs_input_grad = needs
        self.to_save = ()
        self._results = None  # (weak reference to the node, {position among the saved: position among the outputs, None for the only one})
        self.materialize_grads = True
        self.non_differentiable = ()
        self.dirty_tensors = ()

    def save_for_backward(self, *tensors):
        """Keep tensors for `backward`; they come back as `ctx.saved_tensors`."""
        self.to_save = tensors

    def save_for_forward(self, *tensors):
        """Nothing to do: derivatives in forward mode are computed with `backward` too."""

    @property
    def saved_tensors(self):
        """What `save_for_backward` was given; a result of the Function comes back with its history, so that gradients have gradients."""
        node = self._results and self._results[0]()
        if node is None:
            return self.to_save
        return tuple(t if i not in self._results[1] else historic(t, node, self._results[1][i]) for i, t in enumerate(self.to_save))

    def mark_non_differentiable(self, *outputs):
        """These outputs are constants for back propagation."""
        self.non_differentiable = outputs

    def set_materialize_grads(self, value):
        """False: gradients of unused outputs arrive as None instead of zeros."""
        self.materialize_grads = value

    def mark_dirty(self, *tensors):
        """These inputs were updated in place, and are returned: they get the Function's history."""
        self.dirty_tensors = tensors


FunctionCtx = Context  # PyTorch's name, which annotations use


class Parts:
    """The gradients of several outputs on their way to the one node that made them all: {position: gradient}."""

    shape = ()

    def __init__(self, gradients):
        self.gradients = gradients

    def __add__(self, other):
        total = {**self.gradients}
        for k, g in other.gradients.items():
            total[k] = total[k] + g if k in total else g
        return Parts(total)


def is_tensor(x):
    """True for a Tensor: forward may return other things beside them."""
    return isinstance(x, Tensor)


class Bridge:
    """An operator made of a Function's `backward`, as the engine calls it: one per call of `apply`."""

    variadic = None
    kind = "function"
    symbol = property(lambda self: self.name)
    inputs: list = []
    params: dict = {}
    arguments: tuple | None = None  # (args, kwargs) of the call, inside of `recording()`

    def __init__(self, function, context, count, outputs):
        self.function, self.context, self.outputs = function, context, outputs
        self.name = function.__name__
        self.doc = self.formula = (function.__doc__ or function.__name__).partition("\n")[0]
        self.rules = self.pullbacks = (None,) * count
        self.wants = ((),) * count
        self.keeps_values = bool(context.to_save)  # what saved nothing can be passed again, as in PyTorch

    def together(self, g):
        """Run the user's `backward` and check what it returns: one gradient per input."""
        gradients = [g.gradients.get(k) for k in range(len(self.outputs))] if isinstance(g, Parts) else [g]
        raw = not any(isinstance(x, Tensor) for x in gradients)
        given = []
        for x, kind in zip(gradients, self.outputs):
            if x is None and kind is not None and self.context.materialize_grads:
                x = np.zeros(*kind)
            given.append(x if x is None or isinstance(x, Tensor) else Tensor(x, None))
        with modes.set_grad_enabled(not raw):
            results = self.function.backward(self.context, *given)
        results = results if isinstance(results, (tuple, list)) else [results]
        needs = self.context.needs_input_grad
        if len(results) < len(needs) or any(r is not None for r in results[len(needs):]):  # fmt: skip
            raise RuntimeError(f"{self.name}.backward returned {len(results)} gradients; forward had {len(needs)} inputs, "
                               "and there must be one per input (None where there is none)")  # fmt: skip
        return [self.checked(r, i, raw) for i, r in enumerate(results[: len(needs)])]

    def checked(self, result, i, raw):
        """One gradient: a tensor of the input's shape, an array if the engine works on arrays."""
        if not self.context.needs_input_grad[i]:
            return None
        shape, dtype = self.context._shapes[i]
        if result is None:
            result = Tensor(np.zeros(shape, dtype), None)
        if not isinstance(result, Tensor):
            raise TypeError(f"{self.name}.backward: gradient {i} is {type(result).__name__}; it must be a Tensor or None")
        if not stretches(shape, result.array.shape):
            raise RuntimeError(f"{self.name}.backward: gradient {i} has shape {list(result.array.shape)}, and the input "
                               f"has shape {list(shape)}; they must be the same")  # fmt: skip
        result = result.astype(dtype)
        return result.array if raw else result


def stretches(shape, wider):
    """True if an array of the first shape can be broadcast to the second: a gradient of that shape can be summed."""
    lead = len(wider) - len(shape)
    return lead >= 0 and all(n == m or n == 1 for n, m in zip(shape, wider[lead:]))


class Function:
    """A differentiable function with a derivative of your own, in PyTorch's form.

    >>> import tinygrad_edu as tg
    >>> class Cube(tg.autograd.Function):
    ...     @staticmethod
    ...     def forward(ctx, x):
    ...         ctx.save_for_backward(x)
    ...         return x**3
    ...     @staticmethod
    ...     def backward(ctx, g):
    ...         (x,) = ctx.saved_tensors
    ...         return g * 3 * x**2
    >>> x = tg.tensor(2.0, requires_grad=True)
    >>> Cube.apply(x).backward(); x.grad
    tensor(12.)
    """

    @staticmethod
    def forward(ctx, *args, **kwargs):
        """Compute the result from tensors; keep in `ctx` what `backward` will need."""
        raise NotImplementedError("a Function needs a static method forward(ctx, …)")

    @staticmethod
    def backward(ctx, *gradients):
        """Return one gradient per input of `forward`, given the gradients of its results."""
        raise NotImplementedError("a Function needs a static method backward(ctx, g)")

    @classmethod
    def apply(cls, *args, **kwargs):
        """Call `forward`, and remember `backward` as its derivative."""
        parents = tuple(a.node if isinstance(a, Tensor) else None for a in args)
        tracked = modes.state.grad and any(p is not None for p in parents)
        context = Context(tuple(p is not None for p in parents))
        context._parents = parents
        context._shapes = [(a.array.shape, a.dtype) if isinstance(a, Tensor) else None for a in args]
        with modes.no_grad():
            if hasattr(cls, "setup_context"):
                results = cls.forward(*args, **kwargs)
                cls.setup_context(context, args, results)
            else:
                results = cls.forward(context, *args, **kwargs)
        several = isinstance(results, tuple)
        outputs = results if several else (results,)
        dirty = [any(r is t for t in context.dirty_tensors) for r in outputs]
        if sum(dirty) < len(context.dirty_tensors):
            raise RuntimeError(f"{cls.__name__}: an input given to mark_dirty must be returned by forward too")
        if not any(isinstance(r, Tensor) for r in outputs):
            if tracked:
                raise TypeError(f"{cls.__name__}.forward must return a Tensor, or a tuple with Tensors in it")
            return results
        arrays = [array_of(a) for a in args]
        if modes.special and modes.state.anomaly:
            for r in filter(is_tensor, outputs):
                check_result(cls.__name__, "function", r.array, arrays, kwargs, args, [f"input {i}" for i in range(len(args))])
        if not tracked:
            finished = [unlinked(r) if is_tensor(r) and not changed else r for r, changed in zip(outputs, dirty)]
            return tuple(finished) if several else finished.pop()
        kinds = [(r.array.shape, r.dtype) if is_tensor(r) else None for r in outputs]
        inputs = {id(a) for a in args} - {id(t) for t in context.dirty_tensors}
        made = {id(r): k if several else None for k, r in enumerate(outputs) if id(r) not in inputs}
        made = {i: made[id(t)] for i, t in enumerate(context.to_save) if id(t) in made}
        context.to_save = tuple(Tensor(t.array, None) if i in made else guarded(t) for i, t in enumerate(context.to_save))
        context.to_save = pack_tensors(context.to_save)
        bridge = Bridge(cls, context, len(args), kinds)
        # the last one belongs to no parent: the engine passes it to no rule, but guards it against writes
        saved = [*(() if p is not None else None for p in parents), context.to_save]
        node = Node(bridge, parents, saved, {}, *(kinds[0] if not several else ((), next(filter(None, kinds))[1])))
        context._results = weakref.ref(node), made
        watched = modes.special and (modes.state.anomaly or modes.state.recording)
        if watched:
            bridge.arguments = (args, kwargs) if modes.state.recording else None  # gradcheck calls this one step again
            record(node, None if several else results.array, arrays, args)
        finished = []
        for k, (r, changed) in enumerate(zip(outputs, dirty)):
            if not is_tensor(r):
                finished.append(r)
                continue
            if r.dtype.kind not in {"f", "c"} or any(r is u for u in context.non_differentiable):
                finished.append(unlinked(r))
                continue
            origin = part_of(r, node, k) if several else node
            if several and watched:
                record(origin, r.array, (), ())
            if changed:
                memory.check_update(r, f"{cls.__name__}, mark_dirty")
                memory.rebind(r, origin)
            finished.append(r if changed else Tensor(memory_of(r, arrays), origin))
        context.dirty_tensors = ()  # these hold the node, which holds the context
        return tuple(finished) if several else finished.pop()


class Select(Bridge):
    """Output number `k` of a Function with several outputs."""

    together = None  # type: ignore[assignment]

    def __init__(self, name, k):
        self.name, self.doc, self.formula, self.keeps_values = f"{name}[{k}]", "", f"output {k} of {name}", False
        self.position = k
        self.rules = self.pullbacks = (lambda g: Parts({k: g}),)
        self.wants = ((),)


def part_of(result, node, k):
    """The node of output `k`, whose gradient travels to the node of the whole Function."""
    return Node(Select(node.op.name, k), (node,), [()], {}, result.array.shape, result.dtype)


def unlinked(result):
    """A result that is a constant: without its history, if it is an input that forward returned."""
    return result if result.node is None else memory.alias(result)


def memory_of(result, arrays):
    """The array of a result; a copy of one that shares memory with an input, so that no update in place changes both."""
    shared = any(isinstance(a, np.ndarray) and memory.owner(a) is memory.owner(result.array) for a in arrays)
    return result.array.copy() if shared else result.array


def guarded(value):
    """A saved tensor; a copy of one whose memory the user has as a NumPy array too, and may write to unseen."""
    return Tensor(value.array.copy(), None) if isinstance(value, Tensor) and held_by_user(value) else value


def historic(result, node, k):
    """A saved result as the tensor that came out: its only output (k is None), or output `k`."""
    return Tensor(result.array, node if k is None else part_of(result, node, k))


class Refusal(Bridge):
    """What follows a `backward` that is marked once_differentiable: a step without a derivative."""

    together = None  # type: ignore[assignment]

    name = doc = formula = "once_differentiable"
    keeps_values = False

    def __init__(self, count):
        self.rules = self.pullbacks = (refuse,) * count
        self.wants = ((),) * count


def refuse(g):
    raise RuntimeError("this Function's backward is marked once_differentiable: it has no second derivative")


def once_differentiable(backward):
    """Mark a `backward` that cannot itself be differentiated: it runs without a graph, and gradients of its gradients are refused."""

    def wrapped(ctx, *gradients):
        with modes.no_grad():
            results = backward(ctx, *gradients)
        parents = ctx._parents + tuple(g.node for g in gradients if isinstance(g, Tensor))

        def refusing(r):
            return Tensor(r.array, Node(Refusal(len(parents)), parents, [()] * len(parents), {}, r.array.shape, r.dtype)) if isinstance(r, Tensor) else r

        return tuple(map(refusing, results)) if isinstance(results, (tuple, list)) else refusing(results)

    return wrapped
