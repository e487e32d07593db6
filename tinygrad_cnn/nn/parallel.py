"""`DataParallel` for scripts that wrap their model in it: there is one device, so the model simply runs."""

from __future__ import annotations

from typing import Any

from tinygrad_cnn.nn.modules.module import Module


class DataParallel(Module):
    """A module that calls `module`, under whose name its parameters are found, as in PyTorch on the CPU."""

    def __init__(
        self, module: Module, device_ids: Any = None, output_device: Any = None, dim: int = 0
    ) -> None:
        super().__init__()
        self.module = module
        self.dim = dim

    def forward(self, *inputs: Any, **kwargs: Any) -> Any:
        return self.module(*inputs, **kwargs)
