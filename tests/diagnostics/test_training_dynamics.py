"""Checks before training, curves after it, and what the loss and the network look like on the way."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxopt_notes.diagnostics import (
    coadaptation,
    diagnose_loss_curve,
    distribution_shift,
    falls_monotonically,
    filter_normalized_direction,
    float_range,
    lipschitz_bound,
    local_lipschitz,
    loss_slice,
    loss_surface,
    path_between,
    sanity_checks,
    sharpness_in_training,
    suggest_epochs,
)
from jaxopt_notes.layers import capture, mlp
from jaxopt_notes.losses import mean_squared_error, softmax_cross_entropy
from jaxopt_notes.optimizers import sgd
from jaxopt_notes.penalties import l2
from jaxopt_notes.training import Trainer

RNG = np.random.default_rng(0)


def test_slices_and_directions(key):
    """Of a quadratic, in closed form; each unit's direction is as long as its weights."""
    curvatures = np.array([[1.0, 4.0], [2.0, 0.5]], np.float32)
    params = {"kernel": np.array([[1.0, -2.0], [0.5, 0.0]], np.float32), "n": np.int32(3)}
    end = {"kernel": np.zeros((2, 2), np.float32), "n": np.int32(3)}
    a, b = np.array([0.0, 0.5, 2.0], np.float32), np.array([-1.0, 1.0], np.float32)

    def loss(p):
        return jnp.sum(curvatures * p["kernel"] ** 2) / 2

    @jax.jit
    def measured(params):
        d, e = (filter_normalized_direction(jax.random.fold_in(key, i), params) for i in range(2))
        return (
            d,
            e,
            loss_surface(loss, params, (d, e), a, b),
            loss_slice(loss, params, path_between(params, end), a),
        )

    d, e, surface, line = jax.tree.map(np.asarray, measured(params))
    w = params["kernel"]
    for direction in (d, e):
        assert direction["n"] is None
        np.testing.assert_allclose(
            np.linalg.norm(direction["kernel"], axis=0), np.linalg.norm(w, axis=0), rtol=1e-5
        )
    assert not np.allclose(d["kernel"], e["kernel"])
    moved = w + a[:, None, None, None] * d["kernel"] + b[:, None, None] * e["kernel"]
    np.testing.assert_allclose(surface, (curvatures * moved**2).sum((2, 3)) / 2, rtol=1e-5)
    np.testing.assert_allclose(line, (1 - a) ** 2 * (curvatures * w**2).sum() / 2, rtol=1e-5)


@pytest.mark.notes("S0-18", "S0-27")
def test_how_much_a_network_stretches_and_how_alike_its_units_are(key):
    """Below the bound, above what pairs of inputs show; the Jacobian's largest singular value at each."""
    x = RNG.normal(size=(5, 3)).astype(np.float32)
    w = [RNG.normal(size=s).astype(np.float32) for s in ((3, 4), (4, 2))]
    params = {"layers_0": {"kernel": w[0], "bias": np.ones(4, np.float32)}, "layers_2": {"kernel": w[1]}}
    h = RNG.normal(size=(50, 3)).astype(np.float32)
    units = np.concatenate([h, 2 * h[:, :1] - 7, np.zeros((50, 1))], 1).astype(np.float32)
    padded = np.concatenate([units, 100 * np.ones((3, 5), np.float32)])

    @jax.jit
    def measured(x):
        f = lambda x: jnp.tanh(x @ w[0]) @ w[1]  # noqa: E731
        shares = jnp.where(jnp.arange(53) < 50, 1.0, 0.0)
        alike = coadaptation(units[:, :4]), coadaptation(units), coadaptation(padded, shares)
        return lipschitz_bound(params), local_lipschitz(f, x, key, steps=60), f(x), alike

    bound, local, y, alike = jax.tree.map(np.asarray, measured(x))
    np.testing.assert_allclose(bound, np.linalg.norm(w[0], 2) * np.linalg.norm(w[1], 2), rtol=1e-5)
    for i in range(5):
        jacobian = w[0] * (1 - np.tanh(x[i] @ w[0]) ** 2) @ w[1]
        np.testing.assert_allclose(local[i], np.linalg.norm(jacobian, 2), rtol=1e-3)
    distances = np.linalg.norm(x[:, None] - x, axis=2) + np.eye(5)
    assert (np.linalg.norm(y[:, None] - y, axis=2) <= bound * distances).all()
    assert local.max() <= bound
    correlations = np.abs(np.corrcoef(units[:, :4].T))
    expected = (correlations.sum() - 4) / 12
    np.testing.assert_allclose(alike, expected, rtol=1e-3)  # the unit that does not vary does not count


@pytest.mark.notes("S0-33", "S0-37")
def test_what_float16_would_lose():
    """Against NumPy's own rounding, at every edge; 1.5²⁸ and 0.8⁷⁸ are the first that are lost."""
    edges = [65504, 65519.99, 65520, 1e5, 6.1e-5, 6.2e-5, 2.9e-8, 3.1e-8, 5.9e-8, 1e-9, 0, 1.0, -7e4, -1e-9]
    numbers = np.array(edges, np.float32)
    up, down = 1.5 ** np.arange(1, 31), 0.8 ** np.arange(60, 90)

    @jax.jit
    def measured(x):
        chains = [
            jax.vmap(lambda v, t=t: float_range(v, t).overflow)(np.float32(up))
            for t in ("float16", "bfloat16")
        ]
        under = jax.vmap(lambda v: float_range(v).underflow)(np.float32(down))
        small = {"a": x[-1:], "n": jnp.arange(3)}
        saved = float_range(small, scale=2.0**15)
        return (
            float_range(x),
            chains,
            under,
            float_range(small).underflow,
            saved.underflow,
            float_range(x).loss_scale,
        )

    found, (half, brain), under, lost, saved, scale = jax.tree.map(np.asarray, measured(numbers))
    with np.errstate(over="ignore", under="ignore"):
        cast = numbers.astype(np.float16)
    np.testing.assert_allclose(found.overflow, np.mean(np.isinf(cast)), rtol=1e-6)
    np.testing.assert_allclose(found.underflow, np.mean((cast == 0) & (numbers != 0)), rtol=1e-6)
    subnormal = (cast != 0) & (np.abs(numbers) < np.finfo(np.float16).tiny)
    np.testing.assert_allclose(found.subnormal, subnormal.mean(), rtol=1e-6)
    assert (found.largest, found.smallest) == (np.float32(1e5), np.float32(1e-9))
    assert np.argmax(half) + 1 == 28
    assert not brain.any()
    assert np.argmax(under) + 60 == 78
    assert (lost, saved, scale) == (1, 0, 0.5)


@pytest.mark.notes("S1-56", "S4-04", "S4-51")
def test_curves_are_named_by_their_rate():
    """Descent on ½(λ₁x² + λ₂y²), whose curve is known for every rate, and curves of the picture in CS231n."""
    t = np.arange(101)

    def descent(rate):
        return 0.5 * (1.0 - rate) ** (2 * t) + 0.5 * 0.1 * (1 - 0.1 * rate) ** (2 * t) * 10

    labels = [diagnose_loss_curve(descent(rate)).label for rate in (1e-5, 3e-3, 0.5, 2.2)]
    assert labels == ["flat", "low rate", "good", "diverging"]
    settles = 0.8 + 0.2 * np.exp(-t)
    jumps = np.where(t % 2, 0.9, 0.4) * np.exp(-t / 200)
    assert diagnose_loss_curve(settles).label == "high rate"
    assert diagnose_loss_curve(np.append(1.0, jumps)).label == "high rate"
    assert diagnose_loss_curve(1 + t / 50).label == "very high rate"
    assert diagnose_loss_curve([1, 2, np.nan, 1]).label == "diverging"
    found = diagnose_loss_curve([4.0, 2.0, 3.0, 1.0, 1.0])
    np.testing.assert_allclose([found.fall, found.half_way, found.roughness], [0.75, 0.25, 0.2])
    assert falls_monotonically(descent(0.5))
    assert not falls_monotonically(jumps)
    assert suggest_epochs([np.nan, 2, 1, 3, 4, 5]) == 5
    assert suggest_epochs([3, 2, 1]) == 3
    with pytest.raises(ValueError, match="at least 4"):
        diagnose_loss_curve([1, 2])


@pytest.mark.notes("S1-39")
def test_the_checks_before_a_run_pass_and_fail_for_their_reasons(key):
    x, y = RNG.normal(size=(40, 6)).astype(np.float32), np.arange(40) % 10
    trainer = Trainer(
        mlp([64, 10]), sgd(1.0), softmax_cross_entropy, metric=None, penalty=l2(0.1), batch_size=8
    )
    good = sanity_checks(trainer, key, (0.3 * x, y), classes=10, steps=300, tolerance=0.3)
    assert {name: check.passed for name, check in good.items()} == {
        "initial loss": True, "penalty": True, "overfit": True
    }  # fmt: skip
    assert abs(good["initial loss"].found - np.log(10)) < 0.3 * np.log(10)
    blind = dataclasses.replace(trainer, penalty=l2(0.0))
    bad = sanity_checks(blind, key, (0 * x, y), classes=100, steps=300)
    assert not any(check.passed for check in bad.values())
    assert "outputs too large" in bad["initial loss"].advice


@pytest.mark.full
@pytest.mark.notes("S3-12")
def test_sharpness_rises_to_the_edge_of_stability_and_stays():
    """Full-batch descent of a tanh net, two rates, three seeds: λ_max·η/2 ends near 1, the loss falls on."""
    x = np.linspace(-1, 1, 20, dtype=np.float32)[:, None]
    y = np.sin(4 * x) + 0.3 * np.cos(9 * x)
    rates = np.array([0.05, 0.1], np.float32)

    def run(rate, seed):
        trainer = Trainer(mlp([32, 32, 1], "tanh"), sgd(rate), mean_squared_error, metric=None, batch_size=20)
        return sharpness_in_training(trainer, jax.random.key(seed), (x, y), 15, 100, steps=8)

    path = jax.tree.map(
        np.asarray, jax.jit(jax.vmap(jax.vmap(run, (None, 0)), (0, None)))(rates, jnp.arange(3))
    )
    part = np.asarray(path.of_limit(rates[:, None, None]))
    ends = np.median(part[..., -8:], axis=(1, 2))
    assert np.median(part[0, :, 0]) < 0.85  # at the lower rate it rises, at the higher one it falls
    assert np.median(part[1, :, 0]) > 1.2
    np.testing.assert_allclose(ends, 1, atol=0.1)
    assert (path.losses[..., -1] < 0.2 * path.losses[..., 0]).all()
    np.testing.assert_array_equal(path.epochs[0, 0], 100 * np.arange(15))


@pytest.mark.full
@pytest.mark.notes("S1-32")
def test_what_one_large_step_shifts_it_shifts_more_in_deeper_layers():
    """Each layer's outputs move by its own step and by those of all layers below it."""
    depth = 8
    model = mlp([32] * depth + [1], "tanh")
    x = jax.random.normal(jax.random.key(0), (256, 16))
    y = jnp.sin(x[:, :1])

    def shifts(key):
        params, _ = model.init(key, x)
        slopes = jax.grad(lambda p: jnp.mean((model.apply(p, (), x)[0] - y) ** 2))(params)
        moved = jax.tree.map(lambda p, g: p - 0.3 * g, params, slopes)
        before, after = (capture(model, p, (), x)[2] for p in (params, moved))
        names = [f"layers_{2 * i + 1}" for i in range(depth)]  # behind each tanh
        return jnp.stack([jnp.mean(distribution_shift(before[n], after[n]).ks) for n in names])

    by_layer = np.median(jax.jit(jax.vmap(shifts))(jax.random.split(jax.random.key(1), 16)), axis=0)
    assert by_layer[-1] > 2 * by_layer[0]
    assert np.corrcoef(np.arange(depth), by_layer)[0, 1] > 0.8
