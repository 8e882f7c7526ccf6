"""Activations as functions."""

from ...ops.activations import relu as relu_operator
from ...ops.activations import sigmoid
from ...ops.functions import tanh


def relu(input, inplace=False):
    """max(input, 0), element by element"""
    return input.relu_() if inplace else relu_operator(input)


__all__ = ["relu", "sigmoid", "tanh"]
