"""The distributions drawn from: means, variances, bounds, shapes."""

import math

import jax
import numpy as np
import pytest

from jaxopt_notes.initializers import (
    fan_in_uniform,
    he_normal,
    he_uniform,
    lecun_normal,
    lecun_uniform,
    normal,
    truncated_normal,
    uniform,
    variance_scaling,
    xavier_normal,
    xavier_uniform,
)

SHAPE = (200, 500)
CONV = (3, 3, 100, 200)  # fans 900 and 1800
NORMAL_KURTOSIS, UNIFORM_KURTOSIS = 3.0, 1.8


def moments(draws):
    draws = np.asarray(draws, np.float64)
    assert draws.size >= 1e5
    return (
        draws.mean(),
        draws.var(),
        np.mean((draws - draws.mean()) ** 4) / draws.var() ** 2,
        np.abs(draws).max(),
    )


@pytest.mark.parametrize(
    ("init", "shape", "variance", "kurtosis"),
    [
        pytest.param(normal(0.3), SHAPE, 0.09, NORMAL_KURTOSIS, id="normal"),
        pytest.param(truncated_normal(0.3), SHAPE, 0.09, 2.37, id="truncated"),
        pytest.param(
            lecun_normal(), SHAPE, 1 / 200, NORMAL_KURTOSIS,
            id="lecun", marks=pytest.mark.notes("S2-06"),
        ),
        pytest.param(
            xavier_normal(), SHAPE, 2 / 700, NORMAL_KURTOSIS,
            id="xavier", marks=pytest.mark.notes("S2-09"),
        ),
        pytest.param(xavier_normal(3.0), SHAPE, 18 / 700, NORMAL_KURTOSIS, id="xavier-gain"),
        pytest.param(
            xavier_normal(), CONV, 2 / 2700, NORMAL_KURTOSIS,
            id="xavier-conv", marks=pytest.mark.notes("S2-10"),
        ),
        pytest.param(
            he_normal(), SHAPE, 2 / 200, NORMAL_KURTOSIS, id="he", marks=pytest.mark.notes("S2-20")
        ),
        pytest.param(he_normal(mode="fan_out"), SHAPE, 2 / 500, NORMAL_KURTOSIS, id="he-out"),
        pytest.param(he_normal(mode="fan_avg"), SHAPE, 4 / 700, NORMAL_KURTOSIS, id="he-avg"),
        pytest.param(
            he_normal(0.5), CONV, 2 / (1.25 * 900), NORMAL_KURTOSIS,
            id="he-leaky", marks=pytest.mark.notes("S2-23"),
        ),
        pytest.param(
            he_normal(0.5, "fan_out"), CONV, 2 / (1.25 * 1800), NORMAL_KURTOSIS,
            id="he-leaky-out", marks=pytest.mark.notes("S2-23"),
        ),
        pytest.param(
            he_normal(1.0), SHAPE, 1 / 200, NORMAL_KURTOSIS,
            id="he-linear", marks=pytest.mark.notes("S2-23"),
        ),
        pytest.param(variance_scaling(3.0, "fan_out", "truncated_normal"), SHAPE, 3 / 500, 2.37, id="scaled"),
    ],
)  # fmt: skip
def test_variance_of_normal_draws(init, shape, variance, kurtosis, key):
    mean, var, kurt, _ = moments(init(key, shape))
    assert mean == pytest.approx(0, abs=4 * math.sqrt(variance / math.prod(shape)))
    assert var == pytest.approx(variance, rel=0.02)
    assert kurt == pytest.approx(kurtosis, rel=0.03)


@pytest.mark.parametrize(
    ("init", "shape", "bound"),
    [
        pytest.param(uniform(-0.3, 0.3), SHAPE, 0.3, id="uniform"),
        pytest.param(
            fan_in_uniform(), SHAPE, 1 / math.sqrt(200), id="fan-in", marks=pytest.mark.notes("S2-07")
        ),
        pytest.param(
            lecun_uniform(), SHAPE, math.sqrt(3 / 200), id="lecun", marks=pytest.mark.notes("S2-07")
        ),
        pytest.param(
            xavier_uniform(), SHAPE, math.sqrt(6 / 700), id="xavier", marks=pytest.mark.notes("S2-10")
        ),
        pytest.param(
            xavier_uniform(2.0),
            CONV,
            2 * math.sqrt(6 / 2700),
            id="xavier-conv",
            marks=pytest.mark.notes("S2-10"),
        ),
        pytest.param(he_uniform(), SHAPE, math.sqrt(6 / 200), id="he", marks=pytest.mark.notes("S2-21")),
        pytest.param(
            he_uniform(mode="fan_out"),
            SHAPE,
            math.sqrt(6 / 500),
            id="he-out",
            marks=pytest.mark.notes("S2-21"),
        ),
        pytest.param(he_uniform(0.5), SHAPE, math.sqrt(6 / 250), id="he-leaky"),
    ],
)
def test_bounds_and_variance_of_uniform_draws(init, shape, bound, key):
    mean, var, kurt, largest = moments(init(key, shape))
    assert mean == pytest.approx(0, abs=4 * bound / math.sqrt(3 * math.prod(shape)))
    assert var == pytest.approx(bound**2 / 3, rel=0.02)
    assert kurt == pytest.approx(UNIFORM_KURTOSIS, rel=0.02)
    assert 0.999 * bound < largest <= bound * (1 + 1e-6)


@pytest.mark.notes("S2-07")
def test_the_two_uniform_forms_differ_by_three_in_variance(key):
    heuristic, matched = fan_in_uniform()(key, SHAPE), lecun_uniform()(key, SHAPE)
    np.testing.assert_allclose(matched, math.sqrt(3) * np.asarray(heuristic), rtol=1e-4, atol=1e-7)


@pytest.mark.notes("S2-21")
def test_the_printed_bounds_of_he_uniform_have_a_mean_that_is_not_zero(key):
    """U(−√(6/n_in), √(6/n_out)), as the notes print it, against the symmetric form."""
    printed = uniform(-math.sqrt(6 / 200), math.sqrt(6 / 500))(key, SHAPE)
    standard_error = math.sqrt(6 / 200 / 3 / math.prod(SHAPE))
    assert float(printed.mean()) < -0.03
    assert abs(float(he_uniform()(key, SHAPE).mean())) < 4 * standard_error


@pytest.mark.notes("S2-05")
def test_a_standard_normal_makes_pre_activations_of_variance_n_and_not_one(key):
    first, second = jax.random.split(key)  # a shared key would make input and kernel one draw
    x = np.asarray(normal()(first, (2000, 128)))
    z = x @ np.asarray(normal(1.0)(second, (128, 128)))
    assert z.std() == pytest.approx(math.sqrt(128), rel=0.05)  # 11.3
    assert (x @ np.asarray(lecun_normal()(second, (128, 128)))).std() == pytest.approx(1, rel=0.05)


def test_truncation_is_at_two_standard_deviations_and_corrected(key):
    within = np.sqrt(1 - 4 * math.exp(-2) / math.sqrt(2 * math.pi) / math.erf(2 / math.sqrt(2)))
    assert within == pytest.approx(0.87962566, abs=1e-8)
    draws = np.asarray(truncated_normal(1.0)(key, SHAPE))
    assert 0.999 * 2 / within < np.abs(draws).max() <= 2 / within * (1 + 1e-6)
