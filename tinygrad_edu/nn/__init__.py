"""Layers, losses and everything to build models with, in PyTorch's names."""

from . import functional, init, modules, utils
from .containers import ModuleDict, ModuleList, ParameterDict, ParameterList, Sequential
from .layers import *  # noqa: F403
from .layers import __all__ as layer_names
from .losses import *  # noqa: F403
from .losses import __all__ as loss_names
from .module import Module
from .parameter import Buffer, Parameter, UninitializedParameter

__all__ = ["Buffer", "Module", "ModuleDict", "ModuleList", "Parameter", "ParameterDict", "ParameterList", "Sequential",
           "UninitializedParameter", "functional", "init", "modules", "utils", *layer_names, *loss_names]  # fmt: skip
