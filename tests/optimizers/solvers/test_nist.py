"""Levenberg–Marquardt on NIST's nonlinear regressions, by the digits that NIST has certified.

`scipy.optimize.least_squares(method="lm")`, which is MINPACK, reaches four digits from 53 of the 54 starts
and eight from 47, with 1,000 evaluations at most.
"""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

from jaxopt_notes.optimizers import levenberg_marquardt
from tests.optimizers.solvers.nist import PROBLEMS


def iterations(problem, scaling, steps):
    """For each start the updates until four and until eight digits are right, else infinity."""
    optimizer = levenberg_marquardt(scaling=scaling)

    @jax.jit
    @jax.vmap
    def points(start):
        def step(carry, _):
            b, state = carry
            updates, state = optimizer.update(b, state, b, residual_fn=problem.residuals)
            return (b + updates, state), b + updates

        return lax.scan(step, (start, optimizer.init(start)), length=steps)[1]

    found = []
    for path in np.asarray(points(jnp.asarray(problem.starts))):
        digits = np.array([problem.digits(b) for b in path])
        found.append([np.argmax(digits >= k) + 1 if (digits >= k).any() else np.inf for k in (4, 8)])
    return np.array(found)


@pytest.mark.parametrize("name", PROBLEMS)
def test_the_models_have_the_certified_sums_of_squares(name, x64):
    problem = PROBLEMS[name]
    found = np.sum(np.asarray(jax.jit(problem.residuals)(jnp.asarray(problem.certified))) ** 2)
    if name == "Lanczos1":  # its residuals are smaller than the rounding of the certified parameters
        assert found < 1e-20
    else:
        np.testing.assert_allclose(found, problem.sum_of_squares, rtol=1e-10)


@pytest.mark.full
@pytest.mark.parametrize(
    ("name", "scaling", "budgets"),
    [
        ("Eckerle4", "identity", (30, 15)),  # a factor of ten apart in every parameter: MINPACK 23
        ("MGH10", "columns", (330, 140)),  # of higher difficulty: sums of squares from 1e15 to 88
        ("BoxBOD", "identity", (40, 15)),  # MINPACK fails from the first start
    ],
)
def test_the_certified_digits(name, scaling, budgets, x64):
    assert (iterations(PROBLEMS[name], scaling, max(budgets))[:, 0] <= budgets).all()


@pytest.mark.full
@pytest.mark.parametrize("scaling", ["identity", "columns"])
def test_all_starts(scaling, x64):
    found = np.concatenate([iterations(problem, scaling, 1000) for problem in PROBLEMS.values()])
    four, eight = np.isfinite(found).sum(0)
    assert four >= 53
    assert eight >= 46
