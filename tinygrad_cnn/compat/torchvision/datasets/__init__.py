"""`torchvision.datasets`: sets that serve PIL images, read from their original files by this package's readers."""

from tinygrad_cnn.compat.torchvision.datasets.cifar import CIFAR10, CIFAR100
from tinygrad_cnn.compat.torchvision.datasets.fakedata import FakeData
from tinygrad_cnn.compat.torchvision.datasets.folder import DatasetFolder, ImageFolder
from tinygrad_cnn.compat.torchvision.datasets.mnist import KMNIST, MNIST, FashionMNIST
from tinygrad_cnn.compat.torchvision.datasets.vision import VisionDataset

__all__ = [
    "CIFAR10", "CIFAR100", "KMNIST", "MNIST", "DatasetFolder", "FakeData", "FashionMNIST", "ImageFolder",
    "VisionDataset",
]  # fmt: skip
