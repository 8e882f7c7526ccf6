"""Calls between hooks: what a Module's call does where hooks are registered or a picture is recorded."""

import weakref

import numpy as np

from ..autograd import modes
from ..autograd.function import Function
from ..autograd.grad_fn import RemovableHandle
from ..autograd.tensor import Tensor

EVERYWHERE: dict = {"_forward_pre_hooks": {}, "_forward_hooks": {}, "_backward_hooks": {}}  # hooks that all modules call
OPTIONS: dict = {}  # id of a handle → how its hook wants to be called


AROUND_CALLS = ("_forward_pre_hooks", "_forward_hooks", "_backward_pre_hooks", "_backward_hooks")


class HookHandle(RemovableHandle):
    """A handle after whose removal calls take the short way again, where no hook is left."""

    def __init__(self, registered, owner):
        super().__init__(registered)
        self.owner = weakref.ref(owner)  # a Module, or the class Module for hooks of all modules

    def remove(self):
        """Take the registration back."""
        super().remove()
        owner = self.owner()
        if isinstance(owner, type):
            owner._hooked = any(EVERYWHERE.values())
        elif owner is not None and not any(map(owner.__dict__.get, AROUND_CALLS)):
            owner.__dict__.pop("_hooked", None)


def add_hook(module, table, hook, prepend=False, **options):
    """Register a hook in one of the module's tables and return its handle."""
    hooks = module.__dict__.setdefault(table, {})
    handle = HookHandle(hooks, module)
    if any(options.values()):
        OPTIONS[handle.id] = options
    if prepend:
        later = dict(hooks)
        hooks.clear()
        hooks[handle.id] = hook
        hooks.update(later)
    else:
        hooks[handle.id] = hook
    if table in AROUND_CALLS:
        module.__dict__["_hooked"] = True
    return handle


def add_hook_everywhere(table, hook):
    """Register a hook that all modules call, before their own, and return its handle."""
    from .module import Module

    handle = HookHandle(EVERYWHERE[table], Module)
    EVERYWHERE[table][handle.id] = hook
    Module._hooked = True
    return handle


def register_module_forward_pre_hook(hook):
    """Call `hook(module, args)` before every module's forward."""
    return add_hook_everywhere("_forward_pre_hooks", hook)


def register_module_forward_hook(hook, *, with_kwargs=False, always_call=False):
    """Call `hook(module, args, output)` after every module's forward."""
    return add_hook_everywhere("_forward_hooks", hook)


def register_module_full_backward_hook(hook):
    """Call `hook(module, grad_input, grad_output)` when the gradients of any module's inputs are computed."""
    return add_hook_everywhere("_backward_hooks", hook)


def hooks_of(module, table):
    """The hooks of one table, in the order in which they are called."""
    return list(module.__dict__.get(table, {}).values())


def with_options(module, table):
    """(id, hook, how it wants to be called) of one table, those of all modules first."""
    hooks = [*EVERYWHERE[table].items(), *module.__dict__.get(table, {}).items()]
    return [(key, hook, OPTIONS.get(key, {})) for key, hook in hooks]


def call_with_hooks(module, args, kwargs):
    """`forward` between the hooks; pictures learn here which module computes."""
    before = modes.state.module
    modes.state.module = (*before, module)
    try:
        for _, hook, options in with_options(module, "_forward_pre_hooks"):
            with_kwargs = options.get("with_kwargs")
            changed = hook(module, args, kwargs) if with_kwargs else hook(module, args)
            if changed is None:
                continue
            if not with_kwargs:
                args = changed if isinstance(changed, tuple) else (changed,)
            elif isinstance(changed, tuple) and len(changed) == 2:
                args, kwargs = changed
            else:
                raise RuntimeError(f"a forward pre-hook with kwargs must return None or (args, kwargs), got {type(changed).__name__}")
        backward = [*EVERYWHERE["_backward_hooks"].values(), *hooks_of(module, "_backward_hooks")]
        watch = Watch(module, backward) if backward or hooks_of(module, "_backward_pre_hooks") else None
        if watch:
            args = watch.inputs(args)
        called = set()
        try:
            out = module.forward(*args, **kwargs)
            for key, hook, options in with_options(module, "_forward_hooks"):
                called.add(key)
                changed = hook(module, args, kwargs, out) if options.get("with_kwargs") else hook(module, args, out)
                out = out if changed is None else changed
        except Exception:
            for key, hook, options in with_options(module, "_forward_hooks"):
                if options.get("always_call") and key not in called:
                    hook(module, args, kwargs, None) if options.get("with_kwargs") else hook(module, args, None)
            raise
        return watch.outputs(out) if watch else out
    finally:
        modes.state.module = before


class Gate(Function):
    """A place that tensors pass together; on the way back, a function sees and may replace all their gradients at once"""

    @staticmethod
    def forward(ctx, passed, *tensors):
        """Copies, so that what is computed from them is what passed here."""
        ctx.passed = passed
        ctx.set_materialize_grads(False)
        return tuple(t.clone() for t in tensors)

    @staticmethod
    def backward(ctx, *gradients):
        """What the function makes of the gradients."""
        return None, *ctx.passed(gradients)


class Watch:
    """One call of a module whose backward hooks want the gradients of its inputs and outputs."""

    def __init__(self, module, hooks):
        self.module, self.hooks = module, hooks
        self.given: tuple = ()
        self.watched: list = []
        self.grad_outputs: tuple | None = None

    def through(self, values, passed):
        """The values, those in the graph as copies that came through one gate, and where those are."""
        places = [i for i, t in enumerate(values) if isinstance(t, Tensor) and t.node is not None and modes.state.grad]
        if places:
            copies = Gate.apply(passed, *(values[i] for i in places))
            values = [copies[places.index(i)] if i in places else t for i, t in enumerate(values)]
        return values, places

    def inputs(self, args):
        """The arguments, each tensor in the graph as a watched copy."""
        self.given = args
        values, self.watched = self.through(args, self.on_inputs)
        return tuple(values)

    def outputs(self, out):
        """The results, each tensor in the graph as a watched copy."""
        several = isinstance(out, (tuple, list))
        if not several and not isinstance(out, Tensor):
            return out
        results = out if several else (out,)

        def passed(gradients):
            return self.on_outputs(gradients, places, len(results))

        values, places = self.through(results, passed)
        if not several:
            return values[0]
        return type(out)(*values) if hasattr(out, "_fields") else type(out)(values)

    def on_outputs(self, gradients, places, count):
        """The pre-hooks see, and may replace, the gradients of the results; without watched inputs the hooks are called here."""
        known = dict(zip(places, gradients))
        grads = tuple(known.get(i) for i in range(count))
        for hook in hooks_of(self.module, "_backward_pre_hooks"):
            changed = hook(self.module, grads)
            if changed is not None:
                grads = changed if isinstance(changed, tuple) else (changed,)
                if len(grads) != count:
                    raise RuntimeError(f"a backward pre-hook returned {len(grads)} gradients; the module has {count} results")
        self.grad_outputs = grads
        if not self.watched:
            for hook in self.hooks:
                changed = hook(self.module, (None,) * len(self.given), grads)
                if changed is not None and not (isinstance(changed, tuple) and all(grad is None for grad in changed)):
                    raise RuntimeError("a backward hook returned gradients for inputs of which none requires grad; return None")
        return [grads[i] for i in places]

    def on_inputs(self, gradients):
        """The hooks see, and may replace, the gradients of all inputs."""
        if self.grad_outputs is None:  # a gradient of gradients: the hooks have seen this call
            return gradients
        known = dict(zip(self.watched, gradients))
        grads = tuple(zeros_of(t) if known.get(i) is None else known[i] for i, t in enumerate(self.given))
        for hook in self.hooks:
            changed = hook(self.module, grads, self.grad_outputs)
            if changed is not None:
                grads = changed if isinstance(changed, tuple) else (changed,)
                if len(grads) != len(self.given):
                    raise RuntimeError(f"a backward hook returned {len(grads)} gradients; the module has {len(self.given)} inputs")
        self.grad_outputs = None
        return [grads[i] for i in self.watched]


def zeros_of(t):
    """The gradient of an input without one, beside inputs that have some: zeros for a tensor, as in PyTorch."""
    return Tensor(np.zeros_like(t.array), None) if isinstance(t, Tensor) and t.dtype.kind == "f" else None
