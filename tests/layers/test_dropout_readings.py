"""Readings of dropout: noise whose mean effect is a penalty, new data, units that cannot rely on others."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxopt_notes as jn
from tests.compiled import apply, grad, init, value_and_grad


@pytest.mark.notes("S0-28")
def test_on_least_squares_dropout_is_a_ridge_penalty(key):
    """E‖y − dropout(X)·w‖² = ‖y − X·w‖² + p/(1 − p)·Σ wⱼ²‖Xⱼ‖², least at that ridge's solution."""
    rng = np.random.default_rng(0)
    x, y, rate, draws = rng.normal(size=(10, 3)), rng.normal(size=10), 0.3, 40_000
    penalty = np.diag(rate / (1 - rate) * np.square(x).sum(0))
    solution, plain = np.linalg.solve(x.T @ x + penalty, x.T @ y), np.linalg.lstsq(x, y)[0]

    @jax.jit
    def found(w):
        def loss(w, key):
            dropped, _ = apply(jn.dropout(rate), {}, (), jnp.asarray(x, jnp.float32), key=key, train=True)
            return jnp.sum((jnp.asarray(y, jnp.float32) - dropped @ w) ** 2)

        return jax.vmap(value_and_grad(loss), (None, 0))(w, jax.random.split(key, draws))

    values, slopes = (np.asarray(part, np.float64) for part in found(jnp.asarray(solution, jnp.float32)))
    expected = np.sum((y - x @ solution) ** 2) + solution @ penalty @ solution
    assert abs(values.mean() - expected) < 4 * values.std() / np.sqrt(draws)
    assert (np.abs(slopes.mean(0)) < 4 * slopes.std(0) / np.sqrt(draws)).all()
    elsewhere = np.asarray(found(jnp.asarray(plain, jnp.float32))[1], np.float64)
    assert (np.abs(elsewhere.mean(0)) > 10 * elsewhere.std(0) / np.sqrt(draws)).any()


@pytest.mark.notes("S0-29")
def test_what_dropout_makes_of_hidden_units_some_input_makes_too(key):
    """Bouthillier et al. 2015: a layer with at most as many units as inputs; x* = x + W⁺·(wanted − z)."""
    layer, x = jn.dense(6), jax.random.normal(key, (5, 9))
    params, _ = init(layer, jax.random.key(1), x)
    z = apply(layer, params, (), x)[0]
    hidden = jax.nn.relu(z)
    dropped = apply(jn.dropout(0.5, mode="vanilla"), {}, (), hidden, key=jax.random.key(2), train=True)[0]
    wanted = jnp.where(dropped > 0, z, jnp.minimum(z, -0.1))  # off where it was dropped
    moved = x + (wanted - z) @ jnp.linalg.pinv(params["kernel"])
    assert (np.asarray(dropped) != np.asarray(hidden)).any()
    np.testing.assert_allclose(jax.nn.relu(apply(layer, params, (), moved)[0]), dropped, atol=1e-5)


@pytest.mark.full
@pytest.mark.notes("S0-27", "S4-49")
def test_units_trained_with_dropout_do_without_each_other():
    """Any half of them may go: networks trained without it then err more than twice as often."""
    x, y = jn.digits()
    x, y = jnp.asarray(x / 16, jnp.float32), jnp.asarray(y)
    model = jn.mlp([64, 10], dropout=0.5)

    def run(rate, seed):
        key, own = jax.random.key(seed), jn.mlp([64, 10], dropout=rate)
        params, _ = init(own, key, x[:1])

        def step(params, i):
            now = jax.random.fold_in(key, i)
            chosen = jax.random.randint(now, (64,), 0, len(x))

            def loss(params):
                logits = apply(own, params, (), x[chosen], key=now, train=True)[0]
                return jnp.mean(jn.softmax_cross_entropy(logits, y[chosen]))

            return jax.tree.map(lambda p, g: p - 0.3 * g, params, grad(loss)(params)), None

        params, _ = jax.lax.scan(step, params, jnp.arange(600))

        def accuracy(key):
            return jnp.mean(jnp.argmax(apply(model, params, (), x, key=key, train=True)[0], -1) == y)

        return jnp.mean(jax.vmap(accuracy)(jax.random.split(jax.random.key(9), 10)))

    grid = jax.jit(jax.vmap(jax.vmap(run, (None, 0)), (0, None)))
    without, with_it = 1 - np.median(grid(jnp.array([0.0, 0.5]), jnp.arange(3)), axis=1)
    assert with_it < 0.5 * without
