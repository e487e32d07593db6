"""A small pool of Python threads for shards of a batch, and the one place that limits BLAS while they run.

Kernels release the GIL, so plain threads suffice; a parallel region of Numba's beside OpenBLAS's own
spinning workers cost 4 ms each on two cores. Nothing starts at import: workers are made at the first
parallel call, are daemons, and are made anew in a forked child.
"""

from __future__ import annotations

import ctypes
import os
import threading
from collections.abc import Callable
from queue import SimpleQueue
from typing import Any

Shard = Callable[[int, int], Any]

_threads: int | None = None
_workers: list[SimpleQueue[_Job]] = []
_inside = threading.local()


def set_num_threads(n: int) -> None:
    """Use n threads from the next kernel on. Raises ValueError below 1."""
    global _threads
    if int(n) < 1:
        raise ValueError(f"set_num_threads expected at least 1, got {n}")
    _threads = int(n)


def get_num_threads() -> int:
    """Threads a kernel may use: as set, else TINYGRAD_CNN_NUM_THREADS, OMP_NUM_THREADS, or the cores we may
    run on."""
    global _threads
    if _threads is None:
        for name in ("TINYGRAD_CNN_NUM_THREADS", "OMP_NUM_THREADS"):
            text = os.environ.get(name, "").split(",")[0].strip()
            if text.isdigit() and int(text) > 0:
                _threads = int(text)
                return _threads
        _threads = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return _threads


def run_shards(shard: Shard, total: int, *, grain: int = 1) -> int:
    """Calls shard(start, stop) so that [0, total) is covered once, one piece per thread of at least `grain`.

    Returns when all pieces are done; the first exception of a piece is raised again then. A call from inside
    a shard runs in its own thread. Returns the number of pieces.
    """
    pieces = max(1, min(get_num_threads(), total // max(1, grain)))
    if pieces == 1 or getattr(_inside, "shard", False):
        with one_blas_thread():
            shard(0, total)
        return 1
    bounds = [total * i // pieces for i in range(pieces + 1)]
    workers = _pool(pieces - 1)
    errors: list[BaseException] = []
    jobs = [_Job(shard, bounds[i], bounds[i + 1], errors) for i in range(1, pieces)]
    with one_blas_thread():
        # After an error or an interrupt, too, nobody may go on writing into the caller's arrays. An interrupt may cut
        # the first `settle` short, hence the second.
        try:
            try:
                for worker, job in zip(workers, jobs):
                    worker.put(job)
                _inside.shard = True
                shard(bounds[0], bounds[1])
                _settle(jobs, do=True)
            finally:
                _inside.shard = False
                _settle(jobs, do=False)
        finally:
            _inside.shard = False
            _settle(jobs, do=False)
    if errors:
        raise errors[0]
    return pieces


class _Job:
    """A shard that a worker, or the caller, takes: whoever acquires `taken` does it."""

    def __init__(self, shard: Shard, start: int, stop: int, errors: list[BaseException]) -> None:
        self.shard, self.start, self.stop, self.errors = shard, start, stop, errors
        self.taken = threading.Lock()
        self.begun = False  # a worker has seen it, and will set `done`
        self.done = threading.Event()

    def in_worker(self) -> None:
        """What a worker does with it."""
        self.begun = True
        try:
            if self.taken.acquire(blocking=False):
                self.shard(self.start, self.stop)
        except BaseException as error:
            self.errors.append(error)
        finally:
            self.done.set()


def _settle(jobs: list[_Job], *, do: bool) -> None:
    """Do (or, without `do`, call off) the jobs that no worker has taken, and wait for the others."""
    for job in jobs:
        if job.taken.acquire(blocking=False) and do:
            job.shard(job.start, job.stop)
    for job in jobs:
        if job.begun:
            job.done.wait()


class one_blas_thread:
    """BLAS runs in the calling thread inside this block; its former setting is back afterwards.

    Blocks may nest and overlap between threads: the last one to leave puts the setting back. Where BLAS offers no
    way to set its threads, nothing happens. There is no lock that an interrupt between two lines could leave held:
    each step is one operation on a set or a list, and `_leave` may run any number of times.
    """

    def __enter__(self) -> None:
        blas = _blas()
        if blas is None:
            return
        try:
            if not _limiting:
                _found_threads.append(blas[0]())
            _limiting.add(id(self))
            if _found_threads != [1]:
                blas[1](1)
        except BaseException:
            self._leave()
            raise

    def __exit__(self, *_exc: object) -> None:
        try:
            self._leave()
        finally:  # an interrupt may have cut the first short
            self._leave()

    def _leave(self) -> None:
        _limiting.discard(id(self))
        blas = _blas()
        if blas is not None and not _limiting:
            # Of two threads that entered at once the second may have found the limit that the first had set.
            found = list(_found_threads)
            if found and max(found) != 1:
                blas[1](max(found))
            del _found_threads[: len(found)]

    # An interrupt just before `__exit__` is called skips it; the object goes with the frame that held it.
    __del__ = _leave


def blas_info() -> dict[str, Any]:
    """What multiplies matrices: library, its configuration (with the kernels it picked), and its threads.

    `threads` is None where the library offers no way to ask.
    """
    import numpy as np

    info: dict[str, Any] = {"library": "unknown", "config": "", "core": "", "threads": None, "limited": False}
    build = np.show_config(mode="dicts")
    if isinstance(build, dict):
        info["library"] = build.get("Build Dependencies", {}).get("blas", {}).get("name", "unknown")
    blas = _blas()
    if blas is not None:
        info.update(threads=blas[0](), limited=True)
    for key, name in (("config", "openblas_get_config"), ("core", "openblas_get_corename")):
        function = symbol(name)
        if function is not None:
            function.restype, function.argtypes = ctypes.c_char_p, []
            info[key] = (function() or b"").decode()
    return info


def symbol(name: str) -> Any:
    """The function `name` of the OpenBLAS that NumPy uses, under whichever prefix and suffix it was built;
    or None."""
    for library in _libraries():
        for prefix, suffix in (("scipy_", "64_"), ("", "64_"), ("scipy_", ""), ("", "")):
            try:
                function = library[f"{prefix}{name}{suffix}"]
            except AttributeError:
                continue
            function.integers = ctypes.c_int64 if suffix else ctypes.c_int32
            return function
    return None


_limiting: set[int] = set()  # the blocks under way
_found_threads: list[int] = []  # BLAS's threads as the first of them found them
_found: list[Any] | None = None
_blas_functions: tuple[Callable[[], int], Callable[[int], None]] | None = None
_looked = False


def _blas() -> tuple[Callable[[], int], Callable[[int], None]] | None:
    """(get, set) of OpenBLAS's thread count; found once, since asking the system for its libraries takes
    milliseconds."""
    global _looked, _blas_functions
    if not _looked:
        get, put = symbol("openblas_get_num_threads"), symbol("openblas_set_num_threads")
        if get is not None and put is not None:
            get.restype, get.argtypes = ctypes.c_int, []
            put.restype, put.argtypes = None, [ctypes.c_int]
            _blas_functions = (get, put)
        _looked = True
    return _blas_functions


def _libraries() -> list[Any]:
    """Handles of the loaded libraries that may be NumPy's OpenBLAS: those beside NumPy first, then the
    process itself."""
    global _found
    if _found is None:
        import numpy as np

        base = os.path.dirname(os.path.abspath(np.__file__))
        paths = []
        for folder in (
            os.path.join(os.path.dirname(base), "numpy.libs"),
            os.path.join(base, ".dylibs"),
            os.path.join(base, ".libs"),
        ):
            if os.path.isdir(folder):
                paths += [
                    os.path.join(folder, f) for f in sorted(os.listdir(folder)) if "openblas" in f.lower()
                ]
        _found = []
        for path in (*paths, getattr(getattr(np, "_core", None), "_multiarray_umath", np).__file__):
            try:
                _found.append(ctypes.CDLL(path))
            except OSError:
                continue
    return _found


def _pool(n: int) -> list[SimpleQueue[_Job]]:
    """At least n workers of this process. (Two threads that ask at once may make more.)"""
    while len(_workers) < n:
        queue: SimpleQueue[_Job] = SimpleQueue()
        threading.Thread(
            target=_work, args=(queue,), name=f"tinygrad_cnn-{len(_workers) + 1}", daemon=True
        ).start()
        _workers.append(queue)
    return _workers


def _work(queue: SimpleQueue[_Job]) -> None:
    _inside.shard = True
    while True:
        queue.get().in_worker()


def _after_fork_in_child() -> None:
    """A fork takes the memory along, but not the threads."""
    _workers.clear()
    _inside.shard = False
    _limiting.clear()
    if _found_threads and _blas_functions is not None:
        _blas_functions[1](max(_found_threads))
    _found_threads.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork_in_child)
