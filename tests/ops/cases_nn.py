"""The cases of convolution, pooling, normalisation, dense layers, resampling and losses: see `table`."""

from __future__ import annotations

from tests.ops.table import Table, distinct, normal, positive, probability, uniform

CASES = Table()
case = CASES.case

# --- convolution, pooling and normalisation in 1 to 3 dimensions ---------------------------------------

for _d, _s in ((1, (7,)), (2, (5, 6)), (3, (4, 3, 4))):
    _k, _one, _two = (3,) * _d, (1,) * _d, (2,) * _d

    _n = f"conv{_d}d"
    case(
        _n,
        lambda tg, F, x, w, b, n=_n: getattr(F, n)(x, w, b),
        normal(2, 2, *_s),
        normal(3, 2, *_k),
        normal(3),
    )
    case(
        f"{_n}:stride, padding",
        lambda tg, F, x, w, n=_n: getattr(F, n)(x, w, stride=2, padding=1),
        normal(2, 2, *_s),
        normal(2, 2, *_k),
    )
    case(
        f"{_n}:same, dilated, even kernel",
        lambda tg, F, x, w, n=_n: getattr(F, n)(x, w, padding="same", dilation=2),
        normal(1, 2, *_s),
        normal(2, 2, *_two),
    )
    case(
        f"{_n}:groups",
        lambda tg, F, x, w, b, n=_n: getattr(F, n)(x, w, b, padding=1, groups=2),
        normal(1, 4, *_s),
        normal(4, 2, *_k),
        normal(4),
    )
    case(
        f"{_n}:depthwise, without batch",
        lambda tg, F, x, w, n=_n: getattr(F, n)(x, w, groups=3, padding="valid"),
        normal(3, *_s),
        normal(6, 1, *_two),
    )
    case(
        f"{_n}:full",
        lambda tg, F, x, w, n=_n: getattr(F, n)(x, w, padding="full"),
        normal(1, 1, *_s),
        normal(1, 1, *_two),
        torch=lambda tg, F, x, w, n=_n: getattr(F, n)(x, w, padding=1),
    )
    case(
        f"{_n}:1x1 kernel, stride",
        lambda tg, F, x, w, n=_n: getattr(F, n)(x, w, stride=2),
        normal(2, 2, *_s),
        normal(3, 2, *_one),
    )
    case(
        f"convolve{_d}d",
        lambda tg, F, x, w, n=f"convolve{_d}d": getattr(F, n)(x, w),
        normal(1, 2, *_s),
        normal(2, 2, *_two),
        torch=lambda tg, F, x, w, n=_n, d=_d: getattr(F, n)(x, tg.flip(w, tuple(range(2, 2 + d)))),
    )
    _n = f"conv_transpose{_d}d"
    _small = tuple(min(n, 3) for n in _s)
    case(
        _n,
        lambda tg, F, x, w, b, n=_n: getattr(F, n)(x, w, b),
        normal(2, 3, *_small),
        normal(3, 2, *_k),
        normal(2),
    )
    case(
        f"{_n}:stride, padding, output padding",
        lambda tg, F, x, w, b, n=_n: getattr(F, n)(x, w, b, 2, 1, 1),
        normal(1, 2, *_small),
        normal(2, 2, *_k),
        normal(2),
    )
    case(
        f"{_n}:groups, dilated",
        lambda tg, F, x, w, n=_n: getattr(F, n)(x, w, stride=3, groups=2, dilation=2),
        normal(1, 4, *_two),
        normal(4, 1, *_two),
    )
    case(
        f"{_n}:output padding of a whole stride",
        lambda tg, F, x, w, b, n=_n: getattr(F, n)(x, w, b, output_padding=1, dilation=2),
        normal(2, *_two),
        normal(2, 2, *_two),
        normal(2),
        torch=None
        if _d == 3
        else lambda tg, F, x, w, b, n=_n: getattr(F, n)(x, w, b, output_padding=1, dilation=2),
    )
    case(
        f"{_n}:output padding takes padding back",
        lambda tg, F, x, w, b, n=_n: getattr(F, n)(x, w, b, padding=1, output_padding=2, dilation=3),
        normal(2, *_small),
        normal(2, 2, *_two),
        normal(2),
    )

    _n = f"max_pool{_d}d"
    case(_n, lambda tg, F, x, n=_n: getattr(F, n)(x, 2), distinct(2, 2, *_s))
    case(
        f"{_n}:overlap, padding, ceil",
        lambda tg, F, x, n=_n: getattr(F, n)(x, 3, 2, 1, ceil_mode=True),
        distinct(1, 2, *_s),
    )
    case(
        f"{_n}:dilated, without batch", lambda tg, F, x, n=_n: getattr(F, n)(x, 2, 1, 0, 2), distinct(2, *_s)
    )
    case(
        f"{_n}:indices", lambda tg, F, x, n=_n: getattr(F, n)(x, 2, return_indices=True), distinct(1, 2, *_s)
    )
    case(
        f"max_unpool{_d}d",
        lambda tg, F, x, d=_d: getattr(F, f"max_unpool{d}d")(
            *getattr(F, f"max_pool{d}d")(x, 2, return_indices=True), 2, output_size=tuple(x.shape[2:])
        ),
        distinct(1, 2, *_s),
    )
    _n = f"avg_pool{_d}d"
    case(_n, lambda tg, F, x, n=_n: getattr(F, n)(x, 2), normal(2, 2, *_s))
    case(
        f"{_n}:overlap, padding, ceil",
        lambda tg, F, x, n=_n: getattr(F, n)(x, 3, 2, 1, True),
        normal(1, 2, *_s),
    )
    case(
        f"{_n}:padding not counted",
        lambda tg, F, x, n=_n: getattr(F, n)(x, 3, 2, 1, True, False),
        normal(2, *_s),
    )
    if _d > 1:
        case(
            f"{_n}:divisor", lambda tg, F, x, n=_n: getattr(F, n)(x, 2, divisor_override=3), normal(1, 2, *_s)
        )
    case(f"lp_pool{_d}d", lambda tg, F, x, n=f"lp_pool{_d}d": getattr(F, n)(x, 2, 2), positive(1, 2, *_s))
    case(
        f"lp_pool{_d}d:3",
        lambda tg, F, x, n=f"lp_pool{_d}d": getattr(F, n)(x, 3.0, 2, ceil_mode=True),
        positive(1, 2, *_s),
    )
    for _m in (1, 2, 3):
        case(
            f"adaptive_avg_pool{_d}d:{_m}",
            lambda tg, F, x, n=f"adaptive_avg_pool{_d}d", m=_m: getattr(F, n)(x, m),
            normal(1, 2, *_s),
        )
        case(
            f"adaptive_max_pool{_d}d:{_m}",
            lambda tg, F, x, n=f"adaptive_max_pool{_d}d", m=_m: getattr(F, n)(x, m, return_indices=True),
            distinct(1, 2, *_s),
        )

    case(
        f"batch_norm:{_d}d",
        lambda tg, F, x, w, b: F.batch_norm(x, None, None, w, b, True),
        normal(3, 2, *_s),
        normal(2),
        normal(2),
    )
    case(
        f"batch_norm:{_d}d, running",
        lambda tg, F, x, w, b: F.batch_norm(x, tg.tensor([0.5, -0.5]), tg.tensor([0.5, 2.0]), w, b),
        normal(2, 2, *_s),
        normal(2),
        normal(2),
        float32=None,
        torch=lambda tg, F, x, w, b: F.batch_norm(
            x, tg.tensor([0.5, -0.5], dtype=x.dtype), tg.tensor([0.5, 2.0], dtype=x.dtype), w, b
        ),
    )
    case(
        f"instance_norm:{_d}d",
        lambda tg, F, x, w, b: F.instance_norm(x, weight=w, bias=b),
        normal(2, 2, *_s),
        normal(2),
        normal(2),
    )
    case(
        f"local_response_norm:{_d}d",
        lambda tg, F, x: F.local_response_norm(x, 3, alpha=0.5),
        normal(1, 5, *_s),
    )

case(
    "conv2d:mixed settings",
    lambda tg, F, x, w: F.conv2d(x, w, None, (2, 1), (0, 2), (1, 2)),
    normal(2, 2, 6, 5),
    normal(3, 2, 3, 2),
)
case(
    "conv2d:reused input",
    lambda tg, F, x, w: F.conv2d(x, w) * F.conv2d(x * x, w),
    normal(1, 2, 4, 4),
    normal(2, 2, 2, 2),
)
case(
    "batch_norm:2-d input",
    lambda tg, F, x, w, b: F.batch_norm(x, None, None, w, b, True),
    normal(5, 3),
    normal(3),
    normal(3),
)
case(
    "batch_norm:without weight",
    lambda tg, F, x: F.batch_norm(x, None, None, None, None, True),
    normal(4, 2, 3),
)
case(
    "batch_norm:only weight",
    lambda tg, F, x, w: F.batch_norm(x, None, None, w, None, True, eps=0.1),
    normal(4, 2, 3),
    normal(2),
)
case(
    "layer_norm",
    lambda tg, F, x, w, b: F.layer_norm(x, (3, 4), w, b),
    normal(2, 3, 4),
    normal(3, 4),
    normal(3, 4),
)
case("layer_norm:without weight", lambda tg, F, x: F.layer_norm(x, (4,), eps=0.01), normal(2, 3, 4))
for _pad in ("zeros", "border", "reflection"):
    for _aligned in (True, False):
        case(
            f"grid_sample:bicubic, {_pad}, {'edges' if not _aligned else 'centres'}",
            lambda tg, F, x, g, p=_pad, a=_aligned: F.grid_sample(x, g, "bicubic", p, a),
            normal(2, 2, 5, 4),
            uniform(-1.4, 1.4)(2, 2, 3, 2),
            tol=1e-5,
            float32=1e-3,
        )
# Nothing in, nothing out, and gradients of the right shapes.
case("group_norm:empty", lambda tg, F, x, w, b: F.group_norm(x, 2, w, b), normal(0, 4, 3), normal(4), normal(4))
case(
    "batch_norm:empty",
    lambda tg, F, x, w, b: F.batch_norm(x, tg.zeros(4), tg.ones(4), w, b, True),
    normal(0, 4, 3),
    normal(4),
    normal(4),
    torch=lambda tg, F, x, w, b: F.batch_norm(x, None, None, w, b, True),
)
case("local_response_norm:empty", lambda tg, F, x: F.local_response_norm(x, 3), normal(0, 2, 3))
case("adaptive_max_pool2d:empty", lambda tg, F, x: F.adaptive_max_pool2d(x, 2), normal(0, 2, 5, 4))
case("conv1d:empty batch", lambda tg, F, x, w: F.conv1d(x, w, padding=1), normal(0, 2, 3), normal(3, 2, 2))
case("group_norm", lambda tg, F, x, w, b: F.group_norm(x, 2, w, b), normal(2, 4, 2, 3), normal(4), normal(4))
case("rms_norm", lambda tg, F, x, w: F.rms_norm(x, (4,), w, 1e-5), normal(2, 3, 4), normal(4))
case("normalize", lambda tg, F, x: F.normalize(x), normal(3, 4))
case("normalize:1-norm", lambda tg, F, x: F.normalize(x, p=1, dim=0), normal(3, 4))

# --- windows, dense layers, tables ---------------------------------------------------------------------

case("unfold", lambda tg, F, x: F.unfold(x, (2, 3), 2, 1, 2), normal(1, 2, 5, 6))
case("unfold:without batch", lambda tg, F, x: F.unfold(x, 2), normal(2, 3, 3))
case("fold", lambda tg, F, x: F.fold(x, (4, 5), (2, 2)), normal(1, 8, 12))
case("fold:stride, padding", lambda tg, F, x: F.fold(x, (4, 5), (2, 2), padding=1, stride=2), normal(8, 9))
case("linear", lambda tg, F, x, w, b: F.linear(x, w, b), normal(5, 3), normal(4, 3), normal(4))
case("linear:3-d", lambda tg, F, x, w, b: F.linear(x, w, b), normal(2, 5, 3), normal(4, 3), normal(4))
case("linear:1-d", lambda tg, F, x, w, b: F.linear(x, w, b), normal(3), normal(4, 3), normal(4))
case("linear:one output", lambda tg, F, x, w: F.linear(x, w), normal(2, 3), normal(3))
case("linear:empty", lambda tg, F, x, w, b: F.linear(x, w, b), normal(0, 3), normal(4, 3), normal(4))
case(
    "bilinear",
    lambda tg, F, x, y, w, b: F.bilinear(x, y, w, b),
    normal(3, 3),
    normal(3, 2),
    normal(4, 3, 2),
    normal(4),
)
_BAGS = [[0, 2, 1], [4, 4, 3]]
for _mode in ("sum", "mean", "max"):
    case(
        f"embedding_bag:rows, {_mode}",
        lambda tg, F, w, m=_mode: F.embedding_bag(tg.tensor(_BAGS), w, mode=m, padding_idx=3),
        normal(5, 3),
    )
    case(
        f"embedding_bag:offsets, {_mode}",
        lambda tg, F, w, m=_mode: F.embedding_bag(
            tg.tensor([0, 2, 1, 1, 4]), w, tg.tensor([0, 2, 2, 5]), mode=m, include_last_offset=True
        ),
        normal(5, 3),
    )
case(
    "embedding_bag:weighed",
    lambda tg, F, w, p: F.embedding_bag(
        tg.tensor([0, 2, 1, 1, 4]), w, tg.tensor([0, 2, 2]), mode="sum", per_sample_weights=p
    ),
    normal(5, 3),
    normal(5),
)
case("embedding", lambda tg, F, w: F.embedding(tg.tensor([[0, 2], [2, 4]]), w), normal(5, 3))
case("cosine_similarity", lambda tg, F, x, y: F.cosine_similarity(x, y), normal(3, 4), normal(3, 4))
case(
    "pairwise_distance",
    lambda tg, F, x, y: F.pairwise_distance(x, y, keepdim=True),
    normal(3, 4),
    normal(3, 4),
)
case("pdist", lambda tg, F, x: F.pdist(x), normal(4, 3), order2=False)

# --- resampling ----------------------------------------------------------------------------------------

for _mode, _shape in (
    ("nearest", (2, 2, 4)),
    ("linear", (2, 2, 4)),
    ("nearest", (1, 2, 4, 3)),
    ("bilinear", (1, 2, 4, 3)),
    ("bicubic", (1, 2, 4, 3)),
    ("area", (1, 2, 4, 3)),
    ("nearest-exact", (1, 2, 4, 3)),
    ("nearest", (1, 2, 2, 3, 2)),
    ("trilinear", (1, 2, 2, 3, 2)),
):
    _d = len(_shape) - 2
    for _how in ({"scale_factor": 2}, {"scale_factor": 1.6}, {"size": (5,) * _d}, {"size": (2,) * _d}):
        _aligned = (None, True) if _mode.endswith(("linear", "cubic")) else (None,)
        for _align in _aligned:
            _settings = dict(_how, mode=_mode, align_corners=_align)
            case(
                f"interpolate:{_d}d {_settings}",
                lambda tg, F, x, s=_settings: F.interpolate(x, **s),
                normal(*_shape),
            )
case("pixel_shuffle", lambda tg, F, x: F.pixel_shuffle(x, 2), normal(1, 8, 2, 3))
case("pixel_unshuffle", lambda tg, F, x: F.pixel_unshuffle(x, 2), normal(1, 2, 4, 6))
case("channel_shuffle", lambda tg, F, x: F.channel_shuffle(x, 3), normal(2, 6, 2, 2))

# --- losses --------------------------------------------------------------------------------------------

_T = [1, 0, 3, 2, 3]
_IGNORED = [1, 0, -100, 2, 3]
_ND = [[[0, 1], [2, 3]], [[3, 3], [0, 1]]]
_W = (1.0, 2.0, 0.5, 3.0)
_PM = [[1, -1, -1, 1], [-1, 1, 1, 1], [1, 1, -1, -1]]
_LABELS = [[1, 3, -1, 0], [0, -1, 2, 1], [3, 2, 1, 0]]


def _weights(tg, x):  # type: ignore[no-untyped-def]
    return tg.tensor(_W, dtype=x.dtype)


for _r in ("mean", "sum", "none"):
    for _s in (0.0, 0.1):
        _o = {"reduction": _r, "label_smoothing": _s}
        case(
            f"cross_entropy:{_r} {_s}",
            lambda tg, F, x, o=_o: F.cross_entropy(x, tg.tensor(_T), **o),
            normal(5, 4),
        )
        case(
            f"cross_entropy:weight, ignored {_r} {_s}",
            lambda tg, F, x, o=_o: F.cross_entropy(x, tg.tensor(_IGNORED), weight=_weights(tg, x), **o),
            normal(5, 4),
        )
        case(
            f"cross_entropy:ignored {_r} {_s}",
            lambda tg, F, x, o=_o: F.cross_entropy(x, tg.tensor(_IGNORED), **o),
            normal(5, 4),
        )
        case(
            f"cross_entropy:images {_r} {_s}",
            lambda tg, F, x, o=_o: F.cross_entropy(x, tg.tensor(_ND), **o),
            normal(2, 4, 2, 2),
        )
        case(
            f"cross_entropy:probabilities {_r} {_s}",
            lambda tg, F, x, t, o=_o: F.cross_entropy(x, t, weight=_weights(tg, x), **o),
            normal(3, 4),
            probability(3, 4),
        )
    case(
        f"nll_loss:{_r}",
        lambda tg, F, x, r=_r: F.nll_loss(x, tg.tensor(_IGNORED), weight=_weights(tg, x), reduction=r),
        normal(5, 4),
    )
    case(
        f"nll_loss:images {_r}",
        lambda tg, F, x, r=_r: F.nll_loss(x, tg.tensor(_ND), reduction=r),
        normal(2, 4, 2, 2),
    )
    for _n in ("mse_loss", "l1_loss", "smooth_l1_loss", "huber_loss"):
        case(
            f"{_n}:{_r}",
            lambda tg, F, x, t, n=_n, r=_r: getattr(F, n)(x, t, reduction=r),
            normal(3, 4),
            normal(3, 4),
        )
    case(
        f"smooth_l1_loss:beta {_r}",
        lambda tg, F, x, t, r=_r: F.smooth_l1_loss(x, t, reduction=r, beta=0.3),
        normal(3, 4),
        normal(3, 4),
    )
    case(
        f"huber_loss:delta {_r}",
        lambda tg, F, x, t, r=_r: F.huber_loss(x, t, reduction=r, delta=0.3),
        normal(3, 4),
        normal(3, 4),
    )
    # PyTorch's own second derivatives leave out the targets here; ours are held to differences.
    case(
        f"binary_cross_entropy:{_r}",
        lambda tg, F, x, t, r=_r: F.binary_cross_entropy(x, t, reduction=r),
        probability(3, 4),
        probability(3, 4),
    )
    case(
        f"binary_cross_entropy:weight {_r}",
        lambda tg, F, x, t, r=_r: F.binary_cross_entropy(x, t, _weights(tg, x), reduction=r),
        probability(3, 4),
        probability(3, 4),
    )
    case(
        f"binary_cross_entropy_with_logits:{_r}",
        lambda tg, F, x, t, r=_r: F.binary_cross_entropy_with_logits(x, t, reduction=r),
        normal(3, 4),
        probability(3, 4),
    )
    case(
        f"binary_cross_entropy_with_logits:weights {_r}",
        lambda tg, F, x, t, r=_r: F.binary_cross_entropy_with_logits(
            x, t, _weights(tg, x), reduction=r, pos_weight=_weights(tg, x)
        ),
        normal(3, 4),
        probability(3, 4),
    )
    case(
        f"kl_div:{_r}", lambda tg, F, x, t, r=_r: F.kl_div(x, t, reduction=r), normal(3, 4), probability(3, 4)
    )
    case(
        f"kl_div:log {_r}",
        lambda tg, F, x, t, r=_r: F.kl_div(x, t, reduction=r, log_target=True),
        normal(3, 4),
        normal(3, 4),
    )
    case(
        f"soft_margin_loss:{_r}",
        lambda tg, F, x, r=_r: F.soft_margin_loss(x, tg.tensor(_PM), reduction=r),
        normal(3, 4),
    )
    case(
        f"hinge_embedding_loss:{_r}",
        lambda tg, F, x, r=_r: F.hinge_embedding_loss(x, tg.tensor(_PM), reduction=r),
        normal(3, 4),
    )
    case(
        f"margin_ranking_loss:{_r}",
        lambda tg, F, x, y, r=_r: F.margin_ranking_loss(x, y, tg.tensor([1, -1, 1]), 0.2, reduction=r),
        normal(3),
        normal(3),
    )
    case(
        f"cosine_embedding_loss:{_r}",
        lambda tg, F, x, y, r=_r: F.cosine_embedding_loss(x, y, tg.tensor([1, -1, 1]), 0.1, reduction=r),
        normal(3, 4),
        normal(3, 4),
    )
    case(
        f"triplet_margin_loss:{_r}",
        lambda tg, F, a, p, n, r=_r: F.triplet_margin_loss(a, p, n, reduction=r),
        normal(3, 4),
        normal(3, 4),
        normal(3, 4),
    )
    case(
        f"triplet_margin_loss:swap {_r}",
        lambda tg, F, a, p, n, r=_r: F.triplet_margin_loss(a, p, n, 2.0, 3, swap=True, reduction=r),
        normal(3, 4),
        normal(3, 4),
        normal(3, 4),
    )
    for _p in (1, 2):
        case(
            f"multi_margin_loss:{_p} {_r}",
            lambda tg, F, x, p=_p, r=_r: F.multi_margin_loss(
                x, tg.tensor(_T), p=p, weight=_weights(tg, x), reduction=r
            ),
            normal(5, 4),
            order2=_p == 1,
        )
    case(
        f"multilabel_margin_loss:{_r}",
        lambda tg, F, x, r=_r: F.multilabel_margin_loss(x, tg.tensor(_LABELS), reduction=r),
        normal(3, 4),
    )
    case(
        f"multilabel_soft_margin_loss:{_r}",
        lambda tg, F, x, r=_r: F.multilabel_soft_margin_loss(x, (tg.tensor(_LABELS) > 0) * 1.0, reduction=r),
        normal(3, 4),
    )
    case(
        f"gaussian_nll_loss:{_r}",
        lambda tg, F, x, t, v, r=_r: F.gaussian_nll_loss(x, t, v, full=True, reduction=r),
        normal(3, 4),
        normal(3, 4),
        positive(3, 1),
    )
    case(
        f"poisson_nll_loss:{_r}",
        lambda tg, F, x, r=_r: F.poisson_nll_loss(x, tg.tensor([1.0, 2.0, 0.0]), full=True, reduction=r),
        normal(3),
    )
    case(
        f"poisson_nll_loss:rate {_r}",
        lambda tg, F, x, r=_r: F.poisson_nll_loss(
            x, tg.tensor([1.0, 2.0, 0.0]), log_input=False, reduction=r
        ),
        positive(3),
    )
    for _kind in ("hinge", "sigmoid", "gelu"):
        case(
            f"pairwise_loss:{_kind} {_r}",
            lambda tg, F, x, k=_kind, r=_r: F.pairwise_loss(x, tg.tensor(_T), k, r),
            normal(5, 4),
            torch=None,
        )
case("cross_entropy:one sample", lambda tg, F, x: F.cross_entropy(x, tg.tensor(2)), normal(4))
case(
    "kl_div:batchmean",
    lambda tg, F, x, t: F.kl_div(x, t, reduction="batchmean"),
    normal(3, 4),
    probability(3, 4),
)
case("smooth_l1_loss:beta 0", lambda tg, F, x, t: F.smooth_l1_loss(x, t, beta=0), normal(3), normal(3))

_CTC = ([[1, 2, 2], [3, 1, 0]], [7, 5], [3, 2])
for _r in ("mean", "sum", "none"):
    case(
        f"ctc_loss:{_r}",
        lambda tg, F, x, r=_r: F.ctc_loss(F.log_softmax(x, -1), *map(tg.tensor, _CTC), reduction=r),
        normal(7, 2, 4),
    )
case(
    "ctc_loss:in one row, another blank, one does not fit",
    lambda tg, F, x: F.ctc_loss(
        F.log_softmax(x, -1), tg.tensor([1, 0, 0, 0, 1, 1, 1]), (4, 4), (3, 4), 3, "sum", zero_infinity=True
    ),
    normal(4, 2, 4),
)
case(
    "ctc_loss:without batch, an empty target",
    lambda tg, F, x: F.ctc_loss(
        F.log_softmax(x, -1), tg.zeros(0, dtype=tg.long), tg.tensor(5), tg.tensor(0), reduction="sum"
    ),
    normal(5, 3),
)
for _mode in ("bilinear", "bicubic"):
    for _size in ((3, 9), (2, 2), (7, 4)):
        case(
            f"interpolate:antialias {_mode} {_size}",
            lambda tg, F, x, s=_size, m=_mode: F.interpolate(x, size=s, mode=m, antialias=True),
            normal(1, 2, 7, 5),
        )
    case(
        f"interpolate:antialias {_mode} by a factor",
        lambda tg, F, x, m=_mode: F.interpolate(x, scale_factor=(0.4, 0.7), mode=m, antialias=True),
        normal(1, 2, 7, 5),
    )
    case(
        f"interpolate:antialias {_mode} aligned",
        lambda tg, F, x, m=_mode: F.interpolate(x, size=(3, 4), mode=m, antialias=True, align_corners=True),
        normal(1, 2, 7, 5),
    )
case(
    "poisson_nll_loss:full, both gradients",
    lambda tg, F, x, t: F.poisson_nll_loss(x, t * 2, log_input=False, full=True),
    positive(3, 4),
    positive(3, 4),
)
