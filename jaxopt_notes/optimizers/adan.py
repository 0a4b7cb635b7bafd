"""Adan: Nesterov's look-ahead in Adam, from the difference of one gradient to the next.

The average of those differences is not stored. It is (1 − b2)/b2·(g − e), where e is the average of the
gradients with the same decay, started at the first of them; so no step reads two old slots.
"""

from typing import Any, NamedTuple

import jax
from jax.typing import DTypeLike

from jaxopt_notes.dtypes import Tree
from jaxopt_notes.masks import Mask, MaskLike, as_mask
from jaxopt_notes.numerics import abs_squared, safe_divide, safe_sqrt
from jaxopt_notes.optimizers.core.gradient_transform import Accept
from jaxopt_notes.optimizers.core.leafwise import (
    Transform,
    bias_correction,
    first_step,
    increment,
    leafwise,
    number_where,
    require_params,
    store_always,
)
from jaxopt_notes.optimizers.core.moments import check_state_dtype, moments
from jaxopt_notes.optimizers.core.xla_cpu import after
from jaxopt_notes.record import Number, check_number, record, static
from jaxopt_notes.schedules.schedule import Rate, check_rate, rate_at


class AdanState(NamedTuple):
    """Steps made; averages of the gradient at b1, of squares, of the gradient at b2; minus the last one."""

    count: jax.Array
    mu: Tree
    nu: Tree
    slow: Tree
    negative_gradient: Tree


@record
class Adan(Transform):
    """See `adan`."""

    learning_rate: Rate
    b1: Number
    b2: Number
    b3: Number
    eps: Number
    eps_root: Number
    weight_decay: Rate
    mask: Mask | None = static()
    state_dtype: str | None = static()

    def init(self, params: Tree) -> AdanState:
        mu, nu, slow, last = moments(params, (1, 2, 1, 1), self.state_dtype)
        return AdanState(first_step(), mu, nu, slow, last)

    def update(
        self, updates: Tree, state: AdanState, params: Tree = None, *, accept: Accept = None, **extra: Any
    ) -> tuple[Tree, AdanState]:
        params = require_params("adan", params)
        count = increment(state.count, accept)
        rate = rate_at(self.learning_rate, state.count)
        decay = number_where(self.mask, rate * rate_at(self.weight_decay, state.count), params)
        updates, mu, nu, slow, gradient = leafwise(
            adan_step, updates, params, state.mu, state.nu, state.slow, state.negative_gradient,
            accept=accept, rate=rate, decay=decay,
            b1=self.b1, b3=self.b3, eps=self.eps, eps_root=self.eps_root,
            b2=self.b2, seen=state.count > 0, c1=bias_correction(self.b1, count),
            c2=bias_correction(self.b2, count), c3=bias_correction(self.b3, count),
        )  # fmt: skip
        return updates, AdanState(count, mu, nu, slow, gradient)


def adan_step(
    g, p, m, n, e, negative, *, rate, decay, b1, b2, b3, eps, eps_root, seen, c1, c2, c3, store=store_always
):
    """The update of one leaf and its slots; `decay` is ηλ, `seen` is 1 if there is a last gradient.

    b2·d, the look-ahead, is (1 − b2)·(g − e) in terms of the new e.
    """
    b = b2 * seen
    m = store(m, b1 * m + (1 - b1) * g)
    n = store(n, b3 * n + (1 - b3) * abs_squared(g + b * (g + negative)))
    e = store(e, b * e + (1 - b) * g)
    negative = store(negative, after(n, -g))
    step = safe_divide(m / c1 + (1 - b2) * (g - e) / c2, safe_sqrt(n / c3 + eps_root) + eps)
    return -(rate * step + decay * p) / (1 + decay), m, n, e, negative


def adan(
    learning_rate: Rate = 1e-3,
    b1: Number = 0.98,
    b2: Number = 0.92,
    b3: Number = 0.99,
    eps: Number = 1e-8,
    eps_root: Number = 0.0,
    *,
    weight_decay: Rate = 0.0,
    mask: MaskLike = "weights_only",
    state_dtype: DTypeLike | None = None,
) -> Adan:
    """Adan: adaptive Nesterov momentum.

        m ← b1·m + (1 − b1)·g
        d ← b2·d + (1 − b2)·(g − g₋₁)                  (g₋₁ = g at the first step)
        n ← b3·n + (1 − b3)·|g + b2·(g − g₋₁)|²
        θ ← (θ − η·(m̂ + b2·d̂)/(√(n̂ + eps_root) + eps))/(1 + η·λ)

    where m̂ = m/(1 − b1ᵗ), d̂ = d/(1 − b2ᵗ), n̂ = n/(1 − b3ᵗ).

    Arguments:
        learning_rate: η ≥ 0, a number or a schedule.
        b1: decay of the average of gradients, in [0, 1).
        b2: decay of the average of differences, and the length of the look-ahead, in [0, 1); with 0 it
            is Adam.
        b3: decay of the average of squares, in [0, 1).
        eps: added outside the root, ≥ 0.
        eps_root: added inside the root, ≥ 0.
        weight_decay: λ ≥ 0, a number or a schedule, as a proximal step: parameters shrink by 1/(1 + ηλ).
        mask: which leaves are decayed: "weights_only" (rank ≥ 2, no scale or bias), `None` for
            all, a function of the parameters, or a tree of bools.
        state_dtype: precision of the averages and of the last gradient, see `moments`.

    Returns:
        An `Adan` record. Its state holds three averages and the last gradient; `update` needs `params`.

    Raises:
        ValueError: a number outside its interval, or `update` without params.
        TypeError: an argument is not a number.

    Example:
        >>> import jax.numpy as jnp
        >>> optimizer = adan(learning_rate=0.1)
        >>> params = jnp.zeros(2)
        >>> updates, _ = optimizer.update(jnp.array([3.0, -0.5]), optimizer.init(params), params)
        >>> print(f"{updates[0]:.3f} {updates[1]:.3f}")
        -0.100 0.100

    Source: Xie et al. 2022, "Adan: adaptive Nesterov momentum algorithm", algorithm 1 with the bias
    corrections of the authors' code. The paper's β are 1 − b1, 1 − b2, 1 − b3.

    Elsewhere: `optax.adan` weighs the look-ahead by 1 − b2 where the paper, in these letters, has b2
    (0.08 for 0.92: the same only at b2 = 0.5), has ε also inside the root (1e-8), and decays every leaf
    by −ηλθ. torch has none.
    """
    return Adan(
        learning_rate=check_rate("adan(learning_rate)", learning_rate),
        b1=check_number("adan(b1)", b1, "[0, 1)", "the usual value is 0.98"),
        b2=check_number("adan(b2)", b2, "[0, 1)", "the usual value is 0.92"),
        b3=check_number("adan(b3)", b3, "[0, 1)", "the usual value is 0.99"),
        eps=check_number("adan(eps)", eps, "[0, inf)"),
        eps_root=check_number("adan(eps_root)", eps_root, "[0, inf)"),
        weight_decay=check_rate("adan(weight_decay)", weight_decay),
        mask=as_mask(mask),
        state_dtype=check_state_dtype("adan(state_dtype)", state_dtype),
    )
