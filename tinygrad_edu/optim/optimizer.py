"""Optimizer: parameter groups, gradients, state; subclasses write one update."""

import warnings
from collections import defaultdict

import numpy as np

from ..autograd import memory, modes
from ..autograd.node import births
from ..autograd.tensor import Tensor


class Optimizer:
    """The base of all optimizers: a subclass gives `defaults` and `update(p, g, state, group)`, in place on arrays."""

    def __init__(self, params, defaults):
        self.defaults = dict(defaults)
        self.state = defaultdict(dict)
        self.param_groups: list = []
        self.last = self.last_step = None  # the first gradient of the step before, and when that was
        self.warned = False
        self.step_hooks: tuple = ({}, {})
        if isinstance(params, Tensor):
            raise TypeError(f"{type(self).__name__}: params must be several tensors or groups, as in [x]; got one Tensor")
        groups = list(params)
        if not groups:
            raise ValueError(f"{type(self).__name__}: the list of parameters is empty")
        for group in groups if isinstance(groups[0], dict) else [dict(params=groups)]:
            self.add_param_group(group)

    def add_param_group(self, param_group):
        """Train more parameters, with options of their own: dict(params=…, lr=…)."""
        if not isinstance(param_group, dict):
            raise TypeError(f"add_param_group: expected a dict with 'params', got {type(param_group).__name__}")
        params = param_group["params"]
        params = [params] if isinstance(params, Tensor) else list(params)
        if params and isinstance(params[0], tuple):
            param_group = {**param_group, "param_names": [n for n, _ in params]}
            params = [p for _, p in params]
        for p in params:
            if not isinstance(p, Tensor):
                raise TypeError(f"{type(self).__name__}: an optimizer trains tensors, got {type(p).__name__}")
            if not p.is_leaf:
                raise ValueError(f"{type(self).__name__}: only leaves can be trained, and one of the tensors is the result of "
                                 f"{p.node.name}; use nn.Parameter or requires_grad_()")  # fmt: skip
        known = {id(p) for group in self.param_groups for p in group["params"]}
        if len({id(p) for p in params}) < len(params) or any(id(p) in known for p in params):
            raise ValueError(f"{type(self).__name__}: some parameters appear in more than one place; each may be trained once")
        for name, default in self.defaults.items():
            if default is required and name not in param_group:
                raise ValueError(f"{type(self).__name__}: give {name}, for all parameters or for this group")
        self.param_groups.append({**self.defaults, **param_group, "params": params})

    def zero_grad(self, set_to_none=True):
        """Forget all gradients, before the next `backward()` adds to them."""
        self.last = None
        for group in self.param_groups:
            for p in group["params"]:
                if set_to_none:
                    if p.node is not None:
                        p.node.grad = None
                    else:
                        p.grad = None
                elif p.grad is not None:
                    p.grad = p.grad.detach()
                    p.grad.zero_()

    def step(self, closure=None):
        """Update every parameter that has a gradient; `closure`, if given, computes the loss anew and returns it."""
        loss = None
        if closure is not None:
            with modes.enable_grad():
                loss = closure()
        if self.step_hooks[0] or self.step_hooks[1]:
            self.call_hooks(0)
        first = None
        for group in self.param_groups:
            for p in group["params"]:
                node = p.node if p.node is not None else p.__dict__.get("thawed")
                g = None if node is None else node.grad
                if g is None:
                    continue
                if first is None:
                    first = g
                    if g is self.last and not self.warned:
                        self.warn_of_old_gradients(g)
                array = p.array
                if not isinstance(array, np.ndarray):
                    array = memory.as_memory(p)
                self.update(array, g.array, self.state[p], group)
                memory.note_write(array, "optimizer.step()")
        self.last, self.last_step = first, births()
        if self.step_hooks[1]:
            self.call_hooks(1)
        return loss

    def update(self, p, g, state, group):
        """Change the array `p` in place, given its gradient `g`; `state` is this parameter's own dict."""
        raise NotImplementedError(f"{type(self).__name__} has no update method")

    def warn_of_old_gradients(self, g):
        """The gradients still hold what the step before used: zero_grad() was forgotten."""
        written, what, _ = memory.writes.get(id(memory.owner(np.asarray(g.array))), (0, "", None))
        if written > self.last_step and what != "mul_":
            return
        self.warned = True
        warnings.warn(
            f"{type(self).__name__}.step(): the gradients still hold what the step before this one used; call zero_grad() after "
            "each step, or the gradients of all steps add up",
            stacklevel=3,
        )

    def register_step_pre_hook(self, hook):
        """Call `hook(optimizer, args, kwargs)` before each step."""
        return self.add_hook(0, hook)

    def register_step_post_hook(self, hook):
        """Call `hook(optimizer, args, kwargs)` after each step."""
        return self.add_hook(1, hook)

    def add_hook(self, which, hook):
        from ..api.methods import RemovableHandle

        handle = RemovableHandle(self.step_hooks[which])
        self.step_hooks[which][handle.id] = hook
        return handle

    def call_hooks(self, which):
        for hook in list(self.step_hooks[which].values()):
            hook(self, (), {})

    def state_dict(self):
        """Options and state as plain data: parameters by number, in order of the groups."""
        numbers, groups = {}, []
        for group in self.param_groups:
            for p in group["params"]:
                numbers[id(p)] = len(numbers)
            groups.append({k: v for k, v in group.items() if k != "params"} | {"params": [numbers[id(p)] for p in group["params"]]})
        state = {numbers[id(p)]: {k: as_saved(v) for k, v in s.items()} for p, s in self.state.items() if s}
        return {"state": state, "param_groups": groups}

    def load_state_dict(self, state_dict):
        """Continue from a `state_dict`; the groups must have as many parameters as before."""
        groups = state_dict["param_groups"]
        sizes, own = [len(g["params"]) for g in groups], [len(g["params"]) for g in self.param_groups]
        if sizes != own:
            raise ValueError(f"load_state_dict: the state has groups of {sizes} parameters, and this optimizer has {own}")
        tensors = [p for group in self.param_groups for p in group["params"]]
        numbers = [n for g in groups for n in g["params"]]
        state = defaultdict(dict)
        for n, p in zip(numbers, tensors):
            if n in state_dict["state"]:
                state[p] = {k: as_used(v, p) for k, v in state_dict["state"][n].items()}
        for group, saved in zip(self.param_groups, groups):
            group.update({k: v for k, v in saved.items() if k != "params"})
        self.state = state

    def __repr__(self):
        lines = [f"{type(self).__name__} ("]
        for i, group in enumerate(self.param_groups):
            lines.append(f"Parameter Group {i}")
            lines += [f"    {k}: {v}" for k, v in sorted(group.items()) if k != "params"]
        return "\n".join([*lines, ")"])


def as_saved(value):
    """State arrays as tensors, as PyTorch's state_dict has them."""
    return Tensor(value) if isinstance(value, np.ndarray) else value


def as_used(value, p):
    """Saved state as arrays: a copy, so that the saved one stays; laid out like the parameter."""
    if isinstance(value, Tensor):
        value = value.array
    if isinstance(value, np.ndarray):
        out = np.empty_like(p.array, dtype=value.dtype) if value.shape == p.array.shape else np.empty_like(value)
        out[...] = value
        return out
    return value


required = object()  # the default of an option that must be given
