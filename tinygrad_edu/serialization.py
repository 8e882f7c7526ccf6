"""save and load under PyTorch's path for them, and the classes that files may name when load runs no code of theirs."""

from contextlib import contextmanager
from typing import Any

from .io import load, save
from .io.machine import trusted

MAP_LOCATION = Any


def named(allowed):
    """The classes by the names that pickles have for them; an entry may be (class, name)."""
    pairs = [entry if isinstance(entry, tuple) else (entry, f"{entry.__module__}.{getattr(entry, '__qualname__', entry.__name__)}") for entry in allowed]
    return {name: kind for kind, name in pairs}


def add_safe_globals(safe_globals):
    """Allow `load(…, weights_only=True)` to make objects of these classes, by calling them and filling their attributes.

    >>> import tinygrad_edu as tg, io
    >>> from argparse import Namespace
    >>> file = io.BytesIO()
    >>> tg.save(dict(arguments=Namespace(lr=0.1), w=tg.ones(2)), file)
    >>> _ = file.seek(0)
    >>> with tg.serialization.safe_globals([Namespace]):
    ...     tg.load(file)
    {'arguments': Namespace(lr=0.1), 'w': tensor([1., 1.])}
    """
    trusted.update(named(safe_globals))


def clear_safe_globals():
    """Allow none any more"""
    trusted.clear()


def get_safe_globals():
    """The classes that are allowed"""
    return list(trusted.values())


@contextmanager
def safe_globals(safe_globals):
    """Allow some classes within a `with` block"""
    before = dict(trusted)
    add_safe_globals(safe_globals)
    try:
        yield
    finally:
        trusted.clear()
        trusted.update(before)


__all__ = ["add_safe_globals", "clear_safe_globals", "get_safe_globals", "load", "safe_globals", "save"]
