"""Recurrent layers: masks, directions, stretches of a sequence, first weights, and gradients through time."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxopt_notes.initializers import constant, normal, orthogonal
from jaxopt_notes.layers import bidirectional, gru, lstm, rnn, sequence_mask
from tests.compiled import apply, grad, init

ALL = pytest.mark.parametrize("make", [rnn, lstm, gru])


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def test_formulas(x64):
    """Each layer against NumPy, step by step, from the equations in its docstring."""
    rng, size = np.random.default_rng(0), 2
    x = rng.normal(size=(3, 4, 5))
    for make, gates in ((rnn, 1), (lstm, 4), (gru, 3)):
        kernel, again = rng.normal(size=(5, gates * size)), rng.normal(size=(size, gates * size))
        bias, inner = rng.normal(size=gates * size), rng.normal(size=size)
        h, c, ys = np.zeros((3, size)), np.zeros((3, size)), []
        for t in range(4):
            z, r = np.split(x[:, t] @ kernel + bias, gates, -1), np.split(h @ again, gates, -1)
            if make is rnn:
                h = np.tanh(z[0] + r[0])
            elif make is lstm:
                c = sigmoid(z[1] + r[1]) * c + sigmoid(z[0] + r[0]) * np.tanh(z[2] + r[2])
                h = sigmoid(z[3] + r[3]) * np.tanh(c)
            else:
                u = sigmoid(z[1] + r[1])
                h = (1 - u) * np.tanh(z[2] + sigmoid(z[0] + r[0]) * (r[2] + inner)) + u * h
            ys.append(h)
        params = {"input": {"kernel": kernel, "bias": bias}, "recurrent": {"kernel": again}}
        if make is gru:
            params["recurrent"]["bias"] = inner
        params = jax.tree.map(jnp.asarray, params)
        np.testing.assert_allclose(apply(make(size), params, (), x)[0], np.stack(ys, 1), rtol=1e-12)
        last = apply(make(size, return_sequences=False), params, (), x)[0]
        np.testing.assert_allclose(last, h, rtol=1e-12)
        backwards = apply(make(size, reverse=True), params, (), x[:, ::-1])[0]
        np.testing.assert_allclose(backwards, np.stack(ys, 1)[:, ::-1], rtol=1e-12)


@ALL
def test_padding_changes_nothing(make, key):
    """Before, after or amid the steps, forwards and backwards: outputs of 0 there, the others as without."""
    x = jax.random.normal(key, (2, 3, 4))
    padded = jnp.full((2, 6, 4), 1e3)
    places = np.array([[0, 1, 2], [1, 3, 5]])
    rows = np.arange(2)[:, None]
    padded = padded.at[rows, places].set(x)
    mask = jnp.zeros((2, 6), bool).at[rows, places].set(True)
    params, _ = init(make(2), key, x)

    @jax.jit
    def both(x, padded, mask):
        return [
            (apply(layer, params, (), x)[0], apply(layer, params, (), padded, mask=mask)[0])
            for layer in (make(2), make(2, reverse=True), make(2, return_sequences=False))
        ]

    for alone, among in both(x, padded, mask):
        if alone.ndim == 3:
            np.testing.assert_array_equal(among[~mask], 0)
            among = among[rows, places]
        np.testing.assert_allclose(among, alone, rtol=1e-6, atol=1e-7)


@ALL
def test_stretches_of_a_sequence(make, key):
    """The carry of the first stretch continues the second; a layer unrolled is the same."""
    layer, x = make(2), jax.random.normal(key, (3, 5, 4))
    params, _ = init(layer, key, x)
    whole, _ = apply(make(2, unroll=2), params, (), x)
    carry, first = layer.scan(params, layer.initial_carry(3), x[:, :2])
    _, second = layer.scan(params, carry, x[:, 2:])
    np.testing.assert_allclose(jnp.concatenate([first, second], 1), whole, rtol=1e-5, atol=1e-6)


@ALL
def test_gates_are_drawn_one_by_one(make, key):
    """Each recurrent kernel is a rotation, input kernels are apart, and initializers go where they should."""
    layer = make(3, kernel_init=normal(2.0), recurrent_init=orthogonal(3.0), bias_init=constant(0.5))
    params, state = init(layer, key, jax.ShapeDtypeStruct((1, 1, 4), jnp.float32))
    assert state == ()
    gates = np.split(params["recurrent"]["kernel"], layer.gates, -1)
    for gate in gates:
        np.testing.assert_allclose(gate @ gate.T, 9 * np.eye(3), atol=1e-5)
    drawn = np.asarray(params["input"]["kernel"])
    assert len(np.unique(drawn)) == drawn.size == 4 * 3 * layer.gates
    expected = [0.5] * 3 + [1.5] * 3 + [0.5] * 6 if make is lstm else [0.5] * 3 * layer.gates
    assert params["input"]["bias"].tolist() == expected
    assert ("bias" in params["recurrent"]) == (make is gru)
    assert make is not gru or params["recurrent"]["bias"].tolist() == [0.5] * 3


def test_both_ways(key):
    """Forward and backward have weights of their own, side by side or merged otherwise."""
    layer = bidirectional(lstm(2))
    x = jax.random.normal(key, (2, 4, 3))
    params, _ = init(layer, key, x)
    forward, _ = apply(lstm(2), params["forward"], (), x)
    backward, _ = apply(lstm(2, reverse=True), params["backward"], (), x)
    np.testing.assert_allclose(
        apply(layer, params, (), x)[0], jnp.concatenate([forward, backward], -1), rtol=1e-6
    )
    added = apply(bidirectional(lstm(2), "sum"), params, (), x)[0]
    np.testing.assert_allclose(added, forward + backward, rtol=1e-6)
    assert not np.isclose(params["forward"]["input"]["kernel"], params["backward"]["input"]["kernel"]).any()


@pytest.mark.full
@pytest.mark.notes("S0-39")
def test_gradients_through_200_steps_survive_in_the_lstm_only(key):
    """Of the last output with respect to the first input, beside that to the last input.

    A forget gate at a bias of log 400 ≈ 6 forgets 1/400 a step. One at 1 forgets a quarter: its gradient
    is small after 200 steps, and yet there, where the plain layer's is none.
    """
    x = jax.random.normal(key, (1, 200, 4))

    @jax.jit
    def norms(key):
        found = []
        for layer in (rnn(16), lstm(16), lstm(16, forget_bias=6.0)):
            params, _ = init(layer, key, x)

            def last(x, layer=layer, params=params):
                return jnp.sum(apply(layer, params, (), x)[0][:, -1])

            by_time = jnp.linalg.norm(grad(last)(x)[0], axis=-1)
            found.append(by_time[0] / by_time[-1])
        return jnp.stack(found)

    plain, default, opened = jnp.median(jax.lax.map(norms, jax.random.split(key, 5)), 0)
    assert plain < 1e-30
    assert 1e-24 < default < 1e-10
    assert opened > 0.1


def test_the_cell_passes_a_gradient_on_by_its_forget_gate(x64):
    """∂c₂₀₀/∂c₀ = σ(b)²⁰⁰ where the gates see nothing else."""
    layer, n = lstm(1), 200
    params = {
        "input": {"kernel": jnp.zeros((1, 4)), "bias": jnp.array([0.0, 6.0, 0.0, 0.0])},
        "recurrent": {"kernel": jnp.zeros((1, 4))},
    }

    def cell(c):
        return layer.scan(params, (jnp.zeros((1, 1)), c), jnp.zeros((1, n, 1)))[0][1].sum()

    slope = grad(cell)(jnp.ones((1, 1)))
    np.testing.assert_allclose(slope, sigmoid(6.0) ** n, rtol=1e-12)


def test_sequence_mask():
    mask = sequence_mask(jnp.array([0, 2, 3]), 3)
    assert mask.tolist() == [[False] * 3, [True, True, False], [True] * 3]


@ALL
def test_errors(make, key):
    name = make.__name__
    with pytest.raises(ValueError, match=rf"{name}\(x\) has shape \(2, 3\), expected \[batch, time"):
        init(make(2), key, jnp.ones((2, 3)))
    params, _ = init(make(2), key, jnp.ones((1, 3, 4)))
    with pytest.raises(ValueError, match=rf"{name}\(x\) has shape \(1, 3, 5\).* 4 features"):
        apply(make(2), params, (), jnp.ones((1, 3, 5)))
    with pytest.raises(ValueError, match=r"mask is float32\[1, 2\], expected bool\[1, 3\].*sequence_mask"):
        apply(make(2), params, (), jnp.ones((1, 3, 4)), mask=jnp.ones((1, 2)))
    with pytest.raises(ValueError, match=rf"{name}\(features\) is 0"):
        make(0)
    with pytest.raises(TypeError, match="expected a recurrent layer"):
        bidirectional(jnp.tanh)
    with pytest.raises(ValueError, match="reverse=True"):
        bidirectional(make(2, reverse=True))
