"""Run folders: where they are, what their config.json holds, and how a network is rebuilt from one."""

from __future__ import annotations

import contextlib
import hashlib
import json
import math
import os
import sys
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tinygrad_cnn.io.atomic import PARTIAL, write_atomically
from tinygrad_cnn.support.errors import CheckpointError, DataError, OutputError, UsageError, brief
from tinygrad_cnn.support.json_file import read_json
from tinygrad_cnn.training.checkpoint import BEST, HISTORY, LAST
from tinygrad_cnn.viz.description import read_record

__all__ = ["CONFIG", "Config", "choose_folder", "fingerprint", "locked", "newest_run", "take_place"]

CONFIG = "config.json"
RESULT = "result.json"
PICTURES = ("curves.png", "confusion.png", "results.png", "graph.svg")
_LOCK = ".lock"
#: All that a run leaves in its folder.
FILES = (CONFIG, HISTORY, BEST, LAST, RESULT, *PICTURES, _LOCK)


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
    #: What is learned: see `cli.tasks`.
    task: str = "classify"
    #: Whether each training image is mirrored left to right every second time.
    flip: bool = False
    #: Of pictures in a folder or a table: (height, width), channels and classes the network is made for, and the
    #: mean and
    #: the deviation of each channel that its inputs are normalised with.
    size: list[int] | None = None
    channels: int | None = None
    classes: list[str] | None = None
    mean: list[float] | None = None
    std: list[float] | None = None
    #: What the data were: samples of the training and of the test part, and a hash of all their numbers.
    samples: list[int] | None = None
    data_hash: str | None = None
    #: The run folder whose place this run takes when it has finished.
    replaces: str | None = None

    def save(self, folder: Path) -> None:
        write_atomically(folder / CONFIG, json.dumps(asdict(self), indent=1) + "\n")

    @classmethod
    def load(cls, folder: Path) -> Config:
        """The configuration of the run in `folder`; CheckpointError when there is none."""
        if not folder.is_dir():
            raise CheckpointError(f"there is no run folder {folder}; `tinygrad-cnn train --out {folder}` makes one")
        path = folder / CONFIG
        if not path.exists():
            raise CheckpointError(f"{folder} is no run folder: it holds no {CONFIG}")
        try:
            # An option that is newer than the run has its default.
            config = read_record(cls, read_json(path, "the file"), "its content")
        except DataError as error:
            raise CheckpointError(f"{path} is damaged: {brief(error)}") from error
        for name, holds in config._bounds().items():
            if not holds:
                raise CheckpointError(f"{path} is damaged: {name} is {getattr(config, name)!r}")
        place = folder.resolve()
        if config.replaces is not None and _beside(Path(config.replaces)) != place:
            raise CheckpointError(
                f"{path} says that the run takes the place of {config.replaces!r}, which is not the folder beside it "
                f"({_beside(place)} would take the place of {place}): write null there to continue the run where it is"
            )
        return config

    def _bounds(self) -> dict[str, bool]:
        """For each number, whether it is one that `train` would have taken."""
        return {
            "epochs": self.epochs >= 1, "batch_size": self.batch_size >= 1, "seed": self.seed >= 0,
            "lr": 0 < self.lr < math.inf, "validation": 0 <= self.validation < 1, "shift": self.shift >= 0,
            "threads": self.threads is None or self.threads >= 1,
            "weight_decay": self.weight_decay is None or 0 <= self.weight_decay < math.inf,
            "task": self.task in ("classify", "segment", "detect"),
            "size": self.size is None or (len(self.size) == 2 and 1 <= min(self.size) <= max(self.size) <= 4096),
            "channels": self.channels in (None, 1, 3, 4), "classes": self.classes is None or len(self.classes) >= 2,
            "mean": self.mean is None or all(map(math.isfinite, self.mean)) and self._per_channel(self.mean),
            "std": self.std is None or all(0 < s < math.inf for s in self.std) and self._per_channel(self.std),
        }  # fmt: skip

    def _per_channel(self, values: list[float]) -> bool:
        return len(values) in (1, self.channels)


def choose_folder(out: str | None, model: str, data: str, overwrite: bool) -> tuple[Path, Path | None]:
    """Where a new run is written to: `out`, or the first free runs/model-data, runs/model-data-2, …

    UsageError when `out` holds a run, unless told to overwrite it: then the new run is written beside it, and the
    second folder is the one whose place it takes when it has finished (`take_place`).
    """
    if out is None:
        base = Path("runs") / f"{model}-{data}"
        n, folder = 1, base
        while folder.exists():
            n += 1
            folder = base.with_name(f"{base.name}-{n}")
        return folder, None
    folder = Path(out)
    if not any((folder / name).exists() for name in (CONFIG, BEST, LAST, RESULT)):
        return folder, None
    if not overwrite:
        if (folder / RESULT).exists():
            raise UsageError(
                f"{folder} holds a finished run: name another --out, or add --overwrite to put the new run in its place"
            )
        raise UsageError(
            f"{folder} holds a run that is not finished: add --resume to continue it, --overwrite to start anew, "
            "or name another --out"
        )
    return _beside(folder.resolve()), folder


def _beside(place: Path) -> Path:
    """Where the run is written that takes the place of the one in `place`."""
    return place.parent / f"{place.name}.new"


def take_place(folder: Path, former: Path) -> None:
    """Put the finished run in `folder` in the place of the one in `former`, whose files go. What else the user keeps
    there stays. Raises OutputError when the folders cannot be renamed; both runs are then still there.
    """
    place = former.resolve()
    n, aside = 1, place.with_name(f"{place.name}.old")
    while aside.exists():
        n += 1
        aside = place.with_name(f"{place.name}.old-{n}")
    try:
        if not place.exists():  # somebody removed the former run
            os.rename(folder, place)
            return
        os.rename(place, aside)
        os.rename(folder, place)
        for entry in aside.iterdir():
            if entry.name in FILES or entry.name.endswith(PARTIAL):
                entry.unlink()
            elif not (place / entry.name).exists():
                os.rename(entry, place / entry.name)
        aside.rmdir()
    except OSError as error:
        raise OutputError(
            f"the new run in {folder} is complete, but could not take the place of {former}: {error.strerror or error}"
        ) from error


@contextlib.contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Nobody else trains in `folder` inside this block; UsageError when somebody does already.

    The system gives the lock back when the process ends, however it ends.
    """
    path = folder / _LOCK
    while True:
        try:
            file = open(path, "a+b")  # noqa: SIM115  closed below
        except OSError as error:
            raise OutputError(f"cannot write to the folder {folder}: {error.strerror or error}") from error
        try:
            _lock(file)
            if os.path.exists(path) and os.path.samestat(os.fstat(file.fileno()), os.stat(path)):
                break
            file.close()  # its owner removed it in between
        except OSError:
            file.close()
            raise UsageError(
                f"another training is writing to {folder}: wait for its end, or name another --out"
            ) from None
    try:
        yield
    finally:
        with contextlib.suppress(OSError):
            if os.path.samestat(os.fstat(file.fileno()), os.stat(path)):
                path.unlink()
        file.close()


def _lock(file: Any) -> None:
    """Take the system's lock of an open file; OSError when another process has it."""
    if sys.platform == "win32":
        import msvcrt

        msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
    else:
        import fcntl

        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)


def fingerprint(train: Any, test: Any) -> tuple[list[int], str]:
    """(samples of each part, a hash of all numbers or files) of a data set."""
    found = hashlib.blake2b(digest_size=16)
    for part in (train, test):
        if hasattr(part, "digest"):  # pictures in files
            found.update(part.digest().encode())
            continue
        for array in part.arrays():
            array = np.ascontiguousarray(array)
            found.update(f"{array.dtype.str}{array.shape}".encode())
            found.update(array.data)
    return [len(train), len(test)], found.hexdigest()


def newest_run() -> Path:
    """The run folder in runs/ that was last written to; UsageError when there is none."""
    found = sorted(Path("runs").glob(f"*/{CONFIG}"), key=lambda path: path.stat().st_mtime)
    if not found:
        raise UsageError("there is no run in runs/ to continue; name its folder with --out")
    return found[-1].parent
