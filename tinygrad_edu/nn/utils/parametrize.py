"""Parameters that are computed from others by a module each time they are read."""

from contextlib import contextmanager

from ...autograd import modes
from ...autograd.tensor import Tensor
from ..containers import ModuleDict, ModuleList
from ..parameter import Parameter


class ParametrizationList(ModuleList):
    """The original tensors of one parameter, and the modules that compute it from them."""

    def __init__(self, modules, original):
        super().__init__(modules)
        self.is_tensor = not isinstance(original, (tuple, list))
        originals = [original] if self.is_tensor else list(original)
        for i, t in enumerate(originals):
            name = "original" if self.is_tensor else f"original{i}"
            if isinstance(t, Parameter):
                self.register_parameter(name, t)
            else:
                self.register_buffer(name, t)
        self.count = len(originals)

    def forward(self):
        values = [self.original] if self.is_tensor else [getattr(self, f"original{i}") for i in range(self.count)]
        for i, module in enumerate(self):
            values = [module(*values) if i == 0 else module(values[0])]
        return values[0]

    def right_inverse(self, value):
        """Set the originals so that they give `value`, by the modules' right_inverse."""
        with modes.no_grad():
            for module in reversed(list(self)):
                if not hasattr(module, "right_inverse"):
                    raise RuntimeError(f"{type(module).__name__} computes this parameter, and it cannot be assigned to: give "
                                       f"{type(module).__name__} a method right_inverse(value)")  # fmt: skip
                value = module.right_inverse(value)
            for i, t in enumerate([value] if self.is_tensor else value):
                (self.original if self.is_tensor else getattr(self, f"original{i}")).copy_(t)


class Cache:
    """Parameters computed once inside of `cached()`; `depth` is how many such contexts are open."""

    depth = 0
    values: dict = {}


@contextmanager
def cached():
    """A context inside of which every parameter is computed only once

    >>> import tinygrad_edu as tg
    >>> layer = tg.nn.utils.parametrizations.weight_norm(tg.nn.Linear(2, 2))
    >>> with tg.nn.utils.parametrize.cached():
    ...     layer.weight is layer.weight
    True
    """
    Cache.depth += 1
    try:
        yield
    finally:
        Cache.depth -= 1
        if not Cache.depth:
            Cache.values = {}


def value_of(module, name):
    """The computed parameter, inside of `cached()` the one that was computed first."""
    if not Cache.depth:
        return module.parametrizations[name]()
    key = id(module), name
    if key not in Cache.values:
        Cache.values[key] = module.parametrizations[name]()
    return Cache.values[key]


def computed(name):
    """A property that computes the parameter, and that writes to its originals."""
    return property(lambda self: value_of(self, name), lambda self, value: self.parametrizations[name].right_inverse(value))


def check_alike(name, old, new):
    """Refuse a parametrization that changes what kind of tensor the parameter is."""
    if not isinstance(new, Tensor) or new.shape != old.shape or new.dtype != old.dtype:
        got = f"{new.dtype}{list(new.shape)}" if isinstance(new, Tensor) else type(new).__name__
        raise ValueError(f"register_parametrization: {name!r} is a tensor {old.dtype}{list(old.shape)}, and the parametrization makes "
                         f"{got} of it; pass unsafe=True if that is wanted")  # fmt: skip


def register_parametrization(module, tensor_name, parametrization, *, unsafe=False):
    """Let `parametrization` compute a parameter from the present one, or from what its `right_inverse` makes of that

    >>> import tinygrad_edu as tg
    >>> class Symmetric(tg.nn.Module):
    ...     def forward(self, x):
    ...         return x.triu() + x.triu(1).T
    >>> layer = tg.nn.utils.parametrize.register_parametrization(tg.nn.Linear(3, 3), "weight", Symmetric())
    >>> tg.equal(layer.weight, layer.weight.T)
    True
    """
    parametrization.train(module.training)
    if is_parametrized(module, tensor_name):
        if not unsafe:
            value = getattr(module, tensor_name)
            check_alike(tensor_name, value, parametrization(value))
        module.parametrizations[tensor_name].append(parametrization)
        return module
    if tensor_name not in module._parameters and tensor_name not in module._buffers:
        raise ValueError(f"{type(module).__name__} has no parameter or buffer {tensor_name!r} to be computed")
    old = getattr(module, tensor_name)
    original = old
    if hasattr(parametrization, "right_inverse"):
        with modes.no_grad():
            original = parametrization.right_inverse(old.detach())
        if isinstance(original, Tensor):
            original = Parameter(original, old.requires_grad) if isinstance(old, Parameter) else original
        else:
            original = [Parameter(t.detach().clone(), old.requires_grad) for t in original]
    held = ParametrizationList([parametrization], original)
    if not unsafe:
        check_alike(tensor_name, old, held())
    delattr(module, tensor_name)
    if not is_parametrized(module):
        kind = type(module)
        members = {"__module__": kind.__module__, "unparametrized": kind, "__getstate__": refuse_pickling}
        module.__class__ = type(f"Parametrized{kind.__name__}", (kind,), members)
        module.parametrizations = ModuleDict()
    setattr(type(module), tensor_name, computed(tensor_name))
    module.parametrizations[tensor_name] = held
    return module


def refuse_pickling(module):
    """A parametrized module has a class of its own, which no pickle can name."""
    raise RuntimeError(f"{type(module).__name__}: a parametrized module cannot be pickled; save its state_dict(), or call remove_parametrizations first")


def is_parametrized(module, tensor_name=None):
    """True if the module, or one of its parameters, is computed."""
    tables = module.__dict__.get("parametrizations")
    return isinstance(tables, ModuleDict) and (tensor_name is None or tensor_name in tables)


def remove_parametrizations(module, tensor_name, leave_parametrized=True):
    """Make a computed parameter an ordinary one: with its present value, or with leave_parametrized=False the original"""
    if not is_parametrized(module, tensor_name):
        raise ValueError(f"{type(module).__name__}.{tensor_name} is not computed by a parametrization")
    held = module.parametrizations[tensor_name]
    if not leave_parametrized and not held.is_tensor:
        raise ValueError(f"{tensor_name} is computed from several tensors, and none of them can take its place")
    with modes.no_grad():
        value = getattr(module, tensor_name) if leave_parametrized else held.original
    source = held.original if held.is_tensor else held.original0
    delattr(type(module), tensor_name)
    del module.parametrizations[tensor_name]
    if isinstance(source, Parameter):
        module.register_parameter(tensor_name, Parameter(value.detach().clone(), source.requires_grad))
    else:
        module.register_buffer(tensor_name, value.detach().clone())
    if not len(module.parametrizations):
        del module.parametrizations
        module.__class__ = type(module).unparametrized
    return module


def type_before_parametrizations(module):
    """The module's class, before parametrizations made a subclass of it"""
    return getattr(type(module), "unparametrized", type(module))


def transfer_parametrizations_and_params(from_module, to_module, tensor_name=None):
    """Give another module the parametrizations, and the values, of this one"""
    for name in [tensor_name] if tensor_name is not None else list(from_module.parametrizations):
        held = from_module.parametrizations[name]
        if not is_parametrized(to_module, name):
            for parametrization in held:
                register_parametrization(to_module, name, parametrization, unsafe=True)
        with modes.no_grad():
            for (_, target), (_, source) in zip(to_module.parametrizations[name].named_parameters(), held.named_parameters()):
                target.copy_(source)
    return to_module


__all__ = ["ParametrizationList", "cached", "is_parametrized", "register_parametrization", "remove_parametrizations",
           "transfer_parametrizations_and_params", "type_before_parametrizations"]  # fmt: skip
