"""Every solver reaches the minimum of three problems within a stated budget of updates.

A quadratic of condition number 10, Rosenbrock's valley from its customary start, a logistic regression;
penalties and constraints are there, and not active at the minimum. `BUDGETS` holds for each solver the
updates allowed on each problem and the arguments that all three share, or a rate for each problem.
"""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxopt_notes.optimizers import SOLVERS, evaluation_params, sgd, zoom
from jaxopt_notes.penalties import l1
from jaxopt_notes.problems import logistic_regression, quadratic, rosenbrock
from jaxopt_notes.projections import project_l2_ball
from tests.optimizers.solver_runs import solve
from tests.optimizers.solvers.test_newton import labelled, slope_and_hessian

L2 = 0.1


def logistic_minimum():
    w = np.zeros(3)
    for _ in range(20):
        slope, hessian = slope_and_hessian(*labelled(), w, L2)
        w = w - np.linalg.solve(hessian, slope)
    return w


def residuals_of_quadratic(x):
    return jnp.sqrt(jnp.array([1.0, 10.0])) * x


def residuals_of_rosenbrock(x):
    return jnp.sqrt(2.0) * jnp.array([1 - x[0], 10 * (x[1] - x[0] ** 2)])


def residuals_of_logistic(w):
    """Square roots of twice each example's loss: half the sum of their squares is the loss."""
    x, y = (jnp.asarray(part, float) for part in labelled())
    losses = jax.nn.softplus(jnp.where(y == 1, -(x @ w), x @ w)) / len(y)
    return jnp.concatenate([jnp.sqrt(2 * losses), jnp.sqrt(L2) * w])


PROBLEMS = {
    "quadratic": (quadratic((1.0, 10.0)), residuals_of_quadratic, [2.0, -1.0], np.zeros(2)),
    "rosenbrock": (rosenbrock(), residuals_of_rosenbrock, [-1.2, 1.0], np.ones(2)),
    "logistic": (logistic_regression(*labelled(), L2), residuals_of_logistic, [0.0] * 3, logistic_minimum()),
}

RATES = (0.09, 1e-3, 2.0)
# solver: updates on the quadratic, Rosenbrock's valley, the logistic regression; arguments
BUDGETS = {
    "newton": ((1, 6, 4), {}),
    "newton_cg": ((1, 7, 4), {}),
    "gauss_newton": ((1, 2, 25), {}),
    "levenberg_marquardt": ((3, 31, 25), {}),
    "bfgs": ((8, 40, 9), {}),
    "lbfgs": ((8, 36, 9), {}),
    "line_search": ((40, 6000, 20), {"optimizer": sgd(1.0), "rule": zoom(curv_rtol=0.1)}),
    "proximal_gradient": ((80, 7000, 60), {"penalty": l1(0.0)}),
    "iterative_hard_thresholding": ((110, 20_000, 60), {"k": 3}),
    "projected_gradient": ((110, 20_000, 60), {"projection": project_l2_ball, "radius": 5.0}),
}
TOLERANCE = 1e-3


@pytest.mark.full
@pytest.mark.parametrize("problem", PROBLEMS)
@pytest.mark.parametrize("name", SOLVERS)
def test_the_minimum_within_the_budget(name, problem, x64):
    i = list(PROBLEMS).index(problem)
    (steps, arguments), (loss, residuals, start, minimum) = BUDGETS[name], PROBLEMS[problem]
    if name in ("proximal_gradient", "iterative_hard_thresholding", "projected_gradient"):
        arguments = {"learning_rate": RATES[i], **arguments}
    optimizer = SOLVERS[name](**arguments)
    residual_fn = residuals if name in ("gauss_newton", "levenberg_marquardt") else None
    points, states = solve(optimizer, loss, jnp.array(start), steps[i], residual_fn)
    last = evaluation_params(optimizer, points[-1], jax.tree.map(lambda x: x[-1], states))
    np.testing.assert_allclose(last, minimum, atol=TOLERANCE)


def test_the_residuals_are_those_of_the_losses(x64):
    for loss, residuals, start, _ in PROBLEMS.values():
        x = jnp.array(start) + 0.3
        np.testing.assert_allclose(jnp.sum(residuals(x) ** 2) / 2, loss(x), rtol=1e-12)
