"""The convolution against its formula and its adjoint, and its layers."""

import functools
import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

from jaxopt_notes.layers import (
    conv,
    conv2d,
    conv2d_im2col,
    conv2d_native,
    conv_transpose,
    convolution,
    convolution_transpose,
    depthwise_conv,
)
from tests.compiled import apply, init


def reference(x, kernel, strides, padding, dilation=None, groups=1):
    """The sum of products, pixel by pixel, in float64."""
    (batch, *size, _), (*window, inputs, outputs) = x.shape, kernel.shape
    dilation = dilation or (1,) * len(size)
    span = [(k - 1) * d + 1 for k, d in zip(window, dilation, strict=True)]
    mode = {"mode": "wrap"} if padding == "CIRCULAR" else {}
    if padding == "SAME":
        out = [-(-n // s) for n, s in zip(size, strides, strict=True)]
        total = [max((o - 1) * s + k - n, 0) for o, s, k, n in zip(out, strides, span, size, strict=True)]
        padding = [(t // 2, t - t // 2) for t in total]
    elif padding == "CIRCULAR":
        padding = [((k - 1) // 2, k // 2) for k in span]
    elif padding == "VALID":
        padding = [(0, 0)] * len(size)
    x = np.pad(x, ((0, 0), *padding, (0, 0)), **mode)
    out = [(n - k) // s + 1 for n, s, k in zip(x.shape[1:-1], strides, span, strict=True)]
    y = np.zeros((batch, *out, outputs))
    for g, p in itertools.product(range(groups), itertools.product(*map(range, out))):
        of, at = (
            slice(g * outputs // groups, (g + 1) * outputs // groups),
            slice(g * inputs, (g + 1) * inputs),
        )
        cut = (slice(i * s, i * s + k, d) for i, s, k, d in zip(p, strides, span, dilation, strict=True))
        y[:, *p, of] = np.tensordot(x[:, *cut, at], kernel[..., of], len(window) + 1)
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
# size, window, strides, padding, dilation, groups, inputs of a group, outputs of a group
GENERAL = {
    "signal": ((9,), (4,), (2,), "SAME", (1,), 1, 3, 2),
    "causal": ((6,), (3,), (1,), ((4, 0),), (2,), 1, 2, 2),
    "volume": ((3, 4, 5), (2, 3, 2), (1, 2, 1), "SAME", (1, 1, 1), 1, 2, 3),
    "dilated": ((7, 8), (3, 2), (1, 2), "SAME", (2, 3), 1, 2, 3),
    "pairs": ((5, 6), (3, 3), (2, 1), ((2, 0), (1, 3)), (1, 1), 1, 2, 3),
    "circular": ((5, 6), (3, 4), (2, 1), "CIRCULAR", (1, 1), 1, 2, 3),
    "groups": ((5, 6), (3, 3), (1, 2), "SAME", (1, 1), 2, 3, 2),
    "depthwise": ((5, 6), (3, 2), (2, 1), "VALID", (1, 2), 3, 1, 2),
}


def drawn(size, window, groups, inputs, outputs, batch=2):
    rng = np.random.default_rng(0)
    shapes = (batch, *size, groups * inputs), (*window, inputs, groups * outputs)
    return [rng.normal(size=shape) for shape in shapes]


@pytest.mark.parametrize(("size", "window", "strides", "padding"), CASES)
def test_forms_and_their_gradients(size, window, strides, padding, x64):
    x, kernel = drawn(size, window, 1, 3, 4)
    pads = lax.padtype_to_pads(size, window, strides, padding)

    @jax.jit
    def values_and_gradients(x, kernel):
        forms = (
            functools.partial(conv2d, strides=strides, padding=padding),
            lambda x, kernel: conv2d_im2col(x, kernel, strides, pads),
            lambda x, kernel: conv2d_native(x, kernel, strides, pads),
        )
        pulled = [jax.vjp(form, x, kernel) for form in forms]
        return [(y, *back(jnp.cos(y))) for y, back in pulled]

    *ours, native = values_and_gradients(x, kernel)
    np.testing.assert_allclose(native[0], reference(x, kernel, strides, padding), atol=1e-12)
    for found in ours:
        for a, b in zip(found, native, strict=True):
            np.testing.assert_allclose(a, b, atol=1e-12)


@pytest.mark.notes("S3-52")
@pytest.mark.parametrize("case", GENERAL)
def test_every_dimension_padding_dilation_and_grouping_and_its_adjoint(case, x64):
    """⟨conv x, y⟩ = ⟨x, convᵀ y⟩, for the image that the adjoint takes its argument to be made of."""
    size, window, strides, padding, dilation, groups, inputs, outputs = GENERAL[case]
    x, kernel = drawn(size, window, groups, inputs, outputs)
    how = (strides, padding, dilation, groups)

    @jax.jit
    def both(x, kernel):
        y = convolution(x, kernel, *how)
        back = convolution_transpose(jnp.cos(y), kernel, *how)
        again = jnp.sin(jnp.arange(1.0, back.size + 1)).reshape(back.shape)
        return y, jnp.vdot(back, again), jnp.vdot(jnp.cos(y), convolution(again, kernel, *how))

    y, *products = both(jnp.asarray(x), jnp.asarray(kernel))
    np.testing.assert_allclose(y, reference(x, kernel, *how), atol=1e-12)
    np.testing.assert_allclose(*products, rtol=1e-12)


def test_bias_and_shapes(key):
    x = jnp.zeros((2, 8, 6, 3))
    params, _ = init(conv(4, (3, 5), strides=(2, 1)), key, x)
    assert params["kernel"].shape == (3, 5, 3, 4)
    params["bias"] = jnp.arange(4.0)
    y, _ = apply(conv(4, (3, 5), strides=(2, 1)), params, (), x)
    assert y.shape == (2, 4, 6, 4)
    np.testing.assert_array_equal(y, np.broadcast_to(np.arange(4.0), y.shape))


def test_arguments_reach_the_formula(key, x64):
    """Every argument of the layers, none of them 1, in one dimension."""
    x = jnp.asarray(np.random.default_rng(0).normal(size=(2, 11, 4)))
    how = {"strides": 2, "padding": ((3, 1),), "dilation": 2}
    layer = conv(6, (3,), groups=2, **how)
    params, _ = init(layer, key, x)
    assert params["kernel"].shape == (3, 2, 6)
    want = reference(x, np.asarray(params["kernel"]), (2,), ((3, 1),), (2,), 2)
    np.testing.assert_allclose(apply(layer, params, (), x)[0], want, atol=1e-12)
    layer = depthwise_conv((3,), 2, **how)
    params, _ = init(layer, key, x)
    assert params["kernel"].shape == (3, 1, 8)
    want = reference(x, np.asarray(params["kernel"]), (2,), ((3, 1),), (2,), 4)
    np.testing.assert_allclose(apply(layer, params, (), x)[0], want, atol=1e-12)
    layer = conv_transpose(6, (3,), groups=2, output_padding=1, **how)
    params, _ = init(layer, key, x)
    assert params["kernel"].shape == (3, 3, 4)
    y, _ = apply(layer, params, (), x)
    assert y.shape == (2, (11 - 1) * 2 + 5 - 4 + 1, 6)
    again = reference(np.asarray(y), np.asarray(params["kernel"]), (2,), ((3, 1),), (2,), 2)
    np.testing.assert_allclose(np.vdot(again, x), np.vdot(y, y), rtol=1e-12)


def test_low_precision_sums_in_float32():
    x = jnp.ones((1, 3, 3, 512), jnp.bfloat16)
    y = conv2d(x, jnp.ones((3, 3, 512, 1)), padding="VALID")
    assert (y.dtype, y.item()) == (jnp.bfloat16, 4608)


def test_errors(key):
    with pytest.raises(ValueError, match=r"conv\(padding\) is 'FULL', expected one of 'SAME', 'VALID'"):
        conv(3, padding="FULL")
    with pytest.raises(ValueError, match=r"conv\(padding\) is .*, expected 'SAME', .* or 2 pairs"):
        conv(3, padding=((1, 1),))
    with pytest.raises(ValueError, match=r"conv\(kernel_size\) is \(3, 3, 3, 3\)"):
        conv(3, (3, 3, 3, 3))
    with pytest.raises(ValueError, match=r"conv\(strides\) is \(1, 2\), expected one whole number, or 1"):
        conv(3, (3,), strides=(1, 2))
    with pytest.raises(ValueError, match=r"conv\(groups\) is 2, expected a divisor of the 3 features"):
        conv(3, groups=2)
    with pytest.raises(ValueError, match=r"conv\(groups\) is 2, expected a divisor of the 3 channels"):
        init(conv(4, groups=2), key, jnp.ones((1, 4, 4, 3)))
    with pytest.raises(ValueError, match=r"shape \(32, 64\), expected \[batch, height, width, channels\]"):
        init(conv(3), key, jnp.ones((32, 64)))
    with pytest.raises(ValueError, match=r"expected \[batch, length, channels\]"):
        init(conv_transpose(3, (3,)), key, jnp.ones((32, 64)))
    with pytest.raises(ValueError, match=r"output_padding\) is 2, expected less than \(2, 2\)"):
        conv_transpose(3, strides=2, padding="VALID", output_padding=2)
    with pytest.raises(ValueError, match=r"expected at most the image's \(2, 2\) pixels"):
        conv2d(jnp.ones((1, 2, 2, 1)), jnp.ones((3, 3, 1, 1)), padding="VALID")
