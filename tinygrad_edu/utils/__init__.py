"""What is neither tensors nor layers: data loading, in PyTorch's place for it."""

from . import data

__all__ = ["data"]
