"""TensorBoard's event files, at PyTorch's path: `SummaryWriter` writes them through the library tensorboardX.

    from tinygrad_cnn.utils.tensorboard import SummaryWriter

    with SummaryWriter("runs/first") as writer:
        writer.add_scalar("loss", 0.5, 1)

``tensorboard --logdir runs`` shows them. Only the graph is written from here, since tensorboardX asks PyTorch for it.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Any

from tinygrad_cnn.autograd import modes
from tinygrad_cnn.autograd.graph import Node, reachable
from tinygrad_cnn.autograd.handle import Handle, leaf, unwrap
from tinygrad_cnn.extras import require

__all__ = ["SummaryWriter"]


class SummaryWriter:
    """Writes one run's events into the folder `log_dir` (``runs/DATE_HOST`` unless given).

    Tensors and arrays are welcome wherever numbers are. Needs the extra ``tensorboard``.

    Args:
        log_dir: the run's folder, made if it is not there
        comment: added to the name of the folder when `log_dir` is not given
        purge_step: events from this step on are hidden in TensorBoard; for a run that goes on after a crash
        max_queue: events that wait in memory before they are written
        flush_secs: seconds after which they are written in any case
        filename_suffix: added to the name of the file
    """

    def __init__(
        self, log_dir: str | os.PathLike[str] | None = None, comment: str = "", purge_step: int | None = None,
        max_queue: int = 10, flush_secs: int = 120, filename_suffix: str = "",
    ) -> None:  # fmt: skip
        library = require("tensorboardX", extra="tensorboard", purpose="writing TensorBoard's files")
        self._writer = library.SummaryWriter(
            None if log_dir is None else os.fspath(log_dir), comment, purge_step, max_queue, flush_secs, filename_suffix
        )
        self.log_dir: str = self._writer.logdir

    def add_scalar(self, tag: str, scalar_value: Any, global_step: int | None = None, walltime: Any = None) -> None:
        """One number of a curve."""
        self._writer.add_scalar(tag, float(unwrap(scalar_value)), global_step, walltime)

    def add_scalars(
        self, main_tag: str, tag_scalar_dict: Mapping[str, Any], global_step: int | None = None, walltime: Any = None
    ) -> None:
        """One number of each of several curves in one diagram; each curve gets a folder of its own."""
        numbers = {name: float(unwrap(value)) for name, value in tag_scalar_dict.items()}
        self._writer.add_scalars(main_tag, numbers, global_step, walltime)

    def add_histogram(
        self, tag: str, values: Any, global_step: int | None = None, bins: str = "tensorflow", walltime: Any = None
    ) -> None:
        """How the entries of an array are spread."""
        self._writer.add_histogram(tag, unwrap(values), global_step, bins, walltime)

    def add_image(
        self, tag: str, img_tensor: Any, global_step: int | None = None, walltime: Any = None, dataformats: str = "CHW"
    ) -> None:
        """A picture (C, H, W): floats from 0 to 1, or uint8."""
        self._writer.add_image(tag, unwrap(img_tensor), global_step, walltime, dataformats)

    def add_images(
        self, tag: str, img_tensor: Any, global_step: int | None = None, walltime: Any = None, dataformats: str = "NCHW"
    ) -> None:
        """A batch of pictures (N, C, H, W) beside each other."""
        self._writer.add_images(tag, unwrap(img_tensor), global_step, walltime, dataformats)

    def add_figure(
        self, tag: str, figure: Any, global_step: int | None = None, close: bool = True, walltime: Any = None
    ) -> None:
        """A matplotlib figure, or a list of them; those of `viz` are such figures."""
        self._writer.add_figure(tag, figure, global_step, close, walltime)

    def add_text(self, tag: str, text_string: str, global_step: int | None = None, walltime: Any = None) -> None:
        """A text in Markdown."""
        self._writer.add_text(tag, text_string, global_step, walltime)

    def add_pr_curve(
        self, tag: str, labels: Any, predictions: Any, global_step: int | None = None, num_thresholds: int = 127,
        weights: Any = None, walltime: Any = None,
    ) -> None:  # fmt: skip
        """The curve of precision over recall: labels 0 or 1, predictions as probabilities, both (N,)."""
        self._writer.add_pr_curve(
            tag, unwrap(labels), unwrap(predictions), global_step, num_thresholds,
            None if weights is None else unwrap(weights), walltime,
        )  # fmt: skip

    def add_hparams(
        self, hparam_dict: Mapping[str, Any], metric_dict: Mapping[str, Any], run_name: str | None = None,
        global_step: int | None = None,
    ) -> None:  # fmt: skip
        """The settings of a run and what came of it, for the table of hyper-parameters."""
        results = {name: float(unwrap(value)) for name, value in metric_dict.items()}
        self._writer.add_hparams(dict(hparam_dict), results, run_name, global_step)

    def add_graph(self, model: Any, input_to_model: Any = None, verbose: bool = False) -> None:
        """The graph of one call of `model`: its ops in the boxes of their modules, with shapes.

        The model runs once, in eval mode.
        """
        inputs = input_to_model if isinstance(input_to_model, (tuple, list)) else (input_to_model,)
        graph = _graph(model, inputs)
        if verbose:
            print(graph)
        from tensorboardX.proto import event_pb2

        self._writer.file_writer.add_event(event_pb2.Event(graph_def=graph.SerializeToString()))

    def flush(self) -> None:
        """Write what waits in memory."""
        self._writer.flush()

    def close(self) -> None:
        self._writer.close()

    def __enter__(self) -> SummaryWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _graph(model: Any, inputs: Sequence[Any]) -> Any:
    from tensorboardX.proto import graph_pb2, versions_pb2

    before = [(module, module.training) for module in model.modules()]
    model.eval()
    try:
        leaves = [leaf(unwrap(x).copy()) if unwrap(x).dtype.kind == "f" else x for x in inputs]
        with modes.enable_grad():
            outputs = model(*leaves)
    finally:
        for module, training in before:
            module.training = training
    ends = [y.node for y in (outputs if isinstance(outputs, (tuple, list)) else [outputs]) if isinstance(y, Handle)]
    named = {p.node.seq: name.replace(".", "/") for name, p in model.named_parameters() if p.node is not None}
    named |= {x.node.seq: f"input_{k}" for k, x in enumerate(leaves) if x.node is not None}
    nodes = reachable([node for node in ends if node is not None])[::-1]
    names = {node.seq: named.get(node.seq) or _name(node) for node in nodes}
    found = [_node(node, names) for node in nodes]
    return graph_pb2.GraphDef(node=found, versions=versions_pb2.VersionDef(producer=22))


def _name(node: Node) -> str:
    """The node's place: TensorBoard makes a box of each part before a stroke."""
    return "/".join([*(node.module or "").split("."), f"{node.op.name}_{node.seq}"]).lstrip("/")


def _node(node: Node, names: Mapping[int, str]) -> Any:
    from tensorboardX.proto import attr_value_pb2, node_def_pb2, tensor_shape_pb2

    sizes = [tensor_shape_pb2.TensorShapeProto.Dim(size=n) for n in node.shape]
    shape = tensor_shape_pb2.TensorShapeProto(dim=sizes)
    shapes = attr_value_pb2.AttrValue(list=attr_value_pb2.AttrValue.ListValue(shape=[shape]))
    inputs = [names[parent.seq] for parent in node.parents if parent is not None and parent.seq in names]
    return node_def_pb2.NodeDef(
        name=names[node.seq], op=node.op.name, input=inputs, attr={"_output_shapes": shapes}
    )
