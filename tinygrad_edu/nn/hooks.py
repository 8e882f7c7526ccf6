"""Calls between hooks: what a Module's call does where hooks are registered or a picture is recorded."""

import numpy as np

from ..api.methods import RemovableHandle
from ..autograd import modes
from ..autograd.tensor import Tensor
from ..ops.shapes import clone


def add_hook(module, table, hook, prepend=False):
    """Register a hook in one of the module's tables and return its handle."""
    hooks = module.__dict__.setdefault(table, {})
    handle = RemovableHandle(hooks)
    if prepend:
        later = dict(hooks)
        hooks.clear()
        hooks[handle.id] = hook
        hooks.update(later)
    else:
        hooks[handle.id] = hook
    module.__dict__["_hooked"] = True
    return handle


def hooks_of(module, table):
    """The hooks of one table, in the order in which they are called."""
    return list(module.__dict__.get(table, {}).values())


def call_with_hooks(module, args, kwargs):
    """`forward` between the hooks; pictures learn here which module computes."""
    before = modes.state.module
    modes.state.module = (*before, module)
    try:
        for hook, with_kwargs in hooks_of(module, "_pre_hooks"):
            changed = hook(module, args, kwargs) if with_kwargs else hook(module, args)
            if changed is None:
                continue
            if not with_kwargs:
                args = changed if isinstance(changed, tuple) else (changed,)
            elif isinstance(changed, tuple) and len(changed) == 2:
                args, kwargs = changed
            else:
                raise RuntimeError(f"a forward pre-hook with kwargs must return None or (args, kwargs), got {type(changed).__name__}")
        watch = Watch(module) if hooks_of(module, "_backward_hooks") or hooks_of(module, "_backward_pre_hooks") else None
        if watch:
            args = watch.inputs(args)
        called = set()
        try:
            out = module.forward(*args, **kwargs)
            for key, (hook, with_kwargs, _) in list(module.__dict__.get("_forward_hooks", {}).items()):
                called.add(key)
                changed = hook(module, args, kwargs, out) if with_kwargs else hook(module, args, out)
                out = out if changed is None else changed
        except Exception:
            for key, (hook, with_kwargs, always) in list(module.__dict__.get("_forward_hooks", {}).items()):
                if always and key not in called:
                    hook(module, args, kwargs, None) if with_kwargs else hook(module, args, None)
            raise
        return watch.outputs(out) if watch else out
    finally:
        modes.state.module = before


class Watch:
    """One call of a module whose backward hooks want the gradients of its inputs and outputs.

    Inputs and outputs pass through a copy of their own, so that their gradients are what flows through this call alone.
    """

    def __init__(self, module):
        self.module = module
        self.grad_inputs: dict = {}
        self.grad_outputs: dict = {}
        self.watched: list = []
        self.places: list = []
        self.given: tuple = ()

    def passed(self, t, i, hook):
        """A copy of a tensor that calls `hook(i, gradient)` when its gradient is there; constants pass as they are."""
        if not (isinstance(t, Tensor) and t.node is not None and modes.state.grad):
            return t
        copy = clone(t)
        copy.register_hook(lambda g: hook(i, g))
        return copy

    def inputs(self, args):
        """The arguments, each tensor in the graph as a watched copy."""
        self.given = args
        copies = [self.passed(t, i, self.on_input) for i, t in enumerate(args)]
        self.watched = [i for i, (t, copy) in enumerate(zip(args, copies)) if t is not copy]
        return tuple(copies)

    def outputs(self, out):
        """The results, each tensor in the graph as a watched copy."""
        if isinstance(out, Tensor):
            self.places = [0]
            return self.passed(out, 0, self.on_output)
        if isinstance(out, (tuple, list)):
            copies = [self.passed(t, i, self.on_output) for i, t in enumerate(out)]
            self.places = [i for i, t in enumerate(out) if isinstance(t, Tensor)]
            return type(out)(*copies) if hasattr(out, "_fields") else type(out)(copies)
        return out

    def all_outputs(self):
        return tuple(self.grad_outputs.get(i) for i in self.places)

    def on_output(self, i, g):
        """The pre-hooks see, and may replace, the gradient of a result; without watched inputs the hooks are called here."""
        self.grad_outputs[i] = g
        for hook in hooks_of(self.module, "_backward_pre_hooks"):
            changed = hook(self.module, self.all_outputs())
            if changed is not None:
                changed = changed if isinstance(changed, tuple) else (changed,)
                self.grad_outputs.update(zip(self.places, changed))
        if not self.watched:
            for hook in hooks_of(self.module, "_backward_hooks"):
                if hook(self.module, (None,) * len(self.given), self.all_outputs()) is not None:
                    raise RuntimeError("a backward hook returned gradients for inputs of which none requires grad; return None")
        return self.grad_outputs[i]

    def on_input(self, i, g):
        """When the gradients of all inputs are there, the hooks see them and may replace the last one."""
        self.grad_inputs[i] = g
        if len(self.grad_inputs) < len(self.watched):
            return None
        grads = tuple(self.grad_inputs.get(k, zeros_of(t)) for k, t in enumerate(self.given))
        for hook in hooks_of(self.module, "_backward_hooks"):
            changed = hook(self.module, grads, self.all_outputs())
            if changed is None:
                continue
            changed = changed if isinstance(changed, tuple) else (changed,)
            if any(changed[k] is not grads[k] for k in self.watched if k != i):
                raise RuntimeError("a backward hook can replace the gradient of an only input; this module has "
                                   f"{len(self.watched)}: replace their gradients with x.register_hook instead")  # fmt: skip
            grads = changed
        return grads[i]


def zeros_of(t):
    """The gradient of an input without one, beside inputs that have some: zeros for a tensor, as in PyTorch."""
    return Tensor(np.zeros_like(t.array)) if isinstance(t, Tensor) and t.dtype.kind == "f" else None
