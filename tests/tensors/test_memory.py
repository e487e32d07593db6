"""Who shares memory with whom: `view`, `as_strided`, copies of several tensors, and arrays from elsewhere."""

from __future__ import annotations

import copy

import numpy as np
import pytest

import tinygrad_cnn as tg
import tinygrad_cnn.nn.functional as F


def test_view_raises_where_it_would_have_to_copy() -> None:
    x = tg.zeros(2, 3)
    for wrong in (lambda: x.T.view(-1), lambda: x[:, :2].view(4), lambda: x.T.view_as(tg.zeros(6))):
        with pytest.raises(RuntimeError, match=r"use reshape\(\)"):
            wrong()
    assert x.T.reshape(-1).shape == (6,)
    with pytest.raises(RuntimeError):
        tg.from_numpy(np.zeros((2, 3)).T).view(-1)


def test_what_is_written_through_a_view_arrives() -> None:
    x = tg.zeros(2, 3, 4)
    x.transpose(0, 1).view(3, 2, 2, 2)[1, 0, 1, 1] = 5
    assert x[0, 1, 3].item() == 5


@pytest.mark.parametrize("recorded", [True, False])
def test_a_convolutions_result_is_viewed_without_a_copy_whatever_its_layout(recorded) -> None:
    x, w = tg.randn(2, 3, 5, 5), tg.randn(4, 3, 3, 3, requires_grad=recorded)
    y = F.conv2d(x, w)
    before, part = y.detach().numpy().copy(), y[1]
    y.view(2, -1).mul_(2.0)
    np.testing.assert_allclose(y.detach().numpy(), 2 * before)
    np.testing.assert_allclose(part.detach().numpy(), 2 * before[1])


def test_as_strided_looks_at_the_base_and_stays_inside_it() -> None:
    x = tg.arange(8.0).reshape(2, 4)
    x[1].as_strided((2,), (2,))[1] = -1
    assert x.tolist() == [[0, 1, 2, 3], [4, 5, -1, 7]]
    for size, stride, offset in (((9,), (1,), 0), ((2, 2), (4, 4), 0), ((1,), (1,), 8), ((2,), (-1,), 3)):
        with pytest.raises(ValueError):
            tg.as_strided(x, size, stride, offset)


def test_a_deep_copy_keeps_what_a_tensor_and_its_views_share() -> None:
    x = tg.zeros(2, 3)
    base, row, same = copy.deepcopy([x, x[1], x.detach()])
    row[0] = 5
    assert base.tolist() == same.tolist() == [[0, 0, 0], [5, 0, 0]]
    assert not x.any()
    view = copy.deepcopy(x[0])
    view[0] = 1
    assert not x.any()


def test_numbers_in_the_other_byte_order_come_in_this_machines(tmp_path) -> None:
    other = np.array([1.5, 2.0]).astype(np.dtype(np.float32).newbyteorder("S"))
    np.savez(tmp_path / "a.npz", x=other)
    loaded = tg.load(tmp_path / "a.npz")["x"]
    for t in (tg.from_numpy(other), tg.tensor(other), tg.as_tensor(other), loaded):
        assert t.dtype == np.float32 and t.dtype.isnative
        assert t.tolist() == [1.5, 2]


def test_ranges_between_small_tensors_are_computed_in_the_dtype_asked_for() -> None:
    start, end = tg.tensor(0, dtype=tg.int8), tg.tensor(100, dtype=tg.int8)
    assert tg.linspace(start, end, 8, dtype=tg.float64).tolist() == tg.linspace(0, 100, 8, dtype=tg.float64).tolist()
    assert tg.arange(tg.tensor(200, dtype=tg.uint8), tg.tensor(100, dtype=tg.uint8), -50).tolist() == [200, 150]


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_a_bad_number_stays_in_the_windows_that_hold_it(bad) -> None:
    x = tg.ones(1, 1, 10)
    x[0, 0, 0] = bad
    for y in (
        F.adaptive_avg_pool1d(x, 3),
        F.adaptive_avg_pool1d(x, 5),
        F.avg_pool1d(x, 3, 1),
        F.avg_pool1d(x, 3, 2, 1),
        F.interpolate(x, size=7, mode="linear"),
    ):
        assert not np.isfinite(y.numpy()[0, 0, 0])
        assert np.isfinite(y.numpy()[0, 0, 2:]).all()
