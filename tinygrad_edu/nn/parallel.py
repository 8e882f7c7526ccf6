"""Modules spread over devices: there is one device, so they are called as they are."""

from .layers.adaptive import DataParallel

__all__ = ["DataParallel"]
