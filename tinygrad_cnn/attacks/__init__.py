"""Adversarial examples: attacks on a trained classifier, defences, and accuracy against the size of the change.

    fooled = attacks.fgsm(model, images, labels, eps=0.25)
    curve = attacks.robustness(model, test, attacks.fgsm, eps=(0, 0.1, 0.2, 0.3))
    fit(model, train, augment=attacks.AdversarialTraining(model, lambda m, x, y: attacks.pgd(m, x, y, 0.25, steps=7)))

Images are batches (N, C, H, W) with values in `clip`, 0 to 1 unless told. An attack leaves the model as it was: its
parameters, their gradients, its modes and its running statistics.
"""

from tinygrad_cnn.attacks.activation import maximal_activation
from tinygrad_cnn.attacks.curve import Robustness, robustness
from tinygrad_cnn.attacks.defence import AdversarialTraining, InputNoise
from tinygrad_cnn.attacks.gradient import fgsm, pgd
from tinygrad_cnn.attacks.patch import apply_patch, patch
from tinygrad_cnn.attacks.universal import universal_noise

#: Its lines are shown as where nodes were made: they are written as users write theirs (see `autograd.provenance`).
__user_code__ = True

__all__ = [
    "AdversarialTraining",
    "InputNoise",
    "Robustness",
    "apply_patch",
    "fgsm",
    "maximal_activation",
    "patch",
    "pgd",
    "robustness",
    "universal_noise",
]
