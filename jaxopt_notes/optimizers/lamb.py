"""LAMB: Adam's direction, and a step as long as the leaf itself times the rate.

It is Adam without a rate, weight decay, and the trust ratio, one after the other: the learning rate
is then the share of its length by which every leaf moves, whatever the size of the batch.
"""

from typing import Any

import jax
import jax.numpy as jnp
from jax.typing import DTypeLike

from jaxopt_notes.dtypes import Tree
from jaxopt_notes.masks import Mask, MaskLike, as_mask
from jaxopt_notes.numerics import abs_squared, safe_divide, safe_sqrt
from jaxopt_notes.optimizers.adam import AdamState
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
from jaxopt_notes.optimizers.core.xla_cpu import anew, plain_norms
from jaxopt_notes.record import Number, check_number, record, static
from jaxopt_notes.schedules.schedule import Rate, check_rate, rate_at


@record
class LAMB(Transform):
    """See `lamb`."""

    learning_rate: Rate
    b1: Number
    b2: Number
    eps: Number
    eps_root: Number
    weight_decay: Rate
    mask: Mask | None = static()
    state_dtype: str | None = static()

    def init(self, params: Tree) -> AdamState:
        return AdamState(first_step(), *moments(params, (1, 2), self.state_dtype))

    def update(
        self, updates: Tree, state: AdamState, params: Tree = None, *, accept: Accept = None, **extra: Any
    ) -> tuple[Tree, AdamState]:
        params = require_params("lamb", params)
        count = increment(state.count, accept)
        decay = number_where(self.mask, rate_at(self.weight_decay, state.count), params)
        updates, mu, nu = leafwise(
            lamb_step, updates, params, state.mu, state.nu,
            accept=accept, decay=decay, rate=rate_at(self.learning_rate, state.count),
            b1=self.b1, b2=self.b2, eps=self.eps, eps_root=self.eps_root,
            c1=bias_correction(self.b1, count), c2=bias_correction(self.b2, count),
        )  # fmt: skip
        return updates, AdamState(count, mu, nu)


def lamb_step(g, p, m, v, *, rate, decay, b1, b2, eps, eps_root, c1, c2, store=store_always):
    """The update of one leaf and its moments; c1 and c2 are the bias corrections 1 − b1ᵗ and 1 − b2ᵗ.

    The direction is made twice, in the pass for its norm and in that for the parameters.
    """
    m = store(m, b1 * m + (1 - b1) * g)
    v = store(v, b2 * v + (1 - b2) * abs_squared(g))

    def direction(c1: jax.Array, c2: jax.Array) -> jax.Array:
        return safe_divide(m / c1, safe_sqrt(v / c2 + eps_root) + eps) + decay * p

    length, step = plain_norms(p, direction(*anew(c1, c2)))
    ratio = jnp.where((length > 0) & (step > 0), safe_divide(length, step), jnp.ones_like(step))
    return -rate * ratio * direction(c1, c2), m, v


def lamb(
    learning_rate: Rate = 1e-3,
    b1: Number = 0.9,
    b2: Number = 0.999,
    eps: Number = 1e-6,
    eps_root: Number = 0.0,
    *,
    weight_decay: Rate = 0.0,
    mask: MaskLike = "weights_only",
    state_dtype: DTypeLike | None = None,
) -> LAMB:
    """LAMB: Adam for large batches, layer by layer.

        m, v = Adam's moments, bias-corrected
        u = m/(√(v + eps_root) + eps) + λ·θ
        θ ← θ − η·‖θ‖/‖u‖·u                  (leaf by leaf; η·u where a norm is 0)

    Arguments:
        learning_rate: η ≥ 0, a number or a schedule: the share of its length by which a leaf moves.
        b1: decay of the first moment, in [0, 1).
        b2: decay of the second moment, in [0, 1).
        eps: added outside the root, ≥ 0.
        eps_root: added inside the root, ≥ 0.
        weight_decay: λ ≥ 0, a number or a schedule. It turns the step and does not lengthen it.
        mask: which leaves are decayed: "weights_only" (rank ≥ 2, no scale or bias), `None` for
            all, a function of the parameters, or a tree of bools. The ratio is taken of every leaf.
        state_dtype: precision of the moments, see `moments`.

    Returns:
        A `LAMB` record; state as in `adam`; `update` needs `params`.

    Raises:
        ValueError: a number outside its interval, or `update` without params.
        TypeError: an argument is not a number.

    Example:
        >>> optimizer = lamb(learning_rate=0.1)
        >>> params = jnp.array([3.0, 4.0])
        >>> updates, _ = optimizer.update(jnp.array([7.0, -0.1]), optimizer.init(params), params)
        >>> print(f"{updates[0]:.4f} {updates[1]:.4f} length {jnp.linalg.norm(updates):.4f}")
        -0.3536 0.3536 length 0.5000

    Source: You et al. 2020, "Large batch optimization for deep learning", algorithm 2 with φ(z) = z.

    Elsewhere: `optax.lamb` is the same (its mask is all leaves). torch has none. The paper's λ is 0.01.
    """
    return LAMB(
        learning_rate=check_rate("lamb(learning_rate)", learning_rate),
        b1=check_number("lamb(b1)", b1, "[0, 1)", "the usual value is 0.9"),
        b2=check_number("lamb(b2)", b2, "[0, 1)", "the usual value is 0.999"),
        eps=check_number("lamb(eps)", eps, "[0, inf)"),
        eps_root=check_number("lamb(eps_root)", eps_root, "[0, inf)"),
        weight_decay=check_rate("lamb(weight_decay)", weight_decay),
        mask=as_mask(mask),
        state_dtype=check_state_dtype("lamb(state_dtype)", state_dtype),
    )
