"""AdEMAMix: Adam with a second, very slow average of gradients beside the fast one."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike

from jaxopt_notes.dtypes import Tree, as_hyperparameter
from jaxopt_notes.numerics import abs_squared, safe_divide, safe_sqrt
from jaxopt_notes.optimizers.core.gradient_transform import Accept
from jaxopt_notes.optimizers.core.leafwise import (
    Transform,
    bias_correction,
    first_step,
    increment,
    leafwise,
    store_always,
)
from jaxopt_notes.optimizers.core.moments import check_state_dtype, moments
from jaxopt_notes.record import Number, check_number, record, static
from jaxopt_notes.schedules.schedule import Rate, check_rate, rate_at


class AdEMAMixState(NamedTuple):
    """Steps made, the fast and the slow average of the gradient, and the average of its square."""

    count: jax.Array
    fast: Tree
    slow: Tree
    nu: Tree


@record
class AdEMAMix(Transform):
    """See `ademamix`."""

    elementwise = True

    learning_rate: Rate
    b1: Number
    b2: Number
    b3: Rate
    alpha: Rate
    eps: Number
    eps_root: Number
    warmup_steps: Number
    state_dtype: str | None = static()

    def init(self, params: Tree) -> AdEMAMixState:
        return AdEMAMixState(first_step(), *moments(params, (1, 1, 2), self.state_dtype))

    def update(
        self, updates: Tree, state: AdEMAMixState, params: Tree = None, *, accept: Accept = None, **extra: Any
    ) -> tuple[Tree, AdEMAMixState]:
        count = increment(state.count, accept)
        share = warmup_share(state.count, self.warmup_steps)
        b3 = slowed(self.b1, rate_at(self.b3, state.count), share)
        updates, fast, slow, nu = leafwise(
            ademamix_step, updates, params, state.fast, state.slow, state.nu,
            accept=accept, rate=rate_at(self.learning_rate, state.count),
            b1=self.b1, b2=self.b2, b3=b3, alpha=share * rate_at(self.alpha, state.count),
            eps=self.eps, eps_root=self.eps_root,
            c1=bias_correction(self.b1, count), c2=bias_correction(self.b2, count),
        )  # fmt: skip
        return updates, AdEMAMixState(count, fast, slow, nu)


def ademamix_step(
    g, p, fast, slow, v, *, rate, b1, b2, b3, alpha, eps, eps_root, c1, c2, store=store_always
):  # fmt: skip
    """AdEMAMix's update of one leaf; the slow average is not corrected for its start at zero."""
    fast = store(fast, b1 * fast + (1 - b1) * g)
    slow = store(slow, b3 * slow + (1 - b3) * g)
    v = store(v, b2 * v + (1 - b2) * abs_squared(g))
    step = fast / c1 + alpha * slow
    return -rate * safe_divide(step, safe_sqrt(v / c2 + eps_root) + eps), fast, slow, v


def warmup_share(count: jax.Array, steps: ArrayLike) -> jax.Array:
    """t/T, at most 1; 1 without a warm-up (T = 0). t counts from 1."""
    steps = as_hyperparameter(steps)
    t = as_hyperparameter(count) + 1
    return jnp.where(t < steps, t / jnp.where(t < steps, steps, 1), 1)


def slowed(b1: Number, b3: Number, share: Any) -> jax.Array:
    """From b1 (share 0) to b3 (share 1) so that 1/ln β, the length of the average, changes linearly."""
    b1, b3 = as_hyperparameter(b1), as_hyperparameter(b3)
    first, last = (jnp.where(b > 0, 1 / jnp.log(jnp.where(b > 0, b, 0.5)), 0) for b in (b1, b3))
    length = (1 - share) * first + share * last  # 0 for no memory at all
    decay = jnp.where(length < 0, jnp.exp(1 / jnp.where(length < 0, length, -1)), 0)
    return jnp.where(share < 1, jnp.minimum(decay, b3), b3)


def ademamix(
    learning_rate: Rate = 1e-3,
    b1: Number = 0.9,
    b2: Number = 0.999,
    b3: Rate = 0.9999,
    alpha: Rate = 5.0,
    eps: Number = 1e-8,
    eps_root: Number = 0.0,
    warmup_steps: Number = 0.0,
    state_dtype: str | None = None,
) -> AdEMAMix:
    """AdEMAMix: Adam with a mixture of a fast and a slow average of gradients.

        m₁ ← b1·m₁ + (1 − b1)·g            m₂ ← b3·m₂ + (1 − b3)·g
        v ← b2·v + (1 − b2)·|g|²
        θ ← θ − η·(m₁/(1 − b1ᵗ) + α·m₂) / (√(v/(1 − b2ᵗ) + eps_root) + eps)

    and for `warmup_steps=T`, while t < T, with α·t/T in place of α, and in place of b3
    β = exp(ln b1·ln b3 / ((1 − t/T)·ln b3 + (t/T)·ln b1)), whose half-life grows linearly.

    Arguments:
        learning_rate: η ≥ 0, a number or a schedule; the first step is about η·sign(g), later ones
            up to (1 + α)·η.
        b1: decay of the fast average, in [0, 1).
        b2: decay of the second moment, in [0, 1).
        b3: decay of the slow average, in [0, 1), a number or a schedule. The slow average is not corrected
            for its start at zero: it comes in gradually, over 1/(1 − b3) steps.
        alpha: α ≥ 0, its weight, a number or a schedule; 0 is Adam.
        eps: added outside the root, ≥ 0.
        eps_root: added inside the root, ≥ 0.
        warmup_steps: T ≥ 0, usually the length of the run, may be traced; 0 for no warm-up.
        state_dtype: the precision of the moments; `None` for that of the parameters and at least float32.

    Returns:
        An `AdEMAMix` record. Its state holds three moments of the parameters' shapes.

    Raises:
        ValueError: a number outside its interval.
        TypeError: an argument is not a number.

    Example:
        >>> optimizer = ademamix(learning_rate=0.1, b3=0.9, alpha=10.0)
        >>> updates, _ = optimizer.update(jnp.array([3.0]), optimizer.init(jnp.zeros(1)))
        >>> print(f"{updates[0]:.4f}")  # of m₁ a whole rate, of m₂ 10·(1 − 0.9)
        -0.2000

    Source: Pagliardini, Ablin & Grangier 2024, algorithm 1 and equations for α and β₃. For its
    decoupled decay λ: `chain(ademamix(η), weight_decay(λ, η))`.

    Elsewhere: `optax.contrib.ademamix` has the same formula and defaults, a decay of its own (0 by
    default) and no warm-up but by schedules for b3 and α; torch has none.
    """
    return AdEMAMix(
        learning_rate=check_rate("ademamix(learning_rate)", learning_rate),
        b1=check_number("ademamix(b1)", b1, "[0, 1)", "the usual value is 0.9; 0 switches momentum off"),
        b2=check_number("ademamix(b2)", b2, "[0, 1)", "the usual value is 0.999"),
        b3=check_rate("ademamix(b3)", b3, "[0, 1)", "the usual value is 0.9999"),
        alpha=check_rate("ademamix(alpha)", alpha, "[0, inf)", "the usual value is 5; 0 is Adam"),
        eps=check_number("ademamix(eps)", eps, "[0, inf)"),
        eps_root=check_number("ademamix(eps_root)", eps_root, "[0, inf)"),
        warmup_steps=check_number("ademamix(warmup_steps)", warmup_steps, "[0, inf)", "0 is no warm-up"),
        state_dtype=check_state_dtype("ademamix(state_dtype)", state_dtype),
    )
