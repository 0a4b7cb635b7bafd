"""NovoGrad: momentum of gradients that have been divided by their layer's running norm."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax.typing import DTypeLike

from jaxopt_notes.dtypes import Tree, as_hyperparameter
from jaxopt_notes.masks import Mask, MaskLike, as_mask
from jaxopt_notes.norms import global_norm
from jaxopt_notes.numerics import safe_divide, safe_sqrt
from jaxopt_notes.optimizers.core.gradient_transform import Accept
from jaxopt_notes.optimizers.core.leafwise import (
    Transform,
    first_step,
    increment,
    leafwise,
    number_where,
    require_params,
    store_always,
)
from jaxopt_notes.optimizers.core.moments import check_state_dtype, moments
from jaxopt_notes.record import Number, check_number, record, static
from jaxopt_notes.schedules.schedule import Rate, check_rate, rate_at


class NovoGradState(NamedTuple):
    """Steps made, the sum of normalized gradients, and of each leaf the average of its squared norm."""

    count: jax.Array
    mu: Tree
    nu: Tree


@record
class NovoGrad(Transform):
    """See `novograd`."""

    learning_rate: Rate
    b1: Number
    b2: Number
    eps: Number
    eps_root: Number
    weight_decay: Rate
    mask: Mask | None = static()
    state_dtype: str | None = static()

    def init(self, params: Tree) -> NovoGradState:
        (mu,) = moments(params, (1,), self.state_dtype)
        (whole,) = moments(params, (2,))
        return NovoGradState(first_step(), mu, jax.tree.map(lambda x: jnp.zeros((), x.dtype), whole))

    def update(
        self, updates: Tree, state: NovoGradState, params: Tree = None, *, accept: Accept = None, **extra: Any
    ) -> tuple[Tree, NovoGradState]:
        params = require_params("novograd", params)
        decay = number_where(self.mask, rate_at(self.weight_decay, state.count), params)
        updates, mu, nu = leafwise(
            novograd_step, updates, params, state.mu, state.nu,
            accept=accept, decay=decay, rate=rate_at(self.learning_rate, state.count), b1=self.b1,
            b2=jnp.where(state.count == 0, 0.0, as_hyperparameter(self.b2)),
            eps=self.eps, eps_root=self.eps_root,
        )  # fmt: skip
        return updates, NovoGradState(increment(state.count, accept), mu, nu)


def novograd_step(g, p, m, v, *, rate, decay, b1, b2, eps, eps_root, store=store_always):
    """The update of one leaf, its sum of normalized gradients, and its average squared norm (a scalar)."""
    v = store(v, b2 * v + (1 - b2) * global_norm(g) ** 2)
    m = store(m, b1 * m + safe_divide(g, safe_sqrt(v + eps_root) + eps) + decay * p)
    return -rate * m, m, v


def novograd(
    learning_rate: Rate = 1e-2,
    b1: Number = 0.9,
    b2: Number = 0.25,
    eps: Number = 1e-6,
    eps_root: Number = 0.0,
    *,
    weight_decay: Rate = 0.0,
    mask: MaskLike = "weights_only",
    state_dtype: DTypeLike | None = None,
) -> NovoGrad:
    """NovoGrad: a second moment of one number a layer.

        v ← b2·v + (1 − b2)·‖g‖²                            (v = ‖g‖² at the first step)
        m ← b1·m + g/(√(v + eps_root) + eps) + λ·θ
        θ ← θ − η·m                                        (leaf by leaf)

    Arguments:
        learning_rate: η ≥ 0, a number or a schedule; the first step of a leaf has this length.
        b1: weight of the steps before, in [0, 1).
        b2: decay of the squared norm, in [0, 1).
        eps: added outside the root, ≥ 0.
        eps_root: added inside the root, ≥ 0.
        weight_decay: λ ≥ 0, a number or a schedule; momentum carries it along.
        mask: which leaves are decayed: "weights_only" (rank ≥ 2, no scale or bias), `None` for
            all, a function of the parameters, or a tree of bools.
        state_dtype: precision of m, see `moments`.

    Returns:
        A `NovoGrad` record. Its state holds one sum of the parameters' shapes and one number for each
        leaf; `update` needs `params`.

    Raises:
        ValueError: a number outside its interval, or `update` without params.
        TypeError: an argument is not a number.

    Example:
        >>> optimizer = novograd(learning_rate=0.1)
        >>> params = jnp.zeros(2)
        >>> updates, _ = optimizer.update(jnp.array([30.0, -40.0]), optimizer.init(params), params)
        >>> print(f"{updates[0]:.3f} {updates[1]:.3f}")
        -0.060 0.080

    Source: Ginsburg et al. 2019, "Training deep networks with stochastic normalized gradients",
    algorithm 1 (b1 0.95, b2 0.98).

    Elsewhere: `optax.novograd`, the same formula and numbers (it decays every leaf, at a λ that is no
    schedule). torch has none.
    """
    return NovoGrad(
        learning_rate=check_rate("novograd(learning_rate)", learning_rate),
        b1=check_number("novograd(b1)", b1, "[0, 1)", "the usual value is 0.9"),
        b2=check_number("novograd(b2)", b2, "[0, 1)", "the usual value is 0.25"),
        eps=check_number("novograd(eps)", eps, "[0, inf)"),
        eps_root=check_number("novograd(eps_root)", eps_root, "[0, inf)"),
        weight_decay=check_rate("novograd(weight_decay)", weight_decay),
        mask=as_mask(mask),
        state_dtype=check_state_dtype("novograd(state_dtype)", state_dtype),
    )
