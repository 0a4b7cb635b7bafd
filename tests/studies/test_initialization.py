"""What the starting point does to training: rows of the notes that need whole runs."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxopt_notes as jn


@pytest.mark.notes("S2-01")
def test_parameters_of_a_deep_network():
    """784-128-64-32-16-10: Σ nᵢnᵢ₊₁ weights and Σ nᵢ₊₁ biases."""
    params, _ = jn.mlp([128, 64, 32, 16, 10]).init(jax.random.key(0), jnp.zeros((1, 784)))
    widths = [784, 128, 64, 32, 16, 10]
    weights = sum(a * b for a, b in itertools.pairwise(widths))
    assert sum(leaf.size for leaf in jax.tree.leaves(params)) == weights + sum(widths[1:]) == 111514


@pytest.mark.full
@pytest.mark.notes("S2-01")
def test_gradients_vanish_towards_the_first_layer_of_a_deep_sigmoid_network(key):
    """Each sigmoid multiplies by at most ¼, so norms fall by more than half a layer towards the input."""
    model = jn.mlp([32] * 8 + [10], activation="sigmoid", kernel_init=jn.xavier_uniform())
    x, y = jax.random.normal(key, (64, 20)), jnp.arange(64) % 10
    params, state = model.init(jax.random.key(1), x)
    grads = jax.grad(lambda p: jn.softmax_cross_entropy(model.apply(p, state, x)[0], y).mean())(params)
    names = sorted(grads, key=lambda name: int(name.split("_")[1]))
    norms = np.array([jn.global_norm(grads[name]["kernel"]) for name in names])
    assert (norms[:-2] < 0.5 * norms[1:-1]).all()


@pytest.mark.full
@pytest.mark.notes("S2-02")
def test_the_seed_changes_how_long_training_takes():
    """One program over 16 seeds: epochs until 90 % of the digits are right."""
    x, y = jn.digits()
    data = (x[:600] / 16, y[:600])
    trainer = jn.Trainer(jn.mlp([16, 10]), jn.sgd(0.1), jn.softmax_cross_entropy, batch_size=60)

    def epochs_to_target(key):
        _, history = trainer.advance(trainer.init(key, data), data, data, epochs=40)
        return jnp.argmax(history["valid_accuracy"] > 0.9)

    epochs = np.asarray(jax.jit(jax.vmap(epochs_to_target))(jax.random.split(jax.random.key(0), 16)))
    assert (epochs > 0).all()
    quarter, half, three_quarters = np.quantile(epochs, [0.25, 0.5, 0.75])
    assert quarter < three_quarters
    assert epochs.max() - epochs.min() >= 0.2 * half


@pytest.mark.full
@pytest.mark.notes("S2-13")
def test_the_top_sigmoid_layer_saturates_first():
    """Glorot & Bengio 2010, figure 2: early in training the last hidden layer is driven towards 0."""
    x, y = jn.digits()
    data = (x[:512] / 16, y[:512])
    heuristic = jn.initializers.fan_in_uniform()
    trainer = jn.Trainer(
        jn.mlp([64] * 4 + [10], activation="sigmoid", kernel_init=heuristic),
        jn.sgd(0.5), jn.softmax_cross_entropy, batch_size=32,
    )  # fmt: skip
    state = trainer.init(jax.random.key(0), data)
    start = hidden_activations(state.params, data[0])
    state, _ = trainer.advance(state, data, epochs=8)
    end = hidden_activations(state.params, data[0])
    drop = [float(before.mean() - after.mean()) for before, after in zip(start, end, strict=True)]
    assert drop[-1] > 0.1
    assert drop[-1] > 2 * max(drop[:-1])


def hidden_activations(params, x):
    names = sorted(params, key=lambda name: int(name.split("_")[1]))
    found = []
    for name in names[:-1]:
        x = jax.nn.sigmoid(x @ params[name]["kernel"] + params[name]["bias"][None])
        found.append(x)
    return found


@pytest.mark.notes("S3-44")
@pytest.mark.parametrize(("dtype", "layers"), [(jnp.float32, 128), (jnp.float16, 16)])
def test_doubling_layers_overflow(dtype, layers):
    """Layers that each double overflow at 2¹²⁸ in float32 and at 2¹⁶ in float16."""
    layer = jn.dense(1, use_bias=False, kernel_init=jn.initializers.constant(2.0))
    params, state = layer.init(jax.random.key(0), jnp.ones((1, 1)))
    params = jax.tree.map(lambda leaf: leaf.astype(dtype), params)
    outputs = [jnp.ones((1, 1), dtype)]
    for _ in range(layers):
        outputs.append(layer.apply(params, state, outputs[-1])[0])
    assert outputs[-1].dtype == dtype
    assert jnp.isfinite(outputs[-2]).all()
    assert jnp.isinf(outputs[-1]).all()


@pytest.mark.full
@pytest.mark.notes("S3-45")
@pytest.mark.parametrize(
    ("activation", "init"), [("identity", jn.xavier_normal()), ("relu", jn.he_normal())]
)  # fmt: skip
def test_the_right_initialization_keeps_the_second_moment(activation, init):
    """Over 20 layers of equal width the mean square stays what it was; with unit weights it explodes."""
    x = jax.random.normal(jax.random.key(0), (256, 128))

    def second_moments(kernel_init):
        model = jn.mlp([128] * 20, activation=activation, kernel_init=kernel_init)
        params, state = jax.vmap(lambda key: model.init(key, x))(jax.random.split(jax.random.key(1), 8))
        return jax.vmap(lambda p: jnp.mean(model.apply(p, state, x)[0] ** 2))(params)

    expected = 1.0 if activation == "identity" else 2.0  # He counts the last layer, which has no ReLU
    np.testing.assert_allclose(np.mean(second_moments(init)), expected, rtol=0.5)
    assert np.min(second_moments(jn.initializers.normal(1.0))) > 1e20
