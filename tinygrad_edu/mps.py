"""What a program asks `torch.mps`, Apple's graphics cards, before it decides where to run: as on a machine without one."""

from .cuda import (
    Event,
    device_count,
    empty_cache,
    is_available,
    manual_seed,
    seed,
    synchronize,
)
from .cuda import memory_allocated as current_allocated_memory
from .cuda import memory_allocated as driver_allocated_memory

__all__ = ["Event", "current_allocated_memory", "device_count", "driver_allocated_memory", "empty_cache", "is_available", "manual_seed", "seed", "synchronize"]
