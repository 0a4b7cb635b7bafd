"""Hints to the compiler change no number, and stand under every transformation."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxopt_notes.optimizers.core.leafwise import number_where
from jaxopt_notes.optimizers.core.xla_cpu import _in_one_pass, _one_by_one, after, anew, plain_norms, sum_as


@pytest.mark.parametrize("dtype", [float, complex])
def test_plain_norms_and_their_gradients(dtype, x64):
    rng = np.random.default_rng(0)
    x, y = (rng.normal(size=(3, 4, 2)).view(complex)[..., 0] for _ in range(2))
    x, y = (z if dtype is complex else z.real for z in (x, y))
    np.testing.assert_allclose(plain_norms(x, y), [np.linalg.norm(x), np.linalg.norm(y)], rtol=1e-12)
    batched = jax.vmap(plain_norms)(x, y)
    np.testing.assert_allclose(batched, [np.linalg.norm(z, axis=1) for z in (x, y)], rtol=1e-12)
    slopes = jax.grad(lambda x, y: sum(plain_norms(x, y)), argnums=(0, 1))(x, 0 * y)
    np.testing.assert_allclose(slopes[0], np.conj(x) / np.linalg.norm(x), rtol=1e-12)
    np.testing.assert_array_equal(slopes[1], 0)


@pytest.mark.parametrize("transform", [lambda f: f, jax.jit, jax.vmap], ids=["plain", "jit", "vmap"])
def test_order_and_repetition_change_nothing(transform):
    x, y = jnp.array([1.0, -2.0]), jnp.array([3.0, 0.0])
    jax.tree.map(np.testing.assert_array_equal, transform(anew)(x, y), (x, y))
    np.testing.assert_array_equal(transform(after)(y, x), x)
    total = transform(lambda x, y: sum_as(jnp.int8, x, y))(x, y)
    assert total.dtype == jnp.int8
    np.testing.assert_array_equal(total, [4, -2])


def test_a_mask_reaches_a_formula_as_numbers():
    params = {"kernel": jnp.ones((2, 2)), "bias": jnp.ones(2)}
    assert number_where(None, 0.5, params).tree == {"kernel": 0.5, "bias": 0.5}
    assert number_where(lambda _: {"kernel": True, "bias": False}, 0.5, params).tree == {
        "kernel": 0.5,
        "bias": 0.0,
    }


@pytest.mark.parametrize("form", [_in_one_pass, _one_by_one])
@pytest.mark.parametrize("dtype", [float, complex])
def test_every_form_of_the_sums_of_squares(form, dtype, x64):
    """One is for the CPU, the other one for other devices; here both run on any."""
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(2, 3, 4)).astype(dtype)
    x = x * (1 + 2j) if dtype is complex else x
    np.testing.assert_allclose(
        form(jnp.asarray(x), jnp.asarray(y)), [np.linalg.norm(x) ** 2, np.linalg.norm(y) ** 2]
    )
