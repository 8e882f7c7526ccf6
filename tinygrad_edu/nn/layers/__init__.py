"""The layers, one file per family."""

from .activation import ReLU, Sigmoid, Tanh
from .linear import Linear

__all__ = ["Linear", "ReLU", "Sigmoid", "Tanh"]
