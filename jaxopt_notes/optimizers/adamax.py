"""Adamax: Adam in the maximum norm, and AdamaxW, the same with decoupled weight decay."""

from typing import Any

import jax.numpy as jnp

from jaxopt_notes.dtypes import Tree
from jaxopt_notes.masks import Mask, MaskLike, as_mask
from jaxopt_notes.numerics import safe_divide
from jaxopt_notes.optimizers.adam import AdamState
from jaxopt_notes.optimizers.core.decoupled_decay import DecoupledDecay
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


@record
class Adamax(Transform):
    """See `adamax`. The `nu` of its state is the norm u."""

    elementwise = True

    learning_rate: Rate
    b1: Number
    b2: Number
    eps: Number
    state_dtype: str | None = static()

    def init(self, params: Tree) -> AdamState:
        return AdamState(first_step(), *moments(params, (1, 2), self.state_dtype))

    def update(
        self, updates: Tree, state: AdamState, params: Tree = None, *, accept: Accept = None, **extra: Any
    ) -> tuple[Tree, AdamState]:
        count = increment(state.count, accept)
        updates, mu, nu = leafwise(
            adamax_step, updates, params, state.mu, state.nu,
            accept=accept, rate=rate_at(self.learning_rate, state.count),
            b1=self.b1, b2=self.b2, eps=self.eps, c1=bias_correction(self.b1, count),
        )  # fmt: skip
        return updates, AdamState(count, mu, nu)


def adamax_step(g, p, m, u, *, rate, b1, b2, eps, c1, store=store_always):
    """Adamax's update of one leaf; c1 is the bias correction 1 − b1ᵗ."""
    m = store(m, b1 * m + (1 - b1) * g)
    u = store(u, jnp.maximum(b2 * u, jnp.abs(g) + eps))
    return -rate * safe_divide(m / c1, u), m, u


def adamax(
    learning_rate: Rate = 2e-3,
    b1: Number = 0.9,
    b2: Number = 0.999,
    eps: Number = 1e-8,
    state_dtype: str | None = None,
) -> Adamax:
    """Adamax: the average gradient over the largest recent one.

        m ← b1·m + (1 − b1)·g
        u ← max(b2·u, |g| + eps)
        θ ← θ − η·m/(1 − b1ᵗ) / u

    Arguments:
        learning_rate: η ≥ 0, a number or a schedule; with b1 ≤ b2 no step is longer than it.
        b1: decay of the first moment, in [0, 1).
        b2: decay of the maximum, in [0, 1). The maximum starts at nothing, so it needs no correction.
        eps: added to |g|, ≥ 0.
        state_dtype: the precision of m and u; `None` for that of the parameters and at least float32.

    Returns:
        An `Adamax` record. Its state is that of `adam`, with u in place of the second moment.

    Raises:
        ValueError: a number outside its interval.
        TypeError: an argument is not a number.

    Example:
        >>> optimizer = adamax(learning_rate=0.1)
        >>> state = optimizer.init(jnp.zeros(2))
        >>> updates, state = optimizer.update(jnp.array([5.0, -0.2]), state)
        >>> print(f"{updates[0]:.4f} {updates[1]:.4f}")
        -0.1000 0.1000

    Source: Kingma & Ba 2015, algorithm 2 (η 0.002; without ε, where a gradient of zeros is 0/0).

    Elsewhere: the same formula in torch (η 0.002) and optax; Keras adds ε to u where it divides by it.
    """
    return Adamax(
        learning_rate=check_rate("adamax(learning_rate)", learning_rate),
        b1=check_number("adamax(b1)", b1, "[0, 1)", "the usual value is 0.9; 0 switches momentum off"),
        b2=check_number("adamax(b2)", b2, "[0, 1)", "the usual value is 0.999"),
        eps=check_number("adamax(eps)", eps, "[0, inf)"),
        state_dtype=check_state_dtype("adamax(state_dtype)", state_dtype),
    )


@record
class AdamaxW(DecoupledDecay, Adamax):
    """See `adamaxw`."""

    weight_decay: Rate
    mask: Mask | None = static()


def adamaxw(
    learning_rate: Rate = 2e-3,
    b1: Number = 0.9,
    b2: Number = 0.999,
    eps: Number = 1e-8,
    *,
    weight_decay: Rate = 1e-4,
    mask: MaskLike = "weights_only",
    state_dtype: str | None = None,
) -> AdamaxW:
    """Adamax with decoupled weight decay.

        u = Adamax's update
        θ ← θ + u − η·λ·θ

    Arguments:
        learning_rate: η ≥ 0, a number or a schedule; it multiplies the decay too.
        b1: decay of the first moment, in [0, 1).
        b2: decay of the maximum, in [0, 1).
        eps: added to |g|, ≥ 0.
        weight_decay: λ ≥ 0, a number or a schedule. Without gradients t steps leave (1 − ηλ)ᵗ·θ.
        mask: which leaves are decayed: "weights_only" (rank ≥ 2, no scale or bias), `None` for
            all, a function of the parameters, or a tree of bools.
        state_dtype: the precision of m and u; `None` for that of the parameters and at least float32.

    Returns:
        An `AdamaxW` record; state as in `adamax`; `update` needs `params`.

    Raises:
        ValueError: a number outside its interval, or `update` without params.

    Example:
        >>> optimizer = adamaxw(learning_rate=0.1, weight_decay=0.5)
        >>> params = {"kernel": jnp.full((1, 1), 2.0), "bias": jnp.array([2.0])}
        >>> zero_grads = {"kernel": jnp.zeros((1, 1)), "bias": jnp.zeros(1)}
        >>> updates, _ = optimizer.update(zero_grads, optimizer.init(params), params)
        >>> print(f"{updates['kernel'][0, 0]:.2f} {updates['bias'][0]:.2f}")
        -0.10 -0.00

    Source: Loshchilov & Hutter 2019 for the decay, Kingma & Ba 2015 for the rest.

    Elsewhere: `optax.adamaxw` decays every leaf by default: `mask=None` here. torch's
    `Adamax(weight_decay=λ)` is coupled: `chain(add_l2(λ, mask=None), adamax())` here.
    """
    base = adamax(learning_rate, b1, b2, eps, check_state_dtype("adamaxw(state_dtype)", state_dtype))
    return AdamaxW(
        learning_rate=base.learning_rate,
        b1=base.b1,
        b2=base.b2,
        eps=base.eps,
        state_dtype=base.state_dtype,
        weight_decay=check_rate("adamaxw(weight_decay)", weight_decay),
        mask=as_mask(mask),
    )
