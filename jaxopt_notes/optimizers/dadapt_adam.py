"""D-Adaptation of Adam: its rate from a lower bound of the distance, in the largest coordinate.

As `dadapt_sgd`, with distances measured in the units of Adam's steps, and with averages that forget.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax.typing import DTypeLike

from jaxopt_notes.dtypes import Tree, as_hyperparameter
from jaxopt_notes.masks import Mask, MaskLike, as_mask
from jaxopt_notes.numerics import abs_squared, safe_divide, safe_sqrt
from jaxopt_notes.optimizers.core.distance import absolute_sum, after, inner_product
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
from jaxopt_notes.optimizers.core.wrapping import select, widened
from jaxopt_notes.optimizers.transforms.weight_decay import add_multiple
from jaxopt_notes.record import Number, check_number, record, static
from jaxopt_notes.schedules.schedule import Rate, check_rate, rate_at


class DAdaptAdamState(NamedTuple):
    """Steps made; the estimate d and its numerator; Adam's moments; the average of weighted gradients."""

    count: jax.Array
    estimate: jax.Array
    numerator: jax.Array
    mu: Tree
    nu: Tree
    grad_sum: Tree


@record
class DAdaptAdam(Transform):
    """See `dadapt_adam`."""

    learning_rate: Rate
    b1: Number
    b2: Number
    eps: Number
    d0: Number
    weight_decay: Rate
    mask: Mask | None = static()
    bias_correction: bool = static()
    state_dtype: str | None = static()

    def init(self, params: Tree) -> DAdaptAdamState:
        estimate = jnp.array(as_hyperparameter(self.d0), copy=True)
        mu, nu, grad_sum = moments(params, (1, 2, 1), self.state_dtype)
        return DAdaptAdamState(first_step(), estimate, as_hyperparameter(0.0), mu, nu, grad_sum)

    def update(
        self,
        updates: Tree,
        state: DAdaptAdamState,
        params: Tree = None,
        *,
        accept: Accept = None,
        **extra: Any,
    ) -> tuple[Tree, DAdaptAdamState]:
        params = require_params("dadapt_adam", params)
        count = increment(state.count, accept)
        root = safe_sqrt(as_hyperparameter(self.b2))
        rate = state.estimate * rate_at(self.learning_rate, state.count)
        if self.bias_correction:
            rate = rate * safe_sqrt(bias_correction(self.b2, count)) / bias_correction(self.b1, count)
        slots = (state.mu, state.nu, state.grad_sum)
        (scaled, *_) = leafwise(scaled_sum, widened(updates), None, *slots, eps=self.eps)
        growth = inner_product(updates, scaled)
        numerator = root * state.numerator + (1 - root) * rate * growth
        amount = rate * rate_at(self.weight_decay, state.count)
        updates, mu, nu, grad_sum = leafwise(
            dadapt_adam_step, updates, params, *slots,
            accept=accept, rate=rate, b1=self.b1, eps=self.eps,
            b2=after(growth, self.b2), root=after(growth, root),
        )  # fmt: skip
        bound = safe_divide(numerator, (1 - root) * absolute_sum(read(grad_sum)))
        new = (jnp.maximum(state.estimate, bound), numerator)
        estimate, numerator = select(accept, new, (state.estimate, state.numerator))
        updates = add_multiple(updates, params, -amount, self.mask, accept)
        return updates, DAdaptAdamState(count, estimate, numerator, mu, nu, grad_sum)


def scaled_sum(g, p, m, v, s, *, eps, store=store_always):
    """s/(√v + eps) of one leaf before its step; nothing is changed."""
    return safe_divide(s, safe_sqrt(v) + eps), m, v, s


def dadapt_adam_step(g, p, m, v, s, *, rate, b1, b2, root, eps, store=store_always):
    """Adam's update of one leaf with the rate inside the moment, and the average of weighted gradients."""
    m = store(m, b1 * m + (1 - b1) * rate * g)
    v = store(v, b2 * v + (1 - b2) * abs_squared(g))
    s = store(s, root * s + (1 - root) * rate * g)
    return -safe_divide(m, safe_sqrt(v) + eps), m, v, s


def dadapt_adam(
    learning_rate: Rate = 1.0,
    b1: Number = 0.9,
    b2: Number = 0.999,
    eps: Number = 1e-8,
    *,
    d0: Number = 1e-6,
    weight_decay: Rate = 0.0,
    mask: MaskLike = "weights_only",
    bias_correction: bool = False,
    state_dtype: DTypeLike | None = None,
) -> DAdaptAdam:
    """AdamW without a learning rate, by D-Adaptation.

        r ← √b2·r + (1 − √b2)·γd·⟨g, s/(√v + eps)⟩
        m ← b1·m + (1 − b1)·γd·g            v ← b2·v + (1 − b2)·|g|²
        s ← √b2·s + (1 − √b2)·γd·g          θ ← θ − m/(√v + eps) − γd·λ·θ
        d ← max(d, r/((1 − √b2)·‖s‖₁))

    Arguments:
        learning_rate: γ ≥ 0, a factor of the rate found, or a schedule: 1, or what falls from 1 to 0.
        b1, b2: decays of the moments, in [0, 1); b2 above 0.
        eps: ≥ 0, outside the root.
        d0: the first estimate of the distance, in the largest coordinate, > 0 and surely too small.
        weight_decay: λ ≥ 0, a number or a schedule.
        mask: which leaves are decayed: "weights_only" (rank ≥ 2, no scale or bias), `None` for
            all, a function of the parameters, or a tree of bools.
        bias_correction: whether γ is multiplied by √(1 − b2ᵗ)/(1 − b1ᵗ), as in Adam.
        state_dtype: precision of m, v and s, as in `adam`.

    Returns:
        A `DAdaptAdam` record. Its state holds m, v and s, in the parameters' shapes and at least float32,
        and `estimate`, d; `update` needs `params`.

    Raises:
        ValueError: a number outside its interval, or `update` without params.
        TypeError: an argument is not a number.

    Example:
        >>> optimizer = dadapt_adam(b1=0.0, d0=0.1)
        >>> x = jnp.array([2.0, -3.0])
        >>> updates, state = optimizer.update(x, optimizer.init(x), x)  # −γ·d·sign(g)/√(1 − b2)
        >>> print([f"{u:.2f}" for u in updates], state.estimate)
        ['-3.16', '3.16'] 0.1

    Source: Defazio & Mishchenko 2023, algorithm 5, in the form of the authors' code, where r sees the v
    of the step before.

    Elsewhere: `dadaptation.DAdaptAdam(decouple=True)`, the same; `optax.contrib.dadapt_adamw` has the bias
    correction always, and NaN where all gradients are 0.
    """
    return DAdaptAdam(
        learning_rate=check_rate("dadapt_adam(learning_rate)", learning_rate),
        b1=check_number("dadapt_adam(b1)", b1, "[0, 1)", "the usual value is 0.9"),
        b2=check_number("dadapt_adam(b2)", b2, "[0, 1)", "the usual value is 0.999"),
        eps=check_number("dadapt_adam(eps)", eps, "[0, inf)"),
        d0=check_number("dadapt_adam(d0)", d0, "(0, inf)", "the usual value is 1e-6"),
        weight_decay=check_rate("dadapt_adam(weight_decay)", weight_decay),
        mask=as_mask(mask),
        bias_correction=bias_correction,
        state_dtype=check_state_dtype("dadapt_adam(state_dtype)", state_dtype),
    )
