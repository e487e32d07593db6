"""The pictures of arrays and reports are drawn, and refuse what they cannot draw."""

import numpy as np
import pytest

import tinygrad_cnn as tg
from tinygrad_cnn import analysis, nn, viz
from tinygrad_cnn.errors import UsageError
from tinygrad_cnn.nn import functional as F

pytest.importorskip("matplotlib")


def texts(figure):
    return [t.get_text() for axes in figure.axes for t in axes.texts]


def test_a_heat_map_has_its_numbers_and_a_large_one_none():
    assert texts(viz.heatmap([[1.0, -2.5], [0.0, 3.0]])) == ["1", "-2.5", "0", "3"]
    assert texts(viz.heatmap(np.zeros((20, 20)))) == []
    uses = analysis.convolution(np.zeros((4, 4)), np.ones((3, 3)), padding="same").uses
    assert texts(viz.heatmap(uses))[:4] == ["4", "6", "6", "4"]
    with pytest.raises(UsageError, match="expected a matrix"):
        viz.heatmap(np.zeros((2, 3, 4)))


def test_a_batch_of_images_with_labels():
    figure = viz.images(tg.rand(5, 3, 6, 6), labels="abcde")
    assert [axes.get_title() for axes in figure.axes] == list("abcde")
    assert len(viz.images(np.zeros((70, 1, 4, 4))).axes) == 64
    with pytest.raises(UsageError, match="expected a batch"):
        viz.images(np.zeros((2, 5, 4, 4)))


def test_an_activation_beside_its_derivative():
    value, slope = viz.activation([F.relu, nn.Sigmoid()]).axes
    assert [line.get_label() for line in value.lines] == ["relu", "Sigmoid"]
    assert slope.lines[0].get_ydata().tolist()[::400] == [0, 1]
    assert max(slope.lines[1].get_ydata()) == pytest.approx(0.25)


def test_four_ways_to_enlarge():
    figure = viz.upsampling([[1.0, 2.0], [3.0, 4.0]])
    shown = {axes.get_title(): [t.get_text() for t in axes.texts] for axes in figure.axes}
    assert shown["duplicate"][:4] == ["1", "1", "2", "2"]
    assert shown["max-unpooling"][:4] == ["1", "0", "2", "0"]
    assert "10" in shown["transposed 3×3, stride 2"]  # the middle, where all four meet


def test_reports_are_drawn(tmp_path):
    model = nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 2))
    report = analysis.saturation_report(model, (np.ones((5, 3), np.float32), np.zeros(5, int)))
    rows = [{"size": n, "parameters": n, "accuracy": 0.5, "val_accuracy": 0.4} for n in (1, 2)]
    axes = viz.normalisation_axes(tmp_path / "axes.png")
    figures = [viz.saturation(report), viz.spectrum(model), viz.sweep(rows), axes]
    assert [len(f.axes) for f in figures] == [4, 1, 1, 4] and (tmp_path / "axes.png").stat().st_size > 1000
    assert [line.get_label() for line in figures[1].axes[0].lines] == ["0.weight (3)", "2.weight (2)"]
    with pytest.raises(UsageError, match="expected records with 'loss'"):
        viz.sweep(rows, measure="loss")
