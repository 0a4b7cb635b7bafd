"""Scores as the rules of early stopping see them: as costs, of which less is better, by name."""

from typing import Any

import jax
import jax.numpy as jnp

from jaxopt_notes.dtypes import as_hyperparameter
from jaxopt_notes.record import Number

MODES = ("min", "max")


def as_cost(score: Number, mode: str) -> jax.Array:
    """The score, or with the mode "max" its negative.

    Example:
        >>> as_cost(0.5, "max")
        Array(-0.5, dtype=float32)
    """
    return as_hyperparameter(score) if mode == "min" else -as_hyperparameter(score)


def worst(mode: str = "min") -> jax.Array:
    """What any finite score is better than: the largest number, or the least. It is no infinity, so that a
    healthy run has none under `jax_debug_infs`.

    Example:
        >>> bool(worst() > 1e38), bool(worst("max") < -1e38)
        (True, True)
    """
    return as_cost(jnp.finfo(jnp.result_type(float)).max, mode)


def relative_to(x: jax.Array, base: jax.Array) -> jax.Array:
    """x / |base|, and the largest number in place of infinity.

    Example:
        >>> relative_to(jnp.array([1.0, 0.0]), jnp.array([-2.0, 0.0]))
        Array([0.5, 0. ], dtype=float32)
    """
    zero = base == 0
    at_zero = jnp.where(x > 0, worst(), x)
    return jnp.where(zero, at_zero, x / jnp.where(zero, 1, jnp.abs(base)))


def watched(rule: Any) -> Any:
    """The names of the history whose latest entries `rule.update` takes: one, or a tree of them.

    Example:
        >>> from jaxopt_notes.training.early_stopping import any_of, patience, stop_pq
        >>> watched(any_of(patience(), stop_pq()))
        ('valid_loss', ('valid_loss', 'loss'))
    """
    return getattr(rule, "watches", rule.monitor)
