"""BFGS with a budget: minima, its budget, and functions with holes."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxopt_notes.problems import rosenbrock
from jaxopt_notes.search.surrogates.quasi_newton import minimize


def test_it_finds_the_end_of_rosenbrocks_valley(x64):
    found = jax.jit(lambda x: minimize(rosenbrock(), x, 200, 1e-6))(jnp.array([-1.2, 1.0]))
    np.testing.assert_allclose(found, [1.0, 1.0], atol=1e-6)


def test_a_quadratic_takes_about_as_many_evaluations_as_it_has_dimensions(x64):
    curvature = jnp.array([1.0, 10.0, 100.0])
    found = minimize(lambda x: jnp.sum(curvature * (x - 1) ** 2), jnp.zeros(3), 25, 1e-8)
    np.testing.assert_allclose(found, 1.0, atol=1e-6)


@pytest.mark.parametrize("evaluations", [1, 2, 5])
def test_it_keeps_its_budget_and_never_rises(evaluations):
    values = [
        float(rosenbrock()(minimize(rosenbrock(), jnp.array([-1.2, 1.0]), n))) for n in (1, evaluations)
    ]
    assert values[1] <= values[0] == pytest.approx(24.2)


def test_it_stops_before_what_is_no_number(x64):
    """log x − x has its maximum at 1 and no value below 0, where the first step leads."""
    found = minimize(lambda x: jnp.sum(x - jnp.log(x)), jnp.array([0.05]), 60, 1e-6)
    np.testing.assert_allclose(found, 1.0, atol=1e-5)


@pytest.mark.full
def test_a_population_of_starts(x64):
    starts = jnp.array([[-1.2, 1.0], [0.0, 0.0], [1.0, 1.0]])
    found = jax.jit(jax.vmap(lambda x: minimize(rosenbrock(), x, 200, 1e-6)))(starts)
    np.testing.assert_allclose(found, 1.0, atol=1e-6)
