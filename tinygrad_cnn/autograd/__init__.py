"""The engine: primitives with their local derivatives, the graph they record, the pass that walks it back.

docs/tour.md walks through the plain engine: `handle`, `primitive` and the three kinds (`elementwise`, `multilinear`,
`general`; `op` is their door), `graph`, `backward`, `backward_pass`, `broadcast`, `saved`. Beside it: `fast` (what
makes it fast), `inspect` (the door for readers of graphs), `observe` (who hears of the work), `linear_map` (local
gradients to look at), `transforms` (functions of functions). None knows an op by name.
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
from tinygrad_cnn.support import float_warnings as _float_warnings

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
