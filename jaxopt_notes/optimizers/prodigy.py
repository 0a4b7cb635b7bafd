"""Prodigy: Adam that finds its rate by itself, from how far the gradients say the solution is.

⟨g, θ₀ − θ⟩ summed over the run and divided by the sum of the gradients is a lower bound of the distance to
the solution. The rate is the largest bound seen so far; old terms are forgotten as fast as Adam forgets
squares.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax.typing import DTypeLike

from jaxopt_notes.dtypes import Tree, as_hyperparameter
from jaxopt_notes.masks import Mask, MaskLike, as_mask
from jaxopt_notes.numerics import abs_squared, safe_divide, safe_sqrt
from jaxopt_notes.optimizers.core.distance import absolute_sum, after, gain, starting_point
from jaxopt_notes.optimizers.core.gradient_transform import Accept
from jaxopt_notes.optimizers.core.leafwise import (
    Transform,
    bias_correction,
    first_step,
    increment,
    leafwise,
    require_params,
    store_always,
)
from jaxopt_notes.optimizers.core.moments import check_state_dtype, moments, read
from jaxopt_notes.optimizers.core.wrapping import select
from jaxopt_notes.optimizers.transforms.weight_decay import add_multiple
from jaxopt_notes.record import Number, check_number, record, static
from jaxopt_notes.schedules.schedule import Rate, check_rate, rate_at


class ProdigyState(NamedTuple):
    """Steps made; the estimate d and its numerator; Adam's moments; the sum of gradients; the start."""

    count: jax.Array
    estimate: jax.Array
    numerator: jax.Array
    mu: Tree
    nu: Tree
    grad_sum: Tree
    start: Tree


@record
class Prodigy(Transform):
    """See `prodigy`."""

    learning_rate: Rate
    b1: Number
    b2: Number
    b3: Number | None
    eps: Number
    d0: Number
    d_coef: Number
    weight_decay: Rate
    mask: Mask | None = static()
    bias_correction: bool = static()
    safeguard_warmup: bool = static()
    state_dtype: str | None = static()

    def init(self, params: Tree) -> ProdigyState:
        estimate = jnp.array(as_hyperparameter(self.d0), copy=True)
        mu, nu, grad_sum = moments(params, (1, 2, 1), self.state_dtype)
        zero, start = as_hyperparameter(0.0), starting_point(params)
        return ProdigyState(first_step(), estimate, zero, mu, nu, grad_sum, start)

    def update(
        self, updates: Tree, state: ProdigyState, params: Tree = None, *, accept: Accept = None, **extra: Any
    ) -> tuple[Tree, ProdigyState]:
        params = require_params("prodigy", params)
        count = increment(state.count, accept)
        b3 = safe_sqrt(as_hyperparameter(self.b2)) if self.b3 is None else as_hyperparameter(self.b3)
        d, rate = state.estimate, state.estimate * rate_at(self.learning_rate, state.count)
        if self.bias_correction:
            rate = rate * safe_sqrt(bias_correction(self.b2, count)) / bias_correction(self.b1, count)
        part = d / as_hyperparameter(self.d0)  # so that no number gets too small
        advance = gain(updates, state.start, params)
        numerator = b3 * state.numerator + part * rate * advance
        amount = rate * rate_at(self.weight_decay, state.count)
        updates, mu, nu, grad_sum = leafwise(
            prodigy_step, updates, params, state.mu, state.nu, state.grad_sum,
            accept=accept, b1=self.b1, b2=self.b2, b3=b3, eps=self.eps, d=d,
            rate=after(advance, rate), weight=part * (d if self.safeguard_warmup else rate),
        )  # fmt: skip
        bound = as_hyperparameter(self.d_coef) * safe_divide(numerator, absolute_sum(read(grad_sum)))
        d, numerator = select(accept, (jnp.maximum(d, bound), numerator), (d, state.numerator))
        updates = add_multiple(updates, params, -amount, self.mask, accept)
        return updates, ProdigyState(count, d, numerator, mu, nu, grad_sum, state.start)


def prodigy_step(g, p, m, v, s, *, d, rate, weight, b1, b2, b3, eps, store=store_always):
    """The update of one leaf from gradients scaled by d, and the weighted sum of gradients."""
    m = store(m, b1 * m + (1 - b1) * d * g)
    v = store(v, b2 * v + (1 - b2) * d * d * abs_squared(g))
    s = store(s, b3 * s + weight * g)
    return -rate * safe_divide(m, safe_sqrt(v) + d * eps), m, v, s


def prodigy(
    learning_rate: Rate = 1.0,
    b1: Number = 0.9,
    b2: Number = 0.999,
    b3: Number | None = None,
    eps: Number = 1e-8,
    *,
    d0: Number = 1e-6,
    d_coef: Number = 1.0,
    weight_decay: Rate = 0.0,
    mask: MaskLike = "weights_only",
    bias_correction: bool = False,
    safeguard_warmup: bool = False,
    state_dtype: DTypeLike | None = None,
) -> Prodigy:
    """Prodigy: AdamW without a learning rate.

        m ← b1·m + (1 − b1)·d·g             v ← b2·v + (1 − b2)·d²·|g|²
        s ← b3·s + γ·d²·g                   r ← b3·r + γ·d²·⟨g, θ₀ − θ⟩
        θ ← θ − γ·d·m/(√v + d·eps) − γ·d·λ·θ
        d ← max(d, d_coef·r/‖s‖₁)

    Arguments:
        learning_rate: γ ≥ 0, a factor of the rate found, or a schedule: 1, or what falls from 1 to 0.
        b1, b2: decays of the moments, in [0, 1).
        b3: decay of both sums, in [0, 1); `None` for √b2.
        eps: ≥ 0, outside the root.
        d0: the first estimate of the distance, > 0 and surely too small.
        d_coef: a factor of all estimates, > 0; the thing to tune if there is any: ½ to 2.
        weight_decay: λ ≥ 0, a number or a schedule.
        mask: which leaves are decayed: "weights_only" (rank ≥ 2, no scale or bias), `None` for
            all, a function of the parameters, or a tree of bools.
        bias_correction: whether γ is multiplied by √(1 − b2ᵗ)/(1 − b1ᵗ), as in Adam.
        safeguard_warmup: leave γ out of s, so that a warm-up does not raise the estimate.
        state_dtype: precision of m, v and s, as in `adam`.

    Returns:
        A `Prodigy` record. Its state holds m, v, s and the first parameters, in their shapes and at least
        float32, and `estimate`, d; `update` needs `params`.

    Raises:
        ValueError: a number outside its interval, or `update` without params.
        TypeError: an argument is not a number.

    Example:
        >>> optimizer = prodigy(b1=0.0, d0=0.1)
        >>> x = jnp.array([2.0, -3.0])
        >>> updates, state = optimizer.update(x, optimizer.init(x), x)  # −γ·d·sign(g)/√(1 − b2)
        >>> print([f"{u:.2f}" for u in updates], state.estimate)
        ['-3.16', '3.16'] 0.1

    Source: Mishchenko & Defazio 2024, algorithm 4; s and r are divided by d0, which cancels.

    Elsewhere: the authors' `prodigyopt` and `optax.contrib.prodigy` take the new d in d·eps (without eps they
    are the same). `optax` has the bias correction always, and NaN where all gradients are 0.
    """
    return Prodigy(
        learning_rate=check_rate("prodigy(learning_rate)", learning_rate),
        b1=check_number("prodigy(b1)", b1, "[0, 1)", "the usual value is 0.9"),
        b2=check_number("prodigy(b2)", b2, "[0, 1)", "the usual value is 0.999"),
        b3=b3 if b3 is None else check_number("prodigy(b3)", b3, "[0, 1)", "None for the root of b2"),
        eps=check_number("prodigy(eps)", eps, "[0, inf)"),
        d0=check_number("prodigy(d0)", d0, "(0, inf)", "the usual value is 1e-6"),
        d_coef=check_number("prodigy(d_coef)", d_coef, "(0, inf)", "the usual value is 1"),
        weight_decay=check_rate("prodigy(weight_decay)", weight_decay),
        mask=as_mask(mask),
        bias_correction=bias_correction,
        safeguard_warmup=safeguard_warmup,
        state_dtype=check_state_dtype("prodigy(state_dtype)", state_dtype),
    )
