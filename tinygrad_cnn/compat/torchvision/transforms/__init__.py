"""`torchvision.transforms`: changes to images, PIL's or tensors (…, C, H, W), drawn at random or not.

Random ones draw from the default generator, which `manual_seed` seeds and the data loader keeps apart for each batch.
"""

from tinygrad_cnn.compat.torchvision.transforms import transforms as _transforms
from tinygrad_cnn.compat.torchvision.transforms.interpolation import InterpolationMode
from tinygrad_cnn.compat.torchvision.transforms.transforms import *  # noqa: F403

__all__ = [*_transforms.__all__]
