"""What a training measured, epoch by epoch: a list of records that is JSON."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tinygrad_cnn.io.atomic import write_atomically
from tinygrad_cnn.support.drawing import curves
from tinygrad_cnn.support.errors import CheckpointError

__all__ = ["History"]


class History:
    """One dict per epoch: `epoch` (from 1), `loss`, `accuracy`, `val_loss`, `val_accuracy`, `lr`, `seconds`, …

    history["val_accuracy"]      the column, one value per epoch (None where an epoch has none)
    history.best("val_accuracy") the record of the best epoch
    history.history              all columns by name, as in Keras;  history.plot() draws them
    """

    def __init__(self, records: list[dict[str, Any]] | None = None) -> None:
        self.records: list[dict[str, Any]] = list(records or [])

    def append(self, **record: Any) -> dict[str, Any]:
        self.records.append(record)
        return record

    def __len__(self) -> int:
        return len(self.records)

    def __iter__(self) -> Iterator[dict[str, Any]]:
        return iter(self.records)

    def __getitem__(self, key: str) -> list[Any]:
        if not any(key in record for record in self.records):
            raise KeyError(f"no epoch has {key!r}; there are: {', '.join(self.columns())}")
        return [record.get(key) for record in self.records]

    def __contains__(self, key: object) -> bool:
        return any(key in record for record in self.records)

    @property
    def history(self) -> dict[str, list[Any]]:
        """Each column by its name, as Keras has it."""
        return {key: self[key] for key in self.columns()}

    def columns(self) -> list[str]:
        """The names of what was measured, in the order of their first appearance."""
        return list(dict.fromkeys(key for record in self.records for key in record))

    def best(self, key: str, mode: str | None = None) -> dict[str, Any]:
        """The first record with the best `key`: the smallest of a loss, the largest of anything else.

        `mode` "min" or "max" says otherwise. KeyError when no epoch has it.
        """
        if mode not in (None, "min", "max"):
            raise ValueError(f"mode expected 'min', 'max' or None, got {mode!r}")
        wanted = mode or ("min" if "loss" in key else "max")
        sign = 1 if wanted == "max" else -1
        known = [record for record in self.records if record.get(key) is not None]
        if not known:
            raise KeyError(f"no epoch has {key!r}; there are: {', '.join(self.columns())}")
        # A NaN, which compares with nothing, is the best only where there is nothing else.
        numbers = [record for record in known if not math.isnan(record[key])]
        return max(numbers or known, key=lambda record: sign * record[key])

    def plot(self, path: str | os.PathLike[str] | None = None, *, title: str = "") -> Any:
        """The curves over the epochs, as `viz.curves` draws them; with a path also written there. Needs matplotlib."""
        return curves(self, path, title=title)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the records as JSON."""
        write_atomically(path, json.dumps(self.records, indent=1) + "\n")

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> History:
        """The history that `save` wrote; CheckpointError when there is none, or it is damaged."""
        try:
            records = json.loads(Path(path).read_text())
        except FileNotFoundError as error:
            raise CheckpointError(f"there is no file {path}") from error
        except (OSError, ValueError) as error:
            raise CheckpointError(f"{path} is damaged or no history: {error}") from error
        if not isinstance(records, list) or not all(isinstance(record, dict) for record in records):
            raise CheckpointError(f"{path} is no history: expected a list of records")
        return cls(records)

    def __repr__(self) -> str:
        if not self.records:
            return "History(no epoch yet)"
        last = ", ".join(
            f"{k}={v:.4g}" if isinstance(v, float) else f"{k}={v}" for k, v in self.records[-1].items()
        )
        return f"History({len(self)} epochs; last: {last})"
