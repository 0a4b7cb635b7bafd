"""ISTA and FISTA: the papers' iterates and bounds, scikit-learn's optima, and zeros that are exact."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxopt_notes.optimizers import evaluation_params, proximal_gradient, sgd
from jaxopt_notes.optimizers.solvers.proximal_gradient import proximal_step
from jaxopt_notes.penalties import elastic_net, l1, l2
from jaxopt_notes.projections import hard_threshold
from jaxopt_notes.record import record
from tests.optimizers.solver_runs import solve


@record
class HalfMeanSquare:
    """‖y − Xw‖²/(2m), as scikit-learn has it."""

    x: jax.Array
    y: jax.Array

    def __call__(self, w):
        return jnp.sum((self.x @ w - self.y) ** 2) / (2 * len(self.y))


def problem(m=60, n=12, seed=0):
    """Correlated features, of which four count."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(m, n)) @ (np.eye(n) + 0.4)
    w = np.where(np.arange(n) % 3 == 0, rng.normal(size=n) * 2, 0)
    return x, x @ w + 0.1 * rng.normal(size=m)


def soft(v, t):
    return np.sign(v) * np.maximum(abs(v) - t, 0)


def run(penalty, accelerated, steps, x, y):
    """The points that count, and the curvature L."""
    largest = np.linalg.eigvalsh(x.T @ x / len(y))[-1]
    optimizer = proximal_gradient(1 / largest, penalty, accelerated)
    loss = HalfMeanSquare(jnp.asarray(x), jnp.asarray(y))
    points, states = solve(optimizer, loss, jnp.zeros(x.shape[1]), steps)
    held = states.iterate if accelerated else points[1:]
    return np.concatenate([np.zeros((1, x.shape[1])), held]), largest


@pytest.mark.parametrize("accelerated", [True, False])
def test_the_iterates_are_those_of_the_paper(accelerated, x64):
    x, y = problem()
    found, largest = run(l1(0.3, mask=None), accelerated, 30, x, y)
    w, z, t = np.zeros(12), np.zeros(12), 1.0
    for point in found:
        np.testing.assert_allclose(point, w, rtol=1e-10, atol=1e-13)
        last, w = w, soft(z - x.T @ (x @ z - y) / len(y) / largest, 0.3 / largest)
        after = (1 + np.sqrt(1 + 4 * t**2)) / 2
        z = w + (t - 1) / after * (w - last) if accelerated else w
        t = after


@pytest.mark.notes("S4-31", "S3-35")
def test_the_bounds_of_beck_and_teboulle_hold(x64):
    """ISTA: L‖x₀ − x*‖²/(2k); FISTA: 2L‖x₀ − x*‖²/(k + 1)²."""
    x, y = problem()
    cost = lambda w: np.sum((x @ w - y) ** 2) / (2 * len(y)) + 0.02 * abs(w).sum()  # noqa: E731
    best, largest = run(l1(0.02, mask=None), True, 3000, x, y)
    distance = np.sum(best[-1] ** 2)
    k = np.arange(1, 201)
    ends = []
    for accelerated, bound in (
        (False, largest * distance / 2 / k),
        (True, 2 * largest * distance / (k + 1) ** 2),
    ):
        found, _ = run(l1(0.02, mask=None), accelerated, 200, x, y)
        gaps = np.array([cost(w) - cost(best[-1]) for w in found[1:]])
        assert (gaps <= bound + 1e-12).all()
        ends.append(gaps[60])
    assert ends[1] < 0.1 * ends[0]


@pytest.mark.notes("S3-35", "S4-31")
@pytest.mark.parametrize("accelerated", [True, False])
def test_the_lasso_of_scikit_learn(accelerated, x64):
    linear_model = pytest.importorskip("sklearn.linear_model")
    x, y = problem()
    alpha = 0.3
    found = run(l1(alpha, mask=None), accelerated, 2000 if accelerated else 6000, x, y)[0][-1]
    expected = linear_model.Lasso(alpha, fit_intercept=False, tol=1e-12, max_iter=100_000).fit(x, y).coef_
    np.testing.assert_allclose(found, expected, atol=1e-7)
    np.testing.assert_array_equal(found == 0, expected == 0)
    assert 2 < (found == 0).sum() < 10
    slope = x.T @ (x @ found - y) / len(y)  # the conditions of Karush, Kuhn and Tucker
    assert (abs(slope[found == 0]) <= alpha).all()
    np.testing.assert_allclose(slope[found != 0], -alpha * np.sign(found[found != 0]), rtol=1e-6)


def test_the_elastic_net_of_scikit_learn(x64):
    linear_model = pytest.importorskip("sklearn.linear_model")
    x, y = problem()
    found = run(elastic_net(0.5, 0.7, mask=None), True, 2000, x, y)[0][-1]
    model = linear_model.ElasticNet(alpha=0.5, l1_ratio=0.7, fit_intercept=False, tol=1e-12, max_iter=100_000)
    np.testing.assert_allclose(found, model.fit(x, y).coef_, atol=1e-7)


@pytest.mark.notes("S3-35")
def test_orthonormal_features_and_the_largest_penalty(x64):
    """Then the lasso is the soft threshold of least squares; from λ = ‖Xᵀy‖∞/m on it is 0, no sooner."""
    x, y = problem()
    q = np.linalg.qr(x)[0] * np.sqrt(len(y))
    closed = soft(q.T @ y / len(y), 0.3)
    np.testing.assert_allclose(run(l1(0.3, mask=None), False, 3, q, y)[0][-1], closed, rtol=1e-9, atol=1e-12)
    edge = abs(x.T @ y).max() / len(y)
    assert (run(l1(edge * 1.0001, mask=None), True, 50, x, y)[0][-1] == 0).all()
    assert (run(l1(edge * 0.99, mask=None), True, 50, x, y)[0][-1] != 0).any()


@pytest.mark.notes("S4-30", "S4-31")
def test_zeros_are_exact_where_the_subgradient_oscillates(x64):
    """Around 0 gradient descent on |w| goes to and fro within ηα; a proximal step arrives.

    What is exactly 0 can be cut out: the smaller model predicts the same.
    """
    x, y = problem()
    alpha, rate = 0.3, 0.01
    loss = HalfMeanSquare(jnp.asarray(x), jnp.asarray(y))
    penalized = jax.tree_util.Partial(lambda loss, w: loss(w) + l1(alpha, mask=None)(w), loss)
    start = jnp.full(12, 0.5)
    by_gradient, _ = solve(sgd(rate), penalized, start, 4000)
    by_prox, _ = solve(proximal_gradient(rate, l1(alpha, mask=None), accelerated=False), loss, start, 4000)
    zero = np.asarray(by_prox[-1] == 0)
    assert zero.sum() > 2
    assert (by_gradient[-1] != 0).all()
    last = np.asarray(by_gradient[-50:])[:, zero]
    assert (abs(last) <= 2 * rate * alpha).all()
    assert (last.max(0) > 0).any()
    assert (last.min(0) < 0).any()
    w = np.asarray(by_prox[-1])
    np.testing.assert_allclose(x[:, ~zero] @ w[~zero], x @ w, rtol=1e-12)


@pytest.mark.parametrize(
    ("penalty", "h"),
    [
        (l1(0.7, mask=None), lambda w: 0.7 * abs(w)),
        (l2(0.7, mask=None), lambda w: 0.35 * w**2),
        (elastic_net(0.7, 0.3, mask=None), lambda w: 0.21 * abs(w) + 0.245 * w**2),
        (jax.tree_util.Partial(lambda w, t: hard_threshold(w, jnp.sqrt(1.4 * t))), lambda w: 0.7 * (w != 0)),
    ],
)
@pytest.mark.notes("S4-31", "S0-19", "S0-20")
def test_a_proximal_step_is_the_minimum_on_a_grid(penalty, h, x64):
    grid = np.arange(-4000, 4001) / 1000
    for v in (-2.31, 0.1, 0.0, 1.7):
        cost = 0.8 * h(grid) + (grid - v) ** 2 / 2
        found = proximal_step(penalty, jnp.array(v), jnp.array(0.8))
        np.testing.assert_allclose(found, grid[cost.argmin()], atol=1e-3)


def test_what_the_mask_leaves_out_is_not_shrunk(x64):
    """By default weights only; the tree form of a mask fits where a leaf has no gradient."""
    tree = {"kernel": jnp.ones((2, 2)), "bias": jnp.ones(2)}
    still = jax.tree.map(jnp.zeros_like, tree)
    for penalty in (l1(0.5), l1(0.5, mask={"kernel": True, "bias": False})):
        optimizer = proximal_gradient(1.0, penalty)
        updates, _ = optimizer.update(still, optimizer.init(tree), tree)
        np.testing.assert_allclose(updates["kernel"], -0.5)
        np.testing.assert_array_equal(updates["bias"], 0)
        updates, _ = optimizer.update({**still, "bias": None}, optimizer.init(tree), tree)
        assert updates["bias"] is None
        np.testing.assert_allclose(updates["kernel"], -0.5)


def test_the_point_that_counts_is_the_iterate_not_the_one_held(x64):
    optimizer, w = proximal_gradient(0.1, l1(1.0, mask=None)), jnp.array([3.0, 0.4])
    state = optimizer.init(w)
    for _ in range(12):
        updates, state = optimizer.update(w - jnp.array([2.0, 0.5]), state, w)
        w = w + updates
    point = evaluation_params(optimizer, w, state)
    np.testing.assert_array_equal(point, state.iterate)
    assert point[1] == 0
    assert point[0] != w[0]
