import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxopt_notes.diagnostics import (
    CRITICAL_POINTS,
    classify_critical_point,
    hessian_spectrum,
    hessian_trace,
    hessian_vector_product,
    largest_stable_rate,
)

RNG = np.random.default_rng(0)
X, Y = RNG.normal(size=(6, 2)).astype(np.float32), RNG.normal(size=(6, 1)).astype(np.float32)
NET = {
    "count": np.int32(3),
    "in": RNG.normal(size=(2, 3)).astype(np.float32),
    "out": RNG.normal(size=(3, 1)).astype(np.float32),
}


def net_loss(params, x, y):
    return jnp.mean((jnp.tanh(x @ params["in"]) @ params["out"] - y) ** 2)


def dense_hessian():
    """By central differences of a hand-derived gradient in float64."""
    x, y = X.astype(float), Y.astype(float)

    def gradient(flat):
        kernel, out = flat[:6].reshape(2, 3), flat[6:].reshape(3, 1)
        h = np.tanh(x @ kernel)
        residual = 2 * (h @ out - y) / len(x)
        return np.concatenate([(x.T @ (residual @ out.T * (1 - h * h))).ravel(), (h.T @ residual).ravel()])

    here = np.concatenate([NET["in"].ravel(), NET["out"].ravel()]).astype(float)
    return np.stack([(gradient(here + e) - gradient(here - e)) / 2e-5 for e in 1e-5 * np.eye(9)])


@pytest.mark.notes("S3-14", "S3-17")
def test_a_network_against_its_dense_hessian():
    v = {"count": None, "in": np.ones((2, 3), np.float32), "out": np.full((3, 1), -2.0, np.float32)}
    key = jax.random.key(0)

    @jax.jit
    def measured(params):
        whole = hessian_spectrum(net_loss, params, key, X, Y)
        part = hessian_spectrum(net_loss, params, key, X, Y, steps=4)
        return hessian_vector_product(net_loss, params, v, X, Y), whole, part

    product, whole, part = jax.tree.map(np.asarray, measured(NET))
    hessian = dense_hessian()
    values = np.linalg.eigvalsh((hessian + hessian.T) / 2)
    expected = hessian @ np.array([1.0] * 6 + [-2.0] * 3)
    np.testing.assert_allclose(np.append(product["in"], product["out"]), expected, atol=1e-5)
    assert product["count"] is None
    np.testing.assert_allclose(whole.values, values, atol=1e-5)
    assert values[0] < -1e-3  # the loss of a network is not convex
    # Four products: every estimate is as near to an eigenvalue as it says, and none lies outside of them.
    away = np.abs(part.values[:, None] - values).min(axis=1)
    assert (away <= part.errors + 1e-5).all()
    assert part.errors.max() > 1e-3
    assert values[0] - 1e-5 <= part.smallest
    assert part.largest <= values[-1] + 1e-5
    # The same start: its moments up to the seventh are those of the whole spectrum.
    for power in range(8):
        moments = [np.sum(s.weights * s.values**power) for s in (part, whole)]
        np.testing.assert_allclose(*moments, rtol=1e-3, atol=1e-4)


@pytest.mark.full
def test_the_trace_is_as_exact_as_it_says():
    hessian = dense_hessian()
    trace, error = jax.jit(lambda key: hessian_trace(net_loss, NET, key, X, Y, probes=400))(jax.random.key(0))
    off = hessian - np.diag(np.diag(hessian))
    np.testing.assert_allclose(error, np.sqrt(2 * np.sum(off**2) / 400), rtol=0.25)
    assert abs(trace - np.trace(hessian)) < 4 * error


@pytest.mark.notes("S3-06", "S3-07", "S3-12", "S3-13", "S4-57")
def test_spectra_that_are_known():
    """Repeated and zero eigenvalues too, a sweep over the weight decay."""
    given = np.array([0.0, 0.0, 1.0, 1.0, 1.0, 7.0], np.float32)
    basis = np.linalg.qr(RNG.normal(size=(6, 6)))[0].astype(np.float32)
    matrix = basis * given @ basis.T
    key = jax.random.key(1)

    def loss(x, decay):
        return x @ matrix @ x / 2 + decay / 2 * jnp.sum(x**2)

    @jax.jit
    def measured():
        decays = jnp.array([0.0, 0.5])
        spectra = jax.vmap(lambda decay: hessian_spectrum(loss, jnp.ones(6), key, decay))(decays)
        slopes = np.array([[3.0, 600.0], [0.5, 0.55], [1.0, 0.0], [1.0, 0.0]], np.float32)
        signs = np.array([1.0, 1.0, 1.0, -1.0], np.float32)
        rates = jax.vmap(
            lambda a, sign: largest_stable_rate(lambda x: sign * (a @ x) ** 2, jnp.zeros(2), key)
        )(slopes, signs)
        return spectra, spectra.density(jnp.linspace(-4, 11, 31), 0.5), rates

    spectra, density, rates = jax.tree.map(np.asarray, measured())
    np.testing.assert_allclose(spectra.values[0], given, atol=1e-5)
    np.testing.assert_allclose(spectra.values[1], given + 0.5, atol=1e-5)
    np.testing.assert_allclose(spectra.weights.sum(axis=1), 1, rtol=1e-5)
    starts = [(v, w / 2) for s in zip(*spectra[:2], strict=True) for v, w in zip(*s, strict=True)]
    z = (np.linspace(-4, 11, 31)[:, None] - [v for v, _ in starts]) / 0.5
    expected = np.exp(-z * z / 2) / (0.5 * np.sqrt(2 * np.pi)) @ [w for _, w in starts]
    np.testing.assert_allclose(density, expected, atol=1e-5)
    # The house price of the notes, one sample: rank one, raw and scaled. Then x² and −x².
    np.testing.assert_allclose(rates[:3], [1 / (9 + 360000), 1 / 0.5525, 1], rtol=1e-5)
    assert rates[3] == np.inf


@pytest.mark.notes("S4-12")
def test_critical_points_by_the_signs_of_their_curvatures():
    signs = np.array(
        [[1.0, 2.0, 3.0], [-1.0, -2.0, -3.0], [1.0, 0.0, -1.0], [1.0, 2.0, 0.0], [0.0, 0.0, 0.0]]
    )

    def loss(x, a):
        return jnp.sum(a * x**2) + jnp.sum(x**4)

    kinds = jax.jit(
        lambda at: jax.vmap(lambda a: classify_critical_point(loss, at, jax.random.key(0), a))(signs)
    )
    labels = [CRITICAL_POINTS[i] for i in np.asarray(kinds(np.zeros(3, np.float32)).kind)]
    assert labels == ["minimum", "maximum", "saddle", "degenerate", "degenerate"]
    away = kinds(np.full(3, 0.1, np.float32))
    assert not np.asarray(away.kind).any()
    slope = 0.2 * np.asarray(signs) + 0.004
    np.testing.assert_allclose(away.gradient_norm, np.linalg.norm(slope, axis=1), rtol=1e-5)


def test_errors_say_what_is_wrong():
    key = jax.random.key(0)
    with pytest.raises(ValueError, match=r"hessian_trace\(probes\)"):
        hessian_trace(jnp.sum, jnp.ones(2), key, probes=1)
    with pytest.raises(ValueError, match="has no floating-point leaf"):
        hessian_spectrum(jnp.sum, np.arange(3), key)
    with pytest.raises(ValueError, match=r"classify_critical_point\(tolerance\)"):
        classify_critical_point(jnp.sum, jnp.ones(2), key, tolerance=-1.0)
