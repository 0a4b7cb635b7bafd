"""Leaves that are not trained: no state, no gradient, no change."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxopt_notes.layers import dense, mlp
from jaxopt_notes.losses import mean_squared_error
from jaxopt_notes.optimizers import adam, nesterov, sgd
from jaxopt_notes.training import Trainer, train_step
from jaxopt_notes.transfer import start_from

RNG = np.random.default_rng(0)
X = RNG.normal(size=(16, 3)).astype(np.float32)
Y = RNG.normal(size=(16, 2)).astype(np.float32)
HEAD = {"layers_0": False, "layers_2": False, "layers_4": True}


def make(optimizer=None, **options):
    optimizer = sgd(0.1) if optimizer is None else optimizer
    options = {"metric": None, "batch_size": 4} | options
    return Trainer(mlp([8, 8, 2], "tanh"), optimizer, mean_squared_error, **options)


@pytest.mark.notes("S1-79", "X-18")
@pytest.mark.usefixtures("compiled_as_for_users")
def test_frozen_layers_cost_a_forward_pass_and_nothing_else():
    """Of a step with layers 64-64-64-10 all gradients are two thirds; the head's alone is one product."""
    model, batch = mlp([64, 64, 10], "relu"), 32
    x, y = jnp.ones((batch, 64)), jnp.ones((batch, 10))

    def program(trainable):
        trainer = Trainer(model, adam(1e-3), mean_squared_error, metric=None, trainable=trainable)
        learner = jax.eval_shape(trainer.init, jax.random.key(0), (x, y)).learner
        step = jax.jit(lambda *args: train_step(trainer, *args, jax.random.key(0)))
        compiled = step.lower(learner, (x, y), jnp.ones(batch)).compile()
        return compiled.cost_analysis()["flops"], learner.opt_state

    (everything, _), (head, state) = program(None), program({**HEAD, "layers_0": False})
    products = [2 * batch * rows * columns for rows, columns in ((64, 64), (64, 64), (64, 10))]
    forward = sum(products)
    assert everything > 2.6 * forward  # all products once forward, twice backward but for the first
    assert head < forward + products[-1] + 0.1 * forward
    shapes = {leaf.shape for leaf in jax.tree.leaves(state)}
    assert shapes == {(), (64, 10), (10,)}


@pytest.mark.notes("S1-79")
@pytest.mark.parametrize("optimizer", [adam(0.05), nesterov(0.05)], ids=["adam", "nesterov"])
def test_a_frozen_network_is_its_features(optimizer):
    """Training the head alone is training a dense layer on what the frozen layers make of the data."""
    trainer = make(optimizer, trainable=HEAD)

    @jax.jit
    def both(key):
        state = trainer.init(key, (X, Y))
        after, history = trainer.advance(state, (X, Y), (X, Y), epochs=3)
        h = jnp.asarray(X)
        for name in ("layers_0", "layers_2"):
            h = jnp.tanh(h @ state.params[name]["kernel"] + state.params[name]["bias"][None, :])
        alone = Trainer(dense(2), optimizer, mean_squared_error, metric=None, batch_size=4)
        begin = start_from(alone, key, (h, Y), state.params["layers_4"])
        other, expected = alone.advance(begin._replace(key=state.key), (h, Y), (h, Y), epochs=3)
        return state.params, after, history, other, expected

    before, after, history, other, expected = both(jax.random.key(0))
    for name in ("loss", "valid_loss"):
        np.testing.assert_allclose(history[name], expected[name], rtol=1e-4)
    for name in ("kernel", "bias"):
        np.testing.assert_allclose(
            after.best_params["layers_4"][name], other.best_params[name], rtol=1e-3, atol=1e-5
        )
        for layer in ("layers_0", "layers_2"):
            np.testing.assert_array_equal(after.params[layer][name], before[layer][name])
