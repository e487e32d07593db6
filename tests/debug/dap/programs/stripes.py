"""A small convolutional network learns to tell two kinds of stripes apart."""

import numpy as np

import tinygrad_cnn as tg
from tinygrad_cnn import nn
from tinygrad_cnn.nn import functional as F


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(1, 4, 3, padding=1)
        self.conv2 = nn.Conv2d(4, 8, 3, padding=1)
        self.fc = nn.Linear(8 * 4 * 4, 2)

    def forward(self, x):
        x = F.max_pool2d(F.relu(self.conv1(x)), 2)
        x = F.relu(self.conv2(x))
        x = F.max_pool2d(x, 2)
        return self.fc(x.flatten(1))


tg.manual_seed(0)
model = Net()
optimizer = tg.optim.SGD(model.parameters(), lr=0.1)
rng = np.random.default_rng(0)
labels = rng.integers(0, 2, size=8)
images = rng.normal(size=(8, 1, 16, 16)).astype(np.float32)
images[labels == 1, :, ::2] += 2.0

for step in range(3):
    optimizer.zero_grad()
    loss = F.cross_entropy(model(tg.tensor(images)), tg.tensor(labels))
    loss.backward()
    optimizer.step()
    print(f"step {step}: loss {loss.item():.4f}")
