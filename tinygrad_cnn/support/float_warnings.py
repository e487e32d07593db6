"""Infinities and NaN without noise: NumPy's floating-point warnings do not come from inside this package.

``log(0)``, ``0 / 0`` and what overflows give -inf, nan and inf, and PyTorch says nothing about it: in training such
values are looked for on purpose (`debug.anomaly`, `autograd.detect_anomaly`, the breakpoints `nan` and `inf`), which
name the op and its line, where NumPy would name a line of ours, once. So these warnings are filtered by the module
that raises them. That costs nothing while there is nothing to warn of (`np.errstate` around an op would cost more
than a small op does), holds in every thread, and leaves NumPy's own behaviour alone: a script's ``np.log(array)``
warns as before, and ``np.seterr(all="raise")`` makes ops raise, too.

Imported by `autograd`, before anything computes.
"""

from __future__ import annotations

import warnings

warnings.filterwarnings(
    "ignore",
    message=r"(divide by zero|invalid value|overflow|underflow) encountered in ",
    category=RuntimeWarning,
    module=r"tinygrad_cnn\.",
)
