"""Layers that draw: what they drop together, their moments, their evaluation; many predictions."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxopt_notes.layers import (
    Noise,
    batch_norm,
    conv,
    dense,
    drop_connect,
    drop_path,
    dropout,
    gaussian_dropout,
    gaussian_noise,
    mlp,
    monte_carlo,
    residual,
    serial,
    spatial_dropout,
)
from tests.compiled import apply, compiled, grad, init

DRAWS = 20_000


def drawn(layer, x, params=None, key=jax.random.key):
    """One output for each of many keys, in float64."""
    keys = jax.random.split(key(0), DRAWS)
    run = jax.vmap(lambda key: apply(layer, params or {}, (), x, key=key, train=True)[0])
    return np.asarray(jax.jit(run)(keys), np.float64)


def assert_moments(y, mean, variance):
    """Of independent draws on the first axis, within 4σ (of the variance: 10%)."""
    assert (np.abs(y.mean(0) - mean) < 4 * np.sqrt(np.asarray(variance) / DRAWS) + 1e-6).all()
    np.testing.assert_allclose(y.var(0), variance, rtol=0.1)


@pytest.mark.parametrize(
    ("layer", "shared"),
    [
        (spatial_dropout(0.3), (1, 2)),
        (drop_path(0.3), (1, 2, 3)),
        (drop_path(0.3, per="batch"), (0, 1, 2, 3)),
    ],
)
def test_what_shares_a_draw_is_dropped_together(layer, shared):
    """Along these axes all are kept or none; along the others draws are independent."""
    x = jnp.ones((2, 2, 3, 2))
    kept = drawn(layer, x) * 0.7
    np.testing.assert_allclose(kept[(kept > 0)], 1, rtol=1e-6)
    axes = tuple(a + 1 for a in shared)
    np.testing.assert_array_equal(kept.min(axes), kept.max(axes))
    alone = kept.min(axes).reshape(DRAWS, -1)
    assert alone.shape[1] == np.prod([n for a, n in enumerate(x.shape) if a not in shared])
    assert_moments(alone, 0.7, 0.21)
    correlation = np.atleast_2d(np.corrcoef(alone.T))
    assert np.abs(correlation - np.eye(len(correlation))).max() < 5 / np.sqrt(DRAWS)


@pytest.mark.notes("S1-77")
def test_stochastic_depth(x64):
    """Rates grow from 0 to ½: the expected depth of L blocks is (3L − 1)/4."""
    blocks = 6
    rates = np.linspace(0, 0.5, blocks + 1)[1:]
    branch = lambda rate: serial(lambda x: 1 + 0 * x, drop_path(rate, "vanilla"))  # noqa: E731
    model = serial(*(residual(branch(rate)) for rate in rates))
    depth = drawn(model, jnp.zeros((1, 1)))[:, 0, 0]
    assert depth.max() == blocks
    assert_moments(depth, (3 * blocks - 1) / 4, np.sum(rates * (1 - rates)))
    evaluated, _ = apply(model, {}, (), jnp.zeros((1, 1)))
    np.testing.assert_allclose(evaluated, (3 * blocks - 1) / 4)  # each branch times its survival
    inverted = residual(serial(lambda x: 1 + 0 * x, drop_path(0.25)))
    np.testing.assert_allclose(apply(inverted, {}, (), jnp.zeros((1, 1)))[0], 1)
    np.testing.assert_allclose(np.unique(drawn(inverted, jnp.zeros((1, 1)))), [0, 4 / 3])


@pytest.mark.notes("S1-75")
def test_drop_connect_drops_weights_and_not_units(x64):
    """E[W'] = W, each weight by itself; the bias stays; only kept weights have a gradient."""
    kernel, bias = jnp.array([[1.0, -2.0], [3.0, 4.0]]), jnp.array([5.0, 6.0])
    layer, params = drop_connect(dense(2), 0.3), {"kernel": kernel, "bias": bias}
    dropped = drawn(layer, jnp.eye(2), params) - np.asarray(bias)  # the kernel itself
    assert_moments(dropped, kernel, np.asarray(kernel) ** 2 * 0.3 / 0.7)
    masks = (dropped != 0).reshape(DRAWS, 4)
    assert len(np.unique(masks, axis=0)) == 16
    np.testing.assert_array_equal(apply(layer, params, (), jnp.eye(2))[0], kernel + bias[None])
    run = lambda p: apply(layer, p, (), jnp.eye(2), key=jax.random.key(1), train=True)[0]  # noqa: E731
    gradient = grad(lambda p: jnp.sum(run(p)))(params)
    kept = run(params) != bias[None]
    assert 0 < kept.sum() < 4
    np.testing.assert_allclose(gradient["kernel"], np.asarray(kept) / 0.7, rtol=1e-6)
    np.testing.assert_array_equal(gradient["bias"], [2.0, 2.0])


def test_gaussian_noise_and_dropout(x64):
    """x + σε and x(1 + √(p/(1 − p))ε), the second with dropout's variance; evaluation is the identity."""
    x = jnp.array([2.0, -3.0])
    assert_moments(drawn(gaussian_noise(0.5), x), x, 0.25)
    y = drawn(gaussian_dropout(0.2), x)
    assert_moments(y, x, np.asarray(x) ** 2 * 0.25)
    skewness = ((y - y.mean(0)) ** 3).mean(0) / y.std(0) ** 3
    assert (np.abs(skewness) < 0.1).all()  # that of dropout is −1.5
    for layer in (gaussian_noise(0.5), gaussian_dropout(0.2)):
        np.testing.assert_array_equal(apply(layer, {}, (), x)[0], x)
    slopes = grad(
        lambda x: jnp.sum(apply(gaussian_noise(0.5), {}, (), x, key=jax.random.key(0), train=True)[0])
    )
    np.testing.assert_array_equal(slopes(x), [1.0, 1.0])


@pytest.mark.notes("S0-26", "S4-47")
def test_monte_carlo_draws_in_dropout_and_nowhere_else(key, x64):
    """In a linear model predictions have the mean of evaluation and the variance of the masks."""
    x = jax.random.normal(key, (3, 5)) + 2
    model = serial(batch_norm(), dropout(0.4), dense(1))
    params, state = init(model, key, x)
    params["layers_2"]["kernel"] = jnp.arange(1.0, 6.0)[:, None]
    state["layers_0"] = {"mean": jnp.full(5, 0.5), "var": jnp.full(5, 4.0)}
    keys = jax.random.split(jax.random.key(1), DRAWS)
    y = np.asarray(jax.jit(lambda keys: monte_carlo(model, params, state, x, keys))(keys))
    assert y.shape == (DRAWS, 3, 1)
    evaluated = apply(model, params, state, x)[0]
    hidden = (np.asarray(x) - 0.5) / np.sqrt(4 + 1e-5)
    variance = (hidden**2 @ np.arange(1.0, 6.0)[:, None] ** 2) * 0.4 / 0.6
    assert_moments(y, evaluated, variance)


@pytest.mark.notes("S0-26", "S4-47")
def test_the_geometric_mean_over_all_masks_is_the_pass_with_scaled_weights(x64):
    """Softmax regression, exactly; a network with a hidden layer after the dropout only nearly."""
    rng = np.random.default_rng(0)
    n, x = 6, jnp.asarray(rng.normal(size=6))
    masks = (np.arange(2**n)[:, None] >> np.arange(n)) % 2
    kernel, hidden = jnp.asarray(rng.normal(size=(n, 3))), jnp.asarray(rng.normal(size=(3, 3)))

    def gap(logits):
        mean = jnp.mean(
            jax.vmap(lambda mask: jax.nn.log_softmax(logits(mask * x)))(jnp.asarray(masks, float)), 0
        )
        scaled, _ = apply(dropout(0.5, "vanilla"), {}, (), x)
        return jnp.max(jnp.abs(jax.nn.softmax(mean) - jax.nn.softmax(logits(scaled))))

    assert gap(lambda x: x @ kernel) < 1e-12
    assert 1e-3 < gap(lambda x: jnp.tanh(x @ kernel) @ hidden) < 0.3


def test_every_layer_of_a_model_that_draws_is_found():
    layers = (
        dropout(),
        drop_path(),
        spatial_dropout(),
        gaussian_noise(),
        gaussian_dropout(),
        drop_connect(dense(1)),
    )
    assert all(isinstance(layer, Noise) for layer in layers)
    assert not isinstance(batch_norm(), Noise)
    inner, x, keys = mlp([8, 1], dropout=0.5), jnp.ones((1, 2)), jax.random.split(jax.random.key(1), 9)
    for model, draws in ((residual(inner, dense(1)), True), (serial(dense(2), batch_norm()), False)):
        params, state = init(model, jax.random.key(0), x)
        assert (np.ptp(compiled(monte_carlo)(model, params, state, x, keys), 0).max() > 0) == draws


@pytest.mark.parametrize("layer", [drop_path(), gaussian_noise(), gaussian_dropout(), drop_connect(dense(1))])
def test_training_needs_a_key(layer):
    params, _ = init(layer, jax.random.key(0), jnp.ones((1, 2)))
    with pytest.raises(ValueError, match=r"key\) is None.*fold_in"):
        apply(layer, params, (), jnp.ones((1, 2)), train=True)


def test_errors():
    with pytest.raises(ValueError, match=r"gaussian_dropout\(rate\) is 1.*infinite"):
        gaussian_dropout(1.0)
    with pytest.raises(TypeError, match=r"drop_connect\(layer\) is 0.5"):
        drop_connect(0.5)
    with pytest.raises(ValueError, match=r"one kernel and no state, such as dense"):
        drop_connect(serial(conv(2), conv(2))).init(jax.random.key(0), jnp.ones((1, 4, 4, 1)))
    with pytest.raises(ValueError, match=r"drop_path\(per\)"):
        drop_path(per="row")


@pytest.mark.notes("S4-50")
def test_thinned_networks_share_their_parameters_and_none_is_met_twice(key):
    """Unlike bagging's members: a step of one moves the others, and none is trained for more than a step."""
    model = serial(dense(64), dropout(0.5), dense(1))

    @jax.jit
    def step_of_one_seen_by_another(params, one, other, x):
        def outputs(params, key):
            return apply(model, params, (), x, key=key, train=True)[0]

        slopes = jax.grad(lambda params: jnp.sum(outputs(params, one) ** 2))(params)
        moved = jax.tree.map(lambda p, g: p - 0.01 * g, params, slopes)
        masks = jax.vmap(lambda key: apply(dropout(0.5), {}, (), jnp.ones(64), key=key, train=True)[0])
        return outputs(params, other), outputs(moved, other), masks(jax.random.split(one, 500))

    x = jax.random.normal(key, (4, 3))
    params, _ = init(model, key, x)
    before, after, masks = step_of_one_seen_by_another(params, jax.random.key(1), jax.random.key(2), x)
    assert (np.abs(after - before) > 1e-3).all()
    assert len(np.unique(masks, axis=0)) == 500
