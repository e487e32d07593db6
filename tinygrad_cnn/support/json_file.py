"""JSON files from outside: read whole, bounded in nesting and in the length of numbers, or refused in one line."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any, NoReturn

from tinygrad_cnn.support.errors import DataError

#: Objects and lists inside each other; what this package writes needs about ten.
DEEPEST = 64
#: Digits of an integer. A number in our files is a count, a position or a shape.
_DIGITS = 19


def read_json(path: str | os.PathLike[str], what: str) -> Any:
    """The content of the file `path`, which should be `what` ("the replay"). Raises DataError."""
    try:
        value = json.loads(
            Path(path).read_text(encoding="utf-8"), parse_constant=_no_constant, parse_int=_short_integer
        )
    except (OSError, ValueError, RecursionError) as error:
        reason = "it is nested too deeply" if isinstance(error, RecursionError) else error
        raise DataError(f"cannot read {what} {os.fspath(path)}: {reason}") from error
    level, depth = [value], 0
    while level:
        depth += 1
        if depth > DEEPEST:
            raise DataError(f"cannot read {what} {os.fspath(path)}: it is nested more than {DEEPEST} levels deep")
        level = [
            inner
            for outer in level
            if isinstance(outer, (list, dict))
            for inner in (outer.values() if isinstance(outer, dict) else outer)
        ]
    return value


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON number")


def _short_integer(text: str) -> int:
    if len(text) > _DIGITS:
        raise ValueError(f"an integer of {len(text)} digits")
    return int(text)
