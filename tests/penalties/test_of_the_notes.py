"""What the notes claim of L1 and L2, on problems with a solution in closed form."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from jaxopt_notes.optimizers import apply_updates, projected_gradient, proximal_gradient, sgd
from jaxopt_notes.penalties import elastic_net, l1, l2
from jaxopt_notes.projections import project_l1_ball, project_l2_ball
from tests.compiled import compiled, grad

project_l1_ball = compiled(project_l1_ball)
project_l2_ball = compiled(project_l2_ball)

pytestmark = pytest.mark.usefixtures("x64")
RNG = np.random.default_rng(0)


def minimize(optimizer, loss, start, steps):
    def step(carry, _):
        w, state = carry
        updates, state = optimizer.update(grad(loss)(w), state, w)
        w = apply_updates(w, updates)
        return (w, state), w

    return jax.lax.scan(step, (start, optimizer.init(start)), length=steps)[1]


@pytest.mark.notes("S4-35", "S4-36", "S4-37", "S4-39", "S4-42")
def test_ridge_shrinks_each_direction_and_makes_no_zeros():
    """By s²/(s² + λ) along each singular vector; it is the mode under a Gaussian prior of variance σ²/λ."""
    x, y, strength, noise = RNG.normal(size=(30, 4)), RNG.normal(size=30), 3.0, 0.5
    y = y + x @ np.array([1.0, 0.0, 0.0, 0.0])
    u, s, vh = np.linalg.svd(x, full_matrices=False)
    ridge = vh.T @ (s / (s**2 + strength) * (u.T @ y))
    plain = vh.T @ (u.T @ y / s)
    np.testing.assert_allclose(vh @ ridge, s**2 / (s**2 + strength) * (vh @ plain), rtol=1e-12)

    def objective(w):
        return 0.5 * jnp.sum((x @ w - y) ** 2) + l2(strength, mask=None)(w)

    def posterior(w):  # minus its logarithm, up to a constant
        return jnp.sum((x @ w - y) ** 2) / (2 * noise**2) + jnp.sum(w**2) / (2 * noise**2 / strength)

    slopes = jax.jit(lambda w: (grad(objective)(w), grad(posterior)(w)))(jnp.asarray(ridge))
    np.testing.assert_allclose(slopes, 0, atol=1e-11)
    assert (np.abs(ridge) > 1e-3).all()
    assert np.linalg.norm(ridge) < np.linalg.norm(plain)


@pytest.mark.notes("S4-30")
def test_gradient_steps_on_l1_oscillate_around_zero_and_proximal_steps_end_there():
    """On λ‖w‖₁ alone a gradient step overshoots 0 by up to ηλ, and never meets it; a proximal step does."""
    start, rate, strength = jnp.array([1.0, -0.437, 0.0123]), 0.1, 1.0

    @jax.jit
    def both(start):
        steep = minimize(sgd(rate), l1(strength, mask=None), start, 60)
        penalty = l1(strength, mask=None)
        proximal = proximal_gradient(rate, penalty, accelerated=False)
        return steep, minimize(proximal, lambda w: 0.0 * jnp.sum(w), start, 60)

    steep, proximal = both(start)
    late = np.asarray(steep[-10:])
    assert (late[:, 1:] != 0).all()
    assert (np.abs(late) <= rate * strength + 1e-12).all()
    assert (np.sign(late[1:, 1]) != np.sign(late[:-1, 1])).all()
    assert not proximal[-1].any()


@pytest.mark.notes("S4-38")
def test_a_penalised_bias_underfits():
    """Of targets around 10 the mean is lost as 1/(1 + λ); with `weights_only` it is not."""
    x = RNG.normal(size=(50, 2))
    y = 10.0 + x @ np.array([1.0, -1.0])
    x = x - x.mean(axis=0)

    @jax.jit
    def biases(x, y):
        def fit(mask):
            def loss(p):
                residual = x @ p["kernel"][:, 0] + p["bias"] - y
                return 0.5 * jnp.mean(residual**2) + l2(0.5, mask)(p)

            start = {"kernel": jnp.zeros((2, 1)), "bias": jnp.zeros(())}
            return minimize(sgd(0.5), loss, start, 300)["bias"][-1]

        return fit(lambda p: {"kernel": True, "bias": False}), fit(None)

    free, penalised = biases(x, y)
    np.testing.assert_allclose(free, y.mean(), rtol=1e-9)
    np.testing.assert_allclose(penalised, y.mean() / 1.5, rtol=1e-9)


@pytest.mark.notes("S2-67", "S4-43", "S4-40")
def test_a_column_twice():
    """The notes have it the wrong way round: ridge shares the weight, the lasso does not care who has it.

    With the same column twice only w₁ + w₂ matters to the lasso: it keeps what it began with. Ridge makes
    both equal, from wherever; so does the elastic net, which is sparse as well.
    """
    column = RNG.normal(size=(40, 1))
    x = np.c_[column, column, RNG.normal(size=(40, 1))]
    y = 2 * column[:, 0]
    starts = jnp.array([[3.0, 0.0, 1.0], [0.0, 3.0, 1.0]])

    @jax.jit
    def solutions(x, y, starts):
        loss = lambda w: 0.5 * jnp.mean((x @ w - y) ** 2)  # noqa: E731

        def ends(penalty):
            optimizer = proximal_gradient(0.3, penalty, accelerated=False)
            return jax.vmap(lambda w: minimize(optimizer, loss, w, 2000)[-1])(starts)

        penalties = (l1(0.1, mask=None), l2(0.1, mask=None), elastic_net(0.1, 0.5, mask=None))
        return jnp.stack([ends(penalty) for penalty in penalties])

    lasso, ridge, net = np.asarray(solutions(x, y, starts))
    np.testing.assert_allclose(lasso[:, :2].sum(axis=1), lasso[0, :2].sum(), rtol=1e-6)
    assert lasso[0, 0] > lasso[0, 1] + 1
    assert lasso[1, 1] > lasso[1, 0] + 1
    for end in (ridge, net):
        np.testing.assert_allclose(end[0], end[1], atol=1e-8)
        np.testing.assert_allclose(end[0, 0], end[0, 1], rtol=1e-6)
    assert not lasso[:, 2].any()
    assert not net[:, 2].any()
    assert ridge[:, 2].all()


@pytest.mark.notes("S4-44")
def test_corners_make_zeros():
    """Random bowls over a ball: on the L1 ball many minima lie on an axis, on the L2 ball none does."""
    count = 200
    halves = RNG.normal(size=(count, 2, 2))
    bowls = halves @ halves.transpose(0, 2, 1) + 0.3 * np.eye(2)
    centres = 3 * RNG.normal(size=(count, 2))
    outside = np.abs(centres).sum(axis=1) > 1

    @jax.jit
    @jax.vmap
    def minima(bowl, centre):
        loss = lambda w: 0.5 * (w - centre) @ bowl @ (w - centre)  # noqa: E731
        rate = 1 / jnp.trace(bowl)
        return [
            minimize(projected_gradient(rate, project), loss, jnp.zeros(2), 400)[-1]
            for project in (project_l1_ball, project_l2_ball)
        ]

    corner, round_ = (np.asarray(w)[outside] for w in minima(bowls, centres))
    assert 0.3 < (corner == 0).any(axis=1).mean() < 0.95
    assert not (round_ == 0).any()


@pytest.mark.notes("X-02")
def test_penalties_are_priors():
    """l2(1/σ²) and l1(1/b) are minus the logarithms of a Gaussian's and a Laplace distribution's density.

    The source has 1/(2b) for Laplace, half of what it is.
    """
    w, sigma, b = RNG.normal(size=(2, 5)), 0.7, 0.3
    gaussian, laplace = jax.jit(jax.vmap(lambda w: (l2(1 / sigma**2, None)(w), l1(1 / b, None)(w))))(w)
    for penalty, density in ((gaussian, stats.norm(scale=sigma)), (laplace, stats.laplace(scale=b))):
        minus_log = -density.logpdf(w).sum(axis=1)
        np.testing.assert_allclose(penalty[0] - penalty[1], minus_log[0] - minus_log[1], rtol=1e-12)


@pytest.mark.notes("S2-79")
def test_early_stopping_is_ridge_with_a_strength_of_one_over_rate_and_steps():
    """On a quadratic, τ steps leave (1 − ηΛ)^τ of each direction's distance, ridge λ/(Λ + λ).

    With λ = 1/(ητ) the two agree to first order where ηΛτ is small, and both leave nothing where it is large.
    """
    curvature, rate, steps = jnp.array([1e-3, 1e-2, 0.1, 50.0]), 0.01, 200
    loss = lambda w: 0.5 * jnp.sum(curvature * (w - 1) ** 2)  # noqa: E731
    path = jax.jit(lambda w: minimize(sgd(rate), loss, w, steps))(jnp.zeros(4))
    left, strength = 1 - np.asarray(path)[-1], 1 / (rate * steps)
    np.testing.assert_allclose(left, (1 - rate * np.asarray(curvature)) ** steps, atol=1e-12)
    ridge = strength / (np.asarray(curvature) + strength)
    np.testing.assert_allclose(left[:3], ridge[:3], rtol=0.02)
    assert left[3] < 1e-6
    assert ridge[3] < 0.02


@pytest.mark.notes("S2-66")
def test_the_optimum_of_few_samples_is_not_the_truth_and_ridge_is_nearer_to_it():
    """Least squares goes to the centre of its contours, that of the samples: 12 of them, 10 weights."""
    truth = RNG.normal(size=10)
    x = RNG.normal(size=(100, 12, 10))
    y = x @ truth + 2 * RNG.normal(size=(100, 12))

    def minimum(x, y, strength):
        objective = lambda w: 0.5 * jnp.sum((x @ w - y) ** 2) + l2(strength, None)(w)  # noqa: E731
        zero = jnp.zeros(10)
        return -jnp.linalg.solve(jax.hessian(objective)(zero), jax.grad(objective)(zero))

    fits = jax.jit(jax.vmap(jax.vmap(minimum, (0, 0, None)), (None, None, 0)))(x, y, jnp.array([0.0, 2.0]))
    plain, ridge = np.median(np.linalg.norm(np.asarray(fits) - truth, axis=2), axis=1)
    assert ridge < 0.8 * plain
