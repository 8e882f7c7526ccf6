"""Signals: the window functions of `torch.signal`."""

from . import windows

__all__ = ["windows"]
