"""The sampler of a group of processes, under PyTorch's path."""

from .sampler import DistributedSampler

__all__ = ["DistributedSampler"]
