"""`tg.extras`: which optional packages are installed."""

from tinygrad_cnn.support.extras import EXTRAS, Extra, ExtraStatus, available, require

__all__ = [
    "EXTRAS", "Extra", "ExtraStatus", "available", "require",
]  # fmt: skip
