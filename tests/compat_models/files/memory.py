"""Networks that write into tensors: in-place ops on slices, views and masks, and an attention over positions."""

import torch
import torch.nn as nn
import torch.nn.functional as F
from torch.nn.common_types import _size_2_t
from torch.nn.modules.conv import _ConvNd
from torch.nn.modules.utils import _pair

try:
    from torch.hub import load_state_dict_from_url
except ImportError:
    from torch.utils.model_zoo import load_url as load_state_dict_from_url


class StandardisedConv(_ConvNd):
    def __init__(self, fan_in, fan_out, kernel_size: _size_2_t, padding=0):
        super().__init__(
            fan_in, fan_out, _pair(kernel_size), _pair(1), _pair(padding), _pair(1), False, _pair(0), 1, False, "zeros"
        )

    def forward(self, x):
        w = self.weight
        w = w - w.mean(dim=(1, 2, 3), keepdim=True)
        w = w / (w.flatten(1).std(dim=1).view(-1, 1, 1, 1) + 1e-5)
        return F.conv2d(x, w, None, self.stride, self.padding, self.dilation, self.groups)


class Shift(nn.Module):
    """Groups of channels moved by a pixel, written into zeros."""

    def forward(self, x):
        n, c, h, w = x.size()
        g = c // 4
        out = torch.zeros_like(x)
        out[:, :g, :, :-1] = x[:, :g, :, 1:]
        out[:, g : 2 * g, :, 1:] = x[:, g : 2 * g, :, :-1]
        out[:, 2 * g : 3 * g, :-1] += x[:, 2 * g : 3 * g, 1:]
        out[:, 3 * g :].add_(x[:, 3 * g :])
        return out


class Partial(nn.Module):
    """A convolution of some channels, added to them where they lie."""

    def __init__(self, channels, used):
        super().__init__()
        self.used = used
        self.conv = nn.Conv2d(used, used, 3, padding=1, bias=False)
        self.gate = nn.Parameter(torch.ones(channels))

    @torch.jit.export
    def mask(self, x):
        return x > 1.5

    def forward(self, x):
        x = x * self.gate.view(1, -1, 1, 1)
        x[:, : self.used] += self.conv(x[:, : self.used].clone())
        x[:, self.used :].mul_(0.5)
        x[self.mask(x)] = 1.5
        rows = x.permute(0, 2, 3, 1).flatten(1, 2)
        F.leaky_relu(rows, 0.2, inplace=True)
        return rows.transpose(1, 2).reshape(x.shape)


class MemoryNet(nn.Module):
    def __init__(self, width=8, num_classes=5):
        super().__init__()
        self.stem = StandardisedConv(3, width, 3, padding=1)
        self.bn = nn.BatchNorm2d(width)
        self.shift = Shift()
        self.partial = Partial(width, width // 2)
        self.attention = nn.MultiheadAttention(width, 2, batch_first=True)
        self.norm = nn.LayerNorm(width)
        self.theta = nn.Linear(width, 6)
        self.fc = nn.Linear(width, num_classes)

    def forward(self, x):
        x = self.bn(self.stem(x))
        x = self.shift(x)
        y = self.partial(x)
        y = y + x
        y[:, 0] -= 0.1
        y = F.avg_pool2d(y, 2)
        theta = self.theta(y.mean([2, 3])).view(-1, 2, 3).tanh() * 0.3
        theta = theta + torch.eye(2, 3, dtype=x.dtype)
        y = F.grid_sample(y, F.affine_grid(theta, y.size(), align_corners=False), align_corners=False)
        tokens = y.flatten(2).transpose(1, 2)
        tokens = self.norm(tokens + self.attention(tokens, tokens, tokens, need_weights=False)[0])
        return self.fc(tokens.mean(dim=1))


def memory_net(pretrained=False, **kwargs):
    model = MemoryNet(**kwargs)
    if pretrained:
        model.load_state_dict(load_state_dict_from_url("https://example.org/memory_net.pth"))
    return model
