"""Rprop: a step size for every parameter, that grows while its gradient keeps its sign.

The signs take one byte a parameter. A step writes what it has seen of them first, and reads the change
of the step size and the direction from that.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from jaxopt_notes.dtypes import Tree, zeros_like
from jaxopt_notes.optimizers.core.gradient_transform import Accept
from jaxopt_notes.optimizers.core.leafwise import Transform, first_step, leafwise, store_always
from jaxopt_notes.optimizers.core.moments import moments
from jaxopt_notes.optimizers.core.xla_cpu import sum_as
from jaxopt_notes.record import Number, check_number, record
from jaxopt_notes.schedules.schedule import Rate, check_rate, rate_at

GREW, SHRANK = 2, 3


class RpropState(NamedTuple):
    """The step sizes, and the signs: ±1 a first one, ±2 as before, 3 against it (no step), 0 none."""

    step_sizes: Tree
    signs: Tree


@record
class Rprop(Transform):
    """See `rprop`."""

    learning_rate: Rate
    eta_minus: Number
    eta_plus: Number
    min_step_size: Number
    max_step_size: Number

    def init(self, params: Tree) -> RpropState:
        (sizes,) = moments(params, (2,), initial=rate_at(self.learning_rate, first_step()))
        signs = jax.tree.map(
            lambda z: z if jnp.iscomplexobj(z) else jnp.zeros_like(z, jnp.int8), zeros_like(params)
        )
        return RpropState(sizes, signs)

    def update(
        self, updates: Tree, state: RpropState, params: Tree = None, *, accept: Accept = None, **extra: Any
    ) -> tuple[Tree, RpropState]:
        updates, sizes, signs = leafwise(
            rprop_step, updates, params, state.step_sizes, state.signs, accept=accept,
            eta_minus=self.eta_minus, eta_plus=self.eta_plus,
            min_step_size=self.min_step_size, max_step_size=self.max_step_size,
        )  # fmt: skip
        return updates, RpropState(sizes, signs)


def rprop_step(g, p, s, seen, *, eta_minus, eta_plus, min_step_size, max_step_size, store=store_always):
    """The update of one leaf, its step sizes and its signs (see `RpropState`); of complex z it is z/|z|."""
    dtype = g.dtype if jnp.iscomplexobj(g) else jnp.int8
    sign = jnp.sign(g)
    agreement = jnp.where(_is(SHRANK, seen), 0, jnp.real(sign * jnp.conj(seen)))
    more = jnp.where(agreement > 0, sign, jnp.where(agreement < 0, SHRANK - sign, jnp.zeros_like(sign)))
    kept = store(seen.astype(dtype), sum_as(dtype, sign, more))
    seen = kept.astype(g.dtype)
    larger, smaller = (jnp.clip(s * eta, min_step_size, max_step_size) for eta in (eta_plus, eta_minus))
    s = store(s, jnp.where(_is(GREW, seen), larger, jnp.where(_is(SHRANK, seen), smaller, s)))
    return jnp.where(_is(SHRANK, seen), jnp.zeros_like(g), -s * jnp.sign(seen)), s, kept


def _is(kind: int, seen: jax.Array) -> jax.Array:
    """Whether |seen| is `kind`, but for the rounding of complex signs."""
    return jnp.abs(jnp.abs(seen) - kind) < 0.5


def rprop(
    learning_rate: Rate = 1e-2,
    eta_minus: Number = 0.5,
    eta_plus: Number = 1.2,
    min_step_size: Number = 1e-6,
    max_step_size: Number = 50.0,
) -> Rprop:
    """Resilient propagation: only the signs of gradients count, and how often they change.

        s ← s·η₊ where g·g₋₁ > 0,  s·η₋ where g·g₋₁ < 0,  clipped to [s_min, s_max]
        θ ← θ − s·sign(g), but no step where g·g₋₁ < 0, and g₋₁ counts as 0 the next time

    Arguments:
        learning_rate: the step size that every parameter starts with, ≥ 0; of a schedule its first
            value: from then on the method sets the steps.
        eta_minus: η₋ in (0, 1].
        eta_plus: η₊ ≥ 1.
        min_step_size: s_min ≥ 0.
        max_step_size: s_max ≥ 0.

    Returns:
        An `Rprop` record. Its state holds a step size and a sign (one byte) for each parameter. It is
        made for gradients of the whole data: of mini-batches the signs change by chance.

    Raises:
        ValueError: a number outside its interval.
        TypeError: an argument is not a number.

    Example:
        >>> optimizer = rprop(learning_rate=0.1)
        >>> state = optimizer.init(jnp.zeros(1))
        >>> for gradient in (5.0, 0.3, -0.1, -0.1):
        ...     update, state = optimizer.update(jnp.array([gradient]), state)
        ...     print(f"{update[0]:.2f} {state.step_sizes[0]:.2f}")
        -0.10 0.10
        -0.12 0.12
        0.00 0.06
        0.06 0.06

    Source: Riedmiller & Braun 1993; without going back after a change of sign as in Igel & Hüsken 2000
    (iRprop−).

    Elsewhere: `torch.optim.Rprop` is the same, rate and all. `optax.rprop` (no default rate) applies
    each step one call late, and not at all if the sign has changed by then.
    """
    return Rprop(
        learning_rate=check_rate("rprop(learning_rate)", learning_rate),
        eta_minus=check_number("rprop(eta_minus)", eta_minus, "(0, 1]", "the usual value is 0.5"),
        eta_plus=check_number("rprop(eta_plus)", eta_plus, "[1, inf)", "the usual value is 1.2"),
        min_step_size=check_number("rprop(min_step_size)", min_step_size, "[0, inf)"),
        max_step_size=check_number("rprop(max_step_size)", max_step_size, "[0, inf]"),
    )
