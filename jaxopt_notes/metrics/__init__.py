"""Metrics: how good a model is, in numbers that people report.

A metric is a function of (outputs, targets). There are two kinds, told apart by one argument:

    accuracy(outputs, labels)                  one value per example, which `weighted_mean` averages
    roc_auc(outputs, labels, weights=None)     one number for a whole data set

What is a mean over examples may be averaged batch by batch, weighted by their sizes. What takes `weights` is
a quotient of sums, or an order of all samples (R², F1, AUC), and no mean of what it is for parts: it needs
all outputs at once, which `FitResult.predict` and a `Trainer`'s evaluation make in chunks. A sample of weight
0 counts nothing, whatever it holds, so data may be filled up or cut out by weights at fixed shapes.

    Trainer(..., metric={"accuracy": accuracy, "auc": roc_auc, "f1": functools.partial(f1, average="macro")})

Outputs are what models put out: logits, unless `from_logits=False` says that they are probabilities; one
score per class on the last axis, or a single one of class 1 against class 0. The arguments come in the order
of losses, (outputs, targets), where scikit-learn has it the other way round; values are scikit-learn's.

`METRICS` lists them by name.
"""

# ruff: noqa: F403

# One line for each file of metrics: the names in its `__all__` are public, and in `METRICS`.
from jaxopt_notes.metrics.accuracy import *
from jaxopt_notes.metrics.average_precision import *
from jaxopt_notes.metrics.balanced_accuracy import *
from jaxopt_notes.metrics.brier_score import *
from jaxopt_notes.metrics.calibration_error import *
from jaxopt_notes.metrics.confusion_matrix import *
from jaxopt_notes.metrics.f1 import *
from jaxopt_notes.metrics.log_loss import *
from jaxopt_notes.metrics.mae import *
from jaxopt_notes.metrics.r2 import *
from jaxopt_notes.metrics.rmse import *
from jaxopt_notes.metrics.roc_auc import *
from jaxopt_notes.registry import public_names as _public_names

METRICS = {name: globals()[name] for name in _public_names(__name__, globals())}
"""The metrics by name."""

__all__ = ["METRICS", *_public_names(__name__, globals())]
