"""What the metrics of classification read: samples in rows, classes in columns, one label and weight each.

Outputs are scores per class [B, …, C], or one score per sample for class 1 against class 0: [B], or
[B, 1]. Further axes are samples too. A label outside [0, C) is no class, and neither is a one-hot row of
zeros: such a sample is left out, as one of weight 0 is, whatever its outputs are.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike

from jaxopt_notes.dtypes import as_hyperparameter, compute_dtype
from jaxopt_notes.numerics import log_softmax, power_of_two
from jaxopt_notes.record import Number


class Samples(NamedTuple):
    """Outputs [n, C], of which C may be 1; labels [n]; weights [n] of which the largest is about 1."""

    outputs: jax.Array
    labels: jax.Array
    weights: jax.Array
    unit: jax.Array

    @property
    def classes(self) -> int:
        """How many classes there are: a single score is that of two."""
        return max(self.outputs.shape[1], 2)

    def predictions(self, threshold: Number) -> jax.Array:
        """The class of the largest output, or of a single one above the threshold; −1 beside a NaN."""
        if self.outputs.shape[1] == 1:
            cut = as_hyperparameter(threshold).astype(self.outputs.dtype)
            first = (self.outputs[:, 0] > cut).astype(self.labels.dtype)
        else:
            first = jnp.argmax(self.outputs, axis=1).astype(self.labels.dtype)
        return jnp.where(jnp.any(jnp.isnan(self.outputs), axis=1), -1, first)

    def log_probabilities(self, from_logits: Any) -> jax.Array:
        """[n, classes]; probabilities are kept away from 0 and 1 by the precision of their dtype."""
        o = self.outputs
        eps = jnp.finfo(o.dtype).eps
        logits, p = o, o
        if o.shape[1] == 1:
            logits, p = jnp.concatenate([jnp.zeros_like(o), o], 1), jnp.concatenate([1 - o, o], 1)
        return jnp.where(from_logits, log_softmax(logits), jnp.log(jnp.clip(p, eps, 1 - eps)))

    def probabilities(self, from_logits: Any) -> jax.Array:
        """[n, classes]."""
        o = self.outputs
        if o.shape[1] == 1:
            p = jnp.where(from_logits, jax.nn.sigmoid(o), o)
            q = jnp.where(from_logits, jax.nn.sigmoid(-o), 1 - o)
            return jnp.concatenate([q, p], axis=1)
        return jnp.where(from_logits, jnp.exp(log_softmax(o)), o)

    def mean(self, values: jax.Array) -> jax.Array:
        """The weighted mean of one value per sample; 0 if nothing has weight."""
        total = jnp.sum(self.weights)
        return jnp.sum(self.weights * values) / jnp.where(total == 0, 1, total)


def read_samples(where: str, outputs: Any, targets: Any, weights: Any) -> Samples:
    """The samples of a metric. Those that are left out have weight 0, finite outputs and the label 0.

    Raises:
        ValueError: targets or weights of a wrong shape. TypeError: labels that are not integers.

    Example:
        >>> read_samples("f1", jnp.array([0.3, -2.0]), jnp.array([1, 0]), None).labels
        Array([1, 0], dtype=int32)
    """
    outputs, targets = jnp.asarray(outputs), jnp.asarray(targets)
    if outputs.ndim == 1 and targets.shape == outputs.shape:
        outputs = outputs[:, None]
    if outputs.shape[-1:] == (1,) and targets.shape in (outputs.shape, outputs.shape[:-1]):
        labels = _binary_labels(targets).reshape(outputs.shape[:-1])
    else:
        labels = labels_of(where, outputs, targets)
    outputs = outputs.astype(compute_dtype(outputs))
    weights = _spread(where, weights, labels, outputs.dtype)
    unit = power_of_two(jnp.max(weights, initial=0))
    labels, weights = labels.reshape(-1), weights.reshape(-1)
    columns = outputs.shape[-1]
    outputs = outputs.reshape(-1, columns)
    counts = (weights > 0) & (labels >= 0) & (labels < max(columns, 2))
    return Samples(
        jnp.where(counts[:, None], outputs, jnp.zeros_like(outputs)),
        jnp.where(counts, labels, jnp.zeros_like(labels)),
        jnp.where(counts, weights / unit, jnp.zeros_like(weights)),
        unit,
    )


def _binary_labels(targets: jax.Array) -> jax.Array:
    """0 and 1, also where they are written as numbers or truths."""
    if jnp.issubdtype(targets.dtype, jnp.floating):
        targets = targets > 0.5
    return targets.astype(jnp.result_type(int))


def _spread(where: str, weights: ArrayLike, labels: jax.Array, kind: Any) -> jax.Array:
    """Weights of the shape of the labels."""
    if weights is None:
        return jnp.ones(labels.shape, kind)
    weights = jnp.asarray(weights).astype(kind)
    if weights.shape not in (labels.shape[:1], labels.shape):
        raise ValueError(
            f"{where}(weights) has shape {weights.shape}, expected {labels.shape[:1]}, one weight a sample"
            + (f", or {labels.shape}, one a label." if labels.ndim > 1 else ".")
        )
    weights = weights.reshape(weights.shape + (1,) * (labels.ndim - weights.ndim))
    return jnp.broadcast_to(weights, labels.shape)


def labels_of(where: str, outputs: jax.Array, targets: jax.Array) -> jax.Array:
    """Targets as integer labels; a row without any probability is not a class, −1."""
    if outputs.ndim > 0 and targets.shape == outputs.shape:
        first = jnp.argmax(targets, axis=-1)
        return jnp.where(jnp.any(targets != 0, axis=-1), first, -1)
    remedy = f"labels have one axis less than the outputs {outputs.shape}, one-hot rows as many"
    check_shape(f"{where}(targets)", targets, outputs.shape[:-1], remedy)
    if not jnp.issubdtype(targets.dtype, jnp.integer):
        raise TypeError(
            f"{where}(targets) has dtype {targets.dtype} and shape {targets.shape}, expected integer labels: "
            f"use targets.astype(int), or one-hot rows of shape {outputs.shape}."
        )
    return targets.astype(jnp.result_type(int))


def check_shape(where: str, array: jax.Array, expected: tuple, remedy: str) -> None:
    if array.shape != expected:
        raise ValueError(f"{where} has shape {array.shape}, expected {expected}: {remedy}.")
