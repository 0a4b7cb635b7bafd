"""Gradients of single examples, clipped one by one, with noise."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxopt_notes.optimizers import adam, apply_updates, chain, clip_per_example

RNG = np.random.default_rng(0)
PARAMS = {"kernel": jnp.ones((3, 2)), "bias": jnp.zeros(3)}
GRADS = {
    "kernel": RNG.normal(size=(5, 3, 2)).astype(np.float32) * 10.0 ** np.arange(-2, 3)[:, None, None],
    "bias": RNG.normal(size=(5, 3)).astype(np.float32),
}


@jax.jit
def aggregate(clip, grads=GRADS):
    return clip.update(grads, clip.init(PARAMS), PARAMS)[0]


def test_without_noise_it_is_the_mean_of_clipped_gradients():
    found = aggregate(clip_per_example(2.0, 0.0))
    norms = np.sqrt((GRADS["kernel"] ** 2).sum((1, 2)) + (GRADS["bias"] ** 2).sum(1))
    assert (norms > 2).any()
    assert (norms < 2).any()
    for name, grads in GRADS.items():
        factor = np.minimum(1, 2 / norms).reshape(5, *[1] * (grads.ndim - 1))
        np.testing.assert_allclose(found[name], (factor * grads).mean(axis=0), rtol=1e-5)


def test_the_noise_is_a_multiple_of_the_threshold_over_the_batch():
    clip = jax.vmap(lambda seed: aggregate(clip_per_example(2.0, 1.5, seed))["kernel"])
    noise = np.asarray(clip(jnp.arange(3000))) - np.asarray(aggregate(clip_per_example(2.0, 0.0))["kernel"])
    np.testing.assert_allclose(np.std(noise, axis=0), 2.0 * 1.5 / 5, rtol=0.08)
    np.testing.assert_allclose(np.mean(noise, axis=0), 0, atol=5 * 0.6 / 3000**0.5)


def test_no_example_moves_the_sum_by_more_than_the_threshold():
    """One of them replaced by anything at all, also by what is not finite."""
    clip = clip_per_example(1.0, 0.0)
    for other in (1e30, -1e-30, jnp.inf, jnp.nan):
        changed = jax.tree.map(lambda g, other=other: jnp.asarray(g).at[2].set(other), GRADS)
        moved = jax.tree.map(lambda a, b: 5 * (a - b), aggregate(clip), aggregate(clip, changed))
        assert float(jnp.sqrt(sum(jnp.sum(m**2) for m in jax.tree.leaves(moved)))) <= 2.0 + 1e-5
    removed = jax.tree.map(lambda g: jnp.asarray(g).at[2].set(jnp.nan), GRADS)
    moved = jax.tree.map(lambda a, b: 5 * (a - b), aggregate(clip), aggregate(clip, removed))
    assert float(jnp.sqrt(sum(jnp.sum(m**2) for m in jax.tree.leaves(moved)))) <= 1.0 + 1e-5


def test_steps_differ_and_seeds_repeat():
    clip = clip_per_example(1.0, 1.0, seed=3)
    state = clip.init(PARAMS)
    first, after = clip.update(GRADS, state, PARAMS)
    second, _ = clip.update(GRADS, after, PARAMS)
    again, _ = clip.update(GRADS, state, PARAMS)
    assert np.abs(first["bias"] - second["bias"]).min() > 0
    jax.tree.map(np.testing.assert_array_equal, first, again)
    zero, same = clip.update(GRADS, state, PARAMS, accept=jnp.array(False))
    assert not zero["kernel"].any()
    assert int(same.count) == 0


def test_private_training_of_a_line():
    """With `vmap` over examples and Adam behind it: within the noise of the truth."""
    x = jnp.linspace(-1, 1, 64)
    optimizer = chain(clip_per_example(1.0, 0.5), adam(0.03))

    def loss(w, x, y):
        return (w[0] * x + w[1] - y) ** 2

    @jax.jit
    def step(w, state):
        grads = jax.vmap(jax.grad(loss), (None, 0, 0))(w, x, 2 * x - 1)
        updates, state = optimizer.update(grads, state, w)
        return apply_updates(w, updates), state

    w, state = jnp.zeros(2), optimizer.init(jnp.zeros(2))
    for _ in range(300):
        w, state = step(w, state)
    np.testing.assert_allclose(w, [2, -1], atol=0.1)


def test_types_of_half_precision_and_of_leaves_without_gradients():
    params = {"w": jnp.ones(2, jnp.float16), "n": jnp.arange(3), "none": jnp.ones(1)}
    grads = {"w": jnp.ones((4, 2), jnp.float16), "n": np.zeros((4, 3), jax.dtypes.float0), "none": None}
    clip = clip_per_example()
    updates, _ = jax.jit(clip.update)(grads, clip.init(params), params)
    assert updates["w"].dtype == jnp.float16
    assert updates["w"].shape == (2,)
    assert not updates["n"].any()
    assert updates["none"] is None


def test_a_gradient_of_the_whole_batch_is_refused():
    clip = clip_per_example()
    with pytest.raises(ValueError, match=r"expected \[B, …\] for every leaf"):
        clip.update(PARAMS, clip.init(PARAMS), PARAMS)
    with pytest.raises(ValueError, match=r"jax.vmap\(jax.grad\(loss\), \(None, 0\)\)"):
        clip.update(jax.tree.map(lambda p: p[:2], GRADS) | {"bias": GRADS["bias"]}, clip.init(PARAMS))


def test_wrong_numbers_are_named():
    with pytest.raises(ValueError, match=r"clip_per_example\(max_norm\) is 0"):
        clip_per_example(0.0)


def test_leaves_of_one_shape_and_steps_have_noise_of_their_own():
    clip, params = clip_per_example(1.0, 1.0), {"a": jnp.zeros(4), "b": jnp.zeros(4)}
    state, noise = clip.init(params), []
    grads, update = {name: np.zeros((2, 4), np.float32) for name in params}, jax.jit(clip.update)
    for _ in range(2):
        updates, state = update(grads, state, params)
        noise += jax.tree.leaves(updates)
    assert len(np.unique(np.concatenate(noise))) == 16
