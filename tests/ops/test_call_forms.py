"""Keywords and call forms that PyTorch has; the numbers on the right are PyTorch's."""

from __future__ import annotations

import numpy as np
import pytest

import tinygrad_cnn as tg

ROWS = tg.tensor([[1.0, 5.0, 2.0, 8.0], [0.0, 1.0, 1.0, 3.0]], dtype=tg.float64)


def test_randint_takes_its_bounds_and_size_by_keyword():
    for drawn in (tg.randint(9, size=(50,)), tg.randint(high=9, size=(50,)), tg.randint(0, 9, (50,))):
        assert drawn.shape == (50,) and 0 <= int(drawn.min()) and int(drawn.max()) < 9


def test_a_correction_of_none_is_one():
    for name in ("var", "std"):
        f = getattr(tg, name)
        assert f(ROWS, 1, correction=None).tolist() == f(ROWS, 1).tolist()
    for name in ("var_mean", "std_mean"):
        f = getattr(tg, name)
        assert f(ROWS, 1, correction=None)[0].tolist() == f(ROWS, 1)[0].tolist()


def test_diff_prepends_and_appends():
    x = tg.tensor([1, 4, 9])
    assert tg.diff(x, prepend=tg.tensor([0])).tolist() == [1, 3, 5]
    assert tg.diff(x, n=2, append=tg.tensor([16])).tolist() == [2, 2]
    with pytest.raises(ValueError, match="n >= 0"):
        tg.diff(x, n=-1)


def test_cov_weights_observations():
    x = tg.tensor([[0.0, 1.0, 2.0], [2.0, 1.0, 0.0]], dtype=tg.float64)
    counts, repeated = tg.tensor([1, 2, 1]), x[:, [0, 1, 1, 2]]
    assert tg.allclose(tg.cov(x, fweights=counts), tg.cov(repeated))
    assert tg.cov(x[:1]).shape == ()
    with pytest.raises(TypeError, match="integer fweights"):
        tg.cov(x, fweights=tg.ones(3))


def test_diag_embed_places_the_diagonal_in_any_two_dimensions():
    x = tg.arange(6.0).view(2, 3)
    assert tg.diag_embed(x, dim1=0, dim2=2).tolist() == tg.diag_embed(x).movedim(1, 0).tolist()
    assert tg.diag_embed(x, 1, 0, 1).shape == (4, 4, 2)
    with pytest.raises(ValueError, match="two different dimensions"):
        tg.diag_embed(x, dim1=1, dim2=1)


def test_nanmedian_along_a_dimension_skips_nan():
    nan = float("nan")
    x = tg.tensor([[3.0, nan, 1.0, 2.0], [nan, nan, nan, 5.0]])
    values, indices = tg.nanmedian(x, 1)
    assert values.tolist() == [2, 5] and indices.tolist() == [3, 3]
    assert tg.nanmedian(x, dim=0, keepdim=True).values.shape == (1, 4)
    assert tg.nanmedian(x).item() == 2


def test_unique_consecutive_compares_slices_along_a_dimension():
    x = tg.tensor([[1, 1, 2], [1, 1, 2], [3, 3, 2]])
    rows, inverse, counts = tg.unique_consecutive(x, return_inverse=True, return_counts=True, dim=0)
    assert rows.tolist() == [[1, 1, 2], [3, 3, 2]]
    assert inverse.tolist() == [0, 0, 1] and counts.tolist() == [2, 1]
    assert tg.unique_consecutive(x, dim=1).tolist() == [[1, 2], [1, 2], [3, 2]]


def test_searchsorted_searches_each_row_with_side_and_sorter():
    rows, values = tg.tensor([[1, 3, 5], [2, 4, 6]]), tg.tensor([[3, 6], [3, 6]])
    assert tg.searchsorted(rows, values).tolist() == [[1, 3], [1, 2]]
    assert tg.searchsorted(rows, values, side="right").tolist() == [[2, 3], [1, 3]]
    order = tg.tensor([2, 0, 1])
    assert tg.searchsorted(tg.tensor([3, 5, 1]), tg.tensor([4]), sorter=order).tolist() == [2]
    assert tg.searchsorted(rows, values, out_int32=True).dtype == tg.int32
    assert tg.bucketize(values, tg.tensor([1, 3]), out_int32=True).dtype == tg.int32
    with pytest.raises(ValueError, match="contradict"):
        tg.searchsorted(rows, values, right=True, side="left")
    with pytest.raises(ValueError, match="one for each row"):
        tg.searchsorted(rows, tg.tensor([[1], [2], [3]]))


def test_what_is_no_number_equals_no_tensor():
    t = tg.ones(2)
    for other in (None, "a", b"a"):
        assert (t == other) is False and (t != other) is True
        with pytest.raises(TypeError):
            _ = t < other
    assert (t == 1).tolist() == [True, True]


def test_tensor_split_takes_its_places_from_a_tensor():
    x = tg.arange(5)
    assert [p.tolist() for p in tg.tensor_split(x, tg.tensor([1, 3]))] == [[0], [1, 2], [3, 4]]
    assert [p.tolist() for p in tg.tensor_split(x, tg.tensor(2))] == [[0, 1, 2], [3, 4]]


def test_the_loader_calls_worker_init_fn_and_converts_single_samples():
    from tinygrad_cnn.utils.data import DataLoader

    called = []
    samples = [(np.float32(k), np.arange(2)) for k in range(4)]
    loaded = list(DataLoader(samples, batch_size=None, num_workers=1, worker_init_fn=called.append))
    assert called == [0]
    assert [float(number) for number, _ in loaded] == [0, 1, 2, 3]
    assert all(isinstance(part, tg.Tensor) for sample in loaded for part in sample)
