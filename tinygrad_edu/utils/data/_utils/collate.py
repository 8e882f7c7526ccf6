"""The functions that make batches, under PyTorch's path."""

from ..collate import default_collate, default_convert

__all__ = ["default_collate", "default_convert"]
