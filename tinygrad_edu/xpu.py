"""What a program asks `torch.xpu`, Intel's graphics cards, before it decides where to run: as on a machine without one."""

from .cuda import (
    Event,
    Stream,
    device,
    device_count,
    empty_cache,
    is_available,
    is_bf16_supported,
    manual_seed,
    manual_seed_all,
    memory_allocated,
    seed,
    stream,
    synchronize,
)

__all__ = ["Event", "Stream", "device", "device_count", "empty_cache", "is_available", "is_bf16_supported", "manual_seed", "manual_seed_all", "memory_allocated", "seed",
           "stream", "synchronize"]  # fmt: skip
