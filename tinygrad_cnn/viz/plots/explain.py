"""Why a model decided so: saliency, Grad-CAM, and the receptive field of a unit, drawn on the image."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from tinygrad_cnn.analysis.receptive_field import effective_field, middle_unit
from tinygrad_cnn.analysis.receptive_field import receptive_field as fields_of
from tinygrad_cnn.analysis.watch import as_batch, evaluating, layer_outputs, layer_path
from tinygrad_cnn.autograd import modes
from tinygrad_cnn.autograd.gradients import grad
from tinygrad_cnn.autograd.handle import Handle, leaf, unwrap, wrap
from tinygrad_cnn.support.errors import UsageError
from tinygrad_cnn.viz.plots.canvas import COLOURS, bare, finish, new_figure, scale_beside, styled
from tinygrad_cnn.viz.plots.layers import show_image

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    Path = str | os.PathLike[str] | None


def saliency_map(model: Any, image: Any, target: int | None = None) -> np.ndarray:
    """|∂score/∂pixel|, the largest over the channels: (H, W). `target` is a class; by default the winner.

    Simonyan, Vedaldi, Zisserman 2013, "Deep Inside Convolutional Networks".
    """
    x = _leaf(image)
    with evaluating(model), modes.enable_grad():
        scores = model(x)
    (g,) = grad(scores, x, _one_hot(scores, target))
    return np.abs(unwrap(g)[0]).max(axis=0)


def saliency(
    model: Any,
    image: Any,
    path: Path = None,
    *,
    target: int | None = None,
    classes: Sequence[str] | None = None,
) -> Figure:
    """Which pixels the score of a class depends on most: the image beside |∂score/∂pixel|."""
    heat = saliency_map(model, image, target)
    return _beside(model, image, heat, path, "saliency |∂score/∂pixel|", target, classes, overlay=False)


def grad_cam_map(model: Any, image: Any, target: int | None = None, layer: Any = None) -> np.ndarray:
    """Grad-CAM at the size of the layer's maps, (h, w), from 0 to 1.

    ReLU(Σ_c α_c A_c) with α_c the mean over positions of ∂score/∂A_c (Selvaraju et al. 2017). `layer` is by
    default the last one that gives maps larger than 1 x 1.
    """
    x = _leaf(image)
    with evaluating(model), modes.enable_grad():
        scores: list[Handle] = []
        outputs = layer_outputs(
            _Recorder(model, scores), x, None if layer is None else [layer_path(model, layer)]
        )
    maps = {
        name: out for name, out in outputs.items() if out.array.ndim == 4 and min(out.array.shape[2:]) > 1
    }
    if not maps:
        raise UsageError("grad_cam() found no layer that gives maps (N, C, H, W) larger than 1 x 1")
    output = list(maps.values())[-1]
    (g,) = grad(scores[0], output, _one_hot(scores[0], target))
    weights = unwrap(g)[0].mean(axis=(1, 2))
    cam = np.maximum(np.tensordot(weights, output.array[0], axes=1), 0)
    top = float(cam.max())
    return cam / top if top > 0 else cam


def grad_cam(
    model: Any, image: Any, path: Path = None, *, target: int | None = None, layer: Any = None,
    classes: Sequence[str] | None = None,
) -> Figure:  # fmt: skip
    """Where the model looked for a class: Grad-CAM laid over the image."""
    heat = grad_cam_map(model, image, target, layer)
    return _beside(model, image, heat, path, "Grad-CAM", target, classes, overlay=True)


def receptive_field(
    model: Any, image: Any, layer: Any, path: Path = None, *, unit: Sequence[int] | None = None
) -> Figure:
    """What one unit of a layer sees: its field by geometry as a frame, by its gradient as heat, on the image.

    `unit` is (channel, row, column); by default the middle of the layer's strongest channel.
    """
    x = as_batch(image)
    name = layer_path(model, layer)
    if unit is None:
        with evaluating(model), modes.no_grad():
            unit = middle_unit(layer_outputs(model, x, [name])[name].array)
    heat = effective_field(model, x, name, unit).max(axis=0)
    field = next((f for f in fields_of(model, x.array.shape) if f.layer == name), None)
    with styled():
        figure = new_figure(7.0, 3.6)
        for k, title in enumerate(("field by geometry", "|∂unit/∂pixel|")):
            axes = bare(figure.add_subplot(1, 2, k + 1))
            if k == 0:
                show_image(axes, x.array[0])
            else:
                scale_beside(figure, axes.imshow(heat, cmap="magma"), axes)
            axes.set_title(title, fontsize=10)
            if field is not None:
                from matplotlib.patches import Rectangle

                rows, columns = field.region(unit[1:], x.array.shape[2:])
                axes.add_patch(Rectangle(
                    (columns.start - 0.5, rows.start - 0.5), columns.stop - columns.start, rows.stop - rows.start,
                    fill=False, edgecolor=COLOURS[1], linewidth=2,
                ))  # fmt: skip
        size = (
            ""
            if field is None
            else "all of the image"
            if field.whole
            else "×".join(map(str, field.size)) + " pixels"
        )
        figure.suptitle(
            f"{name}, unit {tuple(int(u) for u in unit)}: sees {size}", x=0.01, ha="left", fontsize=11
        )
        return finish(figure, path)


# --- helpers ------------------------------------------------------------------------------------------


class _Recorder:
    """A model that remembers its result: `layer_outputs` calls it and gives only the layers'."""

    def __init__(self, model: Any, results: list[Handle]) -> None:
        self.model, self.results = model, results

    def named_modules(self) -> Any:
        return self.model.named_modules()

    def __call__(self, x: Any) -> None:
        self.results.append(self.model(x))


def _leaf(image: Any) -> Handle:
    return leaf(as_batch(image).array[:1].copy())


def _one_hot(scores: Handle, target: int | None) -> np.ndarray:
    if scores.array.ndim != 2:
        raise UsageError(f"expected a model that gives scores (N, classes), got shape {scores.array.shape}")
    seed = np.zeros_like(scores.array)
    chosen = int(np.argmax(scores.array[0])) if target is None else int(target)
    if not -seed.shape[1] <= chosen < seed.shape[1]:
        raise UsageError(f"target expected a class below {seed.shape[1]}, got {target}")
    seed[0, chosen] = 1
    return seed


def _enlarged(heat: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """A coarse map at the size of the image, linear between the middles of its cells."""
    for axis, length in enumerate(size):
        cells = heat.shape[axis]
        at = np.clip((np.arange(length) + 0.5) * cells / length - 0.5, 0, cells - 1)
        low = np.floor(at).astype(int)
        share = (at - low).reshape((-1, 1) if axis == 0 else (1, -1))
        high = np.minimum(low + 1, cells - 1)
        heat = heat.take(low, axis) * (1 - share) + heat.take(high, axis) * share
    return heat


def _beside(
    model: Any, image: Any, heat: np.ndarray, path: Path, title: str, target: int | None,
    classes: Sequence[str] | None, *, overlay: bool,
) -> Figure:  # fmt: skip
    x = as_batch(image)
    with evaluating(model), modes.no_grad():
        scores = model(wrap(x.array[:1])).array[0]
    chosen = int(np.argmax(scores)) if target is None else int(target)
    shifted = np.exp(scores - scores.max())
    label = str(classes[chosen]) if classes is not None else f"class {chosen}"
    with styled():
        from matplotlib.cm import ScalarMappable
        from matplotlib.colors import Normalize

        figure = new_figure(7.0, 3.6)
        left = bare(figure.add_subplot(1, 2, 1))
        show_image(left, x.array[0])
        left.set_title("image", fontsize=10)
        right = bare(figure.add_subplot(1, 2, 2))
        rows, columns = x.array.shape[2:]
        extent = (-0.5, columns - 0.5, rows - 0.5, -0.5)
        if overlay:
            # The heat covers the image as far as it is hot: where the model did not look, the image stays as it is.
            show_image(right, x.array[0])
            fine = _enlarged(heat, (rows, columns))
            right.imshow(
                fine, cmap="inferno", vmin=0, vmax=1, alpha=0.75 * np.clip(fine, 0, 1), extent=extent
            )
            heated = ScalarMappable(Normalize(0, 1), "inferno")
            scale_beside(figure, heated, right, "share of the largest")
        else:
            scale_beside(figure, right.imshow(heat, cmap="magma", extent=extent), right)
        right.set_title(title, fontsize=10)
        figure.suptitle(f"{label}: {shifted[chosen] / shifted.sum():.1%}", x=0.01, ha="left", fontsize=11)
        return finish(figure, path)
