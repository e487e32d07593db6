"""Source places in an editor's terms: whole paths, lines, and names of code without a file.

Python keeps the file name it was given (`python train.py` keeps "train.py"); editors send whole paths. Both
are compared here, and nowhere else.
"""

from __future__ import annotations

import linecache
import os
from functools import lru_cache
from types import CodeType
from typing import Any

from tinygrad_cnn.autograd.inspect import Node, Site
from tinygrad_cnn.debug.dap.messages import Source

#: Where relative file names count from: the directory the program was started in.
_START = os.getcwd()


@lru_cache(maxsize=4096)
def resolve(filename: str) -> str:
    """The whole path of a source file; names like ``<stdin>`` as they are."""
    if filename.startswith("<") and filename.endswith(">"):
        return filename
    return os.path.normcase(os.path.realpath(os.path.join(_START, filename)))


@lru_cache(maxsize=65536)
def _place(code: CodeType, lasti: int) -> tuple[str, int]:
    return resolve(code.co_filename), Site(code, lasti).lineno


def place_of(node: Node) -> tuple[str, int] | None:
    """The (path, line) that made a node, or None."""
    return _place(*node.site) if node.site is not None else None


class Sources:
    """Source files as the client names them: by path, or by a number where there is no file to open."""

    def __init__(self) -> None:
        self._numbers: dict[str, int] = {}
        self.as_uris = False

    def describe(self, filename: str) -> Source:
        """The protocol's Source of a file name from Python."""
        path = resolve(filename)
        if os.path.isfile(path):
            real = os.path.realpath(os.path.join(_START, filename))
            return {"name": os.path.basename(path), "path": _to_uri(real) if self.as_uris else real}
        number = self._numbers.setdefault(path, len(self._numbers) + 1)
        return {"name": os.path.basename(path) or path, "path": path, "sourceReference": number}

    def filename(self, source: Any) -> str | None:
        """The path that a client's Source means; None where it says none."""
        number = source.values.get("sourceReference")
        for name, known in self._numbers.items():
            if number and known == number:
                return name
        path = source.values.get("path") or source.values.get("name")
        if not isinstance(path, str) or not path or "\0" in path:
            return None
        return resolve(_from_uri(path) if path.startswith("file://") else path)

    def text(self, number: int) -> str | None:
        """The text behind a number, as far as Python remembers it (notebook cells, say)."""
        for name, known in self._numbers.items():
            if known == number:
                return "".join(linecache.getlines(name)) or None
        return None


def _to_uri(path: str) -> str:
    from pathlib import Path

    return Path(path).as_uri()


def _from_uri(uri: str) -> str:
    from urllib.parse import urlparse
    from urllib.request import url2pathname

    try:
        return url2pathname(urlparse(uri).path)
    except ValueError:
        return uri
