"""PyTorch's former place of functional_call."""

from ...func import functional_call

__all__ = ["functional_call"]
