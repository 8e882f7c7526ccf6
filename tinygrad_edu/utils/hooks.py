"""PyTorch's import path of what a registration of a hook returns."""

from ..api.methods import RemovableHandle

__all__ = ["RemovableHandle"]
