"""Random variables as objects: `sample`, `log_prob`, `mean`; drawn from the default generator."""

from tinygrad_cnn.distributions.bernoulli import Bernoulli
from tinygrad_cnn.distributions.beta import Beta
from tinygrad_cnn.distributions.categorical import Categorical
from tinygrad_cnn.distributions.distribution import Distribution
from tinygrad_cnn.distributions.divergence import kl_divergence
from tinygrad_cnn.distributions.normal import Normal
from tinygrad_cnn.distributions.uniform import Uniform

__all__ = ["Bernoulli", "Beta", "Categorical", "Distribution", "Normal", "Uniform", "kl_divergence"]
