"""Dropout over all its masks: of which models its two readings are exact, and how far off they are elsewhere.

As an ensemble: the geometric mean of what 2ⁿ sub-networks say, normalized, is one pass with scaled outputs.
That is exact where nothing but a softmax follows, and an approximation behind a hidden layer; the arithmetic
mean is neither. As a penalty: on least squares the mean loss over masks is the loss and a ridge penalty, to
the last digit; elsewhere, as on logistic regression, that is the first term of a series, good while weights
are small. The notes have both without these conditions.
"""

import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxopt_notes.losses import half_mean_squared_error, sigmoid_binary_cross_entropy
from jaxopt_notes.record import check_count, record, static
from jaxopt_notes.search.export import Rows
from jaxopt_notes.studies.result import Array, Figure, StudyResult, median, rows_of

__all__ = ["DropoutMasks", "dropout_masks"]

RATE = 0.5
EXAMPLES, CLASSES = 16, 3
DEPTHS = (0, 1, 2, 3)
SIZES = (0.25, 0.5, 1.0, 2.0, 4.0)  # of weights


@record
class DropoutMasks(StudyResult):
    """See `dropout_masks`."""

    depths: tuple[int, ...] = static()  # hidden layers behind the dropout
    sizes: tuple[float, ...] = static()  # of the weights
    geometric: Array  # [depths, seeds]: largest difference of a probability from the scaled pass
    arithmetic: Array  # [depths, seeds]
    squares: Array  # [sizes, seeds]: what dropout adds to the loss, over the penalty
    logistic: Array  # [sizes, seeds]

    def rows(self) -> Rows:
        means = {"geometric mean": self.geometric, "arithmetic mean": self.arithmetic}
        penalties = {"least squares": self.squares, "logistic regression": self.logistic}
        names = [f"{mean}, {depth} hidden layers" for mean in means for depth in self.depths]
        names += [f"{loss}, weights of size {size:g}" for loss in penalties for size in self.sizes]
        off = [*means.values(), *(np.abs(np.asarray(ratio) - 1) for ratio in penalties.values())]
        apart = np.concatenate([np.asarray(part) for part in off])
        reading = ["ensemble"] * 2 * len(self.depths) + ["penalty"] * 2 * len(self.sizes)
        return rows_of(reading=reading, of=names, off_by=median(apart), at_most=apart.max(axis=-1))

    def plot(self) -> Figure:
        from jaxopt_notes.plots.panels import bands, panels

        drawn, (left, right) = panels(2)
        floor = float(jnp.finfo(jnp.float32).eps)  # what is exact has no place on a logarithmic axis
        means = {"geometric mean": self.geometric, "arithmetic mean": self.arithmetic}
        bands(left, self.depths, {name: np.maximum(gap, floor).T for name, gap in means.items()})
        left.set(
            yscale="log", xlabel="hidden layers behind the dropout", title="the mean of all sub-networks"
        )
        left.set(ylabel="away from the scaled pass", xticks=self.depths)
        losses = {"least squares": self.squares, "logistic regression": self.logistic}
        bands(right, self.sizes, {name: np.asarray(ratio).T for name, ratio in losses.items()})
        right.set(xscale="log", xlabel="size of the weights", title="dropout as a penalty")
        right.set_xticks(self.sizes, [f"{size:g}" for size in self.sizes])
        right.minorticks_off()
        right.set_ylabel("added to the loss / penalty")
        return drawn


def dropout_masks(key: jax.Array, *, seeds: int = 16, units: int = 8) -> DropoutMasks:
    """All masks of dropout at rate ½: against the pass with scaled outputs, and against a ridge penalty.

        ensemble   Π_m p(y | m ⊙ h)^P(m), normalized       beside p(y | (1 − p)·h)
        penalty    Σ_m P(m)·loss((m ⊙ x)·w/(1 − p)) − loss(x·w)       beside p/(2(1 − p))·Σⱼ wⱼ²·Σᵢ ℓ″ᵢ·xᵢⱼ²

    Arguments:
        key: a typed random key.
        seeds: networks, and data sets of 16 examples.
        units: n, of which each is dropped or kept: 2ⁿ masks, each in a pass of its own.

    Returns:
        A `DropoutMasks`.

    Raises:
        ValueError: a number below 1. TypeError: an argument is not a whole number.

    Source: Goodfellow, Bengio & Courville 2016, section 7.12; Srivastava et al. 2014, section 9.1; Wager et
    al. 2013 for generalized linear models.
    """
    check_count("dropout_masks(seeds)", seeds, 1)
    check_count("dropout_masks(units)", units, 1)
    masks = ((np.arange(2**units)[:, None] >> np.arange(units)) % 2).astype(np.float32)

    def gaps(key: jax.Array) -> tuple:
        """Of both means from the scaled pass [depths], for networks with so many hidden layers."""
        h, *weights, last = drawn(key, (EXAMPLES, units), *[(units, units)] * DEPTHS[-1], (units, CLASSES))

        def log_probabilities(mask: Any) -> jax.Array:
            """Of the networks of all depths [depths, B, classes]."""
            logits = []
            for depth in DEPTHS:
                z = h * mask[None]
                for w in weights[:depth]:
                    z = jax.nn.relu(z @ w * (2 / units) ** 0.5)
                logits.append(z @ last / units**0.5)
            return jax.nn.log_softmax(jnp.stack(logits))

        each = jax.vmap(log_probabilities)(masks)
        scaled = jnp.exp(log_probabilities(np.full(units, 1 - RATE, np.float32)))
        means = jax.nn.softmax(jnp.mean(each, axis=0)), jnp.mean(jnp.exp(each), axis=0)
        return tuple(jnp.max(jnp.abs(mean - scaled), axis=(1, 2)) for mean in means)

    def added(size: jax.Array, key: jax.Array) -> tuple:
        """What the masks add to two losses of a linear model, over what the penalty says."""
        x, w, y = drawn(key, (EXAMPLES, units), (units,), (EXAMPLES,))
        w, y = size * w / units**0.5, (y > 0).astype(x.dtype)

        def ratio(loss: Any, second: jax.Array) -> jax.Array:
            each = jax.vmap(lambda mask: loss((x * mask[None]) @ w / (1 - RATE), y))(masks)
            penalty = RATE / (1 - RATE) / 2 * jnp.sum(w[None] ** 2 * second[:, None] * x**2, axis=1)
            return jnp.sum(jnp.mean(each, axis=0) - loss(x @ w, y)) / jnp.sum(penalty)

        chance = jax.nn.sigmoid(x @ w)
        return (
            ratio(lambda z, y: half_mean_squared_error(z[:, None], y[:, None]), jnp.ones(EXAMPLES)),
            ratio(sigmoid_binary_cross_entropy, chance * (1 - chance)),
        )

    @jax.jit
    def program(keys: jax.Array) -> tuple:
        over_sizes = jax.vmap(jax.vmap(added, (None, 0)), (0, None))(jnp.asarray(SIZES), keys)
        return *jax.vmap(gaps, out_axes=1)(keys), *over_sizes

    with jax.default_matmul_precision("highest"):  # the three digits of GPU and TPU are too few
        found = program(jax.random.split(key, seeds))
    return DropoutMasks(DEPTHS, SIZES, *map(np.asarray, found))


def drawn(key: jax.Array, *shapes: tuple[int, ...]) -> list[jax.Array]:
    """Normal numbers in several shapes, by one call."""
    ends = np.cumsum([math.prod(shape) for shape in shapes])
    parts = jnp.split(jax.random.normal(key, (int(ends[-1]),)), ends[:-1])
    return [part.reshape(shape) for part, shape in zip(parts, shapes, strict=True)]
