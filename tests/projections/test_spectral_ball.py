"""The projection onto the spectral ball: derivatives where singular values are equal, entries of any size."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxopt_notes.projections import project_spectral_ball


def by_numpy(w, radius):
    u, s, vh = np.linalg.svd(w, full_matrices=False)
    return (u * np.minimum(s, radius)) @ vh


@pytest.mark.parametrize("shape", [(4, 3), (2, 4)])
def test_values_and_derivatives(shape, x64):
    """Beside central differences, also at matrices with equal singular values and with zeros among them."""
    rng = np.random.default_rng(0)
    w, dw = rng.normal(size=(2, *shape))
    u, _, vh = np.linalg.svd(w, full_matrices=False)
    equal = (u * np.array([2.0, 2.0, 0.5])[: min(shape)]) @ vh
    zero = (u * np.array([2.0, 0.0, 0.0])[: min(shape)]) @ vh
    points, step = np.stack([w, equal, zero]), 1e-6
    value, change, back = jax.jit(
        jax.vmap(
            lambda w: (
                *jax.jvp(lambda w: project_spectral_ball(w, 1.1), (w,), (jnp.asarray(dw),)),
                jax.grad(lambda w: jnp.sum(project_spectral_ball(w, 1.1) * dw))(w),
            )
        )
    )(points)
    for i, point in enumerate(points):
        np.testing.assert_allclose(value[i], by_numpy(point, 1.1), atol=1e-12)
        numeric = (by_numpy(point + step * dw, 1.1) - by_numpy(point - step * dw, 1.1)) / (2 * step)
        np.testing.assert_allclose(change[i], numeric, atol=1e-8)
        np.testing.assert_allclose(np.sum(back[i] * dw), np.sum(change[i] * dw), rtol=1e-9)


def test_the_radius_has_a_derivative_and_biases_stay(x64):
    tree = {"kernel": jnp.diag(jnp.array([3.0, 0.5])).reshape(2, 1, 2), "bias": jnp.full(2, 9.0)}
    found, slope = jax.jit(
        lambda tree, r: jax.jvp(lambda r: project_spectral_ball(tree, r), (r,), (jnp.ones_like(r),))
    )(tree, jnp.array(1.0))
    np.testing.assert_allclose(found["kernel"].reshape(2, 2), np.diag([1.0, 0.5]), atol=1e-15)
    np.testing.assert_allclose(slope["kernel"].reshape(2, 2), np.diag([1.0, 0.0]), atol=1e-15)
    np.testing.assert_array_equal(found["bias"], 9)


@pytest.mark.parametrize("unit", [1e-25, 1e25])
def test_entries_of_any_size(unit):
    w = np.random.default_rng(1).normal(size=(3, 3)).astype(np.float32)
    found = project_spectral_ball(jnp.asarray(w * np.float32(unit)), unit)
    np.testing.assert_allclose(np.asarray(found) / np.float32(unit), by_numpy(w, 1.0), atol=1e-5)
