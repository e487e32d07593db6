"""`DataParallel` and `DistributedDataParallel` for scripts that use them: with one device the model simply runs."""

from __future__ import annotations

from contextlib import nullcontext
from typing import Any

from tinygrad_cnn.nn.modules.module import Module
from tinygrad_cnn.ops.device import Device
from tinygrad_cnn.tensors.tensor import Tensor


class DataParallel(Module):
    """A module that calls `module`, under whose name its parameters are found, as in PyTorch on the CPU."""

    def __init__(
        self, module: Module, device_ids: Device | None = None, output_device: Device | None = None, dim: int = 0
    ) -> None:
        super().__init__()
        self.module = module
        self.dim = dim

    def forward(self, *inputs: Any, **kwargs: Any) -> Tensor:
        return self.module(*inputs, **kwargs)


class DistributedDataParallel(DataParallel):
    """The same for scripts of many processes: there is one here, so gradients are complete as they are."""

    def __init__(
        self, module: Module, device_ids: Device | None = None, output_device: Device | None = None, dim: int = 0,
        broadcast_buffers: bool = True, init_sync: bool = True, process_group: object = None,
        bucket_cap_mb: float | None = None, find_unused_parameters: bool = False, check_reduction: bool = False,
        gradient_as_bucket_view: bool = False, static_graph: bool = False,
    ) -> None:  # fmt: skip
        super().__init__(module, None, None, dim)

    def no_sync(self) -> Any:
        """A context in which nothing is exchanged between processes: nothing ever is."""
        return nullcontext()
