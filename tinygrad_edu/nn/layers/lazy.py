"""Layers that learn the number of their input channels from their first input."""

from contextlib import nullcontext

import numpy as np

from ...api.random import fork_rng
from ...autograd import dtypes
from ...autograd.tensor import Tensor
from ..module import Module, own_buffers, own_parameters, own_state
from ..parameter import Parameter, UninitializedParameter, is_lazy
from .convolution import Conv1d, Conv2d, Conv3d, ConvTranspose1d, ConvTranspose2d, ConvTranspose3d
from .linear import Linear
from .normalization import BatchNorm1d, BatchNorm2d, BatchNorm3d, InstanceNorm1d, InstanceNorm2d, InstanceNorm3d


class LazyModuleMixin:
    """For modules of one's own: `initialize_parameters(*inputs)` is called before the first forward pass, and materializes them.

    Where `cls_to_become` names a class, the module is of that class from then on.
    """

    cls_to_become = None

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.__dict__["first_call"] = self.register_forward_pre_hook(complete, with_kwargs=True)

    def has_uninitialized_params(self):
        """True while a parameter has no shape."""
        return any(is_lazy(p) for _, p in own_parameters(self))

    def initialize_parameters(self, *args, **kwargs):
        """Materialize the parameters for these inputs."""
        raise NotImplementedError(f"{type(self).__name__}: a lazy module needs a method initialize_parameters(*inputs)")


def complete(module, args, kwargs):
    """Let a lazy module become what its first inputs tell."""
    module.initialize_parameters(*args, **kwargs)
    if module.has_uninitialized_params():
        raise RuntimeError(f"{type(module).__name__}.initialize_parameters has left parameters without a shape; call materialize(shape) for each")
    module.__dict__.pop("first_call").remove()
    if module.cls_to_become is not None:
        module.__class__ = module.cls_to_become


class Lazy(Module):
    """A layer of class `kind` that is complete only after its first input, or a state that is loaded; its parameters stay the same objects."""

    kind: type
    argument = ""  # the name of the number that is not known yet

    def __init__(self, *args, **kwargs):
        Module.__init__(self)
        self.__dict__["arguments"] = args, kwargs
        with fork_rng():  # the first values are drawn when the size is known
            known = self.kind(kwargs.get("groups", args[5] if len(args) > 5 and self.argument == "in_channels" else 1), *args, **kwargs)
        self.__dict__.update(known.__dict__)
        for name, p in own_parameters(known):
            setattr(self, name, UninitializedParameter(dtype=p.dtype))
        setattr(self, self.argument, 0)

    def has_uninitialized_params(self):
        """True: no input has come yet, and no state was loaded."""
        return "loaded" not in self.__dict__

    def _load_from_state_dict(self, state_dict, prefix, *rest):
        """Take the shapes that the state has."""
        super()._load_from_state_dict(state_dict, prefix, *rest)
        found = {name: state_dict.get(prefix + name) for name, _ in own_state(self)}
        if self.has_uninitialized_params() and all(value is not None for value in found.values()):
            self.__dict__["loaded"] = True
            for name, t in own_state(self):
                t.data = Tensor(np.zeros(found[name].shape, t.dtype), None)
                t.__class__ = Parameter if is_lazy(t) else type(t)
        super()._load_from_state_dict(state_dict, prefix, *rest)

    def forward(self, input, *args, **kwargs):
        """Become the layer that fits this input, and compute."""
        axes, (given, options) = getattr(self, "axes", None), self.__dict__.pop("arguments")
        channels = -1 if self.argument == "in_features" else 0 if axes is not None and input.ndim == axes + 1 else 1
        loaded, mine, training = self.__dict__.pop("loaded", False), dict(own_state(self)), self.training
        before = dtypes.default
        try:
            dtypes.default = next((t.dtype for t in mine.values() if t.dtype.kind == "f"), before)  # of .double(), say
            with fork_rng() if loaded else nullcontext():
                layer = self.kind(input.shape[channels], *given, **options)
        finally:
            dtypes.default = before
        for name, p in own_parameters(layer):
            if not loaded:
                mine[name].data = p.data
            mine[name].__class__ = type(p)
        buffers = mine if loaded else dict(own_buffers(layer))
        settings = {k: v for k, v in layer.__dict__.items() if not isinstance(v, Parameter) and k != "_registered"}
        self.__dict__.update(settings | {k: t for k, t in buffers.items() if not isinstance(t, Parameter)}, training=training)
        self.__class__ = self.kind
        return self.forward(input, *args, **kwargs)


def lazy(kind, argument):
    """The lazy form of a class."""
    doc = f"A {kind.__name__} layer that learns {argument} from its first input."
    return type(f"Lazy{kind.__name__}", (Lazy, kind), {"kind": kind, "argument": argument, "__doc__": doc, "__module__": __name__})


LazyLinear = lazy(Linear, "in_features")
LazyConv1d, LazyConv2d, LazyConv3d = (lazy(kind, "in_channels") for kind in (Conv1d, Conv2d, Conv3d))
LazyConvTranspose1d, LazyConvTranspose2d, LazyConvTranspose3d = (
    lazy(kind, "in_channels") for kind in (ConvTranspose1d, ConvTranspose2d, ConvTranspose3d)
)
LazyBatchNorm1d, LazyBatchNorm2d, LazyBatchNorm3d = (lazy(kind, "num_features") for kind in (BatchNorm1d, BatchNorm2d, BatchNorm3d))
LazyInstanceNorm1d, LazyInstanceNorm2d, LazyInstanceNorm3d = (
    lazy(kind, "num_features") for kind in (InstanceNorm1d, InstanceNorm2d, InstanceNorm3d)
)

__all__ = ["LazyBatchNorm1d", "LazyBatchNorm2d", "LazyBatchNorm3d", "LazyConv1d", "LazyConv2d", "LazyConv3d", "LazyConvTranspose1d",
           "LazyConvTranspose2d", "LazyConvTranspose3d", "LazyInstanceNorm1d", "LazyInstanceNorm2d", "LazyInstanceNorm3d", "LazyLinear"]  # fmt: skip
