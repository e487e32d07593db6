"""The primitives: each op's forward beside its derivative, one file per family.

Importing the package imports every family, so that `declare.PUBLIC` lists every public function on tensors.
"""

from tinygrad_cnn.ops import (
    activation,
    arithmetic,
    compare,
    creation,
    distance,
    elementwise,
    extreme,
    index,
    linalg,
    matrix,
    order,
    padding,
    random,
    reduce,
    scatter,
    shape,
    special,
    statistics,
    strided,
)
