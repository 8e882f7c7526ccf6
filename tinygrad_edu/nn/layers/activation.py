"""Activations as modules."""

from ...ops import activations as ops
from ...ops.functions import tanh
from ..module import Module


class Sigmoid(Module):
    """1 / (1 + e⁻ˣ), element by element"""

    def forward(self, input):
        return ops.sigmoid(input)


class Tanh(Module):
    """tanh x, element by element"""

    def forward(self, input):
        return tanh(input)


class ReLU(Module):
    """max(x, 0), element by element; inplace=True overwrites its input"""

    def __init__(self, inplace=False):
        super().__init__()
        self.inplace = inplace

    def forward(self, input):
        return input.relu_() if self.inplace else ops.relu(input)

    def extra_repr(self):
        return "inplace=True" if self.inplace else ""
