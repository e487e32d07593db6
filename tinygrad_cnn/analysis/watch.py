"""Watching a model at work: the outputs of its layers, in evaluation mode, leaving it as it was."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from tinygrad_cnn.autograd.handle import Handle, unwrap, wrap
from tinygrad_cnn.support.errors import UsageError


@contextlib.contextmanager
def evaluating(model: Any) -> Iterator[None]:
    """Evaluation mode for a while: no dropout, no running statistics; each module's own mode returns."""
    modules = list(model.modules()) if hasattr(model, "modules") else []
    before = [m.training for m in modules]
    if modules:
        model.eval()
    try:
        yield
    finally:
        for module, training in zip(modules, before, strict=True):
            module.training = training


def layer_outputs(model: Any, x: Any, layers: Sequence[str] | None = None) -> dict[str, Handle]:
    """Call the model and give the outputs of the named layers, by module path, in the order of computation.

    Without `layers`: of every module that has no modules inside. A module called twice gives its last output.
    Raises UsageError for a path that does not exist or was not called.
    """
    modules = dict(model.named_modules())
    if layers is None:
        wanted = [path for path, m in modules.items() if path and not any(True for _ in m.children())]
        wanted = wanted or [""]
    else:
        wanted = [layer_path(model, layer) for layer in layers]
    found: dict[str, Handle] = {}
    hooks = []

    def keep(path: str) -> Any:
        def hook(_module: Any, _args: Any, output: Any) -> None:
            if isinstance(output, Handle):
                found.pop(path, None)  # the last call counts, at its place in the order
                found[path] = output

        return hook

    try:
        for path in wanted:
            hooks.append(modules[path].register_forward_hook(keep(path)))  # noqa: PERF401
        model(x)
    finally:
        for handle in hooks:
            handle.remove()
    if layers is not None:
        for path in wanted:
            if path not in found:
                raise UsageError(f"the layer {path!r} was not called (or gave no tensor) for this input")
    return found


def layer_path(model: Any, layer: Any) -> str:
    """The path of a layer, given as path, as number in the order of `named_modules`, or as the module itself."""
    modules = dict(model.named_modules())
    if isinstance(layer, str):
        if layer not in modules:
            known = [path for path in modules if path]
            raise UsageError(
                f"there is no layer {layer!r}; there are: {', '.join(known[:30])}{', …' if len(known) > 30 else ''}"
            )
        return layer
    for path, module in modules.items():
        if module is layer:
            return path
    raise UsageError(
        f"a layer is named by its path (a string) or is a module of the model, got {type(layer).__name__}"
    )


def sample_size(model: Any, input_size: Sequence[int]) -> tuple[int, ...]:
    """The size of one sample, channels first, from a size without or with the batch.

    Where the model has a convolution, that says how many side lengths there are. Raises UsageError for others.
    """
    size = tuple(int(n) for n in input_size)
    kinds = [type(m).__name__ for m in model.modules()] if hasattr(model, "modules") else []
    sides = next((int(kind[-2]) for kind in kinds if kind.startswith("Conv") and kind[-2:] in ("1d", "2d", "3d")), None)
    if sides is None or len(size) == sides + 1:
        return size
    if len(size) == sides + 2:
        return size[1:]
    lengths = {1: "length", 2: "height, width", 3: "depth, height, width"}[sides]
    raise UsageError(f"expected the size of one sample, (channels, {lengths}), got {size}")


def as_batch(image: Any) -> Handle:
    """An image (H, W), (C, H, W) or a batch (N, C, H, W) as a batch of floats."""
    array = np.asarray(unwrap(image))
    if array.dtype.kind != "f":
        array = array.astype(np.float32)
    if array.ndim == 2:
        array = array[None]
    if array.ndim == 3:
        array = array[None]
    return wrap(array)
