"""Time measured in horizons."""

import jax
import jax.numpy as jnp
import numpy as np

from jaxopt_notes.schedules.horizon import fraction, horizons, power, whole_horizons


def test_shares_and_counts():
    t = jnp.array([0, 3, 4, 9])
    np.testing.assert_allclose(horizons(t, 4), [0, 0.75, 1, 2.25])
    np.testing.assert_allclose(fraction(t, 4), [0, 0.75, 1, 1])
    np.testing.assert_allclose(whole_horizons(t, 4), [0, 0, 1, 2])
    for count in (horizons, fraction, whole_horizons):
        np.testing.assert_array_equal(count(t, 0), 0)


def test_a_power_has_a_finite_gradient_at_zero():
    gradient = jax.vmap(jax.grad(power, argnums=(0, 1)))
    by_base, by_exponent = gradient(jnp.array([0.0, 0.0, 0.0, 0.25]), jnp.array([0.5, 0.0, 2.0, 0.5]))
    np.testing.assert_allclose(by_base, [0, 0, 0, 1.0])
    np.testing.assert_allclose(by_exponent, [0, 0, 0, 0.5 * np.log(0.25)], rtol=1e-6)
    np.testing.assert_array_equal(power(jnp.zeros(2), jnp.array([0.0, 0.5])), [1, 0])
