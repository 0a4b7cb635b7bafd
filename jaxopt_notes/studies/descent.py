"""What the studies of small surfaces share: the points that an optimizer passes."""

from typing import Any

import jax
import jax.numpy as jnp
from jax import lax

from jaxopt_notes.optimizers import apply_updates, evaluation_params
from jaxopt_notes.optimizers.core.gradient_transform import GradientTransform


def path(
    optimizer: GradientTransform, slope: Any, start: jax.Array, steps: int, noise: jax.Array | None = None
) -> jax.Array:
    """The start and the points after each step [steps + 1, n], those to evaluate.

    Arguments:
        optimizer: of the library.
        slope: from a point to the gradient there.
        start: [n].
        steps: how many.
        noise: [steps, n], added to the gradients; `None` for none.
    """
    noise = jnp.zeros((steps, *start.shape), start.dtype) if noise is None else noise

    def step(carry: tuple, xi: jax.Array) -> tuple:
        x, state = carry
        updates, state = optimizer.update(slope(x) + xi, state, x)
        x = apply_updates(x, updates)
        return (x, state), evaluation_params(optimizer, x, state)

    points: jax.Array = lax.scan(step, (start, optimizer.init(start)), noise)[1]
    return jnp.concatenate([start[None], points])
