"""Run folders: where they are, what their config.json holds, and how a network is rebuilt from one."""

from __future__ import annotations

import json
import os
from dataclasses import MISSING, asdict, dataclass, fields
from pathlib import Path
from typing import Any

from tinygrad_cnn import datasets, models
from tinygrad_cnn.io.atomic import write_atomically
from tinygrad_cnn.support.errors import CheckpointError, UsageError
from tinygrad_cnn.training.checkpoint import load_weights

__all__ = ["CONFIG", "Config", "choose_folder", "load_trained", "newest_run"]

CONFIG = "config.json"
RESULT = "result.json"


@dataclass
class Config:
    """All that decides a run's numbers, and where its data are."""

    model: str
    data: str
    data_dir: str | None
    epochs: int
    batch_size: int
    optimizer: str
    lr: float
    schedule: str
    validation: float
    seed: int
    threads: int | None
    version: str
    weight_decay: float | None = None
    shift: int = 0

    def save(self, folder: Path) -> None:
        write_atomically(folder / CONFIG, json.dumps(asdict(self), indent=1) + "\n")

    @classmethod
    def load(cls, folder: Path) -> Config:
        """The configuration of the run in `folder`; CheckpointError when there is none."""
        if not folder.is_dir():
            raise CheckpointError(f"there is no run folder {folder}; `tinygrad-cnn train --out {folder}` makes one")
        try:
            values = json.loads((folder / CONFIG).read_text())
            # An option that is newer than the run has its default.
            known = [field.name for field in fields(cls) if field.default is MISSING or field.name in values]
            return cls(**{name: values[name] for name in known})
        except FileNotFoundError as error:
            raise CheckpointError(f"{folder} is no run folder: it holds no {CONFIG}") from error
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise CheckpointError(f"{folder / CONFIG} is damaged: {type(error).__name__}: {error}") from error


def choose_folder(out: str | None, model: str, data: str, overwrite: bool) -> Path:
    """Where a new run goes: `out`, or the first free runs/model-data, runs/model-data-2, …

    A finished run in `out` is replaced; UsageError for an unfinished one, unless told to.
    """
    if out is None:
        base = Path("runs") / f"{model}-{data}"
        n, folder = 1, base
        while folder.exists():
            n += 1
            folder = base.with_name(f"{base.name}-{n}")
        return folder
    folder = Path(out)
    if (folder / CONFIG).exists() and not (folder / RESULT).exists() and not overwrite:
        raise UsageError(
            f"{folder} holds a run that is not finished: add --resume to continue it, --overwrite to start anew, "
            "or name another --out"
        )
    return folder


def newest_run() -> Path:
    """The run folder in runs/ that was last written to; UsageError when there is none."""
    found = sorted(Path("runs").glob(f"*/{CONFIG}"), key=lambda path: path.stat().st_mtime)
    if not found:
        raise UsageError("there is no run in runs/ to continue; name its folder with --out")
    return found[-1].parent


def load_trained(run: str | os.PathLike[str]) -> tuple[Any, Config, dict[str, Any]]:
    """(network with its best weights, configuration, record of their epoch) of the run folder `run`."""
    config = Config.load(Path(run))
    model = models.create(config.model)
    record = load_weights(model, run)
    model.eval()
    return model, config, record


def load_data(name: str, data_dir: str | None) -> tuple[Any, Any]:
    """(training, test) data sets."""
    return datasets.load(name, data_dir)
