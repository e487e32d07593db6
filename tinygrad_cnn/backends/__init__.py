"""`tg.backends`, for scripts that tune PyTorch's libraries: their switches exist, and change nothing here."""

from tinygrad_cnn.backends import cuda, cudnn, mps

__all__ = ["cuda", "cudnn", "mps"]
