"""Clipping: a minimum, never a maximum, and numbers that are hard to square."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxopt_notes.optimizers.transforms.clipping import (
    clip_by_global_norm,
    clip_by_norm,
    clip_by_value,
)

BY_NORM = [clip_by_norm, clip_by_global_norm]
EVERY = [clip_by_value, *BY_NORM]


@jax.jit
def clip(transform, updates):
    return transform.update(updates, transform.init(updates))[0]


@jax.jit
@functools.partial(jax.grad, argnums=(0, 1))
def slope_of_sum(transform, updates):
    return sum(jnp.sum(u) for u in jax.tree.leaves(clip(transform, updates)))


def norm(tree):
    return np.sqrt(sum(np.sum(np.abs(np.asarray(leaf, np.float64)) ** 2) for leaf in jax.tree.leaves(tree)))


@pytest.fixture
def grads():
    rng = np.random.default_rng(0)
    return {"kernel": rng.normal(size=(4, 3)), "bias": 0.01 * rng.normal(size=3)}


@pytest.mark.notes("S3-47")
@pytest.mark.parametrize("threshold", [0.3, 1.0, 100.0])
def test_by_value_takes_the_smaller_absolute_value(threshold, grads, x64):
    """g ← sign(g)·min(|g|, c): the notes' max would raise the small ones instead."""
    clipped = clip(clip_by_value(threshold), grads)
    for name, g in grads.items():
        np.testing.assert_allclose(clipped[name], np.sign(g) * np.minimum(abs(g), threshold), rtol=1e-15)
    small = {name: 1e-3 * g for name, g in grads.items()}
    for name, g in clip(clip_by_value(threshold), small).items():
        np.testing.assert_array_equal(g, small[name])
        assert (np.sign(g) * np.maximum(abs(g), threshold) != g).all()


@pytest.mark.notes("S3-47", "S0-40")
@pytest.mark.parametrize("threshold", [0.0, 1e-3, 1.0, 1e3, np.inf])
def test_by_norm(threshold, grads, x64):
    """g ← g·min(1, c/‖g‖), of each leaf or of all: the norm comes down to c, the direction is kept."""
    together = clip(clip_by_global_norm(threshold), grads)
    apart = clip(clip_by_norm(threshold), grads)
    for name, g in grads.items():
        np.testing.assert_allclose(together[name], g * min(1, threshold / norm(grads)), rtol=1e-14)
        np.testing.assert_allclose(apart[name], g * min(1, threshold / norm(g)), rtol=1e-14)
        assert norm(apart[name]) <= threshold * (1 + 1e-14)
    assert norm(together) <= threshold * (1 + 1e-14)


@pytest.mark.notes("S0-40")
@pytest.mark.parametrize("factory", BY_NORM)
def test_small_gradients_are_left_alone_bit_for_bit(factory, grads):
    grads = jax.tree.map(lambda g: jnp.asarray(g, jnp.float32), grads)
    for name, g in clip(factory(100.0), grads).items():
        np.testing.assert_array_equal(g, grads[name])


@pytest.mark.notes("S3-48")
@pytest.mark.parametrize("bad", [np.inf, -np.inf, np.nan])
def test_one_entry_that_is_not_finite(bad):
    """By value ±inf comes to ±c and NaN to 0; by norm the leaf, or everything, leaves as zeros."""
    grads = {"kernel": jnp.array([3.0, bad, -0.5]), "bias": jnp.array([0.25])}
    clipped = clip(clip_by_value(1.0), grads)
    np.testing.assert_array_equal(clipped["kernel"], [1.0, np.nan_to_num(np.sign(bad)), -0.5])
    apart = clip(clip_by_norm(1.0), grads)
    np.testing.assert_array_equal(apart["kernel"], 0)
    np.testing.assert_array_equal(apart["bias"], 0.25)
    for threshold in (0.0, 1.0, np.inf):
        together = clip(clip_by_global_norm(threshold), grads)
        np.testing.assert_array_equal(together["kernel"], 0)
        np.testing.assert_array_equal(together["bias"], 0)


@pytest.mark.parametrize("factory", BY_NORM)
@pytest.mark.parametrize("bad", [np.inf, np.nan])
def test_keep_leaves_what_is_not_finite_for_others_to_see(factory, bad):
    grads = jnp.array([3.0, bad, -0.5])
    np.testing.assert_array_equal(clip(factory(1.0, nonfinite="keep"), grads), grads)
    np.testing.assert_allclose(
        clip(factory(1.0, nonfinite="keep"), jnp.array([3.0, 4.0])), [0.6, 0.8], rtol=1e-6
    )


@pytest.mark.notes("S3-48")
@pytest.mark.parametrize("factory", BY_NORM)
@pytest.mark.parametrize("dtype", [jnp.float32, jnp.bfloat16])
@pytest.mark.parametrize("size", [1e25, 1e-25, 3e-30])
def test_norms_that_no_sum_of_squares_could_hold(factory, dtype, size):
    grads = jnp.array([3.0, -4.0]) * size
    clipped = clip(factory(size), grads.astype(dtype))
    assert clipped.dtype == dtype
    np.testing.assert_allclose(
        clipped.astype(jnp.float32) / size, [0.6, -0.8], rtol=1e-2 if dtype != jnp.float32 else 1e-6
    )


@pytest.mark.parametrize("factory", BY_NORM)
def test_float16_norms_are_taken_in_float32(factory):
    """60,000 squared is far above the largest float16, 65,504."""
    clipped = clip(factory(1.0), jnp.full(4, 60_000, jnp.float16))
    assert clipped.dtype == jnp.float16
    np.testing.assert_allclose(clipped.astype(jnp.float32), 0.5, rtol=1e-3)


@pytest.mark.parametrize("factory", EVERY)
@pytest.mark.parametrize("threshold", [0.0, 0.5, np.inf])
def test_gradient_through_clipping_is_finite(factory, threshold):
    """With respect to the gradients, zeros among them and all of them zero, and to the threshold."""
    for kernel in ([0.0, 0.0], [3.0, 0.0]):
        grads = {"kernel": np.array(kernel, np.float32), "bias": np.zeros(1, np.float32)}
        found = slope_of_sum(factory(threshold), grads)
        assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(found))


def test_gradient_with_respect_to_the_threshold(x64):
    """Of c·g/‖g‖ it is g/‖g‖; where nothing is clipped it is 0."""

    def first(threshold, g):
        return clip_by_global_norm(threshold).update(g, ())[0][0]

    g = jnp.array([3.0, 4.0])
    np.testing.assert_allclose(jax.grad(first)(1.0, g), 0.6, rtol=1e-14)
    assert float(jax.grad(first)(6.0, g)) == 0


@pytest.mark.parametrize("factory", EVERY)
def test_complex_numbers_keep_their_phase(factory):
    """|g| counts, also where |g|² could not be held; a complex entry is clipped as a whole."""
    for size in (1.0, 1e25):
        g = jnp.array([3 - 4j], jnp.complex64) * size
        np.testing.assert_allclose(np.asarray(clip(factory(size), g)) / size, [0.6 - 0.8j], rtol=1e-6)


def test_wrong_arguments_are_named():
    for factory in EVERY:
        with pytest.raises(ValueError, match=rf"{factory.__name__}\(max_\w+\) is -1"):
            factory(-1.0)
    for factory in BY_NORM:
        with pytest.raises(ValueError, match="'throw', expected one of 'zero', 'keep'"):
            factory(1.0, nonfinite="throw")
