"""The decomposition of squared errors: linear regression exactly, over all training sets there are."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxopt_notes.diagnostics import bias_variance, bias_variance_of

SIGMA, N, STEPS, RATE = 0.4, 6, 60, 0.9


def basis(x, degree):
    return np.stack([x**i for i in range(degree + 1)], 1)


@pytest.mark.notes("S2-61", "S2-62")
def test_linear_regression_is_exact_over_all_training_sets(x64):
    """The noise of every observation is ±σ: 2ⁿ training sets, and what a linear smoother S makes of them:
    bias S·f − f, variance σ²·diag(S·Sᵀ). Descent is a smoother at every step, from under- to over-fitting."""
    x, test = np.linspace(-1, 1, N), np.array([-0.7, 0.1, 0.9])
    truth = lambda x: np.sin(2 * x) + 0.3 * x**2  # noqa: E731
    signs = np.array(list(itertools.product([-1, 1], repeat=N)))
    datasets = jnp.asarray(truth(x) + SIGMA * signs)

    line, line_at = basis(x, 1), basis(test, 1)
    wide, wide_at = basis(x, 5), basis(test, 5)
    gram = wide.T @ wide
    rate = RATE / np.linalg.eigvalsh(gram)[-1]

    def least_squares(y):
        return jnp.asarray(line_at) @ jnp.linalg.lstsq(jnp.asarray(line), y)[0]

    def descent(y):
        def step(w, _):
            w = w - rate * (jnp.asarray(gram) @ w - jnp.asarray(wide).T @ y)
            return w, jnp.asarray(wide_at) @ w

        return jax.lax.scan(step, jnp.zeros(6), None, STEPS)[1]

    @jax.jit
    def parts():
        of_line = bias_variance(least_squares, datasets, truth(test), SIGMA**2, chunk_size=7)
        return of_line, bias_variance(descent, datasets, truth(test), SIGMA**2)

    of_line, of_descent = jax.device_get(parts())
    smoother = line_at @ np.linalg.pinv(line)
    np.testing.assert_allclose(of_line.bias_squared, (smoother @ truth(x) - truth(test)) ** 2, rtol=1e-10)
    np.testing.assert_allclose(of_line.variance, SIGMA**2 * (smoother**2).sum(1), rtol=1e-10)
    predictions = np.float64(datasets) @ smoother.T  # and new observations, one or the other sign
    errors = [(predictions - truth(test) - SIGMA * sign) ** 2 for sign in (-1, 1)]
    np.testing.assert_allclose(of_line.total, np.mean(errors, axis=(0, 1)), rtol=1e-10)

    for t in range(STEPS):
        left = np.eye(6) - np.linalg.matrix_power(np.eye(6) - rate * gram, t + 1)
        smoother = wide_at @ left @ np.linalg.inv(gram) @ wide.T
        expected = (smoother @ truth(x) - truth(test)) ** 2
        np.testing.assert_allclose(of_descent.bias_squared[t], expected, rtol=1e-7, atol=1e-10)
        np.testing.assert_allclose(of_descent.variance[t], SIGMA**2 * (smoother**2).sum(1), rtol=1e-7)


@pytest.mark.notes("S2-62")
def test_the_dilemma_is_u_shaped_where_training_goes_on(x64):
    """After more and more steps, on the points of the training design, where theory has no exception."""
    x = np.linspace(-1, 1, N)
    wide, truth = basis(x, 5), np.sin(2 * x)
    values, vectors = np.linalg.eigh(wide @ wide.T)
    signs = np.array(list(itertools.product([-1, 1], repeat=N)))
    steps = 2 ** np.arange(0, 16, 2)
    fitted = 1 - (1 - RATE * values / values[-1]) ** steps[:, None]  # the part learned of each direction
    smoothers = jnp.asarray(np.einsum("ik,tk,jk->tij", vectors, fitted, vectors))
    datasets = jnp.asarray(truth + SIGMA * signs)
    parts = jax.jit(lambda: bias_variance(lambda y: smoothers @ y, datasets, truth))()
    bias, variance, total = (
        np.mean(part, axis=1) for part in (parts.bias_squared, parts.variance, parts.total)
    )
    assert (np.diff(bias) < 0).all()
    assert (np.diff(variance) > 0).all()
    assert 0 < total.argmin() < len(steps) - 1


@pytest.mark.notes("S2-60")
def test_the_four_targets_of_the_shooting_range():
    """Shots around a centre that is off, at a distance that is the spread: bias and variance are these."""
    corners = np.array([[1.0, 1], [1, -1], [-1, 1], [-1, -1]])
    off, spread = np.array([0.0, 0.0, 3.0, 3.0]), np.array([0.1, 2.0, 0.1, 2.0])
    shots = spread[:, None] * corners[:, None] + off[:, None] * np.array([0.6, 0.8])  # [shots, targets, 2]
    parts = jax.jit(bias_variance_of)(jnp.asarray(shots, jnp.float32), np.zeros(2, np.float32))
    np.testing.assert_allclose(np.sum(parts.bias_squared, 1), off**2, rtol=1e-6, atol=1e-12)
    np.testing.assert_allclose(np.sum(parts.variance, 1), 2 * spread**2, rtol=1e-5)
    np.testing.assert_array_equal(parts.total, parts.bias_squared + parts.variance)


def test_training_sets_of_unequal_probability_and_errors():
    weights = np.array([1.0, 3.0])
    parts = bias_variance_of(np.array([[0.0], [4.0]]), np.array([1.0]), 0.5, weights)
    np.testing.assert_allclose([parts.bias_squared, parts.variance, parts.noise], [[4.0], [3.0], [0.5]])
    with pytest.raises(ValueError, match=r"bias_variance_of\(weights\) has shape \(3,\), expected \(2,\)"):
        bias_variance_of(np.zeros((2, 1)), np.zeros(1), weights=np.ones(3))
    with pytest.raises(ValueError, match=r"bias_variance_of\(noise\) is -1, .*it is a variance"):
        bias_variance_of(np.zeros((2, 1)), np.zeros(1), -1.0)
