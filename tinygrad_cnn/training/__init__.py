"""Training in one call, for whoever comes from Keras: fit, evaluate, predict, callbacks, History.

    history = fit(model, train, epochs=5, validation=test)
    evaluate(model, test).accuracy

Underneath is `Trainer`, whose whole state can be saved after any batch and continued bit for bit.
"""

from tinygrad_cnn.training.augment import RandomShift
from tinygrad_cnn.training.boxes import average_precision, box_iou
from tinygrad_cnn.training.callbacks import (
    Callback,
    CSVLogger,
    EarlyStopping,
    LambdaCallback,
    ModelCheckpoint,
)
from tinygrad_cnn.training.checkpoint import RunCheckpoint, load_run, load_weights
from tinygrad_cnn.training.evaluation import Evaluation, evaluate, predict
from tinygrad_cnn.training.history import History
from tinygrad_cnn.training.loading import as_loader
from tinygrad_cnn.training.loop import fit
from tinygrad_cnn.training.metrics import accuracy, class_iou, class_report, confusion_matrix, top_k_accuracy
from tinygrad_cnn.training.trainer import DivergedError, Trainer

#: Its lines are shown as where nodes were made: they are written as users write theirs (see `autograd.provenance`).
__user_code__ = True

__all__ = [
    "CSVLogger",
    "Callback",
    "DivergedError",
    "EarlyStopping",
    "Evaluation",
    "History",
    "LambdaCallback",
    "ModelCheckpoint",
    "RandomShift",
    "RunCheckpoint",
    "Trainer",
    "accuracy",
    "as_loader",
    "average_precision",
    "box_iou",
    "class_iou",
    "class_report",
    "confusion_matrix",
    "evaluate",
    "fit",
    "load_run",
    "load_weights",
    "predict",
    "top_k_accuracy",
]
