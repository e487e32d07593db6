"""Argument types whose errors say what was expected, and options that apply in some cases only."""

from __future__ import annotations

import argparse
import math
from collections.abc import Mapping
from typing import Any

from tinygrad_cnn.support.errors import UsageError

__all__ = ["fraction", "image_size", "natural", "not_negative", "positive", "positive_int", "refuse"]


def positive_int(text: str) -> int:
    """A whole number of at least 1."""
    value = _whole(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"expected a whole number of at least 1, got {text}")
    return value


def natural(text: str) -> int:
    """A whole number of at least 0."""
    value = _whole(text)
    if value < 0:
        raise argparse.ArgumentTypeError(f"expected a whole number of at least 0, got {text}")
    return value


def positive(text: str) -> float:
    """A number above 0."""
    value = _number(text)
    if not (value > 0 and math.isfinite(value)):
        raise argparse.ArgumentTypeError(f"expected a number above 0, got {text}")
    return value


def not_negative(text: str) -> float:
    """A number of at least 0."""
    value = _number(text)
    if not (value >= 0 and math.isfinite(value)):
        raise argparse.ArgumentTypeError(f"expected a number of at least 0, got {text}")
    return value


def image_size(text: str) -> tuple[int, int]:
    """(height, width) from "64" or "48x64"."""
    parts = [_whole(part) for part in text.lower().replace("×", "x").split("x")]
    if len(parts) not in (1, 2) or not all(1 <= n <= 4096 for n in parts):
        raise argparse.ArgumentTypeError(f"expected a side such as 64, or height and width such as 48x64, got {text}")
    return parts[0], parts[-1]


def fraction(text: str) -> float:
    """A number from 0 to just below 1."""
    value = _number(text)
    if not 0 <= value < 1:
        raise argparse.ArgumentTypeError(f"expected a number from 0 to below 1, got {text}")
    return value


def refuse(given: Mapping[str, Any], why: str) -> None:
    """Raise UsageError when one of these options (by the names that users write) was given: `why` says when it applies.

    None, False and an empty list are what an option holds that was not given.
    """
    for option, value in given.items():
        if value is not None and value is not False and value != []:
            raise UsageError(f"{option} {why}: leave it out")


def _whole(text: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"expected a whole number, got {text!r}") from None


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"expected a number, got {text!r}") from None
