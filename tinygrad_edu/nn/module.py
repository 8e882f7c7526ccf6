"""Module: a function with parameters, found by looking at its attributes."""

import copy
import warnings
from collections import OrderedDict
from difflib import get_close_matches
from typing import NamedTuple

import numpy as np

from ..api.methods import RemovableHandle
from ..autograd import memory, modes
from ..autograd.tensor import Tensor
from .parameter import Buffer, Parameter


class IncompatibleKeys(NamedTuple):
    """What `load_state_dict(strict=False)` could not match."""

    missing_keys: list
    unexpected_keys: list


class Module:
    """A layer or a whole model: assign parameters and other modules as attributes, and define `forward`.

    >>> import tinygrad_edu as tg
    >>> class Line(tg.nn.Module):
    ...     def __init__(self):
    ...         super().__init__()
    ...         self.slope = tg.nn.Parameter(tg.tensor(2.0))
    ...     def forward(self, x):
    ...         return self.slope * x
    >>> Line()(tg.tensor(3.0))
    tensor(6., grad_fn=<MulBackward0>)
    """

    training = True
    hooked = False  # True where hooks are registered: calls then take the longer way
    buffer_names: dict = {}  # name → persistent
    empty_names: tuple = ()  # parameters and modules registered as None

    def __init__(self):
        pass

    def __init_subclass__(cls, **options):
        super().__init_subclass__(**options)

    def forward(self, *inputs):
        """Compute the result; each subclass defines it."""
        raise NotImplementedError(f"{type(self).__name__} has no forward method; define forward(self, x) in the class")

    def __call__(self, *args, **kwargs):
        try:
            if self.hooked or modes.special:
                return self.call_with_hooks(args, kwargs)
            return self.forward(*args, **kwargs)
        except Exception as error:
            name_path(error, self)
            raise

    def call_with_hooks(self, args, kwargs):
        """`forward` between the hooks; pictures learn here which module computes."""
        before = modes.state.module
        modes.state.module = (*before, self)
        try:
            for hook, with_kwargs in list(self.__dict__.get("pre_hooks", {}).values()):
                changed = hook(self, args, kwargs) if with_kwargs else hook(self, args)
                if changed is not None and with_kwargs:
                    args, kwargs = changed
                elif changed is not None:
                    args = changed if isinstance(changed, tuple) else (changed,)
            out = self.forward(*args, **kwargs)
            for hook, with_kwargs in list(self.__dict__.get("forward_hooks", {}).values()):
                changed = hook(self, args, kwargs, out) if with_kwargs else hook(self, args, out)
                out = out if changed is None else changed
            if self.__dict__.get("backward_hooks"):
                self.watch_backward(args, out)
            return out
        finally:
            modes.state.module = before

    # --- registration ------------------------------------------------------------------------------------------------

    def __setattr__(self, name, value):
        old = self.__dict__.get(name)
        if isinstance(old, Parameter) and isinstance(value, Tensor) and not isinstance(value, Parameter):
            raise TypeError(f"{type(self).__name__}.{name} = …: a parameter can be replaced only by a Parameter or None; wrap "
                            "the tensor in nn.Parameter, or overwrite its values with .data.copy_(…)")  # fmt: skip
        if isinstance(value, Buffer):
            self.register_buffer(name, Tensor(value.array, value.node), value.persistent)
            return
        if isinstance(value, (list, tuple, dict)) and value and name != "hooks":
            self.warn_of_container(name, value)
        self.__dict__[name] = value
        if isinstance(value, Module) or isinstance(old, Module):
            self.children_changed()

    def __delattr__(self, name):
        super().__delattr__(name)
        self.__dict__["buffer_names"] = {k: v for k, v in self.buffer_names.items() if k != name}
        self.children_changed()

    def warn_of_container(self, name, value):
        """A plain list of modules is not found by Module, here as in PyTorch."""
        items = list(value.values() if isinstance(value, dict) else value)
        for kind, container in ((Module, "Module"), (Parameter, "Parameter")):
            if isinstance(items[0], kind):
                form = "Dict" if isinstance(value, dict) else "List"
                warnings.warn(
                    f"{type(self).__name__}.{name} is a plain {type(value).__name__} of {container.lower()}s, and what is inside "
                    f"will be neither trained nor saved; use nn.{container}{form}({name}) instead",
                    stacklevel=4,
                )

    def children_changed(self):
        """For containers that keep a list of their children."""

    def __getattr__(self, name):
        near = get_close_matches(name, list(self.__dict__), 1)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}{hint}")

    def __dir__(self):
        return sorted({*super().__dir__(), *self.__dict__})

    def register_parameter(self, name, param):
        """Add a parameter under a name; None for one that this module does without."""
        check_name(self, name)
        if param is not None and not isinstance(param, Parameter):
            raise TypeError(f"register_parameter({name!r}): expected a Parameter or None, got {type(param).__name__}")
        setattr(self, name, param)

    def register_buffer(self, name, tensor, persistent=True):
        """Add a tensor that is saved (if persistent) and moved with the module, but not trained."""
        check_name(self, name)
        if tensor is not None and not isinstance(tensor, Tensor):
            raise TypeError(f"register_buffer({name!r}): expected a Tensor or None, got {type(tensor).__name__}")
        self.__dict__["buffer_names"] = {**self.buffer_names, name: persistent}
        self.__dict__[name] = tensor

    def register_module(self, name, module):
        """Add a child module under a name."""
        check_name(self, name)
        setattr(self, name, module)

    add_module = register_module

    # --- looking around ----------------------------------------------------------------------------------------------

    def own_parameters(self):
        """(name, parameter) of this module alone, in order of assignment."""
        return [(k, v) for k, v in self.__dict__.items() if isinstance(v, Parameter)]

    def own_buffers(self):
        """(name, buffer) of this module alone."""
        return [(k, self.__dict__[k]) for k in self.buffer_names if self.__dict__.get(k) is not None]

    def named_children(self):
        """(name, module) of the direct children, each module once."""
        seen = set()
        for name, value in list(self.__dict__.items()):
            if isinstance(value, Module) and value not in seen:
                seen.add(value)
                yield name, value

    def children(self):
        """The direct children."""
        for _, module in self.named_children():
            yield module

    def named_modules(self, memo=None, prefix="", remove_duplicate=True):
        """(path, module) of this module and all below it; the path of this one is the prefix."""
        memo = set() if memo is None else memo
        if self in memo:
            return
        if remove_duplicate:
            memo.add(self)
        yield prefix, self
        for name, child in list(self.__dict__.items()):
            if isinstance(child, Module):
                yield from child.named_modules(memo, f"{prefix}.{name}" if prefix else name, remove_duplicate)

    def modules(self):
        """This module and all below it, each once."""
        for _, module in self.named_modules():
            yield module

    def named_members(self, own, prefix, recurse, remove_duplicate):
        """(path, tensor) of parameters or buffers, each tensor once."""
        seen = set()
        for path, module in self.named_modules(prefix=prefix, remove_duplicate=remove_duplicate) if recurse else [(prefix, self)]:
            for name, tensor in own(module):
                if tensor in seen:
                    continue
                if remove_duplicate:
                    seen.add(tensor)
                yield f"{path}.{name}" if path else name, tensor

    def named_parameters(self, prefix="", recurse=True, remove_duplicate=True):
        """(path, parameter), each parameter once: what an optimizer trains."""
        return self.named_members(Module.own_parameters, prefix, recurse, remove_duplicate)

    def parameters(self, recurse=True):
        """All parameters, each once."""
        for _, parameter in self.named_parameters(recurse=recurse):
            yield parameter

    def named_buffers(self, prefix="", recurse=True, remove_duplicate=True):
        """(path, buffer), each buffer once."""
        return self.named_members(Module.own_buffers, prefix, recurse, remove_duplicate)

    def buffers(self, recurse=True):
        """All buffers, each once."""
        for _, buffer in self.named_buffers(recurse=recurse):
            yield buffer

    def get_submodule(self, target):
        """The module at a path such as "layers.0"."""
        module = self
        for name in target.split(".") if target else []:
            module = getattr(module, name)
            if not isinstance(module, Module):
                raise AttributeError(f"get_submodule({target!r}): {name!r} is a {type(module).__name__}, not a Module")
        return module

    def get_parameter(self, target):
        """The parameter at a path such as "layers.0.weight"."""
        path, _, name = target.rpartition(".")
        found = getattr(self.get_submodule(path), name)
        if not isinstance(found, Parameter):
            raise AttributeError(f"get_parameter({target!r}): that is a {type(found).__name__}, not a Parameter")
        return found

    def get_buffer(self, target):
        """The buffer at a path."""
        path, _, name = target.rpartition(".")
        module = self.get_submodule(path)
        if name not in module.buffer_names:
            raise AttributeError(f"get_buffer({target!r}): {name!r} is not a buffer")
        return getattr(module, name)

    # PyTorch's private tables, for code that reads them
    _parameters = property(lambda self: dict(self.own_parameters()))
    _buffers = property(lambda self: dict(self.own_buffers()))
    _modules = property(lambda self: {k: v for k, v in self.__dict__.items() if isinstance(v, Module)})

    # --- changing all at once ----------------------------------------------------------------------------------------

    def train(self, mode=True):
        """Switch this module and all below it to training (dropout active, batch statistics)."""
        for module in self.modules():
            module.__dict__["training"] = bool(mode)
        return self

    def eval(self):
        """Switch to evaluation: `train(False)`."""
        return self.train(False)

    def requires_grad_(self, requires_grad=True):
        """Train the parameters, or freeze them."""
        for p in self.parameters():
            p.requires_grad_(requires_grad)
        return self

    def zero_grad(self, set_to_none=True):
        """Forget all gradients."""
        for p in self.parameters():
            if p.grad is not None:
                p.grad = None if set_to_none else type(p.grad)(np.zeros_like(p.grad.array))

    def apply(self, fn):
        """Call `fn` on every module below and then on this one, as for initialisation; returns the module."""
        for module in self.children():
            module.apply(fn)
        fn(self)
        return self

    def convert(self, change):
        """Replace the array of every parameter and floating-point buffer by `change(array)`."""
        for module in self.modules():
            for _, t in [*module.own_parameters(), *module.own_buffers()]:
                if t.dtype.kind == "f":
                    grad = t.grad if t.is_leaf else None
                    t.data = Tensor(change(t.array))
                    if grad is not None:
                        t.grad = Tensor(change(grad.array))
        return self

    def to(self, *args, dtype=None, device=None, non_blocking=False, memory_format=None):
        """Convert all parameters to a dtype; the CPU is the only device."""
        wanted = Tensor(np.zeros((), np.float64)).to(*args, dtype=dtype, device=device).dtype
        given = dtype is not None or any(not isinstance(a, (str, bool)) and getattr(a, "type", None) != "cpu" for a in args)
        if not given:
            return self
        if wanted.kind != "f":
            raise TypeError(f"Module.to({wanted}): parameters must stay floating-point")
        return self.convert(lambda array: array.astype(wanted))

    def float(self):
        """All parameters as float32."""
        return self.to(np.float32)

    def double(self):
        """All parameters as float64."""
        return self.to(np.float64)

    def half(self):
        """All parameters as float16."""
        return self.to(np.float16)

    def cpu(self):
        """The module itself: everything lives on the CPU."""
        return self

    def cuda(self, device=None):
        """Refused: everything lives on the CPU."""
        raise RuntimeError('cuda(): modules live on the CPU here; use .to("cpu"), or nothing at all')

    def share_memory(self):
        """The module itself: threads share memory as it is."""
        return self

    # --- hooks -------------------------------------------------------------------------------------------------------

    def add_hook(self, table, hook, prepend=False):
        """Register a hook in a table and return its handle."""
        hooks = self.__dict__.setdefault(table, {})
        handle = RemovableHandle(hooks)
        if prepend:
            later = dict(hooks)
            hooks.clear()
            hooks[handle.id] = hook
            hooks.update(later)
        else:
            hooks[handle.id] = hook
        self.__dict__["hooked"] = True
        return handle

    def register_forward_pre_hook(self, hook, *, prepend=False, with_kwargs=False):
        """Call `hook(module, args)` before `forward`; what it returns, if anything, replaces the arguments."""
        return self.add_hook("pre_hooks", (hook, with_kwargs), prepend)

    def register_forward_hook(self, hook, *, prepend=False, with_kwargs=False, always_call=False):
        """Call `hook(module, args, output)` after `forward`; what it returns, if anything, replaces the output."""
        return self.add_hook("forward_hooks", (hook, with_kwargs), prepend)

    def register_full_backward_hook(self, hook, prepend=False):
        """Call `hook(module, grad_input, grad_output)` when the gradients of this module's inputs are computed."""
        return self.add_hook("backward_hooks", hook, prepend)

    register_backward_hook = register_full_backward_hook

    def watch_backward(self, args, out):
        """Hang hooks on the tensors that enter and leave, which call the module's backward hooks."""
        outputs = [t for t in (out if isinstance(out, (tuple, list)) else (out,)) if isinstance(t, Tensor)]
        inputs = [t for t in args if isinstance(t, Tensor)]
        seen_out: dict = {}
        seen_in: dict = {}
        watched = [t for t in inputs if t.node is not None]

        def call(replace):
            given = tuple(seen_in.get(i) for i in range(len(inputs)))
            for hook in list(self.__dict__["backward_hooks"].values()):
                changed = hook(self, given, tuple(seen_out.get(i) for i in range(len(outputs))))
                if changed is not None:
                    given = changed if isinstance(changed, tuple) else (changed,)
            return given[replace] if replace is not None else None

        def on_input(i):
            def hook(g):
                seen_in[i] = g
                if len(seen_in) == len(watched):
                    return call(i)
                return None

            return hook

        def on_output(i):
            def hook(g):
                seen_out[i] = g
                if not watched:
                    call(None)

            return hook

        for i, t in enumerate(outputs):
            if t.node is not None:
                t.register_hook(on_output(i))
        for i, t in enumerate(inputs):
            if t.node is not None:
                t.register_hook(on_input(i))

    # --- state -------------------------------------------------------------------------------------------------------

    def get_extra_state(self):
        """What else `state_dict` should hold: nothing, unless a class says so."""
        return None

    def state_dict(self, *, destination=None, prefix="", keep_vars=False):
        """All parameters and persistent buffers by path, as tensors that share their memory."""
        result = OrderedDict() if destination is None else destination
        for path, module in self.named_modules(prefix=prefix.rstrip("."), remove_duplicate=False):
            for name, t in [*module.own_parameters(), *(b for b in module.own_buffers() if module.buffer_names[b[0]])]:
                result[f"{path}.{name}" if path else name] = t if keep_vars else memory.alias(t)
        return result

    def load_state_dict(self, state_dict, strict=True, assign=False):
        """Overwrite all parameters and buffers; checks everything first and names every problem at once."""
        own = self.state_dict(keep_vars=True)
        missing = [k for k in own if k not in state_dict]
        unexpected = [k for k in state_dict if k not in own]
        problems = []
        if strict:
            for k in missing:
                near = get_close_matches(k, unexpected, 1)
                problems.append(f"missing key {k!r}" + (f" (there is an unexpected {near[0]!r})" if near else ""))
            problems += [f"unexpected key {k!r}" for k in unexpected]
        for k, target in own.items():
            value = state_dict.get(k)
            if value is None:
                continue
            if not isinstance(value, (Tensor, np.ndarray, np.generic)):
                problems.append(f"{k!r} is a {type(value).__name__}, not a tensor")
            elif tuple(value.shape) != tuple(target.shape):
                problems.append(f"{k!r} has shape {list(value.shape)}, and the model wants {list(target.shape)}")
        if problems:
            listed = "\n  ".join(problems)
            raise RuntimeError(f"load_state_dict: the state does not fit {type(self).__name__}; nothing was changed:\n  {listed}")
        with modes.no_grad():
            for k, target in own.items():
                if k in state_dict:
                    value = state_dict[k]
                    target.copy_(value if isinstance(value, Tensor) else Tensor(np.asarray(value)))
        return IncompatibleKeys(missing, unexpected)

    def __deepcopy__(self, memo):
        new = type(self).__new__(type(self))
        memo[id(self)] = new
        for name, value in self.__dict__.items():
            new.__dict__[name] = copy.deepcopy(value, memo)
        new.children_changed()
        return new

    def __setstate__(self, state):
        self.__dict__.update(state)
        self.children_changed()

    # --- printing ----------------------------------------------------------------------------------------------------

    def extra_repr(self):
        """What `repr` shows between the parentheses, as in in_features=2, out_features=3."""
        return ""

    def __repr__(self):
        extra = self.extra_repr()
        children = [f"({name}): {indented(repr(child))}" for name, child in self.__dict__.items() if isinstance(child, Module)]
        lines = ([extra] if extra else []) + children
        if not children:
            return f"{type(self).__name__}({indented(extra)})"
        return f"{type(self).__name__}(\n  " + "\n  ".join(lines) + "\n)"


def indented(text):
    """Every line but the first moved right by two."""
    return text.replace("\n", "\n  ")


def check_name(module, name):
    """Names of parameters, buffers and modules are attributes, and parts of a path."""
    if not isinstance(name, str) or not name or "." in name:
        raise KeyError(f"{name!r} cannot be the name of a parameter, buffer or module: it must be a non-empty string without a dot")
    if hasattr(type(module), name):
        raise KeyError(f"{name!r} is already an attribute of {type(module).__name__}")


def name_path(error, module):
    """Note on an error in which module, by its path, it happened; the outermost module knows the whole path."""
    path, inner = getattr(error, "module_path", ("", module))
    if inner is not module:
        below = getattr(error, "module_last", None)
        name = next((k for k, v in module.named_modules() if v is below), None)
        path = name + ("." + path if path else "") if name else path
    try:
        error.module_path, error.module_last = (path, inner), module
        notes = [n for n in getattr(error, "__notes__", []) if not n.startswith("inside the module ")]
        label = repr(inner).partition("\n")[0].rstrip("(")
        notes.append(f"inside the module {path or '(itself)'}: {label}")
        error.__notes__ = notes
    except AttributeError:
        pass  # an error type without attributes
