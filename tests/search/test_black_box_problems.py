"""Branin and Hartmann-6: their minima as published."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxopt_notes.search.black_box_problems import BLACK_BOX_PROBLEMS

HARTMANN6 = [0.20169, 0.150011, 0.476874, 0.275332, 0.311652, 0.6573]
BRANIN = [[(x + 5) / 15, y / 15] for x, y in [(-np.pi, 12.275), (np.pi, 2.275), (9.42478, 2.475)]]
MINIMA = {"branin": (BRANIN, 0.397887), "hartmann6": ([HARTMANN6], -3.32237)}


@pytest.mark.parametrize("name", BLACK_BOX_PROBLEMS)
def test_the_published_minima_are_minima(name, x64):
    f, (points, lowest) = jax.jit(BLACK_BOX_PROBLEMS[name]), MINIMA[name]
    points = jnp.array(points)
    np.testing.assert_allclose(f(points), lowest, rtol=1e-5)
    assert np.abs(jax.jit(jax.vmap(jax.grad(f)))(points)).max() < 2e-3
    assert (np.linalg.eigvalsh(jax.jit(jax.vmap(jax.hessian(f)))(points)) > 0).all()
    everywhere = f(np.random.default_rng(0).random((20_000, points.shape[1])))
    assert (np.asarray(everywhere) >= lowest - 1e-5).all()


def test_a_value_by_hand():
    np.testing.assert_allclose(
        BLACK_BOX_PROBLEMS["branin"](jnp.array([1 / 3, 0.0])), 36 + 20 - 10 / (8 * np.pi), rtol=1e-6
    )


def test_hartmann6_is_the_sum_over_the_published_tables(x64):
    """Dixon & Szegő 1978: f(u) = −Σᵢ αᵢ·exp(−Σⱼ Aᵢⱼ(uⱼ − Pᵢⱼ)²)."""
    alpha = [1.0, 1.2, 3.0, 3.2]
    a = [
        [10, 3, 17, 3.5, 1.7, 8],
        [0.05, 10, 17, 0.1, 8, 14],
        [3, 3.5, 1.7, 10, 17, 8],
        [17, 8, 0.05, 10, 0.1, 14],
    ]
    p = [
        [1312, 1696, 5569, 124, 8283, 5886],
        [2329, 4135, 8307, 3736, 1004, 9991],
        [2348, 1451, 3522, 2883, 3047, 6650],
        [4047, 8828, 8732, 5743, 1091, 381],
    ]
    for u in (np.array(p) + 500) / 1e4:
        expected = -sum(
            alpha[i] * np.exp(-sum(a[i][j] * (u[j] - p[i][j] / 1e4) ** 2 for j in range(6))) for i in range(4)
        )
        np.testing.assert_allclose(BLACK_BOX_PROBLEMS["hartmann6"](jnp.asarray(u)), expected, rtol=1e-12)
