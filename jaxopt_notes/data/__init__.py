"""Data: pairs `(x, y)` of arrays with a common leading axis, and what happens before training.

    data = digits()
    train, validation, test = split(key, data)              # stratified, by key
    standardizer = fit_standardizer(train[0])               # statistics of the training set only
    x = standardizer.apply(train[0])
    batches = epoch_batches(key, n, batch_size)             # inside jit: every sample once

Nothing here holds a position or a hidden key: an epoch is an array of indices, a split is three
pairs, and all of it runs on the device, under `jit`, `vmap` and `scan`. The one exception is
`SealedTestSet`, which remembers that it has been opened, because that is its purpose.

What there is: splits (`split`, `grouped_split`, `time_ordered_split`), folds of cross-validation and the
bootstrap, as indices and as weights of all samples; `leakage_report`, for what two parts share; transforms
fitted to the training set, by weights too (`preprocessing`); `augmentation`, a part of the training step; for
rare classes `class_weights`, `balanced_batches`, `smote`. There is no loader: data that no memory holds come
from those of torch or grain, or from any iterator, which `fit` takes as it takes arrays.
"""

# ruff: noqa: F403

from jaxopt_notes.data.augmentation import *
from jaxopt_notes.data.augmentation import __all__ as _augmentation
from jaxopt_notes.data.balanced_batches import balanced_batches
from jaxopt_notes.data.batches import Batches, epoch_batches, shuffled_indices, take
from jaxopt_notes.data.bootstrap import Bootstrap, bootstrap
from jaxopt_notes.data.class_weights import class_weights
from jaxopt_notes.data.datasets import digits, mnist
from jaxopt_notes.data.folds import (
    Folds,
    grouped_kfold_indices,
    kfold_indices,
    leave_one_out_indices,
    repeated_kfold_indices,
    time_series_indices,
)
from jaxopt_notes.data.leakage import LeakageReport, assert_disjoint, leakage_report
from jaxopt_notes.data.preprocessing import *
from jaxopt_notes.data.preprocessing import __all__ as _preprocessing
from jaxopt_notes.data.sealed import SealedTestSet
from jaxopt_notes.data.smote import smote, synthetic_samples
from jaxopt_notes.data.splits import Split, grouped_split, split, time_ordered_split

DATASETS = {"digits": digits, "mnist": mnist}
"""The data sets by name."""

__all__ = [
    *_augmentation,
    *_preprocessing,
    "DATASETS",
    "Batches",
    "Bootstrap",
    "Folds",
    "LeakageReport",
    "SealedTestSet",
    "Split",
    "assert_disjoint",
    "balanced_batches",
    "bootstrap",
    "class_weights",
    "digits",
    "epoch_batches",
    "grouped_kfold_indices",
    "grouped_split",
    "kfold_indices",
    "leakage_report",
    "leave_one_out_indices",
    "mnist",
    "repeated_kfold_indices",
    "shuffled_indices",
    "smote",
    "split",
    "synthetic_samples",
    "take",
    "time_ordered_split",
    "time_series_indices",
]
