"""Clipping by thresholds that fit the leaf."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxopt_notes.optimizers.transforms.adaptive_clipping import (
    adaptive_grad_clip,
    clip_by_block_rms,
)


@pytest.mark.parametrize("shape", [(7,), (), (5, 4), (3, 2, 4), (3, 3, 2, 4), (2, 3, 3, 2, 4)], ids=str)
def test_no_unit_is_longer_than_its_share(shape, x64):
    """A loop over units, some above the threshold and some below, one with weights of zero."""
    rng = np.random.default_rng(0)
    w, g = rng.normal(size=shape), rng.normal(size=shape) * 0.3
    if len(shape) > 1:
        w[..., 0] = 0
        g[..., 1] *= 1e-3
    found, _ = adaptive_grad_clip(0.1, 1e-2).update(g, (), w)
    units = shape[-1] if len(shape) > 1 else 1
    for u in range(units):
        of = (..., u) if units > 1 else ...
        limit = 0.1 * max(np.linalg.norm(w[of]), 1e-2)
        norm = np.linalg.norm(g[of])
        np.testing.assert_allclose(found[of], g[of] * min(1, limit / norm), rtol=1e-12)


def test_rms_of_every_leaf(x64):
    rng = np.random.default_rng(0)
    g = {"large": 5 * rng.normal(size=(3, 4)), "small": 0.01 * rng.normal(size=7), "scalar": np.array(-3.0)}
    found, _ = clip_by_block_rms(0.5).update(g, ())
    for name, leaf in g.items():
        rms = np.sqrt(np.mean(leaf**2))
        np.testing.assert_allclose(found[name], leaf / max(1, rms / 0.5), rtol=1e-12)


@pytest.mark.parametrize("transform", [adaptive_grad_clip(0.5), clip_by_block_rms(0.5)], ids=["agc", "rms"])
@pytest.mark.parametrize("size", [1e-25, 1e25])
def test_squares_neither_overflow_nor_vanish(transform, size):
    """The ratio of two huge norms, or of two tiny ones; limits of 0 and of infinity."""
    w = g = jnp.full((4, 3), size)
    found, _ = transform.update(g, (), w)
    agc = hasattr(transform, "clipping")
    expected = min(size, 0.5 * size if agc and size > 1 else 0.5)
    np.testing.assert_allclose(found, expected, rtol=1e-6)


def test_a_bad_entry_costs_its_unit_and_no_other():
    g = jnp.array([[jnp.nan, 1.0], [1.0, 1.0], [0.0, jnp.inf]]).T
    found, _ = adaptive_grad_clip(1.0).update(g, (), jnp.ones((2, 3)))
    np.testing.assert_allclose(found, [[0, 1, 0], [0, 1, 0]], rtol=1e-6)
    assert not clip_by_block_rms().update(g, ())[0].any()


@pytest.mark.parametrize("transform", [adaptive_grad_clip, clip_by_block_rms], ids=["agc", "rms"])
@pytest.mark.parametrize("limit", [0.0, 1.0, jnp.inf])
def test_gradients_pass_through(transform, limit):
    """With respect to the limit and to a gradient that is zero; infinity switches off, zero gives zeros."""

    def total(limit, g):
        return jnp.sum(transform(limit).update(g, (), jnp.ones((2, 3)))[0])

    g = jnp.array([[0.0, 1.0, 3.0], [0.0, 0.0, 4.0]])
    for slope in jax.grad(total, argnums=(0, 1))(limit, g):
        assert jnp.isfinite(slope).all()
    found, _ = transform(limit).update(g, (), jnp.ones((2, 3)))
    if limit != 1.0:
        np.testing.assert_array_equal(found, g if limit else 0 * g)


def test_parameters_are_asked_for():
    with pytest.raises(ValueError, match="adaptive_grad_clip needs the parameters"):
        adaptive_grad_clip().update(jnp.ones(2), ())
    with pytest.raises(ValueError, match=r"clip_by_block_rms\(threshold\) is -1"):
        clip_by_block_rms(-1)
