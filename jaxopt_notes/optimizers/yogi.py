"""Yogi: Adam whose second moment moves by steps of one size, up or down.

Adam forgets a large gradient exponentially fast, and its rate shoots up again; Yogi's second moment
changes by at most a share of the present square, whichever way.
"""

from typing import Any

import jax.numpy as jnp

from jaxopt_notes.dtypes import Tree
from jaxopt_notes.numerics import abs_squared, safe_divide, safe_sqrt
from jaxopt_notes.optimizers.adam import AdamState
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
class Yogi(Transform):
    """See `yogi`."""

    elementwise = True

    learning_rate: Rate
    b1: Number
    b2: Number
    eps: Number
    eps_root: Number
    initial_accumulator_value: Number
    bias_correction: bool = static()
    state_dtype: str | None = static()

    def init(self, params: Tree) -> AdamState:
        start = leafwise(
            _start, params, None, *moments(params, (1, 2), self.state_dtype),
            value=self.initial_accumulator_value,
        )  # fmt: skip
        return AdamState(first_step(), *start[1:])

    def update(
        self, updates: Tree, state: AdamState, params: Tree = None, *, accept: Accept = None, **extra: Any
    ) -> tuple[Tree, AdamState]:
        count = increment(state.count, accept)
        c1, c2 = (
            bias_correction(decay, count) if self.bias_correction else 1.0 for decay in (self.b1, self.b2)
        )
        updates, mu, nu = leafwise(
            yogi_step, updates, params, state.mu, state.nu,
            accept=accept, rate=rate_at(self.learning_rate, state.count),
            b1=self.b1, b2=self.b2, eps=self.eps, eps_root=self.eps_root, c1=c1, c2=c2,
        )  # fmt: skip
        return updates, AdamState(count, mu, nu)


def _start(leaf, p, m, v, *, value, store):
    return leaf, store(m, m), store(v, v + value)


def yogi_step(g, p, m, v, *, rate, b1, b2, eps, eps_root, c1, c2, store=store_always):
    """Yogi's update of one leaf; c1 and c2 are the bias corrections 1 − b1ᵗ and 1 − b2ᵗ."""
    square = abs_squared(g)
    m = store(m, b1 * m + (1 - b1) * g)
    v = store(v, v - (1 - b2) * jnp.sign(v - square) * square)
    return -rate * safe_divide(m / c1, safe_sqrt(v / c2 + eps_root) + eps), m, v


def yogi(
    learning_rate: Rate = 1e-2,
    b1: Number = 0.9,
    b2: Number = 0.999,
    eps: Number = 1e-3,
    eps_root: Number = 0.0,
    initial_accumulator_value: Number = 1e-6,
    bias_correction: bool = True,
    state_dtype: str | None = None,
) -> Yogi:
    """Yogi: Adam with an additive second moment.

        m ← b1·m + (1 − b1)·g
        v ← v − (1 − b2)·sign(v − |g|²)·|g|²
        θ ← θ − η·m/(1 − b1ᵗ) / (√(v/(1 − b2ᵗ) + eps_root) + eps)

    and with `bias_correction=False`: η·m / (√(v + eps_root) + eps).

    Arguments:
        learning_rate: η ≥ 0, a number or a schedule.
        b1: decay of the first moment, in [0, 1).
        b2: 1 − b2 is the share of |g|² by which v changes, b2 in [0, 1). While v is the smaller, it is
            1 − b2 times AdaGrad's sum of squares.
        eps: added outside the root, ≥ 0.
        eps_root: added inside the root, ≥ 0.
        initial_accumulator_value: v at the start, ≥ 0; m starts at 0.
        bias_correction: correct the moments as Adam does.
        state_dtype: the precision of the moments; `None` for that of the parameters and at least float32.

    Returns:
        A `Yogi` record. Its state is that of `adam`.

    Raises:
        ValueError: a number outside its interval.
        TypeError: an argument is not a number.

    Example:
        >>> optimizer = yogi(learning_rate=0.1, eps=0.0, initial_accumulator_value=0.0)
        >>> updates, _ = optimizer.update(jnp.array([3.0, -0.5]), optimizer.init(jnp.zeros(2)))
        >>> print(f"{updates[0]:.4f} {updates[1]:.4f}")
        -0.1000 0.1000

    Source: Zaheer et al. 2018, algorithm 2 (η 0.01, ε 1e-3, no bias correction).

    Elsewhere: `optax.yogi` has this formula and these defaults (no default η), but starts m, too, at 1e-6,
    a push in the positive direction that no gradient gave. torch has none.
    """
    return Yogi(
        learning_rate=check_rate("yogi(learning_rate)", learning_rate),
        b1=check_number("yogi(b1)", b1, "[0, 1)", "the usual value is 0.9; 0 switches momentum off"),
        b2=check_number("yogi(b2)", b2, "[0, 1)", "the usual value is 0.999"),
        eps=check_number("yogi(eps)", eps, "[0, inf)"),
        eps_root=check_number("yogi(eps_root)", eps_root, "[0, inf)"),
        initial_accumulator_value=check_number(
            "yogi(initial_accumulator_value)", initial_accumulator_value, "[0, inf)"
        ),
        bias_correction=bias_correction,
        state_dtype=check_state_dtype("yogi(state_dtype)", state_dtype),
    )
