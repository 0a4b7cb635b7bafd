"""Steps as long as the leaf's own length times a coefficient."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxopt_notes.optimizers.transforms.trust_ratio import scale_by_trust_ratio


@pytest.mark.parametrize(("min_norm", "c", "eps"), [(0.0, 1.0, 0.0), (0.0, 0.001, 1e-3), (2.0, 0.5, 0.1)])
def test_formula(min_norm, c, eps, x64):
    rng = np.random.default_rng(0)
    w = {"long": 10 * rng.normal(size=(3, 4)), "short": 0.1 * rng.normal(size=3)}
    u = {name: rng.normal(size=leaf.shape) for name, leaf in w.items()}
    found, _ = scale_by_trust_ratio(min_norm, c, eps).update(u, (), w)
    for name in w:
        lengths = [max(np.linalg.norm(leaf[name]), min_norm) for leaf in (w, u)]
        np.testing.assert_allclose(found[name], u[name] * c * lengths[0] / (lengths[1] + eps), rtol=1e-12)


def test_where_a_norm_is_zero_the_step_is_as_it_came_and_has_gradients():
    transform = scale_by_trust_ratio(trust_coefficient=0.1)
    zero, one = jnp.zeros(2), jnp.ones(2)
    np.testing.assert_array_equal(transform.update(one, (), zero)[0], 1)
    np.testing.assert_array_equal(transform.update(zero, (), one)[0], 0)
    for u, w in ((zero, one), (one, zero), (zero, zero)):
        slopes = jax.grad(lambda u, w: jnp.sum(transform.update(u, (), w)[0]), argnums=(0, 1))(u, w)
        assert all(jnp.isfinite(slope).all() for slope in slopes)


@pytest.mark.parametrize("size", [1e-25, 1e25])
def test_huge_and_tiny_steps_have_a_length(size):
    found, _ = scale_by_trust_ratio().update(jnp.full(4, size), (), jnp.full(4, 3.0))
    np.testing.assert_allclose(found, 3.0, rtol=1e-6)
