"""Modules that hold modules or parameters: Sequential, ModuleList, ModuleDict, ParameterList, ParameterDict."""

from collections import OrderedDict
from functools import cached_property

from ..autograd.tensor import Tensor
from .module import Module, indented
from .parameter import Parameter


class Numbered(Module):
    """Modules in a row, under their places as names: what Sequential and ModuleList share."""

    @cached_property
    def _steps(self):
        return tuple(self.__dict__[name] for name in self._names())

    def _children_changed(self):
        self.__dict__.pop("_steps", None)

    def _names(self):
        return [k for k, m in self.__dict__.items() if isinstance(m, Module) and k in self._registered or m is None and self._vacant.get(k) is Module]

    def _refill(self, modules):
        """Replace all children by numbered ones."""
        children = self._modules
        for name in self._names():
            del children[name]
        for i, module in enumerate(modules):
            children[str(i)] = module

    def __len__(self):
        return len(self._steps)

    def __iter__(self):
        return iter(self._steps)

    def _name_at(self, index):
        n = len(self)
        if not -n <= index.__index__() < n:
            raise IndexError(f"{type(self).__name__}[{index}]: it has {n} modules")
        return self._names()[index]

    def __setitem__(self, index, module):
        if isinstance(index, slice):
            for name, new in zip(self._names()[index], module):
                setattr(self, name, new)
        else:
            self._modules[self._name_at(index)] = checked(self, index, module)

    def __delitem__(self, index):
        gone = self._names()[index] if isinstance(index, slice) else [self._name_at(index)]
        self._refill([self.__dict__[k] for k in self._names() if k not in gone])

    def append(self, module):
        """Add a module at the end; returns the container."""
        self._modules[str(len(self))] = checked(self, len(self), module)
        return self

    def extend(self, modules):
        """Add several modules at the end; returns the container."""
        if not hasattr(modules, "__iter__"):
            raise TypeError(f"{type(self).__name__}.extend: expected several modules, got {type(modules).__name__}")
        for i, module in enumerate(list(modules), len(self)):
            self._modules[str(i)] = checked(self, i, module)
        return self

    def insert(self, index, module):
        """Put a module at a place, the later ones moving up; a Sequential returns itself, a ModuleList nothing, as in PyTorch."""
        modules = list(self._steps)
        if isinstance(self, Sequential) and not -len(modules) <= index <= len(modules):
            raise IndexError(f"Sequential.insert: there are {len(modules)} modules, and no place {index}")
        modules.insert(index, checked(self, index, module))
        self._refill(modules)
        return self if isinstance(self, Sequential) else None

    def pop(self, index=-1):
        """Take a module out and return it."""
        module = self[index]
        del self[index]
        return module

    def __iadd__(self, other):
        return self.extend(other)


def checked(container, name, module):
    """A module, or an error; a list's place may be left empty with None."""
    if not isinstance(module, Module) and not (module is None and isinstance(container, ModuleList)):
        raise TypeError(f"{type(container).__name__}: expected modules, got {type(module).__name__} at {name!r}; functions have module "
                        "forms, such as nn.ReLU()")  # fmt: skip
    return module


class Sequential(Numbered):
    """Modules one after the other: each gets what the one before returned.

    >>> import tinygrad_edu as tg
    >>> tg.nn.Sequential(tg.nn.Linear(2, 3), tg.nn.Sigmoid())
    Sequential(
      (0): Linear(in_features=2, out_features=3, bias=True)
      (1): Sigmoid()
    )
    """

    def __init__(self, *args):
        super().__init__()
        named = args[0].items() if len(args) == 1 and isinstance(args[0], dict) else ((str(i), m) for i, m in enumerate(args))
        for name, module in named:
            self.add_module(name, checked(self, name, module))

    @cached_property
    def _runs(self):
        """The steps, two of them as one where a layer knows how."""
        steps, runs = list(reversed(self._steps)), []
        while steps:
            module = steps.pop()
            together = module._fused_with(steps[-1]) if steps else None
            if together is not None:
                steps.pop()
            runs.append(module if together is None else together)
        return tuple(runs)

    def _children_changed(self):
        super()._children_changed()
        self.__dict__.pop("_runs", None)

    def forward(self, input):
        for run in self._runs:
            input = run(input)
        return input

    def __getitem__(self, index):
        if isinstance(index, slice):
            return type(self)(OrderedDict((k, self.__dict__[k]) for k in self._names()[index]))
        return self.__dict__[self._name_at(index)]

    def __add__(self, other):
        if not isinstance(other, Sequential):
            raise ValueError(f"Sequential + {type(other).__name__}: only another Sequential can be put behind; use append")
        return Sequential(*self, *other)

    def __mul__(self, times):
        return Sequential(*(m for _ in range(counted(times)) for m in self))

    __rmul__ = __mul__

    def __imul__(self, times):
        return self.extend([m for _ in range(counted(times) - 1) for m in self])


def counted(times):
    """How often to repeat: a positive int."""
    if not isinstance(times, int):
        raise TypeError(f"Sequential * {type(times).__name__}: the number of repetitions must be an int")
    if times <= 0:
        raise ValueError(f"Sequential * {times}: the number of repetitions must be positive")
    return times


class ModuleList(Numbered):
    """A list of modules that are trained and saved with the module that holds it; it has no forward of its own.

    >>> import tinygrad_edu as tg
    >>> tg.nn.ModuleList([tg.nn.Linear(2, 2) for _ in range(3)])
    ModuleList(
      (0-2): 3 x Linear(in_features=2, out_features=2, bias=True)
    )
    """

    def __init__(self, modules=None):
        super().__init__()
        self.extend(modules if modules is not None else [])

    def __getitem__(self, index):
        return type(self)(self._steps[index]) if isinstance(index, slice) else self.__dict__[self._name_at(index)]

    def __add__(self, other):
        return ModuleList([*self, *other])

    def __repr__(self):
        runs: list = []  # [first, last, text] of equal neighbours, which are printed once
        for i, module in enumerate(self):
            text = repr(module)
            if runs and runs[-1][2] == text:
                runs[-1][1] = i
            else:
                runs.append([i, i, text])
        lines = [f"({a}): {indented(t)}" if a == b else f"({a}-{b}): {b - a + 1} x {indented(t)}" for a, b, t in runs]
        return f"{type(self).__name__}(\n  " + "\n  ".join(lines) + "\n)" if lines else f"{type(self).__name__}()"


class ModuleDict(Module):
    """Modules by name, trained and saved with the module that holds it."""

    def __init__(self, modules=None):
        super().__init__()
        if modules is not None:
            self.update(modules)

    def items(self):
        """(name, module), in order of insertion."""
        return self._modules.items()

    def keys(self):
        """The names."""
        return self._modules.keys()

    def values(self):
        """The modules."""
        return self._modules.values()

    def update(self, modules):
        """Add or replace several modules."""
        if not hasattr(modules, "__iter__"):
            raise TypeError(f"ModuleDict.update: expected a dictionary or pairs (name, module), got {type(modules).__name__}")
        for name, module in modules.items() if hasattr(modules, "items") else modules:
            self[name] = module

    def __setitem__(self, name, module):
        self.add_module(name, module)

    def __getitem__(self, name):
        if name not in self:
            raise KeyError(f"{name!r}: this ModuleDict has {list(self.keys())}")
        return self.__dict__[name]

    def __delitem__(self, name):
        del self._modules[name]

    def __contains__(self, name):
        return name in self._modules

    def __iter__(self):
        return iter(self._modules)

    def __len__(self):
        return len(self._modules)

    def pop(self, name):
        """Take a module out and return it."""
        module = self[name]
        del self[name]
        return module

    def clear(self):
        """Take all modules out."""
        self._modules.clear()


def as_parameter(value):
    """A tensor as a Parameter; anything else as it is."""
    return Parameter(value) if isinstance(value, Tensor) and not isinstance(value, Parameter) else value


def described(named, kind_of=lambda t: f"torch.{t.dtype}"):
    """What repr shows of parameters and other values, each with its type in PyTorch's words."""
    lines = []
    for name, value in named:
        kind = type(value).__name__
        if isinstance(value, Tensor):
            kind = f"{'Parameter' if isinstance(value, Parameter) else 'Tensor'} containing: [{kind_of(value)} of size {'x'.join(map(str, value.shape))}]"
            lines.append(f"  ({name}): {kind}")
        else:
            lines.append(f"  ({name}): Object of type: {kind}")
    return "\n".join(lines)


class ParameterList(Module):
    """A list of parameters that are trained and saved with the module that holds it; it may hold other values too."""

    def __init__(self, values=None):
        super().__init__()
        self._size = 0
        if values is not None:
            self.extend(values)

    def append(self, value):
        """Add a value at the end, a tensor as a Parameter; returns the container."""
        self._size += 1
        self[-1] = value
        return self

    def extend(self, values):
        """Add several values at the end; returns the container."""
        if not hasattr(values, "__iter__") or isinstance(values, Tensor):
            raise TypeError(f"ParameterList.extend: expected several parameters, got {type(values).__name__}")
        for value in values:
            self.append(value)
        return self

    __iadd__ = extend

    def _place(self, index):
        if not -self._size <= index.__index__() < self._size:
            raise IndexError(f"ParameterList[{index}]: it has {self._size} elements")
        return str(index.__index__() % self._size)

    def __len__(self):
        return self._size

    def __iter__(self):
        return iter(self[i] for i in range(self._size))

    def __getitem__(self, index):
        if isinstance(index, slice):
            return type(self)(self[i] for i in range(self._size)[index])
        return getattr(self, self._place(index))

    def __setitem__(self, index, value):
        setattr(self, self._place(index), as_parameter(value))

    def extra_repr(self):
        return described(enumerate(self))

    def __call__(self, *args, **kwargs):
        raise RuntimeError("ParameterList holds parameters and computes nothing; index it")


class ParameterDict(Module):
    """Parameters by name, trained and saved with the module that holds it; it may hold other values too."""

    def __init__(self, parameters=None):
        super().__init__()
        self._keys: dict = {}
        if parameters is not None:
            self.update(parameters)

    def items(self):
        """(name, parameter), in order of insertion."""
        return [(k, self[k]) for k in self._keys]

    def keys(self):
        """The names."""
        return self._keys.keys()

    def values(self):
        """The parameters."""
        return [self[k] for k in self._keys]

    def update(self, parameters):
        """Add or replace several parameters."""
        if not hasattr(parameters, "__iter__"):
            raise TypeError(f"ParameterDict.update: expected a dictionary or pairs (name, parameter), got {type(parameters).__name__}")
        pairs = parameters.items() if hasattr(parameters, "items") else parameters
        plain = isinstance(parameters, dict) and not isinstance(parameters, OrderedDict)
        for name, value in sorted(pairs, key=lambda pair: pair[0]) if plain else pairs:  # in the order of names, as PyTorch takes them from a plain dict
            self[name] = value

    def __setitem__(self, name, value):
        if not isinstance(name, str):
            raise TypeError(f"ParameterDict[{name!r}] = …: names are strings")
        self._keys[name] = None
        setattr(self, name, as_parameter(value))

    def __getitem__(self, name):
        if name not in self._keys:
            raise KeyError(f"{name!r}: this ParameterDict has {list(self._keys)}")
        return getattr(self, name)

    def __delitem__(self, name):
        if name not in self._keys:
            raise KeyError(f"{name!r}: this ParameterDict has {list(self._keys)}")
        del self._keys[name]
        delattr(self, name)

    def __contains__(self, name):
        return name in self._keys

    def __iter__(self):
        return iter(self._keys)

    def __reversed__(self):
        return reversed(list(self._keys))

    def __len__(self):
        return len(self._keys)

    def get(self, name, default=None):
        """The parameter of that name, or a default."""
        return self[name] if name in self._keys else default

    def setdefault(self, name, default=None):
        """The parameter of that name; a missing one is entered first."""
        if name not in self._keys:
            self[name] = default
        return self[name]

    def pop(self, name):
        """Take a parameter out and return it."""
        value = self[name]
        del self[name]
        return value

    def popitem(self):
        """Take the last parameter out and return it with its name."""
        name = list(self._keys)[-1]
        return name, self.pop(name)

    def clear(self):
        """Take all parameters out."""
        for name in list(self._keys):
            del self[name]

    def copy(self):
        """A dictionary with the same parameters."""
        return ParameterDict(OrderedDict(self.items()))

    def fromkeys(self, keys, default=None):
        """A dictionary with these names and one value for all."""
        return ParameterDict({k: default for k in keys})

    def __or__(self, other):
        return ParameterDict(OrderedDict([*self.items(), *other.items()]))

    def __ior__(self, other):
        self.update(other)
        return self

    def extra_repr(self):
        return described(self.items(), lambda t: t.type())

    def __call__(self, *args, **kwargs):
        raise RuntimeError("ParameterDict holds parameters and computes nothing; index it")
