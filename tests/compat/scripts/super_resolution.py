"""Super-resolution by an efficient sub-pixel convolution, with a model that is saved whole."""

from math import log10

import torch
import torch.nn as nn
import torch.nn.init as init
import torch.optim as optim
from torch.utils.data import DataLoader, TensorDataset


class Net(nn.Module):
    def __init__(self, upscale_factor):
        super(Net, self).__init__()
        self.relu = nn.ReLU()
        self.conv1 = nn.Conv2d(1, 8, (5, 5), (1, 1), (2, 2))
        self.conv2 = nn.Conv2d(8, 8, (3, 3), (1, 1), (1, 1))
        self.conv4 = nn.Conv2d(8, upscale_factor**2, (3, 3), (1, 1), (1, 1))
        self.pixel_shuffle = nn.PixelShuffle(upscale_factor)
        self._initialize_weights()

    def forward(self, x):
        x = self.relu(self.conv1(x))
        x = self.relu(self.conv2(x))
        return self.pixel_shuffle(self.conv4(x))

    def _initialize_weights(self):
        init.orthogonal_(self.conv1.weight, init.calculate_gain("relu"))
        init.orthogonal_(self.conv2.weight, init.calculate_gain("relu"))
        init.orthogonal_(self.conv4.weight)


torch.manual_seed(123)
waves = torch.sin(torch.arange(16.0) * torch.rand(24, 1, 16, 1)) / 2 + 0.5
small = nn.functional.interpolate(waves, scale_factor=0.5, mode="bilinear", align_corners=False)
training = DataLoader(TensorDataset(small[:16], waves[:16]), batch_size=4, shuffle=True)
testing = DataLoader(TensorDataset(small[16:], waves[16:]), batch_size=4)
model = Net(upscale_factor=2)
criterion = nn.MSELoss()
optimizer = optim.Adam(model.parameters(), lr=0.01)
for epoch in range(1, 3):
    epoch_loss = 0
    for iteration, batch in enumerate(training, 1):
        input, target = batch[0], batch[1]
        optimizer.zero_grad()
        loss = criterion(model(input), target)
        epoch_loss += loss.item()
        loss.backward()
        optimizer.step()
        print("===> Epoch[{}]({}/{}): Loss: {:.4f}".format(epoch, iteration, len(training), loss.item()))
    print("===> Epoch {} Complete: Avg. Loss: {:.4f}".format(epoch, epoch_loss / len(training)))
    with torch.no_grad():
        avg_psnr = sum(10 * log10(1 / criterion(model(x), y).item()) for x, y in testing)
    print("===> Avg. PSNR: {:.4f} dB".format(avg_psnr / len(testing)))
    path = "model_epoch_{}.pth".format(epoch)
    torch.save(model, path)
    print("Checkpoint saved to {}".format(path))
again = torch.load(path, weights_only=False)
print(torch.equal(again(small), model(small)), again(small).shape)
