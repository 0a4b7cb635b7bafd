"""Every transform against scikit-learn, back and forth, with constant columns, and fitted by weights.

A weight of 0 is a sample that is not there, and 2 one that is there twice.
"""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import sklearn.decomposition
import sklearn.preprocessing

from jaxopt_notes.data import (
    fit_channel_mean,
    fit_mean_image,
    fit_min_max,
    fit_pca,
    fit_standardizer,
    fit_whitening,
    kfold_indices,
)

RNG = np.random.default_rng(0)
TRAIN = RNG.normal(size=(40, 5)) @ RNG.normal(size=(5, 5)) + 3
TRAIN[:, 3] = 0.1  # constant
TEST = RNG.normal(size=(7, 5))
WEIGHTS = RNG.integers(0, 3, size=40).astype(float)
FITS = {
    "standard": fit_standardizer,
    "robust": lambda x, weights=None: fit_standardizer(x, robust=True, weights=weights),
    "min-max": lambda x, weights=None: fit_min_max(x, -1.0, 2.0, weights=weights),
    "pca": lambda x, weights=None: fit_pca(x, 4, weights=weights),
    "whitened": lambda x, weights=None: fit_whitening(x, "pca", 0.0, weights=weights),
    "zca": lambda x, weights=None: fit_whitening(x, "zca", 1e-3, weights=weights),
}


@pytest.fixture(scope="module")
def fitted():
    """One program for all: fitted, to repeated rows too, by weights, and applied."""
    with jax.enable_x64(True):
        spoilt = np.where(WEIGHTS[:, None] == 0, np.nan, TRAIN)

        @jax.jit
        def all_of(train, repeated, spoilt, weights):
            def used(fitted):
                z = fitted.apply(TEST)
                return z, fitted.inverse(z), fitted

            return {
                name: (used(fit(train)), used(fit(repeated)), used(fit(spoilt, weights=weights)))
                for name, fit in FITS.items()
            }

        return jax.tree.map(
            np.asarray, all_of(TRAIN, np.repeat(TRAIN, WEIGHTS.astype(int), axis=0), spoilt, WEIGHTS)
        )


@pytest.mark.notes("S1-22", "S1-23", "S4-54")
def test_they_are_those_of_scikit_learn(fitted):
    theirs = {
        "standard": sklearn.preprocessing.StandardScaler(),
        "robust": sklearn.preprocessing.RobustScaler(),
        "min-max": sklearn.preprocessing.MinMaxScaler((-1, 2)),
        "pca": sklearn.decomposition.PCA(4),
    }
    for name, scaler in theirs.items():
        expected, found = scaler.fit(TRAIN).transform(TEST), fitted[name][0][0]
        if name == "pca":  # up to signs
            np.testing.assert_allclose(fitted[name][0][2].variances, scaler.explained_variance_, rtol=1e-8)
            expected = expected * np.sign(np.sum(expected * found, axis=0))
        np.testing.assert_allclose(found, expected, rtol=1e-8, atol=1e-9, err_msg=name)
    pca = fitted["pca"][0][2]
    np.testing.assert_allclose(pca.explained, theirs["pca"].explained_variance_ratio_, rtol=1e-6)
    assert (pca.axes[np.arange(4), np.abs(pca.axes).argmax(axis=1)] > 0).all()


@pytest.mark.notes("S4-55")
def test_the_inverse_leads_back(fitted):
    """Affine maps, and so exactly; the components of PCA know nothing of the constant column."""
    for name, ((_, back, _), *_) in fitted.items():
        columns = slice(None) if name in ("standard", "robust", "min-max", "zca") else [0, 1, 2, 4]
        np.testing.assert_allclose(back[:, columns], TEST[:, columns], rtol=1e-7, atol=1e-7, err_msg=name)
    for _, _, transform in (uses[0] for uses in fitted.values()):  # a test set may be empty
        with jax.enable_x64(True):
            back = jax.eval_shape(lambda fitted, x: fitted.inverse(fitted.apply(x)), transform, TEST[:0])
        assert back.shape == (0, 5)


@pytest.mark.notes("S0-08")
def test_weights_leave_out_and_repeat(fitted):
    for name, (_, repeated, weighted) in fitted.items():
        for one, other in zip(repeated[:2], weighted[:2], strict=True):
            np.testing.assert_allclose(one, other, rtol=1e-6, atol=1e-8, err_msg=name)


@pytest.mark.notes("S1-22", "S1-23")
@pytest.mark.usefixtures("x64")
def test_whitened_data_are_uncorrelated_and_zca_changes_them_least():
    mixing = RNG.normal(size=(12, 12))
    images = (RNG.normal(size=(300, 12)) @ mixing).reshape(300, 2, 2, 3)

    @jax.jit
    def whitened(x):
        pca, zca = fit_whitening(x, "pca", 0.0), fit_whitening(x, "zca", 0.0)
        both = pca.apply(x), zca.apply(x)
        return *both, pca.inverse(both[0]), zca.inverse(both[1]), fit_pca(x).apply(x)

    pca, zca, *back, components = map(np.asarray, whitened(images))
    assert zca.shape == images.shape
    flat, rows = images.reshape(300, -1), zca.reshape(300, -1)
    for z in (pca, rows):
        np.testing.assert_allclose(np.cov(z.T), np.eye(12), atol=1e-8)
    variances = np.linalg.eigvalsh(np.cov(flat.T))[::-1]
    np.testing.assert_allclose(np.cov(components.T), np.diag(variances), atol=1e-8 * variances[0])
    for x in back:
        np.testing.assert_allclose(x, images, rtol=1e-8, atol=1e-8)
    # The symmetric root of the inverse covariance; any further rotation is farther away.
    root = np.cov(rows.T, (flat - flat.mean(axis=0)).T)[:12, 12:]
    np.testing.assert_allclose(root, root.T, atol=1e-8)
    rotation = np.linalg.qr(RNG.normal(size=(12, 12)))[0]
    centred = flat - flat.mean(axis=0)
    assert np.sum((rows - centred) ** 2) < np.sum((rows @ rotation - centred) ** 2)
    assert np.sum((rows - centred) ** 2) < np.sum((pca - centred) ** 2)


@pytest.mark.notes("S4-54")
def test_one_outlier_squeezes_all_others_under_min_max():
    x = np.append(RNG.uniform(size=200), 1000.0)[:, None]
    both = jax.jit(lambda x: (fit_min_max(x).apply(x), fit_standardizer(x, robust=True).apply(x)))
    z, robust = (np.asarray(found) for found in both(x))
    z, robust = z[:, 0], robust[:-1]
    assert np.ptp(z[:-1]) < 0.01
    assert (z[-1], z.min()) == (1.0, 0.0)
    assert np.ptp(robust) > 1


@pytest.mark.notes("S1-24")
def test_mean_image_and_channel_mean():
    x = RNG.integers(0, 255, size=(6, 4, 5, 3)).astype(np.uint8)
    weights = np.array([1, 1, 0, 1, 0, 2.0])
    larger = RNG.normal(size=(2, 7, 7, 3)).astype(np.float32)

    @jax.jit
    def fitted(x, larger):
        of_image, of_channel = fit_mean_image(x, weights=weights), fit_channel_mean(x)
        less = of_channel.apply(larger)
        standard = fit_standardizer(larger, per="channel").apply(larger)
        return of_image, of_channel, less, of_channel.inverse(less), standard

    of_image, of_channel, less, back, z = fitted(x, larger)
    np.testing.assert_allclose(of_image.mean, np.average(x, axis=0, weights=weights), rtol=1e-6)
    np.testing.assert_allclose(of_channel.mean, x.reshape(-1, 3).mean(axis=0), rtol=1e-6)
    np.testing.assert_allclose(less, larger - np.asarray(of_channel.mean), rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(back, larger, atol=1e-4)
    np.testing.assert_allclose(np.asarray(z).std(axis=(0, 1, 2)), 1, rtol=1e-4)
    with pytest.raises(ValueError, match=r"weights\) has shape \(5,\), expected \(6,\)"):
        fit_mean_image(x, weights=weights[1:])
    with pytest.raises(ValueError, match=r"fit_pca\(components\) is 61, expected at most d = 60"):
        fit_pca(x, 61)
    with pytest.raises(ValueError, match=r"PCA was given shape \(4, 5, 3\), .*x\[None\]"):
        jax.eval_shape(lambda x: fit_pca(x).apply(x[0]), jnp.asarray(x))


@pytest.mark.notes("S0-08", "S1-26")
@pytest.mark.usefixtures("x64")
def test_each_fold_has_a_transform_of_its_own_training_set(key):
    """All folds in one program, by weights of samples; the same as scikit-learn on the samples of a fold."""
    folds = kfold_indices(key, 40, 3)

    @jax.jit
    def fitted():
        train, _ = folds.weights(40)
        robust = jax.vmap(lambda w: fit_standardizer(TRAIN, robust=True, weights=w).apply(TEST))(train)
        return robust, jax.vmap(lambda w: fit_pca(TRAIN, 2, weights=w).apply(TEST))(train)

    robust, components = map(np.asarray, fitted())
    for i in range(3):
        rows = np.asarray(folds.train[i])[np.asarray(folds.train_weights[i]) == 1]
        expected = sklearn.preprocessing.RobustScaler().fit(TRAIN[rows]).transform(TEST)
        np.testing.assert_allclose(robust[i], expected, rtol=1e-8, atol=1e-9)
        expected = sklearn.decomposition.PCA(2).fit(TRAIN[rows]).transform(TEST)
        expected = expected * np.sign(np.sum(expected * components[i], axis=0))
        np.testing.assert_allclose(components[i], expected, rtol=1e-7, atol=1e-9)


def test_shares_count_by_their_proportions():
    """Equal weights of any size are no weights; NumPy's quantiles and variances say what that is."""

    @jax.jit
    def fits(weights):
        robust = fit_standardizer(TRAIN, robust=True, weights=weights)
        return robust.mean, robust.scale, fit_pca(TRAIN, weights=weights).variances

    low, middle, high = np.percentile(TRAIN, [25, 50, 75], axis=0)
    variances = np.linalg.eigvalsh(np.cov(TRAIN.T))[::-1]
    for share in (1 / 40, 0.04, 0.7):
        centre, scale, found = fits(np.full(40, share, np.float32))
        np.testing.assert_allclose(centre, middle, rtol=1e-5)
        np.testing.assert_allclose(scale, np.where(high > low, high - low, 1), rtol=1e-4)
        np.testing.assert_allclose(found, variances, rtol=1e-3, atol=1e-4)


def test_inputs_in_any_unit():
    """The statistics square what they are given."""

    @jax.jit
    def transformed(x):
        pca = fit_pca(x)
        return fit_standardizer(x).apply(x), pca.apply(x), pca.explained, fit_whitening(x, eps=0.0).apply(x)

    plain = TRAIN[:, [0, 1, 2, 4]]
    apart = plain - plain.mean(0)
    _, s, vh = np.linalg.svd(apart, full_matrices=False)
    vh *= np.sign(np.take_along_axis(vh, abs(vh).argmax(1)[:, None], 1))
    for unit in (1e-30, 1e-20, 1e20, 1e30):
        standard, components, explained, white = transformed(jnp.asarray(plain * unit, jnp.float32))
        np.testing.assert_allclose(standard, apart / plain.std(0), atol=1e-4)
        np.testing.assert_allclose(np.asarray(components, np.float64) / unit, apart @ vh.T, atol=1e-4)
        np.testing.assert_allclose(explained, s**2 / (s**2).sum(), rtol=1e-3)
        np.testing.assert_allclose(np.cov(np.asarray(white).T), np.eye(4), atol=1e-2)
