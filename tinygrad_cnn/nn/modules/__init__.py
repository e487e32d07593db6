"""All layers, one room per kind; rooms and names are PyTorch's."""

from tinygrad_cnn.nn.modules.activation import *  # noqa: F403
from tinygrad_cnn.nn.modules.attention import *  # noqa: F403
from tinygrad_cnn.nn.modules.batchnorm import *  # noqa: F403
from tinygrad_cnn.nn.modules.container import ModuleDict, ModuleList, ParameterDict, ParameterList, Sequential
from tinygrad_cnn.nn.modules.conv import *  # noqa: F403
from tinygrad_cnn.nn.modules.distance import CosineSimilarity, PairwiseDistance
from tinygrad_cnn.nn.modules.dropout import (
    AlphaDropout,
    Dropout,
    Dropout1d,
    Dropout2d,
    Dropout3d,
    FeatureAlphaDropout,
)
from tinygrad_cnn.nn.modules.flatten import Flatten, Unflatten
from tinygrad_cnn.nn.modules.fold import Fold, Unfold
from tinygrad_cnn.nn.modules.instancenorm import *  # noqa: F403
from tinygrad_cnn.nn.modules.linear import Bilinear, Identity, LazyLinear, Linear
from tinygrad_cnn.nn.modules.loss import *  # noqa: F403
from tinygrad_cnn.nn.modules.module import Module
from tinygrad_cnn.nn.modules.normalization import *  # noqa: F403
from tinygrad_cnn.nn.modules.padding import *  # noqa: F403
from tinygrad_cnn.nn.modules.pixelshuffle import ChannelShuffle, PixelShuffle, PixelUnshuffle
from tinygrad_cnn.nn.modules.pooling import *  # noqa: F403
from tinygrad_cnn.nn.modules.rnn import *  # noqa: F403
from tinygrad_cnn.nn.modules.sparse import *  # noqa: F403
from tinygrad_cnn.nn.modules.transformer import *  # noqa: F403
from tinygrad_cnn.nn.modules.upsampling import Upsample, UpsamplingBilinear2d, UpsamplingNearest2d

__all__ = [name for name in dir() if name[0].isupper()]
