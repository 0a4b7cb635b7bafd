"""DoG and DoWG: gradient descent whose rate is the distance it has come, over the gradients it has met.

Both need no learning rate, only a first distance that is surely too small. The farther the parameters get
from their start, the longer the steps; the more gradient has been met, the shorter. What they reach is the
average of the path rather than its end: wrap them in `polyak_average` or `ema_params`.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from jaxopt_notes.dtypes import Tree, as_hyperparameter
from jaxopt_notes.norms import global_norm
from jaxopt_notes.numerics import safe_divide, safe_sqrt
from jaxopt_notes.optimizers.core.distance import distance, starting_point
from jaxopt_notes.optimizers.core.gradient_transform import Accept
from jaxopt_notes.optimizers.core.leafwise import (
    Transform,
    first_step,
    increment,
    leafwise,
    require_params,
)
from jaxopt_notes.optimizers.core.wrapping import select
from jaxopt_notes.record import Number, check_number, record
from jaxopt_notes.schedules.schedule import Rate, check_rate, rate_at


class DistanceState(NamedTuple):
    """Steps made, the largest distance so far, the norm of all (weighted) gradients, and the start."""

    count: jax.Array
    max_distance: jax.Array
    gradient_norm: jax.Array
    start: Tree


class DistanceOverGradients(Transform):
    """What DoG and DoWG share; each has a `first_distance` and a `rate` from distance and gradients."""

    learning_rate: Rate

    def first_distance(self, params: Tree) -> jax.Array:
        raise NotImplementedError

    def rate(self, reached: jax.Array, norm: jax.Array, grad_norm: jax.Array) -> tuple[jax.Array, jax.Array]:
        """The rate of this step, and the norm of all gradients with this one."""
        raise NotImplementedError

    def init(self, params: Tree) -> DistanceState:
        first = jnp.array(as_hyperparameter(self.first_distance(params)), copy=True)
        return DistanceState(first_step(), first, as_hyperparameter(0.0), starting_point(params))

    def update(
        self, updates: Tree, state: DistanceState, params: Tree = None, *, accept: Accept = None, **extra: Any
    ) -> tuple[Tree, DistanceState]:
        params = require_params(type(self).__name__.lower(), params)
        reached = jnp.maximum(state.max_distance, distance(params, state.start))
        rate, norm = self.rate(reached, state.gradient_norm, as_hyperparameter(global_norm(updates)))
        (updates,) = leafwise(
            scaled_step, updates, params, rate=rate_at(self.learning_rate, state.count) * rate, accept=accept
        )
        reached, norm = select(accept, (reached, norm), (state.max_distance, state.gradient_norm))
        return updates, DistanceState(increment(state.count, accept), reached, norm, state.start)


def scaled_step(g, p, *, rate):
    """The update of one leaf: −η·g."""
    return -rate * g


@record
class DoG(DistanceOverGradients):
    """See `dog`."""

    learning_rate: Rate
    r_eps: Number
    eps: Number

    def first_distance(self, params: Tree) -> jax.Array:
        return as_hyperparameter(self.r_eps) * (1 + as_hyperparameter(global_norm(params)))

    def rate(self, reached: jax.Array, norm: jax.Array, grad_norm: jax.Array) -> tuple[jax.Array, jax.Array]:
        norm = global_norm((norm, grad_norm))  # a root of a sum of squares that cannot overflow
        return safe_divide(reached, global_norm((norm, safe_sqrt(as_hyperparameter(self.eps))))), norm


def dog(learning_rate: Rate = 1.0, r_eps: Number = 1e-6, eps: Number = 1e-8) -> DoG:
    """Distance over gradients: gradient descent that finds its own rate.

        r̄ₜ = max(rε·(1 + ‖θ₀‖), ‖θ₁ − θ₀‖, …, ‖θₜ − θ₀‖)
        ηₜ = r̄ₜ / √(‖g₀‖² + … + ‖gₜ‖² + eps)
        θ ← θ − η·ηₜ·gₜ

    Arguments:
        learning_rate: η ≥ 0, a factor or a schedule; 1 in the paper.
        r_eps: rε > 0, the first distance as a share of 1 + ‖θ₀‖ (of all leaves, frozen ones too): small
            enough for a first step that does no harm, large enough not to be rounded away. The authors
            take 1e-4 for networks with batch normalization.
        eps: inside the root, ≥ 0.

    Returns:
        A `DoG` record. Its state holds a copy of the first parameters and three numbers; `update` needs
        `params`. To be evaluated as an average: `polyak_average(dog())`.

    Raises:
        ValueError: a number outside its interval, or `update` without params.
        TypeError: an argument is not a number.

    Example:
        >>> optimizer = dog(r_eps=0.1)
        >>> x = jnp.array([3.0, 4.0])  # the first distance is 0.1·(1 + 5), along the gradient
        >>> updates, _ = optimizer.update(x, optimizer.init(x), x)
        >>> print([f"{u:.2f}" for u in updates])
        ['-0.36', '-0.48']

    Source: Ivgi et al. 2023, equations 1–2 and section 4 (rε, eps 1e-8 and the factor).

    Elsewhere: `optax.contrib.dog`, the same with `init_step=("heuristic", r_eps)`; it can also be given
    the first distance or the first rate itself, and its sum of squares overflows at norms above 1e19.
    """
    return DoG(
        learning_rate=check_rate("dog(learning_rate)", learning_rate),
        r_eps=check_number("dog(r_eps)", r_eps, "(0, inf)", "the usual value is 1e-6"),
        eps=check_number("dog(eps)", eps, "[0, inf)"),
    )


@record
class DoWG(DistanceOverGradients):
    """See `dowg`."""

    learning_rate: Rate
    initial_distance: Number
    eps: Number

    def first_distance(self, params: Tree) -> jax.Array:
        return as_hyperparameter(self.initial_distance)

    def rate(self, reached: jax.Array, norm: jax.Array, grad_norm: jax.Array) -> tuple[jax.Array, jax.Array]:
        norm = global_norm((norm, reached * grad_norm))
        return safe_divide(reached * reached, norm + as_hyperparameter(self.eps)), norm


def dowg(learning_rate: Rate = 1.0, initial_distance: Number = 1e-2, eps: Number = 1e-4) -> DoWG:
    """Distance over weighted gradients: late gradients, met far from the start, count more.

        r̄ₜ = max(rε, ‖θ₁ − θ₀‖, …, ‖θₜ − θ₀‖)
        vₜ = vₜ₋₁ + r̄ₜ²·‖gₜ‖²
        θ ← θ − η·r̄ₜ²/(√vₜ + eps)·gₜ

    Arguments:
        learning_rate: η ≥ 0, a factor or a schedule; 1 in the paper.
        initial_distance: rε > 0, surely below the distance to the solution.
        eps: added to the root, ≥ 0; 0 in the paper.

    Returns:
        A `DoWG` record; state and use as those of `dog`.

    Raises:
        ValueError: a number outside its interval, or `update` without params.
        TypeError: an argument is not a number.

    Example:
        >>> optimizer = dowg(initial_distance=0.5, eps=0.0)
        >>> x = jnp.array([3.0, 4.0])
        >>> updates, _ = optimizer.update(x, optimizer.init(x), x)  # 0.5² / (0.5·5)
        >>> print([f"{u:.2f}" for u in updates])
        ['-0.30', '-0.40']

    Source: Khaled et al. 2023, algorithm 1.

    Elsewhere: `optax.contrib.dowg`, whose `init_estim_sq_dist` is rε² (and eps by default, 1e-4: the same).
    """
    return DoWG(
        learning_rate=check_rate("dowg(learning_rate)", learning_rate),
        initial_distance=check_number(
            "dowg(initial_distance)", initial_distance, "(0, inf)", "the usual value is 1e-2"
        ),
        eps=check_number("dowg(eps)", eps, "[0, inf)"),
    )
