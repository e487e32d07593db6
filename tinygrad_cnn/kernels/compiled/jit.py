"""Numba's `njit`, with a disk cache that notices a change in any file of this folder.

Numba keeps compiled code as long as the file of the function itself is unchanged. The functions here call each other
across files, so an edited (or upgraded) `vector.py` would leave old code in `sweep.py`'s cache. The stamp that Numba
compares is therefore widened to all files. That reaches into an attribute that Numba does not document: where it is
missing, its own rule stays.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numba
from numba.core import event


def _stamp() -> tuple[Any, ...]:
    files = sorted(Path(__file__).parent.glob("*.py"))
    return tuple((file.name, file.stat().st_mtime_ns, file.stat().st_size) for file in files)


_STAMP = _stamp()


def njit(**options: Any) -> Callable[[Callable[..., Any]], Any]:
    """`numba.njit(**options)` for functions without a signature, whose compilation waits for the first call."""

    def decorate(function: Callable[..., Any]) -> Any:
        compiled = numba.njit(**options)(function)
        index = getattr(getattr(compiled, "_cache", None), "_cache_file", None)
        if index is not None and hasattr(index, "_source_stamp"):
            index._source_stamp = (index._source_stamp, _STAMP)
        return compiled

    return decorate


@contextmanager
def on_compile(tell: Callable[[], Any]) -> Iterator[None]:
    """Call `tell()` once, when a function is compiled in the meantime; one from the disk cache does not count."""

    class Listener(event.Listener):
        told = False

        def on_start(self, _event: Any) -> None:
            if not self.told:
                self.told = True
                tell()

        def on_end(self, _event: Any) -> None: ...

    with event.install_listener("numba:compile", Listener()):
        yield
