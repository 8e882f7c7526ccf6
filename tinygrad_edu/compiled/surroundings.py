"""What a step sees besides its arguments: tensors, numbers, flags; found by looking where its code can look.

A replay is only right while those are what they were when the step was recorded. So each plain value found here becomes
a test (`g7["lr"] is v7`), and each tensor is followed to its memory.
"""

import os
import sys
import sysconfig
import types
from functools import cached_property
from keyword import iskeyword

import numpy as np

from ..api.random import Generator, default_generator
from ..autograd.recorder import own_code
from ..autograd.tensor import Tensor
from ..nn.hooks import EVERYWHERE
from ..nn.module import Module
from ..optim.lr_scheduler import LRScheduler, ReduceLROnPlateau
from ..optim.optimizer import Elementwise, Optimizer
from ..optim.sgd import SGD

PLAIN = (bool, int, float, complex, str, bytes, type(None), np.generic, np.dtype, type, types.BuiltinFunctionType, slice, range)
LARGE = 1000  # containers with more items than this are compared as a whole
NOT_CALLED = ("__init__", "__new__", "__repr__", "__str__", "__del__", "__init_subclass__")  # by a step, unless it names them
OWN = __name__.partition(".")[0]
NUMPY = os.path.dirname(np.__file__) + os.sep
PYTHON = tuple({sysconfig.get_path(kind) + os.sep for kind in ("stdlib", "platstdlib")})


class Item:
    """A place and what is in it: `holder[key]`, or the content of a closure's cell."""

    __slots__ = ("path", "kind", "holder", "key", "value")

    def __init__(self, path, kind, holder, key, value):
        self.path, self.kind, self.holder, self.key, self.value = path, kind, holder, key, value

    def same(self):
        """True if the place holds now what it held then."""
        try:
            now = self.now()
        except (KeyError, IndexError, ValueError, AttributeError):
            return False
        if self.kind in ("length", "truth", "whole"):
            return now == self.value
        return now is self.value or type(now) is type(self.value) and isinstance(now, PLAIN) and now == self.value

    def now(self):
        if self.kind == "cell":
            return self.holder.cell_contents
        if self.kind == "length":
            return len(self.holder)
        if self.kind == "whole":
            return self.holder
        if self.kind == "absent":
            return self.holder.get(self.key)
        found = self.holder[self.key]
        return bool(found) if self.kind == "truth" else found


    def source(self, names):
        """The test as Python: `names` gives a name for an object."""
        holder = names(self.holder)
        if self.kind == "length":
            return f"len({holder}) == {self.value}"
        if self.kind == "absent":
            return f"{names(self.key)} not in {holder}"
        if self.kind == "whole":
            return f"{holder} == {names(self.value)}"
        if self.kind == "truth":
            return f"{'' if self.value else 'not '}{holder}[{names(self.key)}]"
        place = f"{holder}.cell_contents" if self.kind == "cell" else f"{holder}[{names(self.key)}]"
        if self.value is None or self.value is True or self.value is False:
            return f"{place} is {self.value}"
        literal = type(self.value) in (int, str)
        return f"{place} {'==' if literal else 'is'} {names(self.value)}"


class Surroundings:
    """All that a function can reach through its closure, its globals and its arguments' attributes."""

    def __init__(self, function):
        self.items, self.tensors, self.names, self.optimizers, self.schedulers, self.generators = [], {}, {}, [], [], [default_generator]
        self.arrays: list = []
        self.items += [Item(f"the hooks of all modules ({name})", "length", hooks, None, len(hooks)) for name, hooks in EVERYWHERE.items()]
        self.seen, self.classes, self.waiting, self.later = set(), set(), [], []  # later: optimizers, so that parameters have their names from modules
        self.kinds: list = []  # (class, path, the names in it that were looked at)
        self.objects: list = []  # (object, path, the names of its attributes that were looked at)
        self.words: set = set()  # what the code names: an attribute that no code names is not looked at
        self.look(function, "step")
        while self.waiting or self.later or self.more():
            if self.waiting or self.later:
                self.enter(*(self.waiting or self.later).pop(0))

    def tensor(self, t, name):
        """Note a tensor under a name that is good in source code."""
        if id(t) in self.tensors:
            return
        parts = [p for p in name.replace("]", "").replace("[", ".").split(".") if p]
        if parts[0].isdigit():  # a Sequential's: weight_0
            parts = [p for p in parts if not p.isdigit()] + [p for p in parts if p.isdigit()]
        name = "".join(c if c.isalnum() else "_" for c in "_".join(parts)).strip("_") or "x"
        name = f"x_{name}" if name[0].isdigit() or iskeyword(name) else name
        used, n = set(self.names.values()), 2
        while name in used:
            name, n = f"{name}_{n}", n + 1
        self.tensors[id(t)], self.names[id(t)] = t, name
        note = None if t.node is None else t.node.note
        if note is not None:
            for hooks in (note.hooks, note.after):
                if isinstance(hooks, dict):
                    self.look(hooks, f"the hooks of {name}")

    def look(self, x, path):
        """Note x, and look into it later."""
        if isinstance(x, Tensor):
            self.tensor(x, path)
        elif not isinstance(x, PLAIN) and id(x) not in self.seen:
            self.seen.add(id(x))
            (self.later if isinstance(x, (Optimizer, LRScheduler, ReduceLROnPlateau)) else self.waiting).append((x, path))

    def at(self, path, kind, holder, key, value):
        """Note what is in a place."""
        self.items.append(Item(path, kind, holder, key, value))
        if isinstance(value, np.ndarray) and not isinstance(holder, types.MappingProxyType):
            self.arrays.append((kind, holder, key, value, path))
        self.look(value, path)

    def enter(self, x, path):
        """Look into x."""
        if isinstance(x, types.FunctionType):
            self.function(x, path)
        elif type(x).__module__.startswith(f"{OWN}.compiled"):  # another compiled step, or this one
            self.look(getattr(x, "function", None), path)
        elif isinstance(x, types.MethodType):
            self.look(x.__self__, path.rpartition(".")[0] or path)
            self.look(x.__func__, path)
        elif isinstance(x, dict):
            self.mapping(x, path)
        elif isinstance(x, (list, set)) and len(x) > LARGE:
            self.items.append(Item(path, "whole", x, None, type(x)(x)))
        elif isinstance(x, list):
            self.items.append(Item(path, "length", x, None, len(x)))
            for i, item in enumerate(x):
                self.at(f"{path}[{i}]", "item", x, i, item)
        elif isinstance(x, (tuple, frozenset)):
            for i, item in enumerate(x) if len(x) <= LARGE else ():
                self.look(item, f"{path}[{i}]")
        elif isinstance(x, set):
            self.items.append(Item(path, "whole", x, None, set(x)))
            for item in x:
                self.look(item, path)
        elif isinstance(x, Optimizer):
            self.optimizer(x, path)
        elif isinstance(x, LRScheduler) or isinstance(x, ReduceLROnPlateau):
            self.schedulers.append(x)
            self.look(x.optimizer, f"{path}.optimizer")
            self.look(list(getattr(x, "_schedulers", ())), f"{path}.schedulers")
        elif isinstance(x, Generator):
            self.generators.append(x)
        elif isinstance(x, type):
            self.settings(x, path)
        elif isinstance(x, types.ModuleType) or isinstance(x, np.ndarray):
            pass
        elif isinstance(getattr(x, "__wrapped__", None), types.FunctionType):
            self.look(x.__wrapped__, path)
        elif hasattr(x, "func") and hasattr(x, "keywords"):  # functools.partial
            self.look(x.func, path)
            self.look(x.args, path)
            self.look(x.keywords, path)
        elif isinstance(getattr(x, "__dict__", None), dict):
            self.attributes(x, path)

    def more(self):
        """Look at the attributes of objects that the code found so far names; True if there were any."""
        found = False
        for x, path, seen in self.objects:
            dynamic = self.words & {"getattr", "__dict__", "vars"}
            for name in [n for n in x.__dict__ if n not in seen and (n in self.words or dynamic)]:
                seen.add(name)
                self.at(f"{path}.{name}", "item", x.__dict__, name, x.__dict__[name])
                found = True
            for name in [n for n in self.words if n not in seen and n not in x.__dict__ and hasattr(type(x), n)]:
                seen.add(name)  # its class has it: an attribute of the object's own would hide that
                self.items.append(Item(f"{path}.{name}", "absent", x.__dict__, name, None))
        for kind, path, seen in self.kinds:
            for name, member in [(n, m) for n, m in vars(kind).items() if n not in seen]:
                code = isinstance(member, (types.FunctionType, property, staticmethod, classmethod, cached_property))
                if not (name in self.words or code and (name == "forward" or name.startswith("__") and name not in NOT_CALLED)):
                    continue
                seen.add(name)
                found = True
                if code:
                    self.look(getattr(member, "__func__", getattr(member, "fget", getattr(member, "func", member))), f"{path}.{name}")
                elif not isinstance(member, types.MemberDescriptorType):
                    self.at(f"{path}.{name}", "item", vars(kind), name, member)
        return found

    def attributes(self, x, path):
        """An object: its attributes, and what the code of its class looks at."""
        if isinstance(x, Module):
            for name, t in (*x.named_parameters(), *x.named_buffers()):
                self.tensor(t, name)
        if isinstance(x, Module) or library(type(x).__module__):
            self.mapping(x.__dict__, path)
        else:
            self.objects.append((x, path, set()))
        for kind in type(x).__mro__:
            if kind not in self.classes:
                self.classes.add(kind)
                self.settings(kind, kind.__name__)

    def settings(self, kind, path):
        """A class of the user's: the values in it, and what the code of its methods looks at."""
        if not library(kind.__module__):
            self.kinds.append((kind, path, set()))

    def mapping(self, held, path):
        """A dict, or an object's attributes."""
        if len(held) > LARGE:
            self.items.append(Item(path, "whole", held, None, dict(held)))
            return
        self.items.append(Item(path, "length", held, None, len(held)))
        for key, value in list(held.items()):
            self.at(f"{path}.{key}", "item", held, key, value)
            if not isinstance(key, PLAIN):
                self.look(key, path)

    def function(self, f, path):
        """A function of the user's: its closure, its defaults, and the globals that its code names."""
        if library_file(f.__code__.co_filename):
            return
        for name, cell in zip(f.__code__.co_freevars, f.__closure__ or ()):
            try:
                self.at(name, "cell", cell, None, cell.cell_contents)
            except ValueError:  # an empty cell: not yet assigned
                continue
        names = f.__code__.co_varnames[: f.__code__.co_argcount][::-1]
        for name, default in (*zip(names, (f.__defaults__ or ())[::-1]), *(f.__kwdefaults__ or {}).items()):
            self.look(default, name)
        words = names_in(f.__code__)
        self.words |= words
        for name in sorted(words):
            if name in f.__globals__:
                value = f.__globals__[name]
                if not (isinstance(value, types.ModuleType) and library(value.__name__)):
                    self.at(name, "item", f.__globals__, name, value)
                if isinstance(value, types.ModuleType) and not library(value.__name__):
                    self.module(value, f.__code__)
        if hasattr(f, "__wrapped__"):
            self.look(f.__wrapped__, path)

    def module(self, module, code):
        """A module of the user's: the names in it that the code uses."""
        for name in sorted(names_in(code)):
            if name in vars(module):
                self.at(f"{module.__name__}.{name}", "item", vars(module), name, vars(module)[name])

    def optimizer(self, x, path):
        """An optimizer: its options and its state. Ours ask for their numbers anew at each replay; others do not."""
        self.optimizers.append(x)
        asks = type(x).__module__.startswith(OWN) and isinstance(x, (Elementwise, SGD))
        self.items.append(Item(f"{path}.param_groups", "length", x.param_groups, None, len(x.param_groups)))
        self.look(x.hooks, f"{path}.hooks")
        for i, group in enumerate(x.param_groups):
            for key, value in group.items():
                if asks and key in ("foreach", "fused", "differentiable", "capturable"):
                    continue  # accepted, and without effect
                where = f"{path}.param_groups[{i}][{key!r}]"
                if key == "params":
                    self.look(value, where)
                    self.items.append(Item(where, "item", group, key, value))
                elif asks and key in ("lr", "initial_lr", "betas", "max_lr", "min_lr", "base_momentum", "max_momentum"):
                    continue
                elif asks and isinstance(value, (int, float)) and not isinstance(value, bool):
                    self.items.append(Item(where, "truth", group, key, bool(value)))
                else:
                    self.at(where, "item", group, key, value)
        self.items.append(Item(f"{path}.state", "item", x.__dict__, "state", x.state))
        self.items.append(Item(f"{path}.state", "length", x.state, None, len(x.state)))
        for p, state in x.state.items():
            self.look(p, "x")
            if isinstance(state, dict):
                self.seen.add(id(state))
                self.items.append(Item(f"{path}.state", "item", x.state, p, state))
                for key, value in state.items():
                    self.at(f"{key}_of_{self.names.get(id(p), 'x')}", "item", state, key, value)

    def differences(self):
        """The places whose contents are not what they were."""
        return [item for item in self.items if not item.same()]


def names_in(code):
    """The names that a function's code, and the code inside of it, looks up."""
    found = set(code.co_names)
    for inner in code.co_consts:
        if isinstance(inner, types.CodeType):
            found |= names_in(inner)
        elif isinstance(inner, str):  # getattr(x, "name")
            found.add(inner)
    return found


def library(name):
    """True for a module of this package, of NumPy's or of Python's own, whose code is taken as it is."""
    module = sys.modules.get(name or "")
    root, file = (name or "").partition(".")[0], getattr(module, "__file__", None)
    if module is None or root in ("__main__", "pytest", "_pytest"):
        return root in ("pytest", "_pytest")
    return library_file(file) if file else root in sys.stdlib_module_names


def library_file(path):
    """The same for a file: a user's own code.py is no library, whatever Python has under that name."""
    if own_code(path) or path.startswith((NUMPY, "<frozen")):
        return True
    return path.startswith(PYTHON) and "site-packages" not in path and "dist-packages" not in path
