"""What initialization does to activations over six layers of 128 units: the figures of the notes as numbers.

The tables were computed for one draw of the weights; here they are means over several.
"""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxopt_notes.initializers import he_normal, normal, xavier_normal, zeros

LAYERS, WIDTH, SAMPLES, NETS = 6, 128, 1000, 6


@pytest.fixture(scope="module")
def activations():
    """Activations [nets, layers, samples, units] for an activation and an initializer, each pair once."""
    cache = {}

    def compute(activation, init):
        def net(key):
            x, layers = jax.random.normal(key, (SAMPLES, WIDTH)), []
            for i in range(LAYERS):
                x = activation(x @ init(jax.random.fold_in(key, i), (WIDTH, WIDTH)))
                layers.append(x)
            return jnp.stack(layers)

        name = (activation.__name__, repr(init))
        if name not in cache:
            cache[name] = np.asarray(jax.jit(jax.vmap(net))(jax.random.split(jax.random.key(0), NETS)))
        return cache[name]

    return compute


def pooled_std(a):
    """Of all activations of a layer together."""
    return a.std(axis=(2, 3)).mean(axis=0)


def unit_std(a):
    """Of one unit over samples, the mean over units: what a layer still knows about its input."""
    return a.std(axis=2).mean(axis=(0, 2))


@pytest.mark.notes("S2-08", "S2-24")
def test_standard_normal_and_sigmoid_saturate(activations):
    a = activations(jax.nn.sigmoid, normal(1.0))
    ends = ((a < 0.1) | (a > 0.9)).mean(axis=(0, 2, 3))
    slope = (a * (1 - a)).mean(axis=(0, 2, 3))
    assert pooled_std(a)[0] == pytest.approx(0.464, abs=0.01)
    assert ends[0] == pytest.approx(0.846, abs=0.02)
    assert slope[0] == pytest.approx(0.035, abs=0.005)
    np.testing.assert_allclose(ends[1:], 0.77, atol=0.03)
    np.testing.assert_allclose(slope[1:], 0.05, atol=0.01)
    for layer in range(LAYERS):
        counts, _ = np.histogram(a[:, layer], bins=25, range=(0, 1))
        assert set(np.argsort(counts)[-2:]) == {0, 24}


@pytest.mark.notes("S2-15", "S2-24")
def test_xavier_and_sigmoid_look_normal_pooled_but_forget_their_input(activations):
    """The notes call the pooled histogram good for learning; each unit sits at a constant of its own."""
    a = activations(jax.nn.sigmoid, xavier_normal())
    np.testing.assert_allclose(pooled_std(a), [0.209, 0.120, 0.130, 0.120, 0.119, 0.126], rtol=0.15)
    per_unit = unit_std(a)
    np.testing.assert_allclose(per_unit[:5], [0.2085, 0.0492, 0.0115, 0.0027, 0.0006], rtol=0.15)
    np.testing.assert_allclose(per_unit[1:] / per_unit[:-1], 0.24, atol=0.02)


@pytest.mark.notes("S2-15", "S1-30", "S2-24")
def test_xavier_and_tanh_keep_it(activations):
    a = activations(jnp.tanh, xavier_normal())
    assert unit_std(a)[0] == pytest.approx(0.627, rel=0.03)
    assert unit_std(a)[-1] == pytest.approx(0.293, rel=0.05)
    np.testing.assert_allclose(pooled_std(a), unit_std(a), rtol=0.02)  # no unit has a constant of its own


@pytest.mark.notes("S2-16", "S1-30", "S2-24")
def test_xavier_and_relu_shrink_by_the_root_of_two(activations):
    a = pooled_std(activations(jax.nn.relu, xavier_normal()))
    np.testing.assert_allclose(a, [0.582, 0.416, 0.287, 0.197, 0.137, 0.097], rtol=0.12)
    assert (a[-1] / a[0]) ** (1 / 5) == pytest.approx(0.707, abs=0.03)


@pytest.mark.notes("S2-22", "S1-30", "S2-24")
def test_he_and_relu_are_the_same_in_every_layer(activations):
    """In theory √(1 − 1/π) at every depth; the notes' figures are one draw, within the spread of nets."""
    a = activations(jax.nn.relu, he_normal())
    nets = a.std(axis=(2, 3))
    mean, spread = nets.mean(axis=0), nets.std(axis=0, ddof=1)
    assert (np.abs(mean - math.sqrt(1 - 1 / math.pi)) < 4 * spread / math.sqrt(NETS)).all()
    assert (np.abs(mean - [0.828, 0.789, 0.765, 0.766, 0.787, 0.808]) < 3 * spread).all()
    np.testing.assert_allclose(mean[1:] / mean[:-1], 1, atol=0.1)
    np.testing.assert_allclose((a == 0).mean(axis=(0, 2, 3)), 0.5, atol=0.03)  # not uniform: half are zeros
    assert unit_std(a)[0] == pytest.approx(0.825, rel=0.03)
    assert unit_std(a)[-1] == pytest.approx(0.391, rel=0.1)


@pytest.mark.notes("S2-24")
def test_zeros_through_two_layers_tell_nothing(activations):
    for function, value in ((jnp.tanh, 0.0), (jax.nn.relu, 0.0), (jax.nn.sigmoid, 0.5)):
        np.testing.assert_array_equal(activations(function, zeros()), value)


@pytest.mark.full
@pytest.mark.notes("S2-11")
@pytest.mark.parametrize(("n_in", "n_out"), [(128, 128), (100, 300), (300, 100)])
def test_xavier_keeps_both_variances_only_if_the_fans_are_equal(n_in, n_out, key):
    first, second, third = jax.random.split(key, 3)  # a shared key would make input and kernel one draw
    kernel = xavier_normal()(first, (n_in, n_out))
    forwards = jnp.mean((jax.random.normal(second, (2000, n_in)) @ kernel) ** 2)
    backwards = jnp.mean((jax.random.normal(third, (2000, n_out)) @ kernel.T) ** 2)
    assert float(forwards) == pytest.approx(2 * n_in / (n_in + n_out), rel=0.05)
    assert float(backwards) == pytest.approx(2 * n_out / (n_in + n_out), rel=0.05)


def squares_per_layer(activation, init, key, layers=30, nets=4):
    """The factor that a layer of a deep net puts on E[z²], the mean over layers and nets."""

    def net(key):
        data, first, rest = jax.random.split(key, 3)
        z = jax.random.normal(data, (128, WIDTH)) @ init(first, (WIDTH, WIDTH))

        def layer(z, key):
            return activation(z) @ init(key, (WIDTH, WIDTH)), jnp.mean(z**2)

        _, squares = jax.lax.scan(layer, z, jax.random.split(rest, layers))
        return squares[1:] / squares[:-1]

    ratios = jax.jit(jax.vmap(net))(jax.random.split(key, nets))
    return float(jnp.mean(ratios))


@pytest.mark.notes("S2-14")
@pytest.mark.parametrize("gain", [0.25, 1.0, 4.0])
def test_a_linear_chain_grows_or_shrinks_by_n_times_the_variance(gain, key):
    """The notes say it grows; it is multiplied by n·Var(w) with every layer."""
    init = normal(math.sqrt(gain / WIDTH))
    assert squares_per_layer(lambda z: z, init, key, layers=8) == pytest.approx(gain, rel=0.05)


@pytest.mark.notes("S2-17", "S2-19")
def test_he_keeps_the_squares_over_thirty_layers_of_relu_and_xavier_halves_them(key):
    assert squares_per_layer(jax.nn.relu, he_normal(), key) == pytest.approx(1, abs=0.1)
    assert squares_per_layer(jax.nn.relu, xavier_normal(), key) == pytest.approx(0.5, abs=0.05)


@pytest.mark.notes("S2-17", "S2-23")
def test_fan_out_keeps_the_gradients(key):
    """A rectifier between a narrow and a wide layer: backwards the fan-out counts."""
    first, second, third = jax.random.split(key, 3)
    z = jax.random.normal(first, (2000, 100))
    for mode, expected in (("fan_out", 1.0), ("fan_in", 3.0)):
        kernel = he_normal(mode=mode)(second, (100, 300))
        upstream = jax.random.normal(third, (2000, 300))
        (gradient,) = jax.vjp(lambda z, k=kernel: jax.nn.relu(z) @ k, z)[1](upstream)
        assert float(jnp.mean(gradient**2)) == pytest.approx(expected, rel=0.05)


def unexplained(activation, init, widths, rate=0.1, steps=1000, nets=11):
    """Share of the variance of y = x₁x₂ that gradient descent leaves unexplained, the median over nets."""

    def net(key):
        data, weights = jax.random.split(key)
        x = jax.random.uniform(data, (128, 2), minval=-1.0, maxval=1.0)
        y = x[:, :1] * x[:, 1:]
        shapes = zip((2, *widths), (*widths, 1), strict=True)
        params = [
            (init(jax.random.fold_in(weights, i), s), jnp.zeros((1, s[1]))) for i, s in enumerate(shapes)
        ]

        def loss(params):
            h = x
            for i, (kernel, bias) in enumerate(params):
                h = h @ kernel + jnp.broadcast_to(bias, (128, kernel.shape[1]))
                h = activation(h) if i < len(params) - 1 else h
            return jnp.mean((h - y) ** 2)

        def descend(p, _):
            return jax.tree.map(lambda p, g: p - rate * g, p, jax.grad(loss)(p)), None

        last, _ = jax.lax.scan(descend, params, length=steps)
        return loss(last) / jnp.var(y)

    return float(jnp.median(jax.jit(jax.vmap(net))(jax.random.split(jax.random.key(7), nets))))


SHALLOW, DEEP = (16,), (16,) * 5


@pytest.mark.full
@pytest.mark.notes("S2-24")
@pytest.mark.parametrize(
    ("activation", "init", "widths", "low", "high"),
    [
        pytest.param(jnp.tanh, zeros(), SHALLOW, 0.99, 1.01, id="zeros"),
        pytest.param(jax.nn.sigmoid, normal(), SHALLOW, 0.0, 0.1, id="random-sigmoid"),
        pytest.param(jax.nn.sigmoid, normal(), DEEP, 0.15, 1.01, id="random-sigmoid-deep"),
        pytest.param(jnp.tanh, xavier_normal(), DEEP, 0.0, 0.1, id="xavier-tanh-deep"),
        pytest.param(jax.nn.relu, he_normal(), DEEP, 0.0, 0.1, id="he-relu-deep"),
    ],
)
def test_which_combinations_learn(activation, init, widths, low, high):
    """One rate for all. Xavier with ReLU is left out: activations shrink, but at this depth it learns.

    Descent magnifies how a processor rounds: one net may end at 0.02 or at 0.2. One in twelve is above 0.1
    (of 25, on two kinds of processor), and so the median of eleven is once in ten thousand times.
    """
    assert low <= unexplained(activation, init, widths) <= high


@pytest.mark.full
@pytest.mark.notes("S0-34")
def test_fewer_rates_serve_where_the_first_weights_are_too_large_or_too_small():
    """ReLU networks of six layers: large weights have large gradients, which enlarge them; small ones none.

    A rate serves if 200 steps of gradient descent halve the loss and nothing overflows.
    """
    rates = jnp.logspace(-4, 1, 16)
    x = jax.random.normal(jax.random.key(0), (64, 16))
    y = jnp.sin(2 * x[:, :1])

    def serves(init, rate, key):
        shapes = [(16, 32), *[(32, 32)] * 4, (32, 1)]
        start = [init(jax.random.fold_in(key, i), shape) for i, shape in enumerate(shapes)]

        def loss(kernels):
            h = x
            for kernel in kernels[:-1]:
                h = jax.nn.relu(h @ kernel)
            return jnp.mean((h @ kernels[-1] - y) ** 2)

        def step(kernels, _):
            return jax.tree.map(lambda w, g: w - rate * g, kernels, jax.grad(loss)(kernels)), None

        last = loss(jax.lax.scan(step, start, length=200)[0])
        return (last < 0.5 * jnp.mean(y**2)) & jnp.isfinite(last), ~jnp.isfinite(last)

    keys = jax.random.split(jax.random.key(1), 5)
    inits = {"large": normal(0.4), "He": he_normal(), "small": normal(0.1)}  # He: 0.25

    @jax.jit
    def found(keys, rates):
        def over_seeds_and_rates(init):
            over_rates = jax.vmap(lambda rate, key: serves(init, rate, key), (0, None))
            return jax.vmap(over_rates, (None, 0))(rates, keys)

        return {name: over_seeds_and_rates(init) for name, init in inits.items()}

    found = found(keys, rates)
    usable = {name: np.median(np.sum(good, axis=1)) for name, (good, _) in found.items()}
    assert usable["He"] > 1.5 * max(usable["large"], usable["small"])
    overflows = {name: np.asarray(bad).mean(axis=0) > 0.5 for name, (_, bad) in found.items()}
    first = {name: int(np.argmax(bad)) for name, bad in overflows.items()}  # the least rate that overflows
    assert first["large"] < first["He"]
    assert overflows["He"][first["He"] :].mean() > 0.7
