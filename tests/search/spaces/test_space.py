"""Distributions against scipy's, choices, validation, and the shape of a space."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

import jaxopt_notes as jn
from jaxopt_notes.search import (
    choice,
    dimensions,
    fill,
    integers,
    log_uniform,
    normal,
    static_choice,
    uniform,
)
from tests.compiled import compiled

ENDS = np.float32([0, 1])
CONTINUOUS = {
    "uniform": (uniform(-2.0, 3.0), stats.uniform(-2, 5)),
    "log_uniform": (log_uniform(1e-6, 1e-3), stats.loguniform(1e-6, 1e-3)),
    "normal": (normal(1.0, 2.0), stats.norm(1, 2)),
}


@pytest.mark.parametrize("name", CONTINUOUS)
@pytest.mark.notes("S1-43")
def test_samples_follow_the_distribution(name, key):
    ours, reference = CONTINUOUS[name]
    sample = compiled(ours.sample)
    draws = np.asarray(sample(key, 4000), float)
    assert stats.kstest(draws, reference.cdf).pvalue > 0.01
    np.testing.assert_array_equal(draws, sample(key, 4000))
    assert (draws != np.asarray(sample(jax.random.key(1), 4000))).any()


@pytest.mark.parametrize("name", CONTINUOUS)
def test_from_unit_is_the_quantile_function(name):
    ours, reference = CONTINUOUS[name]
    u = np.array([0.01, 0.25, 0.5, 0.9, 0.99])
    found = np.asarray(compiled(ours.from_unit)(np.float32([*u, 0, 1])))
    np.testing.assert_allclose(found[:5], reference.ppf(u), rtol=2e-5)
    assert np.isfinite(found).all()


@pytest.mark.notes("S1-55")
def test_logarithms_of_a_log_uniform_are_uniform(key):
    exponents = np.log10(np.asarray(log_uniform(1e-6, 1e-3).sample(key, 4000), float))
    assert stats.kstest(exponents, stats.uniform(-6, 3).cdf).pvalue > 0.01
    np.testing.assert_allclose(np.log10(log_uniform(1e-6, 1e-3).grid(4)), [-6, -5, -4, -3], rtol=1e-5)


@pytest.mark.parametrize(
    ("axis", "values"),
    [
        (integers(3, 8), [3, 4, 5, 6, 7]),
        (choice([0.5, 2.0, 8.0]), [0.5, 2, 8]),
        (static_choice("ab"), [0, 1]),
    ],
)
@pytest.mark.notes("S1-43")
def test_discrete_draws_are_equally_probable_and_in_range(axis, values, key):
    u = np.float32((np.arange(4000) + 0.5) / 4000)
    both = jax.jit(lambda key, u: (axis.sample(key, 4000), axis.from_unit(u), axis.from_unit(ENDS)))
    sampled, quantiles, ends = jax.device_get(both(key, u))
    for draws in (sampled, quantiles):
        found, counts = np.unique(draws, return_counts=True)
        np.testing.assert_array_equal(found, values)  # the upper end of integers is left out
        assert stats.chisquare(counts).pvalue > 0.01
    np.testing.assert_array_equal(ends, [values[0], values[-1]])


def test_integers_beyond_the_resolution_of_a_float(key):
    draws = np.asarray(integers(0, 2**30).sample(key, 1000))
    assert (draws % 2 == 1).any()  # a float32 of this size is even


def test_a_grid_has_the_ends_and_no_value_twice():
    np.testing.assert_array_equal(uniform(-1.0, 1.0).grid(5), [-1, -0.5, 0, 0.5, 1])
    np.testing.assert_array_equal(uniform(-1.0, 1.0).grid(1), [0])
    np.testing.assert_array_equal(integers(0, 10).grid(2), [0, 9])
    np.testing.assert_array_equal(integers(0, 4).grid(9), [0, 1, 2, 3])
    np.testing.assert_array_equal(choice([4, 8, 16, 32]).grid(2), [4, 8, 16, 32])
    np.testing.assert_allclose(normal(0.0, 1.0).grid(3), stats.norm.ppf([1 / 6, 1 / 2, 5 / 6]), atol=1e-6)


def test_first_draws_stay_as_n_grows(key):
    for axis in (uniform(0.0, 1.0), integers(0, 9), choice([1.0, 2.0])):
        few, more = jax.jit(lambda key, axis=axis: (axis.sample(key, 4), axis.sample(key, 9)))(key)
        np.testing.assert_array_equal(few, np.asarray(more)[:4])


def test_bounds_are_data(key):
    draws = jax.jit(jax.vmap(lambda low: uniform(low, low + 1.0).sample(key, 3)))(np.float32([0, 10]))
    draws = np.asarray(draws)
    np.testing.assert_allclose(draws[1] - draws[0], 10.0, rtol=1e-5)


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (
            lambda: uniform(2.0, 1.0),
            ValueError,
            r"uniform\(low, high\) is \(2.0, 1.0\), expected low <= high",
        ),
        (lambda: uniform(0.0, np.inf), ValueError, r"uniform\(high\) is inf"),
        (lambda: log_uniform(0.0, 1.0), ValueError, r"log_uniform\(low\) is 0, .* use uniform"),
        (lambda: log_uniform(1e-1, 1e-3), ValueError, r"log_uniform\(low, high\) is \(0.1, 0.001\)"),
        (lambda: normal(0.0, -1.0), ValueError, r"normal\(stddev\) is -1"),
        (lambda: integers(3, 3), ValueError, r"integers\(low, high\) is \(3, 3\).*high is left out"),
        (lambda: integers(0.5, 3), TypeError, r"integers\(low\) is 0.5"),
        (lambda: choice([]), ValueError, r"choice\(values\) is \[\]"),
        (lambda: choice(["a"]), TypeError, "static_choice"),
        (lambda: choice([[1.0, 2.0]]), ValueError, "flat list"),
        (lambda: static_choice([]), ValueError, r"static_choice\(values\) is empty"),
        (lambda: static_choice([[1]]), TypeError, "a tuple instead of a list"),
    ],
)
def test_errors_name_everything(make, error, message):
    with pytest.raises(error, match=message):
        make()


def test_a_space_nests_and_keeps_constants():
    space = {
        "net": {"width": static_choice([64, 128]), "hidden": [8, 8]},
        "b": uniform(0.0, 1.0),
        "a": "adam",
    }
    assert list(dimensions(space)) == ["b", "net/width"]
    filled = fill(space, {"b": 0.25, "net/width": np.int32(1)})
    assert filled == {"net": {"width": 128, "hidden": [8, 8]}, "b": 0.25, "a": "adam"}
    with pytest.raises(TypeError, match="'net/width' is a static choice and its position is traced"):
        jax.jit(lambda i: fill(space, {"b": 0.25, "net/width": i})["b"])(1)


def test_the_ends_of_the_unit_interval_are_the_ends_of_the_range():
    """Also where the rounded exponential of a logarithm is beyond; whole numbers stop before their end."""
    rng = np.random.default_rng(0)
    low = jnp.asarray(10 ** rng.uniform(-6, 0, 500), jnp.float32)
    high = low * jnp.asarray(10 ** rng.uniform(0, 6, 500), jnp.float32)
    for u in (0.0, 1e-7, 1 - 1e-7, 1.0):
        found = jax.vmap(lambda low, high, u=u: log_uniform(low, high).from_unit(jnp.float32(u)))(low, high)
        assert ((found >= low) & (found <= high)).all()
    np.testing.assert_array_equal(
        integers(2, 5).from_unit(jnp.array([0.0, 0.33, 0.34, 0.67, 1.0])), [2, 2, 3, 4, 4]
    )
    np.testing.assert_array_equal(uniform(-2.0, 3.0).from_unit(jnp.array([0.0, 1.0])), [-2, 3])
    np.testing.assert_array_equal(
        choice([5.0, 7.0, 1.0]).from_unit(jnp.array([0.0, 0.32, 0.34, 0.99, 1.0])), [5, 5, 7, 1, 1]
    )


def test_grids_of_a_normal_and_of_few_whole_numbers():
    """A normal at the middles of equal shares; never a whole number twice."""
    np.testing.assert_allclose(normal(1.0, 2.0).grid(3), stats.norm(1, 2).ppf([1 / 6, 0.5, 5 / 6]), rtol=1e-5)
    np.testing.assert_array_equal(integers(2, 5).grid(9), [2, 3, 4])
    np.testing.assert_array_equal(integers(0, 100).grid(3), [0, 50, 99])
    np.testing.assert_array_equal(uniform(2.0, 4.0).grid(1), [3])


def test_a_distribution_that_is_called_names_the_initializer(key):
    for distribution in (jn.normal(0.0, 1.0), jn.uniform(0.0, 1.0), jn.log_uniform(0.1, 1.0)):
        with pytest.raises(TypeError, match=r"jn\.initializers\.normal.*sample\(key, n\)"):
            distribution(key, (2, 3))
        with pytest.raises(TypeError, match=r"adam\(learning_rate\) is .*, expected a number"):
            jn.adam(distribution)
        with pytest.raises(TypeError, match=r"dense\(kernel_init\) is .*, expected an initializer"):
            jn.dense(2, kernel_init=distribution)
