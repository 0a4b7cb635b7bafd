"""Bias against variance, over training and over capacity, and what early stopping makes of the choice.

A sine at 25 points with noise is learnt by networks of 1 to 32 units, from many draws of the noise. In the
course of training bias falls and variance grows, and so they do from narrow networks to wide ones: the sum is
least in between. Variance is over training sets that might have been drawn, not, as the notes say, the
difference of a training set from a validation set. A network that stops by a validation set of its own comes
near the least sum at any capacity, without knowing where it lies.
"""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from jaxopt_notes.diagnostics.bias_variance import bias_variance_of
from jaxopt_notes.dtypes import Tree
from jaxopt_notes.initializers import normal
from jaxopt_notes.layers import mlp
from jaxopt_notes.optimizers import adam, apply_updates
from jaxopt_notes.record import check_count, record
from jaxopt_notes.search.export import Rows
from jaxopt_notes.studies.result import Figure, StudyResult, median, rows_of
from jaxopt_notes.training.early_stopping.patience import patience
from jaxopt_notes.training.early_stopping.replay import replay

__all__ = ["BiasVarianceTradeoff", "bias_variance_tradeoff"]

POINTS, NOISE, RATE = 25, 0.5, 0.02
UNITS = (1, 2, 4, 8, 16, 32)
LOOKS, PATIENCE = 60, 10


@record
class BiasVarianceTradeoff(StudyResult):
    """See `bias_variance_tradeoff`."""

    units: Any  # [units], the capacity
    epochs: Any  # [epochs], at which was looked
    noise: Any  # the variance of observations, which no network can do without
    bias_squared: Any  # [units, epochs, seeds], means over the inputs
    variance: Any  # [units, epochs, seeds], over training sets
    stopped_bias: Any  # [units, seeds], squared, of networks that stop early
    stopped_variance: Any  # [units, seeds]
    stop_epoch: Any  # [units, seeds], the mean over training sets of the epoch that is kept

    @property
    def total(self) -> np.ndarray:
        """[units, epochs, seeds]: the expected squared error on new observations."""
        return np.asarray(self.bias_squared) + np.asarray(self.variance) + self.noise

    @property
    def stopped(self) -> np.ndarray:
        """[units, seeds]: that of networks that stop early."""
        return np.asarray(self.stopped_bias) + np.asarray(self.stopped_variance) + self.noise

    def rows(self) -> Rows:
        total = median(self.total)
        return rows_of(
            units=self.units, bias_squared=median(self.bias_squared[:, -1]),
            variance=median(self.variance[:, -1]), error=total[:, -1], least_error=total.min(axis=1),
            at_epoch=self.epochs[total.argmin(axis=1)], error_stopped=median(self.stopped),
            stops_at=median(self.stop_epoch),
        )  # fmt: skip

    def plot(self) -> Figure:
        from jaxopt_notes.plots.panels import bands, panels

        drawn, (left, middle, right) = panels(3)
        parts = {"bias²": self.bias_squared, "variance": self.variance, "sum and noise": self.total}
        widest = {name: np.asarray(part)[-1].T for name, part in parts.items()}
        bands(left, self.epochs, widest)
        left.set(xscale="log", xlabel="epoch", title=f"{self.units[-1]} units")
        bands(middle, self.units, {name: np.asarray(part)[:, -1].T for name, part in parts.items()})
        middle.set(title=f"after {self.epochs[-1]} epochs")
        ends = {"at the end": self.total[:, -1], "stopped early": self.stopped, "at best": self.total.min(1)}
        bands(right, self.units, {name: error.T for name, error in ends.items()})
        right.set(title="and with early stopping")
        for axis in (middle, right):
            axis.set(xscale="log", xlabel="hidden units")
            axis.set_xticks(self.units, [f"{n}" for n in self.units], minor=False)
            axis.minorticks_off()
        left.set_ylabel("expected squared error")
        return drawn


def bias_variance_tradeoff(
    key: jax.Array, *, seeds: int = 3, sets: int = 24, epochs: int = 3000
) -> BiasVarianceTradeoff:
    """Bias and variance of networks over their training and their width, and with early stopping.

        y = sin(2πx) + noise of variance ¼ at 25 points;   one hidden layer of tanh, Adam on all points

    Arguments:
        key: a typed random key.
        seeds: repetitions of everything.
        sets: training sets in each, which differ by their noise, and networks by their first weights.
        epochs: of each, at least 60; looked at 60 times.

    Returns:
        A `BiasVarianceTradeoff`. The validation set of early stopping has noise of its own, and 25 points.

    Raises:
        ValueError: a number below its least. TypeError: an argument is not a whole number.

    Source: Geman, Bienenstock & Doursat 1992. In their regime, that of no more weights than can be fitted,
    capacity has a best value; Belkin et al. 2019 for what may come beyond.
    """
    check_count("bias_variance_tradeoff(seeds)", seeds, 1)
    check_count("bias_variance_tradeoff(sets)", sets, 2)
    stride = check_count("bias_variance_tradeoff(epochs)", epochs, LOOKS) // LOOKS
    model = mlp([UNITS[-1], 1], "tanh", kernel_init=normal(1.0))
    x, grid = (jnp.linspace(-1, 1, n)[:, None] for n in (POINTS, 80))

    def run(units: jax.Array, key: jax.Array) -> tuple:
        of_noise, of_valid, of_params = jax.random.split(key, 3)
        y, valid_y = (truth(x) + NOISE * jax.random.normal(k, x.shape) for k in (of_noise, of_valid))
        present = (jnp.arange(float(UNITS[-1])) < units).astype(x.dtype)

        def outputs(params: Tree, x: jax.Array) -> jax.Array:
            last = params["layers_2"]
            used = {**last, "kernel": last["kernel"] * present[:, None] / jnp.sqrt(units)}
            return model.apply({**params, "layers_2": used}, (), x)[0]

        def error(params: Tree, y: jax.Array) -> jax.Array:
            return jnp.mean((outputs(params, x) - y) ** 2)

        optimizer = adam(RATE)

        def epoch(carry: tuple, _: None) -> tuple:
            params, state = carry
            updates, state = optimizer.update(jax.grad(error)(params, y), state, params)
            return (apply_updates(params, updates), state), None

        def look(carry: tuple, _: None) -> tuple:
            carry, _ = lax.scan(epoch, carry, length=stride)
            return carry, (outputs(carry[0], grid)[:, 0], error(carry[0], y), error(carry[0], valid_y))

        params, _ = model.init(of_params, x)
        looks: tuple = lax.scan(look, (params, optimizer.init(params)), length=LOOKS)[1]
        learnt, loss, valid_loss = looks
        kept = replay(patience(PATIENCE), {"loss": loss, "valid_loss": valid_loss}).best_epoch
        return learnt, learnt[kept - 1], kept * stride

    def repeated(units: jax.Array, keys: jax.Array) -> tuple:
        learnt, stopped, kept = jax.vmap(run, (None, 0))(units, keys)
        whole, early = (bias_variance_of(part, truth(grid[:, 0]), NOISE**2) for part in (learnt, stopped))
        found = whole.bias_squared, whole.variance, early.bias_squared, early.variance
        return *(jnp.mean(part, axis=-1) for part in found), jnp.mean(kept.astype(x.dtype))

    program = jax.jit(jax.vmap(jax.vmap(repeated, (None, 0), -1), (0, None)))
    found = map(np.asarray, program(jnp.asarray(UNITS, x.dtype), jax.random.split(key, (seeds, sets))))
    looks = stride * np.arange(1, LOOKS + 1)
    return BiasVarianceTradeoff(np.asarray(UNITS), looks, NOISE**2, *found)


def truth(x: jax.Array) -> jax.Array:
    """What is observed, but for noise."""
    return jnp.sin(2 * jnp.pi * x)
