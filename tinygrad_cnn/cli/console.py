"""What the commands print: tables, a confusion matrix, a progress bar; plain text where there is no terminal."""

from __future__ import annotations

from typing import Any

import numpy as np
from rich.console import Console
from rich.progress import BarColumn, Progress, ProgressColumn, Task, TextColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

from tinygrad_cnn.training.callbacks import Callback

__all__ = ["EpochTable", "confusion_table", "console", "human", "simple_table"]


def console() -> Console:
    """Where output goes. Off a terminal: no colours, no cursor movement, and wide, so that no cell is cut."""
    # Paths and messages hold brackets, which are no markup here.
    found = Console(highlight=False, markup=False, emoji=False)
    if not found.is_terminal:
        found.width = max(found.width, 300)
    return found


def human(n: float, unit: str = "") -> str:
    """1234567 -> "1.23 M"; bytes (unit "B") count in steps of 1024."""
    step = 1024.0 if unit == "B" else 1000.0
    for prefix in ("", "k" if step == 1000 else "K", "M", "G", "T"):
        if abs(n) < step or prefix == "T":
            digits = f"{n:.0f}" if prefix == "" else f"{n:.3g}" if n < 1000 else f"{n:.0f}"
            return f"{digits} {prefix}{'i' if unit == 'B' and prefix else ''}{unit}".rstrip()
        n /= step
    raise AssertionError("unreachable")


def simple_table(*columns: str, right: tuple[int, ...] = ()) -> Table:
    """An empty table with these headings; `right` lists the columns that hold numbers."""
    table = Table(box=None, header_style="bold", pad_edge=False, padding=(0, 2, 0, 0))
    for i, name in enumerate(columns):
        table.add_column(name, justify="right" if i in right else "left", no_wrap=True)
    return table


def confusion_table(matrix: Any, classes: tuple[str, ...]) -> Table:
    """Rows are true classes, columns predictions; mistakes stand out, zeros fade, recall at the end."""
    m = np.asarray(matrix)
    short = [name[:5] for name in classes]
    table = simple_table("true \\ said", *short, "recall", right=tuple(range(1, len(classes) + 2)))
    for i, name in enumerate(classes):
        cells = []
        for j, count in enumerate(m[i]):
            style = "green" if i == j else "red" if count else "dim"
            cells.append(Text("·" if count == 0 else str(int(count)), style=style))
        total = int(m[i].sum())
        table.add_row(Text(name, style="bold"), *cells, f"{m[i, i] / total:.1%}" if total else "–")
    return table


class EpochTable(Callback):
    """A line per epoch and, on a terminal, a bar for the one under way."""

    _widths = {"epoch": 7, "loss": 9, "accuracy": 9, "val loss": 9, "val acc": 9, "lr": 9, "images/s": 10, "time": 8}

    def __init__(self, out: Console, epochs: int, what: str = "images") -> None:
        self.out = out
        self.epochs = epochs
        self.what = what
        self.progress: Progress | None = None
        self.task: Any = None

    def on_train_begin(self, trainer: Any) -> None:
        names = [name.replace("images", self.what) for name in self._widths]
        self.out.print(Text("".join(f"{n:>{w}}" for n, w in zip(names, self._widths.values())), style="bold"))
        if self.out.is_terminal and not self.out.is_dumb_terminal:
            self.progress = Progress(
                TextColumn("epoch {task.fields[epoch]}"),
                BarColumn(bar_width=None),
                TextColumn("loss {task.fields[loss]:.4f}  acc {task.fields[accuracy]:.2%}"),
                _Speed(self.what),
                TimeRemainingColumn(),
                console=self.out,
                transient=True,
                expand=True,
                refresh_per_second=5,
            )
            self.progress.start()
            self.task = self.progress.add_task("", total=trainer.batches, epoch=1, loss=0.0, accuracy=0.0, speed=0.0)

    def on_epoch_begin(self, trainer: Any) -> None:
        if self.progress is not None:
            self.progress.reset(
                self.task, total=trainer.batches, completed=trainer.batch, epoch=f"{trainer.epoch + 1}/{self.epochs}",
                loss=0.0, accuracy=0.0, speed=0.0,
            )  # fmt: skip

    def on_batch_end(self, trainer: Any) -> None:
        if self.progress is not None and (trainer.batch % 8 == 0 or trainer.batch == trainer.batches):
            running = trainer.running
            self.progress.update(
                self.task,
                completed=trainer.batch,
                loss=running["loss"],
                accuracy=running.get("accuracy", 0.0),
                speed=trainer.samples / max(trainer.seconds, 1e-9),
            )

    def on_epoch_end(self, trainer: Any) -> None:
        r = trainer.history.records[-1]
        speed = r.get("samples_per_second")
        cells = [
            f"{r['epoch']}/{self.epochs}",
            f"{r['loss']:.4f}",
            _percent(r.get("accuracy")),
            f"{r['val_loss']:.4f}" if "val_loss" in r else "–",
            _percent(r.get("val_accuracy")),
            f"{r['lr']:.2g}",
            f"{speed:,.0f}" if speed else "–",
            f"{r['seconds']:.1f} s",
        ]
        self.out.print("".join(f"{c:>{w}}" for c, w in zip(cells, self._widths.values())))

    def on_train_end(self, trainer: Any) -> None:
        self.close()

    def close(self) -> None:
        """Take the bar off the screen; also after an error."""
        if self.progress is not None:
            self.progress.stop()
            self.progress = None


class _Speed(ProgressColumn):
    def __init__(self, what: str) -> None:
        super().__init__()
        self.what = what

    def render(self, task: Task) -> Text:
        return Text(f"{task.fields['speed']:,.0f} {self.what}/s")


def _percent(value: float | None) -> str:
    return "–" if value is None else f"{value:.2%}"
