"""SOAP: Adam in the eigenbasis of Shampoo.

The averages of G·Gᵀ and Gᵀ·G say along which directions a matrix of parameters is pulled together. Adam
treats every entry by itself; in the basis of those directions, entries are as independent as two rotations
can make them. The bases turn slowly, and are brought up to date every few steps only.

In a population the bases are computed at each step for all members, because some member might need it:
`vmap` turns the choice into a selection. A member alone computes them when they are due.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import lax

from jaxopt_notes.optimizers.eigenbasis import eigenvectors, followed
from jaxopt_notes.optimizers.leafwise import (
    Transform,
    bias_correction,
    first_step,
    increment,
    leafwise,
    require_params,
    store_always,
)
from jaxopt_notes.optimizers.moments import check_state_dtype, moments
from jaxopt_notes.optimizers.newton_schulz import as_matrix
from jaxopt_notes.optimizers.per_leaf import on_leaves
from jaxopt_notes.record import Number, check_count, check_number, record, static
from jaxopt_notes.schedules.schedule import Rate, check_rate, rate_at
from jaxopt_notes.trees import (
    Tree,
    abs_squared,
    as_hyperparameter,
    as_mask,
    safe_divide,
    safe_sqrt,
    weights_only,
    zeros_like,
)


class SOAPState(NamedTuple):
    """Steps made; Adam's moments, the second in the eigenbases; the averages of G·Gᵀ and Gᵀ·G; the bases."""

    count: jax.Array
    mu: Tree
    nu: Tree
    left: Tree
    right: Tree
    left_basis: Tree
    right_basis: Tree


@record
class SOAP(Transform):
    """See `soap`."""

    learning_rate: Rate
    b1: Number
    b2: Number
    eps: Number
    weight_decay: Rate
    shampoo_beta: Number
    precondition_frequency: Number
    max_precondition_dim: int = static()
    mask: Any = static()
    state_dtype: str | None = static()

    def init(self, params: Tree) -> SOAPState:
        whole = zeros_like(params)
        squares = [jax.tree.map(lambda x, i=i: self._square(x, i), whole) for i in (0, 1, 0, 1)]
        return SOAPState(first_step(), *moments(params, (1, 2), self.state_dtype), *squares)

    def _square(self, x: jax.Array, axis: int) -> jax.Array:
        """Zeros [n, n] for one side of a leaf seen as a matrix; [0, 0] for a side that is left as it is."""
        n = as_matrix(x).shape[axis] if x.ndim > 1 else 0
        n = n if n <= self.max_precondition_dim else 0
        return jnp.zeros((n, n), x.dtype)

    def update(
        self, updates: Tree, state: SOAPState, params: Tree = None, *, accept: Any = None, **extra: Any
    ) -> tuple[Tree, SOAPState]:
        params = require_params("soap", params)
        rate = rate_at(self.learning_rate, state.count)
        decay = on_leaves(rate * rate_at(self.weight_decay, state.count), self.mask, params)
        frequency = jnp.maximum(jnp.round(as_hyperparameter(self.precondition_frequency)), 1)
        # The first step makes the bases and nothing else, so Adam counts from the second.
        updates, *slots, _ = leafwise(
            soap_step, updates, params, *state[1:], decay,
            accept=accept, rate=rate, b1=self.b1, b2=self.b2, eps=self.eps, shampoo_beta=self.shampoo_beta,
            first=state.count == 0, due=state.count % frequency.astype(jnp.int32) == 0,
            c1=bias_correction(self.b1, state.count), c2=bias_correction(self.b2, state.count),
        )  # fmt: skip
        return updates, SOAPState(increment(state.count, accept), *slots)


def soap_step(
    g, p, m, v, left, right, u, w, decay, *, rate, b1, b2, eps, shampoo_beta, first, due, c1, c2,
    store=store_always,
):  # fmt: skip
    """The update of one leaf and its slots; u and w are the bases of both sides, `decay` is ηλ."""
    moving = 1 - first
    m = store(m, m + moving * (1 - b1) * (g - m))
    turned = into(g, u, w)
    v = store(v, v + moving * (1 - b2) * (abs_squared(turned) - v))
    step = back(safe_divide(into(m, u, w) / c1, safe_sqrt(v / c2) + eps), u, w)
    x = as_matrix(g)
    grams = [
        (left, x @ jnp.conj(x).T if left.size else left),
        (right, x.T @ jnp.conj(x) if right.size else right),
    ]
    left, right = (store(old, shampoo_beta * old + (1 - shampoo_beta) * new) for old, new in grams)
    u, w = (store(q, _renewed(a, q, first, due)) for a, q in ((left, u), (right, w)))
    return -moving * (rate * step + decay * p), m, v, left, right, u, w, decay
