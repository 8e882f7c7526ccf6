"""Which program computes attention: here there is one, and the choice is accepted."""

from contextlib import contextmanager
from enum import Enum


class SDPBackend(Enum):
    """PyTorch's programs for scaled_dot_product_attention; all give the same numbers here."""

    ERROR = -1
    MATH = 0
    FLASH_ATTENTION = 1
    EFFICIENT_ATTENTION = 2
    CUDNN_ATTENTION = 3


@contextmanager
def sdpa_kernel(backends, set_priority=False):
    """A context in which attention is computed as everywhere."""
    yield


__all__ = ["SDPBackend", "sdpa_kernel"]
