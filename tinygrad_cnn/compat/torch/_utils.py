"""`torch._utils`: the names that pickles of tensors ask for. Files are read by `serialization`, which answers them."""

from __future__ import annotations

from typing import Any, NoReturn

from tinygrad_cnn.nn import Parameter

#: `torch.FloatStorage` and its like, which pickles mention.
storage_types = {
    name: type(name, (), {"__module__": "torch", "__doc__": f"The memory of a tensor in a file ({name})."})
    for name in (
        "FloatStorage", "DoubleStorage", "HalfStorage", "BFloat16Storage", "LongStorage", "IntStorage",
        "ShortStorage", "CharStorage", "ByteStorage", "BoolStorage",
    )
}  # fmt: skip


def _rebuild_tensor_v2(*_args: Any) -> NoReturn:
    raise RuntimeError("a tensor of a .pt file is made by torch.load alone")


def _rebuild_parameter(data: Any, requires_grad: Any = True, *_hooks: Any) -> Parameter:
    return Parameter(data.detach(), requires_grad=requires_grad is True)


for _function in (_rebuild_tensor_v2, _rebuild_parameter):
    _function.__module__ = "torch._utils"  # the name under which pickles ask for it
