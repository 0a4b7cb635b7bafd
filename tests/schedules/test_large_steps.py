"""Steps beyond 2²⁴, where float32 knows only every second whole number: phases against exact arithmetic."""

import functools
import math
from fractions import Fraction

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxopt_notes import schedules as s
from jaxopt_notes.schedules import horizon
from jaxopt_notes.schedules.sgdr import _run_in_single

STEPS = [0, 1, 999, 100_000, 2**24 - 1, 2**24 + 1, 2**30, 2**31 - 1]


def cos(x):
    return 0.5 * (1 + math.cos(math.pi * min(float(x), 1.0)))


def sgdr_exactly(t, first, t_mul):
    """Walk through the runs; for equal ones, divide."""
    start, length, growth = Fraction(0), Fraction(first), Fraction(t_mul)
    if growth == 1:
        return cos(t % length / length)
    start, length, growth = 0.0, float(length), float(growth)
    compensation = 0.0  # Kahan: thousands of runs are added up
    while t >= start + length:
        y = length - compensation
        total = start + y
        start, compensation, length = total, (total - start) - y, length * growth
    return cos((t - start) / length)


def phase(t, period):
    return float(Fraction(t) / Fraction(period) % 1)


PERIODIC = {
    "triangular": (s.triangular(0.1, 0.9, 500), lambda t: 0.1 + 0.8 * (1 - abs(1 - 2 * phase(t, 1000)))),
    "triangular-odd": (s.triangular(0.0, 1.0, 3.5), lambda t: 1 - abs(1 - 2 * phase(t, 7))),
    "triangular-decimal": (s.triangular(0.0, 1.0, 3.3), lambda t: 1 - abs(1 - 2 * phase(t, "6.6"))),
    "triangular-falling": (
        s.triangular(0.0, 1.0, 2**23, m_mul=0.9),
        lambda t: 0.9 ** (t // 2**24) * (1 - abs(1 - 2 * phase(t, 2**24))),
    ),
    "sgdr-equal": (s.sgdr(1.0, 1000, 1), lambda t: sgdr_exactly(t, 1000, 1)),
    "sgdr-nearly": (s.sgdr(1.0, 100, 1.001), lambda t: sgdr_exactly(t, 100, "1.001")),
    "sgdr-very-nearly": (s.sgdr(1.0, 10_000, 1.00001), lambda t: sgdr_exactly(t, 10_000, "1.00001")),
    "sgdr-double": (s.sgdr(1.0, 10), lambda t: sgdr_exactly(t, 10, 2)),
    "step": (s.step(1.0, 1_000_000, 0.99), lambda t: 0.99 ** (t // 1_000_000)),
    "natural": (
        s.natural_exponential(1.0, 0.01, 2_796_203, True), lambda t: math.exp(-0.01 * (t // 2_796_203)),
    ),
    "inverse": (s.inverse_time(1.0, 1.0, 4099, True), lambda t: 1 / (1 + t // 4099)),
    "polynomial-cycle": (
        s.polynomial(1.0, 0.0, 1, 1000, cycle=True),
        lambda t: 1 - t / (1000 * max(math.ceil(t / 1000), 1)),
    ),
    "linear_cosine": (
        s.linear_cosine(1.0, 2**24 + 2, 5000.0, beta=0.0),
        lambda t: (1 - min(t / (2**24 + 2), 1)) * 0.5 * (1 + math.cos(
            2 * math.pi * phase(5000 * min(t, 2**24 + 2), 2**24 + 2))),
    ),
    "warmup": (
        s.warmup(1001, s.triangular(0.0, 1.0, 500)),
        lambda t: 0.0 if t < 1001 else 1 - abs(1 - 2 * phase(t - 1001, 1000)),
    ),
    "join": (
        s.join([0.5, s.warmup(10, s.sgdr(1.0, 1000, 1))], [2**24 + 1]),
        lambda t: 0.5 if t < 2**24 + 1 else (t - 2**24 - 1) / 10 if t < 2**24 + 11
        else sgdr_exactly(t - 2**24 - 11, 1000, 1),
    ),
    "piecewise": (s.piecewise([2**24, 2**24 + 1], [1.0, 0.5, 0.2]),
                  lambda t: 1.0 if t < 2**24 else 0.5 if t < 2**24 + 1 else 0.2),
}  # fmt: skip


@pytest.mark.parametrize("name", PERIODIC)
def test_phases_are_exact_at_every_step(name):
    schedule, exactly = PERIODIC[name]
    expected = [exactly(t) for t in STEPS]

    @jax.jit
    def values(traced, steps):
        return [schedule(t) for t in STEPS[:2]], schedule(steps), traced(steps)

    of_numbers, at_once, traced = values(schedule, np.array(STEPS, np.int32))
    np.testing.assert_allclose(of_numbers, expected[:2], rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(at_once, expected, rtol=1e-5, atol=2e-5)
    if name != "piecewise" and name != "join":  # 2²⁴ + 1 is a leaf of float32 there
        np.testing.assert_allclose(traced, expected, rtol=1e-5, atol=2e-5)


def test_the_restart_that_float32_missed():
    assert float(s.sgdr(1, 100, 1.001)(50_000)) == pytest.approx(0.2486, abs=5e-5)


SMOOTH = {
    "exponential": (s.exponential(1.0, 1e8, 0.5), lambda t: 0.5 ** (t / 1e8)),
    "natural": (s.natural_exponential(1.0, 0.3, 2**27), lambda t: math.exp(-0.3 * t / 2**27)),
    "inverse": (s.inverse_time(1.0, 1e-6), lambda t: 1 / (1 + 1e-6 * t)),
    "cosine": (s.cosine(1.0, 2**31), lambda t: cos(t / 2**31)),
    "linear": (s.linear(1.0, 0.1, 2**30), lambda t: 1 - 0.9 * min(t / 2**30, 1)),
    "polynomial": (s.polynomial(1.0, 0.1, 2, 2**31), lambda t: 0.9 * (1 - t / 2**31) ** 2 + 0.1),
    "one_cycle": (
        s.one_cycle(2**31, 1.0, 0.25, 10, 10),
        lambda t: 0.1 + 0.9 * (1 - cos(t / 2**29)) if t < 2**29
        else 0.01 + 0.99 * cos((t - 2**29) / 3 / 2**29),
    ),
    "noam": (s.noam(16, 4000), lambda t: 16**-0.5 * min((t + 1) ** -0.5, (t + 1) * 4000**-1.5)),
    "warmup_cosine": (
        s.warmup_cosine(0.0, 1.0, 2**24, 2**31),
        lambda t: t / 2**24 if t < 2**24 else cos((t - 2**24) / (2**31 - 2**24)),
    ),
    "stable": (
        s.warmup_stable_decay(1.0, 1000, 2**24, 2**24),
        lambda t: min(t / 1000, 1) * (1 - min(max(t - 1000 - 2**24, 0) / 2**24, 1)),
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", SMOOTH)
def test_long_horizons(name):
    found, exactly = all_smooth()[name], SMOOTH[name][1]
    np.testing.assert_allclose(found, [exactly(t) for t in STEPS], rtol=2e-6, atol=1e-6)


@functools.cache
def all_smooth():
    """The values of all of these schedules, in one program."""
    schedules = {name: schedule for name, (schedule, _) in SMOOTH.items()}
    return jax.jit(lambda t: {name: schedule(t) for name, schedule in schedules.items()})(
        np.array(STEPS, np.int32)
    )


def test_noise_is_drawn_anew_at_every_large_step():
    noisy = s.noisy_linear_cosine(1.0, 2**30, variance_decay=0.0)
    values = np.asarray(jax.jit(noisy)(np.int32(2**24 + np.arange(4))))
    assert len(np.unique(values)) == 4


def test_a_foreign_schedule_is_given_a_number():
    schedule = s.join([1.0, lambda step: step / 4 + 1.0], [2])
    assert [float(schedule(t)) for t in (1, 2, 6)] == [1.0, 1.0, 2.0]


def test_where_the_hardware_has_no_float64():
    """Remainders in float32 are exact for whole horizons; only nearly equal runs lose their phase."""
    t, T, k = jnp.asarray(STEPS), jnp.float32(1000.0), np.arange(-99, 99, dtype=np.int32)
    multiples = horizon.as_time(47 * k)

    @jax.jit
    def divided(t, T):
        return horizon.divided(horizon.as_time(t), T), horizon.divided(multiples, jnp.float32(47))

    (count, rest), (whole, nothing) = divided(t, T)
    np.testing.assert_array_equal(rest, np.asarray(STEPS) % 1000)
    np.testing.assert_array_equal(count, np.asarray(STEPS) // 1000)
    np.testing.assert_array_equal(whole, k)
    np.testing.assert_array_equal(nothing, 0)
    for m in (1.0, 2.0):
        _, rest, _, _, growth = _run_in_single(horizon.as_time(t), T, jnp.float32(m))
        found = 0.5 * (1 + np.cos(np.pi * np.asarray(rest / (T * growth))))
        np.testing.assert_allclose(found, [sgdr_exactly(x, 1000, int(m)) for x in STEPS], atol=1e-5)


def test_derivatives_at_equal_runs_are_those_from_above(x64):
    """Runs of equal lengths are a corner of `sgdr`: shorter ones are refused."""
    at = lambda m: s.sgdr(1.0, 10.0, m)(57.3)  # noqa: E731
    slope = float((at(1 + 1e-7) - at(1.0)) / 1e-7)
    np.testing.assert_allclose(jax.grad(at)(1.0), slope, rtol=1e-4)
    at = lambda m: s.sgdr(1.0, 10.0, m)(570.3)  # noqa: E731
    difference = (at(1.001 + 1e-8) - at(1.001 - 1e-8)) / 2e-8
    np.testing.assert_allclose(jax.grad(at)(1.001), difference, rtol=1e-5)
