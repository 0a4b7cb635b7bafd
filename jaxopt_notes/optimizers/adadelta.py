"""AdaDelta: steps in the units of the parameters, so that no rate has to be chosen."""

from typing import Any, NamedTuple

import jax
from jax.typing import DTypeLike

from jaxopt_notes.dtypes import Tree
from jaxopt_notes.numerics import abs_squared, safe_divide, safe_sqrt
from jaxopt_notes.optimizers.core.gradient_transform import Accept
from jaxopt_notes.optimizers.core.leafwise import (
    Transform,
    first_step,
    increment,
    leafwise,
    store_always,
)
from jaxopt_notes.optimizers.core.moments import check_state_dtype, moments
from jaxopt_notes.record import Number, check_number, record, static
from jaxopt_notes.schedules.schedule import Rate, check_rate, rate_at


class AdaDeltaState(NamedTuple):
    """Steps made, and the moving averages of squared gradients and of squared steps."""

    count: jax.Array
    squared_gradients: Tree
    squared_steps: Tree


@record
class AdaDelta(Transform):
    """See `adadelta`."""

    elementwise = True

    learning_rate: Rate
    rho: Number
    eps: Number
    state_dtype: str | None = static()

    def init(self, params: Tree) -> AdaDeltaState:
        return AdaDeltaState(first_step(), *moments(params, (2, 2), self.state_dtype))

    def update(
        self, updates: Tree, state: AdaDeltaState, params: Tree = None, *, accept: Accept = None, **extra: Any
    ) -> tuple[Tree, AdaDeltaState]:
        updates, s, r = leafwise(
            adadelta_step, updates, params, state.squared_gradients, state.squared_steps,
            accept=accept, rate=rate_at(self.learning_rate, state.count), rho=self.rho, eps=self.eps,
        )  # fmt: skip
        return updates, AdaDeltaState(increment(state.count, accept), s, r)


def adadelta_step(g, p, s, r, *, rate, rho, eps, store=store_always):
    """The update of one leaf, and its averages of squared gradients (s) and of squared steps (r).

    The step √((r + ε)/(s + ε))·g is made from the old r. Written in terms of the new one, the same
    number, it needs no copy of the old: r₊ + ρε = (r + ε)·(ρ + (1 − ρ)g²/(s + ε)).
    """
    square = abs_squared(g)
    s = store(s, rho * s + (1 - rho) * square)
    r = store(r, rho * r + (1 - rho) * safe_divide((r + eps) * square, s + eps))
    step = safe_sqrt(safe_divide(r + rho * eps, rho * (s + eps) + (1 - rho) * square)) * g
    return -rate * step, s, r


def adadelta(
    learning_rate: Rate = 1.0, rho: Number = 0.9, eps: Number = 1e-5, *, state_dtype: DTypeLike | None = None
) -> AdaDelta:
    """AdaDelta: the step is the gradient times a ratio of two root mean squares.

        s ← ρ·s + (1 − ρ)·|g|²
        Δ = √((r + ε)/(s + ε))·g
        r ← ρ·r + (1 − ρ)·|Δ|²
        θ ← θ − η·Δ                         (η = 1)

    Arguments:
        learning_rate: η ≥ 0, a number or a schedule; the method has none, so 1.
        rho: ρ in [0, 1), the decay of both averages (a window of about 1/(1 − ρ) steps).
        eps: ε ≥ 0, in both roots; the first step is about √(ε/(1 − ρ))·sign(g).
        state_dtype: precision of the averages, as in `adam`.

    Returns:
        An `AdaDelta` record. Its state holds two real averages of the parameters' shapes.

    Raises:
        ValueError: a number outside its interval.
        TypeError: an argument is not a number.

    Example:
        >>> import jax.numpy as jnp
        >>> optimizer = adadelta()
        >>> updates, _ = optimizer.update(jnp.array([5.0]), optimizer.init(jnp.zeros(1)))
        >>> print(f"{updates[0]:.4f}")
        -0.0100

    Source: Zeiler 2012 (there ρ 0.95, ε 1e-6).

    Elsewhere: torch and optax have the same formula with ε = 1e-6 and a rate of 1.
    """
    return AdaDelta(
        learning_rate=check_rate("adadelta(learning_rate)", learning_rate),
        rho=check_number("adadelta(rho)", rho, "[0, 1)", "the usual value is 0.9"),
        eps=check_number("adadelta(eps)", eps, "[0, inf)"),
        state_dtype=check_state_dtype("adadelta(state_dtype)", state_dtype),
    )
