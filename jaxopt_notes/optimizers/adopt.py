"""ADOPT: Adam with a second moment that has not seen the present gradient.

Each gradient is divided by the root of the second moment *before* it enters it, and the momentum is
taken of the quotients. So divisor and gradient are independent, and the method converges for every b2.
"""

from typing import Any

import jax
import jax.numpy as jnp
from jax import lax

from jaxopt_notes.dtypes import Tree, as_hyperparameter
from jaxopt_notes.numerics import abs_squared, safe_divide, safe_sqrt
from jaxopt_notes.optimizers.adam import AdamState
from jaxopt_notes.optimizers.core.gradient_transform import Accept
from jaxopt_notes.optimizers.core.leafwise import (
    Transform,
    first_step,
    increment,
    leafwise,
    store_always,
)
from jaxopt_notes.optimizers.core.moments import check_state_dtype, moments
from jaxopt_notes.optimizers.transforms.clipping import clip_to
from jaxopt_notes.record import Number, check_number, record, static
from jaxopt_notes.schedules.schedule import Rate, check_rate, rate_at


def fourth_root(step: jax.Array) -> jax.Array:
    """step^¼, the bound of ADOPT's quotients; 1 at step 0, where it has no slope and is not needed."""
    return as_hyperparameter(jnp.maximum(step, 1)) ** 0.25


@record
class ADOPT(Transform):
    """See `adopt`."""

    elementwise = True

    learning_rate: Rate
    b1: Number
    b2: Number
    eps: Number
    clip_value: Rate
    state_dtype: str | None = static()

    def init(self, params: Tree) -> AdamState:
        return AdamState(first_step(), *moments(params, (1, 2), self.state_dtype))

    def update(
        self, updates: Tree, state: AdamState, params: Tree = None, *, accept: Accept = None, **extra: Any
    ) -> tuple[Tree, AdamState]:
        first = state.count == 0  # nothing moves, and v becomes |g|²
        updates, mu, nu = leafwise(
            adopt_step, updates, params, state.mu, state.nu,
            accept=accept, rate=rate_at(self.learning_rate, state.count), eps=self.eps,
            b1=jnp.where(first, 1, as_hyperparameter(self.b1)),
            b2=jnp.where(first, 0, as_hyperparameter(self.b2)),
            clip_value=rate_at(self.clip_value, state.count),
        )  # fmt: skip
        return updates, AdamState(increment(state.count, accept), mu, nu)


def adopt_step(g, p, m, v, *, rate, b1, b2, eps, clip_value, store=store_always):
    """ADOPT's update of one leaf: the old v divides, the new one is stored."""
    quotient = safe_divide(g, jnp.maximum(safe_sqrt(v), eps))
    quotient = clip_to(quotient, jnp.abs(quotient), clip_value, zero_nonfinite=False)
    m = store(m, b1 * m + (1 - b1) * quotient)
    new = b2 * v + (1 - b2) * abs_squared(g)
    v = store(v, lax.platform_dependent(m, new, cpu=_after, default=lambda m, new: new))
    return -rate * m, m, v


def _after(m: jax.Array, new: jax.Array) -> jax.Array:
    """The new v, computed after m: NaN where m is, and m is NaN for ever there.

    XLA's CPU backend has one loop for m, another for v. If none waits for the other, it does not know that
    the old v has been read when its place is taken, and copies it.
    """
    return jnp.where(jnp.isnan(m), jnp.nan, new)


def adopt(
    learning_rate: Rate = 1e-3,
    b1: Number = 0.9,
    b2: Number = 0.9999,
    eps: Number = 1e-6,
    clip_value: Rate = fourth_root,
    state_dtype: str | None = None,
) -> ADOPT:
    """ADOPT: adaptive gradients, each divided by what was known before it.

        v₀ = |g₀|², no step; then, for t = 1, 2, …
        m ← b1·m + (1 − b1)·clip(g / max(√v, eps), ±c)      c = t^¼
        θ ← θ − η·m
        v ← b2·v + (1 − b2)·|g|²

    Arguments:
        learning_rate: η ≥ 0, a number or a schedule. The first update is zero.
        b1: decay of the average of quotients, in [0, 1).
        b2: decay of the second moment, in [0, 1).
        eps: the least divisor, ≥ 0.
        clip_value: c ≥ 0, a number or a schedule; a complex quotient is clipped by its absolute value. `inf`
            switches clipping off: the paper's algorithm 1.
        state_dtype: the precision of the moments; `None` for that of the parameters and at least float32.

    Returns:
        An `ADOPT` record. Its state is that of `adam`; neither moment needs a correction.

    Raises:
        ValueError: a number outside its interval.
        TypeError: an argument is not a number.

    Example:
        >>> optimizer = adopt(learning_rate=0.1, b1=0.0, clip_value=jnp.inf)
        >>> state = optimizer.init(jnp.array(0.0))
        >>> first, state = optimizer.update(jnp.array(2.0), state)
        >>> second, state = optimizer.update(jnp.array(3.0), state)  # 3/2 of the rate
        >>> print(f"{first:.2f} {second:.2f}")
        -0.00 -0.15

    Source: Taniguchi et al. 2024, algorithm 2 (algorithm 1 without clipping).

    Elsewhere: `optax.contrib.adopt` has the same formula and defaults (`use_clipping=False` is
    `clip_value=inf`, `clip_value_fn` is `clip_value`), and a Nesterov form; torch has none.
    """
    return ADOPT(
        learning_rate=check_rate("adopt(learning_rate)", learning_rate),
        b1=check_number("adopt(b1)", b1, "[0, 1)", "the usual value is 0.9; 0 switches momentum off"),
        b2=check_number("adopt(b2)", b2, "[0, 1)", "the usual value is 0.9999"),
        eps=check_number("adopt(eps)", eps, "[0, inf)"),
        clip_value=check_rate("adopt(clip_value)", clip_value, "[0, inf]", "inf switches clipping off"),
        state_dtype=check_state_dtype("adopt(state_dtype)", state_dtype),
    )
