"""A training step: what an optimizer is given beside the gradient, and losses scaled for half precision."""

import dataclasses
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxopt_notes.data import sample_pairing
from jaxopt_notes.layers import batch_norm
from jaxopt_notes.losses import mean_squared_error
from jaxopt_notes.optimizers import (
    AdamW,
    adam,
    adamw,
    chain,
    clip_by_global_norm,
    dynamic_loss_scale,
    ema_params,
    reduce_on_plateau,
    schedule_free_sgd,
    sgd,
    skip_nonfinite,
    static_loss_scale,
)
from jaxopt_notes.record import record
from jaxopt_notes.schedules.plateau import plateau
from jaxopt_notes.training.fit import fit
from jaxopt_notes.training.step import train_step
from jaxopt_notes.training.trainer import Trainer
from tests.training.linear import Linear, regression, squared


def make(optimizer, **kwargs):
    return Trainer(Linear(0.3), optimizer, squared, **{"metric": None, "batch_size": 4} | kwargs)


class Seen(NamedTuple):
    """What the optimizer was given at the last step."""

    value: jax.Array
    at_origin: jax.Array
    grad: Any


@record
class Diary:
    """Gradient descent that writes down the further arguments of `update`."""

    def init(self, params):
        zero = jnp.zeros(())
        return Seen(zero, zero, jax.tree.map(jnp.zeros_like, params))

    def update(self, updates, state, params=None, *, value, grad, value_fn, **extra):
        origin = jax.tree.map(jnp.zeros_like, params)
        return jax.tree.map(lambda g: -0.1 * g, updates), Seen(value, value_fn(origin), grad)


@pytest.mark.parametrize("wrap", [lambda o: o, skip_nonfinite, lambda o: static_loss_scale(o, 8.0)])
def test_an_optimizer_is_given_the_objective_its_gradient_and_its_function(wrap, key):
    """All of the penalized loss of this batch, unscaled, whatever is around the optimizer."""
    x, y = regression(4)
    trainer = make(wrap(Diary()), penalty=lambda params: jnp.sum(params["w"] ** 2))

    @jax.jit
    def step(x, y):
        return train_step(trainer, trainer.init(key, (x, y)).learner, (x, y), jnp.ones(4), key)

    after, loss = jax.device_get(step(x, y))
    seen = after.opt_state
    while hasattr(seen, "inner"):
        seen = seen.inner
    residual = x @ np.full(3, 0.3) + 0.3 - y
    np.testing.assert_allclose(loss, np.mean(residual**2), rtol=1e-5)
    np.testing.assert_allclose(seen.value, np.mean(residual**2) + 3 * 0.3**2, rtol=1e-5)
    np.testing.assert_allclose(seen.at_origin, np.mean(y**2), rtol=1e-5)
    np.testing.assert_allclose(seen.grad["w"], 2 * x.T @ residual / 4 + 0.6, rtol=1e-4)
    np.testing.assert_allclose(after.params["w"], 0.3 - 0.1 * seen.grad["w"], rtol=1e-5)


@pytest.mark.usefixtures("compiled_as_for_users")
def test_who_does_not_look_pays_nothing(key):
    """The program costs what it costs for an optimizer that is given nothing but gradients, to the byte."""
    data = regression(32)

    def program(optimizer):
        trainer = make(optimizer, penalty=lambda params: jnp.sum(params["w"] ** 2))
        learner = jax.eval_shape(trainer.init, key, data).learner
        lowered = jax.jit(lambda *args: train_step(trainer, *args)).lower(learner, data, jnp.ones(32), key)
        analysis = lowered.compile().cost_analysis()
        return analysis["flops"], analysis["bytes accessed"], analysis["transcendentals"]

    for recipe in (adamw(1e-3), chain(clip_by_global_norm(1.0), adamw(1e-3))):
        secretive = jax.tree.map(
            lambda part: Secretive(part) if isinstance(part, AdamW) else part,
            recipe, is_leaf=lambda part: isinstance(part, AdamW),
        )  # fmt: skip
        assert program(recipe) == program(secretive)


@record
class Secretive:
    """An optimizer behind one that hands on none of the further arguments."""

    optimizer: Any
    gated = True

    def init(self, params):
        return self.optimizer.init(params)

    def update(self, updates, state, params=None, *, accept=None, **extra):
        return self.optimizer.update(updates, state, params, accept=accept)


def test_optimizers_that_take_nothing_further_serve_as_before(key):
    @record
    class Plain:
        rate: float

        def init(self, params):
            return ()

        def update(self, updates, state, params=None):
            return jax.tree.map(lambda g: -self.rate * g, updates), state

    data = regression()
    for optimizer in (Plain(0.1), chain(clip_by_global_norm(jnp.inf), Plain(0.1))):
        found, _ = make(optimizer).advance(make(optimizer).init(key, data), data, None, 3)
        expected, _ = make(sgd(0.1)).advance(make(sgd(0.1)).init(key, data), data, None, 3)
        np.testing.assert_allclose(found.params["w"], expected.params["w"], rtol=1e-6)


def test_a_plateau_in_the_chain_sees_the_loss_of_every_step(key):
    """With a rate of 0 nothing improves, and the scale shrinks every second step."""
    x, y = regression(8)
    optimizer = chain(sgd(0.0), reduce_on_plateau(plateau(0.5, patience=1)))
    trainer = make(optimizer, batch_size=8)
    state, _ = trainer.advance(trainer.init(key, (x, y)), (x, y), None, 5)
    assert float(state.learner.opt_state.inner[1].scale) == 0.5**4


@record
class Network:
    """A hidden layer of eight, in float16."""

    def init(self, key, x):
        keys = jax.random.split(key)
        draw = lambda key, *shape: jax.random.normal(key, shape, jnp.float16) / np.float16(shape[0] ** 0.5)  # noqa: E731
        return {"hidden": draw(keys[0], x.shape[-1], 8), "out": draw(keys[1], 8, 1)}, ()

    def apply(self, params, state, x, *, key=None, train=False):
        return (jnp.tanh(x @ params["hidden"]) @ params["out"])[:, 0], state


@pytest.mark.notes("S0-33", "S0-37")
@pytest.mark.parametrize("scaled", [False, True])
def test_float16_training_needs_a_loss_scale(scaled, key):
    """A loss in units so small that its slope, 1e-7 over 16 examples, is 0 in float16 unless scaled."""
    x, _ = regression(16, dtype=np.float16)
    y = np.tanh(x @ np.array([1.0, -1.0, 0.5], np.float16))
    loss = lambda outputs, targets: jnp.float16(1e-7) * (outputs - targets) ** 2  # noqa: E731
    optimizer = adam(0.03, eps=1e-12)
    optimizer = dynamic_loss_scale(optimizer) if scaled else optimizer
    trainer = Trainer(Network(), optimizer, loss, metric=None, batch_size=16)
    start = trainer.init(key, (x, y))
    state, history = trainer.advance(start, (x, y), None, 300)
    assert history["skipped"].sum() < 5
    if not scaled:
        jax.tree.map(np.testing.assert_array_equal, state.params, start.params)
        return
    errors = [np.mean((np.float32(Network().apply(s.params, (), x)[0]) - y) ** 2) for s in (start, state)]
    assert state.params["hidden"].dtype == jnp.float16
    assert errors[1] < 0.05 * errors[0]


def test_a_scale_that_is_too_large_is_lowered_while_training(key):
    data = regression(8, dtype=np.float16)
    trainer = make(dynamic_loss_scale(sgd(0.05), 2.0**24), batch_size=8)
    state, history = trainer.advance(trainer.init(key, data), data, None, 40)
    assert history["skipped"][0] == 1
    assert history["skipped"][-1] == 0
    assert float(state.learner.opt_state.inner.scale) < 2.0**24
    assert history["loss"][-1] < 0.2 * history["loss"][0]


@pytest.mark.notes("S1-70")
@pytest.mark.parametrize("optimizer", [schedule_free_sgd(0.1), ema_params(sgd(0.1), 0.9)])
def test_validation_and_prediction_use_the_parameters_to_evaluate(optimizer, key):
    train, valid = regression(12), regression(6, seed=1)
    trainer = make(optimizer)
    result = fit(trainer, key, train, valid, epochs=4)
    learner = result.state.learner
    mean = trainer.guarded_optimizer().evaluation_params(learner.params, learner.opt_state)
    assert np.abs(np.asarray(mean["w"]) - learner.params["w"]).max() > 1e-3
    outputs = valid[0] @ np.asarray(mean["w"]) + np.asarray(mean["b"])
    loss = np.mean((outputs - valid[1]) ** 2)
    np.testing.assert_allclose(result.history["valid_loss"][-1], loss, rtol=1e-4)
    last, _ = dataclasses.replace(trainer).advance(result.state, train, None, 1)
    final = trainer.guarded_optimizer().evaluation_params(last.learner.params, last.learner.opt_state)
    np.testing.assert_array_equal(last.best_params["w"], final["w"])


@pytest.mark.notes("S0-07")
def test_an_augmentation_mixes_in_nothing_of_weight_0(key):
    x, y = regression(4)
    trainer = make(sgd(0.5), augmentation=sample_pairing())

    @jax.jit
    def loss(x):
        learner = trainer.init(key, (x, y)).learner
        return train_step(trainer, learner, (x, y), jnp.array([1.0, 1, 1, 0]), key, key)[1]

    np.testing.assert_array_equal(loss(jnp.asarray(x)), loss(jnp.asarray(x).at[3].set(1e6)))


def test_what_fills_a_batch_up_has_no_part_in_its_statistics(key):
    """The running mean of two examples, whatever is in the row of weight 0 beside them."""
    trainer = Trainer(batch_norm(momentum=0.0), sgd(0.1), mean_squared_error, metric=None, batch_size=3)
    x = jnp.asarray([[1.0], [4.0], [1e3]])
    learner = trainer.init(key, (x, x)).learner
    step = jax.jit(lambda learner, weights: train_step(trainer, learner, (x, x), weights, key)[0].model_state)
    state = step(learner, jnp.asarray([1.0, 1.0, 0.0]))
    assert 2.5 in [float(leaf[0]) for leaf in jax.tree.leaves(state)]
