"""Writing pictures to disk: beside their place first, then renamed, so that no half file is ever left.

Used by every renderer; knows nothing of graphs.
"""

from __future__ import annotations

import os
import secrets
from pathlib import Path

from tinygrad_cnn.errors import OutputError


def write_bytes(path: str | os.PathLike[str], data: bytes) -> Path:
    """Write `data` to `path` in one move; makes missing folders. Raises OutputError with the reason."""
    target = Path(path)
    beside = target.with_name(f".{target.name[:40]}.{secrets.token_hex(4)}")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            with open(beside, "xb") as file:
                file.write(data)
            os.replace(beside, target)
        except BaseException:
            beside.unlink(missing_ok=True)
            raise
    except OSError as error:
        raise OutputError(f"cannot write {target}: {error.strerror or error}") from error
    return target


def write_text(path: str | os.PathLike[str], text: str) -> Path:
    """Write UTF-8 text; lone surrogates (names from outside) become question marks."""
    return write_bytes(path, text.encode("utf-8", "replace"))
