"""Where PyTorch keeps the parts of its DataLoader, and programs look for them."""

from . import collate

__all__ = ["collate"]
