"""The maximal update parametrization: its table, sizes at the start, and best rates that stay in place."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxopt_notes as jn
from jaxopt_notes.masks import path_name

VECTORS = jax.ShapeDtypeStruct((1, 6), jnp.float32)
TOKENS = jax.ShapeDtypeStruct((1, 5), jnp.int32)


def by_path(tree):
    return {path_name(path): leaf for path, leaf in jax.tree.leaves_with_path(tree)}


def network(width):
    return jn.serial(
        jn.dense(width), jn.layer_norm(), jnp.tanh, jn.dense(width, kernel_init=jn.initializers.normal(0.1)),
        jnp.tanh, jn.dense(3),
    )  # fmt: skip


def decoder(width, tied=True):
    return jn.transformer_language_model(7, width, 2, 2, length=5, tied=tied)


def test_factors_are_those_of_the_table():
    """Table 3 of the paper, for 4 times the width; stacked blocks and one embedding for both ends as well."""
    dense = jn.mup(network(32), network(8), VECTORS)
    whole = dict.fromkeys(("layers_0/kernel", "layers_0/bias", "layers_1/scale", "layers_1/bias"), 1)
    assert dense.init_scales == whole | {
        "layers_3/kernel": 1 / 2, "layers_3/bias": 1, "layers_5/kernel": 1 / 4, "layers_5/bias": 1
    }  # fmt: skip
    assert dense.rates("adam") == whole | {
        "layers_3/kernel": 1 / 4, "layers_3/bias": 1, "layers_5/kernel": 1 / 4, "layers_5/bias": 1
    }  # fmt: skip
    assert dense.rates("sgd") == dict.fromkeys(whole, 4) | {
        "layers_3/kernel": 1, "layers_3/bias": 4, "layers_5/kernel": 1 / 4, "layers_5/bias": 1
    }  # fmt: skip

    for tied in (True, False):
        model = jn.mup(decoder(16, tied), decoder(4, tied), TOKENS)
        for path, rate in model.rates("adam").items():
            assert rate == (1 / 4 if path.endswith("kernel") else 1), path
            matrix = path.endswith("kernel")
            last = path == "layers_4/kernel"
            assert model.init_scales[path] == (1 / 4 if last else 1 / 2 if matrix else 1), path
    assert last


def test_shapes_that_grow_in_their_own_ways():
    """Convolutions, gates and a head on all pixels; another ratio in each layer."""

    def model(first, second):
        return jn.serial(jn.conv(first, 3), jn.conv(second, 3), jn.flatten(), jn.dense(2))

    image = jax.ShapeDtypeStruct((1, 4, 4, 1), jnp.float32)
    rates = jn.mup(model(6, 20), model(2, 4), image).rates("sgd")
    assert [rates[f"layers_{i}/kernel"] for i in (0, 1, 3)] == [3, pytest.approx(5 / 3), 1 / 5]
    lstm = jn.mup(jn.lstm(12), jn.lstm(4), jax.ShapeDtypeStruct((1, 2, 3), jnp.float32))
    assert by_path(lstm.rates("adam")) == {"input/bias": 1, "input/kernel": 1, "recurrent/kernel": 1 / 3}


@pytest.mark.full
def test_first_parameters_and_outputs_are_of_the_size_of_the_base(key):
    """Whatever the initializers: by the fan-in, or the same at each width. The base itself is unchanged."""
    model, same = (jn.mup(network(width), network(16), VECTORS) for width in (256, 16))
    wide, kept, plain = jax.jit(lambda key: [m.init(key, VECTORS)[0] for m in (model, same, network(16))])(
        key
    )
    sizes = {path: np.std(leaf) for path, leaf in by_path(wide).items()}
    assert sizes["layers_0/kernel"] == pytest.approx(6**-0.5, rel=0.1)
    assert sizes["layers_3/kernel"] == pytest.approx(0.1 / 4, rel=0.05)  # 16 times as wide
    assert sizes["layers_5/kernel"] == pytest.approx(16**-0.5 / 16, rel=0.2)
    np.testing.assert_array_equal(wide["layers_1"]["scale"], np.ones(256))
    np.testing.assert_array_equal(wide["layers_0"]["bias"], np.zeros(256))
    jax.tree.map(np.testing.assert_array_equal, kept, plain)


def test_models_that_differ_in_more_than_width_are_refused():
    with pytest.raises(ValueError, match=r"mup\(base\) has the leaves .*layers_2"):
        jn.mup(jn.mlp([8, 2]), jn.mlp([8, 8, 2]), VECTORS)
    x = jax.ShapeDtypeStruct((1, 4, 4, 1), jnp.float32)
    with pytest.raises(ValueError, match=r"kernel has shape \(3, 3, 1, 2\) in base and \(5, 5, 1, 2\)"):
        jn.mup(jn.conv(2, 5), jn.conv(2, 3), x)
    with pytest.raises(ValueError, match=r"bias has shape \(2, 6\) in base and \(3, 6\).*its last axis"):
        jn.mup(jn.repeat(jn.layer_norm(), 3), jn.repeat(jn.layer_norm(), 2), VECTORS)
    with pytest.raises(ValueError, match=r"rates\(optimizer\) is 'muon'"):
        jn.mup(jn.dense(8), jn.dense(4), VECTORS).rates("muon")


# Where the best rate is


def digits():
    x, y = jn.digits()
    return jnp.asarray(x / 16, jnp.float32), jnp.asarray(y)


def sentences():
    """Windows of 17 characters of a text of eleven words, and at each place the next one."""
    words = ["the ", "cat ", "dog ", "sat ", "ran ", "on ", "a ", "mat. ", "far. ", "with ", "and "]
    text = "".join(np.random.default_rng(0).choice(words, 3000))
    symbols = sorted(set(text))
    numbers = np.array([symbols.index(symbol) for symbol in text], np.int32)
    windows = jnp.asarray(np.lib.stride_tricks.sliding_window_view(numbers, 17)[::5])
    return windows[:, :-1], windows[:, 1:]


def perceptron(width):
    return jn.mlp([width, width, 10], "tanh")


def transformer(width):
    """Of 4 heads, which grow with it."""
    return jn.transformer_language_model(
        20, width, 4, 1, hidden=width // 2, length=16, kernel_init=jn.initializers.normal(0.2)
    )


def best_rate(model, factors, data, rates, batch, steps=30, seeds=3):
    """The place in `rates` of the rate of Adam with the lowest median loss at the end of training."""
    x, y = data

    def train(rate, seed):
        key = jax.random.key(seed)
        optimizer = jn.chain(jn.adam(rate), jn.layerwise_rates(factors))
        params, state = model.init(key, x[:1])

        def step(carry, i):
            params, kept = carry
            chosen = jax.random.randint(jax.random.fold_in(key, i), (batch,), 0, len(x))

            def loss(params):
                logits = model.apply(params, state, x[chosen])[0]
                return -jnp.mean(jnp.take_along_axis(jax.nn.log_softmax(logits), y[chosen][..., None], -1))

            value, grads = jax.value_and_grad(loss)(params)
            updates, kept = optimizer.update(grads, kept, params)
            return (jn.apply_updates(params, updates), kept), value

        _, losses = jax.lax.scan(step, (params, optimizer.init(params)), jnp.arange(steps))
        return jnp.mean(losses[-steps // 4 :])

    pairs = [grid.ravel() for grid in np.meshgrid(rates.astype(np.float32), np.arange(seeds), indexing="ij")]
    ends = jax.jit(lambda *pairs: jax.lax.map(lambda pair: train(*pair), pairs))(*pairs)
    return int(np.argmin(np.median(ends.reshape(-1, seeds), axis=1)))


@pytest.mark.full
@pytest.mark.parametrize(
    ("network", "data", "batch", "exponents"),
    [(perceptron, digits, 64, range(-10, -3)), (transformer, sentences, 4, range(-11, -4))],
)
def test_the_best_rate_of_width_32_is_that_of_width_512(network, data, batch, exponents):
    """Within a factor of 2, and without μP it is not: there it falls to a quarter or less."""
    data, rates = data(), 2.0 ** np.array(exponents)
    narrow, wide = network(32), network(512)
    tuned = best_rate(narrow, {}, data, rates, batch)
    assert 2 <= tuned < len(rates) - 1  # the grid reaches beyond it
    transferred, around = jn.mup(wide, narrow, data[0][:1]), rates[tuned - 2 : tuned + 3]
    assert 1 <= best_rate(transferred, transferred.rates("adam"), data, around, batch) <= 3
    assert best_rate(wide, {}, data, rates[: tuned + 1], batch) <= tuned - 2
