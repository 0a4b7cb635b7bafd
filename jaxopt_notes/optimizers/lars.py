"""LARS: momentum whose rate is, layer by layer, in proportion to the weights over their gradient."""

from typing import Any

import jax.numpy as jnp
from jax.typing import DTypeLike

from jaxopt_notes.dtypes import Tree
from jaxopt_notes.masks import Mask, MaskLike, as_mask
from jaxopt_notes.norms import global_norm
from jaxopt_notes.numerics import safe_divide
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
from jaxopt_notes.optimizers.momentum import MomentumState, momentum_step
from jaxopt_notes.optimizers.nesterov import nesterov_step
from jaxopt_notes.record import Number, check_number, record, static
from jaxopt_notes.schedules.schedule import Rate, check_rate, rate_at


@record
class LARS(Transform):
    """See `lars`."""

    learning_rate: Rate
    momentum: Number
    trust_coefficient: Number
    eps: Number
    weight_decay: Rate
    nesterov: bool = static()
    mask: Mask | None = static()
    state_dtype: str | None = static()

    def init(self, params: Tree) -> MomentumState:
        return MomentumState(first_step(), *moments(params, (1,), self.state_dtype))

    def update(
        self, updates: Tree, state: MomentumState, params: Tree = None, *, accept: Accept = None, **extra: Any
    ) -> tuple[Tree, MomentumState]:
        params = require_params("lars", params)
        updates, velocity = leafwise(
            lars_step, updates, params, state.velocity, options={"nesterov": self.nesterov},
            accept=accept, adapted=number_where(self.mask, 1.0, params),
            rate=rate_at(self.learning_rate, state.count), momentum=self.momentum,
            trust_coefficient=self.trust_coefficient, eps=self.eps,
            weight_decay=rate_at(self.weight_decay, state.count),
        )  # fmt: skip
        return updates, MomentumState(increment(state.count, accept), velocity)


def lars_gradient(g, p, *, trust_coefficient, eps, weight_decay):
    """c·‖θ‖/(‖g‖ + λ‖θ‖ + eps)·(g + λθ) of one leaf; where ‖θ‖ or ‖g‖ is 0 without the factor."""
    length, slope = global_norm(p), global_norm(g)
    ratio = trust_coefficient * safe_divide(length, slope + weight_decay * length + eps)
    ratio = jnp.where((length > 0) & (slope > 0), ratio, jnp.ones_like(ratio))
    return ratio * (g + weight_decay * p)


def lars_step(
    g, p, v, *, rate, momentum, adapted, nesterov, trust_coefficient, eps, weight_decay, store=store_always
):
    """The update and the velocity of one leaf: momentum of the trusted gradient, or of the bare one."""
    trusted = lars_gradient(g, p, trust_coefficient=trust_coefficient, eps=eps, weight_decay=weight_decay)
    step = nesterov_step if nesterov else momentum_step
    return step(jnp.where(adapted > 0, trusted, g), p, v, rate=rate, momentum=momentum, store=store)


def lars(
    learning_rate: Rate = 0.1,
    momentum: Number = 0.9,
    trust_coefficient: Number = 0.001,
    eps: Number = 0.0,
    *,
    weight_decay: Rate = 0.0,
    nesterov: bool = False,
    mask: MaskLike = "weights_only",
    state_dtype: DTypeLike | None = None,
) -> LARS:
    """LARS: momentum for large batches, with a rate for each layer.

        v ← α·v + η·c·‖θ‖/(‖g‖ + λ·‖θ‖ + eps)·(g + λ·θ)         (leaf by leaf)
        θ ← θ − v

    The factor is 1 where ‖θ‖ or ‖g‖ is 0. Leaves that the mask leaves out take plain momentum: v ← α·v + η·g.

    Arguments:
        learning_rate: η ≥ 0, a number or a schedule. η·c is the share of its length by which a layer
            moves (before momentum), and η the rate of the leaves left out.
        momentum: α in [0, 1].
        trust_coefficient: c ≥ 0.
        eps: added to the denominator, ≥ 0.
        weight_decay: λ ≥ 0, a number or a schedule.
        nesterov: the parameters held are the look-ahead point, as in `nesterov`.
        mask: which leaves are adapted and decayed: "weights_only" (rank ≥ 2, no scale or bias),
            `None` for all, a function of the parameters, or a tree of bools.
        state_dtype: precision of the velocity, see `moments`.

    Returns:
        A `LARS` record. Its state holds one velocity of the parameters' shapes; `update` needs `params`.

    Raises:
        ValueError: a number outside its interval, or `update` without params.
        TypeError: an argument is not a number.

    Example:
        >>> optimizer = lars(learning_rate=1.0, trust_coefficient=0.1, mask=None)
        >>> params = jnp.array([3.0, 4.0])
        >>> updates, _ = optimizer.update(jnp.array([60.0, -80.0]), optimizer.init(params), params)
        >>> print(f"{updates[0]:.3f} {updates[1]:.3f}")
        -0.300 0.400

    Source: You, Gitman & Ginsburg 2017, "Large batch training of convolutional networks", algorithm 1.

    Elsewhere: `optax.lars` takes ‖g + λθ‖ for the paper's ‖g‖ + λ‖θ‖ (the same for λ = 0, and then
    `chain(add_l2(λ), lars(…))` is its form here), has a mask for decay and one for adaptation, both of
    all leaves by default, and has no default rate. torch has none.
    """
    return LARS(
        learning_rate=check_rate("lars(learning_rate)", learning_rate),
        momentum=check_number("lars(momentum)", momentum, "[0, 1]", "the usual value is 0.9"),
        trust_coefficient=check_number(
            "lars(trust_coefficient)", trust_coefficient, "[0, inf)", "the usual value is 0.001"
        ),
        eps=check_number("lars(eps)", eps, "[0, inf)"),
        weight_decay=check_rate("lars(weight_decay)", weight_decay),
        nesterov=nesterov,
        mask=as_mask(mask),
        state_dtype=check_state_dtype("lars(state_dtype)", state_dtype),
    )
