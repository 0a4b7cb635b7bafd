"""Training: a run as a pure function of a record, early stopping, checkpoints and the host loop.

    trainer = Trainer(mlp([64, 10]), adam(1e-3), softmax_cross_entropy, early_stopping=patience(10))
    result = fit(trainer, key, train, validation, epochs=50)      # progress, Ctrl-C, folder=…, iterators
    result.predict(x)

    state = trainer.init(key, train)                              # as a pure function: jit and vmap it
    state, history = trainer.advance(state, train, validation, epochs=50)

`refit_on_all` and `continue_on_all` take the validation set in afterwards; `lr_range_test` suggests a rate;
`replay` says where other rules would have stopped; `save` and `load` keep any tree.
"""

# ruff: noqa: F403

from jaxopt_notes.training import early_stopping as _early_stopping
from jaxopt_notes.training.checkpoint import load, load_metadata, load_params, save, save_params
from jaxopt_notes.training.early_stopping import *
from jaxopt_notes.training.epoch import TrainState
from jaxopt_notes.training.evaluation import evaluate, predict
from jaxopt_notes.training.fit import FitResult, fit
from jaxopt_notes.training.lr_range_test import RangeTest, lr_range_test
from jaxopt_notes.training.refit import continue_on_all, refit_on_all
from jaxopt_notes.training.step import Learner, StepRecord, train_step
from jaxopt_notes.training.time_limit import time_limit
from jaxopt_notes.training.trainer import Trainer

__all__ = [
    "FitResult", "Learner", "RangeTest", "StepRecord", "TrainState", "Trainer", "continue_on_all", "evaluate",
    "fit", "load", "load_metadata", "load_params", "lr_range_test", "predict", "refit_on_all", "save",
    "save_params", "time_limit", "train_step", *_early_stopping.__all__,
]  # fmt: skip
