"""The rules of `diagnose`: their thresholds, and what people do about each finding.

The rules' names are those of SageMaker Debugger where it has the rule. Data only; `diagnose` looks for what shows
in single passes, `learning` for what shows in training, `training_watch` while a training runs.
"""

from __future__ import annotations

from dataclasses import dataclass

#: Elasticity of the loss in a layer's weights, norm(gradient) x norm(weights) / loss, below which nothing is learnt.
#: (It does not change when the loss is multiplied by a number, as the gradient does.)
VANISHING = 1e-7
#: Norm of the first layer's gradient over the last layer's.
VANISHING_RATIO = 1e-4
#: A bias whose gradient is so much smaller than that of the weights beside it is cancelled by what follows.
CANCELLED = 1e-4
#: Root mean square of a parameter's gradient that no usual learning rate survives.
EXPLODING = 1e3
#: Share of a rectifier's units that are off for every sample looked at.
DEAD = 0.7
#: Share of an activation's entries whose slope is under 5 % of the steepest.
SATURATED = 0.8
#: Share of a layer's units that are copies of another.
IDENTICAL = 0.5
#: Sensible sizes of one update over the size of the weights; about 1e-3 is usual.
UPDATE = (1e-6, 1e-1)
#: An update that large is one even while the loss falls.
UPDATE_AT_MOST = 1.0
#: Inputs beyond these are not normalised: |mean| and spread.
INPUT_MEAN, INPUT_STD = 3.0, (0.01, 5.0)
#: The same of targets that are no classes.
TARGET_MEAN, TARGET_STD = 100.0, 100.0
#: The loss of the batch trained on should fall by at least this share, and over many more steps by this one.
FALL, SLOW_FALL = 0.02, 0.003
#: A loss that rises to so many times its start is torn up by its updates.
RISE = 2.0
#: A network whose loss on shuffled targets is so many times its loss has learnt already.
LEARNT = 1.5
#: Share of the targets that one class may have, and how many targets it takes to say so.
ONE_CLASS, ENOUGH = 0.95, 32
#: While a training is watched: a finding shows so many times in a row, a plateau over so many measured steps.
SEVERAL, PLATEAU_SAMPLES = 3, 10
#: The share by which the loss should fall from ten measured steps to the next ten.
PLATEAU = 0.001
#: A validation loss so many times its best, again and again, is over-fitting while the training loss falls.
GAP = 1.1
#: Batches looked at; samples and batches read for the judgement of the targets.
BATCHES, SAMPLES, READ = 4, 512, 32
#: Samples it takes to call targets unrelated to inputs, and the standard deviations above chance of a relation.
RELATION_SAMPLES, RELATED = 128, 2.0
#: How near a nearest neighbour must be, by the mean distance, for neighbours to mean anything.
NEAR = 0.5
#: Samples that any network should learn by heart.
PROBE = 20


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
    "loss_plateau": "lower the learning rate (ReduceLROnPlateau), or stop: the network may have learnt what it can",
    "over_fitting": "stop at the best epoch (EarlyStopping), use more data or augmentation, weight decay, dropout",
    "class_imbalance": "look at how the targets are read and shuffled: with one class, the network learns to say "
    "nothing else",
    "not_in_optimizer": "make the optimiser from model.parameters(), and after the last layer was replaced",
    "gradient_not_cleared": "every backward() adds to what is there: clear it with optimizer.zero_grad() before",
    "redundant_bias": "the normalisation subtracts the mean, and with it this bias: its gradient is 0 by mathematics; "
    "bias=False saves it",
    "evaluation_mode": "call model.train() before training (and model.eval() only for evaluation): batch normalisation "
    "then uses the batch's figures, and dropout drops",
    "identical_units": "units that start the same stay the same, and the layer is as good as one unit: initialise "
    "weights at random (the layers' default, nn.init.kaiming_normal_)",
    "zero_weights": "zero weights pass nothing on, forwards or backwards: initialise them at random (the layers' "
    "default); only the last layer of a network or of a residual branch may start at zero",
    "relu_on_logits": "leave the activation behind the last layer out: scores must be able to be negative, and where "
    "the ReLU is off nothing is learnt",
    "wrong_scores": "nll_loss expects log-probabilities: put log_softmax before it, or give the scores themselves to "
    "cross_entropy",
    "softmax_over_batch": "give softmax the dimension of the classes (dim=1), not that of the samples",
    "target_broadcast": "bring target and output to one shape, as in target.reshape(output.shape): each output is "
    "compared with every target, and the network learns their mean",
    "unreachable_targets": "leave the last activation out, or scale targets into its range",
    "constant_targets": "look at how the targets are read: a network cannot learn anything from targets that are "
    "all the same",
    "unrelated_targets": "look whether inputs and targets were shuffled apart: similar inputs should have similar "
    "targets more often than by chance",
    "contradictory_targets": "look whether inputs and targets were shuffled apart: the same input has several targets",
    "not_shuffled": "shuffle the training set (DataLoader(…, shuffle=True)): batches of one class at a time teach the "
    "network to forget the others",
    "targets_not_normalised": "bring targets to mean 0 and spread 1 with the training set's figures, and undo that "
    "in predictions",
    "not_finite_data": "remove or replace the entries that are nan or infinite before training",
    "frozen": "requires_grad is False: it stays as it is; unfreeze it with .requires_grad_(True) before the optimiser "
    "is made, if it should learn",
    "no_graph": "the loss has no path to a parameter: look for .detach(), .data, .numpy(), item(), argmax or no_grad "
    "between model and loss",
    "learning_rate_too_large": "take the learning rate named, or a smaller one",
    "learning_rate_too_small": "take the learning rate named, or a larger one",
    "softmax_twice": "give the loss the scores themselves: it takes their softmax (sigmoid) itself, and of a softmax's "
    "output, which lies between 0 and 1, it learns slowly and never well",
    "input_not_normalised": "bring inputs to mean 0 and spread 1 (transforms.Normalize), with the training set's "
    "figures",
}  # fmt: skip
