"""Where pictures go on disk: whole or not at all (`io.atomic`), in folders that exist.

Used by every renderer; knows nothing of graphs.
"""

from __future__ import annotations

import os
from pathlib import Path

from tinygrad_cnn.io.atomic import write_atomically
from tinygrad_cnn.support.errors import OutputError


def write_bytes(path: str | os.PathLike[str], data: bytes) -> Path:
    """Write `data` to `path`. Raises OutputError with the reason when the place cannot be written to."""
    target = Path(path)
    if not target.parent.is_dir():
        raise OutputError(f"cannot write {target}: there is no folder {target.parent}; make it first")
    write_atomically(target, data)
    return target


def write_text(path: str | os.PathLike[str], text: str) -> Path:
    """Write UTF-8 text; lone surrogates (names from outside) become question marks."""
    return write_bytes(path, text.encode("utf-8", "replace"))
