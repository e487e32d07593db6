"""The engine: primitives with their local derivatives, the graph they record, the pass that walks it back.

Its rooms, in the order in which to read them: `primitive` and the three kinds (`elementwise`, `multilinear`,
`general`; `op` is their door), `graph` (nodes), `backward_pass` (the walk) and `backward` (its doors),
`linear_map` (local gradients to look at), `transforms` (functions of functions). None knows an op by name.
"""

from tinygrad_cnn.autograd import functional
from tinygrad_cnn.autograd.anomaly import (
    detect_anomaly,
    is_anomaly_check_nan_enabled,
    is_anomaly_enabled,
    set_detect_anomaly,
)
from tinygrad_cnn.autograd.backward import Step, backward, backward_steps
from tinygrad_cnn.autograd.function import Function, once_differentiable
from tinygrad_cnn.autograd.gradcheck import GradcheckError, gradcheck, gradgradcheck
from tinygrad_cnn.autograd.gradients import grad
from tinygrad_cnn.autograd.graph import Node
from tinygrad_cnn.autograd.linear_map import LinearMap
from tinygrad_cnn.autograd.modes import enable_grad, inference_mode, no_grad, set_grad_enabled
from tinygrad_cnn.autograd.observe import keep_values
from tinygrad_cnn.autograd.variable import Variable
from tinygrad_cnn.support import float_warnings as _quiet

__all__ = [
    "Function",
    "GradcheckError",
    "LinearMap",
    "Node",
    "Step",
    "Variable",
    "backward",
    "backward_steps",
    "detect_anomaly",
    "enable_grad",
    "functional",
    "grad",
    "gradcheck",
    "gradgradcheck",
    "inference_mode",
    "is_anomaly_check_nan_enabled",
    "is_anomaly_enabled",
    "keep_values",
    "no_grad",
    "once_differentiable",
    "set_detect_anomaly",
    "set_grad_enabled",
]
