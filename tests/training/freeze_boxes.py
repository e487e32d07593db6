"""What pycocotools and torchmetrics say of random boxes and masks: `python -m tests.training.freeze_boxes`.

Writes boxes.json beside this file. Needs pycocotools, PyTorch and torchmetrics (extra `oracle`).
"""

import json
from pathlib import Path

import numpy as np

ANSWERS = Path(__file__).with_name("boxes.json")


def boxes(seed, images=12, classes=3):
    """(found, true): boxes that are moved, missed, doubled and made up."""
    rng = np.random.default_rng(seed)
    found, true = [], []
    for _ in range(images):
        m = int(rng.integers(0, 6))
        corner = rng.uniform(0, 40, (m, 2))
        there = np.concatenate([corner, corner + rng.uniform(9, 20, (m, 2))], 1)
        labels = rng.integers(0, classes, m)
        kept = rng.random(m) < 0.8
        moved = there[kept] + rng.normal(0, 1.5, (int(kept.sum()), 4))
        made_up = rng.uniform(0, 30, (int(rng.integers(0, 3)), 2))
        made_up = np.concatenate([made_up, made_up + 10], 1)
        answers = np.concatenate([moved, moved[:1] + 0.5, made_up])
        said = np.concatenate([labels[kept], labels[kept][:1], rng.integers(0, classes, len(made_up))])
        said = np.where(rng.random(len(said)) < 0.1, (said + 1) % classes, said)
        found.append((answers, rng.random(len(answers)), said))
        true.append((there, labels))
    return found, true


def masks():
    rng = np.random.default_rng(5)
    target = rng.integers(0, 5, (4, 9, 9))
    return np.where(rng.random(target.shape) < 0.7, target, rng.integers(0, 5, target.shape)), target


if __name__ == "__main__":
    import torch
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval
    from torchmetrics.classification import MulticlassJaccardIndex

    answers = {"ap": {}}
    for seed in range(4):
        found, true = boxes(seed)
        listed, results = [], []
        for image, (there, labels) in enumerate(true, 1):
            for box, label in zip(there, labels):
                wide = [float(box[0]), float(box[1]), float(box[2] - box[0]), float(box[3] - box[1])]
                listed.append(
                    {"id": len(listed) + 1, "image_id": image, "category_id": int(label) + 1, "bbox": wide,
                     "area": wide[2] * wide[3], "iscrowd": 0}
                )  # fmt: skip
        for image, (there, scores, labels) in enumerate(found, 1):
            for box, score, label in zip(there, scores, labels):
                wide = [float(box[0]), float(box[1]), float(box[2] - box[0]), float(box[3] - box[1])]
                results.append({"image_id": image, "category_id": int(label) + 1, "bbox": wide, "score": float(score)})
        coco = COCO()
        coco.dataset = {
            "info": {}, "images": [{"id": i + 1} for i in range(len(true))], "annotations": listed,
            "categories": [{"id": c + 1} for c in range(3)],
        }  # fmt: skip
        coco.createIndex()
        run = COCOeval(coco, coco.loadRes(results), "bbox")
        run.evaluate()
        run.accumulate()
        run.summarize()
        answers["ap"][str(seed)] = {"0.5": float(run.stats[1]), "0.75": float(run.stats[2])}
    said, target = masks()
    iou = MulticlassJaccardIndex(5, average="macro")(torch.from_numpy(said), torch.from_numpy(target))
    answers["mean_iou"] = float(iou)
    ANSWERS.write_text(json.dumps(answers, indent=1) + "\n")
