"""Pooling against windows cut out in NumPy, its gradients, and what it compiles to."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

from jaxopt_notes.layers import average_pool, max_pool
from tests.compiled import apply, grad


def windows(x, window, strides, padding, fill):
    """The values of each window, [B, P, Q, h·w, C], in NumPy."""
    pads = [(0, 0), (0, 0)]
    out = [(n - k) // s + 1 for n, k, s in zip(x.shape[1:3], window, strides, strict=True)]
    if padding == "SAME":
        out = [-(-n // s) for n, s in zip(x.shape[1:3], strides, strict=True)]
        need = [(o - 1) * s + k for o, s, k in zip(out, strides, window, strict=True)]
        total = [max(a - n, 0) for a, n in zip(need, x.shape[1:3], strict=True)]
        pads = [(t // 2, t - t // 2) for t in total]
    x = np.pad(x, ((0, 0), *pads, (0, 0)), constant_values=fill)
    y = np.empty((x.shape[0], *out, window[0] * window[1], x.shape[-1]))
    for p, q in itertools.product(*map(range, out)):
        i, j = p * strides[0], q * strides[1]
        cut = x[:, i : i + window[0], j : j + window[1]]
        y[:, p, q] = cut.reshape(x.shape[0], -1, x.shape[-1])
    return y


CASES = [
    ((8, 8), (2, 2), (2, 2), "VALID"),
    ((7, 9), (2, 2), (2, 2), "VALID"),
    ((7, 9), (2, 2), (2, 2), "SAME"),
    ((7, 9), (3, 2), (2, 1), "VALID"),
    ((7, 9), (3, 2), (2, 3), "SAME"),
    ((4, 4), (4, 4), (4, 4), "VALID"),
]


@pytest.mark.parametrize("case", CASES)
def test_values(case):
    size, window, strides, padding = case
    x = np.random.default_rng(0).normal(size=(2, *size, 3)) - 5  # below the zeros of average's padding
    largest = apply(max_pool(window, strides, padding), {}, (), jnp.asarray(x, jnp.float32))[0]
    mean = apply(average_pool(window, strides, padding), {}, (), jnp.asarray(x, jnp.float32))[0]
    np.testing.assert_allclose(largest, windows(x, window, strides, padding, -np.inf).max(3), rtol=1e-6)
    np.testing.assert_allclose(mean, windows(x, window, strides, padding, 0).mean(3), rtol=1e-5)


@pytest.mark.parametrize("case", CASES)
def test_gradients_with_ties_are_those_of_reduce_window(case):
    """Small whole numbers have many ties: the first in row-major order receives the gradient."""
    size, window, strides, padding = case
    rng = np.random.default_rng(0)
    x = jnp.asarray(rng.integers(0, 3, size=(2, *size, 3)), jnp.float32)
    layer = max_pool(window, strides, padding)
    weights = jnp.asarray(rng.normal(size=apply(layer, {}, (), x)[0].shape), jnp.float32)

    def peer(x):
        return lax.reduce_window(x, -jnp.inf, lax.max, (1, *window, 1), (1, *strides, 1), padding)

    ours = grad(lambda x: jnp.sum(weights * apply(layer, {}, (), x)[0]))(x)
    np.testing.assert_allclose(ours, grad(lambda x: jnp.sum(weights * peer(x)))(x), atol=1e-6)


def test_nan_is_not_hidden():
    x = (
        jnp.ones((1, 2, 2, 4))
        .at[0, jnp.array([0, 0, 1, 1]), jnp.array([0, 1, 0, 1]), jnp.arange(4)]
        .set(jnp.nan)
    )
    assert jnp.isnan(apply(max_pool(), {}, (), x)[0]).all()


@pytest.mark.parametrize("layer", [max_pool(), average_pool(), max_pool(3, 2, "SAME")])
def test_gradient_needs_no_window_operation(layer):
    gradient = jax.jit(grad(lambda x: jnp.sum(jnp.sin(apply(layer, {}, (), x)[0]))))
    text = gradient.lower(jnp.ones((2, 8, 8, 3))).as_text()
    assert "reduce_window" not in text
    assert "select_and_scatter" not in text


@pytest.mark.parametrize("layer", [max_pool(), average_pool((2, 3))])
def test_gradient_of_windows_side_by_side_is_spread_over_them(layer):
    """Not put together from padded parts, each of which would be a loop of its own to compile."""
    gradient = jax.jit(grad(lambda x: jnp.sum(jnp.sin(layer.apply({}, (), x)[0]))))
    text = gradient.lower(jnp.ones((2, 8, 6, 3))).as_text()
    assert "stablehlo.pad" not in text
    assert "stablehlo.concatenate" not in text


def test_derivatives_in_every_mode():
    """Both are linear where no two values are equal: a tangent goes the way of its value, none bends."""
    rng = np.random.default_rng(0)
    x, dx = (jnp.asarray(rng.normal(size=(1, 4, 6, 2)), jnp.float32) for _ in range(2))
    cut, moved = (windows(np.asarray(a), (2, 3), (2, 3), "VALID", 0) for a in (x, dx))
    largest = np.take_along_axis(moved, cut.argmax(3, keepdims=True), 3)[..., 0, :]
    for layer, want in ((max_pool((2, 3)), largest), (average_pool((2, 3)), moved.mean(3))):

        @jax.jit
        def derivatives(x, dx, layer=layer):
            dy = jax.jvp(lambda x: layer.apply({}, (), x)[0], (x,), (dx,))[1]
            bend = jax.jvp(jax.grad(lambda x: jnp.sum(layer.apply({}, (), x)[0] ** 2)), (x,), (dx,))[1]
            return dy, bend, jax.vjp(lambda x: layer.apply({}, (), x)[0], x)[1](2 * dy)[0]

        dy, bend, back = derivatives(x, dx)
        np.testing.assert_allclose(dy, want, rtol=1e-5)
        np.testing.assert_allclose(bend, back, rtol=1e-5)


def test_low_precision_mean_is_summed_in_float32():
    """400 ones: a bfloat16 sum stops growing at 256."""
    assert apply(average_pool(20), {}, (), jnp.ones((1, 20, 20, 1), jnp.bfloat16))[0].item() == 1


def test_errors():
    with pytest.raises(ValueError, match=r"max_pool\(window\)"):
        max_pool(0)
    with pytest.raises(ValueError, match=r"expected at most the image's \(1, 1\) pixels"):
        apply(max_pool(2), {}, (), jnp.ones((1, 1, 1, 1)))
    with pytest.raises(ValueError, match=r"average_pool\(x\) has shape \(2, 64\)"):
        apply(average_pool(), {}, (), jnp.ones((2, 64)))
