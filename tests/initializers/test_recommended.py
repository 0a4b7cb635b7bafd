"""What is recommended for an activation keeps its signal alive over depth, forwards and backwards."""

import functools

import jax
import jax.numpy as jnp
import pytest

from jaxopt_notes import activations as a
from jaxopt_notes.activations import ACTIVATIONS
from jaxopt_notes.initializers import recommended, xavier_normal

DEPTH, WIDTH, NETS = 12, 128, 8


def per_layer(activation, init, key):
    """By what factor a layer multiplies E[z²], the variance of z over samples, and that of gradients."""

    def net(key):
        data, weights, end = jax.random.split(key, 3)
        x = jax.random.normal(data, (128, WIDTH))
        first, *rest = jax.random.split(weights, DEPTH)

        def layer(z, key_and_shift):
            key, shift = key_and_shift
            after = activation(z + shift) @ init(key, (WIDTH, WIDTH))
            return after, (jnp.mean(z**2), jnp.mean(jnp.var(z, axis=0)))

        def forward(shifts):
            z, series = jax.lax.scan(layer, x @ init(first, (WIDTH, WIDTH)), (jnp.stack(rest), shifts))
            return jnp.sum(z * jax.random.normal(end, z.shape)), series

        shifts = jnp.zeros((DEPTH - 1, 128, WIDTH))
        gradients, (squares, variances) = jax.grad(forward, has_aux=True)(shifts)
        return squares, variances, jnp.mean(gradients**2, axis=(1, 2))[::-1]

    series = jax.jit(jax.vmap(net))(jax.random.split(key, NETS))
    return [float(jnp.exp(jnp.mean(jnp.log(x[:, -1] / x[:, 0])) / (DEPTH - 2))) for x in series]


SLOPE = functools.partial(a.leaky_relu, negative_slope=0.5)


@pytest.mark.full
@pytest.mark.notes("S0-41", "S1-30")
@pytest.mark.parametrize("activation", [a.identity, a.relu, a.leaky_relu, SLOPE, a.selu])
def test_variances_are_constant_over_depth_where_the_theory_is_exact(activation, key):
    squares, _, gradients = per_layer(activation, recommended(activation), key)
    assert squares == pytest.approx(1, abs=0.05)
    assert gradients == pytest.approx(1, abs=0.1)


@pytest.mark.full
@pytest.mark.notes("S0-41", "S2-12")
@pytest.mark.parametrize(
    ("name", "gradients"),
    [
        ("tanh", 0.77), ("sigmoid", 0.37), ("gelu", 0.97),
        *(
            pytest.param(*case, marks=pytest.mark.full)
            for case in (("softsign", 0.60), ("elu", 1.19), ("silu", 0.74), ("softplus", 0.74))
        ),
    ],
)  # fmt: skip
def test_elsewhere_gradients_fall_by_the_factors_of_the_docstring(name, gradients, key):
    assert per_layer(ACTIVATIONS[name], recommended(name), key)[2] == pytest.approx(gradients, abs=0.04)


@pytest.mark.notes("S0-41")
def test_a_layer_of_sigmoids_with_plain_xavier_keeps_a_sixteenth(key):
    _, spread, gradients = per_layer(a.sigmoid, xavier_normal(), key)
    assert spread == pytest.approx(1 / 16, rel=0.2)
    assert gradients == pytest.approx(1 / 16, rel=0.2)


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_every_activation_has_one_by_name_and_by_function(name):
    by_name = recommended(name)
    assert repr(by_name) == repr(recommended(ACTIVATIONS[name]))
    assert by_name(jax.random.key(0), (3, 4)).shape == (3, 4)


def test_the_slope_of_a_partial_is_used():
    for partial in (functools.partial, jax.tree_util.Partial):
        assert recommended(partial(a.leaky_relu, negative_slope=0.2)).negative_slope == 0.2
    assert recommended("leaky_relu").negative_slope == 0.01
    assert type(recommended(functools.partial(a.gelu, approximate=False))).__name__ == "He"


def test_functions_of_jax_are_known():
    for function, name in ((jax.nn.relu, "relu"), (jax.nn.soft_sign, "softsign"), (jnp.tanh, "tanh"),
                           (jax.nn.swish, "silu"), (jax.nn.gelu, "gelu"), (jax.nn.selu, "selu")):  # fmt: skip
        assert repr(recommended(function)) == repr(recommended(name))


@pytest.mark.parametrize("unknown", ["rleu", lambda x: x, 3])
def test_an_unknown_activation_is_refused_with_the_list(unknown):
    with pytest.raises(ValueError, match="expected one of identity, tanh"):
        recommended(unknown)


def test_a_sigmoid_needs_sixteen_times_the_variance_of_tanh():
    """Its slope at 0 is a quarter, and a layer's factor is the slope's square times the variance."""
    assert recommended("sigmoid").gain == 4 * recommended("tanh").gain
