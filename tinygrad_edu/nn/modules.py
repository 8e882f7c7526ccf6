"""PyTorch's import path for modules: `nn.modules.Module`, `from tinygrad_edu.nn.modules import Linear`."""

from . import containers as container
from . import hooks, module
from . import losses as loss
from .containers import ModuleDict, ModuleList, ParameterDict, ParameterList, Sequential
from .layers import *  # noqa: F403
from .layers import __all__ as layer_names
from .layers import activation, dropout, linear, sparse, transformer
from .losses import *  # noqa: F403
from .losses import __all__ as loss_names
from .module import Module

__all__ = ["Module", "ModuleDict", "ModuleList", "ParameterDict", "ParameterList", "Sequential", "activation", "container", "dropout",
           "hooks", "linear", "loss", "module", "sparse", "transformer", *layer_names, *loss_names]  # fmt: skip
