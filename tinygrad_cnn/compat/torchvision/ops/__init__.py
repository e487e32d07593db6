"""`torchvision.ops`: boxes, what lies in them, and parts of networks (`tinygrad_cnn.models.blocks`)."""

from tinygrad_cnn.compat.torchvision.ops.boxes import (
    batched_nms,
    box_area,
    box_convert,
    box_iou,
    clip_boxes_to_image,
    generalized_box_iou,
    masks_to_boxes,
    nms,
    remove_small_boxes,
)
from tinygrad_cnn.compat.torchvision.ops.focal_loss import sigmoid_focal_loss
from tinygrad_cnn.compat.torchvision.ops.misc import (
    MLP,
    Conv2dNormActivation,
    Conv3dNormActivation,
    FrozenBatchNorm2d,
    Permute,
    SqueezeExcitation,
)
from tinygrad_cnn.compat.torchvision.ops.roi_align import RoIAlign, roi_align
from tinygrad_cnn.compat.torchvision.ops.stochastic_depth import StochasticDepth, stochastic_depth

__all__ = [
    "MLP", "Conv2dNormActivation", "Conv3dNormActivation", "FrozenBatchNorm2d", "Permute", "RoIAlign",
    "SqueezeExcitation", "StochasticDepth", "batched_nms", "box_area", "box_convert", "box_iou", "clip_boxes_to_image",
    "generalized_box_iou", "masks_to_boxes", "nms", "remove_small_boxes", "roi_align", "sigmoid_focal_loss",
    "stochastic_depth",
]  # fmt: skip
