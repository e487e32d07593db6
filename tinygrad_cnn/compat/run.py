"""Running a script as ``python script args`` does, with `torch` and `torchvision` served by this package."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType

from tinygrad_cnn.compat.finder import serving
from tinygrad_cnn.compat.missing import MissingNameError
from tinygrad_cnn.support.script import as_main, exit_status, find_module, read_script

__all__ = ["run_script"]

_HERE = str(Path(__file__).parent)
_PACKAGE = str(Path(__file__).parents[1])


def run_script(script: str, args: Sequence[str] = (), *, module: bool = False) -> int:
    """Run `script` (with `module`, the module of that name) as `__main__`; returns its exit status.

    An exception that the script does not catch goes to `sys.excepthook`, whose traceback begins in the script.
    Raises UsageError for a script that cannot be read.
    """
    path, code, spec = find_module(script) if module else (*read_script(script), None)
    with serving(), as_main(path, args, spec) as main:
        try:
            exec(code, main.__dict__)
        except SystemExit as leaving:
            return exit_status(leaving)
        except BaseException as error:
            trace = _from_script(error)
            sys.excepthook(type(error), error.with_traceback(trace), trace)
            return 130 if isinstance(error, KeyboardInterrupt) else 1
    return 0


def _from_script(error: BaseException) -> TracebackType | None:
    """The traceback without the frames above the script's first line, and without those that found a name missing."""
    whole = error.__traceback__
    first = whole
    while first is not None and first.tb_frame.f_code.co_filename.startswith(_PACKAGE):
        first = first.tb_next
    last = first if isinstance(error, MissingNameError) else None
    while last is not None and last.tb_next is not None:
        if last.tb_next.tb_frame.f_code.co_filename.startswith(_HERE):
            last.tb_next = None
        last = last.tb_next
    return first or whole
