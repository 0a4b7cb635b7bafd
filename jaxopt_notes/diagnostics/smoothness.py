"""How smooth the loss is where training goes: along the gradient, over the lengths that a step may have.

A gradient is worth a long step if it is still the gradient after the step. So the loss, and how far the
gradient has changed, are taken at points along it. Batch normalization lowers all of these.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import lax
from jax.typing import ArrayLike

from jaxopt_notes.diagnostics.curvature import Loss, of_vector
from jaxopt_notes.dtypes import Tree, as_hyperparameter

__all__ = ["Smoothness", "landscape_smoothness"]


class Smoothness(NamedTuple):
    """The loss along the gradient, at k lengths of a step.

    Arguments:
        losses: [k], L(θ − ηg).
        gradient_changes: [k], ‖∇L(θ − ηg) − g‖: how badly the gradient predicts what comes.
        betas: [k], the change of the gradient for the way gone, ‖∇L(θ − ηg) − g‖/‖ηg‖; 0 for no way.

    Example:
        >>> found = Smoothness(jnp.array([1.0, 0.2, 3.0]), jnp.zeros(3), jnp.array([4.0, 6.0, 5.0]))
        >>> print(*found.loss_range, found.effective_beta)
        0.2 3.0 6.0
    """

    losses: jax.Array
    gradient_changes: jax.Array
    betas: jax.Array

    @property
    def loss_range(self) -> tuple[jax.Array, jax.Array]:
        """The least and the largest loss along the way: a wide band is a loss that a step may miss."""
        return jnp.min(self.losses, axis=-1), jnp.max(self.losses, axis=-1)

    @property
    def gradient_range(self) -> tuple[jax.Array, jax.Array]:
        """The least and the largest change of the gradient ("gradient predictiveness")."""
        return jnp.min(self.gradient_changes, axis=-1), jnp.max(self.gradient_changes, axis=-1)

    @property
    def effective_beta(self) -> jax.Array:
        """The largest change of the gradient for the way gone: a lower bound of the loss's smoothness L."""
        return jnp.max(self.betas, axis=-1)


def landscape_smoothness(loss: Loss, params: Tree, rates: ArrayLike, *args: Any) -> Smoothness:
    """The loss and its gradient along the gradient, as far as steps of several rates would go.

        L(θ − ηg),     ‖∇L(θ − ηg) − g‖,     β(η) = ‖∇L(θ − ηg) − g‖ / ‖ηg‖,     g = ∇L(θ)

    Arguments:
        loss: `loss(params, *args) -> scalar`, of a batch.
        params: where training is.
        rates: [k], the lengths η to look at, around the learning rate: the paper takes half to four times it.
        *args: what else the loss takes, such as x and y.

    Returns:
        A `Smoothness`. No β is above the Lipschitz constant of the gradient on the way, so on a quadratic
        none is above λ_max(H).

    Example:
        >>> loss = lambda x: 3 * x**2
        >>> found = jax.jit(lambda x: landscape_smoothness(loss, x, jnp.array([0.1, 0.3])))(1.0)
        >>> print(found.losses.round(2), found.effective_beta.round(4))
        [0.48 1.92] 6.0

    Source: Santurkar et al. 2018, "How does batch normalization help optimization?", section 3.1, figure 4.
    """
    function, x, _ = of_vector(loss, params, args)
    rates = as_hyperparameter(rates).astype(x.dtype)
    slope = jax.grad(function)
    g = slope(x)
    length = jnp.linalg.norm(g)

    def at(rate: jax.Array) -> tuple:
        value, there = jax.value_and_grad(function)(x - rate * g)
        return value, jnp.linalg.norm(there - g)

    losses, changes = lax.map(at, rates)
    way = jnp.abs(rates) * length
    moved = way > 0
    betas = jnp.where(moved, changes / jnp.where(moved, way, jnp.ones_like(way)), jnp.zeros_like(way))
    return Smoothness(losses, changes, betas)
