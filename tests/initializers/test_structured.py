"""Initializers with a structure: identity, delta-orthogonal, sparse, bilinear, fixup."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxopt_notes.initializers import (
    bilinear,
    delta_orthogonal,
    fixup,
    he_normal,
    identity,
    normal,
    orthogonal,
    sparse,
    zeros,
)
from jaxopt_notes.layers import batch_norm, conv, dense, residual, serial


def test_a_convolution_that_is_the_identity(key):
    """It passes on its images, also with more outputs than inputs, and times a scale."""
    x = jax.random.normal(key, (1, 5, 4, 2))
    for size in (1, 3, (5, 3)):
        layer = conv(3, size, use_bias=False, kernel_init=identity(2.0))
        params, state = layer.init(key, x)
        y, _ = layer.apply(params, state, x)
        np.testing.assert_allclose(y[..., :2], 2 * x, rtol=1e-6)
        np.testing.assert_array_equal(y[..., 2], 0)
    np.testing.assert_array_equal(identity()(None, (3, 2)), np.eye(3, 2))


@pytest.mark.parametrize("shape", [(3, 3, 4, 4), (5, 2, 5), (3, 1, 3, 2, 3)])
def test_delta_orthogonal_keeps_the_length_of_whole_images(shape, key):
    kernel = np.asarray(delta_orthogonal(0.5)(key, shape), np.float64)
    middle = kernel[tuple(n // 2 for n in shape[:-2])]
    np.testing.assert_allclose(middle @ middle.T, 0.25 * np.eye(shape[-2]), atol=1e-6)
    assert (kernel != 0).sum() == middle.size
    if len(shape) == 4:
        x = jax.random.normal(key, (2, 6, 6, 4))
        layer = conv(4, use_bias=False, kernel_init=delta_orthogonal())
        y, _ = layer.apply(*layer.init(key, x), x)
        np.testing.assert_allclose(jnp.linalg.norm(y), jnp.linalg.norm(x), rtol=1e-5)


def test_sparse_weights(key):
    """As many inputs as asked for, other ones for each output; all where there are fewer."""
    kernel = np.asarray(sparse(7, normal(3.0))(key, (3, 3, 20, 200)), np.float64).reshape(180, 200)
    kept = kernel != 0
    assert set(kept.sum(0)) == {7}
    assert kept.sum(1).max() < 30
    assert abs(kernel[kept].std() - 3) < 4 * 3 / np.sqrt(2 * kept.sum())
    assert (np.asarray(sparse(15)(key, (4, 3))) != 0).all()


@pytest.mark.notes("S3-53")
@pytest.mark.parametrize("factor", [2, 3])
def test_bilinear_kernels_upsample_linearly(factor):
    """A transposed convolution of stride f maps a plane to a plane, away from the border."""
    size = 2 * factor - factor % 2
    kernel = bilinear()(None, (size, size, 2, 2))
    np.testing.assert_array_equal(kernel, kernel[::-1, ::-1])  # nothing is shifted
    rows, columns = np.meshgrid(np.arange(6.0), np.arange(5.0), indexing="ij")
    x = np.stack([2 * rows + columns, rows * 0 + 3], -1)[None]
    y = jax.lax.conv_transpose(
        jnp.asarray(x, jnp.float32),
        kernel,
        (factor, factor),
        "VALID",
        dimension_numbers=("NHWC", "HWIO", "NHWC"),
    )
    inner = np.asarray(y)[0, size:-size, size:-size]
    np.testing.assert_allclose(inner[..., 1], 3, rtol=1e-6)
    np.testing.assert_allclose(np.diff(inner[..., 0], axis=0), 2 / factor, rtol=1e-5)
    np.testing.assert_allclose(np.diff(inner[..., 0], axis=1), 1 / factor, rtol=1e-5)


@pytest.mark.full
@pytest.mark.notes("S3-50")
def test_residual_networks_that_start_as_their_shortcuts(key):
    """Fixup (a last layer of zeros) and zero-γ: output and Jacobian are the identity's."""
    x = jax.random.normal(key, (3, 4))
    small = fixup(30, 2)
    ends = (
        residual(serial(dense(4, kernel_init=small), jax.nn.relu, dense(4, kernel_init=zeros()))),
        residual(serial(dense(4), batch_norm(scale_init=zeros()))),
    )
    for block in ends:
        model = serial(*[block] * 30)
        params, state = model.init(key, x)
        y, back = jax.vjp(lambda x, m=model, p=params, s=state: m.apply(p, s, x, train=True)[0], x)
        np.testing.assert_array_equal(y, x)
        np.testing.assert_array_equal(back(jnp.ones_like(x))[0], np.ones((3, 4)))
    kernel, plain = small(key, (50, 60)), he_normal()(key, (50, 60))
    np.testing.assert_allclose(kernel, plain / np.sqrt(30), rtol=1e-6)
    np.testing.assert_allclose(
        fixup(16, 3, orthogonal())(key, (4, 4)), 0.5 * orthogonal()(key, (4, 4)), rtol=1e-6
    )


@pytest.mark.parametrize(("call", "words"), [
    (lambda: fixup(4, 1), r"fixup\(layers\) is 1.*zeros"),
    (lambda: sparse(0), r"sparse\(connections\) is 0"),
    (lambda: bilinear()(None, (3,)), r"bilinear\(\)\(shape\) is \(3,\)"),
    (lambda: delta_orthogonal()(None, (3,)), r"orthogonal\(\)\(shape\)"),
])  # fmt: skip
def test_errors(call, words):
    with pytest.raises(ValueError, match=words):
        call()
