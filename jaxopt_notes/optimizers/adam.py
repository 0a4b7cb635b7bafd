"""Adam: momentum and RMSProp in one, each moment corrected for its start at zero."""

from typing import Any, NamedTuple

import jax
from jax.typing import DTypeLike

from jaxopt_notes.dtypes import Tree
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


class AdamState(NamedTuple):
    """Steps made, and the exponential moving averages of the gradient and of its square."""

    count: jax.Array
    mu: Tree
    nu: Tree


@record
class Adam(Transform):
    """See `adam`."""

    elementwise = True

    learning_rate: Rate
    b1: Number
    b2: Number
    eps: Number
    eps_root: Number
    state_dtype: str | None = static()

    def init(self, params: Tree) -> AdamState:
        return AdamState(first_step(), *moments(params, (1, 2), self.state_dtype))

    def update(
        self, updates: Tree, state: AdamState, params: Tree = None, *, accept: Accept = None, **extra: Any
    ) -> tuple[Tree, AdamState]:
        count = increment(state.count, accept)
        updates, mu, nu = leafwise(
            adam_step, updates, params, state.mu, state.nu,
            accept=accept, rate=rate_at(self.learning_rate, state.count),
            b1=self.b1, b2=self.b2, eps=self.eps, eps_root=self.eps_root,
            c1=bias_correction(self.b1, count), c2=bias_correction(self.b2, count),
        )  # fmt: skip
        return updates, AdamState(count, mu, nu)


def adam_step(g, p, m, v, *, rate, b1, b2, eps, eps_root, c1, c2, store=store_always):
    """Adam's update of one leaf; c1 and c2 are the bias corrections 1 − b1ᵗ and 1 − b2ᵗ."""
    m = store(m, b1 * m + (1 - b1) * g)
    v = store(v, b2 * v + (1 - b2) * abs_squared(g))
    # (m/c1)/(√(v/c2 + eps_root) + eps), with two divisions less: section 2 of the paper.
    root = safe_sqrt(c2)
    return -(rate * root / c1) * safe_divide(m, safe_sqrt(v + eps_root * c2) + eps * root), m, v


def adam(
    learning_rate: Rate = 1e-3,
    b1: Number = 0.9,
    b2: Number = 0.999,
    eps: Number = 1e-8,
    eps_root: Number = 0.0,
    state_dtype: DTypeLike | None = None,
) -> Adam:
    """Adam: adaptive moment estimation.

        m ← b1·m + (1 − b1)·g              v ← b2·v + (1 − b2)·|g|²
        m̂ = m / (1 − b1ᵗ)                  v̂ = v / (1 − b2ᵗ)
        θ ← θ − η·m̂ / (√(v̂ + eps_root) + eps)

    Arguments:
        learning_rate: η ≥ 0, a number or a schedule; the first step is η·sign(g).
        b1: decay of the first moment, in [0, 1).
        b2: decay of the second moment, in [0, 1).
        eps: added outside the root, ≥ 0.
        eps_root: added inside the root, ≥ 0; 0 in the paper. A positive value keeps second
            derivatives of a training run finite at zero gradients.
        state_dtype: precision of the moments: None (the parameters', at least float32), "float32",
            "bfloat16", "packed" (both moments in one 32-bit word) or "8bit"; see `moments`.

    Returns:
        An `Adam` record. Its state holds two moments of the parameters' shapes, in their dtype and
        at least float32.

    Raises:
        ValueError: a number outside its interval.
        TypeError: an argument is not a number.

    Example:
        >>> import jax.numpy as jnp
        >>> optimizer = adam(learning_rate=0.1)
        >>> params = {"w": jnp.array([1.0, -2.0])}
        >>> state = optimizer.init(params)
        >>> updates, state = optimizer.update({"w": jnp.array([3.0, -0.5])}, state, params)
        >>> [f"{update:.4f}" for update in updates["w"]]
        ['-0.1000', '0.1000']

    Source: Kingma & Ba 2015, algorithm 1.

    Elsewhere: the same formula and defaults in torch and optax. Both keep the moments of a bfloat16
    parameter in bfloat16, where v stops growing after a few steps; here they are float32.
    """
    return Adam(
        learning_rate=check_rate("adam(learning_rate)", learning_rate),
        b1=check_number("adam(b1)", b1, "[0, 1)", "the usual value is 0.9; 0 switches momentum off"),
        b2=check_number("adam(b2)", b2, "[0, 1)", "the usual value is 0.999"),
        eps=check_number("adam(eps)", eps, "[0, inf)"),
        eps_root=check_number("adam(eps_root)", eps_root, "[0, inf)"),
        state_dtype=check_state_dtype("adam(state_dtype)", state_dtype),
    )
