"""Pictures of training and of models: their numbers, their files, and errors that say what to do."""

import numpy as np
import pytest

import tinygrad_cnn as tg
from tinygrad_cnn import nn, viz
from tinygrad_cnn.errors import UsageError
from tinygrad_cnn.nn import functional as F

pytest.importorskip("matplotlib")


@pytest.fixture
def image():
    return np.random.default_rng(0).random((1, 8, 8)).astype(np.float32)


def texts(figure):
    import matplotlib.text

    return " ".join(t.get_text() for t in figure.findobj(matplotlib.text.Text))


def test_curves_has_a_panel_per_measure_and_marks_the_best_epoch(tmp_path):
    history = {
        "epoch": [1, 2, 3], "loss": [3, 2, 1.0], "val_loss": [3, 1.5, 2.0], "accuracy": [0.1, 0.5, 0.9],
        "val_accuracy": [0.2, 0.7, 0.6], "seconds": [9, 9, 9], "note": ["a", "b", "c"],
    }  # fmt: skip
    figure = viz.curves(history, tmp_path / "c.png")
    assert [a.get_title(loc="left") for a in figure.axes] == ["loss", "accuracy"]
    assert "best 1.5" in texts(figure) and "best 0.7" in texts(figure)
    assert (tmp_path / "c.png").read_bytes().startswith(b"\x89PNG")
    with pytest.raises(UsageError, match="history"):
        viz.curves({})
    with pytest.raises(UsageError, match="expected a dict"):
        viz.curves(3)


def test_curves_survives_a_diverged_run():
    figure = viz.curves({"loss": [1.0, float("nan"), float("inf")], "val_loss": [float("nan")] * 3})
    assert len(figure.axes) == 1


def test_confusion_matrix_says_counts_and_recall(tmp_path):
    figure = viz.confusion_matrix([[8, 2], [0, 0]], tmp_path / "m.svg", classes=["cat", "dog"])
    said = texts(figure)
    assert "80%" in said and "–" in said and "80.00% of 10 right" in said
    assert b"<svg" in (tmp_path / "m.svg").read_bytes()
    with pytest.raises(UsageError, match=r"\(classes, classes\)"):
        viz.confusion_matrix([[1, 2, 3]])
    with pytest.raises(UsageError, match="3 class names for 2"):
        viz.confusion_matrix(np.eye(2), classes=["a", "b", "c"])


def test_one_picture_gives_the_same_bytes_each_time(tmp_path):
    for name in ("a.svg", "b.svg"):
        viz.curves({"loss": [2, 1]}, tmp_path / name)
    assert len((tmp_path / "a.svg").read_bytes()) == len((tmp_path / "b.svg").read_bytes())


def test_an_unknown_ending_is_refused_by_name(tmp_path):
    with pytest.raises(UsageError, match=r"\.docx"):
        viz.curves({"loss": [1]}, tmp_path / "c.docx")


def test_the_users_matplotlib_settings_stay():
    import matplotlib

    before = dict(matplotlib.rcParams)
    viz.curves({"loss": [2, 1]})
    assert dict(matplotlib.rcParams) == before


def test_filters_shows_each_kernel_of_the_convolution(net):
    figure = viz.filters(net)
    shown = [a for a in figure.axes if a.images]
    assert len(shown) == 3
    assert np.array_equal(shown[1].images[0].get_array(), net.conv.weight.detach().numpy()[1, 0])
    assert "conv: 3 kernels 1×3×3" in texts(figure)
    viz.filters(net, layer="mix.0")
    with pytest.raises(UsageError, match="no 2-d convolution"):
        viz.filters(net, layer="fc")
    with pytest.raises(UsageError, match="there is no layer 'nope'"):
        viz.filters(net, layer="nope")


def test_feature_maps_are_the_layers_outputs(net, image):
    figure = viz.feature_maps(net, image, layers=["conv"])
    with tg.no_grad():
        wanted = net.conv(tg.tensor(image[None])).numpy()[0]
    drawn = [a.images[0].get_array() for a in figure.axes if a.images][1:]
    assert len(drawn) == 3
    assert all(np.allclose(d, w) for d, w in zip(drawn, wanted, strict=True))


def test_histograms_are_per_layer_and_per_parameter(net, image):
    figure = viz.activation_histograms(net, image)
    assert {"conv", "act", "mix.0", "mix.1", "fc"} <= set(texts(figure).split())
    with pytest.raises(UsageError, match=r"loss\.backward\(\)"):
        viz.gradient_histograms(net)
    F.cross_entropy(net(tg.tensor(image[None])), tg.tensor([1])).backward()
    assert "conv.weight" in texts(viz.gradient_histograms(net))


def test_gradient_flow_draws_the_mean_sizes(net, image):
    F.cross_entropy(net(tg.tensor(image[None])), tg.tensor([1])).backward()
    axes = viz.gradient_flow(net).axes[0]
    wanted = [np.abs(p.grad.numpy().astype(float)).mean() for p in net.parameters()]
    assert np.allclose(axes.lines[0].get_ydata(), wanted)


def test_update_ratio_is_the_share_a_step_moved(net, image):
    before = {k: v.clone() for k, v in net.state_dict().items()}
    with tg.no_grad():
        net.conv.weight *= 1.01
    bars = viz.update_ratio(net, before).axes[0].patches
    assert bars[0].get_height() == pytest.approx(0.01, rel=1e-3)
    assert all(b.get_height() == 0 for b in bars[1:])


def test_saliency_is_the_gradient_of_the_class_score(net, image):
    x = tg.tensor(image[None], requires_grad=True)
    net.eval()
    net(x)[0, 2].backward()
    assert np.allclose(
        viz.saliency_map(net, image, target=2), np.abs(x.grad.numpy()[0]).max(axis=0), atol=1e-7
    )
    viz.saliency(net, image, classes=list("abcde"))
    with pytest.raises(UsageError, match="class below 5"):
        viz.saliency_map(net, image, target=7)


def test_grad_cam_is_the_weighted_sum_of_its_definition(net, image):
    x = tg.tensor(image[None])
    kept = []
    handle = net.mix.register_forward_hook(lambda _m, _a, out: kept.append(out))
    score = net(x)[0, 3]
    handle.remove()
    (g,) = tg.autograd.grad(score, kept[0])
    cam = np.maximum(np.tensordot(g.numpy()[0].mean(axis=(1, 2)), kept[0].detach().numpy()[0], 1), 0)
    found = viz.grad_cam_map(net, image, target=3, layer="mix")
    assert np.allclose(found, cam / cam.max() if cam.max() else cam, atol=1e-5)
    viz.grad_cam(net, image)


def test_explaining_leaves_the_model_as_it_was(net, image):
    net.train()
    viz.saliency(net, image)
    viz.grad_cam(net, image)
    viz.feature_maps(net, image)
    viz.receptive_field(net, image, "mix.0")
    assert net.training and all(p.grad is None for p in net.parameters())
    assert net.conv._hooks is None or net.conv._hooks.empty


def test_the_sobel_example_of_the_notes_gives_its_numbers(tmp_path):
    frames = viz.sliding_window(path=tmp_path / "s.gif")
    assert len(frames) == 9
    assert "= -13" in texts(frames[0]) and "= -16" in texts(frames[1]) and "= 13" in texts(frames[-1])
    last = frames[-1].axes[2].images[0].get_array()
    assert np.array_equal(last, [[-13, -16, -13], [0, 0, 0], [13, 16, 13]])
    from PIL import Image

    with Image.open(tmp_path / "s.gif") as animation:
        assert animation.n_frames == 9
    with pytest.raises(UsageError, match="frames"):
        viz.sliding_window(np.zeros((40, 40)), np.ones((3, 3)))


def test_maxpool_choices_are_the_engines():
    values = np.random.default_rng(0).permutation(36).reshape(6, 6).astype(np.float32)
    x = tg.tensor(values[None, None], requires_grad=True)
    F.max_pool2d(x, 2).sum().backward()
    figure = viz.maxpool_choices(values)
    marked = {(round(p.get_y() + 0.5), round(p.get_x() + 0.5)) for p in figure.axes[0].patches}
    assert marked == set(zip(*np.nonzero(x.grad.numpy()[0, 0]), strict=True))


def test_without_matplotlib_the_message_names_the_extra(monkeypatch):
    from tinygrad_cnn.support import extras

    monkeypatch.setattr(extras, "_installed", lambda top: top != "matplotlib")
    with pytest.raises(ImportError, match=r"tinygrad-cnn\[plots\]"):
        viz.curves({"loss": [1]})


def test_importing_viz_loads_no_plotting_library():
    import subprocess
    import sys

    code = "import sys, tinygrad_cnn.viz as v; v.graph; print({'matplotlib', 'pygraphviz', 'PIL'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout.strip() == "set()"


def test_a_notebook_shows_figures_without_pyplot():
    assert viz.curves({"loss": [2, 1]})._repr_png_().startswith(b"\x89PNG")


def test_a_histogram_of_few_values_has_them_all():
    figure = viz.histograms({"few": [1.0, 2.0, np.nan], "none": []})
    few, none = figure.axes
    assert sum(bar.get_height() for bar in few.patches) == 2
    assert not none.patches and any(t.get_text() == "empty" for t in none.texts)


def test_a_deep_network_shows_some_of_its_layers_and_says_so():
    deep = nn.Sequential(*[nn.Conv2d(1, 1, 3, padding=1) for _ in range(15)])
    image = tg.randn(1, 6, 6)
    figure = viz.feature_maps(deep, image)
    titles = [part.get_suptitle() for part in figure.subfigs]
    assert len(titles) == 13 and titles[0].startswith("image   12 of 15 layers")
    assert titles[1].startswith("0 ") and titles[-1].startswith("14 ")
    assert len(viz.feature_maps(deep, image, layers=[str(k) for k in range(15)]).subfigs) == 16


def test_grad_cam_leaves_the_image_where_the_model_did_not_look(net, image):
    heat = viz.grad_cam_map(net, image)
    covering = viz.grad_cam(net, image).axes[1].images[1].get_alpha()
    assert covering.shape == (8, 8) and covering.min() >= 0 and covering.max() <= 0.75
    assert (covering.max() > 0) == (heat.max() > 0)
