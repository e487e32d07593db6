"""A detection head on a small backbone: class and box of each cell, boxes by non-maximum suppression of its own."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from typing import Dict, List, Tuple


class Head(nn.Module):
    def __init__(self, in_channels: int, num_classes: int):
        super().__init__()
        self.cls_logits = nn.Conv2d(in_channels, num_classes, kernel_size=3, stride=1, padding=1)
        self.bbox_pred = nn.Conv2d(in_channels, 4, kernel_size=3, stride=1, padding=1)
        for layer in self.children():
            torch.nn.init.normal_(layer.weight, std=0.01)
            torch.nn.init.constant_(layer.bias, 0)

    def forward(self, x: Tensor) -> Tuple[Tensor, Tensor]:
        logits, boxes = self.cls_logits(x), self.bbox_pred(x)
        N, K, H, W = logits.shape
        return logits.permute(0, 2, 3, 1).reshape(N, H * W, K), boxes.permute(0, 2, 3, 1).reshape(N, H * W, 4)


def focal_loss(inputs: Tensor, targets: Tensor, alpha: float = 0.25, gamma: float = 2) -> Tensor:
    p = torch.sigmoid(inputs)
    ce_loss = F.binary_cross_entropy_with_logits(inputs, targets, reduction="none")
    p_t = p * targets + (1 - p) * (1 - targets)
    return (alpha * targets + (1 - alpha) * (1 - targets)) * ce_loss * (1 - p_t) ** gamma


def box_area(boxes: Tensor) -> Tensor:
    return (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])


def box_iou(boxes1: Tensor, boxes2: Tensor) -> Tensor:
    lt = torch.max(boxes1[:, None, :2], boxes2[:, :2])
    rb = torch.min(boxes1[:, None, 2:], boxes2[:, 2:])
    wh = (rb - lt).clamp(min=0)
    inter = wh[:, :, 0] * wh[:, :, 1]
    return inter / (box_area(boxes1)[:, None] + box_area(boxes2) - inter)


def nms(boxes: Tensor, scores: Tensor, threshold: float) -> Tensor:
    order, keep = scores.argsort(descending=True), []
    while order.numel() > 0:
        i = order[0]
        keep.append(i)
        order = order[1:][box_iou(boxes[i][None], boxes[order[1:]])[0] <= threshold]
    return torch.stack(keep)


torch.manual_seed(0)
centre = torch.rand(16, 2) * 20 + 6
targets: List[Dict[str, Tensor]] = [{"box": torch.cat([c - 4, c + 4]), "label": torch.tensor(i % 2)} for i, c in enumerate(centre)]
axis = torch.arange(32.0)
images = torch.stack([
    torch.outer(((axis - c[1]).abs() < 4).float(), ((axis - c[0]).abs() < 4).float()) * (1 + t["label"])
    for c, t in zip(centre, targets)]).unsqueeze(1)
backbone = nn.Sequential(nn.Conv2d(1, 8, 3, 2, 1), nn.ReLU(), nn.Conv2d(8, 8, 3, 2, 1), nn.ReLU())
head = Head(8, 2)
cells = torch.stack(torch.meshgrid(torch.arange(8.0), torch.arange(8.0), indexing="xy"), -1).view(-1, 2) * 4 + 2
params = [p for p in (*backbone.parameters(), *head.parameters()) if p.requires_grad]
optimizer = torch.optim.SGD(params, lr=0.01, momentum=0.9, weight_decay=1e-4, nesterov=True)
for epoch in range(3):
    logits, boxes = head(backbone(images))
    classes, wanted = torch.zeros_like(logits), torch.zeros_like(boxes)
    for n, t in enumerate(targets):
        inside = ((cells >= t["box"][:2]) & (cells <= t["box"][2:])).all(dim=1)
        classes[n, inside, t["label"]] = 1.0
        wanted[n, inside] = (t["box"].view(2, 2) - cells[inside][:, None]).flatten(1) / 4
    foreground = classes.sum(-1) > 0
    losses = {
        "classification": focal_loss(logits, classes).sum() / max(1, foreground.sum()),
        "bbox_regression": F.smooth_l1_loss(boxes[foreground], wanted[foreground]),
    }
    loss = sum(losses.values())
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    print(f"Epoch: [{epoch}] " + "  ".join(f"{k}: {v.item():.4f}" for k, v in losses.items()))
with torch.no_grad():
    logits, boxes = head(backbone(images[:1]))
    scores, labels = logits[0].sigmoid().max(dim=1)
    decoded = cells.repeat(1, 2) + boxes[0] * 4 + torch.tensor([-4.0, -4.0, 4.0, 4.0])
    keep = nms(decoded, scores, 0.1)
print(decoded[keep].shape[1], labels[keep].dtype, scores[keep].dtype)
