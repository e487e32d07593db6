"""Defences as `augment=` of a training: adversarial examples among the training images, and noise on them.

The third, soft targets, needs nothing of its own: ``fit(…, loss=nn.CrossEntropyLoss(label_smoothing=0.1))``.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from tinygrad_cnn.autograd.handle import unwrap, wrap
from tinygrad_cnn.utils.data.randomness import numpy_generator

__all__ = ["AdversarialTraining", "InputNoise"]


class AdversarialTraining:
    """Replaces a share of each training batch by what an attack makes of it, on the network as it is then.

    Args:
        model: the network that is trained
        attack: (model, images, labels) -> changed images; Madry et al. 2018 take PGD
        share: of the images; 1 is Madry's, 0.5 (Goodfellow et al. 2015) keeps more accuracy on clean ones

    Raises:
        ValueError: for a share outside 0 to 1
    """

    #: The training gives this one the targets, too.
    uses_targets = True

    def __init__(self, model: Any, attack: Callable[[Any, Any, Any], Any], share: float = 1.0) -> None:
        if not 0 <= share <= 1:
            raise ValueError(f"AdversarialTraining expected a share from 0 to 1, got {share}")
        self.model = model
        self.attack = attack
        self.share = share

    def __call__(self, images: Any, targets: Any) -> Any:
        x, y = np.asarray(unwrap(images)), np.asarray(unwrap(targets))
        count = round(self.share * len(x))
        if not count:
            return images
        attacked = np.asarray(unwrap(self.attack(self.model, wrap(x[:count]), wrap(y[:count]))))
        return wrap(np.concatenate([attacked, x[count:]]))

    def __repr__(self) -> str:
        return f"AdversarialTraining(share={self.share})"


class InputNoise:
    """Adds normal noise of deviation `std` to images, clipped; for a batch of a training or a data set's image.

    Raises ValueError for a negative deviation.
    """

    def __init__(self, std: float, clip: tuple[float, float] | None = (0.0, 1.0), generator: Any = None) -> None:
        if not std >= 0:
            raise ValueError(f"InputNoise expected a deviation from 0 up, got {std}")
        self.std = std
        self.clip = clip
        self.generator = generator

    def __call__(self, images: Any) -> Any:
        x = np.asarray(unwrap(images))
        noisy = x + numpy_generator(self.generator).normal(0, self.std, x.shape).astype(x.dtype)
        noisy = noisy if self.clip is None else np.clip(noisy, *self.clip)
        return noisy if isinstance(images, np.ndarray) else wrap(noisy)

    def __repr__(self) -> str:
        return f"InputNoise({self.std})"
