"""The strength that amounts to a constraint: ridge regression and the ball, the lasso and its ball."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxopt_notes.optimizers import projected_gradient
from jaxopt_notes.penalties import l1_norm, strength_for_radius
from jaxopt_notes.projections import project_l2_ball, soft_threshold
from tests.compiled import compiled

project_l2_ball = compiled(project_l2_ball)
soft_threshold = compiled(soft_threshold)

RNG = np.random.default_rng(0)
X = RNG.normal(size=(30, 4))
Y = X @ np.array([2.0, -1.0, 0.5, 0.0]) + 0.1 * RNG.normal(size=30)


@pytest.mark.notes("S0-14", "S0-15")
@pytest.mark.usefixtures("x64")
def test_the_projected_solution_is_the_penalised_one():
    """For ‖w‖² ≤ θ projected gradient descent ends where ridge regression with λ(θ) has its minimum."""
    gram, moment = jnp.asarray(X.T @ X / 30), jnp.asarray(X.T @ Y / 30)
    theta = jnp.array([0.5, 2.0, 100.0])

    @jax.jit
    @jax.vmap
    def both(theta):
        ridge = lambda strength: jnp.linalg.solve(gram + strength * jnp.eye(4), moment)  # noqa: E731
        optimizer = projected_gradient(0.3, project_l2_ball, radius=jnp.sqrt(theta))

        def step(carry, _):
            w, state = carry
            update, state = optimizer.update(gram @ w - moment, state, w)
            return (w + update, state), None

        w = jnp.zeros(4)
        (hard, _), _ = jax.lax.scan(step, (w, optimizer.init(w)), length=500)
        strength = strength_for_radius(ridge, jnp.sqrt(theta))
        return hard, strength, ridge(strength)

    hard, strength, soft = both(theta)
    np.testing.assert_allclose(hard, soft, atol=1e-10)
    np.testing.assert_allclose((np.asarray(soft) ** 2).sum(axis=1)[:2], theta[:2], rtol=1e-10)
    assert strength[0] > strength[1] > strength[2] == 0  # the last constraint is not active
    # The smaller the ball, the worse the fit: a constraint is a penalty that grows as the radius shrinks.
    risks = [np.mean((X @ w - Y) ** 2) for w in np.asarray(hard)]
    assert risks[0] > risks[1] > risks[2]


@pytest.mark.notes("S0-15")
@pytest.mark.usefixtures("x64")
def test_other_norms_and_where_the_search_ends():
    """Of ½‖w − v‖² + λ‖w‖₁ with v = (3, 1): ‖w‖₁ = 4 − 2λ up to λ = 1, then 3 − λ."""
    v = jnp.array([3.0, 1.0])
    found = jax.jit(jax.vmap(lambda r: strength_for_radius(lambda s: soft_threshold(v, s), r, norm=l1_norm)))(
        jnp.array([3.0, 1.5, 0.5])
    )
    np.testing.assert_allclose(found, [0.5, 1.5, 2.5], rtol=1e-12)
    stuck = strength_for_radius(lambda s: v, 1.0, largest=8.0)
    np.testing.assert_allclose(stuck, 8.0, rtol=1e-12)
