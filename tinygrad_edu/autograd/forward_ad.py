"""Derivatives that travel with the values, as `torch.autograd.forward_ad` spells them: a dual tensor is a value and its direction.

There is no second engine for it here: the value keeps a graph, and the direction of a result is asked of that graph when `unpack_dual`
wants it. J·v is the derivative of uᵀ·J with respect to u, two passes back. The numbers are those of forward mode.
"""

from typing import Any, NamedTuple

import numpy as np

from . import engine, modes
from .node import ancestors, leaf
from .tensor import Tensor

__all__ = ["UnpackedDualTensor", "dual_level", "enter_dual_level", "exit_dual_level", "make_dual", "unpack_dual"]


class Level:
    """An open level: which nodes are the inputs of dual numbers, and their directions."""

    def __init__(self):
        self.directions: dict = {}  # node → (value, direction)
        self.grad = modes.switch("grad", True)  # the graph is needed under no_grad too


class UnpackedDualTensor(NamedTuple):
    """A value and its direction, None for a constant."""

    primal: Any
    tangent: Any


def enter_dual_level():
    """Open a level, in which there are dual tensors; returns its number, 0"""
    if modes.state.duals is not None:
        raise RuntimeError("Nested forward mode AD is not supported at the moment")
    modes.state.duals = Level()
    return 0


def exit_dual_level(*, level=None):
    """Close the level: its dual tensors become ordinary ones"""
    if modes.state.duals is None or level not in (None, 0):
        raise RuntimeError("Trying to exit a forward AD level but no level is currently active" if modes.state.duals is None else
                           "Trying to exit a forward AD level that was not the last one that was created. This is not supported.")  # fmt: skip
    modes.switch("grad", modes.state.duals.grad)
    modes.state.duals = None


class dual_level:
    """Where dual tensors live

    >>> import tinygrad_edu as tg
    >>> from tinygrad_edu.autograd import forward_ad
    >>> with forward_ad.dual_level():
    ...     x = forward_ad.make_dual(tg.tensor([1.0, 2.0]), tg.tensor([1.0, 0.0]))
    ...     forward_ad.unpack_dual(x**3).tangent
    tensor([3., 0.])
    """

    def __enter__(self):
        return enter_dual_level()

    def __exit__(self, *error):
        exit_dual_level()


def make_dual(tensor, tangent, *, level=None):
    """The tensor with a direction in which it moves; gradients of the tensor's own graph still reach it"""
    if modes.state.duals is None:
        raise RuntimeError("Trying to create a dual Tensor for forward AD but no level exists, make sure to enter_dual_level() first.")
    for what, x in (("primal", tensor), ("tangent", tangent)):
        if not isinstance(x, Tensor) or x.dtype.kind != "f":
            raise ValueError(f"Expected {what} to be floating point or complex, but got: {getattr(x, 'dtype', type(x).__name__)}")
    if tensor.shape != tangent.shape or tensor.dtype != tangent.dtype:
        raise RuntimeError(f"make_dual: the tensor is {tensor.dtype}{list(tensor.shape)} and its tangent {tangent.dtype}"
                           f"{list(tangent.shape)}; they must have the same shape and type")  # fmt: skip
    if tensor.node is None:
        dual = Tensor(tensor.array, leaf(tensor.array.shape, tensor.dtype))
    else:
        dual = tensor.view_as(tensor)
    modes.state.duals.directions[dual.node] = tensor, tangent
    return dual


def unpack_dual(tensor, *, level=None):
    """(value, direction) of a tensor; the direction is None if no dual tensor took part in it, or the level is closed"""
    level = modes.state.duals
    if level is None or tensor.node is None:
        return UnpackedDualTensor(tensor, None)
    if tensor.node in level.directions:
        return UnpackedDualTensor(*level.directions[tensor.node])
    order = ancestors(tensor.node)
    duals = [node for node in order if node in level.directions]
    if not duals:
        return UnpackedDualTensor(tensor, None)
    with modes.enable_grad():
        weights = Tensor(np.zeros_like(tensor.array), leaf(tensor.array.shape, tensor.dtype))
        inputs = [Tensor(np.empty(node.shape, node.dtype), node) for node in duals]
        pulled = engine.grad(tensor, inputs, weights, True, True, allow_unused=True)
        pairs = [(g, level.directions[node][1]) for g, node in zip(pulled, duals) if g is not None and g.node is not None]
        (tangent,) = engine.grad([g for g, _ in pairs], weights, [v for _, v in pairs], True, True, materialize_grads=True)
    own = {node for node in level.directions if node.op is None} | {weights.node}

    def settled(x):
        """Without its graph, unless something beside the dual tensors takes part in it."""
        return x if x.node is not None and any(n.op is None and n not in own for n in ancestors(x.node)) else x.detach()

    return UnpackedDualTensor(settled(tensor), settled(tangent))
