"""What a backward pass is to everything that shows or steps one, and PyTorch's own backward pass in that form.

`passes` and `node` are the two protocols. The other files make PyTorch's graph and its pass answer them, without
changing PyTorch; they are imported only in a program that has imported `torch` itself.
"""

from __future__ import annotations

import contextlib
from typing import Any

from tinygrad_cnn.bridge.passes import Pass
from tinygrad_cnn.bridge.recognise import is_library_file, is_torch, is_torch_module, torch_in_use

__all__ = [
    "Pass",
    "called_torch_module",
    "is_library_file",
    "is_torch",
    "is_torch_module",
    "pass_of_torch",
    "torch_in_use",
    "watching_torch",
]


def watching_torch(observer: Any, *, stack: bool = True) -> contextlib.AbstractContextManager[Any]:
    """Tell `observer` of this thread's work with PyTorch, which is imported; see `torch_watch.watching`."""
    from tinygrad_cnn.bridge.torch_watch import watching

    return watching(observer, stack=stack)


def called_torch_module(module: Any, input: Any, input_size: Any) -> tuple[Any, Any]:
    """The tensors with a graph that a module of PyTorch gives, and the modules that were called; see
    `torch_watch.called`."""
    from tinygrad_cnn.bridge.torch_watch import called

    return called(module, input, input_size)


def pass_of_torch(
    outputs: Any, seeds: Any = None, inputs: Any = None, *, create_graph: bool = False,
    retain_graph: bool | None = None, accumulate: bool = True, silent: bool = False, modules: Any = (),
) -> Pass:  # fmt: skip
    """The backward pass of PyTorch tensors, ready to be stepped through.

    Args:
        outputs: a tensor of PyTorch with a graph behind it, or several
        seeds: ∂L/∂output of each; ones for a scalar, ``"ones"`` for ones whatever the shape
        inputs: as in `torch.autograd.backward`; only None is supported
        create_graph: as in `torch.autograd.backward`
        retain_graph: as in `torch.autograd.backward`
        accumulate: whether leaves' `.grad` is written; only True is supported
        silent: run no hook and write no `.grad`: for pictures, which must change nothing
        modules: the modules after which parameters are named

    Returns:
        The pass, before its first node.

    Raises RuntimeError as `torch.autograd.backward` does, NotImplementedError for `inputs`.
    """
    from tinygrad_cnn.bridge.torch_pass import TorchPass

    work = TorchPass.of(
        outputs, seeds, inputs, create_graph=create_graph, retain_graph=retain_graph, accumulate=accumulate,
        silent=silent,
    )  # fmt: skip
    work.watch_modules(modules)
    return work
