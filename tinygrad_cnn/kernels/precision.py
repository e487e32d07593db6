"""How exact float32 convolutions are: the one setting that trades digits for speed. Read by `compiled.conv`."""

from __future__ import annotations

_CHOICES = ("highest", "high")
_precision = "highest"


def set_float32_conv_precision(precision: str) -> None:
    """Says how exact the compiled float32 convolutions are, from the next one on; the counterpart of
    `torch.set_float32_matmul_precision` for convolutions.

    - `"highest"` (at first): as exact as summing directly, an error of about 3e-7 of the largest value. 3x3 kernels at
      stride 1 with many channels use Winograd's F(2x2, 3x3), 2.25 times fewer products; all else is summed directly.
    - `"high"`: 3x3 and 5x5 kernels at stride 1 with many channels use F(4x4, 3x3) and F(2x2, 5x5), 4 and 2.8 times
      fewer products, with an error of about 1e-5 of the largest value. In a deep network with ReLU that is enough for
      some units to fall on the other side of zero than in another library.

    The NumPy kernels do not look at it. Raises ValueError for other names.
    """
    global _precision
    if precision not in _CHOICES:
        expected = " or ".join(map(repr, _CHOICES))
        raise ValueError(f"set_float32_conv_precision expected {expected}, got {precision!r}")
    _precision = precision


def get_float32_conv_precision() -> str:
    """`"highest"` or `"high"`: see `set_float32_conv_precision`."""
    return _precision
