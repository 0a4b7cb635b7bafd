"""Batch normalization helps although the inputs of layers shift: the experiment of Santurkar et al.

After each normalization every unit of every batch is moved and stretched at random, so that distributions
inside the network change at every step, more than without normalization. Training stays faster than that of
the plain network: internal covariate shift is not what it helps against, as the notes and the first paper
have it.
"""

from typing import Any

import jax
import numpy as np

from jaxopt_notes.initializers import xavier_normal
from jaxopt_notes.layers import BatchNorm, serial
from jaxopt_notes.layers.layer import Shaped
from jaxopt_notes.record import Number, check_count, check_number, record, static
from jaxopt_notes.search.export import Rows
from jaxopt_notes.studies.normalized_digits import descents, ends, network
from jaxopt_notes.studies.result import Array, Figure, StudyResult, median, rows_of
from jaxopt_notes.studies.small_digits import images

__all__ = ["NoisyBatchNorm", "noisy_batch_norm"]


@record
class Shaken:
    """Each unit of each batch, moved and stretched at random, in training."""

    noise: Any

    def init(self, key: jax.Array, x: Shaped) -> tuple:
        return {}, ()

    def apply(
        self, params: Any, state: Any, x: Any, *, key: Any = None, train: bool = False
    ) -> tuple[Any, Any]:
        if not train:
            return x, state
        move, stretch = self.noise * jax.random.normal(key, (2, 1, x.shape[-1]), x.dtype)
        return x * (1 + stretch) + move, state


@record
class NoisyBatchNorm(StudyResult):
    """See `noisy_batch_norm`."""

    networks: tuple[str, ...] = static()
    rates: Array  # [rates]
    paths: Array  # [networks, rates, seeds, steps]: losses

    def rows(self) -> Rows:
        last = median(ends(self.paths))
        best = self.rates[np.argmin(last, axis=1)]
        return rows_of(network=self.networks, best_rate=best, loss=last.min(axis=1))

    def plot(self) -> Figure:
        from jaxopt_notes.plots.panels import bands, panels

        drawn, (axis,) = panels(1)
        best = np.argmin(median(ends(self.paths)), axis=1)
        paths = {name: self.paths[i, best[i]] for i, name in enumerate(self.networks)}
        bands(axis, np.arange(self.paths.shape[-1]), paths)
        axis.set(xlabel="step", ylabel="loss", title="sigmoids, each at its best rate")
        return drawn


def noisy_batch_norm(
    key: jax.Array, *, seeds: int = 5, steps: int = 100, depth: int = 6, width: int = 32, noise: Number = 0.5
) -> NoisyBatchNorm:
    """Sigmoid networks: plain, batch-normalized, and batch-normalized with noise after each normalization.

        x ← x·(1 + s·ε₁) + s·ε₂     of each unit, new for every batch

    Arguments:
        key: a typed random key.
        seeds: networks of each kind and rate.
        steps: of gradient descent on batches of 64.
        depth: hidden layers of sigmoids, from Xavier's initialization.
        width: their units.
        noise: s, the standard deviation of the shift, in units of the normalized outputs.

    Returns:
        A `NoisyBatchNorm`.

    Raises:
        ImportError: scikit-learn is missing. ValueError: a number below 1, noise below 0.

    Source: Santurkar et al. 2018, "How does batch normalization help optimization?", section 2.
    """
    for name, number in {"seeds": seeds, "steps": steps, "depth": depth, "width": width}.items():
        check_count(f"noisy_batch_norm({name})", number, 1)
    check_number("noisy_batch_norm(noise)", noise, "[0, inf)")
    rates, data = 4.0 ** np.arange(-3, 2), images()
    plain, normed = (
        network(norm, depth=depth, width=width, activation="sigmoid", kernel_init=xavier_normal())
        for norm in (False, "before")
    )
    layers: list[Any] = []
    for layer in normed.layers:
        layers += [layer, Shaken(noise)] if isinstance(layer, BatchNorm) else [layer]
    models = {"plain": plain, "normalized": normed, "normalized and shaken": serial(*layers)}
    paths = [descents(model, rates, key, seeds, data, steps) for model in models.values()]
    return NoisyBatchNorm(tuple(models), rates, np.stack(paths))
