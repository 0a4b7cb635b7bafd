"""The Lᵖ norms: the notes' table with its wrong entry corrected, extremes, and gradients."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxopt_notes.penalties import lp_norm
from tests.compiled import grad, value_and_grad

norm = jax.jit(lp_norm)

X = np.array([1.0, -2.0, 0.0, -4.0])


@pytest.mark.notes("X-01", "S4-28")
@pytest.mark.usefixtures("x64")
def test_the_table_of_the_notes():
    """For p = ½ it is (1 + √2 + 2)² = 19.4853; the table's 19.7052 is wrong."""
    norms = [float(norm(X, p)) for p in (0.0, 1.0, 2.0, np.inf, 0.5)]
    np.testing.assert_allclose(norms, [3, 7, np.sqrt(21), 4, (1 + np.sqrt(2) + 2) ** 2], rtol=1e-14)
    assert abs(norms[-1] - 19.7052) > 0.2


@pytest.mark.usefixtures("x64")
@pytest.mark.parametrize("p", [0.5, 1.0, 1.7, 2.0, 3.0, np.inf])
def test_gradient(p):
    """sign(xᵢ)·(|xᵢ|/‖x‖)^(p−1), and 0 where xᵢ is 0."""
    size = np.abs(X)
    if np.isinf(p):
        expected = [0.0, 0.0, 0.0, -1.0]
    else:
        norm = (size**p).sum() ** (1 / p)
        expected = np.where(X == 0, 0, np.sign(X) * (np.where(X == 0, 1, size) / norm) ** (p - 1))
    np.testing.assert_allclose(grad(lp_norm)(jnp.asarray(X), p), expected, rtol=1e-12)


def test_slopes_do_not_depend_on_the_unit():
    """The powers are of quotients by the largest entry, whose own slope would square it."""
    ps = jnp.array([0.5, 1.0, 1.7, 2.0, np.inf])
    slopes = jax.jit(jax.vmap(jax.grad(lp_norm), (None, 0)))
    for unit in (1e-30, 1e-20, 1e20, 1e30):
        np.testing.assert_allclose(
            slopes(jnp.asarray(X * unit, jnp.float32), ps), slopes(jnp.asarray(X, jnp.float32), ps), rtol=1e-5
        )


@pytest.mark.parametrize("p", [0.0, 0.5, 1.0, 2.0, np.inf])
def test_zero_has_norm_and_gradient_zero(p):
    value, gradient = value_and_grad(lp_norm)(jnp.zeros(3), p)
    assert value == 0
    assert gradient.tolist() == [0.0, 0.0, 0.0]
    assert norm(np.zeros(0, np.float32), p) == 0


def test_powers_neither_overflow_nor_vanish():
    for size in (1e30, 1e-30):
        np.testing.assert_allclose(norm(np.float32([3 * size, 4 * size]), 2.0), 5 * size, rtol=1e-6)


def test_p_is_a_number_like_any_other():
    ps = jnp.array([0.0, 0.5, 1.0, 2.0, jnp.inf])
    batch = jax.jit(jax.vmap(lambda p: lp_norm(jnp.asarray(X, jnp.float32), p)))(ps)
    np.testing.assert_allclose(batch, [3, 19.4853, 7, 4.5826, 4], rtol=1e-5)
    slope = grad(lp_norm, argnums=1)(jnp.asarray(X, jnp.float32), 2.0)
    step = (float(norm(np.float32(X), 2.01)) - float(norm(np.float32(X), 1.99))) / 0.02
    np.testing.assert_allclose(slope, step, rtol=1e-3)


def test_a_negative_p_is_named():
    with pytest.raises(ValueError, match=r"lp_norm\(p\) is -1, expected a number in \[0, inf\]"):
        lp_norm(jnp.asarray(X), -1.0)


@pytest.mark.parametrize("p", [0.5, 1.0, 2.0, np.inf])
def test_an_infinite_entry_has_an_infinite_norm(p):
    assert lp_norm(jnp.array([1.0, -jnp.inf, 0.0]), p) == jnp.inf
    assert jnp.isnan(lp_norm(jnp.array([1.0, jnp.nan]), p))


def test_zeros_are_not_counted():
    assert lp_norm(jnp.array([0.0, 0.0, 3.0, -1e-30]), 0.0) == 2
