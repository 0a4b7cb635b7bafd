"""Evaluation: a model's outputs on a whole data set, and what they are worth.

The outputs are made in chunks of bounded size, and loss and metrics are taken of all of them at once,
so scores that are not means over examples (R², AUC, F1) are right too, whatever the chunks. Nothing of
training is in them: no dropout, no augmentation, no penalty.
"""

import inspect
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.typing import ArrayLike

from jaxopt_notes.data.arrays import check_set
from jaxopt_notes.data.batches import take
from jaxopt_notes.data.selected import is_selected
from jaxopt_notes.dtypes import Tree, as_hyperparameter
from jaxopt_notes.layers.layer import Layer
from jaxopt_notes.losses.reduction import weighted_mean
from jaxopt_notes.sharding import whole


def predict(model: Layer, params: Tree, model_state: Tree, x: Tree, chunk_size: int = 1024) -> Tree:
    """The outputs of a model in evaluation mode.

    Arguments:
        model: a layer.
        params, model_state: its parameters and state.
        x: inputs [n, …].
        chunk_size: how many examples at most are in memory at once, static.

    Returns:
        Outputs [n, …].

    Example:
        >>> from jaxopt_notes.layers.dense import dense
        >>> params, state = dense(3).init(jax.random.key(0), jnp.ones((1, 2)))
        >>> predict(dense(3), params, state, jnp.ones((5, 2)), chunk_size=2).shape
        (5, 3)
    """

    def outputs(x: Tree) -> Tree:
        return model.apply(params, model_state, x, key=None, train=False)[0]

    n = count(x)
    chunks = -(-n // chunk_size)
    if chunks <= 1:
        return outputs(everything(x))
    size = -(-n // chunks)
    rows = jnp.minimum(jnp.arange(chunks * size), n - 1).reshape(chunks, size)
    out = lax.map(lambda row: outputs(take(x, row)), rows)
    return jax.tree.map(lambda a: a.reshape(chunks * size, *a.shape[2:])[:n], out)


def evaluate(
    trainer: Any, params: Tree, model_state: Tree, data: tuple, weights: ArrayLike | None = None
) -> dict[str, jax.Array]:
    """The mean loss and the metrics of a `Trainer` over a data set.

    Arguments:
        trainer: gives the model, loss, metrics and chunk size.
        params, model_state: those of the model.
        data: (x, y), n examples, or (x, y, weights).
        weights: [n], what each example counts, 0 for none; by default those of the data, or all alike.

    Returns:
        {"loss": …, "accuracy": …}, all others under the metrics' names ("loss_metric" for one called `loss`).

    Raises:
        ValueError: with weights, a metric that is one number and takes none.

    Example:
        >>> from jaxopt_notes.layers.dense import dense
        >>> from jaxopt_notes.losses.squared_error import mean_squared_error
        >>> from jaxopt_notes.optimizers.sgd import sgd
        >>> from jaxopt_notes.training.trainer import Trainer
        >>> trainer = Trainer(dense(1), sgd(0.1), mean_squared_error, metric=mean_squared_error)
        >>> data = (jnp.ones((4, 2)), jnp.ones((4, 1)))
        >>> sorted(evaluate(trainer, {"kernel": jnp.zeros((2, 1)), "bias": jnp.zeros(1)}, (), data).items())
        [('loss', Array(1., dtype=float32)), ('mean_squared_error', Array(1., dtype=float32))]
    """
    x, y, *own = data
    weights = own[0] if own and weights is None else weights
    outputs = predict(trainer.model, params, model_state, x, trainer.eval_batch_size)
    # What is cut over an explicit axis is so for the model; scores look at all outputs beside all targets.
    outputs, y, weights = jax.tree.map(whole, (outputs, everything(y), weights))
    scores = {"loss": weighted_mean(as_hyperparameter(trainer.loss(outputs, y)), weights)}
    scores |= {name: score(metric, outputs, y, weights) for name, metric in metrics_of(trainer).items()}
    return {name: as_hyperparameter(value) for name, value in scores.items()}


def score(metric: Any, outputs: Tree, targets: Tree, weights: ArrayLike | None = None) -> jax.Array:
    """A metric over a whole data set: itself if it takes weights, else the mean of its values per example.

    Raises:
        ValueError: a metric that takes weights and is no number, or one that is a number and takes none.

    Example:
        >>> from jaxopt_notes.metrics import accuracy, r2
        >>> score(accuracy, jnp.array([[2.0, 1.0], [0.0, 3.0]]), jnp.array([0, 0]), jnp.array([1.0, 3.0]))
        Array(0.25, dtype=float32)
        >>> score(r2, jnp.array([1.0, 2.0, 9.0]), jnp.array([1.0, 2.0, 0.0]), jnp.array([1.0, 1.0, 0.0]))
        Array(1., dtype=float32)
    """
    if "weights" in inspect.signature(metric).parameters:
        found = metric(outputs, targets, **({} if weights is None else {"weights": weights}))
        if jnp.ndim(found):
            raise ValueError(
                f"the metric {metric_name(metric)} returned shape {jnp.shape(found)}, expected one number: "
                "take one entry of it, or its mean, in a function of your own."
            )
        return found
    values = metric(outputs, targets)
    if weights is None:
        return jnp.mean(as_hyperparameter(values))
    if jnp.ndim(values) == 0:
        raise ValueError(
            f"the metric {metric_name(metric)} returned a scalar, expected one value per example to be "
            "weighted: leave out the mean, or give it a third argument called weights."
        )
    return weighted_mean(as_hyperparameter(values), weights)


def metrics_of(trainer: Any) -> dict[str, Any]:
    """The metrics of a `Trainer` by the names under which they are reported."""
    if trainer.metric is None or isinstance(trainer.metric, dict):
        return trainer.metric or {}
    name = metric_name(trainer.metric)
    return {"loss_metric" if name == "loss" else name: trainer.metric}


def metric_name(metric: Any) -> str:
    """The name of a function, also of a wrapped one, or of a record's class: "accuracy".

    Example:
        >>> from jaxopt_notes.metrics import accuracy
        >>> metric_name(jax.tree_util.Partial(accuracy))
        'accuracy'
    """
    function = metric.func if isinstance(metric, jax.tree_util.Partial) else metric
    return getattr(function, "__name__", type(metric).__name__.lower())


def everything(data: Tree) -> Tree:
    """A data set with arrays in place of `Selected` rows."""
    rows = lambda part: part[jnp.arange(len(part))] if is_selected(part) else part  # noqa: E731
    return jax.tree.map(rows, data, is_leaf=is_selected)


def check_weights(where: str, data: Any) -> None:
    """Refuse what is not (x, y), or (x, y, weights), of arrays, or has not one weight for each example.

    Raises:
        TypeError: naming what is no pair, or no array. ValueError: naming the shape found and the one
            expected, or a weight that is below 0 or not finite, where the numbers are known.
    """
    check_set(where, data)
    n = count(data[:2], where)
    if len(data) != 3:
        return
    weights = data[2]
    if jnp.shape(weights) != (n,):
        raise ValueError(
            f"{where} has weights of shape {jnp.shape(weights)}, expected ({n},), one number for each "
            "example."
        )
    if not isinstance(weights, jax.core.Tracer) and getattr(weights, "is_fully_addressable", True):
        known = np.asarray(jax.device_get(weights), np.float64)
        wrong = known[~(np.isfinite(known) & (known >= 0))]
        if len(wrong):
            raise ValueError(f"{where} has the weight {wrong[0]}, expected finite numbers of at least 0.")


def count(data: Tree, where: str = "data") -> int:
    """The length of the leading axis that all arrays of a data set share; `where` names it in errors."""
    parts = jax.tree.leaves(data, is_leaf=is_selected)
    lengths = sorted({len(part) if is_selected(part) or jnp.ndim(part) else 0 for part in parts})
    if len(lengths) != 1 or lengths[0] == 0:
        raise ValueError(
            f"{where} has leading axes of lengths {lengths}, expected one length of at least 1 for all."
        )
    return lengths[0]
