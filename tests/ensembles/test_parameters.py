"""Snapshots of one run, averages of parameters, running statistics taken anew."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxopt_notes.ensembles import average, average_parameters, refresh_state, snapshot_members
from jaxopt_notes.layers import batch_norm, dense, serial
from jaxopt_notes.losses import mean_squared_error
from jaxopt_notes.optimizers import chain, clip_by_global_norm, sgd, snapshots
from jaxopt_notes.schedules import sgdr
from jaxopt_notes.training import Trainer

RNG = np.random.default_rng(0)
X = RNG.normal(size=(8, 2)).astype(np.float32)
Y = X @ np.array([[1.0], [2.0]], np.float32)


@pytest.mark.notes("S1-69")
def test_snapshots_are_the_parameters_at_the_ends_of_cycles():
    """After 9 steps with cycles of 3: the run after 3, 6 and 9, found inside of chain and guard."""
    optimizer = chain(clip_by_global_norm(10.0), snapshots(sgd(sgdr(0.1, 3, t_mul=1.0)), 3, number=4))
    trainer = Trainer(dense(1), optimizer, mean_squared_error, metric=None, batch_size=8)
    state, kept = trainer.init(jax.random.key(0), (X, Y)), []
    for _ in range(3):
        state, _ = trainer.advance(state, (X, Y), epochs=3)
        kept.append(state.params)
    members, present = snapshot_members(trainer, state)
    assert present.tolist() == [False, True, True, True]
    for i, params in enumerate(kept):
        np.testing.assert_array_equal(members.params["kernel"][i + 1], params["kernel"])
    together = jax.jit(lambda members: average(members.predict(X), present))(members)
    mean = np.mean([X @ np.asarray(p["kernel"]) + np.asarray(p["bias"]) for p in kept], axis=0)
    np.testing.assert_allclose(together, mean, rtol=1e-5, atol=1e-6)
    plain = Trainer(dense(1), sgd(0.1), mean_squared_error, metric=None)
    with pytest.raises(TypeError, match="without snapshots"):
        snapshot_members(plain, plain.init(jax.random.key(0), (X, Y)))


def test_averages_of_parameters():
    params = {
        "kernel": np.float32([[1, 2], [3, 6]]),
        "steps": np.array([4, 5], np.int32),
        "half": np.ones(2, jnp.bfloat16),
    }
    mean = jax.jit(average_parameters)(params, np.float32([3, 1]))
    np.testing.assert_allclose(mean["kernel"], [1.5, 3.0])
    assert mean["steps"] == 4
    assert mean["half"].dtype == jnp.bfloat16


def test_statistics_are_those_of_the_new_parameters():
    """Batch by batch, as the layer itself moves them: 0.9·m + 0.1·mean of x·w, four times."""
    model = serial(dense(1, use_bias=False), batch_norm())

    @jax.jit
    def refreshed(x):
        params, state = model.init(jax.random.key(0), x)
        params["layers_0"]["kernel"] = jnp.array([[2.0], [-1.0]])
        return refresh_state(model, params, state, x, batch_size=2), state

    after, _ = refreshed(jnp.asarray(X))
    mean = 0.0
    for batch in (X @ np.array([2.0, -1.0])).reshape(4, 2):
        mean = 0.9 * mean + 0.1 * batch.mean()
    np.testing.assert_allclose(after["layers_1"]["mean"], [mean], rtol=1e-5)
