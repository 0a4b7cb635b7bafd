"""Lion: the sign of an average that weighs the newest gradient more than its memory does."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax.typing import DTypeLike

from jaxopt_notes.dtypes import Tree
from jaxopt_notes.masks import Mask, MaskLike, as_mask
from jaxopt_notes.optimizers.core.gradient_transform import Accept
from jaxopt_notes.optimizers.core.leafwise import (
    Transform,
    first_step,
    increment,
    leafwise,
    require_params,
    store_always,
)
from jaxopt_notes.optimizers.core.moments import check_state_dtype, moments
from jaxopt_notes.optimizers.transforms.weight_decay import add_multiple
from jaxopt_notes.record import Number, check_number, record, static
from jaxopt_notes.schedules.schedule import Rate, check_rate, rate_at


class LionState(NamedTuple):
    """Steps made, and the moving average of the gradient."""

    count: jax.Array
    mu: Tree


@record
class Lion(Transform):
    """See `lion`."""

    elementwise = True

    learning_rate: Rate
    b1: Number
    b2: Number
    weight_decay: Rate
    mask: Mask | None = static()
    state_dtype: str | None = static()

    def init(self, params: Tree) -> LionState:
        return LionState(first_step(), *moments(params, (1,), self.state_dtype))

    def update(
        self, updates: Tree, state: LionState, params: Tree = None, *, accept: Accept = None, **extra: Any
    ) -> tuple[Tree, LionState]:
        params = require_params("lion", params)
        rate = rate_at(self.learning_rate, state.count)
        updates, mu = leafwise(
            lion_step, updates, params, state.mu, accept=accept, rate=rate, b1=self.b1, b2=self.b2
        )
        amount = rate * rate_at(self.weight_decay, state.count)
        updates = add_multiple(updates, params, -amount, self.mask, accept)
        return updates, LionState(increment(state.count, accept), mu)


def lion_step(g, p, m, *, rate, b1, b2, store=store_always):
    """The update and the average of one leaf.

    The step sign(b1·m + (1 − b1)·g) is made from the old m. b2 times that is b1·m₊ + (b2 − b1)·g in terms
    of the new one, of the same sign, and needs no copy of the old.
    """
    m = store(m, b2 * m + (1 - b2) * g)
    return -rate * jnp.sign(b1 * m + (b2 - b1) * g), m


def lion(
    learning_rate: Rate = 1e-4,
    b1: Number = 0.9,
    b2: Number = 0.99,
    *,
    weight_decay: Rate = 1e-3,
    mask: MaskLike = "weights_only",
    state_dtype: DTypeLike | None = None,
) -> Lion:
    """Lion (evolved sign momentum): one average, two weights, steps of one size.

        u = sign(b1·m + (1 − b1)·g)
        θ ← θ − η·(u + λ·θ)
        m ← b2·m + (1 − b2)·g

    Arguments:
        learning_rate: η ≥ 0, a number or a schedule; every parameter moves by η, so a third to a tenth
            of Adam's.
        b1: in [0, 1): the weight of the average in the direction; 1 − b1 is that of the newest gradient.
        b2: decay of the average, in (0, 1). b1 = b2 is `signum`.
        weight_decay: λ ≥ 0, a number or a schedule, decoupled; three to ten times AdamW's, since η is
            that much smaller.
        mask: which leaves are decayed: "weights_only" (rank ≥ 2, no scale or bias), `None` for
            all, a function of the parameters, or a tree of bools.
        state_dtype: precision of the average, see `moments`.

    Returns:
        A `Lion` record. Its state holds one average of the parameters' shapes; `update` needs `params`.

    Raises:
        ValueError: a number outside its interval, or `update` without params.
        TypeError: an argument is not a number.

    Example:
        >>> optimizer = lion(learning_rate=0.1)
        >>> params = jnp.zeros(2)
        >>> state = optimizer.init(params)
        >>> for gradient in (1.0, -0.05), (1.0, 0.05):
        ...     updates, state = optimizer.update(jnp.array(gradient), state, params)
        ...     print(updates)
        [-0.1  0.1]
        [-0.1 -0.1]

    Source: Chen et al. 2023, "Symbolic discovery of optimization algorithms", program 1.

    Elsewhere: `optax.lion` decays every leaf by default (λ 1e-3): `mask=None` here. torch has none.
    """
    return Lion(
        learning_rate=check_rate("lion(learning_rate)", learning_rate),
        b1=check_number("lion(b1)", b1, "[0, 1)", "the usual value is 0.9"),
        b2=check_number("lion(b2)", b2, "(0, 1)", "the usual value is 0.99"),
        weight_decay=check_rate("lion(weight_decay)", weight_decay),
        mask=as_mask(mask),
        state_dtype=check_state_dtype("lion(state_dtype)", state_dtype),
    )
