"""Where the terminal takes over: every backward pass of this thread while an `Attached` observes it."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from types import FrameType
from typing import Any

from tinygrad_cnn.autograd import driver
from tinygrad_cnn.autograd.inspect import BackwardPass, Observer, failed_pass
from tinygrad_cnn.bridge import is_library_file
from tinygrad_cnn.bridge.passes import Pass
from tinygrad_cnn.debug.backward_session import BackwardSession
from tinygrad_cnn.debug.breakpoints import Breakpoints
from tinygrad_cnn.debug.engine_pass import EnginePass


class Attached(Observer):
    """Makes a session of each pass, and hands it to `interact` where it should stop.

    Attributes
        breakpoints: shared by all sessions of the program
        stop_next: stop at the first node of the next `backward()`, whatever the breakpoints say
        passes: how many `backward()` calls there have been
        elsewhere: whether other threads, which are not watched, had some
        seen: an exception at which it has stopped already
    """

    def __init__(self, interact: Callable[[BackwardSession], None], *, stop_next: bool = True) -> None:
        self.interact = interact
        self.breakpoints = Breakpoints()
        self.stop_next = stop_next
        self.passes = 0
        self.elsewhere = False
        self.seen: BaseException | None = None
        self.hidden_frames = 0
        self._thread = threading.get_ident()

    def on_any_pass(self, _work: BackwardPass) -> None:
        """A pass begins, maybe in another thread."""
        self.elsewhere = self.elsewhere or threading.get_ident() != self._thread

    def on_pass_begin(self, work: BackwardPass) -> bool:
        return self._take(lambda: EnginePass(work), work.accumulate)

    def on_torch_pass(self, make: Callable[[], Pass]) -> bool:
        """A `backward()` of PyTorch is about to run (see `bridge.torch_watch`)."""
        return self._take(make, True)

    def on_torch_record(self, record: Any, value: Any, name: str) -> None:
        """An operator of PyTorch ran: nothing to do."""

    def _take(self, make: Callable[[], Pass], accumulates: bool) -> bool:
        """Step through a pass when it should stop somewhere; whether it did."""
        if accumulates:
            self.passes += 1
        stop = self.stop_next and accumulates
        watching = self.breakpoints.pause_requested or any(bp.enabled for bp in self.breakpoints)
        if not stop and not watching:
            return False
        session = BackwardSession.on(make(), breakpoints=self.breakpoints, scopes=caller_scopes())
        session.hidden_frames, session.number = self.hidden_frames, max(self.passes, 1)
        session.in_program = True
        if stop:
            self.stop_next = False
            self.breakpoints.hit(session)
        else:
            try:
                session.continue_(from_here=True)
            except Exception as error:
                self.seen = error  # the session stands before the node that failed: look, edit, or go on
        if not session.at_end:
            self.interact(session)
        session.finish()
        return True


def user_frames() -> list[FrameType]:
    """The frames outside the engines that run now, innermost first: the caller of `backward`, and its callers."""
    frame: FrameType | None = sys._getframe(1)
    found = []
    while frame is not None:
        if not is_library_file(frame.f_code.co_filename):
            found.append(frame)
        frame = frame.f_back
    return found


def caller_scopes(frames: Sequence[FrameType] | None = None) -> list[Mapping[str, Any]]:
    """Locals and globals of the innermost of the user's frames, so that expressions find the program's names."""
    frames = user_frames() if frames is None else frames
    return [frames[0].f_locals, frames[0].f_globals] if frames else []


def failed_session(error: BaseException, *, breakpoints: Breakpoints | None = None) -> BackwardSession | None:
    """A session at the node whose rule or hook raised `error`; None when it did not come from a backward pass."""
    work = failed_pass(error)
    if work is None or work.failure is None:
        return None
    scopes: list[Mapping[str, Any]] = []
    trace = error.__traceback__
    while trace is not None:  # the innermost frame of the user's around the pass
        frame = trace.tb_frame
        if frame.f_code is driver.run.__code__:
            break
        if not is_library_file(frame.f_code.co_filename):
            scopes = [frame.f_locals, frame.f_globals]
        trace = trace.tb_next
    return BackwardSession.of_pass(
        work, arrived=work.failure.upstream, breakpoints=breakpoints, scopes=scopes
    )
