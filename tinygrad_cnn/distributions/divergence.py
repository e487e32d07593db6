"""Kullback-Leibler divergences between random variables of one kind, in closed form."""

from __future__ import annotations

from tinygrad_cnn.autograd.annotations import Tensor
from tinygrad_cnn.distributions.bernoulli import Bernoulli
from tinygrad_cnn.distributions.categorical import Categorical
from tinygrad_cnn.distributions.distribution import Distribution
from tinygrad_cnn.distributions.normal import Normal


def kl_divergence(p: Distribution, q: Distribution) -> Tensor:
    """Σ p · log(p / q), per variable: of two Normal, two Bernoulli or two Categorical.

    Raises NotImplementedError for other pairs.
    """
    if isinstance(p, Normal) and isinstance(q, Normal):
        ratio = (p.scale / q.scale) ** 2
        return (ratio + ((p.loc - q.loc) / q.scale) ** 2 - 1 - ratio.log()) / 2
    if isinstance(p, Bernoulli) and isinstance(q, Bernoulli):
        a, b = p.probs, q.probs
        return a * (a / b).log() + (1 - a) * ((1 - a) / (1 - b)).log()
    if isinstance(p, Categorical) and isinstance(q, Categorical):
        return (p.probs * (p.logits - q.logits)).sum(-1)
    raise NotImplementedError(
        f"kl_divergence knows two Normal, two Bernoulli or two Categorical, got {type(p).__name__} and "
        f"{type(q).__name__}"
    )
