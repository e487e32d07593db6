"""The rules of `diagnose`: their thresholds, and what people do about each finding.

The rules' names are those of SageMaker Debugger where it has the rule. Data only; `diagnose` looks for what shows
in single passes, `learning` for what shows in training.
"""

from __future__ import annotations

from dataclasses import dataclass

#: Mean |gradient| below which a layer learns nothing in float32.
VANISHING = 1e-7
#: First layer's gradient per entry over the last layer's.
VANISHING_RATIO = 1e-4
#: Root mean square of a parameter's gradient that no usual learning rate survives.
EXPLODING = 1e3
#: Share of a rectifier's units that are off for every sample looked at.
DEAD = 0.5
#: Share of an activation's entries whose slope is under 5 % of the steepest.
SATURATED = 0.8
#: Sensible sizes of one update over the size of the weights; about 1e-3 is usual.
UPDATE = (1e-6, 1e-1)
#: An update that large is one even while the loss falls.
UPDATE_AT_MOST = 1.0
#: Inputs beyond these are not normalised: |mean| and spread.
INPUT_MEAN, INPUT_STD = 3.0, (0.05, 5.0)
#: The loss of the batch trained on should fall by at least this share.
FALL = 0.02
#: Share of the targets that one class may have, and how many targets it takes to say so.
ONE_CLASS, ENOUGH = 0.95, 32
#: Batches looked at.
BATCHES = 4


@dataclass(frozen=True)
class Ailment:
    """One finding: which rule, where, how much, and what people do about it."""

    rule: str
    where: str
    how_much: str

    @property
    def advice(self) -> str:
        """What people do about it."""
        return ADVICE[self.rule]


ADVICE: dict[str, str] = {
    "exploding_tensor": "lower the learning rate, clip gradients (nn.utils.clip_grad_norm_), normalise inputs and "
    "activations; `with tg.debug.anomaly():` shows the operand that did it",
    "unused_parameter": "the forward pass does not use it, or something detached what it computed (.data, .numpy(), "
    "no_grad, an argmax): `graph` in the debugger shows where the path ends",
    "all_zero": "everything above it is off or cut: look at dead ReLUs, at a product with 0, at a loss that does not "
    "depend on this layer",
    "vanishing_gradient": "use ReLU instead of saturating activations, He or Xavier initialisation, normalisation "
    "layers, residual connections",
    "dead_relu": "lower the learning rate, initialise weights for ReLU (He) and biases at 0 or a little above, "
    "normalise the inputs, or use LeakyReLU, which never goes quite dead",
    "saturated_activation": "scale inputs and initial weights down, put a normalisation layer before it, or use ReLU",
    "weight_update_ratio": "an update of about a thousandth of the weights is usual: move the learning rate "
    "towards that",
    "loss_not_decreasing": "a network should learn one batch by heart: try other learning rates (3 times up and down), "
    "check that targets fit inputs, that zero_grad() is called and the optimiser got all parameters",
    "class_imbalance": "look at how the targets are read and shuffled: with one class, the network learns to say "
    "nothing else",
    "not_in_optimizer": "make the optimiser from model.parameters(), and after the last layer was replaced",
    "gradient_not_cleared": "every backward() adds to what is there: clear it with optimizer.zero_grad() before",
    "softmax_twice": "give the loss the scores themselves: it takes their softmax (sigmoid) itself, and of a softmax's "
    "output, which lies between 0 and 1, it learns slowly and never well",
    "input_not_normalised": "bring inputs to mean 0 and spread 1 (transforms.Normalize), with the training set's "
    "figures",
}  # fmt: skip
