"""What can be told of a model by looking at it: receptive fields, saturated units, spectra, costs, equivariance; and a
convolution written out.

    tg.analysis.summary(model, (1, 28, 28))
    print(tg.analysis.saturation_report(model, test))

Names are looked up when first used. An input size is that of one sample, channels first, without the batch.
"""

from __future__ import annotations

import importlib
from typing import Any

_WHERE = {
    "Convolution": "convolution_sums", "Formulas": "convolution_sums", "convolution": "convolution_sums",
    "convolution_formulas": "convolution_sums",
    "check_equivariance": "equivariance", "check_invariance": "equivariance", "translate": "equivariance",
    "effective_field": "receptive_field",
    "inverted_dropout": "lecture", "normalise": "lecture", "original_dropout": "lecture",
    "saturation_report": "report",
    "spectrum": "spectra", "spectrum_table": "spectra",
    "summary": "cost",
    "sweep": "sweeps", "sweep_table": "sweeps",
}  # fmt: skip
_FILES = ("cost", "equivariance", "lecture", "receptive_field", "saturation")


def __getattr__(name: str) -> Any:
    if name in _FILES:
        return importlib.import_module(f"{__name__}.{name}")
    if name in _WHERE:
        return getattr(importlib.import_module(f"{__name__}.{_WHERE[name]}"), name)
    raise AttributeError(
        f"module {__name__!r} has no attribute {name!r}; there are: {', '.join(sorted([*_WHERE, *_FILES]))}"
    )


def __dir__() -> list[str]:
    return sorted([*globals(), *_WHERE, *_FILES])
