"""`tg.special`: special functions under PyTorch's names."""

from tinygrad_cnn.ops.activation import log_softmax, sigmoid, softmax
from tinygrad_cnn.ops.elementwise import exp2, expm1, log1p, sinc
from tinygrad_cnn.ops.reduce import logsumexp
from tinygrad_cnn.ops.special import digamma, erf, erfc, erfinv, logit, polygamma, xlogy
from tinygrad_cnn.ops.special import lgamma as gammaln

expit, psi = sigmoid, digamma

__all__ = [
    "digamma", "erf", "erfc", "erfinv", "exp2", "expit", "expm1", "gammaln", "log1p", "log_softmax", "logit",
    "logsumexp", "polygamma", "psi", "sinc", "softmax", "xlogy",
]  # fmt: skip
