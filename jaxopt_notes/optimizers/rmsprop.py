"""RMSProp: AdaGrad that forgets, so that its rates do not fall for ever."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax.typing import DTypeLike

from jaxopt_notes.dtypes import Tree, compute_dtype, is_float
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
from jaxopt_notes.optimizers.momentum import momentum_step
from jaxopt_notes.optimizers.nesterov import nesterov_step
from jaxopt_notes.record import Number, check_number, record, static
from jaxopt_notes.schedules.schedule import Rate, check_rate, rate_at


class RMSPropState(NamedTuple):
    """Steps made; averages of squared gradients and, if asked for, of gradients; velocity, if any."""

    count: jax.Array
    nu: Tree
    mu: Tree | None
    velocity: Tree | None


@record
class RMSProp(Transform):
    """See `rmsprop`."""

    elementwise = True

    learning_rate: Rate
    decay: Number
    eps: Number
    initial_scale: Number
    momentum: Number | None
    eps_in_sqrt: bool = static()
    centered: bool = static()
    nesterov: bool = static()
    bias_correction: bool = static()
    state_dtype: str | None = static()

    def init(self, params: Tree) -> RMSPropState:
        (nu,) = moments(params, (2,), self.state_dtype, self.initial_scale)
        (mu,) = moments(params, (1,), self.state_dtype) if self.centered else (None,)
        (velocity,) = (None,) if self.momentum is None else moments(params, (1,), self.state_dtype)
        return RMSPropState(first_step(), nu, mu, velocity)

    def update(
        self, updates: Tree, state: RMSPropState, params: Tree = None, *, accept: Accept = None, **extra: Any
    ) -> tuple[Tree, RMSPropState]:
        count = increment(state.count, accept)
        hyper = {
            "rate": rate_at(self.learning_rate, state.count),
            "decay": self.decay,
            "eps_inside": self.eps if self.eps_in_sqrt else 0.0,
            "eps_outside": 0.0 if self.eps_in_sqrt else self.eps,
            "correction": bias_correction(self.decay, count) if self.bias_correction else 1.0,
        }
        mu, velocity, like = state.mu, state.velocity, params
        if self.momentum is not None:  # the step enters the velocity unrounded
            like = None
            updates = jax.tree.map(lambda g: jnp.asarray(g, compute_dtype(g)) if is_float(g) else g, updates)
        if self.centered:
            updates, nu, mu = leafwise(
                centered_rmsprop_step, updates, like, state.nu, mu, accept=accept, **hyper
            )
        else:
            updates, nu = leafwise(rmsprop_step, updates, like, state.nu, accept=accept, **hyper)
        if self.momentum is not None:
            formula = nesterov_step if self.nesterov else momentum_step
            # The formula steps against its gradient at rate 1: here minus the RMSProp update.
            updates, velocity = leafwise(
                formula, updates, params, velocity, rate=-1.0, momentum=self.momentum, accept=accept
            )
        return updates, RMSPropState(count, nu, mu, velocity)


def rmsprop_step(g, p, r, *, rate, decay, eps_inside, eps_outside, correction, store=store_always):
    """The update of one leaf and its average of squared gradients."""
    r = store(r, decay * r + (1 - decay) * abs_squared(g))
    return -rate * safe_divide(g, safe_sqrt(r / correction + eps_inside) + eps_outside), r


def centered_rmsprop_step(
    g, p, r, m, *, rate, decay, eps_inside, eps_outside, correction, store=store_always
):
    """The update of one leaf and its averages of squared gradients and of gradients.

    The variance r − |m|² is a difference of nearly equal numbers when gradients hardly vary:
    below its own rounding error it is taken to be that error, so it is never negative and the step
    stays bounded.
    """
    r = store(r, decay * r + (1 - decay) * abs_squared(g))
    m = store(m, decay * m + (1 - decay) * g)
    square = r / correction
    variance = jnp.maximum(square - abs_squared(m / correction), jnp.finfo(r.dtype).eps * square)
    return -rate * safe_divide(g, safe_sqrt(variance + eps_inside) + eps_outside), r, m


def rmsprop(
    learning_rate: Rate = 1e-3,
    decay: Number = 0.9,
    eps: Number = 1e-8,
    initial_scale: Number = 0.0,
    eps_in_sqrt: bool = True,
    centered: bool = False,
    momentum: Number | None = None,
    nesterov: bool = False,
    bias_correction: bool = False,
    state_dtype: DTypeLike | None = None,
) -> RMSProp:
    """RMSProp: rates divided by the root mean square of recent gradients.

        r ← α·r + (1 − α)·|g|²
        θ ← θ − η·g / √(r + ε)

    and with `eps_in_sqrt=False`: η·g / (√r + ε); with `centered`: r − |m|² in place of r, where
    m ← α·m + (1 − α)·g; with `bias_correction`: r/(1 − αᵗ) and m/(1 − αᵗ); with `momentum`: the
    step d is replaced by v ← β·v + d (and by d + β·v with `nesterov`).

    Arguments:
        learning_rate: η ≥ 0, a number or a schedule; the first step is η/√(1 − α)·sign(g).
        decay: α in [0, 1).
        eps: ε ≥ 0.
        initial_scale: r at the start, ≥ 0.
        eps_in_sqrt: where ε stands.
        centered: divide by the standard deviation; the variance is never taken below its own
            rounding error.
        momentum: β in [0, 1], or `None`; the rate is inside the velocity.
        nesterov: Nesterov's form of that momentum.
        bias_correction: correct the averages for their start at 0. Together with `centered` the first
            variance is exactly 0, so the first step is as large as the clamp allows, about 2900·η.
        state_dtype: precision of the averages and of the velocity, as in `adam`.

    Returns:
        An `RMSProp` record. Its state holds one average, and one more each for `centered` and
        `momentum`.

    Raises:
        ValueError: a number outside its interval, or `nesterov` without momentum.

    Example:
        >>> optimizer = rmsprop(learning_rate=0.1, decay=0.75)
        >>> updates, _ = optimizer.update(jnp.array([5.0]), optimizer.init(jnp.zeros(1)))
        >>> updates
        Array([-0.2], dtype=float32)

    Source: Tieleman & Hinton 2012; centered: Graves 2013.

    Elsewhere: optax has the same arguments; torch has ε outside, 0.99 for the decay, and the rate
    outside the momentum.
    """
    if momentum is not None:
        momentum = check_number("rmsprop(momentum)", momentum, "[0, 1]", "None switches momentum off")
    elif nesterov:
        raise ValueError("rmsprop(nesterov) is True but momentum is None: give a momentum, such as 0.9.")
    return RMSProp(
        learning_rate=check_rate("rmsprop(learning_rate)", learning_rate),
        decay=check_number("rmsprop(decay)", decay, "[0, 1)", "the usual value is 0.9"),
        eps=check_number("rmsprop(eps)", eps, "[0, inf)"),
        initial_scale=check_number("rmsprop(initial_scale)", initial_scale, "[0, inf)"),
        momentum=momentum,
        eps_in_sqrt=eps_in_sqrt,
        centered=centered,
        nesterov=nesterov,
        bias_correction=bias_correction,
        state_dtype=check_state_dtype("rmsprop(state_dtype)", state_dtype),
    )
