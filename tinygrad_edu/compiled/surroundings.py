"""What a step sees besides its arguments: tensors, numbers, flags; found by looking where its code can look.

A replay is only right while those are what they were when the step was recorded. So each place found here becomes a test
(`o_7["lr"] is o_8`), and each tensor is followed to its memory.
"""

import functools
import gc
import os
import sys
import sysconfig
import types

import numpy as np

from ..api.random import Generator, default_generator
from ..autograd import dtypes
from ..autograd.recorder import own_code
from ..autograd.tensor import Tensor
from ..nn.hooks import EVERYWHERE
from ..nn.module import Module
from ..optim.lr_scheduler import LRScheduler, ReduceLROnPlateau
from ..optim.optimizer import Elementwise, Optimizer
from ..optim.sgd import SGD
from .places import Snapshot
from .text import Space, leaves

NUMBERS = (bool, int, float, complex, np.generic)
PLAIN = (*NUMBERS, str, bytes, type(None), np.dtype, dtypes.dtype, type, types.BuiltinFunctionType, slice, range)
EQUAL = (*NUMBERS, list, dict, set, tuple)  # what may be equal to something else
CODE = (types.FunctionType, property, staticmethod, classmethod, functools.cached_property)
LARGE = 1000  # containers with more items than this are compared as a whole
NOT_CALLED = ("__init__", "__new__", "__repr__", "__str__", "__del__", "__init_subclass__")  # by a step, unless it names them
WITHOUT_EFFECT = ("foreach", "fused", "differentiable", "capturable")  # options that are accepted
ASKED = ("lr", "initial_lr", "betas", "max_lr", "min_lr", "base_momentum", "max_momentum")  # options that a replay asks for anew
OWN = __name__.partition(".")[0]
NUMPY = os.path.dirname(np.__file__) + os.sep
PYTHON = tuple({sysconfig.get_path(kind) + os.sep for kind in ("stdlib", "platstdlib")})


class Surroundings:
    """All that a function can reach through its closure, its globals and its arguments' attributes."""

    def __init__(self, function):
        self.items: list = []  # (path of a place, the test that it is as it was, where that is needed)
        self.space, self.tensors, self.names = Space(), {}, {}
        self.optimizers, self.schedulers, self.generators, self.arrays = [], [], [default_generator], []
        self.asking: set = set()  # ids of the options of optimizers that a replay asks for their numbers
        self.seen, self.waiting, self.later = set(), [], []  # later: optimizers, so that parameters have their names from modules
        self.partly: list = []  # (object or class, path, the names in it that were looked at)
        self.words: set = set()  # what the code names: an attribute that no code names is not looked at
        for name, hooks in EVERYWHERE.items():
            self.length(hooks, f"the hooks of all modules ({name})")
        self.look(function, "step")
        while self.waiting or self.later or self.more():
            if self.waiting or self.later:
                self.enter(*(self.waiting or self.later).pop(0))

    def hold(self, x):
        """A name for an object in tests; it lives as long as they do, so that its id stays its own."""
        return self.space.hold(x, "o")

    def test(self, path, test, needed="always"):
        """Note a test; "at once" is one of several places, and "apart" are those that it covers."""
        self.items.append((path, test, needed))

    def length(self, x, path, needed="always"):
        self.test(f"{path} (its length)", f"len({self.hold(x)}) == {len(x)}" if x else f"not {self.hold(x)}", needed)

    def place(self, holder, key):
        """A place as Python: in a dict or a list, or the content of a closure's cell."""
        if isinstance(holder, types.CellType):
            return f"{self.hold(holder)}.cell_contents"
        return f"{self.hold(holder)}[{repr(key) if type(key) in (int, str) else self.hold(key)}]"

    def at(self, path, holder, key, value, needed="always"):
        """Note what is in a place."""
        self.test(path, self.unchanged(self.place(holder, key), value), needed)
        if isinstance(value, np.ndarray) and not isinstance(holder, types.MappingProxyType):
            self.arrays.append((holder, key, value, path))
        self.look(value, path)

    def unchanged(self, place, value):
        """The test that a place holds what it held: the same object, or an equal number."""
        if value is None or value is True or value is False or not isinstance(value, PLAIN):
            return f"{place} is {self.hold(value) if not isinstance(value, bool | None) else value}"
        return f"((u := {place}) is {self.hold(value)} or u.__class__ is {self.hold(type(value))} and u == {self.hold(value)})"

    def mapping(self, held, path, trusted=False):
        """A dict: as a whole where that is enough, for the same objects are equal at once; `trusted` numbers keep their types."""
        if len(held) > LARGE:
            return self.test(path, f"{self.hold(held)} == {self.hold(dict(held))}")
        asking = id(held) in self.asking
        self.length(held, path, "apart" if held and not asking else "always")
        for key, value in list(held.items()):
            where = f"{path}.{self.names.get(id(key), key) if isinstance(key, Tensor) else key}"
            small = isinstance(value, Tensor) and value.array.size < 2  # may be equal to another
            alone = asking or small or isinstance(value, (list, dict, set) if trusted else EQUAL)
            if asking and isinstance(value, (int, float)) and not isinstance(value, bool) and key not in ASKED:
                self.test(where, f"{'' if value else 'not '}{self.place(held, key)}")
            elif not asking or key not in ASKED + WITHOUT_EFFECT:
                self.at(where, held, key, value, "always" if alone else "apart")
            if not isinstance(key, PLAIN):
                self.look(key, path)
        if held and not asking:
            self.test(path, f"{self.hold(held)} == {self.hold(dict(held))}", "at once")

    def tensor(self, t, name):
        """Note a tensor under a name that is good in source code: weight_0 for a Sequential's 0.weight."""
        if id(t) not in self.tensors:
            name = name.rpartition(".state.")[2]  # of an optimizer
            parts = [p for p in name.replace("]", "").replace("[", ".").split(".") if p]
            if parts[0].isdigit():
                parts.sort(key=str.isdigit)
            self.tensors[id(t)], self.names[id(t)] = t, "_".join(parts)
            note = None if t.node is None else t.node.note
            for hooks in (note.hooks, note.after) if note is not None else ():
                if isinstance(hooks, dict):
                    self.look(hooks, f"the hooks of {name}")

    def look(self, x, path):
        """Note x, and look into it later."""
        if isinstance(x, Tensor):
            self.tensor(x, path)
        elif (not isinstance(x, PLAIN) or isinstance(x, type) and not library(x.__module__)) and id(x) not in self.seen:
            self.seen.add(id(x))
            self.hold(x)
            (self.later if isinstance(x, (Optimizer, LRScheduler, ReduceLROnPlateau)) else self.waiting).append((x, path))

    def enter(self, x, path):
        """Look into x."""
        if isinstance(x, types.FunctionType):
            self.function(x, path)
        elif type(x).__module__.startswith(f"{OWN}.compiled"):  # another compiled step, or this one
            self.look(getattr(x, "function", None), path)
        elif isinstance(x, dict):
            self.mapping(x, path)
        elif isinstance(x, (list, set)) and (len(x) > LARGE or isinstance(x, set)):
            self.test(path, f"{self.hold(x)} == {self.hold(type(x)(x))}")
            for item in x if len(x) <= LARGE else ():
                self.look(item, path)
        elif isinstance(x, list):
            self.length(x, path)
            for i, item in enumerate(x):
                self.at(f"{path}[{i}]", x, i, item)
        elif isinstance(x, Optimizer):
            self.optimizer(x, path)
        elif isinstance(x, (LRScheduler, ReduceLROnPlateau)):
            self.schedulers.append(x)
            self.look(x.optimizer, f"{path}.optimizer")
            self.look(list(getattr(x, "_schedulers", ())), f"{path}.schedulers")
        elif isinstance(x, Generator):
            self.generators.append(x)
        elif isinstance(x, type):
            self.settings(x, path)
        elif isinstance(x, types.MethodType):
            self.look(x.__self__, path.rpartition(".")[0] or path)
            self.look(x.__func__, path)
        elif isinstance(getattr(x, "__wrapped__", None), types.FunctionType):
            self.look(x.__wrapped__, path)
        elif isinstance(x, (tuple, frozenset, functools.partial)):
            for i, item in enumerate(gc.get_referents(x)[:LARGE]):
                self.look(item, f"{path}[{i}]")
        elif isinstance(getattr(x, "__dict__", None), dict) and not isinstance(x, types.ModuleType):
            self.attributes(x, path)

    def attributes(self, x, path):
        """An object: its attributes, and what the code of its class looks at."""
        for name, t in (*x.named_parameters(), *x.named_buffers()) if isinstance(x, Module) else ():
            self.tensor(t, name)
        if isinstance(x, Module) or library(type(x).__module__):
            self.mapping(x.__dict__, path, trusted=library(type(x).__module__))
        else:
            self.partly.append((x, path, set()))
        for kind in type(x).__mro__:
            if id(kind) not in self.seen:
                self.seen.add(id(kind))
                self.settings(kind, kind.__name__)

    def settings(self, kind, path):
        """A class of the user's: the values in it, and what the code of its methods looks at."""
        if not library(kind.__module__):
            self.partly.append((kind, path, set()))

    def more(self):
        """Look at the attributes, of objects and classes, that the code found so far names; True if there were any."""
        found, dynamic = False, self.words & {"getattr", "__dict__", "vars"}
        for x, path, seen in self.partly:
            held, is_class = vars(x), isinstance(x, type)
            for name, member in [(n, m) for n, m in held.items() if n not in seen]:
                code = is_class and isinstance(member, CODE)
                called = code and (name == "forward" or name.startswith("__") and name not in NOT_CALLED)
                if name in self.words or called or dynamic and not is_class:
                    found = seen.add(name) or True
                    if code:
                        inner = [getattr(member, key, None) for key in ("__func__", "fget", "func")]
                        self.look(next((f for f in inner if f is not None), member), f"{path}.{name}")
                    elif not isinstance(member, types.MemberDescriptorType):
                        self.at(f"{path}.{name}", held, name, member)
            for name in () if is_class else [n for n in self.words if n not in seen and n not in held and hasattr(type(x), n)]:
                seen.add(name)  # its class has it: an attribute of the object's own would hide that
                self.test(f"{path}.{name}", f"{name!r} not in {self.hold(held)}")
        return found

    def function(self, f, path):
        """A function of the user's: its closure, its defaults, and the globals that its code names."""
        if library_file(f.__code__.co_filename):
            return
        for name, cell in zip(f.__code__.co_freevars, f.__closure__ or ()):
            try:
                self.at(name, cell, "cell_contents", cell.cell_contents)
            except ValueError:  # an empty cell: not yet assigned
                continue
        names = f.__code__.co_varnames[: f.__code__.co_argcount][::-1]
        for name, default in (*zip(names, (f.__defaults__ or ())[::-1]), *(f.__kwdefaults__ or {}).items()):
            self.look(default, name)
        words = names_in(f.__code__)
        self.words |= words
        self.named(f.__globals__, words, "")
        if hasattr(f, "__wrapped__"):
            self.look(f.__wrapped__, path)

    def named(self, held, words, path):
        """The values in a module that the code names, and those in modules of the user's among them."""
        for name in sorted(words & held.keys()):
            value = held[name]
            if not (isinstance(value, types.ModuleType) and library(value.__name__)):
                self.at(path + name, held, name, value)
                if isinstance(value, types.ModuleType) and not path:
                    self.named(vars(value), words, f"{value.__name__}.")

    def optimizer(self, x, path):
        """An optimizer: its options and its state. Ours ask for their numbers anew at each replay; others do not."""
        self.optimizers.append(x)
        if type(x).__module__.startswith(OWN) and isinstance(x, (Elementwise, SGD)):
            self.asking.update(map(id, x.param_groups))
        for key in ("param_groups", "state", "hooks"):
            self.at(f"{path}.{key}", vars(x), key, vars(x)[key])

    def differences(self):
        """The paths of the places whose contents are not what they were."""
        return [path for path, test, needed in self.items if needed != "at once" and not self.holds(test)]

    def holds(self, test):
        try:
            return eval(test, self.space.globals)
        except (KeyError, IndexError, ValueError, AttributeError):  # it is empty now
            return False

    def state(self, result, tensors):
        """(name, id) → the numbers in all that a step may change, and in what it returns."""
        parts = [part for part in leaves(result, "result") if part[1] != "container"]
        found = {(path, 0): x.array if kind == "tensor" else x for path, kind, x in parts}
        for t in (*self.tensors.values(), *tensors):
            name, node = self.names.get(id(t), "argument"), leaf_node(t)
            grad = None if node is None else node.grad
            found |= {(name, id(t)): t.array, (f"{name}_grad", id(t)): grad.array if grad is not None else None}
        return {key: np.array(array) for key, array in (found | {(path, id(a)): a for _, _, a, path in self.arrays}).items()}

    def snapshot(self, tensors):
        """All that a step may change: tensors, gradients, arrays, options and state of optimizers, generators."""
        tensors = list({id(t): t for t in (*tensors, *self.tensors.values())}.values())
        nodes = [node for node in map(leaf_node, tensors) if node is not None]
        grads = [node.grad for node in nodes if node.grad is not None]
        states = [d for o in self.optimizers for d in (*o.param_groups, *(s for s in o.state.values() if isinstance(s, dict)))]
        places = [(node, "grad") for node in nodes]
        for holders, keys in ((tensors, "array node"), (grads, "array used"), (self.optimizers, "last_step warned")):
            places += [(holder, key) for holder in holders for key in keys.split()]
        return Snapshot([*(t.array for t in (*tensors, *grads)), *(a for _, _, a, _ in self.arrays)], places,
                        [*states, *(s.__dict__ for s in self.schedulers)], self.generators)  # fmt: skip


def leaf_node(t):
    """The node that keeps the gradient of a leaf, also while it is frozen; None for other tensors."""
    node = t.__dict__.get("thawed") if t.node is None else t.node
    return node if node is not None and node.op is None else None


def names_in(code):
    """The names that a function's code, and the code inside of it, looks up."""
    inner = [names_in(c) for c in code.co_consts if isinstance(c, types.CodeType)]
    return {*code.co_names, *(c for c in code.co_consts if isinstance(c, str))}.union(*inner)  # strings: getattr(x, "name")


def library(name):
    """True for a module of this package, of NumPy's or of Python's own, whose code is taken as it is."""
    module, root = sys.modules.get(name or ""), (name or "").partition(".")[0]
    if module is None or root in ("__main__", "pytest", "_pytest"):
        return root in ("pytest", "_pytest")
    file = getattr(module, "__file__", None)
    return library_file(file) if file else root in sys.stdlib_module_names


def library_file(path):
    """The same for a file: a user's own code.py is no library, whatever Python has under that name."""
    if own_code(path) or path.startswith((NUMPY, "<frozen")):
        return True
    return path.startswith(PYTHON) and "site-packages" not in path and "dist-packages" not in path
