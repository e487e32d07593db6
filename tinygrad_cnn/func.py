"""``tg.func``: functions of functions, by PyTorch's names."""

from tinygrad_cnn.autograd.transforms import (
    grad,
    grad_and_value,
    hessian,
    hvp,
    jacfwd,
    jacrev,
    jvp,
    linearize,
    vjp,
)
from tinygrad_cnn.nn.utils.stateless import functional_call, stack_module_state
from tinygrad_cnn.ops.batched import vmap

__all__ = [
    "functional_call", "grad", "grad_and_value", "hessian", "hvp", "jacfwd", "jacrev", "jvp", "linearize",
    "stack_module_state", "vjp", "vmap",
]  # fmt: skip
