"""save and load under PyTorch's path for them, and what programs say there about pickled classes: files here hold none."""

from contextlib import nullcontext
from typing import Any

from .io import load, save

MAP_LOCATION = Any


def add_safe_globals(safe_globals):
    """Accepted: no file can make anything but tensors and plain Python data"""


def clear_safe_globals():
    """Accepted: there are none"""


def get_safe_globals():
    """None are needed"""
    return []


def safe_globals(safe_globals):
    """Accepted as a context: no file can make anything but tensors and plain Python data"""
    return nullcontext()


__all__ = ["add_safe_globals", "clear_safe_globals", "get_safe_globals", "load", "safe_globals", "save"]
