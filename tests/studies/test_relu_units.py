"""Units that rectify: they may die, they cut the inputs into regions, and what they say is not centred."""

import math
from statistics import NormalDist

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxopt_notes as jn


@pytest.mark.notes("S1-10", "S1-12")
def test_a_unit_below_all_data_is_dead_for_good(key):
    """With a bias of −1,000 its gradients are exactly 0 and it never moves; with a slope below 0 it does."""
    x, y = jax.random.normal(key, (32, 3)), jax.random.normal(jax.random.key(1), (32, 1))

    @jax.jit
    def trained(params):
        found = []
        for activation in ("relu", "leaky_relu"):
            model, optimizer = jn.mlp([4, 1], activation), jn.sgd(1e-4)

            def step(carry, _, model=model, optimizer=optimizer):
                params, kept = carry
                grads = jax.grad(lambda p: jnp.mean((model.apply(p, (), x)[0] - y) ** 2))(params)
                updates, kept = optimizer.update(grads, kept, params)
                return (jn.apply_updates(params, updates), kept), None

            found.append(jax.lax.scan(step, (params, optimizer.init(params)), None, length=20)[0][0])
        return found

    params, _ = jn.mlp([4, 1]).init(jax.random.key(2), x)
    params["layers_0"]["bias"] = params["layers_0"]["bias"].at[0].set(-1e3)
    dead, leaky = (
        [np.asarray(tree["layers_0"][name]) for name in ("kernel", "bias")] for tree in trained(params)
    )
    before = [np.asarray(params["layers_0"][name]) for name in ("kernel", "bias")]
    for old, new in zip(before, dead, strict=True):
        np.testing.assert_array_equal(new[..., 0], old[..., 0])
        assert (new[..., 1:] != old[..., 1:]).all()
    assert (leaky[0][:, 0] != before[0][:, 0]).all()


@pytest.mark.notes("S1-11")
@pytest.mark.parametrize(("units", "regions"), [(3, 7), (5, 16)])
def test_units_cut_the_plane_into_regions(units, regions):
    """n lines in general position make 1 + n + n(n − 1)/2: patterns of who is active, on a fine grid."""
    angles = np.pi * (np.arange(units) + 0.3) / units
    params = {
        "kernel": jnp.asarray([np.cos(angles), np.sin(angles)]),
        "bias": jnp.asarray(np.random.default_rng(0).normal(size=units)),
    }
    points = np.stack(np.meshgrid(*[np.linspace(-9, 9, 601)] * 2), -1).reshape(-1, 2)
    active = np.asarray(jn.dense(units).apply(params, (), jnp.asarray(points, jnp.float32))[0]) > 0
    assert len(np.unique(active, axis=0)) == 1 + units + units * (units - 1) // 2 == regions


@pytest.mark.notes("S1-13")
def test_a_bias_of_0_leaves_half_of_the_units_active(key):
    """P(active) = Φ(b/σ): a positive bias raises it, one of 0 does not, and less so among large weights."""
    x = jax.random.normal(key, (4, 100))

    @jax.jit
    def active(key, bias, stddev):
        layer = jn.dense(
            20_000, kernel_init=jn.initializers.normal(stddev), bias_init=jn.initializers.constant(bias)
        )
        return jnp.mean(layer.apply(*layer.init(key, x), x)[0] > 0)

    sizes = np.linalg.norm(np.asarray(x), axis=1)
    for bias, stddev in ((0.0, 0.01), (0.01, 0.01), (0.01, 0.1)):
        expected = np.mean([0.5 * (1 + math.erf(bias / (stddev * size) / 2**0.5)) for size in sizes])
        assert abs(active(jax.random.key(1), bias, stddev) - expected) < 4 * 0.5 / np.sqrt(20_000 * 4)


@pytest.mark.notes("S1-09")
def test_what_a_unit_says_is_positive_on_average():
    """E[max(z, 0)] = σ/√(2π) for z ~ N(0, σ²), so the next layer's inputs are not centred."""
    quantiles = np.array([NormalDist(0, 2.0).inv_cdf(p) for p in (np.arange(20_000) + 0.5) / 20_000])
    mean = np.mean(np.asarray(jn.activations.relu(jnp.asarray(quantiles, jnp.float32))), dtype=np.float64)
    assert mean == pytest.approx(2.0 / math.sqrt(2 * math.pi), rel=1e-3)
