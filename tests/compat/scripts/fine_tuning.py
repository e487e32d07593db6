"""Fine-tuning: the weights of a trained network from a .pt file, its features frozen, a new last layer."""

import copy

import torch
import torch.nn as nn
import torch.optim as optim
from torch.optim import lr_scheduler


def create(num_classes):
    return nn.Sequential(
        nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, num_classes))


torch.manual_seed(0)
torch.save({"epoch": 5, "state_dict": create(3).state_dict(), "best_acc1": torch.tensor(71.5)}, "pretrained.pt")

checkpoint = torch.load("pretrained.pt", map_location="cpu", weights_only=True)
print("=> loaded checkpoint (epoch {}), accuracy {:.1f}".format(checkpoint["epoch"], checkpoint["best_acc1"]))
model_ft = create(2)
state = {k: v for k, v in checkpoint["state_dict"].items() if not k.startswith("5.")}
print(model_ft.load_state_dict(state, strict=False))
for param in model_ft.parameters():
    param.requires_grad = False
model_ft[5] = nn.Linear(model_ft[5].in_features, 2)
print([name for name, p in model_ft.named_parameters() if p.requires_grad])
frozen = copy.deepcopy(model_ft[0].state_dict())
inputs = torch.randn(32, 1, 6, 6)
labels = (inputs.mean((1, 2, 3)) > 0).long()
criterion = nn.CrossEntropyLoss(label_smoothing=0.1)
optimizer = optim.SGD(filter(lambda p: p.requires_grad, model_ft.parameters()), lr=0.1, momentum=0.9)
scheduler = lr_scheduler.OneCycleLR(optimizer, max_lr=0.2, total_steps=6)
best = 0.0
for epoch in range(6):
    for phase in ["train", "val"]:
        model_ft.train() if phase == "train" else model_ft.eval()
        optimizer.zero_grad()
        with torch.set_grad_enabled(phase == "train"):
            outputs = model_ft(inputs)
            _, preds = torch.max(outputs, 1)
            loss = criterion(outputs, labels)
            if phase == "train":
                loss.backward()
                optimizer.step()
                scheduler.step()
        epoch_acc = torch.sum(preds == labels.data).double() / len(labels)
        print(f"{phase} Loss: {loss.item():.4f} Acc: {epoch_acc:.4f}")
        if phase == "val" and epoch_acc > best:
            best = epoch_acc
            torch.save(model_ft.state_dict(), "best_model_params.pt")
model_ft.load_state_dict(torch.load("best_model_params.pt"))
print(all(torch.equal(a, b) for a, b in zip(frozen.values(), model_ft[0].state_dict().values())))
