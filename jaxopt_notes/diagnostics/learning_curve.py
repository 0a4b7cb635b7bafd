"""Learning curves: errors over the number of training samples, which say whether more data will help."""

import dataclasses
from collections.abc import Sequence
from typing import NamedTuple

import jax

from jaxopt_notes.diagnostics.trained_scores import Scores, stacked, trained_scores
from jaxopt_notes.record import check_count
from jaxopt_notes.training.evaluation import count
from jaxopt_notes.training.step_history import steps_of
from jaxopt_notes.training.trainer import Trainer

__all__ = ["LearningCurve", "learning_curve"]


class LearningCurve(NamedTuple):
    """Scores over the number of training samples.

    Arguments:
        sizes: how many samples.
        train, valid: {"loss": …, and each metric}, arrays [sizes, seeds].

    Example:
        >>> import jax.numpy as jnp
        >>> LearningCurve((5, 9), {"loss": jnp.zeros((2, 1))}, {"loss": jnp.array([[2.0], [1.0]])}).gap
        Array([2., 1.], dtype=float32)
    """

    sizes: tuple[int, ...]
    train: Scores
    valid: Scores

    @property
    def gap(self) -> jax.Array:
        """By how much the validation loss exceeds the training loss, the mean over seeds, [sizes]."""
        return (self.valid["loss"] - self.train["loss"]).mean(axis=1)


def learning_curve(
    trainer: Trainer,
    key: jax.Array,
    train_data: tuple,
    valid_data: tuple,
    sizes: Sequence[int],
    *,
    updates: int = 1000,
    seeds: int = 1,
) -> LearningCurve:
    """Train on more and more samples, each time from the beginning.

        L_train(n), L_valid(n) of the model after the same number of updates on n random samples

    Arguments:
        trainer: the run; its early stopping is left out, since validation data are to judge by.
        key: a typed random key.
        train_data, valid_data: (x, y) both.
        sizes: how many samples, each at most all; one program is compiled for each.
        updates: how many at least: the epochs are as many as that takes, so a small set is seen more often.
        seeds: how many runs per size, each of samples and initial parameters of its own; one `vmap`.

    Returns:
        A `LearningCurve`. If the two curves have met above what is wanted, the bias is high, and more data
        will not help; if they are far apart and closing, they will.

    Raises:
        ValueError: a size beyond the data, or below 1. TypeError: a size that is no whole number.

    Example:
        >>> import jax.numpy as jnp
        >>> from jaxopt_notes.layers.dense import dense
        >>> from jaxopt_notes.losses.squared_error import mean_squared_error
        >>> from jaxopt_notes.optimizers.sgd import sgd
        >>> trainer = Trainer(dense(1), sgd(0.1), mean_squared_error, metric=None)
        >>> data = (jnp.ones((8, 2)), jnp.ones((8, 1)))
        >>> curve = learning_curve(trainer, jax.random.key(0), data, data, [2, 8], updates=10, seeds=3)
        >>> curve.valid["loss"].shape
        (2, 3)

    Elsewhere: `sklearn.model_selection.learning_curve`, whose folds are splits of the data and not seeds.
    """
    n = count(train_data)
    for size in sizes:
        if check_count("learning_curve(sizes)", size, 1) > n:
            raise ValueError(f"learning_curve(sizes) has {size}, expected at most {n}, the training samples.")
    updates = check_count("learning_curve(updates)", updates, 1)
    keys = jax.random.split(key, check_count("learning_curve(seeds)", seeds, 1))
    trainer = dataclasses.replace(trainer, early_stopping=None)
    points = []
    for size in sizes:
        epochs = -(-updates // steps_of(trainer, size))
        points.append(trained_scores(trainer, keys, train_data, valid_data, size, epochs))
    return LearningCurve(tuple(sizes), *stacked(points))
