"""AdaGrad: a rate of its own for every parameter, falling with the gradients it has seen."""

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


class AdaGradState(NamedTuple):
    """Steps made, and the sum of squared gradients."""

    count: jax.Array
    sum_of_squares: Tree


@record
class AdaGrad(Transform):
    """See `adagrad`."""

    elementwise = True

    learning_rate: Rate
    initial_accumulator_value: Number
    eps: Number
    eps_in_sqrt: bool = static()
    state_dtype: str | None = static()

    def init(self, params: Tree) -> AdaGradState:
        start = self.initial_accumulator_value
        return AdaGradState(first_step(), *moments(params, (2,), self.state_dtype, start))

    def update(
        self, updates: Tree, state: AdaGradState, params: Tree = None, *, accept: Accept = None, **extra: Any
    ) -> tuple[Tree, AdaGradState]:
        updates, sums = leafwise(
            adagrad_step, updates, params, state.sum_of_squares,
            accept=accept, rate=rate_at(self.learning_rate, state.count), eps=self.eps,
            options={"eps_in_sqrt": self.eps_in_sqrt},
        )  # fmt: skip
        return updates, AdaGradState(increment(state.count, accept), sums)


def adagrad_step(g, p, r, *, rate, eps, eps_in_sqrt=False, store=store_always):
    """The update and the sum of one leaf: r ← r + g², −η·g/(ε + √r), or −η·g/√(r + ε)."""
    r = store(r, r + abs_squared(g))
    return -rate * safe_divide(g, safe_sqrt(r + eps) if eps_in_sqrt else eps + safe_sqrt(r)), r


def adagrad(
    learning_rate: Rate = 1e-2,
    initial_accumulator_value: Number = 0.0,
    eps: Number = 1e-6,
    *,
    eps_in_sqrt: bool = False,
    state_dtype: DTypeLike | None = None,
) -> AdaGrad:
    """AdaGrad: rates divided by the root of the sum of all squared gradients.

        r ← r + |g|²
        θ ← θ − η·g / (ε + √r)

    and with `eps_in_sqrt=True`: θ ← θ − η·g / √(r + ε).

    Arguments:
        learning_rate: η ≥ 0, a number or a schedule; the first step is η·sign(g), and a constant
            gradient gives steps η/√t.
        initial_accumulator_value: r at the start, ≥ 0.
        eps: ε ≥ 0.
        eps_in_sqrt: where ε stands.
        state_dtype: precision of the sum, as in `adam`. Rounded to nearest, a
            sum that only grows would stall.

    Returns:
        An `AdaGrad` record. Its state holds one real sum of the parameters' shapes.

    Raises:
        ValueError: a number outside its interval.
        TypeError: an argument is not a number.

    Example:
        >>> import jax.numpy as jnp
        >>> optimizer = adagrad(learning_rate=0.5)
        >>> state = optimizer.init(jnp.zeros(2))
        >>> updates, state = optimizer.update(jnp.array([3.0, 0.0]), state)
        >>> print(f"{updates[0]:.4f} {updates[1]:.4f}")
        -0.5000 -0.0000

    Source: Duchi et al. 2011.

    Elsewhere: torch has ε = 1e-10 outside; optax starts r at 0.1 and has ε = 1e-7 inside the root.
    """
    return AdaGrad(
        learning_rate=check_rate("adagrad(learning_rate)", learning_rate),
        initial_accumulator_value=check_number(
            "adagrad(initial_accumulator_value)", initial_accumulator_value, "[0, inf)"
        ),
        eps=check_number("adagrad(eps)", eps, "[0, inf)"),
        eps_in_sqrt=eps_in_sqrt,
        state_dtype=check_state_dtype("adagrad(state_dtype)", state_dtype),
    )
