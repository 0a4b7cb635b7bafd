"""Linear cosine decay: a cosine under a falling line, or under one that trembles."""

from typing import Any

import jax
import jax.numpy as jnp
from jax import lax
from jax.typing import ArrayLike

from jaxopt_notes.numerics import safe_sqrt
from jaxopt_notes.record import Number, check_number, check_seed, record
from jaxopt_notes.schedules.horizon import Step, Time, as_time, fraction, in_double, number_of, numbers
from jaxopt_notes.schedules.schedule import Schedule

__all__ = ["LinearCosine", "NoisyLinearCosine", "linear_cosine", "noisy_linear_cosine"]


@record
class LinearCosine(Schedule):
    """See `linear_cosine`."""

    init_value: Number
    decay_steps: Number
    num_periods: Number
    alpha: Number
    beta: Number

    def __call__(self, step: Step) -> jax.Array:
        return _under_a_line(self, step, 0.0)


def _under_a_line(schedule: Any, step: Step, noise: ArrayLike) -> jax.Array:
    """η₀·((α + 1 − t/T + noise)·½(1 + cos(2πn·t/T)) + β)."""
    init_value, alpha, beta, noise = numbers(schedule.init_value, schedule.alpha, schedule.beta, noise)
    share = fraction(step, schedule.decay_steps)
    turns = numbers(schedule.num_periods)[0] * share
    (phase,) = in_double(_phase, _phase, as_time(step), schedule.decay_steps, schedule.num_periods)
    wave = 0.5 * (1 + jnp.cos(2 * jnp.pi * (phase + (turns - lax.stop_gradient(turns)))))
    return init_value * ((alpha + 1 - share + noise) * wave + beta)


def _phase(step: Step, T: jax.Array, n: jax.Array) -> tuple[jax.Array]:
    """n·t/T without its whole turns, whose digits the rest would lose in float32."""
    t = number_of(step) if isinstance(step, Time) else step
    turns = jnp.where(T > 0, n * jnp.clip(t / jnp.where(T > 0, T, 1), 0, 1), 0)
    return (turns - jnp.floor(turns),)


def linear_cosine(
    init_value: Number,
    decay_steps: Number,
    num_periods: Number = 0.5,
    alpha: Number = 0.0,
    beta: Number = 0.001,
) -> LinearCosine:
    """Linear cosine decay.

        η(t) = η₀·((α + 1 − t/T)·½(1 + cos(2πn·t/T)) + β)            t ≤ T, then its value at T

    Arguments:
        init_value: η₀.
        decay_steps: T ≥ 0; 0 switches the decay off.
        num_periods: n, periods of the cosine within T; ½ falls all the way.
        alpha: lifts the line.
        beta: lifts the whole, so that the first value is (1 + α + β)·η₀.

    Returns:
        A `LinearCosine` record, called with the step.

    Raises:
        ValueError: a number outside its interval. TypeError: an argument is not a number.

    Example:
        >>> schedule = linear_cosine(1.0, decay_steps=10, beta=0.0)
        >>> [round(float(schedule(step)), 3) for step in (0, 5, 10)]
        [1.0, 0.25, 0.0]

    Source: Bello et al. 2017. Elsewhere: TensorFlow 1's linear_cosine_decay.
    """
    return LinearCosine(
        check_number("linear_cosine(init_value)", init_value),
        check_number("linear_cosine(decay_steps)", decay_steps, "[0, inf)"),
        check_number("linear_cosine(num_periods)", num_periods, "[0, inf)"),
        check_number("linear_cosine(alpha)", alpha),
        check_number("linear_cosine(beta)", beta),
    )


@record
class NoisyLinearCosine(Schedule):
    """See `noisy_linear_cosine`."""

    init_value: Number
    decay_steps: Number
    initial_variance: Number
    variance_decay: Number
    num_periods: Number
    alpha: Number
    beta: Number
    seed: Number

    def __call__(self, step: Step) -> jax.Array:
        variance, decay, T = numbers(self.initial_variance, self.variance_decay, self.decay_steps)
        age = 1 + jnp.clip(number_of(step), 0, T)
        noise = safe_sqrt(variance) * age ** (-decay / 2) * _draw(self.seed, as_time(step))
        return _under_a_line(self, step, noise)


def _draw(seed: ArrayLike, step: Time) -> jax.Array:
    """A standard normal number for each whole step, a function of the seed alone."""
    is_key = jnp.issubdtype(jnp.asarray(seed).dtype, jax.dtypes.prng_key)
    key = seed if is_key else jax.random.key(jnp.asarray(seed).astype(jnp.uint32))

    def draw(i: jax.Array) -> jax.Array:
        return jax.random.normal(jax.random.fold_in(key, i), (), step.part.dtype)

    return jnp.vectorize(draw)(jnp.maximum(step.whole, 0))


def noisy_linear_cosine(
    init_value: Number,
    decay_steps: Number,
    initial_variance: Number = 1.0,
    variance_decay: Number = 0.55,
    num_periods: Number = 0.5,
    alpha: Number = 0.0,
    beta: Number = 0.001,
    seed: ArrayLike = 0,
) -> NoisyLinearCosine:
    """Linear cosine decay with noise on the line, annealed.

        η(t) = η₀·((α + 1 − t/T + εₜ)·½(1 + cos(2πn·t/T)) + β)       εₜ ~ N(0, σ²/(1 + t)^γ)

    Arguments:
        init_value: η₀.
        decay_steps: T ≥ 0; t stays at T from there on, 0 switches the decay off.
        initial_variance: σ² ≥ 0, the variance at step 0 as a share of η₀²; 0 is `linear_cosine`. With
            TensorFlow's 1 the first rates are often negative.
        variance_decay: γ ≥ 0; 0 keeps the variance constant.
        num_periods, alpha, beta: n, α and β, as in `linear_cosine`.
        seed: a whole number or a typed random key. The noise of a step is a function of it and of the step
            alone, so a run can be resumed, and members of a population have their own.

    Returns:
        A `NoisyLinearCosine` record, called with the step.

    Raises:
        ValueError: a number outside its interval. TypeError: an argument is not a number.

    Example:
        >>> schedule = noisy_linear_cosine(1.0, decay_steps=10, beta=0.0, initial_variance=0.0)
        >>> [round(float(schedule(step)), 3) for step in (0, 5, 10)]
        [1.0, 0.25, 0.0]

    Source: Bello et al. 2017. Elsewhere: TensorFlow 1's noisy_linear_cosine_decay,
    which draws anew at each call.
    """
    where = "noisy_linear_cosine"
    is_key = hasattr(seed, "dtype") and jnp.issubdtype(seed.dtype, jax.dtypes.prng_key)
    return NoisyLinearCosine(
        check_number(f"{where}(init_value)", init_value),
        check_number(f"{where}(decay_steps)", decay_steps, "[0, inf)"),
        check_number(f"{where}(initial_variance)", initial_variance, "[0, inf)", "0 switches the noise off"),
        check_number(f"{where}(variance_decay)", variance_decay, "[0, inf)"),
        check_number(f"{where}(num_periods)", num_periods, "[0, inf)"),
        check_number(f"{where}(alpha)", alpha),
        check_number(f"{where}(beta)", beta),
        seed if is_key else check_seed(f"{where}(seed)", seed),
    )
