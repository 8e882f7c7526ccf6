"""Memory for time: a part of a model that is computed again during back propagation instead of being remembered."""

import numpy as np

from ..api.random import get_rng_state, set_rng_state
from ..autograd import engine, modes
from ..autograd.function import Function
from ..autograd.node import births
from ..autograd.tensor import Tensor


def checkpoint(function, *args, use_reentrant=None, preserve_rng_state=True, context_fn=None, determinism_check="default", debug=False,
               early_stop=True, **kwargs):  # fmt: skip
    """function(*args, **kwargs), of which only inputs and result are kept: backward() computes what lies between once more

    Random numbers are the same the second time unless preserve_rng_state is False. With use_reentrant=True, as in PyTorch, nothing is
    remembered unless one of the arguments requires grad.

    >>> import tinygrad_edu as tg
    >>> x = tg.tensor([1.0, 2.0], requires_grad=True)
    >>> tg.utils.checkpoint.checkpoint(lambda x: (x * x).exp(), x, use_reentrant=False).sum().backward(); x.grad
    tensor([  5.4366, 218.3926])
    """
    tracked = any(isinstance(a, Tensor) and a.requires_grad for a in args)
    if not modes.state.grad or use_reentrant and not tracked:
        with modes.no_grad():
            return function(*args, **kwargs)
    before, state = births(), get_rng_state() if preserve_rng_state else None
    outputs = function(*args, **kwargs)
    parts = outputs if isinstance(outputs, (tuple, list)) else (outputs,)
    made = [k for k, part in enumerate(parts) if isinstance(part, Tensor) and part.node is not None and part.node.birth > before]
    if not made:
        return outputs
    sources = border([parts[k].node for k in made], before)

    def again():
        """The computation, and the number at which it begins."""
        now = get_rng_state()
        if state is not None:
            set_rng_state(state)
        try:
            with modes.enable_grad():
                number, results = births(), function(*args, **kwargs)
        finally:
            if state is not None:
                set_rng_state(now)
        return number, [results[k] if parts is outputs else results for k in made]

    stand_ins = [stand_in(node) for node in sources]
    kept = Recomputed.apply(again, tuple(parts[k].detach() for k in made), sources, *stand_ins)
    if parts is not outputs:
        return kept[0]
    replaced = dict(zip(made, kept))
    return type(outputs)(replaced.get(k, part) for k, part in enumerate(parts))


def border(roots, number):
    """The nodes up to a number from which the younger ones, that lead to the roots, were made."""
    seen, stack = set(roots), list(roots)
    while stack:
        for parent in stack.pop().parents:
            if parent is not None and parent not in seen:
                seen.add(parent)
                if parent.birth > number:
                    stack.append(parent)
    return [node for node in seen if node.birth <= number]


def stand_in(node):
    """A tensor for the node of one whose values are not needed: it only tells where gradients go."""
    return Tensor(np.broadcast_to(np.zeros((), node.dtype), node.shape), node)


class Recomputed(Function):
    """A part of the computation that is computed again for its derivative"""

    @staticmethod
    def forward(ctx, again, results, sources, *stand_ins):
        """The results that were computed already."""
        ctx.again, ctx.sources = again, sources
        return results

    @staticmethod
    def backward(ctx, *gradients):
        """Compute once more, and go back through that as far as the part begins."""
        create_graph = modes.state.grad
        begin, results = ctx.again()
        grads = {}
        for result, g in zip(results, gradients):
            g = g if create_graph else g.array
            grads[result.node] = grads[result.node] + g if result.node in grads else g
        found = dict(grads)
        for node, g in engine.backprop(found, create_graph=create_graph, retain_graph=create_graph):
            if node.birth <= begin:  # what is older belongs to the graph outside, and all gradients for it are complete
                found[node] = g
                break
        got = (found.get(node) for node in ctx.sources)
        return None, None, None, *(g if g is None or isinstance(g, Tensor) else Tensor(g, None) for g in got)


def checkpoint_sequential(functions, segments, input, use_reentrant=None, **kwargs):
    """A Sequential, or a list of functions, applied in `segments` parts: all but the last one are checkpointed"""
    functions = list(functions.children() if hasattr(functions, "children") else functions)
    size = len(functions) // segments

    def run(part):
        def forward(x):
            for function in part:
                x = function(x)
            return x

        return forward

    for k in range(segments - 1):
        input = checkpoint(run(functions[k * size : (k + 1) * size]), input, use_reentrant=use_reentrant, **kwargs)
    return run(functions[(segments - 1) * size :])(input)


__all__ = ["checkpoint", "checkpoint_sequential"]
