"""Constants, and why weights must not be equal: the nets of the notes' zero initialization."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxopt_notes.initializers import constant, normal, ones, zeros

X = np.linspace(-1, 1, 50, dtype=np.float32)[:, None]
Y = np.sin(3 * X) + 0.4 * X


def test_values():
    np.testing.assert_array_equal(zeros()(None, (2, 3)), np.zeros((2, 3)))
    np.testing.assert_array_equal(ones()(None, (2, 3)), np.ones((2, 3)))
    np.testing.assert_array_equal(constant(0.5)(None, ()), 0.5)


def train(activation, init, key, *, steps=200):
    """A 1-3-1 net and plain gradient descent on a curve; first and last parameters."""
    first, second = jax.random.split(key)
    params = {"w1": init(first, (1, 3)), "b1": jnp.zeros(3), "w2": init(second, (3, 1)), "b2": jnp.zeros(1)}

    def loss(p):
        hidden = activation(X @ p["w1"] + jnp.broadcast_to(p["b1"], (50, 3)))
        return jnp.mean((hidden @ p["w2"] + jnp.broadcast_to(p["b2"], (50, 1)) - Y - 0.3) ** 2)

    def descend(p, _):
        return jax.tree.map(lambda x, g: x - 0.3 * g, p, jax.grad(loss)(p)), None

    last, _ = jax.jit(lambda p: jax.lax.scan(descend, p, length=steps))(params)
    return params, last


def units_are_equal(params):
    w1, b1, w2 = (np.ravel(params[name]) for name in ("w1", "b1", "w2"))
    return all((x == x[0]).all() for x in (w1, b1, w2))


@pytest.mark.notes("S1-27", "S2-03", "S2-04", "S2-24")
@pytest.mark.parametrize("activation", [jax.nn.sigmoid, jnp.tanh, jax.nn.relu])
@pytest.mark.parametrize("value", [0.0, 0.1])
def test_equal_weights_stay_equal_for_ever(activation, value, key):
    first, last = train(activation, constant(value), key)
    assert units_are_equal(last)
    assert float(last["b2"][0]) != 0
    if value == 0 and activation is not jax.nn.sigmoid:  # nothing but the last bias ever moves
        np.testing.assert_array_equal(last["w1"], 0)
        np.testing.assert_array_equal(last["b1"], 0)
        np.testing.assert_array_equal(last["w2"], 0)
    else:  # it learns, as one unit
        assert float(np.abs(last["w2"] - first["w2"]).min()) > 0.01


@pytest.mark.notes("S2-03", "S2-24")
@pytest.mark.parametrize("activation", [jax.nn.sigmoid, jnp.tanh])
def test_random_weights_break_the_symmetry(activation, key):
    _, last = train(activation, normal(), key)
    assert len(set(np.ravel(last["w1"]).tolist())) == 3
    assert not units_are_equal(last)


@pytest.mark.notes("S2-24")
def test_a_single_layer_may_start_at_zero(key):
    """Linear regression from zeros finds the line."""
    w = zeros()(key, (1, 1))
    target = 2 * X
    for _ in range(200):
        w = w - 0.5 * jax.grad(lambda w: jnp.mean((X @ w - target) ** 2))(w)
    assert float(w[0, 0]) == pytest.approx(2, rel=1e-3)
