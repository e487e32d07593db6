"""Pictures of graphs and of training: a graph becomes plain data once, and every renderer reads that.

    tg.viz.graph(loss).svg("loss.svg")      # .dot() .png() .pdf() .text() .html() .save(path)
    tg.viz.compare(before, after)
    tg.viz.curves(history, "curves.png")

Names are looked up when first used, so `import tinygrad_cnn` loads neither this room nor matplotlib.
"""

from __future__ import annotations

import importlib
from typing import Any

_WHERE = {
    "Comparison": "comparison",
    "Graph": "graphs",
    "compare": "comparison",
    "graph": "graphs",
    "graph_endings": "graphs",
    **dict.fromkeys(("confusion_matrix", "curves"), "plots.training"),
    **dict.fromkeys(
        (
            "activation_histograms",
            "feature_maps",
            "filters",
            "gradient_flow",
            "gradient_histograms",
            "histograms",
            "update_ratio",
        ),
        "plots.layers",
    ),
    **dict.fromkeys(
        ("grad_cam", "grad_cam_map", "receptive_field", "saliency", "saliency_map"), "plots.explain"
    ),
    **dict.fromkeys(("adversarial", "robustness"), "plots.robustness"),
    **dict.fromkeys(("detections", "segmentation"), "plots.dense"),
    **dict.fromkeys(("activation", "heatmap", "images", "upsampling"), "plots.arrays"),
    **dict.fromkeys(("normalisation_axes", "saturation", "spectrum", "sweep"), "plots.reports"),
    **dict.fromkeys(("maxpool_choices", "sliding_window"), "plots.windows"),
}


def __getattr__(name: str) -> Any:
    room = _WHERE.get(name)
    if room is None:
        raise AttributeError(
            f"module {__name__!r} has no attribute {name!r}; there are: {', '.join(sorted(_WHERE))}"
        )
    value = getattr(importlib.import_module(f"{__name__}.{room}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted([*globals(), *_WHERE])
