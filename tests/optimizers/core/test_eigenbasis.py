"""Bases of eigenvectors: what they are, and that their derivatives are right where there are any."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxopt_notes.optimizers.core.eigenbasis import eigenvectors, followed, orthogonalized

RNG = np.random.default_rng(0)
TANGENT = RNG.normal(size=(4, 4))
FULL = RNG.normal(size=(4, 4))


def symmetric(a):
    return a + a.T


@pytest.mark.parametrize(
    ("function", "at", "along"),
    [(eigenvectors, symmetric(FULL), symmetric(TANGENT)), (orthogonalized, FULL, TANGENT)],
    ids=["eigenvectors", "orthogonalized"],
)
def test_derivatives_are_differences(function, at, along, x64):
    """Of what does not depend on signs: the products of each column with itself."""

    def projections(a):
        q = function(a)
        return jnp.einsum("ik,jk->kij", q, q)

    h = 1e-6

    @jax.jit
    def both(at, along):
        differences = (projections(at + h * along) - projections(at - h * along)) / (2 * h)
        return jax.jvp(projections, (at,), (along,))[1], differences

    found, expected = both(at, along)
    np.testing.assert_allclose(found, expected, atol=1e-7)


@pytest.mark.parametrize("a", [np.zeros((3, 3)), np.eye(3), np.diag([1.0, 1.0, 0.0]), np.ones((3, 3))])
@pytest.mark.parametrize("function", [eigenvectors, orthogonalized])
def test_nothing_is_infinite_where_nothing_determines_the_basis(function, a, x64):
    tangent = symmetric(TANGENT[:3, :3])
    q, dq = map(np.asarray, jax.jit(lambda a: jax.jvp(function, (a,), (tangent,)))(a))
    assert np.isfinite(dq).all()
    np.testing.assert_allclose(q.T @ q, np.eye(3), atol=1e-12)


def test_the_largest_comes_first(x64):
    a = symmetric(FULL) @ symmetric(FULL)
    q = eigenvectors(jnp.asarray(a))
    values = np.diag(q.T @ a @ q)
    np.testing.assert_allclose(q.T @ a @ q, np.diag(values), atol=1e-10)
    assert (np.diff(values) < 0).all()


def test_following_leads_to_the_eigenvectors(x64):
    a = symmetric(FULL) @ symmetric(FULL)
    basis = jnp.eye(4)
    for _ in range(400):
        basis = followed(jnp.asarray(a), basis)
    np.testing.assert_allclose(np.abs(basis.T @ eigenvectors(jnp.asarray(a))), np.eye(4), atol=1e-8)
