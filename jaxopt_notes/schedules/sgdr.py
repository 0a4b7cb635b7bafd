"""SGDR: cosine decay with warm restarts, each run longer than the one before.

Run i takes T₀·mⁱ steps, so it starts at T₀·(mⁱ − 1)/(m − 1), or T₀·i for m = 1. Which run a step
belongs to is a logarithm of the step; rounding is corrected by comparing with the starts themselves.
For m near 1 many runs have passed before a step, and a start is a difference of nearly equal numbers
divided by a small one: it is computed in float64, as log1p and expm1.
"""

import jax
import jax.numpy as jnp
from jax import lax

from jaxopt_notes.record import Number, check_number, record
from jaxopt_notes.schedules.cosine import half_cosine
from jaxopt_notes.schedules.horizon import (
    Step,
    Time,
    as_time,
    attached,
    divided,
    in_double,
    number_of,
    numbers,
    power,
)
from jaxopt_notes.schedules.schedule import Schedule

__all__ = ["Sgdr", "sgdr"]


@record
class Sgdr(Schedule):
    """See `sgdr`."""

    init_value: Number
    decay_steps: Number
    t_mul: Number
    m_mul: Number
    alpha: Number

    def __call__(self, step: Step) -> jax.Array:
        init_value, m_mul, alpha = numbers(self.init_value, self.m_mul, self.alpha)
        time, (T, m) = as_time(step), numbers(self.decay_steps, self.t_mul)
        run, rest, start, slope, growth = in_double(_run, _run_in_single, time, self.decay_steps, self.t_mul)
        on, m = T > 0, jnp.where(m >= 1, m, 1)
        T = jnp.where(on, T, 1)
        rest = attached(rest, time, (start, T), (T * slope, m))
        length = attached(lax.stop_gradient(T * growth), as_time(0), (-growth, T), (-T * run * growth / m, m))
        falling = half_cosine(jnp.where(on, jnp.clip(rest / length, 0, 1), 0))
        return init_value * ((1 - alpha) * power(m_mul, run) * falling + alpha)


def _run(t: jax.Array, T: jax.Array, m: jax.Array, slack: float = 1e-12) -> tuple[jax.Array, ...]:
    """The number of the run that a step belongs to, and what is left of the step.

    Also the start of the run and its derivative by m, in units of T, and how much longer it is than T.
    """
    on, grows = T > 0, m > 1
    T, by = jnp.where(on, T, 1), jnp.where(grows, m - 1, 1)
    log = jnp.log1p(by)
    t = jnp.where(on, jnp.maximum(t, 0), 0)

    def start(i: jax.Array) -> jax.Array:
        return jnp.where(grows, jnp.expm1(i * log) / by, i)

    passed = t / T
    run = jnp.floor(jnp.where(grows, jnp.log1p(passed * by) / log, passed))
    reaches = lambda i: (passed * (1 + slack) >= start(i)).astype(run.dtype)  # noqa: E731
    run = jnp.maximum(run + reaches(run + 1) + reaches(run) - 1, 0)
    begin = start(run)
    slope = jnp.where(grows, (run * jnp.exp((run - 1) * log) - begin) / by, run * (run - 1) / 2)
    return run, jnp.maximum(t - T * begin, 0), begin, slope, jnp.where(grows, jnp.exp(run * log), 1)


def _run_in_single(time: Time, T: jax.Array, m: jax.Array) -> tuple[jax.Array, ...]:
    run, rest, begin, slope, growth = _run(number_of(time), T, m, 16 * float(jnp.finfo(T.dtype).eps))
    count, left = divided(time, T)
    equal = m <= 1
    return (
        jnp.where(equal, count, run), jnp.where(equal, left, rest), jnp.where(equal, count, begin),
        jnp.where(equal, count * (count - 1) / 2, slope), growth,
    )  # fmt: skip


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
        ValueError: a number outside its interval. TypeError: an argument is not a number.

    Example:
        >>> schedule = sgdr(1.0, decay_steps=10)
        >>> [round(float(schedule(step)), 3) for step in (0, 5, 10, 20, 30)]
        [1.0, 0.5, 1.0, 0.5, 1.0]

    Source: Loshchilov & Hutter 2017, eq. 5.

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
