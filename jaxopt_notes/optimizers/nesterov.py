"""Nesterov momentum: the gradient is taken where momentum is about to lead.

The parameters a training loop holds *are* that look-ahead point θ̂ = θ − αv. So any loop that
computes gradients at the parameters it holds is right, no second evaluation is needed, and the
iterate θ itself is `evaluation_params(params, state)`.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax.typing import DTypeLike

from jaxopt_notes.dtypes import Tree, as_hyperparameter
from jaxopt_notes.optimizers.core.gradient_transform import Accept
from jaxopt_notes.optimizers.core.leafwise import (
    Transform,
    first_step,
    increment,
    leafwise,
    store_always,
)
from jaxopt_notes.optimizers.core.moments import check_state_dtype, moments, read
from jaxopt_notes.optimizers.momentum import Momentum, MomentumState
from jaxopt_notes.record import Number, check_number, record, static
from jaxopt_notes.schedules.schedule import Rate, check_rate, rate_at


@record
class Nesterov(Momentum):
    """See `nesterov`."""

    def _formula(self) -> Callable[..., Any]:
        return nesterov_step_rate_outside if self.rate_outside else nesterov_step

    def evaluation_params(self, params: Tree, state: MomentumState) -> Tree:
        """The iterate θ = θ̂ + αv, of which the parameters held are the look-ahead point."""
        last = jnp.maximum(state.count, 1) - 1
        scale = rate_at(self.learning_rate, last) if self.rate_outside else 1.0
        return _moved(params, state.velocity, scale * as_hyperparameter(self.momentum))


def _moved(params: Tree, velocity: Tree, scale: Any) -> Tree:
    (iterate,) = leafwise(_move, read(velocity), params, scale=scale)
    return jax.tree.map(lambda p, x: p if x is None else x, params, iterate)


def _move(v, p, *, scale):
    return p + scale * v


def nesterov_step(g, p, v, *, rate, momentum, store=store_always):
    """The update of the look-ahead point and the velocity of one leaf: v ← αv + ηg, −(ηg + αv)."""
    return accelerated_step(g, p, v, rate=rate, momentum=momentum, following=momentum, store=store)


def accelerated_step(g, p, v, *, rate, momentum, following, store=store_always):
    """The same when α changes: the old one enters the velocity, the following one looks ahead."""
    v = store(v, momentum * v + rate * g)
    return -(rate * g + following * v), v


def nesterov_step_rate_outside(g, p, v, *, rate, momentum, store=store_always):
    """The update of the look-ahead point and the velocity of one leaf: v ← αv + g, −η(g + αv)."""
    v = store(v, momentum * v + g)
    return -rate * (g + momentum * v), v


def nesterov(
    learning_rate: Rate = 1e-2,
    momentum: Number = 0.9,
    *,
    rate_outside: bool = False,
    state_dtype: DTypeLike | None = None,
) -> Nesterov:
    """Nesterov's accelerated gradient, held at its look-ahead point.

        g = ∇f(θ̂),  θ̂ = θ − α·v            (θ̂ are the parameters held)
        v ← α·v + η·g
        θ̂ ← θ̂ − (η·g + α·v)                (the same as θ ← θ − v)

    Arguments:
        learning_rate: η ≥ 0, a number or a schedule.
        momentum: α in [0, 1].
        rate_outside: v ← α·v + g and θ̂ ← θ̂ − η·(g + α·v) instead.
        state_dtype: precision of the velocity, as in `adam`.

    Returns:
        A `Nesterov` record. Its state holds one velocity; `evaluation_params(params, state)` is θ.

    Raises:
        ValueError: a number outside its interval.
        TypeError: an argument is not a number.

    Example:
        >>> optimizer = nesterov(learning_rate=0.1, momentum=0.5)
        >>> x = jnp.array(1.0)
        >>> state = optimizer.init(x)
        >>> update, state = optimizer.update(x, state, x)
        >>> print(f"{x + update:.3f} {optimizer.evaluation_params(x + update, state):.3f}")
        0.850 0.900

    Source: Nesterov 1983; Sutskever et al. 2013, equation 7.

    Elsewhere: the step is that of torch and optax (`nesterov=True`) at a constant rate; under a
    schedule theirs is the form with the rate outside.
    """
    return Nesterov(
        learning_rate=check_rate("nesterov(learning_rate)", learning_rate),
        momentum=check_number("nesterov(momentum)", momentum, "[0, 1]", "the usual value is 0.9"),
        rate_outside=rate_outside,
        state_dtype=check_state_dtype("nesterov(state_dtype)", state_dtype),
    )


@record
class NesterovAccelerated(Transform):
    """See `nesterov_accelerated`."""

    elementwise = True

    learning_rate: Rate
    momentum: Number | None
    state_dtype: str | None = static()

    def init(self, params: Tree) -> MomentumState:
        return MomentumState(first_step(), *moments(params, (1,), self.state_dtype))

    def update(
        self, updates: Tree, state: MomentumState, params: Tree = None, *, accept: Accept = None, **extra: Any
    ) -> tuple[Tree, MomentumState]:
        count = increment(state.count, accept)
        updates, velocity = leafwise(
            accelerated_step, updates, params, state.velocity, accept=accept,
            rate=rate_at(self.learning_rate, state.count),
            momentum=self._momentum(state.count), following=self._momentum(state.count + 1),
        )  # fmt: skip
        return updates, MomentumState(count, velocity)

    def _momentum(self, k: jax.Array) -> jax.Array:
        """β after the k-th gradient."""
        if self.momentum is not None:
            return as_hyperparameter(self.momentum)
        k = as_hyperparameter(k)
        return (k - 1) / (k + 2)

    def evaluation_params(self, params: Tree, state: MomentumState) -> Tree:
        """The iterate x = y + β·v, v = x₋₁ − x, of which the parameters held are the extrapolation."""
        return _moved(params, state.velocity, self._momentum(state.count))


def nesterov_accelerated(
    learning_rate: Rate = 1e-2, momentum: Number | None = None, *, state_dtype: DTypeLike | None = None
) -> NesterovAccelerated:
    """Nesterov's method with two iterates, and the momentum of the convex theory.

        x₊ = y − η·∇f(y)
        y₊ = x₊ + β·(x₊ − x)                (y are the parameters held)

    with β constant, or (k − 1)/(k + 2) after the k-th gradient, k = 1, 2, …

    Arguments:
        learning_rate: η ≥ 0, a number or a schedule; 1/L for curvature at most L.
        momentum: β in [0, 1], or `None` for the growing one.
        state_dtype: precision of the displacement, as in `adam`.

    Returns:
        A `NesterovAccelerated` record. Its state holds v = x₋₁ − x, and `evaluation_params(params,
        state)` is x = y + β·v. With β constant it is `nesterov`.

    Raises:
        ValueError: a number outside its interval.
        TypeError: an argument is not a number.

    Example:
        >>> optimizer = nesterov_accelerated(learning_rate=0.1, momentum=0.5)
        >>> x = jnp.array(1.0)
        >>> update, state = optimizer.update(x, optimizer.init(x), x)
        >>> print(f"{x + update:.3f} {optimizer.evaluation_params(x + update, state):.3f}")
        0.850 0.900

    Source: Nesterov 1983; Su, Boyd & Candès 2016, equation 1. For
    convex f: f(xₖ) − f* ≤ 2L‖x₀ − x*‖²/(k + 1)².

    Elsewhere: neither torch nor optax has the growing momentum.
    """
    if momentum is not None:
        momentum = check_number(
            "nesterov_accelerated(momentum)", momentum, "[0, 1]", "None for (k − 1)/(k + 2)"
        )
    return NesterovAccelerated(
        learning_rate=check_rate("nesterov_accelerated(learning_rate)", learning_rate),
        momentum=momentum,
        state_dtype=check_state_dtype("nesterov_accelerated(state_dtype)", state_dtype),
    )
