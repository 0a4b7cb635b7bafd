"""Activations against their formulas in float64, at the ends of the range, and in every dtype."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxopt_notes import activations as a
from jaxopt_notes.activations import ACTIVATIONS
from jaxopt_notes.initializers import lecun_normal
from tests.compiled import grad

ERF = np.vectorize(math.erf)
LAMBDA, ALPHA = 1.0507009873554804934193349852946, 1.6732632423543772848170429916717

# Formula and derivative, in float64 NumPy.
FORMULAS = {
    "identity": (lambda x: x, lambda x: np.ones_like(x)),
    "sigmoid": (lambda x: 1 / (1 + np.exp(-x)), lambda x: np.exp(-x) / (1 + np.exp(-x)) ** 2),
    "tanh": (
        lambda x: (np.exp(x) - np.exp(-x)) / (np.exp(x) + np.exp(-x)),
        lambda x: 4 / (np.exp(x) + np.exp(-x)) ** 2,
    ),
    "softsign": (lambda x: x / (1 + abs(x)), lambda x: 1 / (1 + abs(x)) ** 2),
    "relu": (lambda x: x * (x > 0), lambda x: 1.0 * (x > 0)),
    "leaky_relu": (lambda x: np.maximum(0.01 * x, x), lambda x: np.where(x > 0, 1, 0.01)),
    "elu": (lambda x: np.where(x > 0, x, np.exp(x) - 1), lambda x: np.where(x > 0, 1, np.exp(x))),
    "selu": (
        lambda x: LAMBDA * np.where(x > 0, x, ALPHA * (np.exp(x) - 1)),
        lambda x: LAMBDA * np.where(x > 0, 1, ALPHA * np.exp(x)),
    ),
    "gelu": (
        lambda x: 0.5 * x * (1 + np.tanh(np.sqrt(2 / np.pi) * (x + 0.044715 * x**3))),
        lambda x: (
            0.5 * (1 + np.tanh(np.sqrt(2 / np.pi) * (x + 0.044715 * x**3)))
            + 0.5 * x * (1 - np.tanh(np.sqrt(2 / np.pi) * (x + 0.044715 * x**3)) ** 2)
            * np.sqrt(2 / np.pi) * (1 + 3 * 0.044715 * x**2)
        ),
    ),
    "silu": (
        lambda x: x / (1 + np.exp(-x)),
        lambda x: 1 / (1 + np.exp(-x)) + x * np.exp(-x) / (1 + np.exp(-x)) ** 2,
    ),
    "softplus": (lambda x: np.log(1 + np.exp(x)), lambda x: 1 / (1 + np.exp(-x))),
}  # fmt: skip
X = np.array([-6.0, -2.3, -1.0, -0.1, 0.1, 0.7, 1.0, 2.3, 6.0])
ELEMENTWISE = pytest.mark.parametrize("name", FORMULAS)


def test_every_activation_is_tested():
    assert set(FORMULAS) | {"softmax", "log_softmax"} == set(ACTIVATIONS)


@ELEMENTWISE
@pytest.mark.notes("S0-32", "S0-35", "S1-06", "S1-07", "S1-14", "S1-16", "S1-18")
def test_value_and_derivative_are_the_formulas(name, x64):
    formula, derivative = FORMULAS[name]
    np.testing.assert_allclose(ACTIVATIONS[name](jnp.asarray(X)), formula(X), rtol=1e-10, atol=1e-15)
    slopes = jax.vmap(grad(ACTIVATIONS[name]))(jnp.asarray(X))
    np.testing.assert_allclose(slopes, derivative(X), rtol=1e-9, atol=1e-14)


@pytest.mark.notes("S1-18")
def test_exact_gelu(x64):
    np.testing.assert_allclose(
        a.gelu(jnp.asarray(X), approximate=False), X * 0.5 * (1 + ERF(X / 2**0.5)), rtol=1e-9
    )
    grid = jnp.linspace(-8, 8, 2001)
    assert 1e-4 < jnp.abs(a.gelu(grid) - a.gelu(grid, False)).max() < 5e-4


@pytest.mark.parametrize("name", ACTIVATIONS)
@pytest.mark.parametrize(
    "dtype",
    ["float16", "float64", *(pytest.param(d, marks=pytest.mark.full) for d in ("bfloat16", "float32"))],
)
def test_nothing_overflows_in_any_dtype(name, dtype, x64):
    """Values, gradients and second derivatives at ±10⁴ and in between."""
    x = jnp.asarray(np.array([-1e4, -500, -88, -40, -11, -1, 0, 1, 11, 40, 88, 500, 1e4]), dtype)
    weights = np.arange(1, 14) / 13  # of one sum: softmax is not a function of one number

    @jax.jit
    def probe(x):
        def total(x):
            return jnp.sum(ACTIVATIONS[name](x) * weights.astype(x.dtype))

        return ACTIVATIONS[name](x), grad(total)(x), grad(lambda x: jnp.sum(grad(total)(x)))(x)

    for found in probe(x):
        assert found.dtype == dtype
        assert found.shape == x.shape
        assert np.isfinite(np.asarray(found, np.float64)).all()


@pytest.mark.notes("S0-35")
def test_sigmoid_and_its_derivative(x64):
    x = jnp.linspace(-30, 30, 61)
    y = a.sigmoid(x)
    np.testing.assert_allclose(jax.vmap(grad(a.sigmoid))(x), y * (1 - y), rtol=1e-3, atol=1e-16)
    assert float(grad(a.sigmoid)(0.0)) == 0.25
    np.testing.assert_array_equal(a.sigmoid(jnp.array([-1e4, 1e4])), [0, 1])
    np.testing.assert_allclose(a.sigmoid(-700.0), math.exp(-700), rtol=1e-10)  # the lower tail keeps digits


@pytest.mark.notes("S1-02")
def test_a_saturated_sigmoid_kills_the_gradient_of_everything_before_it(x64):
    w, x = jnp.array([1.0, -2.0]), jnp.array([3.0, 0.5])

    def gradient(shift):
        return grad(lambda x: a.sigmoid(w @ x + shift))(x)

    z = 2.0
    sigma = 1 / (1 + math.exp(-z))
    np.testing.assert_allclose(gradient(0.0), sigma * (1 - sigma) * w, rtol=1e-12)  # w·σ'(z)
    for end in (20.0, -20.0):
        assert float(jnp.abs(gradient(end - z)).max()) < 1e-8


@pytest.mark.notes("S1-06")
def test_tanh_is_odd_and_a_sigmoid_stretched(x64):
    x = jnp.asarray(X)
    np.testing.assert_allclose(a.tanh(-x), -a.tanh(x), rtol=1e-14)
    np.testing.assert_allclose(a.tanh(x), 2 * a.sigmoid(2 * x) - 1, rtol=1e-12)
    assert float(grad(a.tanh)(0.0)) == 1.0


@pytest.mark.notes("S2-12")
def test_softsign_is_odd_with_its_derivative(x64):
    x = jnp.asarray(X)
    np.testing.assert_array_equal(a.softsign(-x), -a.softsign(x))
    np.testing.assert_allclose(jax.vmap(grad(a.softsign))(x), 1 / (1 + np.abs(X)) ** 2, rtol=1e-12)
    assert float(grad(a.softsign)(0.0)) == 1.0


@pytest.mark.notes("S0-32", "S1-07")
def test_relu_passes_gradients_where_it_is_positive_and_nowhere_else():
    assert float(grad(a.relu)(0.0)) == 0.0
    assert float(grad(a.relu)(1e6)) == 1.0
    k1, k2 = jnp.array([[1.0, -1.0], [2.0, 0.5]]), jnp.array([3.0, 5.0])
    # x @ k1 is [-1, -1.5], [1, 1.5] and [3, -0.5].
    for x, on in (([1.0, -1.0], [0, 0]), ([-1.0, 1.0], [1, 1]), ([1.0, 1.0], [1, 0])):
        gradient = grad(lambda x: a.relu(x @ k1) @ k2)(jnp.array(x))
        np.testing.assert_allclose(gradient, np.asarray(k1) @ (np.array(on) * np.asarray(k2)))


@pytest.mark.notes("S1-14")
def test_leaky_relu_slopes():
    slope = grad(a.leaky_relu)
    assert (float(slope(-2.0)), float(slope(2.0))) == (pytest.approx(0.01), 1.0)
    batch = jax.vmap(a.leaky_relu, in_axes=(None, 0))(jnp.array([-2.0, 1.0]), jnp.array([0.0, 0.1, 1.0]))
    np.testing.assert_allclose(batch, [[0, 1], [-0.2, 1], [-2, 1]], rtol=1e-6)
    assert float(grad(a.leaky_relu, argnums=1)(-2.0, 0.1)) == -2.0


@pytest.mark.notes("S1-16")
def test_elu_is_continuous_at_zero_and_ends_at_minus_alpha():
    np.testing.assert_allclose(a.elu(jnp.array([-1e-6, 0.0, 1e-6])), [-1e-6, 0, 1e-6], rtol=1e-5)
    np.testing.assert_allclose(a.elu(jnp.array([-1e4, -1e2]), 2.5), -2.5)
    assert float(grad(a.elu)(1e4)) == 1.0
    np.testing.assert_allclose(grad(a.elu, argnums=1)(-1.0, 2.5), math.exp(-1) - 1, rtol=1e-6)


@pytest.mark.parametrize("dtype", [jnp.float16, jnp.bfloat16])
@pytest.mark.parametrize("function", [a.leaky_relu, a.elu])
def test_a_traced_slope_keeps_the_dtype(function, dtype):
    assert jax.jit(function)(jnp.ones(2, dtype), jnp.float32(0.2)).dtype == dtype


@pytest.mark.notes("S1-18")
def test_selu_has_its_fixed_point_at_mean_zero_and_variance_one(key):
    """Twelve layers of LeCun weights: an input of mean 0.2 and variance 1.5 is drawn to (0, 1)."""
    x = 0.2 + 1.5**0.5 * jax.random.normal(key, (400, 256))
    for layer in range(12):
        x = a.selu(x @ lecun_normal()(jax.random.fold_in(key, layer), (256, 256)))
    assert float(x.mean()) == pytest.approx(0, abs=0.05)
    assert float(x.var()) == pytest.approx(1, abs=0.1)
    z, weights = np.polynomial.hermite_e.hermegauss(200)  # E[f(z)] and E[f(z)²] for z ~ N(0, 1)
    y, weights = np.asarray(a.selu(jnp.asarray(z, jnp.float32)), np.float64), weights / weights.sum()
    assert weights @ y == pytest.approx(0, abs=2e-3)
    assert weights @ y**2 == pytest.approx(1, abs=2e-3)


def test_softmax_and_its_logarithm():
    x = jnp.array([[1.0, 2.0, 3.0], [0.0, 0.0, 1e4]])
    expected = np.exp([1.0, 2.0, 3.0]) / np.exp([1.0, 2.0, 3.0]).sum()
    np.testing.assert_allclose(a.softmax(x)[0], expected, rtol=1e-6)
    np.testing.assert_allclose(a.log_softmax(x)[0], np.log(expected), rtol=1e-6)
    np.testing.assert_allclose(a.log_softmax(x)[1], [-1e4, -1e4, 0])
    np.testing.assert_allclose(a.softmax(x, axis=0).sum(axis=0), 1, rtol=1e-6)
    np.testing.assert_allclose(np.exp(a.log_softmax(x, axis=0)).sum(axis=0), 1, rtol=1e-6)
    np.testing.assert_allclose(a.softmax(x + 100), a.softmax(x), rtol=1e-5)


@pytest.mark.notes("S1-09")
def test_outputs_of_a_rectifier_are_not_centred():
    """Of a normal z with deviation σ they have the mean σ/√(2π); those of tanh have the mean 0."""
    sigma, z = 1.7, np.linspace(-12, 12, 4801, dtype=np.float32)
    density = np.exp(-(z.astype(np.float64) ** 2) / (2 * sigma**2)) / (sigma * math.sqrt(2 * math.pi)) * 0.005
    relu, tanh = (np.asarray(ACTIVATIONS[name](z), np.float64) for name in ("relu", "tanh"))
    np.testing.assert_allclose(relu @ density, sigma / math.sqrt(2 * math.pi), rtol=1e-5)
    np.testing.assert_allclose(tanh @ density, 0, atol=1e-6)
