"""PyTorch's import path of what a registration of a hook returns."""

from ..autograd.grad_fn import RemovableHandle

__all__ = ["RemovableHandle"]
