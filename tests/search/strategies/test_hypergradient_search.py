"""Hypergradients: closed forms, finite differences through a whole `Trainer`, and searches that use them."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxopt_notes as jn
from jaxopt_notes.search import hypergradient_search, integers, log_uniform, normal, training_score, uniform


def of_quadratic(h, key):
    """½·θ² after ten steps of gradient descent from θ = 1: ½·(1 − η)²⁰."""
    theta = jax.lax.fori_loop(0, 10, lambda _, theta: theta - h["rate"] * theta, 1.0)
    return theta**2 / 2


def test_the_gradient_of_a_run_is_its_closed_form(x64):
    slope = jax.grad(lambda rate: of_quadratic({"rate": rate}, None))(0.1)
    np.testing.assert_allclose(slope, -10 * 0.9**19, rtol=1e-12)


@functools.cache
def data():
    rng = np.random.default_rng(0)
    x, noise = rng.normal(size=(64, 8)), rng.normal(size=(64, 1))
    y = x[:, :2].sum(axis=1, keepdims=True) + 2 * noise
    return (x[:16], y[:16]), (x[16:], y[16:])


def ridge(h):
    """Whole batches, so that the run ends where ridge regression does."""
    return jn.Trainer(
        jn.dense(1, use_bias=False), jn.nesterov(0.1, 0.8), jn.half_mean_squared_error,
        penalty=jn.l2(h["strength"]), metric=None, batch_size=16,
    )  # fmt: skip


def test_ridge_regression_has_the_slope_of_its_solution(x64, key):
    """w(λ) = (XᵀX/n + λI)⁻¹Xᵀy/n, so dL/dλ = −∇L(w)ᵀ(XᵀX/n + λI)⁻¹w, L the validation loss."""
    (x, y), (u, v) = data()
    score = training_score(ridge, data(), epochs=300)
    value, slope = jax.jit(jax.value_and_grad(lambda s: score({"strength": s}, key)))(0.3)
    a = x.T @ x / 16 + 0.3 * np.eye(8)
    w = np.linalg.solve(a, x.T @ y / 16)
    np.testing.assert_allclose(value, np.mean((u @ w - v) ** 2) / 2, rtol=1e-8)
    expected = -(u.T @ (u @ w - v) / 48).T @ np.linalg.solve(a, w)
    np.testing.assert_allclose(slope, expected[0, 0], rtol=1e-6)


def network(h):
    return jn.Trainer(
        jn.mlp([6, 1], "tanh", dropout=h["dropout"]),
        jn.chain(jn.clip_by_global_norm(1.0), jn.adamw(h["rate"], b1=h["b1"], weight_decay=h["decay"])),
        jn.mean_squared_error, metric=None, batch_size=8,
    )  # fmt: skip


@pytest.mark.full
def test_a_whole_trainer_agrees_with_finite_differences(x64, key):
    """Mini-batches, clipping, dropout, AdamW: the same key, so the same orders and draws."""
    score = training_score(network, data(), epochs=3)
    h = {"rate": 0.02, "b1": 0.8, "decay": 0.1, "dropout": 0.0}
    run = jax.jit(jax.value_and_grad(lambda h: score(h, key)))
    _, slopes = run(h)
    for name in ("rate", "b1", "decay"):
        step = 1e-6
        ends = [run(h | {name: h[name] + sign * step})[0] for sign in (1, -1)]
        np.testing.assert_allclose(slopes[name], (ends[0] - ends[1]) / (2 * step), rtol=1e-5, err_msg=name)


@pytest.mark.full
def test_a_penalty_is_found_by_descent(key):
    """From every start; and what is found is as good as the best of a fine grid."""
    space = {"strength": log_uniform(1e-3, 10.0)}  # beyond 20 the run itself explodes
    score = training_score(ridge, data(), epochs=60)
    results = hypergradient_search(score, space, key=key, starts=4, steps=25)
    assert len(results) == 100
    scores = results.scores[:, 0].reshape(4, 25)
    grid = space["strength"].grid(50)
    best = jax.jit(jax.vmap(lambda s: score({"strength": s}, key)))(grid).min()
    assert (scores.min(axis=1) < best * 1.01).all()
    assert (scores.min(axis=1) <= scores[:, 0]).all()


@pytest.mark.full
def test_constants_seeds_and_all_distributions(key):
    def score(h, key):
        x, y, z = h["a"]["x"], h["y"], h["z"]
        noise = jax.random.normal(key)  # the same in all steps
        return (x - 0.7) ** 2 + (jnp.log10(y) + 3) ** 2 + (z - 1.5) ** 2 + h["shift"] + 0 * noise

    space = {"a": {"x": uniform(0.0, 1.0)}, "y": log_uniform(1e-5, 1.0), "z": normal(1.0, 1.0), "shift": 2.0}
    results = hypergradient_search(score, space, key=key, starts=3, steps=60, seeds=2)
    np.testing.assert_allclose(results.best["score"], 2.0, atol=1e-2)
    assert results.best_config["shift"] == 2.0
    again = hypergradient_search(score, space, key=key, starts=3, steps=60, seeds=2)
    np.testing.assert_array_equal(results.scores, again.scores)


@pytest.mark.full
def test_a_start_that_diverges_stays_alone_and_last(key):
    def score(h, key):
        return jnp.where(h["x"] > 0.5, jnp.nan, (h["x"] - 0.2) ** 2)

    results = hypergradient_search(score, {"x": uniform(0.0, 1.0)}, key=key, starts=8, steps=20)
    assert 0 < results.diverged < 160
    assert results.diverged % 20 == 0  # they stay where they are
    assert abs(results.best["x"] - 0.2) < 0.02


def test_points_do_not_leave_the_space(key):
    results = hypergradient_search(lambda h, key: h["x"], {"x": log_uniform(1e-2, 1.0)}, key=key, steps=40)
    assert (results.columns["x"] >= 1e-2).all()
    np.testing.assert_allclose(results.best["x"], 1e-2, rtol=2e-3)


def test_errors_name_everything(key):
    with pytest.raises(TypeError, match=r"hypergradient_search\(space\): depth is Integers.*no slope"):
        hypergradient_search(of_quadratic, {"depth": integers(1, 4)}, key=key)
    with pytest.raises(ValueError, match=r"hypergradient_search\(steps\) is 0"):
        hypergradient_search(of_quadratic, {"rate": uniform(0.0, 1.0)}, key=key, steps=0)


def test_the_optimizer_is_the_one_that_was_given(key):
    """One step of gradient descent on (u − ½)² is u − 2·0.1·(u − ½)."""
    results = hypergradient_search(
        lambda h, key: (h["x"] - 0.5) ** 2, {"x": uniform(0.0, 1.0)}, key=key, starts=2, steps=3,
        optimizer=jn.sgd(0.1),
    )  # fmt: skip
    x = results.columns["x"].reshape(2, 3)
    np.testing.assert_allclose(x[:, 1:], 0.8 * x[:, :-1] + 0.1, rtol=1e-5)


def test_any_number_of_the_history_can_be_the_score(x64, key):
    trainer = ridge({"strength": 0.3})
    _, history = trainer.advance(trainer.init(key, data()[0]), *data(), 3)
    for monitor in ("loss", "valid_loss"):
        score = training_score(ridge, data(), 3, monitor)({"strength": 0.3}, key)
        np.testing.assert_allclose(score, history[monitor][-1], rtol=1e-12)
