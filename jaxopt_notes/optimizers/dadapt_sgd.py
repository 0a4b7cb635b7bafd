"""D-Adaptation of gradient descent: its rate from a lower bound of the distance to the solution.

For a convex function the gradients met so far bound the distance between the start and the solution from
below. The rate is the largest such bound, over the size of the gradients: it starts surely too small and
grows within some tens of steps to what a search would have found. `dadapt_adam` is the form for Adam.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from jaxopt_notes.dtypes import Tree, as_hyperparameter, zeros_like
from jaxopt_notes.norms import global_norm
from jaxopt_notes.numerics import safe_divide
from jaxopt_notes.optimizers.core.distance import after, distance, inner_product, starting_point
from jaxopt_notes.optimizers.core.gradient_transform import Accept
from jaxopt_notes.optimizers.core.leafwise import (
    Transform,
    first_step,
    increment,
    leafwise,
    require_params,
    store_always,
)
from jaxopt_notes.optimizers.core.wrapping import select
from jaxopt_notes.record import Number, check_number, record
from jaxopt_notes.schedules.schedule import Rate, check_rate, rate_at


class DAdaptSGDState(NamedTuple):
    """Steps made; the estimate d and its numerator; ‖g₀‖; the weighted sum of gradients; the start."""

    count: jax.Array
    estimate: jax.Array
    numerator: jax.Array
    first_norm: jax.Array
    grad_sum: Tree
    start: Tree


@record
class DAdaptSGD(Transform):
    """See `dadapt_sgd`."""

    learning_rate: Rate
    momentum: Number
    d0: Number

    def init(self, params: Tree) -> DAdaptSGDState:
        estimate = jnp.array(as_hyperparameter(self.d0), copy=True)
        numerator, first_norm = (jnp.zeros_like(estimate) for _ in range(2))
        grad_sum, start = zeros_like(params), starting_point(params)
        return DAdaptSGDState(first_step(), estimate, numerator, first_norm, grad_sum, start)

    def update(
        self,
        updates: Tree,
        state: DAdaptSGDState,
        params: Tree = None,
        *,
        accept: Accept = None,
        **extra: Any,
    ) -> tuple[Tree, DAdaptSGDState]:
        params = require_params("dadapt_sgd", params)
        norm = as_hyperparameter(global_norm(updates))
        first_norm = jnp.where(state.first_norm > 0, state.first_norm, norm)  # of the first that is not 0
        weight = safe_divide(state.estimate * rate_at(self.learning_rate, state.count), first_norm)
        growth = inner_product(updates, state.grad_sum)
        numerator = state.numerator + weight * growth
        updates, grad_sum, start = leafwise(
            dual_averaging_step, updates, params, state.grad_sum, state.start,
            accept=accept, weight=after(growth, weight), momentum=self.momentum,
        )  # fmt: skip
        bound = safe_divide(2 * numerator, distance(grad_sum, jax.tree.map(jnp.zeros_like, grad_sum)))
        new = (jnp.maximum(state.estimate, bound), numerator, first_norm)
        new = select(accept, new, (state.estimate, state.numerator, state.first_norm))
        estimate, numerator, first_norm = new
        return updates, DAdaptSGDState(
            increment(state.count, accept), estimate, numerator, first_norm, grad_sum, start
        )


def dual_averaging_step(g, p, s, start, *, weight, momentum, store=store_always):
    """s ← s + λg of one leaf, and an update towards θ₀ − s, held back by momentum; θ₀ stays."""
    s = store(s, s + weight * g)
    return (1 - momentum) * (start - s - p), s, start


def dadapt_sgd(learning_rate: Rate = 1.0, momentum: Number = 0.0, *, d0: Number = 1e-6) -> DAdaptSGD:
    """Gradient descent without a learning rate, by D-Adaptation.

        λ = γ·d/‖g₀‖                        r ← r + λ·⟨g, s⟩
        s ← s + λ·g                         d ← max(d, 2r/‖s‖)
        θ ← α·θ + (1 − α)·(θ₀ − s)

    Arguments:
        learning_rate: γ ≥ 0, a factor of the rate found, or a schedule: 1, or what falls from 1 to 0.
        momentum: α in [0, 1), in the form of an average of iterates.
        d0: the first estimate of the distance ‖θ₀ − θ*‖, > 0 and surely too small.

    Returns:
        A `DAdaptSGD` record. Its state holds s and θ₀, in the parameters' shapes and at least float32, and
        `estimate`, d; `update` needs `params`. The parameters are θ₀ and a sum, so what else moves them
        (a decay in a chain) is undone: put a penalty into the gradient with `add_l2`.

    Raises:
        ValueError: a number outside its interval, or `update` without params.
        TypeError: an argument is not a number.

    Example:
        >>> optimizer = dadapt_sgd(d0=0.5)
        >>> x = jnp.array([3.0, 4.0])
        >>> updates, state = optimizer.update(x, optimizer.init(x), x)  # a first step of length d0
        >>> print([f"{u:.2f}" for u in updates], state.estimate)
        ['-0.30', '-0.40'] 0.5

    Source: Defazio & Mishchenko 2023, algorithm 4, with the estimate 2r/‖s‖ of the authors' code from
    3.0 on: twice a lower bound of the distance, for convex functions.

    Elsewhere: `dadaptation.DAdaptSGD`, the same; optax has the form of Adam only.
    """
    return DAdaptSGD(
        learning_rate=check_rate("dadapt_sgd(learning_rate)", learning_rate),
        momentum=check_number("dadapt_sgd(momentum)", momentum, "[0, 1)", "0 switches it off"),
        d0=check_number("dadapt_sgd(d0)", d0, "(0, inf)", "the usual value is 1e-6"),
    )
