"""Squeeze-and-excitation with a layer of its own, on bottlenecks with group and instance normalisation too."""
import torch
from torch import nn
from torch.nn import functional as F
from collections import OrderedDict


class SELayer(nn.Module):
    def __init__(self, channel, reduction=4):
        super(SELayer, self).__init__()
        self.avg_pool = nn.AdaptiveAvgPool2d(1)
        self.fc = nn.Sequential(
            nn.Linear(channel, channel // reduction, bias=False),
            nn.ReLU(inplace=True),
            nn.Linear(channel // reduction, channel, bias=False),
            nn.Sigmoid()
        )

    def forward(self, x):
        b, c, _, _ = x.size()
        y = self.avg_pool(x).view(b, c)
        y = self.fc(y).view(b, c, 1, 1)
        return x * y.expand_as(x)


class SEBlock(nn.Module):
    def __init__(self, planes, norm=nn.BatchNorm2d):
        super().__init__()
        self.body = nn.Sequential(OrderedDict([
            ('conv1', nn.Conv2d(planes, planes, 3, 1, 1, bias=False)),
            ('norm1', norm(planes)),
            ('relu', nn.ReLU(True)),
            ('conv2', nn.Conv2d(planes, planes, 3, 1, 1, bias=False)),
            ('norm2', norm(planes)),
            ('se', SELayer(planes)),
        ]))

    def forward(self, x):
        return F.relu(self.body(x) + x, inplace=True)


class SENet(nn.Module):
    def __init__(self, num_classes=10):
        super().__init__()
        self.stem = nn.Conv2d(3, 16, (3, 3), stride=(2, 2), padding=(1, 1))
        self.blocks = nn.ModuleList([
            SEBlock(16),
            SEBlock(16, lambda c: nn.GroupNorm(4, c)),
            SEBlock(16, lambda c: nn.InstanceNorm2d(c, affine=True)),
        ])
        self.heads = nn.ModuleDict({'main': nn.Linear(16, num_classes)})
        self.scale = nn.Parameter(torch.ones(1))
        self.register_buffer('mean', torch.tensor([0.4914, 0.4822, 0.4465]).view(1, 3, 1, 1))
        self.register_buffer('std', torch.tensor([0.2470, 0.2435, 0.2616]).view(1, 3, 1, 1), persistent=False)

    def forward(self, x):
        x = (x - self.mean) / self.std
        x = self.stem(x)
        for block in self.blocks:
            x = block(x)
        x = x.mean([2, 3]) * self.scale
        return self.heads['main'](x)
