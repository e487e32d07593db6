"""Programs of PyTorch whose backward pass is walked: each gives a loss and the tensors whose gradients count.

PyTorch is imported inside the functions, so that the file can be collected without it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

#: By name: a function that gives (what makes the loss, what the gradients are compared of, arguments of `backward`).
PROGRAMS: dict[str, Callable[[], Any]] = {}


def program(build: Callable[[], Any]) -> Callable[[], Any]:
    """Enter a program into the table under its function's name."""
    PROGRAMS[build.__name__] = build
    return build


def classifier(net: Any, *shape: int) -> Any:
    """The cross-entropy of a network on random input of this shape."""
    import torch
    from torch.nn import functional as F

    x, target = torch.randn(*shape), torch.arange(shape[0]) % 3
    return lambda: F.cross_entropy(net(x), target), list(net.parameters()), {}


@program
def mnist_cnn():
    from torch import nn

    return classifier(nn.Sequential(
        nn.Conv2d(1, 4, 5, padding=2), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(4, 8, 5), nn.ReLU(), nn.MaxPool2d(2),
        nn.Flatten(), nn.Linear(8 * 25, 10),
    ), 3, 1, 28, 28)  # fmt: skip


@program
def residual_with_batch_norm():
    import torch
    from torch import nn

    class Block(nn.Module):
        def __init__(self):
            super().__init__()
            self.first, self.norm = nn.Conv2d(4, 4, 3, padding=1), nn.BatchNorm2d(4)
            self.second = nn.Conv2d(4, 4, 3, padding=1)

        def forward(self, x):
            return torch.relu_(x + self.second(torch.relu(self.norm(self.first(x)))))

    return classifier(nn.Sequential(nn.Conv2d(1, 4, 3), Block(), Block(), nn.Flatten(), nn.Linear(144, 3)), 4, 1, 8, 8)


@program
def batch_norm_in_evaluation():
    from torch import nn

    net = nn.Sequential(nn.Linear(5, 4), nn.BatchNorm1d(4), nn.GELU(), nn.Linear(4, 3))
    return classifier(net.eval(), 6, 5)


@program
def gru():
    import torch
    from torch import nn

    net, x = nn.GRU(3, 4, num_layers=2), torch.randn(6, 2, 3)
    return lambda: net(x)[0].square().sum(), list(net.parameters()), {}


@program
def lstm_cell_over_time():
    import torch
    from torch import nn

    cell, x = nn.LSTMCell(3, 4), torch.randn(5, 2, 3)

    def loss():
        state = None
        for t in range(5):
            state = cell(x[t], state)
        return state[0].sum()

    return loss, list(cell.parameters()), {}


@program
def transformer_layer():
    import torch
    from torch import nn

    layer, x = nn.TransformerEncoderLayer(8, 2, 16, dropout=0.0, batch_first=True), torch.randn(2, 5, 8)
    return lambda: layer(x).square().mean(), list(layer.parameters()), {}


@program
def unet():
    import torch
    from torch import nn
    from torch.nn import functional as F

    down, deep = nn.Conv2d(1, 4, 3, padding=1), nn.Conv2d(4, 8, 3, padding=1)
    up, out = nn.ConvTranspose2d(8, 4, 2, stride=2), nn.Conv2d(8, 2, 1)
    x, target = torch.randn(2, 1, 8, 8), torch.randint(0, 2, (2, 8, 8))

    def loss():
        a = F.relu(down(x))
        b = F.relu(deep(F.max_pool2d(a, 2)))
        wide = F.interpolate(F.avg_pool2d(b, 2), scale_factor=4, mode="bilinear", align_corners=False)
        return F.cross_entropy(out(torch.cat([a, up(b)], 1)), target) + wide.mean()

    return loss, [*down.parameters(), *deep.parameters(), *up.parameters(), *out.parameters()], {}


@program
def tied_weights():
    import torch
    from torch import nn

    embedding = nn.Embedding(7, 4)
    words = torch.tensor([[1, 2, 2], [0, 6, 3]])
    return lambda: (embedding(words) @ embedding.weight.t()).logsumexp(-1).sum(), [embedding.weight], {}


@program
def function_with_two_outputs():
    import torch

    class Both(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            ctx.save_for_backward(x)
            return x * x, x.exp(), x + 1

        @staticmethod
        def backward(ctx, g, h, unused):
            (x,) = ctx.saved_tensors
            return 2 * x * g + x.exp() * h + unused

    x = torch.randn(4, requires_grad=True)

    def loss():
        a, b, _ = Both.apply(x)
        return (a * b).sum()

    return loss, [x], {}


@program
def function_that_no_gradient_reaches():
    import torch

    class Counted(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            return x.clone()

        @staticmethod
        def backward(ctx, g):
            return g + 1

    class Gone(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            return x.clone()

        @staticmethod
        def backward(ctx, g):
            return None

    x = torch.randn(3, requires_grad=True)
    return lambda: Gone.apply(Counted.apply(x)).sum() + x.sum(), [x], {}


@program
def hooks_that_change_gradients():
    import torch
    from torch import nn

    net = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 2))
    x = torch.randn(5, 3, requires_grad=True)
    net[0].weight.register_hook(lambda g: g * 3)
    net[1].register_full_backward_hook(lambda _m, down, _up: (down[0] * 0.5,))

    def loss():
        hidden = net[0](x)
        hidden.register_hook(lambda g: g.clamp(-0.1, 0.1))
        hidden.grad_fn.register_prehook(lambda g: (g[0] * 2,))
        hidden.retain_grad()
        y = net[2](net[1](hidden))
        y.grad_fn.register_hook(lambda down, _up: tuple(None if d is None else d * 1.5 for d in down))
        return y.square().sum()

    return loss, [x, *net.parameters()], {}


@program
def create_graph():
    import torch

    x = torch.randn(4, requires_grad=True)
    return lambda: (x**3).sin().sum(), [x], {"create_graph": True}


@program
def seed_of_a_vector():
    import torch

    x, w = torch.randn(4, 3, requires_grad=True), torch.randn(3, requires_grad=True)
    return lambda: torch.sigmoid(x * w), [x, w], {"gradient": torch.randn(4, 3)}


@program
def checkpointed_block():
    import torch
    from torch import nn
    from torch.utils.checkpoint import checkpoint

    block = nn.Sequential(nn.Linear(4, 4), nn.BatchNorm1d(4), nn.Tanh())
    head, x = nn.Linear(4, 2), torch.randn(6, 4)
    return lambda: head(checkpoint(block, x, use_reentrant=False)).square().sum(), [
        *block.parameters(), *head.parameters(), *block.buffers(),
    ], {}  # fmt: skip


@program
def reentrant_checkpoint():
    import torch
    from torch import nn
    from torch.utils.checkpoint import checkpoint

    block, head = nn.Sequential(nn.Linear(4, 4), nn.Tanh()), nn.Linear(4, 2)
    x = torch.randn(6, 4, requires_grad=True)
    return lambda: head(checkpoint(block, x, use_reentrant=True)).square().sum(), [
        x, *block.parameters(), *head.parameters(),
    ], {}  # fmt: skip


@program
def several_outputs():
    import torch

    x = torch.randn(6, 4, requires_grad=True)

    def loss():
        a, b, c = x.chunk(3)
        rows = (x * 2).unbind(0)
        left, right = x.split([1, 3], dim=1)
        values, _ = x.topk(2, dim=1)
        return (a * b - c).sum() + (rows[0] * rows[3]).sum() + left.sum() * right.prod() + values.sum()

    return loss, [x], {}


@program
def unused_branch_and_in_place():
    import torch

    x, y = torch.randn(3, 3, requires_grad=True), torch.randn(3, requires_grad=True)

    def loss():
        z = x * 2
        z[0] = y
        z += x.detach()
        z.mul_(y)
        _unused = (x + y).exp()
        return z.t().reshape(-1)[2:].norm()

    return loss, [x, y], {}


@program
def sparse_embedding():
    import torch
    from torch import nn

    embedding = nn.Embedding(9, 3, sparse=True)
    return lambda: embedding(torch.tensor([1, 1, 4])).square().sum(), [embedding.weight], {}


@program
def half_precision():
    import torch

    x, w = torch.randn(4, 4, requires_grad=True), torch.randn(4, 4, requires_grad=True)
    return lambda: (x.bfloat16() @ w.bfloat16()).float().tanh().sum(), [x, w], {}


@program
def two_roots_of_one_graph():
    import torch

    x = torch.randn(3, requires_grad=True)

    class Roots:
        def backward(self, **_options):
            hidden = x.exp()
            torch.autograd.backward([hidden, (hidden * 2).sum()], [torch.ones(3), None])

    return Roots, [x], {}
