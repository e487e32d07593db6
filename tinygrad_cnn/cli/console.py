"""What the commands print: tables, a confusion matrix; plain text where there is no terminal."""

from __future__ import annotations

from typing import Any

import numpy as np
from rich.table import Table
from rich.text import Text

from tinygrad_cnn.training.progress import plain_console as console

__all__ = ["confusion_table", "console", "human", "simple_table"]


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
