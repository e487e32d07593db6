"""Primitives: a NumPy forward plus, for each input, its local derivative stated as data.

Three kinds are enough for everything:

* `Elementwise`: rule i gives the factor ∂y/∂xᵢ, entry by entry. Pull back: multiply by it.
* `Multilinear`: linear in each input (or in all together, ``joint=True``). Rule i *is* the transpose.
* `General`: a `vjp` for all inputs at once, and a `definition` in terms of other primitives that gives
  everything else (jvp, higher orders, a debugger's "step into").

An op is called with arrays and gives an array, or with any tensor and gives a tensor; a node is made only
while recording is on and some input wants a gradient. The signature of a rule is its save list: the value
of a parameter whose name begins with an underscore is not kept for the backward pass.

Rules are pure NumPy: nothing in place, no branching on values. On an ordinary backward pass they receive
arrays. Under ``create_graph=True`` they receive tensors, and NumPy's own dispatch records what they do.
"""

from tinygrad_cnn.autograd.broadcast import unbroadcast
from tinygrad_cnn.autograd.elementwise import Elementwise
from tinygrad_cnn.autograd.general import General
from tinygrad_cnn.autograd.higher_order import push_through_vjp
from tinygrad_cnn.autograd.multilinear import Multilinear, identity
from tinygrad_cnn.autograd.primitive import REGISTRY, Op

__all__ = [
    "REGISTRY",
    "Elementwise",
    "General",
    "Multilinear",
    "Op",
    "identity",
    "push_through_vjp",
    "unbroadcast",
]
