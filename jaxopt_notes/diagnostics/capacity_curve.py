"""Capacity curves: errors over the size of the model, falling in training, U-shaped in validation."""

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax

from jaxopt_notes.diagnostics.trained_scores import Scores, stacked, trained_scores
from jaxopt_notes.record import check_count
from jaxopt_notes.training.evaluation import count
from jaxopt_notes.training.trainer import Trainer

__all__ = ["CapacityCurve", "capacity_curve"]


class CapacityCurve(NamedTuple):
    """Scores over the capacity of the model.

    Arguments:
        capacities: what was varied: widths, degrees, …
        parameters: how many numbers each model has.
        train, valid: {"loss": …, and each metric}, arrays [capacities, seeds].

    Example:
        >>> import jax.numpy as jnp
        >>> loss = {"loss": jnp.array([[2.0], [1.0], [3.0]])}
        >>> CapacityCurve((1, 3, 15), (2, 4, 16), loss, loss).best
        3
    """

    capacities: tuple
    parameters: tuple[int, ...]
    train: Scores
    valid: Scores

    @property
    def best(self) -> Any:
        """The capacity of the least validation loss, the mean over seeds."""
        return self.capacities[int(self.valid["loss"].mean(axis=1).argmin())]


def capacity_curve(
    build: Callable[[Any], Trainer],
    capacities: Sequence[Any],
    key: jax.Array,
    train_data: tuple,
    valid_data: tuple,
    *,
    epochs: int = 20,
    seeds: int = 1,
) -> CapacityCurve:
    """Train models of growing capacity on the same data.

        L_train(c), L_valid(c) of the model build(c) after training

    Arguments:
        build: from a capacity to a `Trainer`; its early stopping is left out, since validation data are to
            judge by.
        capacities: widths, depths, degrees, …; one program is compiled for each.
        key: a typed random key.
        train_data, valid_data: (x, y) both.
        epochs: how many for each.
        seeds: how many runs per capacity, from initial parameters of their own; one `vmap`.

    Returns:
        A `CapacityCurve`. Left of the best capacity models under-fit, right of it they over-fit. (Far to the
        right, with more parameters than samples, the validation loss may fall again.)

    Raises:
        ValueError, TypeError: see `Trainer.init`.

    Example:
        >>> import jax.numpy as jnp
        >>> from jaxopt_notes.layers.mlp import mlp
        >>> from jaxopt_notes.losses.squared_error import mean_squared_error
        >>> from jaxopt_notes.optimizers.sgd import sgd
        >>> build = lambda width: Trainer(mlp([width, 1]), sgd(0.1), mean_squared_error, metric=None)
        >>> data = (jnp.ones((4, 2)), jnp.ones((4, 1)))
        >>> capacity_curve(build, [2, 5], jax.random.key(0), data, data, epochs=2).parameters
        (9, 21)

    Source: Goodfellow, Bengio & Courville 2016, section 5.2; Belkin et al. 2019 for what lies beyond.

    Elsewhere: `sklearn.model_selection.validation_curve`, whose folds are splits of the data and not seeds.
    """
    epochs = check_count("capacity_curve(epochs)", epochs, 1)
    keys = jax.random.split(key, check_count("capacity_curve(seeds)", seeds, 1))
    points, parameters = [], []
    for capacity in capacities:
        trainer = dataclasses.replace(build(capacity), early_stopping=None)
        shapes = jax.eval_shape(trainer.init, key, train_data).learner.params
        parameters.append(sum(leaf.size for leaf in jax.tree.leaves(shapes)))
        points.append(trained_scores(trainer, keys, train_data, valid_data, count(train_data), epochs))
    return CapacityCurve(tuple(capacities), tuple(parameters), *stacked(points))
