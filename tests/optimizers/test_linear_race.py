"""The race on a line: w·x + b fitted to y = 2x + 3 + N(0, 0.2), 100 points, batches of 5, from zero.

The notes' source counts iterations of one run: Adam 107, momentum 128, RMSProp 130, SGD 148. Over many data
sets and orders the first three keep that order. SGD is not the last: momentum at 0.05 with β = 0.9 starts
slowly and overtakes SGD at 0.5 only below the notes' stopping loss. The notes' SGD was unlucky in one run.
"""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

from jaxopt_notes.data import epoch_batches
from jaxopt_notes.optimizers import apply_updates, evaluation_params
from jaxopt_notes.studies.linear_race import runners
from tests.optimizers.runs import descend

RUNNERS = runners()
POINTS, BATCH, EPOCHS, SEEDS = 100, 5, 100, 201


def half_square(line, x, y):
    return jnp.mean((line[0] * x + line[1] - y) ** 2) / 2


@jax.jit
def losses(optimizer, key):
    """Of all points after each iteration, beside the least that a line has, by the closed form."""
    draws, noise, shuffles = jax.random.split(key, 3)
    x = jax.random.uniform(draws, (POINTS,))
    y = 2 * x + 3 + 0.2 * jax.random.normal(noise, (POINTS,))
    slope = jnp.mean((x - x.mean()) * (y - y.mean())) / jnp.var(x)
    least = half_square((slope, y.mean() - slope * x.mean()), x, y)

    def step(carry, batch):
        line, state = carry
        updates, state = optimizer.update(jax.grad(half_square)(line, x[batch], y[batch]), state, line)
        line = apply_updates(line, updates)
        return (line, state), half_square(evaluation_params(optimizer, line, state), x, y)

    line = jnp.zeros(2)
    keys = jax.random.split(shuffles, EPOCHS)
    batches = jax.vmap(lambda key: epoch_batches(key, POINTS, BATCH).indices)(keys).reshape(-1, BATCH)
    return lax.scan(step, (line, optimizer.init(line)), batches)[1], least


@pytest.fixture(scope="module")
def iterations():
    """Until within 2% of the least loss (the notes' 0.02 beside 0.0196), [seeds]; past the end for never."""
    keys = jax.random.split(jax.random.key(0), SEEDS)

    def count(optimizer):
        curve, least = jax.vmap(losses, in_axes=(None, 0))(optimizer, keys)
        near = np.asarray(curve <= 1.02 * least[:, None])
        return np.where(near.any(1), near.argmax(1) + 1, near.shape[1] + 1)

    return {name: count(optimizer) for name, optimizer in RUNNERS.items()}


@pytest.mark.full
@pytest.mark.notes("X-03")
def test_adam_before_momentum_before_rmsprop(iterations):
    middle = {name: np.median(counts) for name, counts in iterations.items()}
    assert middle["adam"] < middle["momentum"] < middle["rmsprop"] < middle["adagrad"]
    assert middle["nesterov"] < middle["momentum"]
    # The distances of the notes: 1 : 1.2 : 1.2.
    assert 1.0 < middle["momentum"] / middle["adam"] < 1.4
    for name in ("sgd", "momentum", "nesterov", "adagrad", "rmsprop", "adam"):
        assert (iterations[name] <= POINTS // BATCH * EPOCHS).all()  # all arrive within the notes' 100 epochs
    assert np.median(iterations["adadelta"]) > middle["adagrad"]  # the notes give it no rate


@pytest.mark.full
@pytest.mark.notes("X-03")
def test_sgd_is_not_the_last(iterations):
    """It comes in before momentum in most races, and rarely with the 1.16 times of the notes behind it."""
    behind = iterations["sgd"] / iterations["momentum"]
    assert np.median(behind) < 1
    assert np.mean(behind >= 148 / 128) < 0.25


@pytest.mark.notes("X-03")
def test_momentum_is_behind_at_first_and_ahead_later(x64):
    """Without noise, along the slow direction of E[(x, 1)(x, 1)ᵀ], λ ≈ 0.066: 1 − ηλ against √β a step."""
    hessian = np.array([[1 / 3, 1 / 2], [1 / 2, 1]])
    value, vector = np.linalg.eigh(hessian)
    direction = jnp.asarray(vector[:, 0])

    def distances(optimizer):
        line, _ = descend(optimizer, lambda line: jnp.asarray(hessian) @ line, direction, 160)
        return np.asarray(line @ direction)

    plain, heavy = distances(RUNNERS["sgd"]), distances(RUNNERS["momentum"])
    turns = np.arange(161)
    np.testing.assert_allclose(plain, (1 - 0.5 * value[0]) ** turns, rtol=1e-9)
    # z² − (1 + β − ηλ)z + β has the roots √β·exp(±iω); x₀ = 1 and x₁ = 1 − ηλ.
    middle = 1 + 0.9 - 0.05 * value[0]
    omega = np.arccos(middle / 2 / np.sqrt(0.9))
    sine = ((1 - 0.05 * value[0]) / np.sqrt(0.9) - np.cos(omega)) / np.sin(omega)
    closed = 0.9 ** (turns / 2) * (np.cos(omega * turns) + sine * np.sin(omega * turns))
    np.testing.assert_allclose(heavy, closed, rtol=0, atol=1e-9)
    assert (plain[1:40] < heavy[1:40]).all()
    assert (plain[60:] > np.abs(heavy[60:])).all()
