"""Switches of GPU products, as PyTorch names them: they may be set and read, and change nothing."""

from __future__ import annotations

import types

matmul = types.SimpleNamespace(allow_tf32=False, allow_fp16_reduced_precision_reduction=False)


def is_built() -> bool:
    """False: everything runs on the CPU."""
    return False
