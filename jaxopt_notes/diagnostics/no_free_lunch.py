"""No free lunch: averaged over all problems there are, every learner is as good as guessing."""

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxopt_notes.record import check_count

__all__ = ["no_free_lunch"]


def no_free_lunch(
    learner: Callable[[jax.Array, jax.Array, jax.Array], Any], train_points: Sequence[int], bits: int = 3
) -> jax.Array:
    """The error of a learner off its training set, for every target function there is.

        E_f = mean over x not trained on of |learner(x) − f(x)|,     f: {0, 1}ᵇ → {0, 1}, all 2^(2ᵇ) of them

    Arguments:
        learner: `(train_x, train_y, x) -> predictions [n]`, classes 0 and 1 or probabilities of 1; x are rows
            of 0 and 1, [n, bits]. It is mapped over the targets by `vmap`.
        train_points: which of the 2ᵇ points are trained on, by number; at least one is not.
        bits: b, at most 4, static.

    Returns:
        [2^(2ᵇ)], one error for each target. Their mean is ½ for every learner: whoever is better on some
        targets is worse on others. It says nothing against learners for the targets that occur.

    Raises:
        ValueError: too many bits, points that do not exist, or none left. TypeError: no whole numbers.

    Example:
        >>> majority = lambda train_x, train_y, x: jnp.full(len(x), 2 * jnp.sum(train_y) > len(train_y))
        >>> errors = no_free_lunch(majority, train_points=[0, 1, 2, 3, 4])
        >>> errors.shape, float(errors.mean()), float(errors.min())
        ((256,), 0.5, 0.0)

    Source: Wolpert 1996, "The lack of a priori distinctions between learning algorithms"; Wolpert & Macready
    1997 for optimization.
    """
    bits = check_count("no_free_lunch(bits)", bits, 1)
    if bits > 4:
        raise ValueError(f"no_free_lunch(bits) is {bits}, expected at most 4: there are 2^(2^bits) targets.")
    points = 2**bits
    trained = sorted({check_count("no_free_lunch(train_points)", point) for point in train_points})
    unseen = [point for point in range(points) if point not in trained]
    if not unseen or (trained and trained[-1] >= points):
        raise ValueError(
            f"no_free_lunch(train_points) is {list(train_points)}, expected part of 0 … {points - 1}."
        )
    x = jnp.asarray(np.arange(points)[:, None] >> np.arange(bits) & 1, jnp.result_type(float))
    targets = jnp.asarray(np.arange(2**points)[:, None] >> np.arange(points) & 1, x.dtype)
    seen, rest = np.array(trained, int), np.array(unseen)

    def error(target: jax.Array) -> jax.Array:
        predictions = jnp.asarray(learner(x[seen], target[seen], x[rest])).astype(x.dtype)
        return jnp.mean(jnp.abs(predictions - target[rest]))

    return jax.vmap(error)(targets)
