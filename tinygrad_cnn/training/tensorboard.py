"""The callback that shows a training in TensorBoard."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from tinygrad_cnn.training.callbacks import Callback
from tinygrad_cnn.utils.tensorboard import SummaryWriter

__all__ = ["TensorBoard"]


class TensorBoard(Callback):
    """Writes what each epoch measured into ``log_dir/train`` and ``log_dir/validation``, as Keras does.

    Args:
        log_dir: the folder that ``tensorboard --logdir`` is given
        histogram_freq: after every so many epochs, how weights and gradients are spread; 0 for never
        write_graph: write the model's graph, behind the first batch
        update_freq: "epoch", or after how many batches the running loss is written as well
    """

    def __init__(
        self, log_dir: str | os.PathLike[str] = "logs", *, histogram_freq: int = 0, write_graph: bool = True,
        update_freq: int | str = "epoch",
    ) -> None:  # fmt: skip
        if update_freq != "epoch" and not (isinstance(update_freq, int) and update_freq > 0):
            raise ValueError(f"update_freq expected 'epoch' or a number of batches, got {update_freq!r}")
        self.log_dir = Path(log_dir)
        self.histogram_freq = histogram_freq
        self.write_graph = write_graph
        self.update_freq = update_freq
        self._writers: dict[str, SummaryWriter] = {}

    def on_batch_end(self, trainer: Any) -> None:
        if self.write_graph and trainer.step == 1:
            inputs = trainer.inputs if isinstance(trainer.inputs, tuple) else (trainer.inputs,)
            self._writer("train").add_graph(trainer.model, [x[:1] for x in inputs])
        if isinstance(self.update_freq, int) and trainer.step % self.update_freq == 0:
            self._writer("train").add_scalar("batch_loss", trainer.running["loss"], trainer.step)

    def on_epoch_end(self, trainer: Any) -> None:
        record = trainer.history.records[-1]
        epoch = record["epoch"]
        for name, value in record.items():
            if name == "epoch" or not isinstance(value, (int, float)):
                continue
            part = "validation" if name.startswith("val_") else "train"
            self._writer(part).add_scalar(name.removeprefix("val_"), value, epoch)
        if self.histogram_freq and epoch % self.histogram_freq == 0:
            writer = self._writer("train")
            for name, parameter in trainer.model.named_parameters():
                writer.add_histogram(name, parameter, epoch)
                if parameter.grad is not None:
                    writer.add_histogram(f"{name}.grad", parameter.grad, epoch)
        for writer in self._writers.values():
            writer.flush()

    def on_train_end(self, trainer: Any) -> None:
        for writer in self._writers.values():
            writer.close()
        self._writers = {}

    def _writer(self, part: str) -> SummaryWriter:
        if part not in self._writers:
            self._writers[part] = SummaryWriter(self.log_dir / part)
        return self._writers[part]
