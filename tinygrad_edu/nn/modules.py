"""PyTorch's import paths for modules: `from tinygrad_edu.nn.modules.batchnorm import _BatchNorm` and its kin."""

import sys
from types import ModuleType

from . import containers as container
from . import hooks, losses, module
from .containers import ModuleDict, ModuleList, ParameterDict, ParameterList, Sequential
from .layers import *  # noqa: F403
from .layers import __all__ as layer_names
from .layers import (
    activation,
    convolution,
    dropout,
    lazy,
    linear,
    normalization,
    padding,
    pooling,
    recurrent,
    resampling,
    reshaping,
    sparse,
    transformer,
)
from .losses import *  # noqa: F403
from .losses import __all__ as loss_names
from .module import Module

__all__ = ["Module", "ModuleDict", "ModuleList", "ParameterDict", "ParameterList", "Sequential", "activation", "container", "dropout",
           "hooks", "linear", "module", "sparse", "transformer", *layer_names, *loss_names]  # fmt: skip

BASES = dict(_Loss=losses.Loss, _WeightedLoss=losses.WeightedLoss, _BatchNorm=normalization.BatchNorm, _NormBase=normalization.ChannelNorm,
             _InstanceNorm=normalization.InstanceNorm, _ConvNd=convolution.Convolution, RNNBase=recurrent.Recurrent)  # fmt: skip


def repeated(n):
    """A function that turns one number into n of them, and leaves sequences as they are."""
    return lambda x: tuple(x) if isinstance(x, (tuple, list)) else (x,) * n


def consume_prefix_in_state_dict_if_present(state_dict, prefix):
    """Take a prefix, such as the "module." of DataParallel, from the keys of a state, in place."""
    for key in [k for k in state_dict if k.startswith(prefix)]:
        state_dict[key.removeprefix(prefix)] = state_dict.pop(key)


REPEATS = dict(consume_prefix_in_state_dict_if_present=consume_prefix_in_state_dict_if_present, _ntuple=repeated, _single=repeated(1),
               _pair=repeated(2), _triple=repeated(3), _quadruple=repeated(4))  # fmt: skip
PATHS = dict(loss=losses, container=container, module=module, activation=activation, linear=linear, dropout=dropout, sparse=sparse,
             transformer=transformer, batchnorm=normalization, instancenorm=normalization, normalization=normalization,
             conv=convolution, fold=convolution, pooling=pooling, padding=padding, rnn=recurrent, upsampling=resampling,
             flatten=reshaping, pixelshuffle=reshaping, channelshuffle=reshaping, distance=reshaping, lazy=lazy, utils=None)  # fmt: skip
for name, source in PATHS.items():
    path = ModuleType(f"{__name__}.{name}", f"PyTorch's import path {name}.")
    names = REPEATS if source is None else {**vars(source), **BASES}
    vars(path).update({k: v for k, v in names.items() if not k.startswith("__")})
    sys.modules[path.__name__] = globals()[name] = path
