"""Activations, gradients and updates by layer: against NumPy in float64, and the claims of the notes."""

import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxopt_notes.diagnostics import (
    activation_stats,
    bottom_to_top,
    collector,
    dead_unit_fraction,
    gradient_norms,
    layers_of,
    same_sign_fraction,
    saturation_fraction,
    unit_stats,
    update_ratios,
)
from jaxopt_notes.initializers import normal, xavier_normal
from jaxopt_notes.layers import capture, mlp
from jaxopt_notes.losses import mean_squared_error
from jaxopt_notes.optimizers import sgd
from jaxopt_notes.training import Trainer
from jaxopt_notes.training.trainer import _advance


def test_against_numpy_with_places_and_weights():
    rng = np.random.default_rng(0)
    x = np.maximum(rng.normal(size=(6, 2, 3, 4)), 0).astype(np.float32)
    x[..., 1], x[..., 2] = 0, 1000 + 1e-3 * x[..., 2]
    weights = np.array([1, 2, 0, 1, 1, 0.5], np.float32)
    bounds = {"a/b": (0.5, 1000.5)}
    found, of_units = jax.jit(
        lambda x, w: (activation_stats({"a": {"b": x}}, w, bounds)["a"], unit_stats(x, w))
    )(x, weights)
    rows, share = x.reshape(36, 4).astype(float), np.repeat(weights / weights.sum() / 6, 6)
    mean = share @ rows
    units = np.sqrt(share @ (rows - mean) ** 2)
    expected = {
        "mean": mean.mean(), "std": np.sqrt(np.sum(share[:, None] * (rows - mean.mean()) ** 2) / 4),
        "unit_std": units.mean(), "zeros": (share @ (rows == 0)).mean(), "dead": 0.25,
        "saturated": (share @ ((rows < 0.5) | (rows > 1000.5))).mean(),
    }  # fmt: skip
    for name, value in found["b"]._asdict().items():
        np.testing.assert_allclose(value, expected[name], rtol=1e-3, err_msg=name)
    np.testing.assert_allclose(of_units.std[2], units[2], rtol=0.1)  # 5e-4 beside 1000


@pytest.mark.notes("S2-15", "S0-36", "S0-38", "S1-02", "S2-13")
def test_sigmoids_with_xaviers_weights_forget_their_input(key):
    """Pooled they look normal; per unit a quarter is left by each layer, and gradients vanish likewise."""
    model = mlp([128] * 6 + [128], "sigmoid", kernel_init=xavier_normal())

    @jax.jit
    def run(key):
        x = jax.random.normal(key, (1000, 128))
        params, state = model.init(jax.random.fold_in(key, 1), x)
        outputs = capture(model, params, state, x)[2]
        grads = jax.grad(lambda p: jnp.mean((model.apply(p, state, x)[0]) ** 2))(params)
        stats = activation_stats([outputs[f"layers_{i}"] for i in range(1, 12, 2)], bounds=(0.1, 0.9))
        tails = saturation_fraction(jax.nn.sigmoid(128**0.5 * x), 0.1, 0.9)
        kernels = [params[path]["kernel"] for path in layers_of(params)]
        return stats, list(gradient_norms(grads).values()), bottom_to_top(grads), tails, kernels

    stats, norms, ratio, tails, kernels = jax.tree.map(np.asarray, run(key))
    pooled, per_unit = ([float(getattr(s, name)) for s in stats] for name in ("std", "unit_std"))
    np.testing.assert_allclose(pooled, [0.209, 0.120, 0.130, 0.120, 0.119, 0.126], rtol=0.2)
    np.testing.assert_allclose(per_unit, [0.2085, 0.0492, 0.0115, 0.0027, 0.0006, 0.00014], rtol=0.25)
    np.testing.assert_allclose(tails, 0.846, atol=0.01)
    assert stats[0].saturated < 0.2
    values = np.array(norms)
    assert (values[1:-2] < values[2:-1]).all()
    np.testing.assert_allclose(ratio, values[0] / values[-1], rtol=1e-5)
    assert ratio < 1e-2
    # From layer to layer at most ‖W‖/4, times the size of inputs that change little: about √128·½ each.
    assert (
        values[1:-2] / values[2:-1] <= 0.25 * np.array([np.linalg.norm(w, 2) for w in kernels])[2:-1] * 1.1
    ).all()


@pytest.mark.notes("S1-03", "S1-10")
def test_positive_inputs_push_all_weights_of_a_unit_the_same_way(key):
    """One example: always; centred inputs of n = 4: one unit in 2ⁿ⁻¹; a batch: mixed. Dead units: never."""
    kernel = np.random.default_rng(1).normal(size=(4, 64)).astype(np.float32)

    @jax.jit
    def shares(key):
        x = jax.random.normal(key, (400, 4))
        bias = jnp.where(jnp.arange(64) < 16, -1e3, 0.0)

        def of(x):
            def loss(p):
                h = x @ p["kernel"] + jnp.broadcast_to(bias + p["bias"], (len(x), 64))
                return jnp.sum(jnp.sin(jnp.where(h > -100, h, jax.nn.relu(h))))

            grads = jax.grad(loss)({"kernel": kernel, "bias": jnp.zeros(64)})
            return same_sign_fraction(grads)["kernel"], grads["kernel"][:, :16]

        one = jax.vmap(lambda x: of(x[None])[0])
        hidden = jax.nn.relu(x @ kernel + jnp.broadcast_to(bias, (400, 64)))
        dead = dead_unit_fraction(hidden), activation_stats(hidden).dead
        return one(jax.nn.sigmoid(x)), one(x), of(jax.nn.sigmoid(x)), dead

    positive, centred, batch, dead = jax.tree.map(np.asarray, shares(key))
    np.testing.assert_array_equal(positive, 1)
    np.testing.assert_allclose(centred.mean(), 0.125, atol=0.04)
    assert batch[0] < 1
    np.testing.assert_array_equal(batch[1], 0)  # the units of bias −1000
    np.testing.assert_array_equal(dead, 0.25)


def test_ratios_and_the_order_of_layers():
    params = {f"layers_{i}": {"kernel": np.full((2, 2), i + 1.0, np.float32)} for i in (10, 2, 0)}
    params["norm"] = {"scale": np.ones(4, np.float32), "count": np.int32(3)}
    updates = jax.tree.map(lambda p: 0.01 * p[::-1] if np.ndim(p) == 2 else None, params)
    assert list(layers_of(params)) == ["layers_0", "layers_2", "layers_10", "norm"]
    ratios = update_ratios(params, updates)
    assert list(ratios) == ["layers_0", "layers_2", "layers_10"]
    np.testing.assert_allclose(list(ratios.values()), 0.01, rtol=1e-6)
    np.testing.assert_allclose(gradient_norms(params)["norm"], 2)
    np.testing.assert_allclose(bottom_to_top(params), 1 / 11, rtol=1e-6)  # the scale does not count
    assert np.isnan(bottom_to_top({"scale": np.ones(2)}))


@pytest.mark.notes("S1-57")
def test_a_trainer_collects_what_the_functions_find(key):
    """One step an epoch, for a sweep over rates and bounds: SGD's ratio is η‖g‖/‖w‖."""
    x = np.random.default_rng(2).normal(size=(12, 3)).astype(np.float32)
    data, model = (x, np.ones((12, 2), np.float32)), mlp([5, 2], "tanh", kernel_init=normal(0.5))

    def build(rate, high):
        bounds = {"layers_1": (-high, high)}
        return Trainer(
            model, sgd(rate), mean_squared_error, metric=None, batch_size=12, collect=collector(bounds=bounds)
        )

    @jax.jit
    def run(rates, highs):
        def one(rate, high):
            trainer = build(rate, high)
            start = trainer.init(key, data)
            return start.params, trainer.advance(start, data, epochs=1)[1]

        params, history = jax.vmap(one)(rates, highs)
        first = jax.tree.map(lambda leaf: leaf[0], params)
        _, _, outputs = capture(model, first, (), x)
        loss = lambda p: jnp.mean((model.apply(p, (), x)[0] - data[1]) ** 2)  # noqa: E731
        return first, history, activation_stats(outputs), jax.grad(loss)(first), outputs["layers_1"]

    rates, highs = np.array([0.1, 0.2], np.float32), np.array([0.5, 0.9], np.float32)
    params, history, stats, grads, hidden = jax.tree.map(np.asarray, run(rates, highs))
    norm = {path: np.sqrt(sum(np.sum(g**2) for g in layer.values())) for path, layer in grads.items()}
    size = {path: np.sqrt(sum(np.sum(w**2) for w in layer.values())) for path, layer in params.items()}
    for path in ("layers_0", "layers_2"):
        np.testing.assert_allclose(history[f"gradient_norm/{path}"][:, 0], norm[path], rtol=1e-4)
        np.testing.assert_allclose(
            history[f"update_ratio/{path}"][:, 0], rates * norm[path] / size[path], rtol=1e-4
        )
        np.testing.assert_allclose(history[f"parameter_norm/{path}"][:, 0], size[path], rtol=1e-5)
        for name, field in {
            "activation_mean": "mean",
            "activation_std": "std",
            "unit_std": "unit_std",
        }.items():
            value = getattr(stats[path], field)
            np.testing.assert_allclose(history[f"{name}/{path}"][:, 0], value, rtol=1e-4, atol=1e-6)
    beyond = [(np.abs(hidden) > high).mean() for high in highs]
    np.testing.assert_allclose(history["saturated/layers_1"][:, 0], beyond, atol=1e-6)
    assert "saturated/layers_0" not in history
    np.testing.assert_allclose(history["bottom_to_top"][:, 0], norm["layers_0"] / norm["layers_2"], rtol=1e-4)


def epoch_cost(collect):
    data = (np.ones((256, 784), np.float32), np.zeros((256, 10), np.float32))
    trainer = Trainer(
        mlp([128, 64, 10]), sgd(0.1), mean_squared_error, metric=None, batch_size=128, collect=collect
    )
    state = jax.eval_shape(lambda key: trainer.init(key, data), jax.random.key(0))
    return _advance.lower(trainer, state, data, None, 1).compile()


@pytest.mark.full
def test_all_statistics_take_little_of_a_step():
    """Counted and not timed: arithmetic of the compiled epoch, and no layer runs twice."""
    without, everything = epoch_cost(None), epoch_cost(collector(bounds=(-0.9, 0.9)))
    flops = [program.cost_analysis()["flops"] for program in (without, everything)]
    assert flops[0] < flops[1] < 1.1 * flops[0]
    # Products of two matrices; those of one row are the statistics themselves.
    products = [
        len(re.findall(r"= f32\[(?!1,)\d+,\d+\]\S* dot\(", p.as_text())) for p in (without, everything)
    ]
    assert products[0] == products[1] > 0


def test_errors_say_what_is_wrong():
    with pytest.raises(TypeError, match=r"collector\(bounds\) has 0.9, expected a pair"):
        collector(bounds=0.9)
    with pytest.raises(ValueError, match=r"collector\(bounds\) has .* expected low < high"):
        collector(bounds={"layers_1": (0.9, 0.1)})
