"""Dense layers against NumPy in float64, and the precision they sum in."""

import re

import jax
import jax.export
import jax.numpy as jnp
import numpy as np
import pytest

from jaxopt_notes.initializers import constant
from jaxopt_notes.layers import affine, dense
from tests.compiled import apply, compiled, grad, init


def test_formula(x64):
    rng = np.random.default_rng(0)
    x, kernel, bias = rng.normal(size=(2, 3, 5)), rng.normal(size=(5, 4)), rng.normal(size=4)
    np.testing.assert_allclose(compiled(affine)(x, kernel, bias), x @ kernel + bias, rtol=1e-13)


# Rows, inputs, outputs on both sides of what `dense` calls narrow.
SHAPES = [((8,), 3, 2), ((4, 8), 64, 10), ((32,), 33, 32), ((32,), 33, 33), ((7,), 64, 10), ((1025,), 4, 2)]


@pytest.mark.parametrize(("rows", "inputs", "outputs"), SHAPES)
def test_derivatives(x64, rows, inputs, outputs):
    """Of Σ w·y: w·kernelᵀ, xᵀ·w and Σw; forwards dx·kernel + x·dkernel; for several kernels at a time."""
    rng = np.random.default_rng(0)
    x, dx = rng.normal(size=(2, *rows, inputs))
    kernels, bias = rng.normal(size=(2, inputs, outputs)), rng.normal(size=outputs)
    w, kernel = rng.normal(size=(*rows, outputs)), kernels[0]
    by_kernel = x.reshape(-1, inputs).T @ w.reshape(-1, outputs)
    tight = {"rtol": 1e-11, "atol": 1e-11}

    def weighted(x, kernel, bias):
        return jnp.sum(w * affine(x, kernel, bias))

    @jax.jit
    def derivatives(x, kernel, bias):
        _, forwards = jax.jvp(affine, (x, kernel), (dx, kernels[1]))
        each = jax.vmap(grad(weighted, 1), (None, 0, None))(x, kernels, bias)
        squares = grad(lambda kernel: jnp.sum(w * affine(x, kernel) ** 2))
        _, curved = jax.jvp(squares, (kernel,), (kernels[1],))
        return grad(weighted, (0, 1, 2))(x, kernel, bias), forwards, each, curved

    grads, forwards, each, curved = derivatives(x, kernel, bias)
    for found, expected in zip(grads, (w @ kernel.T, by_kernel, w.sum(tuple(range(len(rows))))), strict=True):
        np.testing.assert_allclose(found, expected, **tight)
    np.testing.assert_allclose(forwards, dx @ kernel + x @ kernels[1], **tight)
    np.testing.assert_allclose(each, [by_kernel, by_kernel], **tight)
    # The second derivative of Σ w·y²: 2·xᵀ·(w·(x·dkernel)).
    expected = 2 * x.reshape(-1, inputs).T @ (w * (x @ kernels[1])).reshape(-1, outputs)
    np.testing.assert_allclose(curved, expected, **tight)


@pytest.mark.usefixtures("compiled_as_for_users")
def test_gradient_of_a_narrow_kernel_has_wide_rows():
    """On CPU [O, I] and not [I, O], alone and for a population; nothing of it is left elsewhere."""

    def gradient(x, kernel):
        return jax.grad(lambda kernel: jnp.sum(affine(x, kernel) ** 2))(kernel)

    x, kernels = jnp.ones((32, 64)), jnp.ones((8, 64, 10))
    alone = jax.jit(gradient).lower(x, kernels[0])
    assert "f32[10,64]{1,0} dot(" in alone.compile().as_text()
    xs = jnp.ones((8, 32, 64))
    population = jax.jit(jax.vmap(gradient)).lower(xs, kernels).compile().as_text()
    assert re.search(r"f32\[\d*,?10,64\]\S* dot\(", population)
    assert not re.search(r"f32\[\d*,?64,10\]\S* dot\(", population)
    for platform in ("tpu", "cuda"):
        text = jax.export.export(jax.jit(gradient), platforms=[platform])(x, kernels[0]).mlir_module()
        assert "optimization_barrier" not in text


def test_parameters(key):
    x = jax.ShapeDtypeStruct((8, 5), jnp.float32)
    params, state = init(dense(3, bias_init=constant(2.0)), key, x)
    assert (params["kernel"].shape, params["bias"].tolist(), state) == ((5, 3), [2.0] * 3, ())
    assert set(init(dense(3, use_bias=False), key, x)[0]) == {"kernel"}


def test_default_kernel_is_lecun_normal(key):
    params, _ = init(dense(400), key, jnp.ones((1, 300)))
    kernel = np.asarray(params["kernel"], np.float64)
    assert abs(kernel.std() - 300**-0.5) < 4 * 300**-0.5 / np.sqrt(2 * kernel.size)
    assert not params["bias"].any()


@pytest.mark.parametrize("dtype", [jnp.float16, jnp.bfloat16])
def test_low_precision_sums_in_float32(dtype):
    """4096 ones: a bfloat16 sum stops growing at 256."""
    y = compiled(affine)(np.ones((1, 4096), dtype), np.ones((4096, 1), np.float32))
    assert y.dtype == dtype
    assert y.item() == 4096


def test_integers_are_read_as_floats(key):
    pixels = jnp.arange(6, dtype=jnp.uint8).reshape(2, 3)
    layer = dense(1, kernel_init=constant(0.5))
    params, _ = init(layer, key, pixels)
    assert params["kernel"].dtype == jnp.float32
    assert apply(layer, params, (), pixels)[0].tolist() == [[1.5], [6.0]]


@pytest.mark.parametrize(("features", "error"), [(0, ValueError), (2.5, TypeError)])
def test_errors(features, error):
    with pytest.raises(error, match=r"dense\(features\)"):
        dense(features)
