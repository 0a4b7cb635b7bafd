"""Time as schedules measure it: what share of a horizon has passed, or how many horizons.

A horizon is a number like any other: it may be traced, batched and differentiated. A horizon of 0
switches the change off, as in optax, so that a schedule stays at its first value; no division by it
is ever made, neither forwards nor in a gradient.

Steps are whole numbers up to 2³¹, and float32 knows no odd ones above 2²⁴. A periodic schedule would lose
its phase there. So a time has two parts, whole steps (an integer) and what is left over (a number that
carries the gradient), and remainders are taken of both; `since` subtracts a beginning without a loss, so
that a schedule behind a warm-up keeps its phase too.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.typing import ArrayLike

from jaxopt_notes.dtypes import as_hyperparameter
from jaxopt_notes.record import Number

LAST = 2**31 - 1  # the largest step that is counted exactly
SLACK = 2.0**-48  # far below 1/LAST, by which quotients of whole numbers differ from whole ones at least


class Time(NamedTuple):
    """A step: whole + part."""

    whole: jax.Array
    part: jax.Array


Step = ArrayLike | Time


def as_time(step: Step) -> Time:
    """A step of any kind, an integer, a float or a `Time`, in two parts.

    Example:
        >>> as_time(2**24 + 1), as_time(2.75)
        (Time(whole=Array(16777217, dtype=int32), part=Array(0., dtype=float32)),
         Time(whole=Array(2, dtype=int32), part=Array(0.75, dtype=float32)))
    """
    if isinstance(step, Time):
        return step
    if isinstance(step, float) and step.is_integer():
        step = int(step)
    fits = not isinstance(step, int | np.ndarray | np.generic) or np.all(np.abs(np.asarray(step)) <= LAST)
    if fits and jnp.issubdtype(jnp.result_type(step), jnp.integer):
        step = jnp.asarray(step)
        if step.dtype.itemsize == 4 and step.dtype.kind == "u":
            step = jnp.minimum(step, jnp.asarray(LAST, step.dtype))
        return Time(step.astype(jnp.int32), jnp.zeros(step.shape, jnp.result_type(float)))
    number = as_hyperparameter(step)
    whole = jnp.floor(jnp.clip(lax.stop_gradient(number), -(2.0**30), 2.0**30))
    return Time(whole.astype(jnp.int32), number - whole)


def since(step: Step, begin: Number) -> Time:
    """The time since a step; 0 before it."""
    whole, part = _apart(step, begin)
    total = number_of(Time(whole, part))
    passed = total >= 0
    slope = jnp.where(total == 0, 0.5, 1).astype(part.dtype)  # at the corner the mean, as that of jnp.maximum
    part = lax.stop_gradient(part) + slope * (part - lax.stop_gradient(part))
    return Time(jnp.where(passed, whole, 0), jnp.where(passed, part, 0))


def reached(step: Step, begin: Number) -> jax.Array:
    """Whether a step is not before another one.

    Example:
        >>> bool(reached(2**24, 2**24 + 1)), bool(reached(2**24 + 1, 2**24 + 1))
        (False, True)
    """
    return number_of(_apart(step, begin)) >= 0


def _apart(step: Step, begin: Number) -> Time:
    time, begin = as_time(step), as_time(begin)
    return Time(time.whole - begin.whole, time.part - begin.part)


def number_of(step: Step) -> jax.Array:
    """A step as one number, rounded to float32 (float64 under x64)."""
    time = as_time(step)
    return time.whole.astype(time.part.dtype) + time.part


def numbers(*values: Any) -> tuple[jax.Array, ...]:
    """The step and the fields of a schedule in one dtype: float32, float64 under x64."""
    return tuple(number_of(v) if isinstance(v, Time) else as_hyperparameter(v) for v in values)


def horizons(step: Step, horizon: Number) -> jax.Array:
    """How many horizons have passed: t/T, growing without end; 0 where T is 0.

    Example:
        >>> float(horizons(15, 10))
        1.5
    """
    t, T = number_of(step), as_hyperparameter(horizon)
    return jnp.where(T > 0, t / jnp.where(T > 0, T, 1), 0)


def periods(step: Step, horizon: Number) -> tuple[jax.Array, jax.Array]:
    """How many whole horizons have passed, ⌊t/T⌋, and the share of the next: both 0 where T is 0.

    Exact at every step that an integer counts. The share has the derivatives of t/T, the count has none.

    Example:
        >>> [round(float(x), 3) for x in periods(2**24 + 1, 1000)]
        [16777.0, 0.217]
    """
    time, T = as_time(step), as_hyperparameter(horizon)
    on = T > 0
    T = jnp.where(on, T, 1)
    count, rest = in_double(_divided_in_double, divided, time, horizon)
    count, rest = jnp.where(on, count, 0), jnp.where(on, rest, 0)
    rest = attached(rest, time, (count, T))
    return count, jnp.where(on, rest / T, 0)


def attached(rest: jax.Array, time: Time, *slopes: tuple[jax.Array, jax.Array]) -> jax.Array:
    """A number of steps with the derivative 1 by the time, and −slope by each of the numbers."""
    rest = rest + (time.part - lax.stop_gradient(time.part))
    for slope, number in slopes:
        rest = rest - lax.stop_gradient(slope) * (number - lax.stop_gradient(number))
    return rest


def whole_horizons(step: Step, horizon: Number) -> jax.Array:
    """How many whole horizons have passed: ⌊t/T⌋, exact also where t/T rounds; 0 where T is 0.

    Example:
        >>> float(whole_horizons(15, 10))
        1.0
    """
    return periods(step, horizon)[0]  # a staircase: its slope is 0


def in_double(wide: Callable, narrow: Callable, time: Time, *values: Number) -> tuple[jax.Array, ...]:
    """`wide(t, *values)` in float64, or `narrow(time, *values)` where the hardware has none (TPU).

    The results come in the dtype of hyperparameters, and without gradients. A number that is written in
    Python is taken as written, an array of float32 as the decimal of at most seven digits that it stands
    for: after 10⁵ steps 1.0010000467, which is how float32 stores a growth of 1.001, would be another phase.
    """
    kind = jnp.result_type(float)
    time, values = lax.stop_gradient((time, values))
    exact = [isinstance(value, int | float) for value in values]
    if kind == jnp.float64:
        results = wide(number_of(time), *(as_hyperparameter(value) for value in values))
        return tuple(jnp.asarray(result, kind) for result in results)
    given = tuple(
        np.float64(v) if known else jnp.asarray(v, kind) for v, known in zip(values, exact, strict=True)
    )

    def in_float64(time: Time, *values: Any) -> tuple[jax.Array, ...]:
        double = [lax.convert_element_type(x, np.dtype("float64")) for x in (*time, *values)]
        read = [x if known else _decimal(x) for x, known in zip(double[2:], exact, strict=True)]
        return tuple(lax.convert_element_type(x, kind) for x in wide(double[0] + double[1], *read))

    def in_float32(time: Time, *values: Any) -> tuple[jax.Array, ...]:
        return tuple(narrow(time, *(lax.convert_element_type(x, kind) for x in values)))

    with jax.enable_x64(True):
        here = dict.fromkeys(("cpu", "cuda", "rocm"), in_float64)
        return lax.platform_dependent(time, *given, **here, default=in_float32)


def _decimal(x: jax.Array) -> jax.Array:
    """The decimal of seven digits that rounds to a float32, if there is one; else x."""
    size = jnp.abs(x)
    unit = 10.0 ** (jnp.floor(jnp.log10(jnp.where(size > 0, size, 1))) - 6)
    near = jnp.round(x / unit) * unit
    return jnp.where(jnp.abs(near - x) <= size * 2.0**-24, near, x)


def _divided_in_double(t: jax.Array, T: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Some rounding up: XLA divides many by one as a product with 1/T, and 49·(1/49) is below 1."""
    T = jnp.where(T > 0, T, 1)
    passed = t / T
    count = jnp.floor(passed + SLACK * jnp.abs(passed))
    return count, jnp.maximum(t - count * T, 0)


def divided(time: Time, T: jax.Array) -> tuple[jax.Array, jax.Array]:
    """In float32: a remainder is exact, so those of the two halves of the step are taken."""
    T = jnp.where(T > 0, T, 1)
    high = (time.whole & ~0xFFF).astype(T.dtype)
    parts = [high, (time.whole & 0xFFF).astype(T.dtype), time.part]
    rests = [lax.rem(*jnp.broadcast_arrays(part, T)) for part in parts]
    count = sum(jnp.round((part - rest) / T) for part, rest in zip(parts, rests, strict=True))
    rest = rests[0] + rests[1] + rests[2]
    more = sum((rest >= i * T).astype(T.dtype) for i in range(-2, 3)) - 3  # ⌊rest/T⌋, without a quotient
    return jnp.asarray(count + more), rest - more * T


def fraction(step: Step, horizon: Number) -> jax.Array:
    """The share of a horizon that has passed: t/T held within [0, 1]; 0 where T is 0.

    Example:
        >>> [float(fraction(step, 10)) for step in (-5, 5, 15)]
        [0.0, 0.5, 1.0]
    """
    return jnp.clip(horizons(step, horizon), 0, 1)


def power(base: jax.Array, exponent: jax.Array) -> jax.Array:
    """baseᵖ for base ≥ 0, whose gradient at base 0 is 0 instead of infinity; 0⁰ is 1."""
    positive = base > 0
    return jnp.where(positive, jnp.where(positive, base, 1) ** exponent, jnp.where(exponent == 0, 1.0, 0.0))
