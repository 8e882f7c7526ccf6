"""How gradients flow. Read in this order: node.py, tensor.py, operator.py, engine.py."""

import warnings

from . import forward_ad, functional, graph, profiler
from .engine import backward as of_tensors
from .engine import grad
from .function import Function, once_differentiable
from .gradcheck import GradcheckError, check_gradient, check_gradients, gradcheck, gradgradcheck
from .modes import (
    detect_anomaly,
    enable_grad,
    is_grad_enabled,
    no_grad,
    recording,
    set_detect_anomaly,
    set_grad_enabled,
)
from .node import Node, ancestors
from .tensor import Tensor


def backward(tensors, grad_tensors=None, retain_graph=None, create_graph=False, grad_variables=None, inputs=None):
    """Compute the gradients of `tensors`, weighted with `grad_tensors`, and add them to `.grad` of the leaves (or of `inputs`)

    >>> import tinygrad_edu as tg
    >>> x = tg.tensor(3.0, requires_grad=True)
    >>> tg.autograd.backward([x * x, 2 * x]); x.grad
    tensor(8.)
    """
    of_tensors(tensors, grad_variables if grad_tensors is None else grad_tensors, retain_graph, create_graph, inputs)


def Variable(data, requires_grad=False, volatile=None):  # noqa: N802 (PyTorch's old name)
    """What programs for the first versions of PyTorch wrap tensors in: the same data, with or without a gradient.

    >>> import tinygrad_edu as tg
    >>> tg.autograd.Variable(tg.ones(2), requires_grad=True)
    tensor([1., 1.], requires_grad=True)
    """
    if volatile is not None:
        warnings.warn("volatile was removed and now has no effect. Use `with torch.no_grad():` instead.", stacklevel=2)
        if volatile and requires_grad:
            raise ValueError("Variable can't be volatile and require_grad at the same time!")
    return data.detach().requires_grad_(requires_grad) if requires_grad or data.node is None else data


def paths():
    """PyTorch's import paths, as in `from tinygrad_edu.autograd.variable import Variable`."""
    import sys
    from types import ModuleType

    for name in ("variable", "grad_mode", "anomaly_mode"):
        path = sys.modules[f"{__name__}.{name}"] = globals()[name] = ModuleType(f"{__name__}.{name}", "What PyTorch has at this path.")
        vars(path).update({n: globals()[n] for n in __all__})


__all__ = [
    "Function",
    "GradcheckError",
    "Node",
    "Tensor",
    "Variable",
    "ancestors",
    "backward",
    "check_gradient",
    "check_gradients",
    "detect_anomaly",
    "enable_grad",
    "forward_ad",
    "functional",
    "grad",
    "gradcheck",
    "gradgradcheck",
    "graph",
    "is_grad_enabled",
    "no_grad",
    "once_differentiable",
    "profiler",
    "recording",
    "set_detect_anomaly",
    "set_grad_enabled",
]

paths()
