"""Penalties that run the model: their formulas on linear networks, in a training step, added up."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxopt_notes.layers import dense, mlp, serial
from jaxopt_notes.losses import mean_squared_error
from jaxopt_notes.optimizers import sgd
from jaxopt_notes.penalties import (
    activity_penalty,
    add_penalties,
    gradient_penalty,
    jacobian_penalty,
    l2,
)
from jaxopt_notes.training import Trainer, train_step
from tests.compiled import compiled, grad

mean_squared_error = compiled(mean_squared_error)

RNG = np.random.default_rng(0)
X, Y, W = RNG.normal(size=(5, 3)), RNG.normal(size=(5, 2)), RNG.normal(size=(3, 2))
WEIGHTS = np.array([1.0, 2.0, 0.0, 1.0, 1.0])
PARAMS = {"kernel": jnp.asarray(W, jnp.float32), "bias": jnp.zeros(2)}


@pytest.mark.usefixtures("x64")
def test_values_of_a_linear_model():
    """J = Wᵀ; of the squared error e²/2 + …, ∂ℓ/∂x = W·∂ℓ/∂y; random projections are right on average."""
    model, params = serial(dense(2)), {"layers_0": {"kernel": jnp.asarray(W), "bias": jnp.zeros(2)}}

    @jax.jit
    def costs(params, x, y, weights):
        def run(penalty, key=None):
            outputs, _, cost = penalty.apply(model, params, (), x, y, weights, key=key)
            return cost, outputs

        keys = jax.random.split(jax.random.key(0), 2000)
        exact, outputs = run(jacobian_penalty(0.5, None))
        random = jax.vmap(lambda key: run(jacobian_penalty(0.5, 2), key)[0])(keys)
        gradient = run(gradient_penalty(0.5, mean_squared_error, length=0.3))[0]
        active = [run(activity_penalty(0.5, lambda path: True, norm))[0] for norm in ("l1", "l2")]
        return exact, outputs, random, gradient, active

    data = (jnp.asarray(a) for a in (X, Y, WEIGHTS))
    exact, outputs, random, gradient, active = costs(params, *data)
    np.testing.assert_allclose(outputs, X @ W, rtol=1e-12)
    np.testing.assert_allclose(exact, 0.25 * (W**2).sum(), rtol=1e-12)
    np.testing.assert_allclose(random.mean(), exact, rtol=4 * random.std() / 2000**0.5 / exact)
    assert random.std() > 0.01
    share = WEIGHTS / WEIGHTS.sum()
    slopes = (2 / 2 * (X @ W - Y)) @ W.T  # the mean over two outputs
    lengths = np.sqrt((slopes**2).sum(axis=1))
    np.testing.assert_allclose(gradient, 0.5 * share @ (lengths - 0.3) ** 2, rtol=1e-9)
    np.testing.assert_allclose(active[0], 0.5 * share @ np.abs(X @ W).sum(axis=1), rtol=1e-12)
    np.testing.assert_allclose(active[1], 0.25 * share @ ((X @ W) ** 2).sum(axis=1), rtol=1e-12)


def test_a_training_step_minimizes_loss_and_penalty():
    """The gradient is that of both, the reported loss that of the loss alone; parts are added up."""
    model = serial(dense(4), jnp.tanh, dense(2))
    params, _ = model.init(jax.random.key(0), jnp.asarray(X, jnp.float32))
    x, y, weights = (jnp.asarray(a, jnp.float32) for a in (X, Y, WEIGHTS))
    penalty = add_penalties(l2(0.3), activity_penalty(0.7, "layers_1"))

    def objective(params):
        hidden = jnp.tanh(x @ params["layers_0"]["kernel"] + params["layers_0"]["bias"][None, :])
        outputs = hidden @ params["layers_2"]["kernel"] + params["layers_2"]["bias"][None, :]
        share = weights / weights.sum()
        loss = share @ jnp.mean((outputs - y) ** 2, axis=1)
        squares = sum(jnp.sum(params[name]["kernel"] ** 2) for name in params)
        return loss + 0.15 * squares + 0.7 * share @ jnp.abs(hidden).sum(axis=1), loss

    @jax.jit
    def both(params):
        trainer = Trainer(model, sgd(1.0), mean_squared_error, penalty, metric=None)
        learner = trainer.init(jax.random.key(0), (x, y)).learner._replace(params=params)
        stepped, loss = train_step(trainer, learner, (x, y), weights, jax.random.key(1))
        return stepped.params, loss, grad(objective, has_aux=True)(params)

    stepped, loss, (slopes, expected) = both(params)
    np.testing.assert_allclose(loss, expected, rtol=1e-6)
    for (path, new), old, slope in zip(
        jax.tree.leaves_with_path(stepped), jax.tree.leaves(params), jax.tree.leaves(slopes), strict=True
    ):
        np.testing.assert_allclose(new, old - slope, rtol=1e-5, atol=1e-6, err_msg=str(path))


def test_the_outputs_are_those_of_the_model_with_its_noise():
    """Each example of a batch alone, dropout as in training, the activations of the very same pass."""
    model, x = mlp([8, 2], dropout=0.5), jnp.asarray(X, jnp.float32)
    params, state = model.init(jax.random.key(0), x)

    @jax.jit
    def run(key):
        y, _, cost = activity_penalty(1.0, "layers_3", "l2").apply(model, params, state, x, key=key)
        return y, cost, model.apply(params, state, x, key=key, train=True)[0]

    y, cost, expected = run(jax.random.key(1))
    np.testing.assert_array_equal(y, expected)
    np.testing.assert_allclose(cost, 0.5 * np.mean(np.sum(np.asarray(y) ** 2, axis=1)), rtol=1e-6)


def test_what_is_refused():
    x = jnp.ones((4, 3))
    with pytest.raises(ValueError, match=r"'layers_7'.*the model has layers_0, layers_1"):
        activity_penalty(1.0, "layers_7").apply(serial(jnp.sin, jnp.cos), {}, (), x)
    with pytest.raises(ValueError, match=r"shape \(4, 2\), expected one for each example"):
        gradient_penalty(1.0).apply(dense(2), PARAMS, (), x)
    with pytest.raises(ValueError, match="needs key="):
        jacobian_penalty(1.0).apply(dense(2), PARAMS, (), x)
    with pytest.raises(TypeError, match="add_penalties has 3"):
        add_penalties(l2(1.0), 3)
