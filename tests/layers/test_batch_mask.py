"""Examples that only fill a batch count nothing in its statistics: alone, in a model, in a training run."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxopt_notes as jn
from jaxopt_notes.data import epoch_batches
from jaxopt_notes.layers import OverBatch, batch_norm, batch_renorm, conv, dense, mask_batch, serial
from tests.compiled import apply, compiled, grad, init

MASK = np.array([True, False, True, True, False])


@pytest.mark.parametrize(("make", "shape"), [(batch_norm, (5, 2, 3, 4)), (batch_renorm, (5, 3))])
@pytest.mark.parametrize("kept", [3, 1, 0])
def test_what_is_masked_might_as_well_not_be_there(make, shape, kept, x64):
    """Outputs, gradients and running statistics, also if it is NaN; with nothing left the state stays."""
    mask = MASK & (np.cumsum(MASK) <= kept)
    x = np.random.default_rng(0).normal(2, 3, shape)
    weights = np.random.default_rng(1).normal(size=shape)
    layer = make(momentum=0.5)
    params, state = init(layer, None, jnp.asarray(x))

    @jax.jit
    def run(layer, x, weights):
        def loss(params, x):
            y, after = apply(layer, params, state, x, train=True)
            return jnp.sum(weights * y), (y, after)

        return grad(loss, (0, 1), has_aux=True)(params, x)

    filled = np.where(mask.reshape(-1, *[1] * (x.ndim - 1)), x, 77.0)
    no_weight = np.where(mask.reshape(-1, *[1] * (x.ndim - 1)), weights, 0.0)
    (dparams, dx), (y, after) = jax.device_get(run(mask_batch(layer, jnp.asarray(mask)), filled, no_weight))
    if not kept:
        for name in ("mean", "var"):
            np.testing.assert_array_equal(after[name], state[name])
        assert np.isfinite(y).all()
        return
    (want_dparams, want_dx), (want_y, want) = run(layer, jnp.asarray(x[mask]), weights[mask])
    close = {"rtol": 1e-10, "atol": 1e-12}
    np.testing.assert_allclose(y[mask], want_y, **close)
    np.testing.assert_allclose(dx[mask], want_dx, **close)
    np.testing.assert_array_equal(dx[~mask], 0)
    for found, expected in ((after, want), (dparams, want_dparams)):
        jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, **close), found, expected)
    spoilt = np.where(filled == 77.0, np.nan, filled)
    _, (y, spoilt) = run(mask_batch(layer, jnp.asarray(mask)), jnp.asarray(spoilt), weights)
    jax.tree.map(np.testing.assert_array_equal, spoilt, after)
    assert np.isfinite(np.asarray(y)[mask]).all()


def test_a_mask_of_time_steps(x64):
    """Sequences filled up to one length: the statistics are of all steps that are there."""
    x = np.random.default_rng(0).normal(size=(3, 4, 2))
    mask = np.arange(4) < np.array([[4], [1], [2]])
    layer = mask_batch(batch_norm(momentum=0.0), jnp.asarray(mask))
    params, state = init(layer, None, jnp.asarray(x))
    _, state = apply(layer, params, state, jnp.asarray(x), train=True)
    np.testing.assert_allclose(state["mean"], x[mask].mean(0), rtol=1e-12)
    np.testing.assert_allclose(state["var"], x[mask].var(0, ddof=1), rtol=1e-12)


def test_every_layer_over_the_batch_is_told_and_nothing_else_changes():
    model = serial(conv(2), batch_norm(), jnp.tanh, serial(dense(3), batch_renorm()))
    mask = jnp.array([True, False])
    told = mask_batch(model, mask)
    over = [
        n for n in jax.tree.leaves(told, is_leaf=lambda n: isinstance(n, OverBatch)) if hasattr(n, "mask")
    ]
    assert [layer.mask is mask for layer in over] == [True, True]
    assert jax.tree.structure(mask_batch(told, None)) == jax.tree.structure(model)


def test_a_mask_that_does_not_fit_is_refused():
    layer = mask_batch(batch_norm(), jnp.ones(3, bool))
    x = jnp.ones((6, 2))
    params, state = init(layer, None, x)
    with pytest.raises(ValueError, match=r"x \(6, 2\) has a mask of shape \(3,\)"):
        apply(layer, params, state, x, train=True)


@pytest.mark.notes("S3-49", "S4-61")
def test_a_training_run_has_the_statistics_of_a_short_last_batch(key):
    """Seven examples, batches of three: the running mean is that of batches of 3, 3 and 1."""
    x = np.asarray(jax.random.normal(key, (7, 2))) + np.float32(3)
    model = serial(batch_norm(0.5), dense(1))
    trainer = jn.Trainer(model, jn.sgd(0.0), jn.mean_squared_error, metric=None, batch_size=3)
    data = (jnp.asarray(x), jnp.zeros((7, 1)))
    start = trainer.init(key, data)
    state, history = trainer.advance(start, data)
    order, _ = jax.random.split(jax.random.fold_in(start.key, 0))
    batches = compiled(epoch_batches)(order, 7, 3)
    mean, loss = np.zeros(2), 0.0
    params = jax.tree.map(lambda leaf: np.asarray(leaf, np.float64), start.params["layers_1"])
    for rows, weights in zip(*map(np.asarray, batches), strict=True):
        batch = x[rows[weights > 0]].astype(np.float64)
        mean = 0.5 * mean + 0.5 * batch.mean(0)
        hat = (batch - batch.mean(0)) / np.sqrt(batch.var(0) + 1e-5)
        loss += ((hat @ params["kernel"] + params["bias"]) ** 2).sum() / 7
    np.testing.assert_allclose(state.learner.model_state["layers_0"]["mean"], mean, rtol=1e-5)
    np.testing.assert_allclose(history["loss"][0], loss, rtol=1e-4)
