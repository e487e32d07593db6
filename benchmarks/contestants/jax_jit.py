"""JAX, the whole step compiled by jit."""

from __future__ import annotations

import os
from typing import Any

import numpy as np

from benchmarks.contestants import Task
from benchmarks.workloads import Layer, Workload, parameter_shapes


def missing() -> str | None:
    from importlib.util import find_spec

    return None if find_spec("jax") else "JAX is not installed: make bench"


def describe() -> dict[str, Any]:
    import jax

    return {"version": jax.__version__, "threads": os.environ["BENCH_THREADS"], "devices": str(jax.devices())}


def _apply(layers: tuple[Layer, ...], x: Any, weights: list[Any]) -> Any:
    """Run the layers, taking parameters off the front of `weights`."""
    import jax.numpy as jnp
    from jax import lax

    for layer in layers:
        kind, *a = layer
        own = [weights.pop(0) for _ in parameter_shapes(layer)]
        if kind in ("conv", "conv1d"):
            d = 2 if kind == "conv" else 1
            numbers = ("NCHW", "OIHW", "NCHW") if d == 2 else ("NCH", "OIH", "NCH")
            x = lax.conv_general_dilated(
                x,
                own[0],
                (a[3],) * d,
                [(a[4], a[4])] * d,
                dimension_numbers=numbers,
                feature_group_count=a[5],
            )
            if a[6]:
                x = x + own[1].reshape(1, -1, *(1,) * d)
        elif kind == "linear":
            x = x @ own[0].T + own[1]
        elif kind == "batchnorm":
            mean = x.mean((0, 2, 3), keepdims=True)
            variance = x.var((0, 2, 3), keepdims=True)
            x = (x - mean) * lax.rsqrt(variance + 1e-5) * own[0].reshape(1, -1, 1, 1) + own[1].reshape(
                1, -1, 1, 1
            )
        elif kind == "relu":
            x = jnp.maximum(x, 0)
        elif kind == "maxpool":
            x = lax.reduce_window(x, -jnp.inf, lax.max, (1, 1, a[0], a[0]), (1, 1, a[1], a[1]), "VALID")
        elif kind == "globalavg":
            x = x.mean((2, 3), keepdims=True)
        elif kind == "flatten":
            x = x.reshape(x.shape[0], -1)
        elif kind == "residual":
            main = _apply(a[0], x, weights)
            x = main + (_apply(a[1], x, weights) if a[1] else x)
    return x


def prepare(work: Workload) -> Task | None:
    import jax
    import jax.numpy as jnp

    if work.kind == "chain":
        gradient = jax.jit(jax.grad(_unrolled, argnums=(0, 1)))
        x = jnp.linspace(0.5, 1.5, 4, dtype=jnp.float32)
        w = jnp.full(4, 1.0001, jnp.float32)
        return _task(lambda: gradient(x, w), lambda out: [float(out[0].sum()), float(out[1].sum())])
    if work.kind in ("epoch", "import") or (work.kind == "infer" and "batchnorm" in str(work.layers)):
        return None
    weights = [jnp.asarray(w) for w in work.weights()]
    images, labels = work.data()
    x, target = jnp.asarray(images), jnp.asarray(labels)
    if work.kind == "infer":
        forward = jax.jit(lambda ws: _apply(work.layers, x, list(ws)))
        return _task(lambda: forward(weights), lambda out: [float(v) for v in jnp.abs(out).sum(0)])
    if work.kind == "conv":
        shape = jax.eval_shape(lambda: _apply(work.layers, x, list(weights))).shape
        upstream = jnp.asarray(np.random.default_rng(2).standard_normal(shape).astype(np.float32))

        def both(x: Any, ws: Any) -> Any:
            y, pull = jax.vjp(lambda x, ws: _apply(work.layers, x, list(ws)), x, ws)
            return y, pull(upstream)

        compiled = jax.jit(both)
        return _task(
            lambda: compiled(x, weights),
            lambda out: [float(jnp.abs(v).sum()) for v in (out[1][0], *out[1][1])],
        )

    def loss(ws: list[Any]) -> Any:
        logits = _apply(work.layers, x, list(ws))
        return -jnp.take_along_axis(jax.nn.log_softmax(logits), target[:, None], 1).mean()

    adam = work.optimizer == "adam"
    lr, momentum = work.settings["lr"], work.settings.get("momentum", 0.0)

    def step(ws: Any, m: Any, v: Any, t: Any) -> Any:
        value, grads = jax.value_and_grad(loss)(ws)
        if adam:
            m = [0.9 * a + 0.1 * g for a, g in zip(m, grads)]
            v = [0.999 * a + 0.001 * g * g for a, g in zip(v, grads)]
            ws = [
                w - lr * (a / (1 - 0.9**t)) / (jnp.sqrt(b / (1 - 0.999**t)) + 1e-8)
                for w, a, b in zip(ws, m, v)
            ]
        elif momentum:
            m = [momentum * a + g for a, g in zip(m, grads)]
            ws = [w - lr * a for w, a in zip(ws, m)]
        else:
            ws = [w - lr * g for w, g in zip(ws, grads)]
        return ws, m, v, value, grads

    compiled_step = jax.jit(step)
    state = [weights, [jnp.zeros_like(w) for w in weights], [jnp.zeros_like(w) for w in weights]]
    count = [0.0]

    def run() -> Any:
        count[0] += 1.0
        *state[:], value, grads = compiled_step(*state, count[0])
        return value, grads, state[0]

    return _task(run, lambda out: [float(out[0]), *[float(jnp.abs(g).sum()) for g in out[1]]])


def _unrolled(x: Any, w: Any) -> Any:
    for _ in range(1000):
        x = x * w
    return x.sum()


def _task(run: Any, read: Any) -> Task:
    import jax

    outputs: list[Any] = []

    def once() -> None:
        outputs[:] = [jax.block_until_ready(run())]

    return Task(once, lambda: read(outputs[0]))
