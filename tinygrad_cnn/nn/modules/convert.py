"""Changing the dtype of all a module owns; devices are accepted as far as there is one, the CPU."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from tinygrad_cnn.autograd.handle import make_leaf
from tinygrad_cnn.ops.device import Device

Self = TypeVar("Self", bound="ConvertMixin")


class ConvertMixin:
    """Conversions of parameters and buffers, in place of the module."""

    def _apply(self: Self, fn: Callable[[Any], Any]) -> Self:
        """Replace the value of every parameter and buffer by ``fn(value)``; the Parameter objects stay."""
        own: Any = self
        for module in own.modules():
            for param in module._parameters.values():
                if param is None:
                    continue
                new = fn(param.detach()).array
                if new is param.array:
                    continue
                param.array = new
                if param.node is not None:
                    hooks = param.node.hooks
                    param.node = make_leaf(param)
                    param.node.hooks = hooks
                if param.grad is not None:
                    param.grad = fn(param.grad)
            for name, buffer in module._buffers.items():
                if buffer is not None:
                    module._buffers[name] = fn(buffer)
        return self

    def to(self: Self, *args: Any, memory_format: Any = None, **kwargs: Any) -> Self:
        """Change the floating dtype of parameters and buffers: ``to(tg.float64)``; ``to("cpu")`` is accepted.

        A `memory_format` is given to those with 4 dimensions ("channels_last") or 5 ("channels_last_3d"). Raises
        TypeError for a dtype that is no floating one.
        """

        def convert(t: Any) -> Any:
            if t.array.dtype.kind not in "fc":
                return t
            moved = t.to(*args, **kwargs)
            if not moved.is_floating_point():
                raise TypeError(f"{type(self).__name__}.to expected a floating dtype, got {moved.array.dtype}")
            if memory_format is not None and t.ndim in (4, 5):
                moved = moved.to(memory_format=memory_format)
            return moved

        return self._apply(convert)

    def type(self: Self, dst_type: Any) -> Self:
        """Change the dtype of all parameters and buffers."""
        return self._apply(lambda t: t.to(dst_type))

    def _cast(self: Self, dtype: str) -> Self:
        return self._apply(lambda t: t.to(dtype=dtype) if t.array.dtype.kind in "fc" else t)

    def float(self: Self) -> Self:
        """All floating parameters and buffers to float32."""
        return self._cast("float32")

    def double(self: Self) -> Self:
        """All floating parameters and buffers to float64."""
        return self._cast("float64")

    def half(self: Self) -> Self:
        """All floating parameters and buffers to float16."""
        return self._cast("float16")

    def cpu(self: Self) -> Self:
        """The module itself: everything is on the CPU."""
        return self

    def cuda(self: Self, device: Device | None = None) -> Self:
        """Raises RuntimeError: this engine runs on the CPU."""
        raise RuntimeError(
            f"{type(self).__name__}.cuda({'' if device is None else device}): tinygrad_cnn runs on the CPU only; "
            "drop the call, or guard it with tinygrad_cnn.cuda.is_available()"
        )

    def compile(self, *_args: object, **options: object) -> None:
        """Nothing is compiled: Python runs the module as it is. TypeError for the words of Keras's `compile`."""
        if options.keys() & {"optimizer", "loss", "metrics"}:
            raise TypeError(
                "a Module does not know how it is trained: write training.Trainer(model).compile(optimizer=…, loss=…, "
                "metrics=…), whose fit, evaluate and predict are Keras's"
            )

    def share_memory(self: Self) -> Self:
        """The module itself."""
        return self
