"""Both forms of the convolution against its formula, and which one is compiled where."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

from jaxopt_notes.layers import conv, conv2d, conv2d_im2col, conv2d_native


def reference(x, kernel, strides, padding):
    """The sum of products, pixel by pixel, in float64."""
    (batch, *size, _), (*window, _, outputs) = x.shape, kernel.shape
    if padding == "SAME":
        out = [-(-n // s) for n, s in zip(size, strides, strict=True)]
        total = [max((o - 1) * s + k - n, 0) for o, s, k, n in zip(out, strides, window, size, strict=True)]
        x = np.pad(x, ((0, 0), *((t // 2, t - t // 2) for t in total), (0, 0)))
    else:
        out = [(n - k) // s + 1 for n, s, k in zip(size, strides, window, strict=True)]
    y = np.zeros((batch, *out, outputs))
    for p, q in itertools.product(*map(range, out)):
        i, j = p * strides[0], q * strides[1]
        y[:, p, q] = np.tensordot(x[:, i : i + window[0], j : j + window[1]], kernel, 3)
    return y


CASES = [
    ((7, 6), (3, 3), (1, 1), "SAME"),
    ((7, 6), (3, 2), (2, 1), "SAME"),
    ((8, 8), (2, 4), (3, 2), "SAME"),
    ((7, 6), (3, 3), (1, 1), "VALID"),
    ((8, 9), (3, 2), (2, 3), "VALID"),
    ((5, 5), (1, 1), (2, 2), "VALID"),
    ((5, 5), (5, 5), (1, 1), "VALID"),
]


@pytest.mark.parametrize("form", [conv2d_im2col, conv2d_native])
@pytest.mark.parametrize(("size", "window", "strides", "padding"), CASES)
def test_forms(form, size, window, strides, padding, x64):
    rng = np.random.default_rng(0)
    x, kernel = rng.normal(size=(2, *size, 3)), rng.normal(size=(*window, 3, 4))
    pads = lax.padtype_to_pads(size, window, strides, padding)
    want = reference(x, kernel, strides, padding)
    np.testing.assert_allclose(form(jnp.asarray(x), jnp.asarray(kernel), strides, pads), want, atol=1e-12)
    got = conv2d(jnp.asarray(x), jnp.asarray(kernel), strides, padding)
    np.testing.assert_allclose(got, want, atol=1e-12)


@pytest.mark.parametrize(("size", "window", "strides", "padding"), CASES)
def test_gradients_of_the_forms_agree(size, window, strides, padding, x64):
    rng = np.random.default_rng(0)
    x, kernel = (jnp.asarray(rng.normal(size=shape)) for shape in ((2, *size, 3), (*window, 3, 4)))
    pads = lax.padtype_to_pads(size, window, strides, padding)
    ours, native = (
        jax.grad(lambda *a, form=form: jnp.sum(jnp.sin(form(*a, strides, pads))), (0, 1))(x, kernel)
        for form in (conv2d_im2col, conv2d_native)
    )
    for a, b in zip(ours, native, strict=True):
        np.testing.assert_allclose(a, b, atol=1e-12)


def training(kernel, x):
    """Gradient descent in a scan, as in a training loop."""
    gradient = jax.grad(lambda kernel: jnp.sum(jnp.tanh(conv2d(x, kernel))))
    return lax.scan(lambda kernel, _: (kernel - gradient(kernel), None), kernel, None, length=3)[0]


@pytest.mark.parametrize(
    ("platform", "native"), [("cpu", False), ("cuda", True), ("rocm", True), ("tpu", True)]
)
def test_form_is_chosen_by_platform(platform, native):
    traced = jax.jit(training).trace(jnp.ones((3, 3, 2, 4)), jnp.ones((2, 8, 8, 2)))
    text = traced.lower(lowering_platforms=(platform,)).as_text()
    assert ("stablehlo.convolution" in text) == native
    assert ("stablehlo.dot_general" in text) != native


@pytest.mark.usefixtures("compiled_as_for_users")
@pytest.mark.skipif(jax.default_backend() != "cpu", reason="is about XLA's CPU backend")
def test_a_population_in_a_scan_compiles_to_matrix_products():
    kernels = jnp.ones((5, 3, 3, 2, 4))
    text = jax.jit(jax.vmap(training, (0, None))).lower(kernels, jnp.ones((2, 8, 8, 2))).compile().as_text()
    assert " convolution(" not in text
    assert " conditional(" not in text


def test_bias_and_shapes(key):
    x = jnp.zeros((2, 8, 6, 3))
    params, _ = conv(4, (3, 5), strides=(2, 1)).init(key, x)
    assert params["kernel"].shape == (3, 5, 3, 4)
    params["bias"] = jnp.arange(4.0)
    y, _ = conv(4, (3, 5), strides=(2, 1)).apply(params, (), x)
    assert y.shape == (2, 4, 6, 4)
    np.testing.assert_array_equal(y, np.broadcast_to(np.arange(4.0), y.shape))


def test_low_precision_sums_in_float32():
    x = jnp.ones((1, 3, 3, 512), jnp.bfloat16)
    y = conv2d(x, jnp.ones((3, 3, 512, 1)), padding="VALID")
    assert (y.dtype, y.item()) == (jnp.bfloat16, 4608)


def test_errors(key):
    with pytest.raises(ValueError, match=r"conv\(padding\) is 'FULL', expected one of 'SAME', 'VALID'"):
        conv(3, padding="FULL")
    with pytest.raises(ValueError, match=r"conv\(kernel_size\) is \(3, 3, 3\)"):
        conv(3, (3, 3, 3))
    with pytest.raises(ValueError, match=r"shape \(32, 64\), expected \[batch, height, width, channels\]"):
        conv(3).init(key, jnp.ones((32, 64)))
    with pytest.raises(ValueError, match=r"expected at most the image's \(2, 2\) pixels"):
        conv2d(jnp.ones((1, 2, 2, 1)), jnp.ones((3, 3, 1, 1)), padding="VALID")
