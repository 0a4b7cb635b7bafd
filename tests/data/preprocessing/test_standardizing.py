"""Standardization: moments, constant columns, scikit-learn, and statistics of the training set only."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import sklearn.preprocessing

from jaxopt_notes.data import Standardizer, digits, fit_min_max, fit_standardizer, split
from tests.compiled import compiled

fit_standardizer = compiled(fit_standardizer)
split = compiled(split)

RNG = np.random.default_rng(0)


@pytest.mark.notes("S1-20", "S1-21")
def test_digits_have_mean_0_and_deviation_1_and_no_nan():
    """Three of the 64 pixels are 0 in every image."""
    x, _ = digits()
    z = np.asarray(fit_standardizer(x).apply(x), np.float64)
    constant = np.asarray(x).std(axis=0) == 0
    assert constant.sum() == 3
    np.testing.assert_array_equal(z[:, constant], 0)
    np.testing.assert_allclose(z.mean(axis=0), 0, atol=1e-5)
    np.testing.assert_allclose(z[:, ~constant].std(axis=0), 1, rtol=1e-5)


@pytest.mark.notes("S1-21")
@pytest.mark.parametrize("robust", [False, True])
@pytest.mark.parametrize("value", [0.0, 0.1, -1e7])
def test_a_constant_column_becomes_zero(robust, value):
    """0.1 has a mean that differs from it by a rounding error, which must not be divided by another."""
    x = jnp.full((1001, 2), value)
    np.testing.assert_array_equal(fit_standardizer(x, robust=robust).apply(x), 0)


@pytest.mark.notes("S4-53")
@pytest.mark.usefixtures("x64")
def test_the_shape_of_a_distribution_stays():
    """Mean 0 and deviation 1, but as skew as before: not a normal distribution."""
    x = RNG.exponential(size=(2000, 1))
    z = np.asarray(fit_standardizer(x).apply(x))
    np.testing.assert_allclose([z.mean(), z.std()], [0, 1], atol=1e-12)
    skewness = np.mean(((x - x.mean()) / x.std()) ** 3)
    assert skewness > 1
    np.testing.assert_allclose(np.mean(z**3), skewness, rtol=1e-12)


@pytest.mark.notes("S4-52")
@pytest.mark.usefixtures("x64")
def test_min_max_is_that_of_its_data_and_fitted_anew_for_others():
    x = np.c_[RNG.normal(size=(20, 2)), np.full(20, 7.0)]
    more = np.r_[x, [[9.0, -9.0, 7.0]]]
    first, again = fit_min_max(x), fit_min_max(more)
    z = np.asarray(first.apply(x))
    np.testing.assert_allclose(z[:, :2], (x[:, :2] - x[:, :2].min(0)) / np.ptp(x[:, :2], axis=0), rtol=1e-12)
    assert np.isfinite(z).all()  # the constant column too
    np.testing.assert_allclose(first.inverse(z), x, rtol=1e-12)
    outside = np.asarray(first.apply(more))[-1]
    assert (outside[0], outside[1]) > (1, -np.inf)
    assert outside[1] < 0
    assert np.asarray(again.apply(more)).max() == 1


@pytest.mark.usefixtures("x64")
@pytest.mark.parametrize("robust", [False, True])
def test_agrees_with_scikit_learn(robust):
    train, test = RNG.normal(3, 2, size=(50, 4)), RNG.normal(size=(9, 4))
    scaler = sklearn.preprocessing.RobustScaler() if robust else sklearn.preprocessing.StandardScaler()
    standardizer = fit_standardizer(train, robust=robust)
    np.testing.assert_allclose(standardizer.apply(test), scaler.fit(train).transform(test), rtol=1e-12)
    np.testing.assert_allclose(standardizer.inverse(standardizer.apply(test)), test, rtol=1e-12)


@pytest.mark.notes("S4-53")
@pytest.mark.usefixtures("x64")
def test_an_outlier_does_not_move_robust_statistics():
    x = RNG.normal(size=(101, 1))
    spoilt = x.copy()
    spoilt[np.argmax(x)] = 1e6
    for robust, moved in [(True, False), (False, True)]:
        before, after = fit_standardizer(x, robust=robust), fit_standardizer(spoilt, robust=robust)
        assert np.allclose(before.scale, after.scale) != moved


@pytest.mark.notes("S1-26")
def test_the_test_set_never_enters(key):
    """Whatever becomes of validation and test samples, the transform is the same."""
    x, y = digits()
    number = jnp.arange(len(y))
    train, validation, test = split(key, ((x, number), y))
    elsewhere = jnp.concatenate([validation[0][1], test[0][1]])
    spoilt = split(key, ((x.at[elsewhere].add(1000.0), number), y))
    one, two = fit_standardizer(train[0][0]), fit_standardizer(spoilt.train[0][0])
    np.testing.assert_array_equal(one.mean, two.mean)
    np.testing.assert_array_equal(one.scale, two.scale)
    np.testing.assert_allclose(one.mean, np.asarray(train[0][0]).mean(axis=0), rtol=1e-5, atol=1e-6)
    assert abs(spoilt.test[0][0].mean() - test[0][0].mean()) > 900


def test_large_offsets_keep_their_digits():
    x = 10_000 + RNG.normal(size=(500, 2))
    expected = (x - x.mean(axis=0)) / x.std(axis=0)
    np.testing.assert_allclose(fit_standardizer(np.float32(x)).apply(np.float32(x)), expected, atol=5e-3)


def test_images_dtypes_and_trees():
    x = jnp.asarray(RNG.integers(0, 255, (20, 4, 4, 3)), jnp.uint8)
    standardizer = fit_standardizer(x)
    assert standardizer.mean.shape == (4, 4, 3)
    assert standardizer.apply(x).dtype == jnp.float32
    assert standardizer.apply(x.astype(jnp.bfloat16)).dtype == jnp.bfloat16
    assert isinstance(jax.tree.map(jnp.copy, standardizer), Standardizer)
    np.testing.assert_allclose(jax.jit(fit_standardizer)(x).mean, standardizer.mean, rtol=1e-6)
    with pytest.raises(ValueError, match=r"given shape \(4, 4, 3\), .* for a single sample pass x\[None\]"):
        standardizer.apply(x[0])
    with pytest.raises(ValueError, match=r"has shape \(0, 3\), expected .* n ≥ 1"):
        fit_standardizer(jnp.zeros((0, 3)))


@pytest.mark.notes("S4-79")
def test_small_features_beside_large_ones_are_not_swallowed():
    """In float32, 10⁸ + 1 is 10⁸: a unit that sums both never sees the small one, unless they are scaled."""
    x = np.array([[1e8, 1.0], [1e8, 3.0], [1.2e8, 1.0], [1.2e8, 3.0]], np.float32)
    assert x[0].sum() == x[1].sum()
    z = np.asarray(fit_standardizer(x).apply(x))
    np.testing.assert_allclose(z, [[-1, -1], [-1, 1], [1, -1], [1, 1]], rtol=1e-6)


@pytest.mark.notes("S1-25")
def test_centred_inputs_make_the_loss_less_sensitive_to_the_weights():
    """Small changes of the weights, not of the data: a line that separates two classes is turned by 3°."""
    turn = np.deg2rad(3.0)
    rotation = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    wrong = {"as they are": [], "centred": []}
    for seed in range(20):
        rng = np.random.default_rng(seed)
        y = rng.choice([-1.0, 1.0], size=400)
        x = rng.normal(size=(400, 2)) + np.outer(y, [3.0, 0.0]) + [40.0, 40.0]
        for name, inputs in (("as they are", x), ("centred", np.asarray(fit_standardizer(x).apply(x)))):
            design = np.column_stack([inputs, np.ones(400)])
            *w, bias = np.linalg.lstsq(design, y, rcond=None)[0]
            wrong[name].append(np.mean(np.sign(inputs @ rotation @ w + bias) != y))
    assert np.median(wrong["centred"]) < 0.01
    assert np.median(wrong["as they are"]) > 5 * np.median(wrong["centred"]) + 0.02
