"""D-Adaptation: learning rates from a lower bound of the distance between the start and the solution.

For a convex function the gradients met so far bound that distance from below. The rate is the largest such
bound, over the size of the gradients: it starts surely too small and grows within some tens of steps to
what a search would have found. One form for gradient descent, one for Adam.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from jaxopt_notes.norms import global_norm
from jaxopt_notes.optimizers.distance import absolute_sum, after, distance, inner_product, starting_point
from jaxopt_notes.optimizers.inner import select, widened
from jaxopt_notes.optimizers.leafwise import (
    Transform,
    bias_correction,
    first_step,
    increment,
    leafwise,
    require_params,
    store_always,
)
from jaxopt_notes.optimizers.moments import check_state_dtype, moments, read
from jaxopt_notes.optimizers.weight_decay import add_multiple
from jaxopt_notes.record import Number, check_number, record, static
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


class DAdaptSGDState(NamedTuple):
    """Steps made; the estimate d and its numerator; ‖g₀‖; the weighted sum of gradients; the start."""

    count: jax.Array
    estimate: jax.Array
    numerator: jax.Array
    first_norm: jax.Array
    grad_sum: Tree
    start: Tree


@record
class DAdaptSGD(Transform):
    """See `dadapt_sgd`."""

    learning_rate: Rate
    momentum: Number
    d0: Number

    def init(self, params: Tree) -> DAdaptSGDState:
        estimate = jnp.array(as_hyperparameter(self.d0), copy=True)
        zeros = [jnp.zeros_like(estimate) for _ in range(2)]
        return DAdaptSGDState(first_step(), estimate, *zeros, zeros_like(params), starting_point(params))

    def update(
        self, updates: Tree, state: DAdaptSGDState, params: Tree = None, *, accept: Any = None, **extra: Any
    ) -> tuple[Tree, DAdaptSGDState]:
        params = require_params("dadapt_sgd", params)
        norm = as_hyperparameter(global_norm(updates))
        first_norm = jnp.where(state.first_norm > 0, state.first_norm, norm)  # of the first that is not 0
        weight = safe_divide(state.estimate * rate_at(self.learning_rate, state.count), first_norm)
        growth = inner_product(updates, state.grad_sum)
        numerator = state.numerator + weight * growth
        updates, grad_sum, start = leafwise(
            dual_averaging_step, updates, params, state.grad_sum, state.start,
            accept=accept, weight=after(growth, weight), momentum=self.momentum,
        )  # fmt: skip
        bound = safe_divide(2 * numerator, distance(grad_sum, jax.tree.map(jnp.zeros_like, grad_sum)))
        new = (jnp.maximum(state.estimate, bound), numerator, first_norm)
        scalars = select(accept, new, (state.estimate, state.numerator, state.first_norm))
        return updates, DAdaptSGDState(increment(state.count, accept), *scalars, grad_sum, start)


def dual_averaging_step(g, p, s, start, *, weight, momentum, store=store_always):
    """s ← s + λg of one leaf, and an update towards θ₀ − s, held back by momentum; θ₀ stays."""
    s = store(s, s + weight * g)
    return (1 - momentum) * (start - s - p), s, start


def dadapt_sgd(learning_rate: Rate = 1.0, momentum: Number = 0.0, *, d0: Number = 1e-6) -> DAdaptSGD:
    """Gradient descent without a learning rate, by D-Adaptation.

        λ = γ·d/‖g₀‖                        r ← r + λ·⟨g, s⟩
        s ← s + λ·g                         d ← max(d, 2r/‖s‖)
        θ ← α·θ + (1 − α)·(θ₀ − s)

    Arguments:
        learning_rate: γ ≥ 0, a factor of the rate found, or a schedule: 1, or what falls from 1 to 0.
        momentum: α in [0, 1), in the form of an average of iterates.
        d0: the first estimate of the distance ‖θ₀ − θ*‖, > 0 and surely too small.

    Returns:
        A `DAdaptSGD` record. Its state holds s and θ₀, in the parameters' shapes and at least float32, and
        `estimate`, d; `update` needs `params`. The parameters are θ₀ and a sum, so what else moves them
        (a decay in a chain) is undone: put a penalty into the gradient with `add_l2`.

    Raises:
        ValueError: a number outside its interval, or `update` without params. TypeError: no number.

    Example:
        >>> optimizer = dadapt_sgd(d0=0.5)
        >>> x = jnp.array([3.0, 4.0])
        >>> updates, state = optimizer.update(x, optimizer.init(x), x)  # a first step of length d0
        >>> print([f"{u:.2f}" for u in updates], state.estimate)
        ['-0.30', '-0.40'] 0.5

    Source: Defazio & Mishchenko 2023, algorithm 4, with the estimate 2r/‖s‖ of the authors' code from 3.0 on:
    twice a lower bound of the distance, for convex functions.

    Elsewhere: `dadaptation.DAdaptSGD`, the same; optax has the form of Adam only.
    """
    return DAdaptSGD(
        check_rate("dadapt_sgd(learning_rate)", learning_rate),
        check_number("dadapt_sgd(momentum)", momentum, "[0, 1)", "0 switches it off"),
        check_number("dadapt_sgd(d0)", d0, "(0, inf)", "the usual value is 1e-6"),
    )


class DAdaptAdamState(NamedTuple):
    """Steps made; the estimate d and its numerator; Adam's moments; the average of weighted gradients."""

    count: jax.Array
    estimate: jax.Array
    numerator: jax.Array
    mu: Tree
    nu: Tree
    grad_sum: Tree


@record
class DAdaptAdam(Transform):
    """See `dadapt_adam`."""

    learning_rate: Rate
    b1: Number
    b2: Number
    eps: Number
    d0: Number
    weight_decay: Rate
    mask: Any = static()
    bias_correction: bool = static()
    state_dtype: str | None = static()

    def init(self, params: Tree) -> DAdaptAdamState:
        estimate = jnp.array(as_hyperparameter(self.d0), copy=True)
        slots = moments(params, (1, 2, 1), self.state_dtype)
        return DAdaptAdamState(first_step(), estimate, as_hyperparameter(0.0), *slots)

    def update(
        self, updates: Tree, state: DAdaptAdamState, params: Tree = None, *, accept: Any = None, **extra: Any
    ) -> tuple[Tree, DAdaptAdamState]:
        params = require_params("dadapt_adam", params)
        count = increment(state.count, accept)
        root = safe_sqrt(as_hyperparameter(self.b2))
        rate = state.estimate * rate_at(self.learning_rate, state.count)
        if self.bias_correction:
            rate = rate * safe_sqrt(bias_correction(self.b2, count)) / bias_correction(self.b1, count)
        slots = (state.mu, state.nu, state.grad_sum)
        (scaled, *_) = leafwise(scaled_sum, widened(updates), None, *slots, eps=self.eps)
        growth = inner_product(updates, scaled)
        numerator = root * state.numerator + (1 - root) * rate * growth
        amount = rate * rate_at(self.weight_decay, state.count)
        updates, mu, nu, grad_sum = leafwise(
            dadapt_adam_step, updates, params, *slots,
            accept=accept, rate=rate, b1=self.b1, eps=self.eps,
            b2=after(growth, self.b2), root=after(growth, root),
        )  # fmt: skip
        bound = safe_divide(numerator, (1 - root) * absolute_sum(read(grad_sum)))
        new = (jnp.maximum(state.estimate, bound), numerator)
        scalars = select(accept, new, (state.estimate, state.numerator))
        updates = add_multiple(updates, params, -amount, self.mask, accept)
        return updates, DAdaptAdamState(count, *scalars, mu, nu, grad_sum)


def scaled_sum(g, p, m, v, s, *, eps, store=store_always):
    """s/(√v + eps) of one leaf before its step; nothing is changed."""
    return safe_divide(s, safe_sqrt(v) + eps), m, v, s


def dadapt_adam_step(g, p, m, v, s, *, rate, b1, b2, root, eps, store=store_always):
    """Adam's update of one leaf with the rate inside the moment, and the average of weighted gradients."""
    m = store(m, b1 * m + (1 - b1) * rate * g)
    v = store(v, b2 * v + (1 - b2) * abs_squared(g))
    s = store(s, root * s + (1 - root) * rate * g)
    return -safe_divide(m, safe_sqrt(v) + eps), m, v, s


def dadapt_adam(
    learning_rate: Rate = 1.0,
    b1: Number = 0.9,
    b2: Number = 0.999,
    eps: Number = 1e-8,
    *,
    d0: Number = 1e-6,
    weight_decay: Rate = 0.0,
    mask: Any = weights_only,
    bias_correction: bool = False,
    state_dtype: Any = None,
) -> DAdaptAdam:
    """AdamW without a learning rate, by D-Adaptation.

        r ← √b2·r + (1 − √b2)·γd·⟨g, s/(√v + eps)⟩
        m ← b1·m + (1 − b1)·γd·g            v ← b2·v + (1 − b2)·|g|²
        s ← √b2·s + (1 − √b2)·γd·g          θ ← θ − m/(√v + eps) − γd·λ·θ
        d ← max(d, r/((1 − √b2)·‖s‖₁))

    Arguments:
        learning_rate: γ ≥ 0, a factor of the rate found, or a schedule: 1, or what falls from 1 to 0.
        b1, b2: decays of the moments, in [0, 1); b2 above 0.
        eps: ≥ 0, outside the root.
        d0: the first estimate of the distance, in the largest coordinate, > 0 and surely too small.
        weight_decay: λ ≥ 0, a number or a schedule.
        mask: which leaves are decayed: `weights_only` (rank ≥ 2, no normalization scale), `None` for
            all, a function of the parameters, or a tree of bools.
        bias_correction: whether γ is multiplied by √(1 − b2ᵗ)/(1 − b1ᵗ), as in Adam.
        state_dtype: precision of m, v and s, as in `adam`.

    Returns:
        A `DAdaptAdam` record. Its state holds m, v and s, in the parameters' shapes and at least float32,
        and `estimate`, d; `update` needs `params`.

    Raises:
        ValueError: a number outside its interval, or `update` without params. TypeError: no number.

    Example:
        >>> optimizer = dadapt_adam(b1=0.0, d0=0.1)
        >>> x = jnp.array([2.0, -3.0])
        >>> updates, state = optimizer.update(x, optimizer.init(x), x)  # −γ·d·sign(g)/√(1 − b2)
        >>> print([f"{u:.2f}" for u in updates], state.estimate)
        ['-3.16', '3.16'] 0.1

    Source: Defazio & Mishchenko 2023, algorithm 5, in the form of the authors' code, where r sees the v
    of the step before.

    Elsewhere: `dadaptation.DAdaptAdam(decouple=True)`, the same; `optax.contrib.dadapt_adamw` has the bias
    correction always, and NaN where all gradients are 0.
    """
    return DAdaptAdam(
        check_rate("dadapt_adam(learning_rate)", learning_rate),
        check_number("dadapt_adam(b1)", b1, "[0, 1)", "the usual value is 0.9"),
        check_number("dadapt_adam(b2)", b2, "[0, 1)", "the usual value is 0.999"),
        check_number("dadapt_adam(eps)", eps, "[0, inf)"),
        check_number("dadapt_adam(d0)", d0, "(0, inf)", "the usual value is 1e-6"),
        check_rate("dadapt_adam(weight_decay)", weight_decay),
        as_mask(mask),
        bias_correction,
        check_state_dtype("dadapt_adam(state_dtype)", state_dtype),
    )
