"""What a training says while it runs: a line per epoch, on a terminal a bar for the one under way, and compilation."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, ProgressColumn, Task, TextColumn, TimeRemainingColumn
from rich.text import Text

from tinygrad_cnn.kernels import on_compile
from tinygrad_cnn.training.callbacks import Callback

__all__ = ["EpochTable", "plain_console", "reporting"]


def plain_console() -> Console:
    """Where output goes. Off a terminal: no colours, no cursor movement, and wide, so that no cell is cut."""
    # Paths and messages hold brackets, which are no markup here. A notebook's kernel passes for a terminal, but keeps
    # every redrawing of a bar in the file: it gets lines of text.
    notebook = "ipykernel" in sys.modules and not sys.stdout.isatty()
    found = Console(
        highlight=False, markup=False, emoji=False, force_jupyter=False, force_terminal=False if notebook else None
    )
    if not found.is_terminal:
        found.width = max(found.width, 300)
    return found


@contextmanager
def reporting(lines_only: bool = False) -> Iterator[EpochTable]:
    """A table for one training, closed behind it, and a word when kernels are compiled meanwhile."""
    table = EpochTable(plain_console(), bar=not lines_only)
    said = "compiling kernels … (once per machine, some 20 seconds)"
    with on_compile(lambda: print(said, file=sys.stderr, flush=True)):
        try:
            yield table
        finally:
            table.close()


class EpochTable(Callback):
    """A line per epoch and, on a terminal, a bar for the one under way.

    Args:
        out: the console to print on
        what: what the samples are called in the column of the speed
        bar: whether a terminal shows a bar
    """

    def __init__(self, out: Console, what: str = "samples", *, bar: bool = True) -> None:
        self.out = out
        self.what = what
        self.bar = bar
        self.progress: Progress | None = None
        self.task: Any = None
        self.columns: list[tuple[str, str]] = []

    def on_train_begin(self, trainer: Any) -> None:
        self.columns = []
        if self.bar and self.out.is_terminal and not self.out.is_dumb_terminal:
            self.progress = Progress(
                TextColumn("epoch {task.fields[epoch]}"),
                BarColumn(bar_width=None),
                TextColumn("{task.fields[measured]}"),
                _Speed(self.what),
                TimeRemainingColumn(),
                console=self.out,
                transient=True,
                expand=True,
                refresh_per_second=5,
            )
            self.progress.start()
            self.task = self.progress.add_task("", total=trainer.batches, epoch=1, measured="", speed=0.0)

    def on_epoch_begin(self, trainer: Any) -> None:
        if self.progress is not None:
            self.progress.reset(
                self.task, total=trainer.batches, completed=trainer.batch,
                epoch=f"{trainer.epoch + 1}/{trainer.epochs}", measured="", speed=0.0,
            )  # fmt: skip

    def on_batch_end(self, trainer: Any) -> None:
        if self.progress is not None and (trainer.batch % 8 == 0 or trainer.batch == trainer.batches):
            sums = trainer.totals
            measured = f"loss {sums.loss_sum / max(1, sums.seen):.4f}"
            if sums.judged:
                measured += f"  acc {sums.correct / sums.judged:.2%}"
            self.progress.update(
                self.task, completed=trainer.batch, measured=measured,
                speed=trainer.samples / max(trainer.seconds, 1e-9),
            )  # fmt: skip

    def on_epoch_end(self, trainer: Any) -> None:
        record = trainer.history.records[-1]
        if not self.columns:
            self.columns = [(name, self._title(name)) for name in record]
            self.columns.sort(key=lambda column: column[0] == "seconds")  # the time stands last
            self.out.print(Text("".join(f"{title:>{self._width(title)}}" for _, title in self.columns), style="bold"))
        cells = [_cell(name, record.get(name), trainer.epochs) for name, _ in self.columns]
        self.out.print("".join(f"{cell:>{self._width(title)}}" for cell, (_, title) in zip(cells, self.columns)))

    def on_train_end(self, trainer: Any) -> None:
        self.close()

    def close(self) -> None:
        """Take the bar off the screen; also after an error."""
        if self.progress is not None:
            self.progress.stop()
            self.progress = None

    def _title(self, name: str) -> str:
        usual = {"val_accuracy": "val acc", "samples_per_second": f"{self.what}/s", "seconds": "time"}
        return usual.get(name, name.replace("_", " "))

    @staticmethod
    def _width(title: str) -> int:
        return 7 if title == "epoch" else max(9, len(title) + 1)


class _Speed(ProgressColumn):
    def __init__(self, what: str) -> None:
        super().__init__()
        self.what = what

    def render(self, task: Task) -> Text:
        return Text(f"{task.fields['speed']:,.0f} {self.what}/s")


def _cell(name: str, value: Any, epochs: int) -> str:
    if value is None:
        return "–"
    if name == "epoch":
        return f"{value}/{epochs}"
    if name == "lr":
        return f"{value:.2g}"
    if name == "samples_per_second":
        return f"{value:,.0f}"
    if name == "seconds":
        return f"{value:.1f} s"
    if name.endswith("accuracy"):
        return f"{value:.2%}"
    return f"{value:.4f}" if isinstance(value, float) else str(value)
