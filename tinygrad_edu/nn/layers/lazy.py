"""Layers that learn the number of their input channels from their first input."""

import numpy as np

from ...api.random import fork_rng
from ...autograd.tensor import Tensor
from ..module import Module, own_buffers, own_parameters
from ..parameter import Parameter
from .convolution import Conv1d, Conv2d, Conv3d, ConvTranspose1d, ConvTranspose2d, ConvTranspose3d
from .normalization import BatchNorm1d, BatchNorm2d, BatchNorm3d, InstanceNorm1d, InstanceNorm2d, InstanceNorm3d


class Lazy(Module):
    """A layer of class `kind` that is complete only after its first input; its parameters stay the same objects."""

    kind: type
    argument = ""  # the name of the number that is not known yet

    def __init__(self, *args, **kwargs):
        Module.__init__(self)
        self.__dict__["arguments"] = args, kwargs
        with fork_rng():  # the first values are drawn when the size is known
            known = self.kind(kwargs.get("groups", args[5] if len(args) > 5 and self.argument == "in_channels" else 1), *args, **kwargs)
        self.__dict__.update(known.__dict__)
        for name, p in own_parameters(known):
            setattr(self, name, Parameter(Tensor(np.empty(0, p.dtype))))
        setattr(self, self.argument, 0)

    def has_uninitialized_params(self):
        """True: no input has come yet."""
        return True

    def forward(self, input, *args, **kwargs):
        """Become the layer that fits this input, and compute."""
        axes = getattr(self, "axes", None)
        given, options = self.__dict__.pop("arguments")
        layer = self.kind(input.shape[0 if axes is not None and input.ndim == axes + 1 else 1], *given, **options)
        parameters, training = dict(own_parameters(self)), self.training
        for name, p in own_parameters(layer):
            parameters[name].data = p.data
        buffers = dict(own_buffers(layer))
        self.__dict__.update({k: v for k, v in layer.__dict__.items() if not isinstance(v, Parameter)} | buffers, training=training)
        self.__class__ = self.kind
        return self.forward(input, *args, **kwargs)


def lazy(kind, argument):
    """The lazy form of a class."""
    doc = f"A {kind.__name__} layer that learns {argument} from its first input."
    return type(f"Lazy{kind.__name__}", (Lazy, kind), {"kind": kind, "argument": argument, "__doc__": doc, "__module__": __name__})


LazyConv1d, LazyConv2d, LazyConv3d = (lazy(kind, "in_channels") for kind in (Conv1d, Conv2d, Conv3d))
LazyConvTranspose1d, LazyConvTranspose2d, LazyConvTranspose3d = (
    lazy(kind, "in_channels") for kind in (ConvTranspose1d, ConvTranspose2d, ConvTranspose3d)
)
LazyBatchNorm1d, LazyBatchNorm2d, LazyBatchNorm3d = (lazy(kind, "num_features") for kind in (BatchNorm1d, BatchNorm2d, BatchNorm3d))
LazyInstanceNorm1d, LazyInstanceNorm2d, LazyInstanceNorm3d = (
    lazy(kind, "num_features") for kind in (InstanceNorm1d, InstanceNorm2d, InstanceNorm3d)
)

__all__ = ["LazyBatchNorm1d", "LazyBatchNorm2d", "LazyBatchNorm3d", "LazyConv1d", "LazyConv2d", "LazyConv3d", "LazyConvTranspose1d",
           "LazyConvTranspose2d", "LazyConvTranspose3d", "LazyInstanceNorm1d", "LazyInstanceNorm2d", "LazyInstanceNorm3d"]  # fmt: skip
