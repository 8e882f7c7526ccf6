"""The names of types that programs put in their annotations, as `torch.types` has them."""

from numpy import dtype

from .api.create import device
from .autograd.size import Size

Number = int | float | bool
Device = device | str | int | None
_device, _dtype = device, dtype
_size = Size | list[int] | tuple[int, ...]
_int, _float, _bool = int, float, bool

__all__ = ["Device", "Number"]
