"""Batches of a data set, loaded in the calling thread or ahead of it by a few others."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import TimeoutError as FutureTimeout
from itertools import count, islice
from typing import Any

from tinygrad_cnn.ops.random import drawing_from
from tinygrad_cnn.utils.data.collate import default_collate, default_convert
from tinygrad_cnn.utils.data.dataset import IterableDataset
from tinygrad_cnn.utils.data.randomness import numpy_generator
from tinygrad_cnn.utils.data.sampler import BatchSampler, RandomSampler, SequentialSampler

__all__ = ["DataLoader", "get_worker_info"]


class DataLoader:
    """Iterate over `dataset` in batches.

    batch_size     samples per batch; None gives single samples
    shuffle        a new random order each epoch, drawn from `generator` (the global one if None)
    sampler        an order of one's own: an iterable of indices; `batch_sampler`: of lists of indices
    num_workers    threads that load ahead (the order of the batches stays the same); 0: load when asked.
                   Threads, since NumPy, file reading and image decoding release the GIL.
    collate_fn     makes a batch of a list of samples; `default_collate` stacks them
    drop_last      leave out a last batch that is shorter
    prefetch_factor    batches that each thread keeps ready, 2 unless told
    worker_init_fn     called in each thread with its number, before it loads

    What a data set's transforms draw at random comes, batch by batch, from a seed that is drawn from `generator` at the
    start of the epoch: the same whatever the number of workers. (That holds for the default generator, as `tg.rand` and
    the transforms here use it; a generator of one's own that several threads share is drawn from in their order.)
    An error says in a note which sample was being loaded.

    `pin_memory`, `pin_memory_device`, `multiprocessing_context`, `persistent_workers` and `in_order` exist for
    PyTorch's sake and change nothing. Raises ValueError for options that exclude each other, and for options of workers
    (`prefetch_factor`, `persistent_workers`, `multiprocessing_context`) without workers; RuntimeError, while loading,
    for what `worker_init_fn` raised, and when workers need more than `timeout` seconds for a batch (0: no limit).
    """

    def __init__(
        self, dataset: Any, batch_size: int | None = 1, shuffle: bool | None = None, sampler: Any = None,
        batch_sampler: Any = None, num_workers: int = 0, collate_fn: Callable[[Any], Any] | None = None,
        pin_memory: bool = False, drop_last: bool = False, timeout: float = 0, worker_init_fn: Any = None,
        multiprocessing_context: Any = None, generator: object = None, *, prefetch_factor: int | None = None,
        persistent_workers: bool = False, pin_memory_device: str = "", in_order: bool = True,
    ) -> None:  # fmt: skip
        if num_workers < 0:
            raise ValueError(f"num_workers option should be non-negative, got {num_workers}")
        if prefetch_factor is not None and prefetch_factor < 1:
            raise ValueError(f"prefetch_factor option should be at least 1, got {prefetch_factor}")
        if timeout < 0:
            raise ValueError(f"timeout option should be non-negative, got {timeout}")
        if num_workers == 0:
            options = {
                "prefetch_factor": prefetch_factor is not None, "persistent_workers": persistent_workers,
                "multiprocessing_context": multiprocessing_context is not None,
            }  # fmt: skip
            for name, given in options.items():
                if given:
                    raise ValueError(f"{name} option needs num_workers > 0")
        streamed = isinstance(dataset, IterableDataset)
        if streamed and (shuffle or sampler is not None or batch_sampler is not None):
            raise ValueError(
                "DataLoader with an IterableDataset takes no shuffle, sampler or batch_sampler: its order is its own"
            )
        if sampler is not None and shuffle:
            raise ValueError("sampler option is mutually exclusive with shuffle")
        if batch_sampler is not None:
            if batch_size != 1 or shuffle or sampler is not None or drop_last:
                raise ValueError(
                    "batch_sampler option is mutually exclusive with batch_size, shuffle, sampler, and drop_last"
                )
            batch_size = None
        elif batch_size is None and drop_last:
            raise ValueError("batch_size=None disables batching and is mutually exclusive with drop_last")
        if batch_sampler is None and not streamed:
            if sampler is None:
                sampler = (
                    RandomSampler(dataset, generator=generator) if shuffle else SequentialSampler(dataset)
                )
            if batch_size is not None:
                batch_sampler = BatchSampler(sampler, batch_size, drop_last)
        self.dataset = dataset
        self.batch_size = batch_size
        self.drop_last = drop_last
        self.sampler = sampler
        self.batch_sampler = batch_sampler
        self.num_workers = num_workers
        self.prefetch_factor = prefetch_factor or 2
        self.generator = generator
        self.pin_memory = pin_memory
        self.timeout = timeout
        self.worker_init_fn = worker_init_fn
        batched = batch_sampler is not None or (streamed and batch_size is not None)
        self.collate_fn: Callable[[Any], Any] = collate_fn or (
            default_collate if batched else default_convert
        )
        self._batched = batched
        self._at_once = batched and collate_fn is None and not streamed and hasattr(dataset, "take")

    def __iter__(self) -> Iterator[Any]:
        return self.batches()

    def batches(self, start: int = 0) -> Iterator[Any]:
        """The batches of one epoch from number `start` on; those before are skipped without being loaded.

        The order is drawn when this is called, not when the first batch is asked for.
        """
        if isinstance(self.dataset, IterableDataset):
            # What a stream skips must still be read.
            return islice(self._stream(), start, None)
        keys = iter(self.batch_sampler if self.batch_sampler is not None else self.sampler)
        # `take` indexes arrays and draws nothing.
        seed = 0 if self._at_once else int(numpy_generator(self.generator).integers(2**63))
        tasks = ((seed, number, key) for number, key in islice(enumerate(keys), start, None))
        return self._ahead(tasks) if self.num_workers else (self._load(*task) for task in tasks)

    def __len__(self) -> int:
        if isinstance(self.dataset, IterableDataset):
            n = len(self.dataset)  # type: ignore[arg-type]
            if self.batch_size is None:
                return n
            return n // self.batch_size if self.drop_last else -(-n // self.batch_size)
        return len(self.batch_sampler if self.batch_sampler is not None else self.sampler)

    # ------------------------------------------------------------------------------------------------

    def _load(self, seed: int, number: int, key: Any) -> Any:
        if self._at_once:
            return self.dataset.take(key)
        with drawing_from(seed, number):
            if not self._batched:
                return self.collate_fn(self._sample(key))
            many = getattr(self.dataset, "__getitems__", None)
            return self.collate_fn(many(key) if many is not None else [self._sample(i) for i in key])

    def _sample(self, index: Any) -> Any:
        try:
            return self.dataset[index]
        except Exception as error:
            error.add_note(f"while the DataLoader was loading sample {index} of {type(self.dataset).__name__}")
            raise

    def _ahead(self, tasks: Iterator[tuple[int, int, Any]]) -> Iterator[Any]:
        numbers = count()
        failed: list[tuple[int, Exception]] = []

        def begin() -> None:
            number = next(numbers)
            try:
                self.worker_init_fn(number)
            except Exception as error:  # raised where a batch is asked for; the pool would only say that it is broken
                failed.append((number, error))

        def load(*task: Any) -> Any:
            if failed:
                number, error = failed[0]
                raise RuntimeError(f"worker_init_fn({number}) raised {type(error).__name__}: {error}") from error
            return self._load(*task)

        pool = ThreadPoolExecutor(
            self.num_workers,
            thread_name_prefix="tinygrad_cnn-loader",
            initializer=self.worker_init_fn and begin,
        )
        waiting: deque[Future[Any]] = deque()
        try:
            for task in islice(tasks, self.num_workers * self.prefetch_factor):
                waiting.append(pool.submit(load, *task))
            while waiting:
                try:
                    batch = waiting.popleft().result(self.timeout or None)
                except FutureTimeout:
                    raise RuntimeError(f"DataLoader timed out after {self.timeout} seconds") from None
                for task in islice(tasks, 1):
                    waiting.append(pool.submit(load, *task))
                yield batch
        finally:
            pool.shutdown(wait=False, cancel_futures=True)

    def _stream(self) -> Iterator[Any]:
        samples = iter(self.dataset)
        if self.batch_size is None:
            yield from map(self.collate_fn, samples)
            return
        while batch := list(islice(samples, self.batch_size)):
            if len(batch) == self.batch_size or not self.drop_last:
                yield self.collate_fn(batch)


def get_worker_info() -> None:
    """None: no sample is loaded in another process, so a stream never has to divide itself among workers."""
