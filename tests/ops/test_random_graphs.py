"""Random graphs: shared values, broadcasting, slices and in-place changes mixed, against differences."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

import tinygrad_cnn as tg

SHAPES = [(), (3,), (2, 1), (2, 3), (1, 3)]
UNARY = [tg.sin, tg.tanh, tg.sigmoid, lambda t: t.sum(-1, keepdim=True) if t.ndim else t, lambda t: t * 0.5]
BINARY = [
    lambda a, b: a + b,
    lambda a, b: a - b,
    lambda a, b: a * b,
    lambda a, b: a / (1.5 + tg.sin(b)),
    tg.hypot,
    lambda a, b: tg.where(tg.zeros_like(a * b, dtype=tg.bool), a, b),
]

steps = st.lists(
    st.tuples(st.sampled_from("ub[=i"), st.integers(0, 99), st.integers(0, 99), st.integers(0, 99)),
    min_size=1,
    max_size=12,
)


def build(leaves: list[tg.Tensor], plan: list[tuple[str, int, int, int]]) -> tg.Tensor:
    """The sum of all values of the graph that the plan describes."""
    values = [leaf * 1 for leaf in leaves]
    for kind, which, i, j in plan:
        a, b = values[i % len(values)], values[j % len(values)]
        if kind == "u":
            values.append(UNARY[which % len(UNARY)](a))
        elif kind == "b":
            values.append(BINARY[which % len(BINARY)](a, b))
        elif kind == "[":
            values.append(a[which % a.shape[0]] * 1 if a.ndim else a * 2)
        elif kind == "=" and a.ndim:
            c = a.clone()
            c[which % a.shape[0]] = b.sum() * 0.1
            values.append(c)
        elif kind == "i":
            a *= 0.7 + 0.1 * (which % 3)
            a += b.sum() * 0.1
    total = values[0].sum()
    for k, value in enumerate(values[1:], 2):
        total = total + value.sum() / k
    return total


@given(
    plan=steps, shapes=st.lists(st.sampled_from(SHAPES), min_size=1, max_size=3), seed=st.integers(0, 2**16)
)
@settings(max_examples=150)
def test_the_gradient_is_the_differences_gradient(plan, shapes, seed) -> None:
    rng = np.random.default_rng(seed)
    arrays = [np.asarray(rng.uniform(0.3, 1.5, s)) for s in shapes]
    directions = [np.asarray(rng.standard_normal(s)) for s in shapes]
    leaves = [tg.tensor(a, requires_grad=True) for a in arrays]
    build(leaves, plan).backward()
    slope = sum(float((leaf.grad.numpy() * d).sum()) for leaf, d in zip(leaves, directions, strict=True))

    h = 1e-5
    ends = [
        build([tg.tensor(a + s * h * d) for a, d in zip(arrays, directions, strict=True)], plan).item()
        for s in (1, -1)
    ]
    assert abs(slope - (ends[0] - ends[1]) / (2 * h)) <= 1e-5 * max(1.0, abs(slope))


@given(
    shapes=st.tuples(st.sampled_from(SHAPES), st.sampled_from(SHAPES)),
    dtype=st.sampled_from(["float16", "float32", "float64"]),
)
def test_what_broadcasting_repeated_the_gradient_sums(shapes, dtype) -> None:
    a, b = (tg.ones(s, dtype=tg.float32, requires_grad=True) for s in shapes)
    y = (a * b).to(np.dtype(dtype))
    y.sum().backward()
    for leaf in (a, b):
        assert leaf.grad.shape == leaf.shape and leaf.grad.dtype == leaf.dtype
        repeated = y.numel() // max(leaf.numel(), 1)
        np.testing.assert_array_equal(leaf.grad.numpy(), repeated)
