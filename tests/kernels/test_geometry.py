"""Output sizes are those of the notes' formula, and shapes that do not fit are refused with a message that
helps."""

from __future__ import annotations

import pytest

from tinygrad_cnn.kernels import geometry as geo


def test_output_size_is_the_notes_formula_floored():
    # AlexNet's first layer without padding: 54 windows, not 224 / 4 = 56.
    assert geo.output_size(224, 11, stride=4) == 54
    assert geo.output_size(224, 11, stride=4, padding=(2, 2)) == 55
    assert geo.output_size(7, 3, stride=2, padding=(1, 1)) == 4
    assert geo.output_size(10, 3, dilation=3) == 4


def test_output_size_refuses_a_kernel_larger_than_its_input():
    with pytest.raises(ValueError, match="at least 7.*got 5"):
        geo.output_size(5, 3, dilation=3)


@pytest.mark.parametrize(
    ("size", "kernel", "stride", "pad", "floored", "ceiled"),
    [
        (5, 2, 2, 0, 2, 3),
        (6, 3, 2, 0, 2, 3),
        (4, 2, 3, 1, 2, 2),  # a third window would start in the right padding
        (3, 1, 2, 0, 2, 2),
        (4, 1, 3, 0, 2, 2),
    ],
)
def test_ceil_mode_counts_a_partial_window_that_starts_inside(size, kernel, stride, pad, floored, ceiled):
    same = dict(stride=stride, padding=(pad, pad))
    assert geo.pool_size(size, kernel, **same) == floored
    assert geo.pool_size(size, kernel, **same, ceil_mode=True) == ceiled


def test_correlate_shape_names_the_channels_that_do_not_fit():
    with pytest.raises(ValueError, match="expected 3 input channels"):
        geo.correlate_shape(
            (8, 1, 28, 28), (16, 3, 3, 3), stride=(1, 1), padding=((0, 0),) * 2, dilation=(1, 1), groups=1
        )


def test_pooling_refuses_padding_above_half_the_kernel():
    with pytest.raises(ValueError, match="at most half"):
        geo.pool_shape((1, 1, 8), (2,), stride=(2,), padding=((2, 2),))


def test_values_per_dimension_accept_one_int_or_one_each():
    assert geo.per_dimension(3, 2) == (3, 3)
    assert geo.per_dimension((3, 5), 2) == (3, 5)
    assert geo.padding_pairs(1, 2) == ((1, 1), (1, 1))
    assert geo.padding_pairs((1, (0, 2)), 2) == ((1, 1), (0, 2))
    with pytest.raises(ValueError, match="stride expected one int or 2"):
        geo.per_dimension((1, 2, 3), 2, "stride")


def test_same_padding_keeps_the_size():
    for k, dil in [(1, 1), (2, 1), (3, 2), (4, 3)]:
        ((lo, hi),) = geo.same_padding((k,), (dil,))
        assert geo.output_size(20, k, padding=(lo, hi), dilation=dil) == 20
