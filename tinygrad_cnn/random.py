"""`tg.random`: generators and random tensors under PyTorch's names."""

from tinygrad_cnn.ops.random import (
    Generator,
    bernoulli,
    bernoulli_,
    default_generator,
    exponential_,
    fork_rng,
    get_rng_state,
    initial_seed,
    manual_seed,
    multinomial,
    normal,
    normal_,
    rand,
    rand_like,
    randint,
    randint_like,
    randn,
    randn_like,
    random_,
    randperm,
    seed,
    set_rng_state,
    uniform_,
)

__all__ = [
    "Generator", "bernoulli", "bernoulli_", "default_generator", "exponential_", "fork_rng",
    "get_rng_state", "initial_seed", "manual_seed", "multinomial", "normal", "normal_", "rand",
    "rand_like", "randint", "randint_like", "randn", "randn_like", "random_", "randperm", "seed",
    "set_rng_state", "uniform_",
]  # fmt: skip
