"""What batch normalization does to training, and which of its explanations hold."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxopt_notes as jn

DEPTH, WIDTH = 6, 32


def digits():
    x, y = jn.digits()
    return jnp.asarray(x / 16, jnp.float32), jnp.asarray(y)


def network(norm, activation="relu", init=None, depth=DEPTH):
    init = jn.he_normal() if init is None else init
    return jn.mlp([WIDTH] * depth + [10], activation, batch_norm=norm, kernel_init=init)


@pytest.mark.notes("S1-36", "S4-65")
def test_sigmoids_saturate_less_but_are_not_held_in_their_linear_part(key):
    """Beyond 0.1 and 0.9 are 84.6 % of N(0, 128) and 2.8 % of N(0, 1), until γ = √128 undoes it."""
    layer = jn.batch_norm()

    @jax.jit
    def run(key):
        z = jax.random.normal(key, (100_000, 1)) * 128**0.5
        params, state = layer.init(key, z)
        wide = {**params, "scale": jnp.full(1, 128**0.5)}
        normed, undone = (layer.apply(p, state, z, train=True)[0] for p in (params, wide))
        a = [jax.nn.sigmoid(x) for x in (z, normed, undone)]
        return [jnp.mean(jnp.abs(a - 0.5) > 0.4) for a in a], jnp.mean(a[1] * (1 - a[1]))

    beyond, slope = run(key)
    np.testing.assert_allclose(beyond, [0.846, 0.028, 0.846], atol=0.003)
    np.testing.assert_allclose(slope, 0.2066, atol=0.001)


@pytest.mark.full
@pytest.mark.notes("S4-67", "S4-76")
def test_gradients_neither_vanish_nor_explode(key):
    """With weights of any size, how much the first layer counts; without, it is lost among small ones."""
    x = jax.random.normal(key, (64, WIDTH))
    y = jnp.arange(64) % 10

    @jax.jit
    def slopes(stddevs):
        def slope(norm, stddev):
            model = network(norm, jnp.tanh, jn.initializers.normal(stddev), depth=8)
            params, state = model.init(jax.random.key(1), x)

            def loss(params):
                return jnp.mean(jn.softmax_cross_entropy(model.apply(params, state, x, train=True)[0], y))

            return stddev * jnp.linalg.norm(jax.grad(loss)(params)["layers_0"]["kernel"])

        return [jax.vmap(lambda s, norm=norm: slope(norm, s))(stddevs) for norm in (False, True)]

    plain, normed = (np.asarray(found) for found in slopes(jnp.asarray([0.01, 0.1, 1.0])))
    assert plain[0] < 1e-8
    assert normed.min() > 1e-3
    assert normed.max() < 10


@pytest.mark.notes("S4-71")
def test_moving_averages_in_training_let_the_bias_run_away(key):
    """Gradients that do not know of the mean: b grows for ever and nothing else changes; BN gives it none.

    Ioffe & Szegedy 2015, section 2: x̂ = u + b − E[u + b] does not depend on b.
    """
    found = jn.studies.batch_norm_averages(key, seeds=3, steps=30)
    np.testing.assert_allclose(found.losses[0], found.losses[0, :, :1] * np.ones(30), rtol=1e-4)
    np.testing.assert_allclose(found.bias[0], found.bias[0, :, 1:2] * np.arange(30), rtol=1e-3, atol=1e-6)
    assert (found.bias[0, :, -1] > 0.1).all()
    np.testing.assert_allclose(found.slopes[1], 0, atol=1e-6)
    assert len(found.plot().axes) == 2


@pytest.mark.notes("S4-64")
def test_inputs_of_a_layer_drift_only_while_those_below_it_move():
    """Covariate shift inside, as change of a layer's inputs in mean and deviation: frozen below, it is 0."""
    x, y = digits()
    x, y = x[:128], y[:128]
    model = jn.mlp([8, 8, 10], "tanh")
    below = dataclasses.replace(model, layers=model.layers[:4])

    @jax.jit
    def drift():
        start, _ = model.init(jax.random.key(0), x)

        def statistics(params):
            hidden = below.apply(params, (), x)[0]
            return jnp.stack([hidden.mean(0), hidden.std(0)])

        def trained(factors):
            optimizer = jn.chain(jn.sgd(0.5), jn.layerwise_rates(factors))

            def step(carry, _):
                params, kept = carry
                grads = jax.grad(lambda p: jnp.mean(jn.softmax_cross_entropy(model.apply(p, (), x)[0], y)))(
                    params
                )
                updates, kept = optimizer.update(grads, kept, params)
                return (jn.apply_updates(params, updates), kept), None

            return jax.lax.scan(step, (start, optimizer.init(start)), None, length=10)[0][0]

        frozen, moved = (trained({"layers_0": f, "layers_2": f}) for f in (0.0, 1.0))
        return [jnp.abs(statistics(p) - statistics(start)).max() for p in (frozen, moved)]

    frozen, moved = drift()
    assert frozen < 1e-6  # two computations of one program, whose roundings may differ
    assert moved > 0.05


@pytest.mark.full
@pytest.mark.notes("S1-34", "S1-35", "S4-69", "S4-78", "S4-75")
def test_larger_rates_fewer_steps_and_either_place(key):
    """Seven layers on digits, medians of three seeds; before or after ReLU hardly matters here."""
    found = jn.studies.batch_norm_rates(key, seeds=3)
    largest = dict(zip(found.places, found.largest_rate, strict=True))
    assert largest["before"] >= 4 * largest["none"] > 0
    none, *placed = found.rows()
    assert max(row["least_mean_loss"] for row in placed) < none["least_mean_loss"]
    assert max(row["least_last_loss"] for row in placed) < 0.5
    assert len(found.plot().axes) == 2


@pytest.mark.full
@pytest.mark.notes("S4-69")
def test_the_first_weights_may_be_of_any_size(key):
    """Standard deviations from 0.01 to 1 at one rate: with it all learn, without it neither end does."""
    found = jn.studies.batch_norm_starts(key, seeds=3)
    without, with_it = np.median(found.losses, axis=-1)
    assert (with_it < 1.5).all()
    assert (without[[0, -1]] > 2).all()
    assert len(found.plot().axes) == 1


@pytest.mark.full
@pytest.mark.notes("S4-66")
def test_normalization_helps_although_inputs_shift(key):
    """Santurkar et al. 2018: shaken after each normalization, inputs shift more, training stays faster."""
    plain, _, shaken = (found := jn.studies.noisy_batch_norm(key, seeds=3)).rows()
    assert shaken["loss"] < 0.7 * plain["loss"]
    assert len(found.plot().axes) == 1


@pytest.mark.full
@pytest.mark.notes("S4-68")
def test_the_landscape_along_the_gradient_is_smoother():
    """The spread of losses at 4 distances along the gradient, after 20 steps, medians of three seeds."""
    x, y = digits()
    x, y = x[:256], y[:256]

    def spread(norm, seed):
        model = network(norm)
        params, state = model.init(jax.random.key(seed), x)

        def loss(params):
            return jnp.mean(jn.softmax_cross_entropy(model.apply(params, state, x, train=True)[0], y))

        def step(params, _):
            return jax.tree.map(lambda p, g: p - 0.1 * g, params, jax.grad(loss)(params)), None

        params, _ = jax.lax.scan(step, params, None, length=20)
        grads = jax.grad(loss)(params)
        ahead = [loss(jax.tree.map(lambda p, g, t=t: p - t * g, params, grads)) for t in (0.1, 0.4, 0.8, 1.6)]
        return jnp.max(jnp.stack(ahead)) - jnp.min(jnp.stack(ahead))

    plain, normed = (
        np.median(jax.jit(jax.vmap(lambda s, norm=norm: spread(norm, s)))(jnp.arange(3)))
        for norm in (False, True)
    )
    assert normed < 0.5 * plain


@pytest.mark.full
@pytest.mark.notes("S4-77")
def test_batches_have_to_be_shuffled():
    """Of one class each, batches are normalized by what no evaluation sees: accuracy falls to near chance."""
    x, y = digits()
    model = network("before", depth=2)

    def accuracy(order, seed):
        params, state = model.init(jax.random.key(seed), x[:1])

        def step(carry, i):
            params, state = carry
            chosen = jax.lax.dynamic_slice_in_dim(order, (i % 28) * 64, 64)

            def loss(params):
                logits, after = model.apply(params, state, x[chosen], train=True)
                return jnp.mean(jn.softmax_cross_entropy(logits, y[chosen])), after

            grads, after = jax.grad(loss, has_aux=True)(params)
            return (jax.tree.map(lambda p, g: p - 0.1 * g, params, grads), after), None

        (params, state), _ = jax.lax.scan(step, (params, state), jnp.arange(140))
        return jnp.mean(jnp.argmax(model.apply(params, state, x)[0], -1) == y)

    orders = jnp.stack([jnp.argsort(y), jax.random.permutation(jax.random.key(5), len(y))])
    found = jax.jit(jax.vmap(jax.vmap(accuracy, (None, 0)), (0, None)))(orders, jnp.arange(3))
    in_order, shuffled = np.median(found, axis=1)
    assert in_order < 0.6 < 0.9 < shuffled
