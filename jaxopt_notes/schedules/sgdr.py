"""SGDR: cosine decay with warm restarts, each run longer than the one before.

Run i takes T₀·mⁱ steps, so it starts at T₀·(mⁱ − 1)/(m − 1), or T₀·i for m = 1. Which run a step
belongs to is a logarithm of the step; rounding is corrected by comparing with the starts themselves.
"""

from typing import Any

import jax
import jax.numpy as jnp

from jaxopt_notes.record import Number, check_number, record
from jaxopt_notes.schedules.cosine import half_cosine
from jaxopt_notes.schedules.horizon import fraction, numbers, power


@record
class Sgdr:
    """See `sgdr`."""

    init_value: Number
    decay_steps: Number
    t_mul: Number
    m_mul: Number
    alpha: Number

    def __call__(self, step: Any) -> jax.Array:
        init_value, t_mul, m_mul, alpha = numbers(self.init_value, self.t_mul, self.m_mul, self.alpha)
        t, T = numbers(step, self.decay_steps)
        run = _run(t, T, t_mul)
        falling = half_cosine(fraction(t - _start(run, T, t_mul), T * _growth(run, t_mul)))
        return init_value * ((1 - alpha) * power(m_mul, run) * falling + alpha)


def _growth(run: jax.Array, t_mul: jax.Array) -> jax.Array:
    """mⁱ for m ≥ 1."""
    return jnp.where(t_mul > 1, jnp.where(t_mul > 1, t_mul, 2) ** run, 1)


def _start(run: jax.Array, T: jax.Array, t_mul: jax.Array) -> jax.Array:
    """The step at which a run begins."""
    grows = t_mul > 1
    return T * jnp.where(grows, (_growth(run, t_mul) - 1) / jnp.where(grows, t_mul - 1, 1), run)


def _run(t: jax.Array, T: jax.Array, t_mul: jax.Array) -> jax.Array:
    """The number of the run that a step belongs to."""
    t, T, t_mul = jax.lax.stop_gradient((t, T, t_mul))  # a count: its slope is 0
    grows = t_mul > 1
    ratio = jnp.where(grows, t_mul, 2)
    passed = jnp.maximum(t, 0) / jnp.where(T > 0, T, jnp.inf)
    run = jnp.floor(jnp.where(grows, jnp.log1p(passed * (ratio - 1)) / jnp.log(ratio), passed))
    t = t * (1 + 16 * jnp.finfo(t.dtype).eps)  # powers are a few units in the last place off
    run = run + (t >= _start(run + 1, T, t_mul)).astype(t.dtype) - (t < _start(run, T, t_mul)).astype(t.dtype)
    return jnp.where(T > 0, jnp.maximum(run, 0), 0)


def sgdr(
    init_value: Number,
    decay_steps: Number,
    t_mul: Number = 2.0,
    m_mul: Number = 1.0,
    alpha: Number = 0.0,
) -> Sgdr:
    """Cosine decay with warm restarts.

        η(t) = η₀·((1 − α)·Mⁱ·½(1 + cos(π·(t − tᵢ)/Tᵢ)) + α)
        Tᵢ = T₀·mⁱ            tᵢ = T₀ + … + Tᵢ₋₁

    Arguments:
        init_value: η₀, the value right after a restart.
        decay_steps: T₀ ≥ 0, the length of the first run; 0 switches the decay off.
        t_mul: m ≥ 1, how much longer each run is than the one before.
        m_mul: M > 0, how much higher each restart is than the one before.
        alpha: the value before a restart as a share of η₀.

    Returns:
        A `Sgdr` record, called with the step.

    Raises:
        ValueError: a number outside its interval. TypeError: no number.

    Example:
        >>> schedule = sgdr(1.0, decay_steps=10)
        >>> [round(float(schedule(step)), 3) for step in (0, 5, 10, 20, 30)]
        [1.0, 0.5, 1.0, 0.5, 1.0]

    Source: Loshchilov & Hutter 2017, eq. 5; row S4-23 of the notes.

    Elsewhere: TensorFlow's CosineDecayRestarts (whose names these are); torch's
    CosineAnnealingWarmRestarts takes whole numbers; `optax.sgdr_schedule` a list of runs.
    """
    return Sgdr(
        check_number("sgdr(init_value)", init_value),
        check_number("sgdr(decay_steps)", decay_steps, "[0, inf)"),
        check_number("sgdr(t_mul)", t_mul, "[1, inf)", "1 makes all runs equally long"),
        check_number("sgdr(m_mul)", m_mul, "(0, inf)"),
        check_number("sgdr(alpha)", alpha),
    )
