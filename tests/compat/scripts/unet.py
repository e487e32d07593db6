"""A small U-Net that segments discs, with the Dice loss."""

import torch
import torch.nn as nn
from torch.utils.data import DataLoader, TensorDataset, random_split


class DoubleConv(nn.Module):
    def __init__(self, in_channels, out_channels, mid_channels=None):
        super().__init__()
        if not mid_channels:
            mid_channels = out_channels
        self.double_conv = nn.Sequential(
            nn.Conv2d(in_channels, mid_channels, kernel_size=3, padding=1, bias=False), nn.BatchNorm2d(mid_channels),
            nn.ReLU(inplace=True), nn.Conv2d(mid_channels, out_channels, kernel_size=3, padding=1, bias=False),
            nn.BatchNorm2d(out_channels), nn.ReLU(inplace=True))

    def forward(self, x):
        return self.double_conv(x)


class UNet(nn.Module):
    def __init__(self, n_channels, n_classes):
        super().__init__()
        self.inc = DoubleConv(n_channels, 4)
        self.down = nn.Sequential(nn.MaxPool2d(2), DoubleConv(4, 8))
        self.up = nn.ConvTranspose2d(8, 4, kernel_size=2, stride=2)
        self.conv = DoubleConv(8, 4)
        self.outc = nn.Conv2d(4, n_classes, kernel_size=1)

    def forward(self, x):
        x1 = self.inc(x)
        x2 = self.up(self.down(x1))
        diff = x1.size()[2] - x2.size()[2]
        x2 = nn.functional.pad(x2, [diff // 2, diff - diff // 2, diff // 2, diff - diff // 2])
        return self.outc(self.conv(torch.cat([x1, x2], dim=1)))


def dice_coeff(input, target, epsilon=1e-6):
    inter = 2 * (input * target).sum(dim=(-1, -2))
    sets_sum = input.sum(dim=(-1, -2)) + target.sum(dim=(-1, -2))
    return ((inter + epsilon) / (sets_sum + epsilon)).mean()


torch.manual_seed(0)
axis = torch.arange(13)
centre = torch.randint(3, 10, (32, 2, 1, 1))
masks = (((axis[:, None] - centre[:, 0]) ** 2 + (axis[None] - centre[:, 1]) ** 2) < 9).float()
images = (masks + 0.2 * torch.randn_like(masks)).unsqueeze(1)
train_set, val_set = random_split(TensorDataset(images, masks), [24, 8], generator=torch.Generator().manual_seed(0))
net = UNet(n_channels=1, n_classes=1).to(memory_format=torch.channels_last)
optimizer = torch.optim.RMSprop(net.parameters(), lr=1e-3, weight_decay=1e-8, momentum=0.9, foreach=True)
scheduler = torch.optim.lr_scheduler.ReduceLROnPlateau(optimizer, "max", patience=5)
grad_scaler = torch.amp.GradScaler("cuda", enabled=False)
criterion = nn.BCEWithLogitsLoss()
for epoch in range(1, 3):
    net.train()
    epoch_loss = 0
    for image, mask in DataLoader(train_set, batch_size=8, shuffle=True, drop_last=True):
        with torch.autocast("cpu", enabled=False):
            pred = net(image.to(memory_format=torch.channels_last))
            loss = criterion(pred.squeeze(1), mask) + 1 - dice_coeff(torch.sigmoid(pred.squeeze(1)), mask)
        optimizer.zero_grad(set_to_none=True)
        grad_scaler.scale(loss).backward()
        grad_scaler.unscale_(optimizer)
        torch.nn.utils.clip_grad_norm_(net.parameters(), 1.0)
        grad_scaler.step(optimizer)
        grad_scaler.update()
        epoch_loss += loss.item()
    net.eval()
    with torch.inference_mode():
        score = sum(dice_coeff((torch.sigmoid(net(x)) > 0.5).float().squeeze(1), y) for x, y in DataLoader(val_set, 4)) / 2
    scheduler.step(score)
    print(f"epoch {epoch}: loss {epoch_loss / 3:.4f}, Dice {score:.4f}, lr {optimizer.param_groups[0]['lr']}")
