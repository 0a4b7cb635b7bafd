"""SOAP: Adam in the eigenbasis of Shampoo.

The averages of G·Gᵀ and Gᵀ·G say along which directions a matrix of parameters is pulled together. Adam
treats every entry by itself; in the basis of those directions, entries are as independent as two rotations
can make them. The bases turn slowly, and are brought up to date every few steps only.

Under `vmap`, where members may be at different steps (because they skip some, or sweep the frequency), the
bases of all are computed at each step and selected; otherwise only when they are due.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax.typing import DTypeLike

from jaxopt_notes.control_flow import apply_one
from jaxopt_notes.dtypes import Tree, as_hyperparameter, zeros_like
from jaxopt_notes.masks import Mask, MaskLike, as_mask
from jaxopt_notes.numerics import abs_squared, precise_matmul, safe_divide, safe_sqrt
from jaxopt_notes.optimizers.core.eigenbasis import eigenvectors, followed
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
from jaxopt_notes.optimizers.core.newton_schulz import as_leaf, as_matrix
from jaxopt_notes.record import Number, check_count, check_number, record, static
from jaxopt_notes.schedules.schedule import Rate, check_rate, rate_at


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
    shampoo_beta: Number | None
    precondition_frequency: Number
    max_precondition_dim: int = static()
    mask: Mask | None = static()
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
        self, updates: Tree, state: SOAPState, params: Tree = None, *, accept: Accept = None, **extra: Any
    ) -> tuple[Tree, SOAPState]:
        params = require_params("soap", params)
        rate = rate_at(self.learning_rate, state.count)
        decay = number_where(self.mask, rate * rate_at(self.weight_decay, state.count), params)
        frequency = jnp.maximum(jnp.round(as_hyperparameter(self.precondition_frequency)), 1)
        count = increment(state.count, accept)
        updates, *slots = leafwise(
            soap_step, updates, params, *state[1:],
            accept=accept, rate=rate, decay=decay, b1=self.b1, b2=self.b2, eps=self.eps,
            b3=self.b2 if self.shampoo_beta is None else self.shampoo_beta,
            first=state.count == 0, due=state.count % frequency.astype(jnp.int32) == 0,
            c1=bias_correction(self.b1, count), c2=bias_correction(self.b2, count),
        )  # fmt: skip
        return updates, SOAPState(count, *slots)


def soap_step(
    g, p, m, v, left, right, u, w, *, rate, decay, b1, b2, b3, eps, first, due, c1, c2, store=store_always
):
    """The update of one leaf and its slots; u and w are the bases of both sides, `decay` is ηλ.

    The first step finds no bases, and is Adam's as it is; the others are in those of the step before.
    """
    x = as_matrix(g)
    before = [jnp.where(first > 0, jnp.eye(len(q), dtype=q.dtype), q) for q in (u, w)]
    m = store(m, b1 * m + (1 - b1) * g)
    v = store(v, b2 * v + (1 - b2) * as_leaf(abs_squared(_turn(x, *before)), g))
    direction = safe_divide(_turn(as_matrix(m), *before) / c1, safe_sqrt(as_matrix(v) / c2) + eps)
    step = as_leaf(_turn(direction, *(jnp.conj(q).T for q in before)), g)
    grams = (
        precise_matmul(x, jnp.conj(x).T) if left.size else left,
        precise_matmul(jnp.conj(x).T, x) if right.size else right,
    )
    left, right = (
        store(old, b3 * old + (1 - b3) * new) for old, new in zip((left, right), grams, strict=True)
    )
    u, w = (store(q, _renewed(a, q, first, due)) for a, q in ((left, u), (right, w)))
    return -(rate * step + decay * p), m, v, left, right, u, w


def _turn(x: jax.Array, u: jax.Array, w: jax.Array) -> jax.Array:
    """Uᴴ·X·W, without the sides that have no basis."""
    x = precise_matmul(jnp.conj(u).T, x) if u.size else x
    return precise_matmul(x, w) if w.size else x


def _renewed(a: jax.Array, basis: jax.Array, first: jax.Array, due: jax.Array) -> jax.Array:
    """The basis brought up to date where that is due; at the first step it is made."""
    if not basis.size:
        return basis
    which = jnp.where(first > 0, 2, jnp.where(due > 0, 1, 0))
    return apply_one(which, [lambda q: followed(a, q), lambda q: eigenvectors(a)], basis)


def soap(
    learning_rate: Rate = 3e-3,
    b1: Number = 0.95,
    b2: Number = 0.95,
    eps: Number = 1e-8,
    weight_decay: Rate = 0.0,
    *,
    shampoo_beta: Number | None = None,
    precondition_frequency: Number = 10,
    max_precondition_dim: int = 10_000,
    mask: MaskLike = "weights_only",
    state_dtype: DTypeLike | None = None,
) -> SOAP:
    """SOAP: Shampoo with Adam in the preconditioner's eigenbasis.

        M ← b1·M + (1 − b1)·G                    V ← b2·V + (1 − b2)·|Uᴴ·G·W|²
        θ ← θ − η·U·[Uᴴ·M·W/(1 − b1ᵗ) / (√(V/(1 − b2ᵗ)) + eps)]·Wᴴ − η·λ·θ
        L ← b3·L + (1 − b3)·G·Gᴴ                 R ← b3·R + (1 − b3)·Gᴴ·G
        U, W ← eigenvectors of L, R              (every k-th step, the first included; I before)

    Arguments:
        learning_rate: η ≥ 0, a number or a schedule.
        b1: decay of the first moment, in [0, 1).
        b2: decay of the second moment, in [0, 1).
        eps: ≥ 0, outside the root.
        weight_decay: λ ≥ 0, a number or a schedule, decoupled.
        shampoo_beta: b3 in [0, 1); `None` for b2.
        precondition_frequency: k ≥ 1, rounded to a whole number; may be traced. The eigenvectors are
            exact the first time, and then follow by one step of orthogonal iteration each.
        max_precondition_dim: a side longer than this keeps its basis I, and has no state. With 0 it is Adam.
        mask: which leaves are decayed: "weights_only" (rank ≥ 2, no scale or bias), `None` for
            all, a function of the parameters, or a tree of bools.
        state_dtype: precision of M and V, see `moments`.

    Returns:
        A `SOAP` record. Its state holds M and V, and for a leaf [m, n] L and U of [m, m], R and W of
        [n, n]. Of a leaf of higher rank all axes but the last are taken as one; vectors get Adam's steps.
        `update` needs `params`.

    Raises:
        ValueError: a number outside its interval, or `update` without params.
        TypeError: an argument is not a number.

    Example:
        >>> optimizer, params = soap(learning_rate=0.1), jnp.ones((2, 3))
        >>> state = optimizer.init(params)
        >>> updates, state = optimizer.update(jnp.array([[3.0, 0.0, 0.0], [0.0, 2.0, 0.0]]), state, params)
        >>> print(state.left.shape, state.right.shape, f"{updates[0, 0]:.2f} {updates[1, 1]:.2f}")
        (2, 2) (3, 3) -0.10 -0.10

    Source: Vyas et al. 2025, "SOAP: improving and stabilizing Shampoo using Adam", algorithms 3 and 4.

    Elsewhere: the authors' code makes no step at first, sorts the eigenvectors by size before each iteration,
    takes every axis of a leaf of higher rank by itself, and multiplies eps by 1/√(1 − b2ᵗ). Neither optax nor
    torch has it.
    """
    where = "soap({})".format
    return SOAP(
        learning_rate=check_rate(where("learning_rate"), learning_rate),
        b1=check_number(where("b1"), b1, "[0, 1)", "the usual value is 0.95"),
        b2=check_number(where("b2"), b2, "[0, 1)", "the usual value is 0.95"),
        eps=check_number(where("eps"), eps, "[0, inf)"),
        weight_decay=check_rate(where("weight_decay"), weight_decay),
        shampoo_beta=shampoo_beta
        if shampoo_beta is None
        else check_number(where("shampoo_beta"), shampoo_beta, "[0, 1)", "None for b2"),
        precondition_frequency=check_number(
            where("precondition_frequency"), precondition_frequency, "[1, inf)"
        ),
        max_precondition_dim=check_count(where("max_precondition_dim"), max_precondition_dim),
        mask=as_mask(mask),
        state_dtype=check_state_dtype(where("state_dtype"), state_dtype),
    )
