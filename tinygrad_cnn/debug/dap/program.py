"""The program under debug: the thread that runs it, and where that thread waits in a backward pass.

While attached, each backward pass of that thread drives a `BackwardSession`: it goes on to the next
breakpoint, tells `Events.stopped`, and waits. The dispatcher's thread then sends it functions to run there
(`call`), since modes and users' expressions belong to the program's thread, and at last a `Move` that takes
it on. Other threads' passes run as ever.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import queue
import sys
import threading
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from types import FrameType
from typing import Any, Protocol

from tinygrad_cnn import bridge
from tinygrad_cnn.autograd.inspect import BackwardPass, Observer, keep_values, observing
from tinygrad_cnn.bridge.passes import Pass
from tinygrad_cnn.debug.attach import caller_scopes, user_frames
from tinygrad_cnn.debug.backward_session import BackwardSession
from tinygrad_cnn.debug.commands import Interpreter
from tinygrad_cnn.debug.dap.breakpoints import EditorBreakpoints
from tinygrad_cnn.debug.dap.messages import RequestError
from tinygrad_cnn.debug.dap.places import resolve
from tinygrad_cnn.debug.engine_pass import EnginePass

#: A thread that waits for a lock does not see Ctrl-C everywhere; so it looks up this often, in seconds.
BREATH = 0.25


class Interrupted(BaseException):
    """Breaks off an evaluation (no `Exception`, so that nobody's handler swallows it)."""


class Terminated(SystemExit):
    """Ends the program where it stands, as a failure."""

    def __init__(self, code: int = 1) -> None:
        super().__init__(code)


class Events(Protocol):
    """What the program tells; called from its own thread."""

    def pass_started(self, session: BackwardSession) -> None: ...
    def stopped(self, reason: str, text: str, hit: list[int]) -> None: ...
    def log(self, text: str) -> None: ...


@dataclass
class Move:
    """How the program goes on: `act` on the interpreter's session; `stepping` stops at the pass's end too."""

    act: Callable[[Interpreter], None]
    reason: str = "step"
    stepping: bool = True


@dataclass
class _Job:
    fn: Callable[[], Any]
    result: Any = None
    error: BaseException | None = None
    done: threading.Event = field(default_factory=threading.Event)


def _go_on(interpreter: Interpreter) -> None:
    interpreter.leave_parts()
    interpreter.session.continue_()


CONTINUE = Move(_go_on, "breakpoint", stepping=False)
#: Resume without moving: the console already moved the session, or the client has detached.
STAY = Move(lambda _interpreter: None, stepping=False)
#: Not on at all, but out of the program.
TERMINATE = Move(lambda _interpreter: None)


class Program(Observer):
    """One thread of one program, and its stops.

    With `stays` it is watched until `leave_here`, whether a client is there or not (`listen`).
    """

    events: Events

    def __init__(self, events: Events | None = None, *, stays: bool = False) -> None:
        if events is not None:
            self.events = events
        self._stays = stays
        self.breakpoints = EditorBreakpoints()
        self.stop_at_entry = False
        self.entry_reason = "entry"
        self.stop_at_end = False
        self.file: str | None = None
        self.interpreter: Interpreter | None = None
        self.error: BaseException | None = None
        self.frames: list[FrameType] = []
        self.passes = 0
        self._thread: int | None = None
        self._process = 0
        self._jobs: queue.SimpleQueue[_Job | Move] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._stopped = False
        self._busy = False
        self._interrupted = False
        self._listening = False
        self._failed_at: int | None = None
        self._watching = ExitStack()

    # --- from the program's thread ---------------------------------------------------------------

    def attach_here(self, *, in_torch: bool = False) -> None:
        """Watch the calling thread from now on: its nodes keep values and stacks, its passes stop.

        With `in_torch`, PyTorch's too, which is imported then.
        """
        self._thread, self._process = threading.get_ident(), os.getpid()
        self._watching.enter_context(keep_values(stack=True))
        self._watching.enter_context(observing(self))
        if in_torch:
            self._watching.enter_context(bridge.watching_torch(self))
        self._listening = not self._stays

    def leave_here(self) -> None:
        """Undo `attach_here`, in the same thread; nothing is raised in it from then on."""
        self._listening = False
        try:
            with self._lock:
                self._thread = None
        finally:  # what was raised in it just before arrives here
            self._watching.close()

    def on_pass_begin(self, work: BackwardPass) -> bool:
        return self._take(lambda: EnginePass(work), entry=work.accumulate)

    def on_torch_pass(self, make: Callable[[], Pass]) -> bool:
        """A `backward()` of PyTorch is about to run (see `bridge.torch_watch`)."""
        return self._take(make, entry=True)

    def on_torch_record(self, record: Any, value: Any, name: str) -> None:
        """An operator of PyTorch ran: nothing to do."""

    def _take(self, make: Callable[[], Pass], *, entry: bool) -> bool:
        if os.getpid() != self._process:  # a forked child, in which no thread answers the client
            return False
        if not self._listening:
            if not self._stays:
                self.leave_here()
            return False
        self.drive(make(), entry=entry)
        return True

    def drive(self, work: Pass, *, entry: bool = True) -> None:
        """Take a pass of the watched thread from stop to stop to its end; `entry`: it may stop at the first node."""
        self.passes += 1
        self.frames = user_frames()
        self.breakpoints.caller = (
            (resolve(self.frames[0].f_code.co_filename), self.frames[0].f_lineno) if self.frames else None
        )
        session = BackwardSession.on(work, breakpoints=self.breakpoints, scopes=caller_scopes(self.frames))
        self.interpreter = Interpreter(session, file=self.file)
        self._failed_at = None
        try:
            self.events.pass_started(session)
            self._drive(self.interpreter, entry=entry)
            self.interpreter.leave_parts()
            self.interpreter.session.finish()
        finally:
            self.interpreter = None
            self.frames = []

    def _drive(self, interpreter: Interpreter, *, entry: bool) -> None:
        """From stop to stop, to the end of the pass; `entry`: it may stop at the first node."""
        if self.stop_at_entry and entry:
            reason, self.stop_at_entry = self.entry_reason, False
            move = self._wait(reason, "start of the backward pass", [])
        else:
            move = Move(lambda i: _first(i.session), "breakpoint", stepping=False)
        while self._listening:
            was_at_end = _at_end(interpreter)
            failed: str | None = None
            try:
                move.act(interpreter)
            except Exception as error:
                failed = self._raised(error)
            self._tell_log()
            if interpreter.session.closed or not self._listening:
                return
            if was_at_end and _at_end(interpreter):  # a step beyond the end: on to the next pass
                self.stop_at_entry, self.entry_reason = move.stepping, move.reason
                return
            why, hit = (failed, []) if failed is not None else self.reason(move, interpreter)
            if why is None:
                return
            move = self._wait(why, self._text(why, hit), hit)

    def reason(self, move: Move, interpreter: Interpreter) -> tuple[str | None, list[int]]:
        """Why it stops where a move ended; None when it does not stop."""
        session = interpreter.session
        breakpoints = self.breakpoints
        if _at_end(interpreter):
            written = breakpoints.written_last(session)
            if written is not None:
                return "data breakpoint", [written.id]
            return (move.reason, []) if move.stepping or self.stop_at_end else (None, [])
        if session.stop.kind == "breakpoint":
            return breakpoints.reason_for(session.stop.breakpoint)
        return move.reason, []

    def _text(self, why: str, hit: list[int]) -> str:
        """What the client shows of a stop."""
        assert self.interpreter is not None
        if why == "data breakpoint":
            return f"{self.breakpoints[hit[0]].query.text} was written"
        return self.interpreter.session.stop.text

    def _raised(self, error: Exception) -> str:
        """A rule, a hook or a condition failed: stop there once, or let it go on into the program."""
        assert self.interpreter is not None
        session = self.interpreter.session
        again, self._failed_at = self._failed_at == session.position, session.position
        if again or not self.breakpoints.stop_at_errors or not self._listening:
            raise error
        self.error = error
        return "exception"

    def _wait(self, reason: str, text: str, hit: list[int]) -> Move:
        """Stand here, and do what the dispatcher asks for, until it says how to go on."""
        for stream in (sys.stdout, sys.stderr):
            with contextlib.suppress(AttributeError, OSError, ValueError):  # None, a broken pipe, closed
                stream.flush()  # what the program printed so far belongs before the stop
        with self._lock:
            self._stopped = True
        try:
            move = self._serve(reason, text, hit)
        finally:  # by a KeyboardInterrupt, too: nobody may wait for a thread that has gone
            with self._lock:
                self._stopped = False
                while not self._jobs.empty():
                    left = self._jobs.get()
                    if isinstance(left, _Job):
                        left.error = RequestError("the program went on", id=10)
                        left.done.set()
        if move is TERMINATE:
            raise Terminated(1)
        if reason == "exception" and move is not CONTINUE:
            self._failed_at = None  # the user did something about it: a failure is news again
        self.error = None
        return move

    def _serve(self, reason: str, text: str, hit: list[int]) -> Move:
        self.events.stopped(reason, text, hit)
        while True:
            job: _Job | None = None
            try:
                got = self._jobs.get(timeout=BREATH)
                if isinstance(got, Move):
                    return got
                job = got
                self._do(job)
            except queue.Empty:
                pass
            except Interrupted:
                if job is not None and not job.done.is_set():
                    job.error = RequestError("interrupted", id=3)
                    job.done.set()

    def _do(self, job: _Job) -> None:
        try:
            with self._lock:
                if self._interrupted:  # before it began
                    raise Interrupted
                self._busy = True
            job.result = job.fn()
        except Interrupted:
            job.error = RequestError("interrupted", id=3)
        except BaseException as error:  # whatever it is, it belongs to the request and not to the program
            job.error = error
        finally:
            with self._lock:
                self._busy = False
            job.done.set()

    def _tell_log(self) -> None:
        messages = self.breakpoints.messages
        while messages:
            self.events.log(messages.pop(0))

    # --- from the dispatcher's and the reader's threads --------------------------------------------

    @property
    def session(self) -> BackwardSession:
        """The innermost session of the stop. Raises RequestError while the program runs."""
        if self.interpreter is None:
            raise RequestError("the program is not in a backward pass", id=10)
        return self.interpreter.session

    @property
    def stopped(self) -> bool:
        return self._stopped

    def call(self, fn: Callable[[], Any]) -> Any:
        """Run `fn` in the stopped program's thread; gives its result, raises its error."""
        job = _Job(fn)
        with self._lock:
            if not self._stopped:
                raise RequestError("the program is running: pause it, or set a breakpoint, first", id=10)
            self._jobs.put(job)
        job.done.wait()
        if job.error is not None:
            if isinstance(job.error, Exception):
                raise job.error
            raise RequestError(f"{type(job.error).__name__}: {job.error}", id=11)
        return job.result

    def resume(self, move: Move) -> None:
        """Let the stopped program go on."""
        with self._lock:
            if not self._stopped:
                return
            self._stopped = False
            self._jobs.put(move)

    def pause(self) -> None:
        """Stop at the next node, of this pass or the next."""
        self.breakpoints.pause_requested = True

    def begin(self) -> None:
        """A new request: what was interrupted was the one before."""
        with self._lock:
            self._interrupted = False

    def interrupt(self) -> None:
        """Break off the function that `call` is running or about to run, if any."""
        with self._lock:
            self._interrupted = True
            if self._busy and self._thread is not None:
                _raise_in(self._thread, Interrupted)

    def welcome(self, events: Events) -> bool:
        """A client attaches to a program that stays, with an empty table; False when it has one already."""
        with self._lock:
            if self._listening:
                return False
            self.events = events
            self.breakpoints = EditorBreakpoints()
            self.stop_at_entry = self.stop_at_end = False
            self.entry_reason = "entry"
            self._listening = True
        return True

    def detach(self) -> None:
        """Let the program run on as if nobody had ever looked."""
        self._listening = False
        self.breakpoints.mute()
        self.resume(STAY)

    def kill(self) -> None:
        """End the program, where it stands or, running, where it is."""
        self.breakpoints.mute()
        if self._stopped:
            self.resume(TERMINATE)
            return
        self._listening = False
        with self._lock:
            if self._thread is not None:
                _raise_in(self._thread, Terminated)


def _at_end(interpreter: Interpreter) -> bool:
    return interpreter.session.at_end and not interpreter.outer


def _first(session: BackwardSession) -> None:
    session.continue_(from_here=True)


def _raise_in(thread: int, kind: type[BaseException]) -> None:
    ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread), ctypes.py_object(kind))
