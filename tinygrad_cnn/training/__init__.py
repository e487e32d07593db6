"""Training in one call, for whoever comes from Keras: fit, evaluate, predict, callbacks, History.

    history = fit(model, X, y, epochs=5, validation_split=0.1)     # or fit(model, train, 5, validation=held_out)
    loss, accuracy = evaluate(model, test)

    trainer = Trainer(model).compile(optimizer="adam", loss="categorical_crossentropy", metrics=["auc"])
    trainer.fit(X, Y, validation_data=(X_valid, Y_valid), epochs=10)

`Trainer` is the one loop; its whole state can be saved after any batch and continued bit for bit. `fit` makes one.
"""

from tinygrad_cnn.training.augment import RandomShift
from tinygrad_cnn.training.boxes import average_precision, box_iou
from tinygrad_cnn.training.callbacks import (
    Callback,
    CSVLogger,
    EarlyStopping,
    GradientStatistics,
    LambdaCallback,
    ModelCheckpoint,
    TerminateOnNaN,
)
from tinygrad_cnn.training.checkpoint import RunCheckpoint, load_run, load_weights
from tinygrad_cnn.training.evaluation import Evaluation, evaluate, predict
from tinygrad_cnn.training.history import History
from tinygrad_cnn.training.loading import as_loader
from tinygrad_cnn.training.loop import fit
from tinygrad_cnn.training.losses import LOSSES, gelu_margin, relu_margin, sigmoid_margin
from tinygrad_cnn.training.metric_objects import (
    AUC,
    Accuracy,
    F1Score,
    Mean,
    MeanIoU,
    Metric,
    Precision,
    Recall,
    TopKAccuracy,
)
from tinygrad_cnn.training.metrics import accuracy, class_iou, class_report, confusion_matrix, top_k_accuracy
from tinygrad_cnn.training.optimizers import OPTIMIZERS
from tinygrad_cnn.training.rates import LearningRateScheduler, ReduceLROnPlateau
from tinygrad_cnn.training.saving import load_model, save_model
from tinygrad_cnn.training.tensorboard import TensorBoard
from tinygrad_cnn.training.trainer import DivergedError, Trainer

#: Its lines are shown as where nodes were made: they are written as users write theirs (see `autograd.provenance`).
__user_code__ = True

__all__ = [
    "AUC",
    "Accuracy",
    "CSVLogger",
    "Callback",
    "DivergedError",
    "EarlyStopping",
    "Evaluation",
    "F1Score",
    "GradientStatistics",
    "History",
    "LOSSES",
    "LambdaCallback",
    "LearningRateScheduler",
    "Mean",
    "MeanIoU",
    "Metric",
    "ModelCheckpoint",
    "OPTIMIZERS",
    "Precision",
    "RandomShift",
    "Recall",
    "ReduceLROnPlateau",
    "RunCheckpoint",
    "TensorBoard",
    "TerminateOnNaN",
    "TopKAccuracy",
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
    "load_model",
    "load_run",
    "load_weights",
    "gelu_margin",
    "predict",
    "relu_margin",
    "save_model",
    "sigmoid_margin",
    "top_k_accuracy",
]
