"""`torch.profiler`, as programs write it around their code: accepted; the functions are in autograd/profiler.py."""

from .autograd.profiler import *  # noqa: F403
from .autograd.profiler import __all__ as __all__
