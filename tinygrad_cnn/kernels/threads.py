"""A small pool of Python threads for shards of a batch, and the one place that limits BLAS while they run.

Kernels release the GIL, so plain threads suffice; a parallel region of Numba's beside OpenBLAS's own
spinning workers cost 4 ms each on two cores. Nothing starts at import: workers are made at the first
parallel call, are daemons, and are made anew in a forked child.
"""

from __future__ import annotations

import ctypes
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from queue import SimpleQueue
from typing import Any

Shard = Callable[[int, int], Any]
Job = tuple[Shard, int, int, list[BaseException], threading.Semaphore]

_threads: int | None = None
_workers: list[SimpleQueue[Job]] = []
_owner = 0  # process the workers belong to: a fork takes the memory along, but not the threads
_lock = threading.Lock()
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
    done = threading.Semaphore(0)
    with one_blas_thread():
        for i in range(1, pieces):
            workers[i - 1].put((shard, bounds[i], bounds[i + 1], errors, done))
        _inside.shard = True
        try:
            shard(bounds[0], bounds[1])
        except BaseException as error:
            errors.append(error)
        finally:
            _inside.shard = False
            for _ in range(1, pieces):  # also after an error: the pieces write into arrays of the caller
                done.acquire()
    if errors:
        raise errors[0]
    return pieces


@contextmanager
def one_blas_thread() -> Iterator[None]:
    """BLAS runs in the calling thread inside this block; its former setting is back afterwards.

    Blocks may nest and overlap in time: the first to enter remembers the setting, the last to leave restores
    it.
    """
    global _limited, _former
    blas = _blas()
    if blas is None:
        yield
        return
    get, put = blas
    with _lock:
        if _limited == 0:
            _former = get()
            if _former != 1:
                put(1)
        _limited += 1
    try:
        yield
    finally:
        with _lock:
            _limited -= 1
            if _limited == 0 and _former != 1:
                put(_former)


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


_limited = 0
_former = 1
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


def _pool(n: int) -> list[SimpleQueue[Job]]:
    """At least n workers of this process."""
    global _owner
    with _lock:
        if _owner != os.getpid():
            _workers.clear()
            _owner = os.getpid()
        while len(_workers) < n:
            queue: SimpleQueue[Job] = SimpleQueue()
            threading.Thread(
                target=_work, args=(queue,), name=f"tinygrad_cnn-{len(_workers) + 1}", daemon=True
            ).start()
            _workers.append(queue)
        return _workers


def _work(queue: SimpleQueue[Job]) -> None:
    _inside.shard = True
    while True:
        shard, start, stop, errors, done = queue.get()
        try:
            shard(start, stop)
        except BaseException as error:
            errors.append(error)
        finally:
            del shard  # a waiting worker must not keep the last batch alive
            done.release()


def _after_fork_in_child() -> None:
    global _lock, _limited
    _lock = threading.Lock()  # another thread of the parent may have held it
    _inside.shard = False
    if _limited and _blas_functions is not None:
        _blas_functions[1](_former)
    _limited = 0


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork_in_child)
