"""The fused classification loss. Other losses are a few elementwise ops; see `nn.functional`.

    loss_i = −log softmax(x_i)[t_i] = log Σ_k exp(x_ik) − x_it

The gradient of the logits is softmax(x_i) − onehot(t_i): taking the two steps apart would divide by
probabilities that may be 0.
"""

from __future__ import annotations

import numpy as np

from tinygrad_cnn import kernels
from tinygrad_cnn.autograd.op import General, Multilinear
from tinygrad_cnn.ops.activation import log_softmax
from tinygrad_cnn.ops.expect import check_unwrapped

cross_entropy_rows = General(
    "cross_entropy",
    lambda x, *, target, ignore_index, logp=None: kernels.cross_entropy(x, target, ignore_index=ignore_index),
    vjp=lambda g, _y, _x, *, target, ignore_index, logp: (
        kernels.cross_entropy_input(g, logp, target, ignore_index=ignore_index),
    ),
    definition=lambda x, *, target, ignore_index: -pick(log_softmax(x, 1), target=target, ignore_index=ignore_index),
    choice=("logp",),
    formula="−log softmax(x)[target]", local=("softmax(x) − onehot(target)",),
    doc="Loss (N,) of logits x (N, classes) and integer targets (N,); 0 where the target is `ignore_index`.",
)  # fmt: skip


def _pick(x: np.ndarray, *, target: np.ndarray, ignore_index: int) -> np.ndarray:
    counted = target != ignore_index
    check_unwrapped("nll_loss", target[counted])
    picked = np.take_along_axis(x, np.where(counted, target, 0)[:, None], axis=1)[:, 0]
    return np.where(counted, picked, x.dtype.type(0))


def _place(g: np.ndarray, *, target: np.ndarray, ignore_index: int, classes: int) -> np.ndarray:
    out = np.zeros((len(target), classes), g.dtype)
    counted = target != ignore_index
    check_unwrapped("nll_loss", target[counted])
    out[np.flatnonzero(counted), target[counted]] = g[counted]
    return out


pick: Multilinear = Multilinear(
    "pick", _pick,
    lambda g, x, *, target, ignore_index: place(g, target=target, ignore_index=ignore_index, classes=x.shape[1]),
    selection=True, formula="x[i, target[i]]", local=("g at the target's column, else 0",),
    doc="One entry of each row of x (N, classes), 0 where the target is `ignore_index`: the negative of `nll_loss`.",
)  # fmt: skip
place: Multilinear = Multilinear(
    "place", _place,
    lambda u, _g, *, target, ignore_index, **_classes: pick(u, target=target, ignore_index=ignore_index),
    formula="zeros (N, classes) with x[i] at [i, target[i]]", local=("g[i, target[i]]",),
)  # fmt: skip

__all__ = ["cross_entropy_rows", "pick", "place"]
