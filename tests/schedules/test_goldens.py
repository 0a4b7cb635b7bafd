"""Values of every schedule from its formula in float64, and what the notes say about each of them."""

import functools
import math
from fractions import Fraction

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxopt_notes import schedules as s

T = np.arange(0, 31)
COS = lambda x: 0.5 * (1 + np.cos(np.pi * np.minimum(x, 1.0)))  # noqa: E731

GOLDENS = [
    pytest.param(s.constant(0.3), lambda t: 0.3, id="constant"),
    pytest.param(
        s.piecewise((4, 9), (1.0, 0.5, 0.2)),
        lambda t: 1.0 if t < 4 else 0.5 if t < 9 else 0.2,
        id="piecewise", marks=pytest.mark.notes("S4-16"),
    ),
    pytest.param(
        s.step(0.8, 7, 0.1), lambda t: 0.8 * 0.1 ** (t // 7),
        id="step", marks=pytest.mark.notes("S4-17", "S1-65"),
    ),
    pytest.param(
        s.exponential(0.8, 7, 0.3), lambda t: 0.8 * 0.3 ** (t / 7),
        id="exponential", marks=pytest.mark.notes("S4-18", "S1-65"),
    ),
    pytest.param(
        s.exponential(0.8, 7, 0.3, transition_begin=5, end_value=0.2),
        lambda t: max(0.2, 0.8 * 0.3 ** (max(t - 5, 0) / 7)), id="exponential-begin-end",
    ),
    pytest.param(
        s.exponential(0.8, 7, 2.0, end_value=3.0), lambda t: min(3.0, 0.8 * 2 ** (t / 7)),
        id="exponential-grows",
    ),
    pytest.param(
        s.natural_exponential(0.8, 0.3, 7), lambda t: 0.8 * math.exp(-0.3 * t / 7),
        id="natural", marks=pytest.mark.notes("S4-19"),
    ),
    pytest.param(
        s.natural_exponential(0.8, 0.3, 7, staircase=True), lambda t: 0.8 * math.exp(-0.3 * (t // 7)),
        id="natural-staircase",
    ),
    pytest.param(
        s.inverse_time(0.8, 0.3), lambda t: 0.8 / (1 + 0.3 * t),
        id="inverse_time", marks=pytest.mark.notes("S4-20", "S1-65"),
    ),
    pytest.param(
        s.inverse_time(0.8, 0.3, 7, staircase=True), lambda t: 0.8 / (1 + 0.3 * (t // 7)),
        id="inverse-staircase",
    ),
    *(
        pytest.param(
            s.polynomial(0.8, 0.1, p, 12, 3),
            lambda t, p=p: 0.7 * (1 - min(max(t - 3, 0) / 12, 1)) ** p + 0.1,
            id=f"polynomial-{p}", marks=pytest.mark.notes("S4-21"),
        )
        for p in (0.5, 1, 2)
    ),
    pytest.param(
        s.polynomial(0.8, 0.1, 2, 7, cycle=True),
        lambda t: 0.7 * (1 - t / (7 * max(math.ceil(t / 7), 1))) ** 2 + 0.1,
        id="polynomial-cycle", marks=pytest.mark.notes("S4-21"),
    ),
    pytest.param(s.linear(0.8, 0.1, 12), lambda t: 0.8 - 0.7 * min(t / 12, 1), id="linear"),
    pytest.param(
        s.linear(0.8, 0.1, 12, 3), lambda t: 0.8 - 0.7 * min(max(t - 3, 0) / 12, 1), id="linear-begin"
    ),
    pytest.param(
        s.cosine(0.8, 12, 0.1, 1.5), lambda t: 0.8 * (0.9 * COS(t / 12) ** 1.5 + 0.1),
        id="cosine", marks=pytest.mark.notes("S4-22"),
    ),
    pytest.param(
        s.linear_cosine(0.8, 12, 1.5, 0.2, 0.01),
        lambda t: 0.8 * ((1.2 - min(t / 12, 1)) * 0.5 * (1 + math.cos(3 * math.pi * min(t / 12, 1))) + 0.01),
        id="linear_cosine",
    ),
    pytest.param(
        s.noisy_linear_cosine(0.8, 12, 0.0, 0.55, 1.5, 0.2, 0.01),
        lambda t: 0.8 * ((1.2 - min(t / 12, 1)) * 0.5 * (1 + math.cos(3 * math.pi * min(t / 12, 1))) + 0.01),
        id="noisy_linear_cosine", marks=pytest.mark.notes("S4-22b"),
    ),
    pytest.param(
        s.triangular(0.1, 0.9, 5), lambda t: 0.1 + 0.8 * (1 - abs((t % 10) / 5 - 1)),
        id="triangular", marks=pytest.mark.notes("S4-24"),
    ),
    pytest.param(
        s.triangular(0.1, 0.9, 5, m_mul=0.5),
        lambda t: 0.1 + 0.8 * 0.5 ** (t // 10) * (1 - abs((t % 10) / 5 - 1)),
        id="triangular2",
    ),
    pytest.param(
        s.one_cycle(20, 0.9, 0.3, 5.0, 10.0),
        lambda t: (
            0.18 + 0.72 * (1 - COS(t / 6)) if t < 6 else 0.018 + (0.9 - 0.018) * COS((t - 6) / 14)
        ),
        id="one_cycle", marks=pytest.mark.notes("S4-24"),
    ),
    pytest.param(
        s.noam(512, 10, 2.0), lambda t: 2 * 512**-0.5 * min((t + 1) ** -0.5, (t + 1) * 10**-1.5),
        id="noam", marks=pytest.mark.notes("S4-25"),
    ),
    pytest.param(
        s.warmup(5, s.inverse_time(0.8, 0.3), 0.2),
        lambda t: 0.2 + 0.6 * t / 5 if t < 5 else 0.8 / (1 + 0.3 * (t - 5)),
        id="warmup", marks=pytest.mark.notes("S4-25"),
    ),
    pytest.param(
        s.join([0.4, s.linear(1.0, 0.0, 10)], [6]),
        lambda t: 0.4 if t < 6 else 1 - min((t - 6) / 10, 1), id="join",
    ),
    pytest.param(
        s.warmup_cosine(0.1, 0.9, 4, 20, 0.2),
        lambda t: 0.1 + 0.8 * t / 4 if t < 4 else 0.9 * (0.8 * COS((t - 4) / 16) + 0.2), id="warmup_cosine",
    ),
    pytest.param(
        s.warmup_stable_decay(0.9, 4, 10, 8, 0.1, 0.05),
        lambda t: (
            0.1 + 0.8 * t / 4 if t < 4 else 0.9 if t < 14 else 0.9 - 0.85 * min((t - 14) / 8, 1)
        ),
        id="warmup_stable_decay",
    ),
]  # fmt: skip


@pytest.mark.parametrize(("schedule", "formula"), GOLDENS)
def test_the_formula_step_by_step(schedule, formula, x64):
    found = all_goldens()[[param.values[0] for param in GOLDENS].index(schedule)]
    np.testing.assert_allclose(found, [formula(int(t)) for t in T], rtol=1e-12, atol=1e-14)


@functools.cache
def all_goldens():
    """The values of all schedules, in one program."""
    return jax.jit(lambda t: [param.values[0](t) for param in GOLDENS])(T)


@pytest.mark.notes("S4-15")
def test_the_first_update_is_step_zero():
    at_zero = [s.step(0.8, 7), s.exponential(0.8, 7, 0.3), s.inverse_time(0.8, 0.3), s.cosine(0.8, 12)]
    assert jax.jit(lambda: [schedule(0) for schedule in at_zero])() == [pytest.approx(0.8)] * 4


def sgdr_by_hand(t, first, t_mul, m_mul, alpha):
    """Loshchilov & Hutter's procedure: walk through the runs."""
    start, length, height = 0.0, float(first), 1.0
    while t >= start + length:
        start, length, height = start + length, length * t_mul, height * m_mul
    return (1 - alpha) * height * 0.5 * (1 + math.cos(math.pi * (t - start) / length)) + alpha


@pytest.mark.notes("S4-23")
@pytest.mark.parametrize(("first", "t_mul"), [(10, 1), (10, 2), (3, 3), (7, 1.5), (1, 2)])
def test_sgdr_walks_through_its_runs(first, t_mul, x64):
    schedule = s.sgdr(1.0, first, t_mul, 0.9, 0.1)
    t = np.arange(0, 400)
    expected = [sgdr_by_hand(step, first, t_mul, 0.9, 0.1) for step in t]
    np.testing.assert_allclose(jax.jit(schedule)(t), expected, rtol=1e-9)


@pytest.mark.notes("S4-23")
@pytest.mark.parametrize(("first", "t_mul"), [(10, "1"), (10, "2"), (3, "3"), (4096, "3/2"), (15625, "6/5")])
def test_sgdr_restarts_exactly_on_time_also_in_float32(first, t_mul):
    schedule = s.sgdr(1.0, first, float(Fraction(t_mul)))
    lengths = [first * Fraction(t_mul) ** i for i in range(6)]
    starts = np.array([int(sum(lengths[: i + 1])) for i in range(6)], np.int32)  # all whole numbers
    after, before = np.asarray(jax.jit(schedule)(np.stack([starts, starts - 1])))
    np.testing.assert_allclose(after, 1.0, rtol=1e-6)  # jumps to the top
    np.testing.assert_allclose(before, [COS(1 - 1 / float(n)) for n in lengths], atol=1e-4)


@pytest.mark.notes("S4-17", "S4-18")
def test_a_staircase_falls_exactly_at_its_steps_for_every_horizon():
    """XLA divides by the product with 1/s, and 41·(1/41) is below 1 in float32, 49·(1/49) in float64."""
    horizons = np.array([3, 7, 41, 47, 49, 55, 97], np.int32)
    k = np.arange(1, 50, dtype=np.int32)

    @jax.jit
    @jax.vmap
    def at_and_before(horizon):
        at = s.inverse_time(1.0, 1.0, horizon, staircase=True)
        return 1 / at(k * horizon), 1 / at(k * horizon - 1)

    at, before = at_and_before(horizons)
    np.testing.assert_allclose(at, np.tile(k + 1, (7, 1)), rtol=1e-6)
    np.testing.assert_allclose(before, np.tile(k, (7, 1)), rtol=1e-6)


@pytest.mark.notes("S4-18")
def test_step_decay_is_the_staircase_of_exponential_decay():
    stairs, smooth = s.exponential(0.8, 7, 0.3, staircase=True), s.exponential(0.8, 7, 0.3)
    steps, falls, curve = jax.jit(lambda t: [f(t) for f in (s.step(0.8, 7, 0.3), stairs, smooth)])(T)
    np.testing.assert_array_equal(steps, falls)
    np.testing.assert_allclose(np.asarray(falls)[::7], np.asarray(curve)[::7], rtol=1e-5)


@pytest.mark.notes("S4-19")
def test_natural_exponential_is_exponential_with_e_to_minus_k_and_falls(x64):
    curves = s.natural_exponential(0.8, 0.3, 7), s.exponential(0.8, 7, math.exp(-0.3))
    natural, other = jax.jit(lambda t: [curve(t) for curve in curves])(T)
    np.testing.assert_allclose(natural, other, rtol=1e-12)
    assert (np.diff(natural) < 0).all()
    printed = 0.8 * np.exp(-0.3 / T[1:])  # the cited book's formula grows instead
    assert (np.diff(printed) > 0).all()


@pytest.mark.notes("S4-20")
def test_inverse_time_sums_without_end_and_its_squares_do_not(x64):
    """Robbins & Monro: the sums over [n, 10n) approach ln(10)/k, the sums of squares 0.9/(k²n)."""
    schedule, k = s.inverse_time(1.0, 0.5), 0.5
    for n in (1_000, 10_000):
        decade = np.asarray(schedule(jnp.arange(n, 10 * n)))
        assert decade.sum() == pytest.approx(math.log(10) / k, rel=0.01)
        assert (decade**2).sum() == pytest.approx(0.9 / (k**2 * n), rel=0.01)


@pytest.mark.notes("S4-21")
def test_polynomial_ends_and_cycles():
    assert float(s.polynomial(0.8, 0.1, 2, 7)(1000)) == pytest.approx(0.1)
    cycling = s.polynomial(0.8, 0.1, 1, 7, cycle=True)
    assert [float(cycling(t)) for t in (7, 14, 21)] == pytest.approx([0.1] * 3)
    assert float(cycling(8)) == pytest.approx(0.1 + 0.7 * (1 - 8 / 14), rel=1e-5)


@pytest.mark.notes("S4-22")
def test_cosine_is_half_way_in_the_middle():
    assert float(s.cosine(0.8, 12)(6)) == pytest.approx(0.4)
    assert float(s.cosine(0.8, 12, alpha=0.1)(500)) == pytest.approx(0.08)


@pytest.mark.notes("S4-24")
def test_cycles_have_their_period_and_their_ends():
    curves = s.triangular(0.1, 0.9, 5), s.one_cycle(20, 0.9)
    curve, once = map(np.asarray, jax.jit(lambda t: [curve(t) for curve in curves])(T))
    np.testing.assert_allclose(curve[10:], curve[:-10], atol=1e-6)
    assert (curve.min(), curve.max()) == (pytest.approx(0.1), pytest.approx(0.9))
    assert curve.argmax() == 5
    assert once.argmax() == 6
    assert once[0] == pytest.approx(0.9 / 25)
    assert once[20] == once[30] == pytest.approx(0.9 / 25e4)


@pytest.mark.notes("S4-25")
def test_warmup_and_noam_peak_at_the_end_of_the_ramp():
    curves = s.warmup(5, s.exponential(0.8, 7, 0.3)), s.noam(512, 10)
    ramp, noam = map(np.asarray, jax.jit(lambda t: [curve(t) for curve in curves])(T))
    np.testing.assert_allclose(ramp[:6], 0.8 * T[:6] / 5, rtol=1e-6)
    assert ramp.argmax() == 5
    assert noam.argmax() + 1 == 10  # step 9 is update number 10
    assert noam.max() == pytest.approx((512 * 10) ** -0.5)


def test_a_horizon_of_zero_switches_the_change_off():
    off = [s.step(0.8, 0), s.exponential(0.8, 0, 0.3), s.inverse_time(0.8, 0.3, 0), s.cosine(0.8, 0),
           s.linear(0.8, 0.1, 0), s.sgdr(0.8, 0), s.triangular(0.8, 1.0, 0), s.warmup(0, 0.8)]  # fmt: skip
    np.testing.assert_allclose(jax.jit(lambda t: [curve(t) for curve in off])(T), 0.8, rtol=1e-6)
