"""What to write instead of a part of PyTorch that is not here, by the start of its dotted name."""

from __future__ import annotations

__all__ = ["advice"]

_CPU = "everything here is computed on the CPU, in one process"
_WHOLE = "nothing is compiled or exported here; run the module itself"

#: The longest start that fits gives the advice.
_INSTEAD = {
    "torch.cuda": f"{_CPU}: ask torch.cuda.is_available() first, as scripts for both do",
    "torch.xpu": _CPU,
    "torch.mps": _CPU,
    "torch.distributed": f"{_CPU}: leave the distributed part out, torch.distributed.is_available() is False",
    "torch.nn.parallel.DistributedDataParallel": f"{_CPU}: use the module itself",
    "torch.sparse": "tensors are dense here: use Tensor.to_dense() before, or dense operations",
    "torch.sparse_coo_tensor": "tensors are dense here: build the dense tensor",
    "torch.quantization": "quantised networks are not here: use the float network",
    "torch.ao": "quantised networks are not here: use the float network",
    "torch.quantize_per_tensor": "quantised networks are not here: use the float network",
    "torch.export": _WHOLE,
    "torch.fx": "modules are not traced symbolically here: run the module, or look at it with tinygrad-cnn graph",
    "torch._dynamo": _WHOLE,
    "torch._inductor": _WHOLE,
    "torch.package": "save the weights: torch.save(model.state_dict(), path)",
    "torch.profiler": "use Python's cProfile, or tinygrad_cnn.analysis for multiply-adds and memory",
    "torch.autograd.profiler": "use Python's cProfile, or tinygrad_cnn.analysis for multiply-adds and memory",
    "torch.utils.tensorboard": "use tinygrad_cnn.training.History and tinygrad_cnn.viz for curves",
    "torch.utils.cpp_extension": "operations are written in Python here: torch.autograd.Function",
    "torch.fft": "use numpy.fft outside of the graph",
    "torch.stft": "use scipy.signal outside of the graph",
    "torch.complex": "tensors are real here: keep the real and the imaginary part as two tensors",
    "torch.view_as_complex": "tensors are real here: keep the real and the imaginary part as two tensors",
    "torch.view_as_real": "tensors are real here: keep the real and the imaginary part as two tensors",
    "torch.nested": "pad the sequences: torch.nn.utils.rnn.pad_sequence",
    "torchvision.io": "read images with torchvision.datasets or Pillow",
    "torchvision.models": "install torchvision, whose own file then runs on this engine, or copy that file",
    "torchvision": "only the parts that networks of this package need are here, see docs/pytorch_surface.md",
    "torch": "leave it out, or write it with the operations of docs/pytorch_surface.md",
}  # fmt: skip


def advice(name: str) -> str:
    """What to do about the missing `name` (dotted), as half a sentence."""
    parts = name.split(".")
    for end in range(len(parts), 0, -1):
        if (found := _INSTEAD.get(".".join(parts[:end]))) is not None:
            return found
    return "it is not a part of PyTorch that this package knows"
