"""Augmentations one after another, and in a training run."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxopt_notes.data import compose, random_crop, random_flip, random_noise, sample_pairing
from jaxopt_notes.layers import dense
from jaxopt_notes.losses import softmax_cross_entropy
from jaxopt_notes.optimizers import sgd
from jaxopt_notes.training import Trainer

RNG = np.random.default_rng(0)
X = jnp.asarray(RNG.uniform(size=(10, 4, 4, 1)), jnp.float32)


@pytest.mark.notes("S0-11", "S2-82")
def test_each_has_a_key_of_its_own():
    key = jax.random.key(3)
    flip, crop, noise = random_flip(), random_crop(1), random_noise(0.5)
    shift = lambda key, x, y: (x + 1, None if y is None else y + 1)  # noqa: E731

    @jax.jit
    def together_and_apart(x):
        own = crop(jax.random.fold_in(key, 1), flip(jax.random.fold_in(key, 0), x)[0])[0] + 1
        return *compose(flip, crop, shift, noise)(key, x, jnp.arange(10)), noise(
            jax.random.fold_in(key, 3), own
        )[0]

    x, y, expected = together_and_apart(X)
    np.testing.assert_array_equal(x, expected)
    np.testing.assert_array_equal(y, np.arange(10) + 1)
    same, labels = compose()(key, X, y)
    assert same is X
    assert labels is y
    with pytest.raises(TypeError, match=r"compose\(1\) is 0.5, expected augmentations"):
        compose(flip, 0.5)


@pytest.mark.full
@pytest.mark.notes("S0-11", "X-09")
def test_a_population_trains_with_a_strength_for_each_member(key):
    """Strength 0 is the run without; the filling of the last batch, half of it, is mixed into nothing."""
    data = X.reshape(10, -1), jnp.asarray(RNG.integers(3, size=10), jnp.int32)
    plain = Trainer(dense(3), sgd(0.5), softmax_cross_entropy, metric=None, batch_size=4)

    def train(strength):
        augment = compose(sample_pairing(strength), random_noise(strength))
        trainer = plain if strength is None else dataclasses.replace(plain, augmentation=augment)
        state, history = trainer.advance(trainer.init(key, data), data, data, 2)
        return state.params["kernel"], history["valid_loss"]

    kernels, losses = jax.jit(jax.vmap(train))(jnp.array([0.0, 0.5]))
    trainer = plain
    state, history = trainer.advance(trainer.init(key, data), data, data, 2)
    np.testing.assert_allclose(kernels[0], state.params["kernel"], rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(losses[0], history["valid_loss"], rtol=1e-5)
    assert np.abs(kernels[1] - kernels[0]).max() > 1e-2


def test_a_function_of_inputs_alone_is_refused_with_the_remedy(key):
    trainer = Trainer(dense(3), sgd(0.5), softmax_cross_entropy, augmentation=lambda key, x: x)
    with pytest.raises(
        TypeError, match=r"augmentation\) .* function of \(key, x, y\) .*\(augment\(key, x\), y\)"
    ):
        trainer.init(key, (X.reshape(10, -1), jnp.zeros(10, jnp.int32)))
