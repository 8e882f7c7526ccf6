"""Module: a function with parameters, found by looking at its attributes."""

import copy
import warnings
from collections import OrderedDict
from collections.abc import MutableMapping, Set
from difflib import get_close_matches
from typing import NamedTuple

import numpy as np

from ..api.create import bfloat16, check_device, dtype_of
from ..autograd import memory, modes
from ..autograd.lines import short
from ..autograd.tensor import Tensor
from .hooks import (  # noqa: F401  (PyTorch has those for all modules here)
    add_hook,
    call_with_hooks,
    hooks_of,
    register_module_forward_hook,
    register_module_forward_pre_hook,
    register_module_full_backward_hook,
)
from .parameter import Buffer, Parameter


class IncompatibleKeys(NamedTuple):
    """What `load_state_dict(strict=False)` could not match."""

    missing_keys: list
    unexpected_keys: list

    def __repr__(self):
        if not self.missing_keys and not self.unexpected_keys:
            return "<All keys matched successfully>"
        return f"_IncompatibleKeys(missing_keys={self.missing_keys}, unexpected_keys={self.unexpected_keys})"


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

    _version = 1  # of the entries of this class in states: what `_load_from_state_dict` gets told, to convert older ones
    _hooked = False  # True where hooks are registered: calls then take the longer way
    _kept_buffers: dict = {}  # the buffers: name → whether state_dict has it
    _vacant: dict = {}  # parameters and modules registered as None: name → Parameter or Module
    _registered: Set[str] = frozenset()  # the names under which parameters and modules were assigned; others, put past __setattr__, do not count

    def __init__(self):
        self.__dict__["training"] = True

    def forward(self, *inputs):
        """Compute the result; each subclass defines it."""
        raise NotImplementedError(f"{type(self).__name__} has no forward method; define forward(self, x) in the class")

    def __call__(self, *args, **kwargs):
        try:
            if self._hooked or modes.special and (modes.state.recording or modes.state.anomaly):
                return call_with_hooks(self, args, kwargs)
            return self.forward(*args, **kwargs)
        except Exception as error:
            name_path(error, self)
            raise

    def _fused_with(self, following):
        """A function that does this layer's step and the following one's at once, or None; Sequential asks for it."""
        return None

    # --- registration ------------------------------------------------------------------------------------------------

    def __setattr__(self, name, value):
        held = self.__dict__
        if isinstance(value, (Parameter, Module)):
            if "training" not in held:
                raise AttributeError(f"{type(self).__name__}.{name} = …: a module keeps its parameters and modules from Module.__init__ on; "
                                     "call super().__init__() first")  # fmt: skip
            (self._parameters if isinstance(value, Parameter) else self._modules)[name] = value
        elif isinstance(value, Buffer):
            self.register_buffer(name, Tensor(value.array, value.node), value.persistent)
        elif name in self._registered and isinstance(held.get(name), (Parameter, Module)) or name in self._vacant:
            vacate(self, name, value)
        elif name in self._kept_buffers:
            if value is not None and not isinstance(value, Tensor):
                raise TypeError(f"{type(self).__name__}.{name} = …: a buffer can be replaced only by a tensor or None, not by a "
                                f"{type(value).__name__}")  # fmt: skip
            held[name] = value
        else:
            if isinstance(value, (list, tuple, dict)) and value:
                warn_of_container(self, name, value)
            super().__setattr__(name, value)

    def __delattr__(self, name):
        super().__delattr__(name)
        forget(self, name)
        self._children_changed()

    def _children_changed(self):
        """For containers that keep a list of their children."""

    def __getattr__(self, name):
        found = getattr(type(self), name, None)
        if isinstance(found, property) and found.fget is not None:
            return found.fget(self)  # the property itself failed: show its own error
        near = get_close_matches(name, list(self.__dict__), 1)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}{hint}", name=name, obj=self)

    def __dir__(self):
        return sorted({*super().__dir__(), *self.__dict__})

    def register_parameter(self, name, param):
        """Add a parameter under a name; None for one that this module does without."""
        check_name(self, name, self._parameters)
        if param is not None and not isinstance(param, Parameter):
            raise TypeError(f"register_parameter({name!r}): expected a Parameter or None, got {type(param).__name__}")
        self._parameters[name] = param

    def register_buffer(self, name, tensor, persistent=True):
        """Add a tensor that is saved (if persistent) and moved with the module, but not trained."""
        check_name(self, name, self._kept_buffers)
        if tensor is not None and not isinstance(tensor, Tensor):
            raise TypeError(f"register_buffer({name!r}): expected a Tensor or None, got {type(tensor).__name__}")
        if name not in self._kept_buffers:
            self.__dict__.pop(name, None)
        self.__dict__["_kept_buffers"] = {**self._kept_buffers, name: bool(persistent)}
        self.__dict__[name] = tensor

    def register_module(self, name, module):
        """Add a child module under a name."""
        check_name(self, name, self._modules)
        if module is not None and not isinstance(module, Module):
            raise TypeError(f"register_module({name!r}): expected a Module or None, got {type(module).__name__}")
        self._modules[name] = module

    add_module = register_module

    # --- looking around ----------------------------------------------------------------------------------------------

    def named_children(self):
        """(name, module) of the direct children, each module once."""
        seen = set()
        for name, value in own_modules(self):
            if value not in seen:
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
        for name, child in own_modules(self):
            yield from child.named_modules(memo, f"{prefix}.{name}" if prefix else name, remove_duplicate)

    def modules(self, remove_duplicate=True):
        """This module and all below it, each once."""
        for _, module in self.named_modules(remove_duplicate=remove_duplicate):
            yield module

    def _named_members(self, own, prefix="", recurse=True, remove_duplicate=True):
        """(path, tensor) of what `own(module)` lists for each module, each tensor once."""
        seen = set()
        for path, module in self.named_modules(prefix=prefix, remove_duplicate=remove_duplicate) if recurse else [(prefix, self)]:
            for name, tensor in own(module):
                if tensor is None or tensor in seen:
                    continue
                if remove_duplicate:
                    seen.add(tensor)
                yield f"{path}.{name}" if path else name, tensor

    def named_parameters(self, prefix="", recurse=True, remove_duplicate=True):
        """(path, parameter), each parameter once: what an optimizer trains."""
        return self._named_members(own_parameters, prefix, recurse, remove_duplicate)

    def parameters(self, recurse=True):
        """All parameters, each once."""
        for _, parameter in self.named_parameters(recurse=recurse):
            yield parameter

    def named_buffers(self, prefix="", recurse=True, remove_duplicate=True):
        """(path, buffer), each buffer once."""
        return self._named_members(own_buffers, prefix, recurse, remove_duplicate)

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
        if name not in module._kept_buffers:
            raise AttributeError(f"get_buffer({target!r}): {name!r} is not a buffer")
        return getattr(module, name)

    def set_submodule(self, target, module, strict=False):
        """Put a module at a path such as "layers.0"."""
        path, _, name = target.rpartition(".")
        parent = self.get_submodule(path)
        if not name or strict and name not in parent._modules:
            raise AttributeError(f"set_submodule({target!r}): there is no module at that path")
        setattr(parent, name, module)

    # the tables under the names that PyTorch programs read and write; they show, and change, the attributes themselves
    _parameters = property(lambda self: Table(self, Parameter))
    _buffers = property(lambda self: Table(self, None))
    _modules = property(lambda self: Table(self, Module))
    _forward_pre_hooks = property(lambda self: self.__dict__.setdefault("_forward_pre_hooks", {}))
    _forward_hooks = property(lambda self: self.__dict__.setdefault("_forward_hooks", {}))
    _backward_hooks = property(lambda self: self.__dict__.setdefault("_backward_hooks", {}))

    # --- changing all at once ----------------------------------------------------------------------------------------

    def train(self, mode=True):
        """Switch this module and all below it to training (dropout active, batch statistics)."""
        if not isinstance(mode, bool):
            raise ValueError(f"train(mode): expected True or False, got {mode!r}")
        self.training = mode
        for module in self.children():
            module.train(mode)
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

    def _apply(self, fn, recurse=True):
        """Replace the values of every parameter and buffer, and of the gradients, by `fn(tensor)`."""
        for child in self.children() if recurse else ():
            child._apply(fn)  # a child may have its own, which converts tensors that are no buffers
        with modes.no_grad():
            for name, t in own_buffers(self):
                self.__dict__[name] = fn(t)
            for _, t in own_parameters(self):
                grad = t.grad if t.is_leaf else None
                new = fn(t.detach())
                if new.array is not t.array:
                    t.data = new
                if grad is not None:
                    t.grad = fn(grad)
        return self

    def to(self, *args, dtype=None, device=None, non_blocking=False, memory_format=None):
        """Convert all parameters to a dtype; the CPU is the only device. On "meta" a model keeps its numbers, for functional_call to replace."""
        if device == "meta" or "meta" in [a for a in args if isinstance(a, str)]:
            return self
        wanted = Tensor(np.zeros((), np.float64), None).to(*args, dtype=dtype, device=device).dtype
        given = dtype is not None or any(not isinstance(a, (str, bool)) and getattr(a, "type", None) != "cpu" for a in args)
        if not given:
            return self
        if wanted.kind != "f":
            raise TypeError(f"Module.to({wanted}): parameters must stay floating-point")
        return self._apply(lambda t: t.astype(wanted) if t.dtype.kind == "f" else t)

    def type(self, dst_type):
        """All parameters and buffers in one dtype."""
        wanted = dtype_of(dst_type)
        return self._apply(lambda t: t.astype(wanted))

    def float(self):
        """All parameters as float32."""
        return self.to(np.float32)

    def double(self):
        """All parameters as float64."""
        return self.to(np.float64)

    def half(self):
        """All parameters as float16."""
        return self.to(np.float16)

    def bfloat16(self):
        """Refused: NumPy has no numbers of this type."""
        return self.to(bfloat16)

    def compile(self, *args, **kwargs):
        """Nothing changes: modules compute the same numbers compiled or not, as with `compile`."""

    def cpu(self):
        """The module itself: everything lives on the CPU."""
        return self

    def cuda(self, device=None):
        """Refused: everything lives on the CPU."""
        raise RuntimeError('cuda(): modules live on the CPU here; use .to("cpu"), or nothing at all')

    def to_empty(self, *, device, recurse=True):
        """The module itself: everything lives on the CPU, where it has its values."""
        check_device(device)
        return self

    def share_memory(self):
        """The module itself: threads share memory as it is."""
        return self

    # --- hooks -------------------------------------------------------------------------------------------------------

    def register_forward_pre_hook(self, hook, *, prepend=False, with_kwargs=False):
        """Call `hook(module, args)` before `forward`; what it returns, if anything, replaces the arguments."""
        return add_hook(self, "_forward_pre_hooks", hook, prepend, with_kwargs=with_kwargs)

    def register_forward_hook(self, hook, *, prepend=False, with_kwargs=False, always_call=False):
        """Call `hook(module, args, output)` after `forward`; what it returns, if anything, replaces the output."""
        return add_hook(self, "_forward_hooks", hook, prepend, with_kwargs=with_kwargs, always_call=always_call)

    def register_full_backward_hook(self, hook, prepend=False):
        """Call `hook(module, grad_input, grad_output)` when the gradients of this module's inputs are computed."""
        return add_hook(self, "_backward_hooks", hook, prepend)

    register_backward_hook = register_full_backward_hook

    def register_full_backward_pre_hook(self, hook, prepend=False):
        """Call `hook(module, grad_output)` before this module's gradients are computed; it may return another grad_output."""
        return add_hook(self, "_backward_pre_hooks", hook, prepend)

    def register_state_dict_pre_hook(self, hook):
        """Call `hook(module, prefix, keep_vars)` before `state_dict` looks at this module."""
        return add_hook(self, "_state_dict_pre_hooks", hook)

    def register_state_dict_post_hook(self, hook):
        """Call `hook(module, state_dict, prefix, local_metadata)` when `state_dict` is done with this module."""
        return add_hook(self, "_state_dict_hooks", hook)

    _register_state_dict_hook = register_state_dict_post_hook

    def register_load_state_dict_pre_hook(self, hook):
        """Call `hook(module, state_dict, prefix, local_metadata, strict, missing, unexpected, errors)` before loading."""
        return add_hook(self, "_load_pre_hooks", (hook, True))

    def _register_load_state_dict_pre_hook(self, hook, with_module=False):
        return add_hook(self, "_load_pre_hooks", (hook, with_module))

    def register_load_state_dict_post_hook(self, hook):
        """Call `hook(module, incompatible_keys)` after loading; it may take keys out of the two lists."""
        return add_hook(self, "_load_post_hooks", hook)

    # --- state -------------------------------------------------------------------------------------------------------

    def get_extra_state(self):
        """What else `state_dict` should hold, under the key "_extra_state": a class that has some says so here."""
        raise RuntimeError(f"{type(self).__name__} has no extra state; define get_extra_state and set_extra_state together")

    def set_extra_state(self, state):
        """Take back what `get_extra_state` gave."""
        raise RuntimeError(f"{type(self).__name__} has no set_extra_state to take the extra state of the state_dict")

    def state_dict(self, *args, destination=None, prefix="", keep_vars=False):
        """All parameters and persistent buffers by path, as tensors that share their memory."""
        for name, value in zip(("destination", "prefix", "keep_vars"), args):  # PyTorch's former positions
            destination, prefix, keep_vars = (value if name == k else v for k, v in
                                              (("destination", destination), ("prefix", prefix), ("keep_vars", keep_vars)))  # fmt: skip
        result = OrderedDict() if destination is None else destination
        if destination is None:
            result._metadata = OrderedDict()
        facts = dict(version=self._version)
        if hasattr(result, "_metadata"):
            result._metadata[prefix[:-1]] = facts
        for hook in hooks_of(self, "_state_dict_pre_hooks"):
            hook(self, prefix, keep_vars)
        self._save_to_state_dict(result, prefix, keep_vars)
        for name, child in own_modules(self):
            child.state_dict(destination=result, prefix=f"{prefix}{name}.", keep_vars=keep_vars)
        for hook in hooks_of(self, "_state_dict_hooks"):
            changed = hook(self, result, prefix, facts)
            result = result if changed is None else changed
        return result

    def _save_to_state_dict(self, destination, prefix, keep_vars):
        """Enter what belongs to this module alone."""
        for name, t in own_state(self):
            destination[prefix + name] = t if keep_vars else memory.alias(t)
        if type(self).get_extra_state is not Module.get_extra_state:
            destination[f"{prefix}_extra_state"] = self.get_extra_state()

    def load_state_dict(self, state_dict, strict=True, assign=False):
        """Overwrite all parameters and buffers; checks everything first and names every problem at once.

        assign=True puts the given tensors in place of the model's, instead of copying their values.
        """
        if not hasattr(state_dict, "keys"):
            raise TypeError(f"load_state_dict: expected a dictionary of tensors, got {type(state_dict).__name__}")
        versions = getattr(state_dict, "_metadata", {})
        state_dict, missing, unexpected, problems = OrderedDict(state_dict), [], [], []
        alone = {}  # modules that load all of their own by themselves, and the beginning of their keys

        def prefixed():
            return ((f"{path}." if path else "", module) for path, module in self.named_modules(remove_duplicate=False))

        for prefix, module in prefixed():
            facts = dict(versions.get(prefix[:-1], {}))
            for hook, with_module in hooks_of(module, "_load_pre_hooks"):
                arguments = (state_dict, prefix, facts, True, missing, unexpected, problems)
                hook(module, *arguments) if with_module else hook(*arguments)
            if type(module)._load_from_state_dict is not Module._load_from_state_dict:
                module._load_from_state_dict(state_dict, prefix, facts, True, missing, unexpected, problems)
                if "usual" not in facts:
                    alone[prefix] = module
        places = {prefix + name: (module, name, t) for prefix, module in prefixed() if prefix not in alone for name, t in own_state(module)}
        extras = {f"{prefix}_extra_state": module for prefix, module in prefixed()
                  if type(module).set_extra_state is not Module.set_extra_state
                  or type(module).get_extra_state is not Module.get_extra_state}  # fmt: skip
        missing += [k for k in (*places, *extras) if k not in state_dict]
        unexpected += [k for k in state_dict if k not in places and k not in extras
                       and not any(k.startswith(prefix) and k[len(prefix) :].partition(".")[0] not in module._modules
                                   for prefix, module in alone.items())]  # fmt: skip
        values = {}
        for k, (_, _, target) in places.items():
            if k in state_dict:
                value = state_dict[k]
                if isinstance(value, (np.ndarray, np.generic)):
                    value = Tensor(np.asarray(value), None)
                if not isinstance(value, Tensor):
                    problems.append(f"{k!r} is a {type(value).__name__}, not a tensor")
                elif value.array.shape != target.array.shape and not (value.array.shape == (1,) and target.ndim == 0):
                    problems.append(f"{k!r} has shape {list(value.shape)}, and the model wants {list(target.shape)}")
                values[k] = value
        if strict:
            for k in missing:
                near = get_close_matches(k, unexpected, 1)
                problems.append(f"missing key {k!r}" + (f" (there is an unexpected {near[0]!r})" if near else ""))
            problems += [f"unexpected key {k!r}" for k in unexpected]
        if problems:
            listed = "\n  ".join(problems)
            raise RuntimeError(f"load_state_dict: the state does not fit {type(self).__name__}; nothing was changed:\n  {listed}")
        with modes.no_grad():
            for k, value in values.items():
                put(*places[k], value, assign)
            for k, module in extras.items():
                if k in state_dict:
                    module.set_extra_state(state_dict[k])
        result = IncompatibleKeys(missing, unexpected)
        for module in self.modules():
            for hook in hooks_of(module, "_load_post_hooks"):
                hook(module, result)
        if strict and (missing or unexpected):
            raise RuntimeError(f"load_state_dict: missing keys {missing}, unexpected keys {unexpected}")
        return result

    def _load_from_state_dict(self, state_dict, prefix, local_metadata, strict, missing_keys, unexpected_keys, error_msgs):
        """What a subclass overrides to rename or convert entries of a state before it is loaded, and then calls; without this call
        it loads what is the module's own itself."""
        local_metadata["usual"] = True

    def __deepcopy__(self, memo):
        new = type(self).__new__(type(self))
        memo[id(self)] = new
        for name, value in self.__dict__.items():
            new.__dict__[name] = copy.deepcopy(value, memo)
        new._children_changed()
        return new

    def __setstate__(self, state):
        self.__dict__.update(state)
        self._children_changed()

    # --- printing ----------------------------------------------------------------------------------------------------

    def extra_repr(self):
        """What `repr` shows between the parentheses, as in in_features=2, out_features=3."""
        return ""

    def _get_name(self):
        return type(self).__name__

    def __repr__(self):
        extra = self.extra_repr()
        children = [f"({name}): {indented(repr(child))}" for name, child in self._modules.items()]
        lines = (extra.split("\n") if extra else []) + children
        if len(lines) == 1 and not children:
            return f"{self._get_name()}({extra})"
        return f"{self._get_name()}(\n  " + "\n  ".join(lines) + "\n)" if lines else f"{self._get_name()}()"


class Table(MutableMapping):
    """The parameters, buffers (kind None) or modules of one module as a dictionary; writing to it changes the module."""

    def __init__(self, module, kind):
        self.module, self.kind = module, kind

    def __contains__(self, name):
        if self.kind is None:
            return name in self.module._kept_buffers
        present = name in self.module._registered and isinstance(self.module.__dict__.get(name), self.kind)
        return present or self.module._vacant.get(name) is self.kind

    def __iter__(self):
        return iter([name for name in (self.module.__dict__ if self.kind else self.module._kept_buffers) if name in self])

    def __len__(self):
        return sum(1 for _ in self)

    def __getitem__(self, name):
        if name not in self:
            raise KeyError(name)
        return self.module.__dict__[name]

    def __setitem__(self, name, value):
        held = self.module.__dict__
        if self.kind is None:
            held["_kept_buffers"] = {name: True, **self.module._kept_buffers}
            held[name] = value
        else:
            if name not in self:
                held.pop(name, None)  # its place in the order is that of this assignment
            forget(self.module, name)
            held[name] = value
            if value is None:
                held["_vacant"] = {**self.module._vacant, name: self.kind}
            else:
                held.setdefault("_registered", set()).add(name)
        self.module._children_changed()

    def __delitem__(self, name):
        if name not in self:
            raise KeyError(name)
        del self.module.__dict__[name]
        forget(self.module, name)
        self.module._children_changed()

    def copy(self):
        """A dictionary of its own."""
        return dict(self)

    def __repr__(self):
        return repr(dict(self))


def own_parameters(module):
    """(name, parameter) of a module alone, in order of assignment."""
    names = module._registered
    return [(k, v) for k, v in module.__dict__.items() if k in names and isinstance(v, Parameter)]


def own_buffers(module):
    """(name, buffer) of a module alone, in order of registration."""
    held = module.__dict__
    return [(k, held[k]) for k in module._kept_buffers if held.get(k) is not None]


def own_modules(module):
    """(name, module) of the direct children, in order of assignment."""
    names = module._registered
    return [(k, v) for k, v in module.__dict__.items() if k in names and isinstance(v, Module)]


def own_state(module):
    """(name, tensor) of what state_dict holds of a module alone: parameters, then persistent buffers."""
    return own_parameters(module) + [(k, t) for k, t in own_buffers(module) if module._kept_buffers[k]]


def forget(module, name):
    """A name is no parameter, no module and no buffer, and not registered as None, any more."""
    if name in module._registered:
        module.__dict__["_registered"].remove(name)
    for table in ("_kept_buffers", "_vacant"):
        if name in getattr(module, table):
            module.__dict__[table] = {k: v for k, v in getattr(module, table).items() if k != name}


def vacate(module, name, value):
    """Assign None to a parameter or module; anything else would silently drop it out of training."""
    old = module.__dict__.get(name)
    kind = module._vacant[name] if old is None else Parameter if isinstance(old, Parameter) else Module
    if value is not None:
        way = ("wrap the tensor in nn.Parameter, or overwrite its values with .data.copy_(…)" if kind is Parameter
               else "delete it first, as in del model.name")  # fmt: skip
        raise TypeError(f"{type(module).__name__}.{name} = …: a {kind.__name__.lower()} can be replaced only by a {kind.__name__} or "
                        f"None, not by a {type(value).__name__}; {way}")  # fmt: skip
    (module._parameters if kind is Parameter else module._modules)[name] = None


def put(module, name, target, value, assign):
    """Load one tensor: copy its values, or put it in the place of the module's own."""
    if not assign:
        target.copy_(value.reshape(target.shape) if value.ndim != target.ndim else value)
    elif isinstance(target, Parameter):
        module.__dict__[name] = value if isinstance(value, Parameter) else Parameter(value, requires_grad=target.requires_grad)
    else:
        module.__dict__[name] = value


def warn_of_container(module, name, value):
    """A plain list of modules is not found by Module, here as in PyTorch."""
    items = list(value.values() if isinstance(value, dict) else value)
    for kind, container in ((Module, "Module"), (Parameter, "Parameter")):
        if isinstance(items[0], kind):
            form = "Dict" if isinstance(value, dict) else "List"
            warnings.warn(
                f"{type(module).__name__}.{name} is a plain {type(value).__name__} of {container.lower()}s, and what is inside "
                f"will be neither trained nor saved; use nn.{container}{form}({name}) instead",
                stacklevel=3,
            )


def indented(text):
    """Every line but the first moved right by two."""
    return text.replace("\n", "\n  ")


def check_name(module, name, table):
    """Names of parameters, buffers and modules are attributes, and parts of a path."""
    if not isinstance(name, str):
        raise TypeError(f"the name of a parameter, buffer or module must be a string, not {type(name).__name__}")
    if not name or "." in name:
        raise KeyError(f"{name!r} cannot be the name of a parameter, buffer or module: it must be a non-empty string without a dot")
    if name not in table and (name in module.__dict__ or hasattr(type(module), name)):
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
        former, note = getattr(error, "module_note", None), f"in {path}: {short(inner)}" if path else f"in {short(inner)}"
        error.__notes__ = [n for n in getattr(error, "__notes__", []) if n is not former] + [note]
        error.module_note = note
    except AttributeError:
        pass  # an error type without attributes
