"""The ambiguity decomposition and the split of uncertainty, beside NumPy."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.special
import scipy.stats

from jaxopt_notes.ensembles import ambiguity, gaussian_uncertainty, uncertainty
from jaxopt_notes.layers import mlp, monte_carlo

RNG = np.random.default_rng(0)


@pytest.mark.notes("S1-68", "S4-48")
@pytest.mark.usefixtures("x64")
def test_the_ambiguity_decomposition_is_exact():
    """For any weights; five members with independent errors have a fifth of the error."""
    o, y, w, s = RNG.normal(size=(5, 30)), RNG.normal(size=30), RNG.uniform(size=5), RNG.uniform(size=30)
    errors = RNG.normal(size=(5, 20_000))
    found, independent = jax.jit(
        lambda o, y, w, s, errors: (ambiguity(o, y, w, s), ambiguity(errors, jnp.zeros(20_000)))
    )(o, y, w, s, errors)
    w, s = w / w.sum(), s / s.sum()
    mean = w @ o
    expected = (s @ (mean - y) ** 2, w @ ((o - y) ** 2 @ s), w @ ((o - mean) ** 2 @ s))
    np.testing.assert_allclose(found, expected, rtol=1e-12)
    np.testing.assert_allclose(found.ensemble, found.members - found.ambiguity, rtol=1e-12)
    assert float(independent.ensemble / independent.members) == pytest.approx(0.2, abs=0.01)


@pytest.mark.usefixtures("x64")
def test_entropies_and_variances():
    logits, w = 3 * RNG.normal(size=(4, 6, 3)), RNG.uniform(size=4)
    means, variances = RNG.normal(size=(4, 6)), RNG.uniform(size=(4, 6))
    found, certain, numbers = jax.jit(
        lambda *a: (uncertainty(a[0], a[3]), uncertainty(1e6 * a[0]), gaussian_uncertainty(*a[1:]))
    )(logits, means, variances, w)
    p, share = scipy.special.softmax(logits, axis=2), w / w.sum()
    total = scipy.stats.entropy(np.tensordot(share, p, 1), axis=1)
    aleatoric = share @ scipy.stats.entropy(p, axis=2)
    np.testing.assert_allclose(found, [total, aleatoric, total - aleatoric], rtol=1e-9)
    np.testing.assert_allclose(certain.aleatoric, 0, atol=1e-12)  # each is sure, of different things
    assert certain.epistemic.max() > 0.5
    mean = share @ means
    spread = share @ (means - mean) ** 2
    np.testing.assert_allclose(numbers, [share @ variances + spread, share @ variances, spread], rtol=1e-12)


def test_passes_with_dropout_are_members():
    """Uncertain about inputs far from all others; without dropout nothing is epistemic."""

    @jax.jit
    def both(x):
        model = mlp([32, 2], dropout=0.5)
        params, state = model.init(jax.random.key(0), x)
        outputs = monte_carlo(model, params, state, x, jax.random.split(jax.random.key(1), 200))
        return uncertainty(outputs), uncertainty(outputs[:1])

    several, one = both(jnp.array([[0.01, 0.0], [3.0, -2.0]]))
    assert several.epistemic[1] > 10 * several.epistemic[0] > 0
    np.testing.assert_allclose(one.epistemic, 0, atol=1e-6)
