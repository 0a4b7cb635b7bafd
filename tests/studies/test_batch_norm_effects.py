"""What batch normalization does to training, and which of its explanations hold."""

import dataclasses
import functools

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


def losses(model, rate, seed, data, steps=100, batch=64):
    """Of one run of gradient descent, step by step, and the accuracy that its evaluation has at the end."""
    x, y = data
    key = jax.random.key(seed)
    params, state = model.init(key, x[:1])

    def step(carry, i):
        params, state = carry
        chosen = jax.random.randint(jax.random.fold_in(key, i), (batch,), 0, len(x))

        def loss(params):
            logits, after = model.apply(params, state, x[chosen], train=True, key=jax.random.fold_in(key, i))
            return jnp.mean(jn.softmax_cross_entropy(logits, y[chosen])), after

        (value, after), grads = jax.value_and_grad(loss, has_aux=True)(params)
        return (jax.tree.map(lambda p, g: p - rate * g, params, grads), after), value

    (params, state), values = jax.lax.scan(step, (params, state), jnp.arange(steps))
    return values, jnp.mean(jnp.argmax(model.apply(params, state, x)[0], -1) == y)


def over(rates, run, seeds=3):
    """`run(rate, seed)` for all rates and seeds; a run that diverged has the loss of chance."""
    grid = jax.jit(jax.vmap(jax.vmap(run, (None, 0)), (0, None)))
    found = np.asarray(grid(jnp.asarray(rates, jnp.float32), jnp.arange(seeds)))
    return np.nan_to_num(found, nan=np.log(10), posinf=np.log(10))


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
def test_moving_averages_in_training_let_the_bias_run_away():
    """Gradients that do not know of the mean: b grows for ever and nothing else changes; BN gives it none.

    Ioffe & Szegedy 2015, section 2: x̂ = u + b − E[u + b] does not depend on b.
    """
    rng = np.random.default_rng(0)
    u, weights = (jnp.asarray(rng.normal(size=(32, 4)), jnp.float32) for _ in range(2))
    layer = jn.batch_norm()
    params, state = layer.init(jax.random.key(0), u)

    def loss(b, known):
        z = u + b
        if known:
            y = layer.apply(params, state, z, train=True)[0]
        else:
            y = z - jax.lax.stop_gradient(jnp.mean(z, axis=0, keepdims=True))
        return jnp.mean((y - weights) ** 2 + y)

    @functools.partial(jax.jit, static_argnums=0)
    def path(known):
        def step(b, _):
            value, slope = jax.value_and_grad(loss)(b, known)
            return b - 0.1 * slope, (value, slope, b)

        return jax.lax.scan(step, jnp.zeros((1, 4)), None, length=50)[1]

    values, _, b = map(np.asarray, path(False))
    np.testing.assert_allclose(values, values[0], rtol=1e-5)
    np.testing.assert_allclose(b[:, 0], np.arange(50)[:, None] * b[1, 0], rtol=1e-4, atol=1e-6)
    assert (np.abs(b[-1]) > 0.1).all()
    np.testing.assert_allclose(path(True)[1], 0, atol=1e-6)


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
    assert frozen == 0
    assert moved > 0.05


@pytest.mark.full
@pytest.mark.notes("S1-34", "S1-35", "S4-69", "S4-78", "S4-75")
def test_larger_rates_fewer_steps_and_either_place():
    """Seven layers on digits, medians of three seeds; before or after ReLU hardly matters here."""
    data, rates = digits(), 4.0 ** np.arange(-3, 3)
    paths = {
        norm: np.median(over(rates, lambda r, s, norm=norm: losses(network(norm), r, s, data)[0]), axis=1)
        for norm in (False, "before", "after")
    }
    stable = {norm: rates[path[:, -20:].mean(1) < 1].max(initial=0) for norm, path in paths.items()}
    assert stable["before"] >= 5 * stable[False] > 0
    whole = {norm: path.mean(1).min() for norm, path in paths.items()}  # less where it falls sooner
    ends = {norm: path[:, -20:].mean(1).min() for norm, path in paths.items()}
    assert max(whole["before"], whole["after"]) < whole[False]
    assert max(ends["before"], ends["after"]) < 0.5


@pytest.mark.full
@pytest.mark.notes("S4-69")
def test_the_first_weights_may_be_of_any_size():
    """Standard deviations from 0.01 to 1 at one rate: with it all learn, without it neither end does."""
    data, stddevs = digits(), [0.01, 0.1, 0.25, 1.0]

    def end(norm):
        def run(stddev, seed):
            model = network(norm, init=jn.initializers.normal(stddev))
            return jnp.mean(losses(model, 0.1, seed, data)[0][-20:])

        return np.median(over(stddevs, run), axis=1)

    assert (end("before") < 1.5).all()
    assert (end(False)[[0, -1]] > 2).all()


@dataclasses.dataclass(frozen=True)
class Shaken:
    """Each unit of each batch, moved and stretched at random: distributions that change at every step."""

    def init(self, key, x):
        return {}, ()

    def apply(self, params, state, x, *, key=None, train=False):
        if not train:
            return x, state
        move, stretch = jax.random.normal(key, (2, 1, x.shape[-1]))
        return x * (1 + 0.5 * stretch) + 0.5 * move, state


@pytest.mark.full
@pytest.mark.notes("S4-66")
def test_normalization_helps_although_inputs_shift():
    """Santurkar et al. 2018: shaken after each normalization, inputs shift more, training stays faster."""
    data, rates = digits(), 4.0 ** np.arange(-3, 2)
    plain = network(False, "sigmoid", jn.xavier_normal())
    normed = network("before", "sigmoid", jn.xavier_normal())
    layers = []
    for layer in normed.layers:
        layers += [layer, Shaken()] if type(layer).__name__ == "BatchNorm" else [layer]
    shaken = jn.serial(*layers)
    ends = [
        np.median(over(rates, lambda r, s, m=m: jnp.mean(losses(m, r, s, data)[0][-20:])), axis=1).min()
        for m in (plain, shaken)
    ]
    assert ends[1] < 0.7 * ends[0]


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
