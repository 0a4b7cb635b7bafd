"""What flows through a deep network before training: the histograms of figures 15-1 to 15-4, and two more.

Two standard deviations are told apart. Pooled over all units and examples, the activations of sigmoids with
Xavier's weights look healthy in every layer. Of each unit by itself, over the examples, hardly anything
is left after six: every unit has come to a constant of its own, and the input is lost. The notes' figure
15-2 shows the pooled histogram and calls it good for learning, which it is not.
"""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxopt_notes.activations import ACTIVATIONS
from jaxopt_notes.diagnostics.activation_stats import activation_stats
from jaxopt_notes.dtypes import Tree
from jaxopt_notes.initializers import he_normal, normal, xavier_uniform
from jaxopt_notes.record import check_count, record, static
from jaxopt_notes.search.export import Rows
from jaxopt_notes.studies.result import Array, Figure, StudyResult, rows_of

__all__ = ["InitialActivations", "initial_activations"]

BINS = 25


@record
class InitialActivations(StudyResult):
    """See `initial_activations`."""

    panels: tuple[str, ...] = static()
    pooled: Array  # [panels, seeds, layers]: standard deviation over units and examples together
    per_unit: Array  # the same of each unit over the examples, averaged over units
    ends: Array  # share of activations below 0.1 or above 0.9 (of tanh, of its absolute value above 0.99)
    zeros: Array  # share of exact zeros
    slope: Array  # mean of a(1 − a) for sigmoids, of 1 − a² for tanh, of [a > 0] for ReLU
    histograms: Array  # [panels, layers, 25], of the first seed

    def rows(self) -> Rows:
        def of_layer(values: Any, layer: int) -> np.ndarray:
            return np.median(values[..., layer], axis=1)

        return rows_of(
            panel=self.panels, pooled_first=of_layer(self.pooled, 0), pooled_last=of_layer(self.pooled, -1),
            per_unit_first=of_layer(self.per_unit, 0), per_unit_last=of_layer(self.per_unit, -1),
            saturated_last=of_layer(self.ends, -1), zeros_last=of_layer(self.zeros, -1),
            slope_last=of_layer(self.slope, -1),
        )  # fmt: skip

    def plot(self) -> Figure:
        from jaxopt_notes.plots.figure import BLUE
        from jaxopt_notes.plots.panels import bands, panels

        count, layers = self.histograms.shape[:2]
        drawn, axes = panels(count * (layers + 1), columns=layers + 1, width=1.75, height=1.6)
        for i, name in enumerate(self.panels):
            low = -1 if "tanh" in name else 0
            edges = np.linspace(low, 1, BINS + 1)
            row = axes[i * (layers + 1) : (i + 1) * (layers + 1)]
            for layer, axis in enumerate(row[:-1]):
                axis.bar(edges[:-1], self.histograms[i, layer], np.diff(edges), align="edge", color=BLUE)
                axis.set(yticks=[], ylim=(0, 0.25))
                axis.set_title(f"layer {layer + 1}" if i == 0 else "", fontsize="small")
            row[0].set_ylabel(name, fontsize="small")
            both = {"pooled": self.pooled[i], "per unit": self.per_unit[i]}
            bands(row[-1], np.arange(1, layers + 1), both, legend=i == 0)
            row[-1].set(yscale="log", ylim=(1e-6, 3))
            row[-1].set_title("standard deviation" if i == 0 else "", fontsize="small")
        return drawn


def settings(scale_small: float, scale_large: float) -> dict[str, tuple[str, Any]]:
    """Name → activation and initializer; the first four are the notes' figures."""
    return {
        "N(0, 1), sigmoid": ("sigmoid", normal(1.0)), "Xavier, sigmoid": ("sigmoid", xavier_uniform()),
        "Xavier, ReLU": ("relu", xavier_uniform()), "He, ReLU": ("relu", he_normal()),
        "Xavier, tanh": ("tanh", xavier_uniform()), "too small, tanh": ("tanh", normal(scale_small)),
        "too large, tanh": ("tanh", normal(scale_large)),
    }  # fmt: skip


def initial_activations(
    key: jax.Array, *, seeds: int = 5, layers: int = 6, width: int = 128, examples: int = 1000,
    too_small: float = 0.01, too_large: float = 1.0,
) -> InitialActivations:  # fmt: skip
    """Activations, layer by layer, of networks that have not learnt yet, from inputs of N(0, 1).

    Arguments:
        key: a typed random key.
        seeds: networks, each with its own inputs.
        layers: dense layers, each followed by its activation.
        width: units of a layer, and of the input.
        examples: inputs.
        too_small, too_large: standard deviations of weights with which tanh collapses and saturates.

    Returns:
        An `InitialActivations`.

    Raises:
        ValueError: a number below 1. TypeError: an argument is not a whole number.

    Source: Glorot & Bengio 2010; He et al. 2015; cs231n, lecture 6; the notes' figures 15-1 to 15-4.
    He's histogram, "uniform" in 15-4, is one of values cut at 1: half of them are 0, and many are larger.
    """
    for name, number in {"seeds": seeds, "layers": layers, "width": width, "examples": examples}.items():
        check_count(f"initial_activations({name})", number, 1)

    def run(activation: str, init: Any, key: jax.Array) -> tuple:
        a = jax.random.normal(jax.random.fold_in(key, 0), (examples, width))

        def layer(a: jax.Array, key: jax.Array) -> tuple:
            a = ACTIVATIONS[activation](a @ init(key, (width, width)))
            low = -1.0 if activation == "tanh" else 0.0
            stats = activation_stats(a, bounds=(-0.99, 0.99) if activation == "tanh" else (0.1, 0.9))
            slopes = {"sigmoid": a * (1 - a), "tanh": 1 - a**2, "relu": (a > 0).astype(a.dtype)}
            counts, _ = jnp.histogram(a, BINS, (low, 1.0))
            numbers = stats.std, stats.unit_std, stats.saturated, stats.zeros, jnp.mean(slopes[activation])
            return a, (numbers, counts / a.size)

        return jax.lax.scan(layer, a, jax.random.split(jax.random.fold_in(key, 1), layers))[1]

    chosen = settings(too_small, too_large)

    @jax.jit
    def program(keys: jax.Array) -> Tree:
        runs = [jax.vmap(lambda k, s=s: run(s[0], s[1], k))(keys) for s in chosen.values()]
        return jax.tree.map(lambda *parts: jnp.stack(parts), *runs)

    numbers, counts = jax.tree.map(np.asarray, program(jax.random.split(key, seeds)))
    pooled, per_unit, ends, zeros, slope = numbers
    return InitialActivations(tuple(chosen), pooled, per_unit, ends, zeros, slope, counts[:, 0])
