"""What is neither tensors nor layers: data loading and checkpointing, in PyTorch's places for them."""

from . import checkpoint, data, hooks

__all__ = ["checkpoint", "data", "hooks"]
