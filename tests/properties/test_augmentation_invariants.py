"""Every augmentation × what all promise: strength 0 changes nothing, the dtype stays, keys decide."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tests.properties.registry import cases, pictures

AS_RANDOM_AFFINE = ("random_rotation", "random_shear", "random_stretch", "random_translation")  # one record


@pytest.mark.full
@pytest.mark.parametrize(
    "subject",
    [case for case in cases("augmentations") if case.values[0].name not in AS_RANDOM_AFFINE],
    ids=str,
)
def test_strength_0_changes_nothing_to_the_bit(subject):
    """All numbers 0, in a population with one that is on: the sizes of results do not depend on them."""
    augment = subject.build()
    x, y = pictures(jnp.float32)
    both = jax.tree.map(
        lambda leaf: jnp.stack([jnp.zeros_like(leaf), leaf]), jax.tree.map(jnp.asarray, augment)
    )
    member = jax.jit(jax.vmap(lambda augment, key: augment(key, x, y), in_axes=(0, None)))
    (off, on), (same, soft) = member(both, jax.random.key(4))
    if off.shape == x.shape:
        np.testing.assert_array_equal(off, x)
    np.testing.assert_array_equal(same if same.ndim == 1 else np.argmax(same, axis=1), y)
    assert not np.array_equal(on, off)
    if soft.ndim == 2:
        np.testing.assert_allclose(soft.sum(axis=1), 1, rtol=1e-6)
    other = member(both, jax.random.key(5))[0][1]
    assert not np.array_equal(on, other), "another key, another batch"
    np.testing.assert_array_equal(on, member(both, jax.random.key(4))[0][1])


@pytest.mark.parametrize("subject", cases("augmentations"), ids=str)
def test_the_dtype_and_the_size_stay(subject):
    _, y = pictures()
    augment = subject.build()
    for dtype in (jnp.bfloat16, jnp.uint8):
        x = jax.ShapeDtypeStruct((6, 5, 6, 3), dtype)
        made, _ = jax.eval_shape(augment, jax.random.key(0), x, y)
        assert (made.dtype, made.weak_type) == (dtype, False)
        assert made.shape == x.shape or "-" in subject.label
    assert jax.eval_shape(augment, jax.random.key(0), x)[1] is None  # inputs alone
