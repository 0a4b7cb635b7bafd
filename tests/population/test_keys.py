"""Members are what they would be alone, whichever generator their keys are of."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxopt_notes as jn
from jaxopt_notes.population import population_map, threefry_keys

GENERATORS = ["rbg", "unsafe_rbg"]


def noise(config, key):
    return config * jax.random.normal(key, (3,))


@pytest.mark.parametrize("impl", GENERATORS)
def test_members_of_any_generator_are_what_they_are_alone(impl):
    keys = jax.random.split(jax.random.key(0, impl=impl), 5)
    keys = keys[np.array([0, 0, 1, 2, 3])]
    with pytest.warns(UserWarning, match="threefry"):
        small = population_map(noise, np.ones(5, np.float32), keys, chunk_size=2, batch_size=2)
    with pytest.warns(UserWarning, match=f"{impl!r}"):
        large = population_map(noise, np.ones(5, np.float32), keys, chunk_size=5, batch_size=5)
    alone = np.stack([jax.random.normal(key, (3,)) for key in threefry_keys(keys)])
    np.testing.assert_array_equal(small, large)
    np.testing.assert_allclose(small, alone, rtol=1e-6)
    assert len(np.unique(small[1:], axis=0)) == 4


def test_keys_of_a_configuration_are_members_keys_too():
    keys = jax.random.split(jax.random.key(0, impl="rbg"), 3)
    with pytest.warns(UserWarning, match="threefry"):
        found = population_map(
            lambda config, key: noise(1.0, config), keys, jax.random.split(jax.random.key(1), 3)
        )
    np.testing.assert_allclose(found, jax.vmap(lambda key: noise(1.0, key))(threefry_keys(keys)), rtol=1e-6)


def test_keys_of_threefry_stay_as_they_are():
    key = jax.random.key(3)
    assert (threefry_keys(key) == key).all()


def test_all_words_of_a_key_count():
    words = np.tile(np.uint32([1, 2, 3, 4]), (5, 1)) + np.eye(5, 4, dtype=np.uint32)
    keys = threefry_keys(jax.random.wrap_key_data(jnp.asarray(words), impl="unsafe_rbg"))
    assert len(np.unique(jax.random.key_data(keys), axis=0)) == 5


def test_equal_configurations_of_a_sweep_score_the_same_in_chunks_of_any_size():
    x = jnp.linspace(-1, 1, 16)[:, None]
    model = jn.serial(jn.dense(4), jn.dropout(0.5), jn.dense(1))

    def build(h):
        return jn.Trainer(model, jn.sgd(h["rate"]), jn.mean_squared_error, metric=None, batch_size=8)

    space, key = {"rate": jn.choice([0.1, 0.1, 0.1])}, jax.random.key(0, impl="rbg")

    def scores(key, size):
        results = jn.sweep(
            build, space, ((x, 2 * x), (x, 2 * x)), jn.grid_search(3), epochs=2, key=key, chunk_size=size,
            batch_size=size, progress=False,
        )  # fmt: skip
        return np.asarray(results.scores)

    with pytest.warns(UserWarning, match="sweep"):
        found = scores(key, 3)
    assert np.ptp(found) == 0
    np.testing.assert_allclose(found, scores(threefry_keys(key), 1), rtol=1e-5)
