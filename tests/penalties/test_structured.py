"""Penalties of whole matrices and groups: values and gradients from their formulas, groups that vanish."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxopt_notes.penalties import (
    elastic_net,
    group_lasso,
    l0,
    l0_norm,
    l1,
    l2,
    l2_sp,
    largest_singular_value,
    orthogonality_penalty,
    spectral_penalty,
)
from tests.compiled import grad, value_and_grad

KERNEL = np.random.default_rng(0).normal(size=(2, 3, 4))


@pytest.mark.usefixtures("x64")
def test_values_and_gradients():
    w, tall, wide = KERNEL, KERNEL.reshape(6, 4), KERNEL.reshape(2, 12)
    params = {"kernel": jnp.asarray(w), "bias": jnp.ones(4)}
    found = jax.jit(
        lambda params, wide: [
            value_and_grad(penalty)(params)
            for penalty in (
                group_lasso(0.3, samples=2.0), group_lasso(0.3, "inputs"), orthogonality_penalty(0.3),
                spectral_penalty(0.3, steps=60), l0(0.3),
            )
        ] + [value_and_grad(orthogonality_penalty(0.3))(wide)]
    )(params, jnp.asarray(wide))  # fmt: skip

    units, inputs = np.sqrt((w**2).sum((0, 1))), np.sqrt((w**2).sum((0, 2)))[:, None]
    gram, other = tall.T @ tall - np.eye(4), wide @ wide.T - np.eye(2)
    u, s, vh = np.linalg.svd(tall)
    expected = [
        (0.15 * 6**0.5 * units.sum(), 0.15 * 6**0.5 * w / units),
        (0.3 * 8**0.5 * inputs.sum(), 0.3 * 8**0.5 * w / inputs),
        (0.3 * (gram**2).sum(), 1.2 * (tall @ gram).reshape(w.shape)),
        (0.15 * s[0] ** 2, 0.3 * s[0] * np.outer(u[:, 0], vh[0]).reshape(w.shape)),
        (0.3 * 24, np.zeros_like(w)),
        (0.3 * (other**2).sum(), 1.2 * other @ wide),
    ]
    for (value, slopes), (cost, slope) in zip(found, expected, strict=True):
        np.testing.assert_allclose(value, cost, rtol=1e-9)
        kernel = slopes["kernel"] if isinstance(slopes, dict) else slopes
        np.testing.assert_allclose(kernel, slope, rtol=1e-7, atol=1e-9)
        assert not isinstance(slopes, dict) or not slopes["bias"].any()


def test_at_zero_and_far_from_one():
    """Gradients at a kernel of zeros are finite; singular values and norms of any size are right."""
    kernels = jnp.asarray(KERNEL[0], jnp.float32)[None] * jnp.array([0.0, 1e-25, 1e25])[:, None, None]
    sigma, slopes = jax.jit(
        lambda kernels: (
            jax.vmap(largest_singular_value)(kernels),
            [grad(penalty)(kernels[0]) for penalty in (group_lasso(1.0), spectral_penalty(1.0))],
        )
    )(kernels)
    s = np.linalg.svd(KERNEL[0])[1][0]
    assert sigma[0] == 0
    np.testing.assert_allclose(sigma[1:] / np.float32([1e-25, 1e25]), s, rtol=1e-4)
    assert not any(slope.any() for slope in slopes)


@pytest.mark.notes("S4-28", "S0-19")
def test_the_number_of_non_zeros():
    tree = {"a": jnp.array([1.0, -2.0, 0.0, -4.0]), "b": jnp.arange(3), "c": None}
    assert l0_norm(tree) == 3
    assert l0(0.5)({"kernel": jnp.array([[1.0, 0.0]]), "bias": jnp.ones(2)}) == 0.5


def test_squares_that_single_precision_cannot_hold():
    """½·1e-10·(1e19² + 9e38) is representable, 9e38 is not; the gradient λw is, whatever the value."""
    w = {"a": jnp.array([[1e19]]), "b": jnp.array([[3e19]]), "c": jnp.array([[1e-20]])}
    value, slope, huge, tiny = jax.jit(
        lambda w: (
            *value_and_grad(l2(1e-10))(w),
            grad(l2(2.0))(jnp.array([[1e30]])),
            elastic_net(1e10, l1_ratio=0.0)(w["c"]),
        )
    )(w)
    np.testing.assert_allclose(value, 0.5e-10 * 1e39, rtol=1e-6)
    np.testing.assert_allclose(slope["b"], 3e9, rtol=1e-6)
    np.testing.assert_allclose(huge, 2e30, rtol=1e-6)
    np.testing.assert_allclose(tiny, 0.5e-30, rtol=1e-6)


@pytest.mark.notes("S2-68", "S2-69")
@pytest.mark.usefixtures("x64")
def test_the_conventions_by_an_argument():
    """(λ/2m)‖w‖² has λw/m, (λ/m)‖w‖₁ has λ·sign(w)/m, λ‖w‖² has 2λw; m is a leaf with a derivative."""
    w, strength, m = np.array([[1.0, -2.0, 0.0, 4.0]]), 0.3, 8.0
    found = jax.jit(
        lambda w, m: (
            [value_and_grad(penalty)(w) for penalty in (
                l2(strength, samples=m), l1(strength, samples=m), l2(strength, half=False),
                elastic_net(strength, 0.25, samples=m),
            )],
            jax.hessian(l2(strength))(w.ravel()[None])[0, :, 0],
            grad(lambda m: l2(strength, samples=m)(w))(m),
        )
    )(jnp.asarray(w), jnp.asarray(m))  # fmt: skip
    squares, sizes = np.sum(w**2), np.sum(np.abs(w))
    expected = [
        (strength / (2 * m) * squares, strength * w / m),
        (strength / m * sizes, strength * np.sign(w) / m),
        (strength * squares, 2 * strength * w),
        (strength / m * (0.25 * sizes + 0.375 * squares), strength / m * (0.25 * np.sign(w) + 0.75 * w)),
    ]
    for (value, slope), (cost, gradient) in zip(found[0], expected, strict=True):
        np.testing.assert_allclose(value, cost, rtol=1e-14)
        np.testing.assert_allclose(slope, gradient, rtol=1e-14)
    np.testing.assert_allclose(found[1], strength * np.eye(4), atol=1e-14)
    np.testing.assert_allclose(found[2], -strength / (2 * m**2) * squares, rtol=1e-14)


@pytest.mark.usefixtures("x64")
def test_l2_sp_pulls_to_the_start_and_what_is_new_to_zero():
    before, now = KERNEL
    start = {"body": {"kernel": jnp.asarray(before), "bias": jnp.ones(4)}, "head": {"kernel": None}}
    params = {
        "body": {"kernel": jnp.asarray(now), "bias": jnp.zeros(4)},
        "head": {"kernel": jnp.asarray(now.T)},
    }
    value, slope = jax.jit(value_and_grad(l2_sp(start, 0.3, 0.7)))(params)
    away = now - before
    np.testing.assert_allclose(value, 0.15 * (away**2).sum() + 0.35 * (now**2).sum(), rtol=1e-12)
    np.testing.assert_allclose(slope["body"]["kernel"], 0.3 * away, rtol=1e-12)
    np.testing.assert_allclose(slope["head"]["kernel"], 0.7 * now.T, rtol=1e-12)
    assert not slope["body"]["bias"].any()
