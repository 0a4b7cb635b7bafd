"""Every registered initializer: shapes, dtypes, keys. What every record promises is in `tests/properties`."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxopt_notes.initializers import INITIALIZERS, normal, variance_scaling

INVARIANT = pytest.mark.parametrize("name", INITIALIZERS)
REQUIRED = {"fixup": (16,)}
SHAPE = (24, 40)


@INVARIANT
def test_shape_and_dtype_are_those_asked_for(name, key):
    init = INITIALIZERS[name](*REQUIRED.get(name, ()))
    dtypes = (jnp.float16, jnp.bfloat16, jnp.float32)

    @jax.jit
    def draws(key):
        return init(key, SHAPE), [init(key, SHAPE, dtype) for dtype in dtypes]

    default, drawn = draws(key)
    assert default.dtype == jnp.float32
    for dtype, values in zip(dtypes, drawn, strict=True):
        assert (values.shape, values.dtype, values.weak_type) == (SHAPE, dtype, False)
        # The same draw, rounded: the dtype of a model does not change its first weights.
        np.testing.assert_allclose(np.float32(values), default, rtol=float(jnp.finfo(dtype).eps))
    for shape in ((0, 5), [3, 3, 4, 8]):
        assert jax.eval_shape(lambda key, shape=shape: init(key, shape), key).shape == tuple(shape)


@INVARIANT
def test_float64(name, key, x64):
    init = INITIALIZERS[name](*REQUIRED.get(name, ()))
    assert jax.eval_shape(lambda key: init(key, (4, 3), jnp.float64), key).dtype == jnp.float64
    assert jax.eval_shape(lambda key: init(key, (4, 3)), key).dtype == jnp.float32


@INVARIANT
def test_old_keys_draw_the_same(name, key):
    init = INITIALIZERS[name](*REQUIRED.get(name, ()))
    np.testing.assert_array_equal(init(jax.random.key_data(key), SHAPE), init(key, SHAPE))


@INVARIANT
def test_draws_depend_on_the_key_alone(name, key):
    init = INITIALIZERS[name](*REQUIRED.get(name, ()))
    np.testing.assert_array_equal(init(key, SHAPE), init(key, SHAPE))
    constant = name in ("zeros", "ones", "constant", "identity", "bilinear")
    assert bool(jnp.all(init(key, SHAPE) == init(jax.random.key(1), SHAPE))) == constant


def test_a_population_of_standard_deviations(key):
    stddevs = jnp.array([0.1, 1.0, 10.0])
    draws = jax.vmap(lambda init, key: init(key, (200, 200)))(
        jax.vmap(normal)(stddevs), jax.random.split(key, 3)
    )
    np.testing.assert_allclose(draws.std(axis=(1, 2)), stddevs, rtol=0.02)


@pytest.mark.parametrize(
    ("name", "arguments", "words"),
    [
        ("normal", {"stddev": -1.0}, r"normal\(stddev\) is -1"),
        ("truncated_normal", {"stddev": -1.0}, r"truncated_normal\(stddev\) is -1"),
        ("uniform", {"low": 2.0, "high": 1.0}, "at most high"),
        ("variance_scaling", {"scale": 0.0}, r"scale\) is 0"),
        ("variance_scaling", {"mode": "fan"}, "expected one of 'fan_in', 'fan_out', 'fan_avg'"),
        ("variance_scaling", {"distribution": "cauchy"}, "expected one of 'normal'"),
        ("he_normal", {"mode": "in"}, "he_normal.mode. is 'in'"),
        ("xavier_uniform", {"gain": 0.0}, r"gain\) is 0"),
        ("orthogonal", {"scale": -2.0}, r"scale\) is -2"),
    ],
)
def test_wrong_arguments_are_named(name, arguments, words):
    with pytest.raises(ValueError, match=words):
        INITIALIZERS[name](**arguments)


@pytest.mark.parametrize(
    "name", ["lecun_normal", "xavier_uniform", "he_normal", "orthogonal", "identity", "sparse", "fixup"]
)
def test_a_vector_has_no_fans(name, key):
    with pytest.raises(ValueError, match=r"\(5,\).*rank 2 or more.*zeros"):
        INITIALIZERS[name](*REQUIRED.get(name, ()))(key, (5,))


def test_complex_weights_have_the_variance_asked_for(key):
    draws = variance_scaling(1.0)(key, (300, 300), jnp.complex64)
    assert draws.dtype == jnp.complex64
    assert float(jnp.mean(jnp.abs(draws) ** 2)) == pytest.approx(1 / 300, rel=0.02)
