"""Data sets, samplers and the loader: what comes, in which order, how often."""

import threading
from collections import Counter, namedtuple

import numpy as np
import pytest

import tinygrad_cnn as tg
from tinygrad_cnn.utils.data import (
    BatchSampler,
    ConcatDataset,
    DataLoader,
    Dataset,
    IterableDataset,
    RandomSampler,
    SequentialSampler,
    Subset,
    SubsetRandomSampler,
    TensorDataset,
    WeightedRandomSampler,
    default_collate,
    get_worker_info,
    random_split,
)


class Squares(Dataset[int]):
    def __init__(self, n):
        self.n = n

    def __len__(self):
        return self.n

    def __getitem__(self, i):
        if not 0 <= i < self.n:
            raise IndexError(i)
        return i * i


class Stream(IterableDataset[int]):
    def __init__(self, n):
        self.n = n

    def __iter__(self):
        yield from range(self.n)


def seeded(seed=0):
    return tg.Generator().manual_seed(seed)


def flat(loader):
    return [x for batch in loader for x in batch.tolist()]


# --- the loader -----------------------------------------------------------------------------------------


def test_batches_come_in_order_and_the_last_is_shorter():
    batches = [b.tolist() for b in DataLoader(Squares(5), 2)]
    assert batches == [[0, 1], [4, 9], [16]]
    assert len(DataLoader(Squares(5), 2)) == 3


def test_drop_last_leaves_out_the_shorter_one():
    loader = DataLoader(Squares(5), 2, drop_last=True)
    assert [b.tolist() for b in loader] == [[0, 1], [4, 9]] and len(loader) == 2


def test_shuffling_gives_every_sample_once_in_another_order_each_epoch():
    loader = DataLoader(Squares(50), 7, shuffle=True, generator=seeded())
    first, second = flat(loader), flat(loader)
    assert sorted(first) == sorted(second) == [i * i for i in range(50)]
    assert first != second != sorted(second)


def test_equal_generators_give_equal_orders_and_manual_seed_decides_the_rest():
    a, b = (flat(DataLoader(Squares(30), 4, shuffle=True, generator=seeded(3))) for _ in range(2))
    assert a == b
    orders = []
    for _ in range(2):
        tg.manual_seed(4)
        orders.append(flat(DataLoader(Squares(30), 4, shuffle=True)))
    assert orders[0] == orders[1] != a


@pytest.mark.parametrize("workers", [1, 3])
def test_threads_change_nothing_about_the_order(workers):
    plain = flat(DataLoader(Squares(40), 3, shuffle=True, generator=seeded()))
    ahead = DataLoader(Squares(40), 3, shuffle=True, generator=seeded(), num_workers=workers, worker_init_fn=print)
    assert flat(ahead) == plain
    assert get_worker_info() is None


def test_an_error_in_a_worker_thread_reaches_the_caller():
    class Broken(Squares):
        def __getitem__(self, i):
            if i == 5:
                raise ValueError("sample 5 is broken")
            return i

    with pytest.raises(ValueError, match="sample 5 is broken"):
        list(DataLoader(Broken(10), 2, num_workers=2))


def test_a_loader_left_early_loads_no_more_than_it_had_begun():
    loaded = []

    class Watched(Squares):
        def __getitem__(self, i):
            loaded.append(i)
            return i

    batches = iter(DataLoader(Watched(1000), 1, num_workers=2, prefetch_factor=2))
    next(batches)
    batches.close()
    assert len(loaded) <= 6


def test_batches_may_start_in_the_middle_of_an_epoch_without_loading_what_was_before():
    loaded = []

    class Watched(Squares):
        def __getitem__(self, i):
            loaded.append(i)
            return i

    whole = flat(DataLoader(Squares(20), 3, shuffle=True, generator=seeded()))
    rest = [b.tolist() for b in DataLoader(Watched(20), 3, shuffle=True, generator=seeded()).batches(4)]
    assert [i * i for b in rest for i in b] == whole[12:]
    assert len(loaded) == 8


def test_a_tensor_data_set_is_cut_at_once_and_equals_sample_by_sample():
    x, y = tg.randn(11, 2, 3), tg.arange(11)
    fast = DataLoader(TensorDataset(x, y), 4)
    slow = DataLoader(TensorDataset(x, y), 4, collate_fn=default_collate)
    for a, b in zip(fast, slow, strict=True):
        assert type(a) is type(b) is list
        for u, v in zip(a, b, strict=True):
            assert u.dtype == v.dtype and np.array_equal(u.numpy(), v.numpy())


def test_a_loaders_batch_is_a_copy():
    x = tg.zeros(4, 2)
    (batch,) = next(iter(DataLoader(TensorDataset(x), 2)))
    batch += 1
    assert x.sum().item() == 0


def test_samples_without_batching():
    samples = list(DataLoader(TensorDataset(tg.arange(3)), batch_size=None))
    assert [s[0].item() for s in samples] == [0, 1, 2]


def test_a_stream_is_batched_and_may_not_be_shuffled():
    assert [b.tolist() for b in DataLoader(Stream(5), 2)] == [[0, 1], [2, 3], [4]]
    assert [b.tolist() for b in DataLoader(Stream(5), 2, drop_last=True).batches(1)] == [[2, 3]]
    with pytest.raises(ValueError, match="IterableDataset takes no shuffle"):
        DataLoader(Stream(5), shuffle=True)


def test_samplers_of_ones_own():
    assert flat(DataLoader(Squares(9), 2, sampler=[4, 2, 8])) == [16, 4, 64]
    batches = DataLoader(Squares(9), batch_sampler=[[0, 3], [5]])
    assert [b.tolist() for b in batches] == [[0, 9], [25]] and len(batches) == 2


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (dict(sampler=[0], shuffle=True), "sampler option is mutually exclusive with shuffle"),
        (dict(batch_sampler=[[0]], batch_size=2), "batch_sampler option is mutually exclusive"),
        (dict(batch_size=None, drop_last=True), "mutually exclusive with drop_last"),
        (dict(batch_size=0), "positive integer value, but got batch_size=0"),
        (dict(batch_size=2.0), "positive integer value, but got batch_size=2.0"),
        (dict(num_workers=-1), "non-negative"),
        (dict(prefetch_factor=0), "at least 1"),
        (dict(prefetch_factor=2), "prefetch_factor option needs num_workers > 0"),
        (dict(persistent_workers=True), "persistent_workers option needs num_workers > 0"),
        (dict(multiprocessing_context="fork"), "multiprocessing_context option needs num_workers > 0"),
        (dict(timeout=-1), "timeout option should be non-negative"),
    ],
)
def test_options_that_make_no_sense_are_named(options, message):
    with pytest.raises(ValueError, match=message):
        DataLoader(Squares(3), **options)


def test_getitems_of_pytorchs_protocol_is_used():
    class Many(Squares):
        def __getitems__(self, indices):
            return [-i for i in indices]

    assert flat(DataLoader(Many(3), 2)) == [0, -1, -2]


# --- samplers -------------------------------------------------------------------------------------------


def test_random_sampler_with_replacement_and_more_than_all():
    drawn = list(RandomSampler(range(5), replacement=True, num_samples=200, generator=seeded()))
    assert len(drawn) == 200 and set(drawn) == set(range(5))
    more = list(RandomSampler(range(5), num_samples=12, generator=seeded()))
    assert sorted(more[:5]) == sorted(more[5:10]) == list(range(5)) and len(set(more[10:])) == 2


def test_subset_and_sequential_samplers():
    assert list(SequentialSampler(Squares(3))) == [0, 1, 2]
    drawn = list(SubsetRandomSampler([3, 5, 9, 7], generator=seeded()))
    assert sorted(drawn) == [3, 5, 7, 9]


def test_weights_decide_how_often():
    counts = Counter(WeightedRandomSampler([0, 1, 3], 4000, generator=seeded()))
    assert counts[0] == 0 and 2.5 < counts[2] / counts[1] < 3.5
    assert sorted(WeightedRandomSampler([1, 1, 0, 1], 3, replacement=False, generator=seeded())) == [0, 1, 3]


def test_samplers_refuse_what_cannot_be():
    with pytest.raises(ValueError, match="num_samples=0"):
        RandomSampler(range(3), num_samples=0)
    with pytest.raises(ValueError, match="positive sum"):
        WeightedRandomSampler([0, 0], 1)
    with pytest.raises(ValueError, match="at most 1 samples have a weight above 0"):
        WeightedRandomSampler([0, 1], 2, replacement=False)
    with pytest.raises(ValueError, match="drop_last should be a boolean"):
        BatchSampler([0], 1, 1)
    with pytest.raises(TypeError, match="generator expected a Generator, got int"):
        list(RandomSampler(range(3), generator=3))


def test_the_order_is_drawn_when_iteration_starts():
    generator = seeded()
    batches = iter(DataLoader(Squares(10), 3, shuffle=True, generator=generator))
    after = generator.get_state().tolist()
    list(batches)
    assert generator.get_state().tolist() == after


# --- data sets ------------------------------------------------------------------------------------------


def test_tensor_data_set_gives_tuples_and_checks_lengths():
    data = TensorDataset(tg.arange(3), tg.ones(3, 2))
    assert len(data) == 3 and data[1][0].item() == 1 and data[1][1].shape == (2,)
    with pytest.raises(AssertionError, match=r"Size mismatch between tensors.*\(3,\), \(2,\)"):
        TensorDataset(tg.ones(3), tg.ones(2))


def test_concatenation_and_subsets():
    both = Squares(3) + Squares(2)
    assert isinstance(both, ConcatDataset) and [both[i] for i in range(5)] == [0, 1, 4, 0, 1] and both[-1] == 1
    with pytest.raises(IndexError, match="has 5 samples, got index 5"):
        both[5]
    part = Subset(TensorDataset(tg.arange(10)), [7, 1, 4])
    assert [b[0].tolist() for b in DataLoader(part, 2)] == [[7, 1], [4]]
    assert not hasattr(Subset(Squares(3), [0]), "take")


def test_random_split_by_lengths_and_by_fractions():
    parts = random_split(Squares(10), [7, 3], generator=seeded())
    assert [len(p) for p in parts] == [7, 3]
    assert sorted(i for p in parts for i in p.indices) == list(range(10))
    assert [len(p) for p in random_split(Squares(10), [0.5, 0.25, 0.25])] == [6, 2, 2]
    again = random_split(Squares(10), [7, 3], generator=seeded())
    assert [p.indices for p in parts] == [p.indices for p in again]


def test_random_split_refuses_other_sums():
    with pytest.raises(ValueError, match=r"Sum of input lengths.*\[7, 4\] for 10 samples"):
        random_split(Squares(10), [7, 4])
    with pytest.raises(ValueError, match="Fraction at index 0 is not between 0 and 1"):
        random_split(Squares(10), [-0.5, 1.5])


# --- collate --------------------------------------------------------------------------------------------


def test_collate_gives_pytorchs_types():
    Point = namedtuple("Point", "x y")
    assert default_collate([1, 2]).dtype == tg.int64
    assert default_collate([1.0, 2.0]).dtype == tg.float64
    assert default_collate([True, False]).dtype == tg.bool
    assert default_collate([np.float32(1), np.float32(2)]).dtype == tg.float32
    assert default_collate([tg.ones(2), tg.zeros(2)]).shape == (2, 2)
    assert default_collate(["a", "b"]) == ["a", "b"]
    assert default_collate([{"a": 1}, {"a": 2}])["a"].tolist() == [1, 2]
    point = default_collate([Point(1, [2, 3]), Point(4, [5, 6])])
    assert point.x.tolist() == [1, 4] and [c.tolist() for c in point.y] == [[2, 5], [3, 6]]


def test_collate_says_what_it_cannot_stack():
    with pytest.raises(RuntimeError, match="different shapes"):
        default_collate([tg.ones(2), tg.ones(3)])
    with pytest.raises(RuntimeError, match="equal size"):
        default_collate([[1, 2], [1]])
    with pytest.raises(TypeError, match="found set"):
        default_collate([{1}, {2}])
    with pytest.raises(TypeError, match="dtype <U1"):
        default_collate([np.array(["a"]), np.array(["b"])])


def test_an_error_in_worker_init_fn_is_raised_with_its_cause() -> None:
    def fail(number: int) -> None:
        raise OSError("no such disk")

    with pytest.raises(RuntimeError, match=r"worker_init_fn\([01]\) raised OSError: no such disk") as caught:
        list(DataLoader(Squares(8), 2, num_workers=2, worker_init_fn=fail))
    assert isinstance(caught.value.__cause__, OSError)


def test_a_batch_that_does_not_come_in_time_is_an_error() -> None:
    gate = threading.Event()

    class Stuck(Squares):
        def __getitem__(self, index: int) -> object:
            gate.wait()
            return super().__getitem__(index)

    try:
        with pytest.raises(RuntimeError, match="timed out after 0.01 seconds"):
            next(iter(DataLoader(Stuck(4), 2, num_workers=1, timeout=0.01)))
    finally:
        gate.set()
