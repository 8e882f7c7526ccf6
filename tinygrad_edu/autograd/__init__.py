"""How gradients flow. Read in this order: node.py, tensor.py, operator.py, engine.py."""

from . import functional
from .engine import backward, grad
from .function import Function, once_differentiable
from .gradcheck import GradcheckError, gradcheck, gradgradcheck
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

__all__ = [
    "Function",
    "GradcheckError",
    "Node",
    "Tensor",
    "ancestors",
    "backward",
    "detect_anomaly",
    "enable_grad",
    "functional",
    "grad",
    "gradcheck",
    "gradgradcheck",
    "is_grad_enabled",
    "no_grad",
    "once_differentiable",
    "recording",
    "set_detect_anomaly",
    "set_grad_enabled",
]
