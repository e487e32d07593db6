"""What PyTorch's graph nodes are called here, and what they compute, as text.

PyTorch names its nodes after the operator whose derivative they are (``ReluBackward0``). Where this package has the
op, its name, formula and local gradients are taken from the op table; the table below has those that PyTorch cuts
differently (a convolution with its bias, ``addmm``). Any other node keeps PyTorch's name, in lower case.
"""

from __future__ import annotations

import re
from typing import NamedTuple

import tinygrad_cnn.ops.normalise  # noqa: F401 - the op table is filled by importing the ops
from tinygrad_cnn.autograd.op import REGISTRY


class Text(NamedTuple):
    """An op's texts: as in `autograd.op.Op`, with the names of its differentiable inputs."""

    name: str
    formula: str
    inputs: tuple[str, ...] = ("x",)
    local: tuple[str, ...] = ()


#: Nodes that have no op of the same cut here. A ``{n}`` in a name is the number of spatial dimensions.
OWN: dict[str, Text] = {
    "convolution": Text(
        "conv{n}d", "Σ x[c, i·S + u·D − P, …] · w[o, c, u, …] + b[o]", ("x", "w", "b"),
        ("g spread over the windows, times w", "g summed over the windows, times x", "Σ g over N and space"),
    ),
    "addmm": Text("addmm", "b + A · B", ("b", "A", "B"), ("Σ g over the broadcast dimensions", "g · Bᵀ", "Aᵀ · g")),
    "baddbmm": Text("baddbmm", "c + A · B", ("c", "A", "B"), ("Σ g over the broadcast dimensions", "g · Bᵀ", "Aᵀ · g")),
    "mm": Text("matmul", "A · B", ("A", "B"), ("g · Bᵀ", "Aᵀ · g")),
    "bmm": Text("matmul", "A · B", ("A", "B"), ("g · Bᵀ", "Aᵀ · g")),
    "mv": Text("matmul", "A · v", ("A", "v"), ("g · vᵀ", "Aᵀ · g")),
    "dot": Text("dot", "Σ a · b", ("a", "b"), ("b", "a")),
    "nll_loss": Text("nll_loss", "−x[target], averaged", ("x",), ("−weight at the target, 0 elsewhere",)),
    "t": Text("t", "xᵀ", ("x",), ("1, transposed back",)),
    "transpose": Text("transpose", "x with two dimensions exchanged", ("x",), ("1, exchanged back",)),
    "native_layer_norm": Text(
        "layer_norm", "weight · (x − mean) / √(var + ε) + bias", ("x", "weight", "bias"),
        ("weight / √(var + ε) · (g − mean(g) − x̂ · mean(g · x̂))", "Σ g · x̂", "Σ g"),
    ),
    "native_group_norm": Text(
        "group_norm", "weight · (x − mean) / √(var + ε) + bias", ("x", "weight", "bias"),
        ("weight / √(var + ε) · (g − mean(g) − x̂ · mean(g · x̂))", "Σ g · x̂", "Σ g"),
    ),
    "max_pool2d_with_indices": Text(
        "max_pool2d", "max over each window of x", ("x",), ("1 at the chosen positions, else 0",)
    ),
    "max_pool3d_with_indices": Text(
        "max_pool3d", "max over each window of x", ("x",), ("1 at the chosen positions, else 0",)
    ),
    "avg_pool2d": Text("avg_pool2d", "mean over each window of x", ("x",), ("1 / window size, over the window",)),
    "adaptive_avg_pool2d": Text(
        "adaptive_avg_pool2d", "mean over each cell of a grid", ("x",), ("1 / cell size, over the cell",)
    ),
    "split": Text("split", "x in parts", ("x",), ("1 in its own part",)),
    "unbind": Text("unbind", "the slices of x along a dimension", ("x",), ("1 in its own slice",)),
    "slice": Text("slice", "x[from : to]", ("x",), ("1 at the slice, 0 elsewhere",)),
    "select": Text("select", "x[i]", ("x",), ("1 at the index, 0 elsewhere",)),
    "native_dropout": Text("dropout", "x · mask", ("x",), ("mask: 0 or 1 / (1 − p)",)),
}  # fmt: skip

#: PyTorch's name: the name of the op here that computes the same.
SAME = {
    "view": "reshape", "unsafe_view": "reshape", "reshape_alias": "reshape", "squeeze": "reshape",
    "unsqueeze": "reshape", "native_batch_norm": "batch_norm", "cudnn_batch_norm": "batch_norm",
    "miopen_batch_norm": "batch_norm", "to_copy": "cast", "index_select": "index", "mse_loss": "mse_loss",
    "constant_pad_nd": "pad",
}  # fmt: skip

#: Other names of one of `OWN`.
ALIASES = {
    "mkldnn_convolution": "convolution", "cudnn_convolution": "convolution", "slow_conv2d": "convolution",
    "thnn_conv2d": "convolution", "conv_depthwise2d": "convolution", "miopen_convolution": "convolution",
    "max_pool2_dwith_indices": "max_pool2d_with_indices", "safe_split": "split", "split_with_sizes": "split",
    "nll_loss_nd": "nll_loss", "nll_loss2d": "nll_loss",
}  # fmt: skip


def operator_name(node_name: str) -> str:
    """The operator of a node's name: ``MaxPool2DWithIndicesBackward0`` is of ``max_pool2d_with_indices``, and so is
    the overload ``aten.max_pool2d_with_indices.default``."""
    if node_name.startswith("aten."):
        return node_name.split(".")[1].strip("_")
    name = re.sub(r"Backward\d*$", "", node_name.rpartition("::")[2])
    name = re.sub(r"(?<=\d)D(?=[A-Z]|$)", "d", name)
    name = re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", name).lower()
    return name.strip("_")


def text_of(node_name: str, dims: int, arity: int) -> tuple[Text, bool]:
    """The texts of a node with `dims` spatial dimensions and `arity` inputs, and whether its local gradients are one
    factor per entry, as the op table here says."""
    operator = operator_name(node_name)
    own = OWN.get(ALIASES.get(operator, operator))
    if own is not None:
        return own._replace(name=own.name.format(n=dims)), False
    ours = REGISTRY.get(SAME.get(operator, operator))
    if ours is None:
        return Text(operator or node_name, f"{operator or node_name}(…)", ()), False
    inputs = tuple(ours.input_name(i, arity) for i in range(arity))
    local = tuple(ours.local_text(i) for i in range(arity))
    return Text(ours.name, ours.formula, inputs, local), ours.has_factor
