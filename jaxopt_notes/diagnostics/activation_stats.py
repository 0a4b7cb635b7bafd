"""What the units of a layer do on a batch: how they are spread, how many saturate, how many are dead.

A histogram of all activations of a layer together can look as it should while every unit sits at a constant
of its own: it is spread over the units, not over the examples, and nothing of the input is left. So two
standard deviations are taken: of all activations (pooled), and of each unit over the examples.
"""

import functools
from collections.abc import Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import lax

from jaxopt_notes.dtypes import Tree, as_hyperparameter, compute_dtype, is_float
from jaxopt_notes.masks import path_name
from jaxopt_notes.numerics import safe_sqrt
from jaxopt_notes.record import Number

__all__ = [
    "ActivationStats",
    "UnitStats",
    "activation_stats",
    "dead_unit_fraction",
    "saturation_fraction",
    "unit_stats",
]


class UnitStats(NamedTuple):
    """What each unit of a layer does, all of shape [units].

    Arguments:
        mean, std: over examples (and places in an image or a sequence), the variance divided by their number.
        zeros: the share of them at which the unit is exactly 0.

    Example:
        >>> stats = unit_stats(jnp.array([[0.0, 3.0], [0.0, 5.0]]))
        >>> print(stats.mean, stats.std, stats.zeros)
        [0. 4.] [0. 1.] [1. 0.]
    """

    mean: jax.Array
    std: jax.Array
    zeros: jax.Array


class ActivationStats(NamedTuple):
    """What a layer does, in scalars.

    Arguments:
        mean, std: of all its activations together (pooled).
        unit_std: the standard deviation of one unit over the examples, the mean over units: what the layer
            still knows of its input. Where it is far below `std`, each unit has a constant of its own.
        zeros: the share of activations that are exactly 0.
        dead: the share of units that are 0 for every example: no gradient passes a rectifier there.
        saturated: the share of activations outside of given bounds; `None` without bounds.

    Example:
        >>> stats = activation_stats(jnp.array([[0.0, 3.0], [0.0, 5.0]]))
        >>> print(stats.mean, stats.unit_std, stats.zeros, stats.dead, stats.saturated)
        2.0 0.5 0.5 0.5 None
    """

    mean: jax.Array
    std: jax.Array
    unit_std: jax.Array
    zeros: jax.Array
    dead: jax.Array
    saturated: jax.Array | None


def unit_stats(x: jax.Array, weights: jax.Array | None = None) -> UnitStats:
    """Mean, standard deviation and share of zeros of each unit of a layer.

        mⱼ = E[xⱼ],     sⱼ = √E[(xⱼ − mⱼ)²]     over examples and places

    Arguments:
        x: a layer's outputs [B, …, units], or [B] of one unit.
        weights: [B], what each example counts; by default all alike.

    Returns:
        A `UnitStats` of arrays [units], in at least float32. Deviations are taken from the first example, so
        that a unit which hardly moves keeps its digits.

    Example:
        >>> print(unit_stats(jnp.array([[1.0, 3.0], [3.0, 3.0], [9.0, 9.0]]), jnp.array([1.0, 1.0, 0.0])).std)
        [1. 0.]

    Source: the study notes; Glorot & Bengio 2010, section 3.1, look at means and deviations of units.
    """
    rows, share = _rows(x, weights)
    first = rows[:1]
    away = rows - first
    mean, square, zeros = (_mean(share, of) for of in (away, away * away, (rows == 0).astype(rows.dtype)))
    return UnitStats(first[0] + mean, safe_sqrt(jnp.maximum(square - mean * mean, 0)), zeros)


def _mean(share: jax.Array, of: jax.Array) -> jax.Array:
    """Means of columns, as a product: on a CPU it takes half the time of a sum."""
    return jnp.matmul(share, of, precision=lax.Precision.HIGHEST)[0]


def _rows(x: jax.Array, weights: jax.Array | None) -> tuple[jax.Array, jax.Array]:
    """Outputs as [rows, units], and what each row counts, sum 1: [1, rows]."""
    x = jnp.asarray(x)
    x = x.astype(compute_dtype(x))
    x = x[:, None] if x.ndim == 1 else x
    rows = x.reshape(-1, x.shape[-1])
    if weights is None:
        return rows, jnp.full((1, len(rows)), 1 / max(len(rows), 1), x.dtype)
    places = len(rows) // len(x)
    weights = jnp.asarray(weights).astype(x.dtype)
    return rows, jnp.repeat(weights / jnp.sum(weights) / places, places)[None]


def activation_stats(
    outputs: Tree, weights: jax.Array | None = None, bounds: Any = None
) -> ActivationStats | Any:
    """Statistics of a layer's outputs, pooled and per unit, with the shares of zeros and of dead units.

        std² = E_j[sⱼ²] + Var_j[mⱼ],     unit_std = E_j[sⱼ]     over units j

    Arguments:
        outputs: [B, …, units], or a tree of such arrays, such as the dict that `capture` returns.
        weights: [B], what each example counts; 0 for padding. By default all alike.
        bounds: (low, high): what lies outside is saturated; or {path: (low, high)} for some of the outputs.

    Returns:
        An `ActivationStats`, or a tree of them, one for each array of floating-point numbers.

    Example:
        >>> outputs = {"layers_0": jnp.array([[1.0, 3.0], [1.0, 3.0]])}  # or those of `capture`
        >>> stats = jax.jit(activation_stats)(outputs)["layers_0"]
        >>> print(stats.std, stats.unit_std)
        1.0 0.0

    Source: the study notes, whose figures of sigmoids with Xavier's weights look normal pooled, and are not
    "good for learning": one unit's deviation over the examples falls to a quarter with each layer.

    Elsewhere: the histograms of TensorBoard and of most courses are pooled.
    """

    leaves, treedef = jax.tree.flatten_with_path(outputs)
    alike: dict[tuple, list[int]] = {}
    for i, (_, x) in enumerate(leaves):
        if is_float(x) and jnp.ndim(x):
            alike.setdefault((len(x), jnp.shape(x)[1:][-1:], compute_dtype(x)), []).append(i)
    found: list[ActivationStats | None] = [None] * len(leaves)
    for (examples, *_), places in alike.items():
        # Layers of one width together: a program of few large steps, where one for each number is slow.
        units = [unit_stats(leaves[i][1], weights) for i in places]
        mean, std, zeros = (jnp.stack(of) for of in zip(*units, strict=True))
        stats = _of_layers(mean, std, zeros, examples)
        for k, i in enumerate(places):
            saturated = _saturated(*leaves[i], weights, bounds)
            found[i] = ActivationStats._make([*(of[k] for of in stats), saturated])
    return jax.tree.unflatten(treedef, found)


def _of_layers(mean: jax.Array, std: jax.Array, zeros: jax.Array, examples: int) -> tuple:
    """All but the last of `ActivationStats` [layers] of what their units do [layers, units]."""
    average = functools.partial(jnp.mean, axis=1)
    variance = average(std * std) + jnp.var(mean, axis=1)
    dead = (zeros > 1 - 0.5 / examples).astype(mean.dtype)
    return average(mean), safe_sqrt(variance), average(std), average(zeros), average(dead)


def _saturated(path: tuple, x: jax.Array, weights: jax.Array | None, bounds: Any) -> jax.Array | None:
    own = bounds.get(path_name(path)) if isinstance(bounds, Mapping) else bounds
    return None if own is None else saturation_fraction(x, *own, weights=weights)


def saturation_fraction(
    x: jax.Array, low: Number, high: Number, *, weights: jax.Array | None = None
) -> jax.Array:
    """The share of activations at the flat ends of an activation function.

        P(x < low or x > high)

    Arguments:
        x: activations [B, …, units].
        low, high: where the ends begin: 0.1 and 0.9 for a sigmoid in the notes, −0.99 and 0.99 for tanh in
            CS231n.
        weights: [B], what each example counts; by default all alike.

    Returns:
        A scalar in [0, 1].

    Example:
        >>> print(saturation_fraction(jnp.array([[0.05, 0.5], [0.95, 0.91]]), 0.1, 0.9))
        0.75

    Source: the study notes, figure 15-1; Glorot & Bengio 2010.
    """
    rows, share = _rows(x, weights)
    low, high = (as_hyperparameter(end).astype(rows.dtype) for end in (low, high))
    beyond = ((rows < low) | (rows > high)).astype(rows.dtype)
    return jnp.mean(_mean(share, beyond))


def dead_unit_fraction(x: jax.Array) -> jax.Array:
    """The share of units that are 0 for every example.

        1/n·#{j : xᵢⱼ = 0 for all i}

    Arguments:
        x: outputs of a rectifier [B, …, units]: of all training data, if a unit is to be called dead.

    Returns:
        A scalar in [0, 1].

    Example:
        >>> print(dead_unit_fraction(jax.nn.relu(jnp.array([[-1.0, 2.0], [-3.0, -1.0]]))))
        0.5

    Source: the study notes. They say that the data are dead; it is the unit whose half-space the data miss:
    its gradient is 0 for all of them, and no step brings it back.
    """
    x = jnp.asarray(x)
    x = x[:, None] if x.ndim == 1 else x
    alive = jnp.any(x != 0, axis=tuple(range(x.ndim - 1)))
    return jnp.mean(~alive, dtype=jnp.result_type(float))
