"""The names of types that model files put in their annotations."""

from ..autograd.tensor import Tensor

_scalar_or_tuple_any_t = int | tuple[int, ...]
_scalar_or_tuple_1_t = _size_1_t = int | tuple[int]
_scalar_or_tuple_2_t = _size_2_t = int | tuple[int, int]
_scalar_or_tuple_3_t = _size_3_t = int | tuple[int, int, int]
_size_any_t = _scalar_or_tuple_any_t
_size_any_opt_t = _size_2_opt_t = tuple[int | None, ...] | int | None
_ratio_any_t = _ratio_2_t = _ratio_3_t = float | tuple[float, ...]
_tensor_list_t = Tensor | list[Tensor]
