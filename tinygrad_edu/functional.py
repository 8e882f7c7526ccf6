"""`torch.functional`: the functions at the package's top, under one more path, by which some programs import them."""

from .api import functions

globals().update(functions)
__all__ = [*functions]  # noqa: PLE0604
