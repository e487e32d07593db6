"""`torchvision.models` in a script: this package's networks, by every path, and names for weights that are not here."""

from __future__ import annotations

from tests.compat.conftest import Run


def test_scripts_find_networks_by_their_paths(run: Run) -> None:
    done = run("""
        import torch, torchvision
        import torchvision.models.googlenet
        import torchvision.models as models
        from torchvision.models import resnet18, ResNet18_Weights, EfficientNet_B0_Weights, Wide_ResNet50_2_Weights
        from torchvision.models.resnet import BasicBlock, ResNet, ResNet34_Weights
        from torchvision.models.mobilenetv2 import InvertedResidual
        from torchvision.models.segmentation import fcn_resnet50
        from torchvision.ops.misc import Conv2dNormActivation
        import tinygrad_cnn
        assert {"resnet18", "list_models"} <= set(dir(models)) and "relu" in dir(torch.nn.functional)
        assert models.resnet.ResNet is ResNet is tinygrad_cnn.models.ResNet and callable(models.googlenet)
        assert Conv2dNormActivation is tinygrad_cnn.models.blocks.Conv2dNormActivation
        net = models.get_model("squeezenet1_1", num_classes=3)
        image = ResNet18_Weights.DEFAULT.transforms()(torch.zeros(1, 3, 80, 90, dtype=torch.uint8))
        print(net(image).shape, ResNet18_Weights.DEFAULT, len(models.list_models()))
    """)
    assert done.out == "torch.Size([1, 3]) ResNet18_Weights.IMAGENET1K_V1 30\n", done.err


def test_weights_and_networks_that_are_not_here_are_refused(run: Run) -> None:
    done = run(
        "import torchvision\ntorchvision.models.resnet18(weights=torchvision.models.ResNet18_Weights.DEFAULT)"
    )
    assert done.status == 1 and "this package downloads none: get the .pth file yourself" in done.err
    done = run("from torchvision.models import vit_b_16\nvit_b_16()")
    assert done.status == 1 and "whose own file then runs on this engine" in done.err
