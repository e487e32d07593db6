"""The primitives: each op's forward beside its derivative, one file per family.

Importing the package imports every family, so that `declare.PUBLIC` lists every public function on tensors.
"""

from tinygrad_cnn.ops import (
    activation,
    arithmetic,
    compare,
    creation,
    decompose,
    distance,
    elementwise,
    extreme,
    index,
    linalg,
    matrix,
    norm,
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
