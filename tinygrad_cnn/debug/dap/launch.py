"""Running the user's script under the debugger: what the `launch` request asks for.

The script runs in this process, as `__main__`, in the thread that the adapter chooses. Its prints become
`output` events, its exit code an `exited` event.
"""

from __future__ import annotations

import contextlib
import os
import runpy
import sys
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import CodeType
from typing import Any

from tinygrad_cnn.autograd.inspect import is_engine_file
from tinygrad_cnn.bridge.engines import ENGINES, engine_for
from tinygrad_cnn.debug.dap.messages import Arguments, RequestError
from tinygrad_cnn.debug.dap.output import Sink, captured
from tinygrad_cnn.debug.dap.program import Program
from tinygrad_cnn.debug.selectors import Query, parse
from tinygrad_cnn.support.errors import UsageError
from tinygrad_cnn.support.script import as_main, exit_status


@dataclass
class Launch:
    """What is to be run, read from the request and checked before anything runs."""

    name: str
    path: Path | None
    code: CodeType | None
    module: str | None
    args: list[str]
    cwd: str | None
    env: dict[str, str | None]
    breaks: list[Query]
    texts: list[str]
    stop_on_entry: bool
    stop_at_end: bool
    debug: bool
    engine: str


def read(args: Arguments) -> Launch:
    """Raises RequestError for a script that cannot be read, or arguments that make no sense."""
    program, module = args.string("program", None), args.string("module", None)
    if (program is None) == (module is None):
        raise RequestError(
            "launch: expected either program (a script's path) or module, and one of them", show=True
        )
    cwd = args.string("cwd", None)
    if cwd is not None and not os.path.isdir(cwd):
        raise RequestError(f"launch: the directory {cwd} (cwd) does not exist", show=True)
    env = args.object("env", {}).values
    if not all(isinstance(v, str) or v is None for v in env.values()):
        raise RequestError("launch: expected strings (or null, to remove one) in env", show=True)
    texts = args.strings("breakOn", [])
    try:
        breaks = [parse(text, file=program) for text in texts]
    except UsageError as error:
        raise RequestError(f"launch: breakOn: {error}", show=True) from None
    path = code = None
    if program is not None:
        path = Path(os.path.realpath(os.path.join(cwd or os.getcwd(), program)))
        try:
            code = compile(path.read_bytes(), str(path), "exec", dont_inherit=True)
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or error
            raise RequestError(f"launch: cannot read the script {program}: {reason}", show=True) from None
        except SyntaxError as error:
            raise RequestError(f"launch: {program} is not a Python script: {error}", show=True) from None
    engine = args.string("engine", "auto")
    if engine not in ENGINES:
        raise RequestError(f"launch: expected engine to be one of {', '.join(ENGINES)}, got {engine!r}", show=True)
    return Launch(
        path.name if path is not None else str(module), path, code, module, args.strings("args", []), cwd, env,
        breaks, texts, args.boolean("stopOnEntry", False), args.boolean("stopAtEnd", False),
        not args.boolean("noDebug", False), engine,
    )  # fmt: skip


def run(launch: Launch, program: Program, sink: Sink) -> int:
    """Run it in the calling thread; gives its exit code."""
    try:
        with captured(sink), engine_for(launch.engine, launch.path) as engine:
            if launch.debug:
                program.attach_here(in_torch=engine == "torch")
                if engine == "torch":
                    sink("console", f"{launch.name} runs on PyTorch: its own backward passes are stepped through\n")
            try:
                code = _run(launch)
            finally:
                program.leave_here()
    except UsageError as error:
        sink("stderr", f"launch: {error}\n")
        return 2
    if (
        code == 0
        and launch.debug
        and not program.passes
        and (launch.stop_on_entry or len(program.breakpoints))
    ):
        sink("console", f"{launch.name} ended without a backward()\n")  # which may be why nothing stopped
    return code


def _run(launch: Launch) -> int:
    with _surroundings(launch):
        return _run_here(launch)


@contextlib.contextmanager
def _surroundings(launch: Launch) -> Iterator[None]:
    """The directory and the environment that were asked for, then those from before."""
    directory, environment = os.getcwd(), dict(os.environ)
    try:
        if launch.cwd is not None:
            os.chdir(launch.cwd)
        for name, value in launch.env.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
        yield
    finally:
        os.chdir(directory)
        os.environ.clear()
        os.environ.update(environment)


def _run_here(launch: Launch) -> int:
    try:
        if launch.code is not None and launch.path is not None:
            with as_main(launch.path, launch.args) as main:
                exec(launch.code, main.__dict__)
        else:
            _run_module(str(launch.module), launch.args)
    except SystemExit as leaving:
        return exit_status(leaving)
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 130
    except BaseException as error:
        print(_traceback(error), end="", file=sys.stderr)
        if isinstance(error, EOFError):
            print("(under an editor a program has no standard input; debug.listen() has)", file=sys.stderr)
        return 1
    return 0


def _run_module(module: str, args: list[str]) -> None:
    before = sys.argv
    sys.argv = [module, *args]
    sys.path.insert(0, os.getcwd())
    try:
        runpy.run_module(module, run_name="__main__", alter_sys=True)
    finally:
        sys.argv = before


def _traceback(error: BaseException) -> str:
    """The traceback from the script's first line on."""
    frames = traceback.extract_tb(error.__traceback__)
    while (
        frames and is_engine_file(frames[0].filename) and any(not is_engine_file(f.filename) for f in frames)
    ):
        del frames[0]
    text = "".join(traceback.format_list(frames))
    return f"Traceback (most recent call last):\n{text}" + "".join(traceback.format_exception_only(error))


Spawn = Callable[[Callable[[], Any]], None]
