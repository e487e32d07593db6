"""``tg.utils.checkpoint``: trade time for memory (the work is in `autograd.checkpoint`)."""

from tinygrad_cnn.autograd.checkpoint import checkpoint, checkpoint_sequential

__all__ = ["checkpoint", "checkpoint_sequential"]
