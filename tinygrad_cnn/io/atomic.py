"""Files that are there completely or not at all, and errors of the file system in the user's words.

The content goes into a file beside the target, is synced to the disk and renamed over it: whoever is killed
at any moment leaves either the old file or the new one.
"""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Iterable
from pathlib import Path

from tinygrad_cnn.support.errors import CheckpointError, OutputError

__all__ = ["make_folder", "read_bytes", "write_atomically"]

#: What the file beside the target is called; one left by a killed process is never read.
PARTIAL = ".partial"


def write_atomically(
    path: str | os.PathLike[str], content: bytes | str | Iterable[bytes | memoryview]
) -> None:
    """Replace the file `path` by `content` (pieces are written one after the other).

    Raises OutputError when the place cannot be written to; what was there before is then still there.
    """
    target = Path(path)
    if isinstance(content, str):
        content = content.encode()
    pieces = [content] if isinstance(content, bytes) else content
    temporary = ""
    try:
        handle, temporary = tempfile.mkstemp(prefix=f"{target.name}.", suffix=PARTIAL, dir=target.parent)
        with os.fdopen(handle, "wb") as file:
            for piece in pieces:
                file.write(piece)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(temporary, 0o666 & ~_umask())
        os.replace(temporary, target)
        _sync_folder(target.parent)
    except BaseException as error:
        if temporary:
            with contextlib.suppress(OSError):
                os.unlink(temporary)
        if isinstance(error, OSError):
            raise OutputError(f"cannot write {target}: {error.strerror or error}") from error
        raise


def make_folder(path: str | os.PathLike[str]) -> Path:
    """The folder `path`, made if need be; OutputError when that is impossible or nothing can be put there."""
    folder = Path(path)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise OutputError(
            f"cannot write to the folder {folder}: {error.strerror or error}; name another one with --out"
        ) from error
    return folder


def remove_partial_files(folder: Path) -> None:
    """Remove what a process that was killed while writing left in `folder`. Nobody else may be writing there."""
    for left in folder.glob(f"*{PARTIAL}"):
        with contextlib.suppress(OSError):
            left.unlink()


def read_bytes(path: str | os.PathLike[str]) -> bytes:
    """The content of `path`; CheckpointError when there is none to read."""
    try:
        return Path(path).read_bytes()
    except FileNotFoundError as error:
        raise CheckpointError(f"there is no file {path}") from error
    except OSError as error:
        raise CheckpointError(f"cannot read {path}: {error.strerror or error}") from error


def _umask() -> int:
    mask = os.umask(0o022)
    os.umask(mask)
    return mask


def _sync_folder(folder: Path) -> None:
    # The rename itself must reach the disk. Windows has no such call, and does not need one.
    if hasattr(os, "O_DIRECTORY"):
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
