"""NumPy's kernels give the same however the batch is divided: into shards for threads, into blocks for the cache."""

from __future__ import annotations

import numpy as np
import pytest

from tinygrad_cnn import kernels
from tinygrad_cnn.kernels import threads
from tinygrad_cnn.kernels.reference import lowering, optim, shards

N = 7


@pytest.fixture
def plain():
    return kernels._load("reference", "asked for by a test")


@pytest.fixture
def use(monkeypatch):
    """use(threads): every kernel is divided among so many, however small its work."""
    before = kernels.get_num_threads()
    monkeypatch.setattr(shards, "GRAIN", 1)
    yield kernels.set_num_threads
    kernels.set_num_threads(before)


def conv(x, w, **given):
    geo = dict(stride=(1, 1), padding=((0, 0), (0, 0)), dilation=(1, 1), groups=1) | given

    def run(form):
        rng = np.random.default_rng(0)
        a, b = rng.standard_normal(x, np.float32), rng.standard_normal(w, np.float32)
        y = form.correlate(a, b, **geo)
        g = rng.standard_normal(y.shape, np.float32)
        return y, form.correlate_input(g, b, shape=x, **geo), form.correlate_weight(g, a, shape=w, **geo)

    return run


def pool(form):
    x = np.random.default_rng(1).standard_normal((N, 5, 8, 8), np.float32)
    x[2, 1, 3, 4] = np.nan
    geo = dict(kernel=(3, 3), stride=(2, 2), padding=((1, 1),) * 2, dilation=(1, 1), ceil_mode=False)
    y, indices = form.max_pool(x, **geo)
    bias = np.linspace(-1, 1, 5, dtype=np.float32)
    dx = form.scatter_windows(np.ones_like(y), indices, shape=x.shape)
    return y, indices, dx, *form.bias_relu_max_pool2x2(x, bias)


def passes(form):
    rng = np.random.default_rng(2)
    x = np.moveaxis(rng.standard_normal((N, 6, 5, 4), np.float32), -1, 1)  # channels-last
    g, v = rng.standard_normal(x.shape, np.float32), rng.standard_normal(x.shape[1], np.float32)
    normal = form.batch_norm(x, 1e-5)
    return (
        form.bias_add(x, v), form.bias_relu(x, v), form.relu(x), form.relu_input(g, x), form.channel_sums(x),
        form.channels_last(g), *normal, *form.batch_norm_backward(g, x, v, *normal[1:]),
        form.batch_norm_relu(x, v, None, *normal[1:]),
    )  # fmt: skip


def products(form):
    rng = np.random.default_rng(3)
    a, b = rng.standard_normal((90, 80), np.float32), rng.standard_normal((80, 100), np.float32)
    return form.matmul(a, b), form.matmul(b.T, a.T)


def updates(form):
    rng = np.random.default_rng(4)
    shapes = [(40, 30), (30,), (9, 4, 3, 3), (1, 50), ()]
    lists = [[rng.random(s, np.float32) for s in shapes] for _ in range(4)]
    p, g, m, v = lists
    no = dict(maximize=False, weight_decay=0.1)
    form.adam(p, g, m, v, step=3, lr=0.1, beta1=0.9, beta2=0.99, eps=1e-8, decoupled=True, **no)
    form.sgd(p, g, m, lr=0.1, momentum=0.9, dampening=0.5, nesterov=False, first=False, **no)
    form.rmsprop(p, g, v, lr=0.01, alpha=0.9, eps=1e-3, momentum=0.5, buffers=m, grad_avg=None, **no)
    form.adagrad(p, g, v, step=2, lr=0.1, lr_decay=0.1, eps=1e-10, **no)
    return *p, *m, *v


WORK = {
    "conv": conv((N, 3, 9, 8), (20, 3, 3, 3), padding=((1, 1), (1, 1))),
    "conv, mirrored": conv((N, 20, 6, 6), (16, 20, 3, 3), padding=((1, 1), (1, 1))),
    "conv, not padded": conv((N, 20, 9, 8), (64, 20, 5, 5)),
    "conv, one channel": conv((N, 1, 9, 8), (6, 1, 5, 5)),
    "conv in groups, stride 2": conv((N, 12, 9, 8), (8, 6, 3, 3), stride=(2, 2), groups=2),
    "depthwise": conv((N, 6, 7, 7), (6, 1, 3, 3), padding=((1, 1), (1, 1)), groups=6),
    "depthwise, stride 2, twofold": conv((N, 6, 7, 7), (12, 1, 3, 3), stride=(2, 2), groups=6),
    "pool": pool,
    "passes": passes,
    "products": products,
    "updates": updates,
}  # fmt: skip


@pytest.mark.parametrize("work", WORK.values(), ids=WORK)
def test_the_number_of_threads_changes_no_more_than_rounding(plain, use, work):
    use(1)
    alone = work(plain)
    for n in (2, 3, N + 1):
        use(n)
        for a, b in zip(alone, work(plain), strict=True):
            np.testing.assert_allclose(b, a, rtol=1e-5, atol=1e-5 * np.nanmax(np.abs(a)))


@pytest.mark.parametrize("n", [1, 3])
@pytest.mark.parametrize("work", WORK.values(), ids=WORK)
def test_the_same_threads_give_the_same_bits(plain, use, work, n):
    use(n)
    for a, b in zip(work(plain), work(plain), strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("work", WORK.values(), ids=WORK)
def test_the_size_of_blocks_changes_no_more_than_rounding(plain, monkeypatch, work):
    whole = work(plain)
    for least in (1, 100):
        monkeypatch.setattr(lowering, "BLOCK_BYTES", 1)
        monkeypatch.setattr(lowering, "ROWS", least)
        monkeypatch.setattr(optim, "PIECE", 40 * least)
        for a, b in zip(whole, work(plain), strict=True):
            np.testing.assert_allclose(b, a, rtol=1e-5, atol=1e-5 * np.nanmax(np.abs(a)))


def test_work_is_divided_only_where_it_is_worth_a_thread(monkeypatch):
    monkeypatch.setattr(threads, "_threads", 2)
    seen = []
    for work in (2 * shards.GRAIN - 1, 2 * shards.GRAIN):
        shards.in_shards(lambda start, stop: seen.append((start, stop)), 8, work)
    assert seen[0] == (0, 8) and sorted(seen[1:]) == [(0, 4), (4, 8)]


@pytest.mark.skipif(threads._blas() is None, reason="this NumPy's BLAS has no thread setting")
def test_a_single_image_leaves_blas_its_threads(monkeypatch):
    monkeypatch.setattr(threads, "_threads", 2)
    get, put = threads._blas()
    found = get()
    put(2)
    try:
        seen = []
        for images in (1, 2):
            shards.in_shards(lambda start, stop: seen.append((stop - start, get())), images, 0)
        assert seen == [(1, 2), (2, 1)]
    finally:
        put(found)
