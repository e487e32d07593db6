"""Running somebody's script under the terminal debugger: ``tinygrad-cnn debug SCRIPT [ARGS…]``."""

from __future__ import annotations

import bdb
import contextlib
import linecache
import os
import signal
import sys
import threading
import traceback
from collections.abc import Iterator, Sequence
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import CodeType
from typing import Any

from tinygrad_cnn import bridge
from tinygrad_cnn.autograd.inspect import calling_stack, keep_values, observing, on_every_pass
from tinygrad_cnn.bridge.engines import engine_for
from tinygrad_cnn.debug.anomaly import Anomaly
from tinygrad_cnn.debug.anomaly import anomaly as anomalies
from tinygrad_cnn.debug.attach import Attached, caller_scopes, failed_session
from tinygrad_cnn.debug.backward_session import BackwardSession
from tinygrad_cnn.debug.forward import ForwardStops
from tinygrad_cnn.debug.terminal import QuitDebugger, Terminal
from tinygrad_cnn.support.errors import UsageError, UserError
from tinygrad_cnn.support.script import as_main, exit_status, find_module, read_script


def run_script(
    script: str, args: Sequence[str] = (), *, breaks: Sequence[str] = (), commands: Sequence[str] = (),
    anomaly: bool = False, forward: Sequence[str] = (), module: bool = False, engine: str = "auto",
    terminal: Terminal | None = None,
) -> int:  # fmt: skip
    """Run `script` as ``python script args`` would (``python -m script args`` with `module`), and stop in its backward
    passes.

    Without `breaks` (selectors, see `selectors`) it stops at the first node of the first `backward()`; with
    them, where they say; with `anomaly`, at the rule that makes the first nan or infinity. An exception inside
    a backward pass opens the debugger at the node that raised it. `forward` (selectors) opens Python's own debugger
    in the script where a forward pass made such a node (see `forward`). `engine` is whose backward passes are
    stepped through: PyTorch's or this package's (see `bridge.engines`).
    Returns the exit status. Raises UsageError for a script that cannot be read or a selector that is none.
    """
    program = find_module(script) if module else (*read_script(script), None)
    terminal = terminal or Terminal(commands=commands, file=program[0].name)
    with engine_for(engine, program[0]) as chosen:
        return _run(program, args, breaks, anomaly, forward, chosen == "torch", terminal)


def _run(
    program: tuple[Path, CodeType, ModuleSpec | None], args: Sequence[str], breaks: Sequence[str], anomaly: bool,
    forward: Sequence[str], in_torch: bool, terminal: Terminal,
) -> int:  # fmt: skip
    path, code, spec = program
    if in_torch:
        if forward:
            raise UsageError("--forward stops in forward passes of tinygrad_cnn only; under PyTorch use breakpoint()")
        terminal.show([f"{path.name} runs on PyTorch: its own backward passes are stepped through"])
    hook = Attached(terminal.interact, stop_next=not breaks and not forward)
    for text in breaks:
        hook.breakpoints.add(text, file=path.name)
    hook.hidden_frames = len(calling_stack())
    if anomaly:
        hook.stop_next = False
        looking: Any = anomalies(
            callback=lambda session, found: _at_anomaly(terminal, session, found), error=False, warn=False
        )
    else:
        looking = _stopping_at_ctrl_c(hook, terminal)
    watched: Any = bridge.watching_torch(hook) if in_torch and not anomaly else contextlib.nullcontext()
    stops = ForwardStops(forward, terminal.show, file=path.name)
    with as_main(path, args, spec) as main:
        try:
            with keep_values(stack=True), observing(on_record=stops if forward else None), looking as found, watched:
                exec(code, main.__dict__)
        except (QuitDebugger, bdb.BdbQuit):
            return 0
        except SystemExit as leaving:
            return exit_status(leaving)
        except KeyboardInterrupt:
            terminal.show(["interrupted"])
            return 130
        except BaseException as error:
            return _failed(error, hook, terminal)
    if anomaly:
        if not found:
            terminal.show([f"{path.name} ended: {found.report()}"])
        elif found.backward is None:
            terminal.show([found.report(), "no gradient became nan or infinite by it"])
        return 0
    if stops.queries and not stops.stops:
        terminal.show([f"no forward pass came to {', '.join(q.text for q in stops.queries)}"])
    if not hook.passes:
        others = "; other threads had some, which the debugger does not watch" if hook.elsewhere else ""
        terminal.show([f"{path.name} ended without a backward(){others}"])
    else:
        unhit = [bp.query.text for bp in hook.breakpoints if bp.enabled and not bp.hits]
        more = f"; never reached: {', '.join(unhit)}" if unhit else ""
        terminal.show([f"{path.name} ended after {hook.passes} backward pass(es){more}"])
    return 0


@contextlib.contextmanager
def _stopping_at_ctrl_c(hook: Attached, terminal: Terminal) -> Iterator[None]:
    """The hook observes, and Ctrl-C stops at the next node, as in pdb; the second one ends the program.

    A program that handles Ctrl-C itself keeps its handler.
    """
    before = signal.getsignal(signal.SIGINT)
    ours = before is signal.default_int_handler and threading.current_thread() is threading.main_thread()

    def stop(number: int, frame: Any) -> None:
        table = hook.breakpoints
        if terminal.talking or table.pause_requested:
            table.pause_requested = False
            signal.default_int_handler(number, frame)
        table.pause_requested = True
        os.write(2, b"\nstopping at the next node; Ctrl-C again ends the program\n")  # `print` may be at work

    if ours:
        signal.signal(signal.SIGINT, stop)
    try:
        with observing(hook), on_every_pass(hook.on_any_pass):
            yield
    finally:
        if ours and signal.getsignal(signal.SIGINT) is stop:
            signal.signal(signal.SIGINT, before)


def _at_anomaly(terminal: Terminal, session: BackwardSession, found: Anomaly) -> None:
    terminal.show([found.report()])
    terminal.interact(session)


def post_mortem(error: BaseException | None = None, *, terminal: Terminal | None = None) -> None:
    """Open the debugger at the node whose rule or hook raised `error` (the last one shown, when left out).

    Raises UsageError when the error did not come from inside a backward pass.
    """
    error = error or getattr(sys, "last_exc", None) or getattr(sys, "last_value", None)
    if error is None:
        raise UsageError(
            "post_mortem: there is no exception; call it with one, e.g. inside `except … as error`"
        )
    session = failed_session(error)
    if session is None:
        raise UsageError(
            f"{type(error).__name__} was not raised inside a backward pass; use pdb.post_mortem()"
        )
    session.stop = session.stop._replace(kind="exception", text=f"{type(error).__name__}: {error}")
    with contextlib.suppress(QuitDebugger):
        (terminal or Terminal()).interact(session)


def open_session(
    outputs: Any,
    seeds: Any = None,
    *,
    terminal: Terminal | None = None,
    scopes: Sequence[Any] = (),
    **options: Any,
) -> None:
    """`backward` in the debugger: what ``loss.backward(debug=True)`` does."""
    session = BackwardSession(outputs, seeds, scopes=scopes or caller_scopes(), **options)
    (terminal or Terminal()).interact(session)
    session.finish()


_trace: list[Any] = []


def set_trace(*breaks: str, terminal: Terminal | None = None) -> None:
    """Stop at the next `backward()`, of tensors of this package or of PyTorch, and then no more (unless breakpoints
    were set there).

    With selectors: stop where they say, in every backward pass from here on, until `unset_trace`. Meanwhile nodes
    keep their values and the Python frames that made them.
    """
    if not _trace:
        holder = contextlib.ExitStack()
        hook = Attached(_interact_once, stop_next=False)
        holder.enter_context(keep_values(stack=True))
        holder.enter_context(observing(hook))
        if bridge.torch_in_use():
            holder.enter_context(bridge.watching_torch(hook))
        _trace[:] = [hook, holder, terminal]
    hook = _trace[0]
    _trace[2] = terminal or _trace[2]
    for text in breaks:
        hook.breakpoints.add(text)
    hook.stop_next = not breaks


def _interact_once(session: BackwardSession) -> None:
    if _trace[2] is None:
        _trace[2] = Terminal()
    _trace[2].interact(session)
    if not len(_trace[0].breakpoints):
        unset_trace()


def unset_trace() -> None:
    """Take back `set_trace`."""
    if _trace:
        _trace[1].close()
        _trace.clear()


def _failed(error: BaseException, hook: Attached, terminal: Terminal) -> int:
    """The script raised: its traceback without our frames, and the node when it was inside a backward pass."""
    own = os.path.dirname(__file__)
    frames = [f for f in traceback.extract_tb(error.__traceback__) if not f.filename.startswith(own)]
    for frame in frames:
        linecache.checkcache(frame.filename)
    text = "".join(traceback.format_list(frames))
    said = "".join(traceback.format_exception_only(error))
    terminal.show([f"Traceback (most recent call last):\n{text}{said}".rstrip()])
    session = None if hook.seen is not None else failed_session(error, breakpoints=hook.breakpoints)
    if session is not None:
        terminal.show(["post-mortem: the backward pass stands at the node that failed"])
        session.stop = session.stop._replace(kind="exception", text=f"{type(error).__name__}: {error}")
        with contextlib.suppress(QuitDebugger, UserError):
            terminal.interact(session)
    return 1
