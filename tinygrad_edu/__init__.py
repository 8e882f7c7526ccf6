"""tinygrad_edu: reverse-mode differentiation that you can read, see and trust, on NumPy, in PyTorch's words."""

from .autograd import dtypes as _dtypes
from .autograd.dtypes import get_default_dtype, set_default_dtype
from .autograd.modes import (
    enable_grad,
    is_grad_enabled,
    no_grad,
    recording,
    set_grad_enabled,
)
from .autograd.modes import no_grad as inference_mode
from .autograd.tensor import Size, Tensor
from .api import functions as _functions
from .api import random
from .api.create import cpu, device, dtype_names as _dtype_names  # noqa: I001
from .api.random import Generator, default_generator

__version__ = "0.1.0"

globals().update(_functions)
globals().update(_dtype_names)

from math import e, inf, nan, pi  # noqa: E402

newaxis = None
from . import autograd, func, linalg, nn, optim, special, utils  # noqa: E402
from .func import vmap  # noqa: E402



def __getattr__(name):
    """Pictures and explanations are imported when they are first used: they need more than NumPy."""
    if name in ("viz", "explain", "summary"):
        from importlib import import_module

        module = import_module(f"{__name__}.viz")
        return module if name == "viz" else getattr(module, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


__all__ = [*_functions, *_dtype_names, "Generator", "Size", "Tensor", "autograd", "cpu", "default_generator", "device", "e", "enable_grad", "func",
           "get_default_dtype", "inf", "inference_mode", "is_grad_enabled", "linalg", "nan", "newaxis", "nn", "no_grad", "optim", "pi", "random", "recording",
           "set_default_dtype", "set_grad_enabled", "special", "utils", "vmap"]  # fmt: skip
