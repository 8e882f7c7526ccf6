"""What is neither tensors nor layers: data loading and checkpointing, in PyTorch's places for them."""

from . import _pytree, checkpoint, data, hooks  # noqa: F401  (_pytree: programs that import utils alone reach it)

__all__ = ["checkpoint", "data", "hooks"]
