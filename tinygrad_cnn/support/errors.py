"""Errors that a user can cause and mend: the command line prints their message alone, without a traceback.

Each also is the built-in error that a Python caller would expect, so `except ValueError` keeps working.
This module imports nothing; anyone may raise from it, and `cli` catches `UserError`.
"""

__all__ = ["CheckpointError", "DataError", "MissingExtraError", "OutputError", "UsageError", "UserError", "brief"]


class UserError(Exception):
    """Something the user gave cannot be used. The message says what was expected, what came, what to do."""


class UsageError(UserError, ValueError):
    """A name or an option that does not exist here: an unknown model, optimiser, layer path."""


class DataError(UserError, ValueError):
    """A data set or an image that is missing, truncated, corrupt or not of the expected kind."""


class CheckpointError(UserError, RuntimeError):
    """A checkpoint or run folder that cannot be read, or does not fit the model it is loaded into."""


class OutputError(UserError, OSError):
    """A place that cannot be written to."""


class MissingExtraError(UserError, ImportError):
    """An optional package that is not installed, or is installed but broken."""


def brief(error: BaseException, longest: int = 300) -> str:
    """The message of an error as one line of at most `longest` characters, to stand in another message."""
    text = " ".join(str(error).split()) or type(error).__name__
    return text if len(text) <= longest else text[: longest - 1] + "…"
