"""NAdam: Adam with Nesterov's momentum, and NAdamW, the same with decoupled weight decay.

The step looks one gradient ahead: it weighs the present gradient in full and the average by the momentum
of the *next* step. Dozat lets that momentum rise slowly to b1; with a constant one the two known forms of
the method are the same.
"""

import math
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from jaxopt_notes.dtypes import Tree, as_hyperparameter
from jaxopt_notes.masks import Mask, MaskLike, as_mask
from jaxopt_notes.numerics import abs_squared, safe_divide, safe_sqrt
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


class NAdamState(NamedTuple):
    """Steps made, the product of all momenta so far, and the averages of the gradient and of its square."""

    count: jax.Array
    momentum_product: jax.Array
    mu: Tree
    nu: Tree


@record
class NAdam(Transform):
    """See `nadam`."""

    elementwise = True

    learning_rate: Rate
    b1: Number
    b2: Number
    eps: Number
    eps_root: Number
    momentum_decay: Number
    state_dtype: str | None = static()

    def init(self, params: Tree) -> NAdamState:
        return NAdamState(first_step(), as_hyperparameter(1.0), *moments(params, (1, 2), self.state_dtype))

    def update(
        self, updates: Tree, state: NAdamState, params: Tree = None, *, accept: Accept = None, **extra: Any
    ) -> tuple[Tree, NAdamState]:
        count = increment(state.count, accept)
        # Not of `count`, which stays where it is in a step that is not accepted.
        momentum, following = (
            momentum_at(as_hyperparameter(state.count) + ahead, self.b1, self.momentum_decay)
            for ahead in (1, 2)
        )
        product = (state.momentum_product * momentum).astype(state.momentum_product.dtype)
        updates, mu, nu = leafwise(
            nadam_step, updates, params, state.mu, state.nu,
            accept=accept, rate=rate_at(self.learning_rate, state.count),
            b1=self.b1, b2=self.b2, eps=self.eps, eps_root=self.eps_root,
            of_gradient=(1 - momentum) / (1 - product), of_average=following / (1 - product * following),
            c2=bias_correction(self.b2, count),
        )  # fmt: skip
        if accept is not None:
            product = jnp.where(accept, product, state.momentum_product)
        return updates, NAdamState(count, product, mu, nu)


def momentum_at(step, b1, momentum_decay):
    """μₜ = b1·(1 − ½·0.96^(t·ψ)): from about half of b1 up to b1, which it is for ψ = ∞."""
    b1, momentum_decay = as_hyperparameter(b1), as_hyperparameter(momentum_decay)
    return b1 * (1 - 0.5 * jnp.exp(math.log(0.96) * step * momentum_decay))


def nadam_step(
    g, p, m, v, *, rate, b1, b2, eps, eps_root, of_gradient, of_average, c2, store=store_always
):  # fmt: skip
    """NAdam's update of one leaf, given the weights of the gradient and of its average in the step."""
    m = store(m, b1 * m + (1 - b1) * g)
    v = store(v, b2 * v + (1 - b2) * abs_squared(g))
    step = of_gradient * g + of_average * m
    return -rate * safe_divide(step, safe_sqrt(v / c2 + eps_root) + eps), m, v


def nadam(
    learning_rate: Rate = 2e-3,
    b1: Number = 0.9,
    b2: Number = 0.999,
    eps: Number = 1e-8,
    eps_root: Number = 0.0,
    momentum_decay: Number = 4e-3,
    state_dtype: str | None = None,
) -> NAdam:
    """NAdam: Adam with Nesterov momentum.

        m ← b1·m + (1 − b1)·g              v ← b2·v + (1 − b2)·|g|²
        μₜ = b1·(1 − ½·0.96^(t·ψ))         Πₜ = μ₁·…·μₜ
        m̂ = (1 − μₜ)·g/(1 − Πₜ) + μₜ₊₁·m/(1 − Πₜ₊₁)
        θ ← θ − η·m̂ / (√(v/(1 − b2ᵗ) + eps_root) + eps)

    Arguments:
        learning_rate: η ≥ 0, a number or a schedule.
        b1: decay of the first moment and the final momentum, in [0, 1).
        b2: decay of the second moment, in [0, 1).
        eps: added outside the root, ≥ 0.
        eps_root: added inside the root, ≥ 0.
        momentum_decay: ψ ≥ 0, how fast the momentum rises from b1/2 to b1 (1/(0.04·ψ) steps, about 6,000
            by default). `inf`: it is b1 from the start, Πₜ = b1ᵗ, and
            m̂ = (1 − b1)·g/(1 − b1ᵗ) + b1·m/(1 − b1ᵗ⁺¹).
        state_dtype: the precision of the moments; `None` for that of the parameters and at least float32.

    Returns:
        An `NAdam` record. Its state holds two moments of the parameters' shapes and Π, a number.

    Raises:
        ValueError: a number outside its interval.
        TypeError: an argument is not a number.

    Example:
        >>> optimizer = nadam(learning_rate=0.1, momentum_decay=jnp.inf)
        >>> updates, _ = optimizer.update(jnp.array([3.0]), optimizer.init(jnp.zeros(1)))
        >>> print(f"{updates[0]:.4f}")  # 1 + 0.9·0.1/(1 − 0.9²) of the rate
        -0.1474

    Source: Dozat 2016, algorithm 2 (η 0.002, ψ 0.004) with the second moment corrected as in Adam;
    there it is b2·v/(1 − b2ᵗ), a rate larger by 1/√b2.

    Elsewhere: torch and Keras have the same formula (torch the same defaults, and Π in float32 whatever the
    parameters are; ψ is fixed at 0.004 in Keras).
    `optax.nadam` has a constant momentum: `momentum_decay=inf` here.
    """
    return NAdam(
        learning_rate=check_rate("nadam(learning_rate)", learning_rate),
        b1=check_number("nadam(b1)", b1, "[0, 1)", "the usual value is 0.9; 0 switches momentum off"),
        b2=check_number("nadam(b2)", b2, "[0, 1)", "the usual value is 0.999"),
        eps=check_number("nadam(eps)", eps, "[0, inf)"),
        eps_root=check_number("nadam(eps_root)", eps_root, "[0, inf)"),
        momentum_decay=check_number(
            "nadam(momentum_decay)", momentum_decay, "[0, inf]", "inf is a constant momentum"
        ),
        state_dtype=check_state_dtype("nadam(state_dtype)", state_dtype),
    )


@record
class NAdamW(DecoupledDecay, NAdam):
    """See `nadamw`."""

    weight_decay: Rate
    mask: Mask | None = static()


def nadamw(
    learning_rate: Rate = 2e-3,
    b1: Number = 0.9,
    b2: Number = 0.999,
    eps: Number = 1e-8,
    eps_root: Number = 0.0,
    momentum_decay: Number = 4e-3,
    *,
    weight_decay: Rate = 1e-4,
    mask: MaskLike = "weights_only",
    state_dtype: str | None = None,
) -> NAdamW:
    """NAdam with decoupled weight decay.

        u = NAdam's update
        θ ← θ + u − η·λ·θ

    Arguments:
        learning_rate: η ≥ 0, a number or a schedule; it multiplies the decay too.
        b1: decay of the first moment and the final momentum, in [0, 1).
        b2: decay of the second moment, in [0, 1).
        eps: added outside the root, ≥ 0.
        eps_root: added inside the root, ≥ 0.
        momentum_decay: ψ ≥ 0; `inf` is a constant momentum.
        weight_decay: λ ≥ 0, a number or a schedule. Without gradients t steps leave (1 − ηλ)ᵗ·θ.
        mask: which leaves are decayed: "weights_only" (rank ≥ 2, no scale or bias), `None` for
            all, a function of the parameters, or a tree of bools.
        state_dtype: the precision of the moments; `None` for that of the parameters and at least float32.

    Returns:
        An `NAdamW` record; state as in `nadam`; `update` needs `params`.

    Raises:
        ValueError: a number outside its interval, or `update` without params.

    Example:
        >>> optimizer = nadamw(learning_rate=0.1, weight_decay=0.5, mask=None)
        >>> params = jnp.array([2.0])
        >>> updates, _ = optimizer.update(jnp.zeros(1), optimizer.init(params), params)
        >>> print(f"{updates[0]:.2f}")
        -0.10

    Source: Loshchilov & Hutter 2019 for the decay, Dozat 2016 for the rest.

    Elsewhere: `optax.nadamw` (momentum_decay=inf) and torch's `NAdam(decoupled_weight_decay=True)`, which
    has λ = 0 by default, decay every leaf: `mask=None` here.
    """
    base = nadam(
        learning_rate, b1, b2, eps, eps_root, momentum_decay,
        check_state_dtype("nadamw(state_dtype)", state_dtype),
    )  # fmt: skip
    return NAdamW(
        learning_rate=base.learning_rate,
        b1=base.b1,
        b2=base.b2,
        eps=base.eps,
        eps_root=base.eps_root,
        momentum_decay=base.momentum_decay,
        state_dtype=base.state_dtype,
        weight_decay=check_rate("nadamw(weight_decay)", weight_decay),
        mask=as_mask(mask),
    )
