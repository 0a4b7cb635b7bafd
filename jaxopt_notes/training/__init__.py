"""Training: a run as a pure function of a record, early stopping, checkpoints and the host loop."""

from jaxopt_notes.training.checkpoint import load, load_metadata, load_params, save, save_params
from jaxopt_notes.training.early_stopping import Patience, StopUp, patience, stop_up
from jaxopt_notes.training.epoch import TrainState
from jaxopt_notes.training.evaluation import evaluate, predict
from jaxopt_notes.training.fit import FitResult, fit
from jaxopt_notes.training.step import Learner, train_step
from jaxopt_notes.training.trainer import Trainer

__all__ = [
    "FitResult", "Learner", "Patience", "StopUp", "TrainState", "Trainer", "evaluate", "fit", "load",
    "load_metadata", "load_params", "patience", "predict", "save", "save_params", "stop_up", "train_step",
]  # fmt: skip
