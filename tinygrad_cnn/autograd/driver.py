"""Running a backward pass to its end, with the thread's observers told of it."""

from __future__ import annotations

from tinygrad_cnn.autograd.backward_pass import BackwardPass
from tinygrad_cnn.autograd.fast import loop
from tinygrad_cnn.autograd.observe import EVERY_PASS, Observer
from tinygrad_cnn.autograd.state import state


def run(work: BackwardPass) -> None:
    """Exhaust the pass. Observers hear of it (and may take it over) unless it began inside another one."""
    now = state.now
    running = now.running
    if (now.on_pass is not None or EVERY_PASS) and not running:
        _observed(work)
        return
    running.append(work)
    try:
        loop.run(work)
    finally:
        running.pop()


def _observed(work: BackwardPass) -> None:
    now = state.now
    told: list[Observer] = []
    now.running.append(work)
    try:
        for fn in list(EVERY_PASS):
            fn(work)
        for observer in reversed(now.on_pass or ()):
            told.append(observer)
            if observer.on_pass_begin(work):
                break
        else:
            loop.run(work)
    except BaseException as error:
        for observer in told:
            observer.on_pass_failed(work, error)
        raise
    finally:
        now.running.pop()
    for observer in told:
        observer.on_pass_end(work)
