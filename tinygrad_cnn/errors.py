"""`tg.errors`: the errors that a user can cause and mend."""

from tinygrad_cnn.support.errors import (
    CheckpointError,
    DataError,
    MissingExtraError,
    OutputError,
    UsageError,
    UserError,
)

__all__ = [
    "CheckpointError", "DataError", "MissingExtraError", "OutputError", "UsageError", "UserError",
]  # fmt: skip
