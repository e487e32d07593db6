"""How NumPy's kernels use more than one thread: each takes a stretch of the batch.

NumPy lets go of Python's lock inside copies, arithmetic and matrix products, so plain threads run at once. Used by
the files beside this one; the threads are those of `kernels.threads`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .. import threads

# What a piece must be worth, in numbers that pass through NumPy's loops: about 50 µs, a little more than waking a
# thread costs.
GRAIN = 1 << 18


def in_shards(shard: Callable[[int, int], Any], count: int, work: int) -> None:
    """Calls shard(start, stop) in threads so that [0, count) is covered once; `work` numbers are touched in all.

    BLAS keeps to the calling thread inside a shard: its own threads would wait, spinning, on the same cores. Where
    there are fewer images than threads, a single one say, BLAS has all of them instead.
    """
    if count < threads.get_num_threads():
        shard(0, count)
    else:
        threads.run_shards(shard, count, grain=max(1, -(-GRAIN * count // max(1, work))))


def worth_sharing(work: int) -> bool:
    """False where all fits one piece: arithmetic on small arrays is spared the way through the pool."""
    return work >= 2 * GRAIN and threads.get_num_threads() > 1
