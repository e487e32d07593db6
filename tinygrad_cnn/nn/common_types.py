"""Types of layers' arguments, under the names that model files import."""

from typing import Any

_Sizes = int | tuple[int, ...]
_size_any_t = _scalar_or_tuple_any_t = _Sizes
_size_1_t = _scalar_or_tuple_1_t = int | tuple[int]
_size_2_t = _scalar_or_tuple_2_t = int | tuple[int, int]
_size_3_t = _scalar_or_tuple_3_t = int | tuple[int, int, int]
_size_2_opt_t = _size_any_opt_t = tuple[int | None, ...] | int
_ratio_2_t = _ratio_any_t = float | tuple[float, ...]
_tensor_list_t = _maybe_indices_t = Any
