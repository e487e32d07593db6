"""Every op, by every check: each test here runs over the whole table (see `table` for how to add a line)."""

from __future__ import annotations

import subprocess
import sys

import numpy as np

import tinygrad_cnn as tg
from tests.ops import driver
from tests.ops.table import Case
from tinygrad_cnn.autograd.graph import reachable
from tinygrad_cnn.autograd.op import Elementwise, General

CASES = driver.all_cases()
every_case = driver.each_case()


def close(ours: list[np.ndarray], theirs: list[np.ndarray], tol: float) -> None:
    assert len(ours) == len(theirs)
    for a, b in zip(ours, theirs, strict=True):
        assert np.shape(a) == np.shape(b)
        scale = max(1.0, float(np.max(np.abs(b), initial=0)))
        np.testing.assert_allclose(a, b, rtol=tol, atol=tol * scale)


def nodes_of(case: Case) -> list:
    """The nodes of the case's graph, and of the graph of its gradients: rules use ops of their own."""
    arrays, rng = case.inputs()
    xs = driver.leaves(arrays)
    outputs = [o for o in driver.call(case, xs) if o.requires_grad]
    roots = list(outputs)
    if case.order2:
        vs = [tg.from_numpy(v).requires_grad_() for v in driver.upstream(rng, outputs)]
        grads = tg.autograd.grad(outputs, xs, vs, create_graph=True, retain_graph=True, allow_unused=True)
        roots += [g for g in grads if g is not None and g.requires_grad]
    return [n for n in reachable([r.node for r in roots]) if n.parents]


@driver.each_case(lambda case: case.differences)
def test_the_vjp_is_the_transpose_of_the_differences(case: Case) -> None:
    arrays, rng = case.inputs()
    answer = driver.pull(case, arrays)
    for _ in range(2):
        ts = driver.directions(rng, arrays)
        moved = driver.directional(lambda xs: driver.values(case, xs), arrays, ts)
        close(
            [np.array(driver.inner(answer.grads, ts))], [np.array(driver.inner(answer.vs, moved))], case.tol
        )


@driver.each_case(lambda case: case.differences)
def test_the_jvp_is_the_differences(case: Case) -> None:
    arrays, rng = case.inputs()
    ts = driver.directions(rng, arrays)
    _, pushed = tg.func.jvp(
        lambda *xs: tuple(driver.call(case, xs)),
        tuple(map(tg.from_numpy, arrays)),
        tuple(map(tg.from_numpy, ts)),
    )
    close(
        [p.detach().numpy() for p in pushed],
        driver.directional(lambda xs: driver.values(case, xs), arrays, ts),
        case.tol,
    )


@driver.each_case(nodes_of)
def test_each_local_gradient_is_the_adjoint_of_its_push_forward(case: Case) -> None:
    nodes = nodes_of(case)
    rng = case.rng()
    for node in nodes:
        for i, parent in enumerate(node.parents):
            if parent is None:
                continue
            J = node.local_gradient(i)
            # Numbers that float32 holds exactly, so that an op which passes through it loses none.
            t, v = (
                np.asarray(rng.standard_normal(n.shape), np.float32).astype(np.float64)
                for n in (parent, node)
            )
            forth, back = np.sum(v * J(t)), np.sum(J.T(v) * t)
            np.testing.assert_allclose(
                forth, back, rtol=1e-9, atol=1e-9 * max(1.0, abs(back)), err_msg=repr(node)
            )
            if node.op.kind == "elementwise":
                assert J.factor.shape == tuple(node.shape)
            if np.prod(J.shape, dtype=np.int64) <= 4000:
                dense = J.dense()
                assert dense.shape == J.shape
                np.testing.assert_allclose(
                    np.tensordot(v, dense, v.ndim) if v.ndim else v * dense,
                    J.T(v),
                    rtol=1e-9,
                    atol=1e-9,
                    err_msg=repr(node),
                )


@driver.each_case(lambda case: case.order2)
def test_the_second_derivative_is_the_differences_of_the_first(case: Case) -> None:
    arrays, rng = case.inputs()
    vs = driver.pull(case, arrays).vs
    ts = driver.directions(rng, arrays)

    xs = driver.leaves(arrays)
    outputs = driver.call(case, xs)
    live = [(o, tg.from_numpy(v)) for o, v in zip(outputs, vs, strict=True) if o.requires_grad]
    grads = tg.autograd.grad(
        [o for o, _ in live], xs, [v for _, v in live], create_graph=True, materialize_grads=True
    )
    total = sum(((g * tg.from_numpy(t)).sum() for g, t in zip(grads, ts, strict=True)), tg.tensor(0.0))
    if total.requires_grad:
        twice = [g.numpy() for g in tg.autograd.grad(total, xs, materialize_grads=True)]
    else:
        twice = [np.zeros_like(a) for a in arrays]
    close(
        twice,
        driver.directional(lambda zs: driver.pull(case, zs, vs).grads, arrays, ts),
        max(case.tol, 1e-6) * 10,
    )


@driver.each_case(lambda case: case.order2)
def test_the_gradient_can_be_pushed_forward(case: Case) -> None:
    """Forward over reverse, on which hessian and hvp stand, is reverse over reverse: second derivatives commute."""
    arrays, rng = case.inputs()
    vs = driver.pull(case, arrays).vs
    ts = driver.directions(rng, arrays)

    def gradient(*xs: tg.Tensor) -> tuple[tg.Tensor, ...]:
        pull_back = tg.func.vjp(lambda *zs: tuple(driver.call(case, zs)), *xs)[1]
        return pull_back(*[tg.from_numpy(v) for v in vs])

    _, pushed = tg.func.jvp(gradient, [tg.from_numpy(a) for a in arrays], [tg.from_numpy(t) for t in ts])
    xs = [tg.from_numpy(a).requires_grad_() for a in arrays]
    along = [(g * tg.from_numpy(t)).sum() for g, t in zip(gradient(*xs), ts, strict=True)]
    live = [d for d in along if d.requires_grad]
    twice = tg.autograd.grad(live, xs, materialize_grads=True) if live else [tg.zeros_like(x) for x in xs]
    close([p.numpy() for p in pushed], [d.numpy() for d in twice], 1e-8)


@every_case
def test_strides_and_read_only_memory_change_nothing(case: Case) -> None:
    arrays, _ = case.inputs()
    wanted = driver.pull(case, arrays)
    for twist in (driver.strided, np.copy):
        twisted = [twist(a) for a in arrays]
        for a in twisted:
            a.flags.writeable = False
        found = driver.pull(case, twisted)
        close(found.values, wanted.values, 1e-10)
        close(found.grads, wanted.grads, 1e-10)


@every_case
def test_inputs_are_left_as_they_were(case: Case) -> None:
    arrays, _ = case.inputs()
    before = [a.copy() for a in arrays]
    driver.pull(case, arrays)
    for a, b in zip(arrays, before, strict=True):
        np.testing.assert_array_equal(a, b)


@driver.each_case(lambda case: case.float32 is not None)
def test_float32_stays_float32(case: Case) -> None:
    arrays, _ = case.inputs()
    wanted = driver.pull(case, arrays)
    found = driver.pull(case, [a.astype(np.float32) for a in arrays], wanted.vs)
    assert {a.dtype for a in (*found.values, *found.grads)} <= {np.dtype(np.float32)}
    close(found.values, wanted.values, case.float32)
    close(found.grads, wanted.grads, case.float32)


def has_fused_rules(case: Case) -> bool:
    """Whether a node of the case has a rule fused by hand beside its plain definition."""
    return any(
        isinstance(node.op, General) and node.op.definition is not None
        or isinstance(node.op, Elementwise)
        and any(rule is not None and parent is not None for rule, parent in zip(node.op.fused, node.parents))
        for node in nodes_of(case)
    )  # fmt: skip


@driver.each_case(has_fused_rules)
def test_fused_rules_equal_what_they_fuse(case: Case) -> None:
    nodes = nodes_of(case)
    rng = case.rng()
    for node in nodes:
        op, g = node.op, np.asarray(rng.standard_normal(node.shape))
        if isinstance(op, Elementwise):
            for i, fused in enumerate(op.fused):
                if fused is not None and node.parents[i] is not None:
                    plain = g * op.factor(i, node, node.saved)
                    np.testing.assert_allclose(
                        fused(g, *node.saved, **node.params), plain, rtol=1e-9, atol=1e-12
                    )
        elif isinstance(op, General) and op.definition is not None:
            # None stands for an input that is not there (a normalisation without weights).
            xs = [
                None if x is None else tg.from_numpy(np.asarray(x)).requires_grad_(p is not None)
                for x, p in zip(node.saved[1:], node.parents)
            ]
            y = op.definition(*xs, **op.given(node))
            np.testing.assert_allclose(
                y.detach().numpy(),
                op(*[x if x is None else x.detach() for x in xs], **op.given(node)).numpy(),
                rtol=1e-9,
                atol=1e-12,
            )
            fused_all = op.pull_all(g, node, node.saved)
            wanted = [x for x in xs if x is not None and x.requires_grad]
            plain_all = tg.autograd.grad(y, wanted, tg.from_numpy(g), materialize_grads=True)
            for fused, plain in zip([f for f in fused_all if f is not None], plain_all, strict=True):
                np.testing.assert_allclose(fused, plain.numpy(), rtol=1e-8, atol=1e-10)


@driver.each_case(lambda case: case.numpy is not None)
def test_values_are_numpys(case: Case) -> None:
    arrays, _ = case.inputs()
    (found,) = driver.values(case, arrays)
    np.testing.assert_allclose(found, case.numpy(*arrays), rtol=1e-12, atol=1e-14)


def test_every_op_is_in_some_case() -> None:
    # In a process of its own: other tests of this one may have made ops for themselves.
    program = (
        "import pkgutil, importlib, tinygrad_cnn.ops as ops, tinygrad_cnn.nn.functional;"
        "[importlib.import_module(m.name) for m in pkgutil.iter_modules(ops.__path__, ops.__name__ + '.')];"
        "from tinygrad_cnn.autograd.op import REGISTRY; print(*REGISTRY)"
    )
    known = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    ).stdout.split()
    used = {"identity"}  # aliases made by the engine itself
    for case in CASES:
        used.update(n.op.name for n in nodes_of(case))
    assert set(known) - used == set()
