"""Modules that hold modules or parameters: Sequential, ModuleList, ModuleDict, ParameterList, ParameterDict."""

from collections import OrderedDict

from ..autograd.tensor import Tensor
from .module import Module
from .parameter import Parameter


class Sequential(Module):
    """Modules one after the other: each gets what the one before returned.

    >>> import tinygrad_edu as tg
    >>> tg.nn.Sequential(tg.nn.Linear(2, 3), tg.nn.Sigmoid())
    Sequential(
      (0): Linear(in_features=2, out_features=3, bias=True)
      (1): Sigmoid()
    )
    """

    steps: tuple = ()

    def __init__(self, *modules):
        super().__init__()
        named = modules[0].items() if len(modules) == 1 and isinstance(modules[0], dict) else ((str(i), m) for i, m in enumerate(modules))
        for name, module in named:
            if not isinstance(module, Module):
                raise TypeError(f"Sequential: expected modules, got {type(module).__name__} at {name!r}; functions have module "
                                "forms, such as nn.ReLU()")  # fmt: skip
            setattr(self, name, module)

    def children_changed(self):
        self.__dict__["steps"] = tuple(m for m in self.__dict__.values() if isinstance(m, Module))

    def forward(self, input):
        for module in self.steps:
            input = module(input)
        return input

    def names(self):
        return [k for k, m in self.__dict__.items() if isinstance(m, Module)]

    def __len__(self):
        return len(self.steps)

    def __iter__(self):
        return iter(self.steps)

    def __getitem__(self, index):
        if isinstance(index, slice):
            return type(self)(OrderedDict((k, self.__dict__[k]) for k in self.names()[index]))
        return self.steps[index]

    def __setitem__(self, index, module):
        setattr(self, self.names()[index], module)

    def __delitem__(self, index):
        for name in self.names()[index] if isinstance(index, slice) else [self.names()[index]]:
            delattr(self, name)
        renumber(self)

    def append(self, module):
        """Add a module at the end; returns the container."""
        setattr(self, str(len(self)), module)
        return self

    def extend(self, modules):
        """Add several modules at the end; returns the container."""
        for module in modules:
            self.append(module)
        return self

    def insert(self, index, module):
        """Put a module at a place, the later ones moving up; returns the container."""
        modules = list(self.steps)
        modules.insert(index, module)
        refill(self, modules)
        return self

    def pop(self, index=-1):
        """Take a module out and return it."""
        module = self[index]
        del self[index]
        return module

    def __add__(self, other):
        return type(self)(*self, *other)


def refill(container, modules):
    """Replace all children by numbered ones."""
    for name in [k for k, m in container.__dict__.items() if isinstance(m, Module)]:
        del container.__dict__[name]
    for i, module in enumerate(modules):
        container.__dict__[str(i)] = module
    container.children_changed()


def renumber(container):
    """Give the children of a list their places as names again."""
    refill(container, [m for m in container.__dict__.values() if isinstance(m, Module)])


class ModuleList(Sequential):
    """A list of modules that are trained and saved with the module that holds it; it has no forward of its own."""

    def __init__(self, modules=None):
        Module.__init__(self)
        self.extend(modules if modules is not None else [])

    forward = Module.forward

    def __getitem__(self, index):
        return ModuleList(self.steps[index]) if isinstance(index, slice) else self.steps[index]

    def __setitem__(self, index, module):
        setattr(self, self.names()[index], module)

    def __add__(self, other):
        return ModuleList([*self, *other])

    def __iadd__(self, other):
        return self.extend(other)


class ModuleDict(Module):
    """Modules by name, trained and saved with the module that holds it."""

    def __init__(self, modules=None):
        super().__init__()
        self.update(modules or {})

    def items(self):
        return [(k, m) for k, m in self.__dict__.items() if isinstance(m, Module)]

    def keys(self):
        return [k for k, _ in self.items()]

    def values(self):
        return [m for _, m in self.items()]

    def update(self, modules):
        """Add or replace several modules."""
        for name, module in modules.items() if hasattr(modules, "items") else modules:
            self[name] = module

    def __setitem__(self, name, module):
        self.__dict__[name] = module

    def __getitem__(self, name):
        if name not in self:
            raise KeyError(f"{name!r}: this ModuleDict has {self.keys()}")
        return self.__dict__[name]

    def __delitem__(self, name):
        del self.__dict__[name]

    def __contains__(self, name):
        return isinstance(self.__dict__.get(name), Module)

    def __iter__(self):
        return iter(self.keys())

    def __len__(self):
        return len(self.items())

    def pop(self, name):
        """Take a module out and return it."""
        module = self[name]
        del self[name]
        return module

    def clear(self):
        """Take all modules out."""
        for name in self.keys():
            del self[name]


def as_parameter(value):
    """A tensor as a Parameter; anything else as it is."""
    return Parameter(value) if isinstance(value, Tensor) and not isinstance(value, Parameter) else value


class ParameterList(Module):
    """A list of parameters that are trained and saved with the module that holds it."""

    def __init__(self, values=None):
        super().__init__()
        self.extend(values or [])

    def items_in_order(self):
        return [v for k, v in self.__dict__.items() if k.isdigit()]

    def append(self, value):
        """Add a parameter at the end; returns the container."""
        setattr(self, str(len(self)), as_parameter(value))
        return self

    def extend(self, values):
        """Add several parameters at the end; returns the container."""
        for value in values:
            self.append(value)
        return self

    def __len__(self):
        return len(self.items_in_order())

    def __iter__(self):
        return iter(self.items_in_order())

    def __getitem__(self, index):
        found = self.items_in_order()[index]
        return ParameterList(found) if isinstance(index, slice) else found

    def __setitem__(self, index, value):
        setattr(self, str(range(len(self))[index]), as_parameter(value))

    def extra_repr(self):
        return "\n".join(f"({i}): Parameter of shape {list(p.shape)}" for i, p in enumerate(self))


class ParameterDict(Module):
    """Parameters by name, trained and saved with the module that holds it."""

    def __init__(self, parameters=None):
        super().__init__()
        self.update(parameters or {})

    def items(self):
        return self.own_parameters()

    def keys(self):
        return [k for k, _ in self.items()]

    def values(self):
        return [v for _, v in self.items()]

    def update(self, parameters):
        """Add or replace several parameters."""
        for name, value in parameters.items() if hasattr(parameters, "items") else parameters:
            self[name] = value

    def __setitem__(self, name, value):
        self.__dict__[name] = as_parameter(value)

    def __getitem__(self, name):
        if name not in self:
            raise KeyError(f"{name!r}: this ParameterDict has {self.keys()}")
        return self.__dict__[name]

    def __delitem__(self, name):
        del self.__dict__[name]

    def __contains__(self, name):
        return isinstance(self.__dict__.get(name), Parameter)

    def __iter__(self):
        return iter(self.keys())

    def __len__(self):
        return len(self.items())

    def extra_repr(self):
        return "\n".join(f"({k}): Parameter of shape {list(p.shape)}" for k, p in self.items())
