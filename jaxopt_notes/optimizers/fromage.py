"""Fromage: every layer moves by the same share of its length, and is kept from growing by doing so."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from jaxopt_notes.dtypes import Tree
from jaxopt_notes.norms import global_norm
from jaxopt_notes.numerics import safe_divide
from jaxopt_notes.optimizers.core.gradient_transform import Accept
from jaxopt_notes.optimizers.core.leafwise import (
    Transform,
    first_step,
    increment,
    leafwise,
    require_params,
)
from jaxopt_notes.record import Number, check_number, record
from jaxopt_notes.schedules.schedule import Rate, check_rate, rate_at


class FromageState(NamedTuple):
    """Steps made."""

    count: jax.Array


@record
class Fromage(Transform):
    """See `fromage`."""

    learning_rate: Rate
    min_norm: Number

    def init(self, params: Tree) -> FromageState:
        return FromageState(first_step())

    def update(
        self, updates: Tree, state: FromageState, params: Tree = None, *, accept: Accept = None, **extra: Any
    ) -> tuple[Tree, FromageState]:
        params = require_params("fromage", params)
        (updates,) = leafwise(
            fromage_step, updates, params,
            accept=accept, rate=rate_at(self.learning_rate, state.count), min_norm=self.min_norm,
        )  # fmt: skip
        return updates, FromageState(increment(state.count, accept))


def fromage_step(g, p, *, rate, min_norm):
    """The update of one leaf, (θ − η·‖θ‖/‖g‖·g)/√(1 + η²) − θ, without the difference of near numbers."""
    length, slope = (jnp.maximum(global_norm(x), min_norm) for x in (p, g))
    root = jnp.sqrt(1 + rate * rate)
    return -(rate * safe_divide(length, slope) * g + rate * rate / (1 + root) * p) / root


def fromage(learning_rate: Rate = 1e-2, min_norm: Number = 1e-6) -> Fromage:
    """Fromage: a step of relative length η in every layer, across the sphere.

        θ ← (θ − η·‖θ‖/‖g‖·g)/√(1 + η²)          (leaf by leaf)

    Arguments:
        learning_rate: η ≥ 0, a number or a schedule; 0.01 needs no tuning, says the paper. It must fall
            for the end to be more than η·‖θ‖ away, and a layer of zeros hardly ever leaves them.
        min_norm: both norms are at least this, ≥ 0.

    Returns:
        A `Fromage` record; its state is the step number alone; `update` needs `params`.

    Raises:
        ValueError: a negative number, or `update` without params.
        TypeError: an argument is not a number.

    Example:
        >>> optimizer = fromage(learning_rate=0.75)
        >>> params = jnp.array([3.0, 4.0])
        >>> updates, _ = optimizer.update(jnp.array([-8.0, 6.0]), optimizer.init(params), params)
        >>> turned = params + updates  # by a gradient across them: their length is kept
        >>> print(f"{turned[0]:.1f} {turned[1]:.1f}")
        4.8 1.4

    Source: Bernstein et al. 2020, "On the distance between two neural networks and the stability of
    learning", algorithm 1.

    Elsewhere: `optax.fromage`, the same. The authors' own code has no lower bound, and takes the plain
    step η·g where a norm is 0. torch has none.
    """
    return Fromage(
        check_rate("fromage(learning_rate)", learning_rate),
        check_number("fromage(min_norm)", min_norm, "[0, inf)"),
    )
