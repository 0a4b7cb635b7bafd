"""Dropout: its moments, its edges, its gradient, and the equivalence of its two modes."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxopt_notes.layers import affine, dropout, dropout_mask
from jaxopt_notes.optimizers.adam import adam
from jaxopt_notes.optimizers.sgd import sgd
from tests.compiled import apply, grad

DRAWS = 100_000


def drawn(layer, x, key):
    """One output for each of many keys, [DRAWS, ...], in float64."""
    keys = jax.random.split(key, DRAWS)
    y = jax.jit(jax.vmap(lambda key: apply(layer, {}, (), x, key=key, train=True)[0]))(keys)
    return np.asarray(y, np.float64)


@pytest.mark.notes("S0-21", "S0-22")
@pytest.mark.parametrize("rate", [0.1, 0.5, 0.9])
def test_inverted_moments(rate, key):
    """E[y] = x within 4σ; Var[y] = x²·p/(1 − p)."""
    x = jnp.array([2.0, -3.0])
    y, x = drawn(dropout(rate), x, key), np.array([2.0, -3.0])
    variance = x**2 * rate / (1 - rate)
    assert (np.abs(y.mean(0) - x) < 4 * np.sqrt(variance / DRAWS)).all()
    np.testing.assert_allclose(y.var(0), variance, rtol=0.06)
    np.testing.assert_allclose(np.unique(np.abs(y[:, 0])), [0, 2 / (1 - rate)], rtol=1e-5)


@pytest.mark.notes("S3-41", "S3-42")
def test_vanilla_training_has_the_mean_of_its_evaluation(key):
    layer, x = dropout(0.3, mode="vanilla"), jnp.array([2.0, -3.0])
    y = drawn(layer, x, key)
    evaluated = apply(layer, {}, (), x)[0]
    np.testing.assert_allclose(evaluated, [1.4, -2.1], rtol=1e-6)
    sigma = np.array([2.0, 3.0]) * np.sqrt(0.3 * 0.7 / DRAWS)
    assert (np.abs(y.mean(0) - [1.4, -2.1]) < 4 * sigma).all()


@pytest.mark.notes("S3-42", "S1-72")
def test_vanilla_is_inverted_after_rescaling_the_weights(key):
    """The next kernel times 1/(1 − p) makes vanilla dropout inverted: in evaluation and in training."""
    x = jax.random.normal(key, (4, 6))
    kernel = jax.random.normal(key, (6, 3))
    for train in (False, True):
        vanilla, _ = apply(dropout(0.25, "vanilla"), {}, (), x, key=key, train=train)
        inverted, _ = apply(dropout(0.25), {}, (), x, key=key, train=train)
        np.testing.assert_allclose(
            affine(vanilla, kernel / 0.75), affine(inverted, kernel), rtol=2e-5, atol=1e-6
        )


@pytest.mark.notes("S0-24", "S0-21")
def test_evaluation_is_the_identity_and_needs_no_key():
    x = jnp.linspace(-1.0, 1.0, 12).reshape(3, 4)
    first, second = (apply(dropout(0.5), {}, (), x)[0] for _ in range(2))
    np.testing.assert_array_equal(first, x)
    np.testing.assert_array_equal(second, first)


@pytest.mark.notes("S0-21", "S0-22")
@pytest.mark.parametrize("mode", ["inverted", "vanilla"])
def test_rates_of_0_and_1_also_traced(mode, key):
    x = jnp.linspace(-1.0, 1.0, 6)

    @jax.jit
    @jax.vmap
    def run(rate):
        def total(x, rate):
            y, _ = apply(dropout(rate, mode), {}, (), x, key=key, train=True)
            return jnp.sum(y), y

        gradients, y = grad(total, (0, 1), has_aux=True)(x, rate)
        return y, gradients

    y, (gx, grate) = run(jnp.array([0.0, 1.0]))
    np.testing.assert_array_equal(y, [x, np.zeros(6)])
    np.testing.assert_array_equal(gx, [np.ones(6), np.zeros(6)])
    assert np.isfinite(grate).all()
    for rate, want in ((0.0, x), (1, jnp.zeros(6))):
        np.testing.assert_array_equal(apply(dropout(rate, mode), {}, (), x, key=key, train=True)[0], want)


@pytest.mark.notes("S2-81", "S0-21")
def test_mask_depends_on_the_key_alone(key):
    masks = [dropout_mask(jax.random.fold_in(key, step), 0.3, (50, 200)) for step in (0, 0, 1)]
    np.testing.assert_array_equal(masks[0], masks[1])
    assert (masks[0] != masks[2]).any()
    dropped = 1 - np.asarray(masks[0], np.float64).mean()
    assert abs(dropped - 0.3) < 4 * np.sqrt(0.3 * 0.7 / 10_000)


@pytest.mark.notes("S2-81")
def test_masks_of_two_steps_are_independent(key):
    a, b = (np.asarray(dropout_mask(jax.random.fold_in(key, i), 0.5, (20_000,)), np.float64) for i in (1, 2))
    assert abs(np.corrcoef(a, b)[0, 1]) < 4 / np.sqrt(20_000)


@pytest.mark.notes("S0-21")
def test_gradient_passes_through_the_same_mask(key):
    x = jnp.ones((8, 8))
    run = lambda x: apply(dropout(0.4), {}, (), x, key=key, train=True)[0]  # noqa: E731
    gradient = grad(lambda x: jnp.sum(run(x)))(x)
    np.testing.assert_array_equal(gradient, run(x))
    assert set(np.unique(gradient).round(4)) == {0.0, np.float32(1 / 0.6).round(4)}


@pytest.mark.notes("S3-41", "S4-46")
@pytest.mark.parametrize("mode", ["inverted", "vanilla"])
def test_dropped_units_get_no_gradient(mode, key):
    """Neither the weights into a dropped unit nor those out of it; the others do."""
    x = jnp.ones((1, 4))
    into, out = (
        jax.random.normal(jax.random.fold_in(key, i), shape) for i, shape in ((1, (4, 9)), (2, (9, 2)))
    )

    def loss(into, out):
        h, _ = apply(dropout(0.5, mode), {}, (), affine(x, into), key=key, train=True)
        return jnp.sum(affine(h, out))

    kept = np.asarray(dropout_mask(key, 0.5, (1, 9)))[0]
    g_into, g_out = grad(loss, (0, 1))(into, out)
    assert 0 < kept.sum() < 9
    assert (np.abs(g_into).max(0) > 0).tolist() == kept.tolist()
    assert (np.abs(g_out).max(1) > 0).tolist() == kept.tolist()


@pytest.mark.notes("S4-46")
def test_adam_still_moves_a_dropped_weight_and_sgd_does_not():
    w = {"w": jnp.ones(1)}
    for optimizer, moves in ((adam(0.1), True), (sgd(0.1), False)):
        state = optimizer.init(w)
        _, state = optimizer.update({"w": jnp.ones(1)}, state, w)
        updates, _ = optimizer.update({"w": jnp.zeros(1)}, state, w)
        assert bool(updates["w"] != 0) == moves


def test_acts_only_in_training(key):
    x = jnp.ones((4, 4))
    layer = dropout(0.5)
    assert (apply(layer, {}, (), x, key=key, train=True)[0] == 0).any()
    np.testing.assert_array_equal(apply(layer, {}, (), x, key=key)[0], x)


@pytest.mark.parametrize("dtype", [jnp.float16, jnp.bfloat16])
def test_low_precision(dtype, key):
    y, _ = apply(dropout(0.5), {}, (), jnp.ones(64, dtype), key=key, train=True)
    assert y.dtype == dtype
    assert set(y.tolist()) == {0.0, 2.0}


def test_errors():
    with pytest.raises(ValueError, match=r"dropout\(key\) is None.*fold_in"):
        apply(dropout(0.5), {}, (), jnp.ones(2), train=True)
    with pytest.raises(ValueError, match=r"dropout\(rate\) is 1.5, expected a number in \[0, 1\]"):
        dropout(1.5)
    with pytest.raises(ValueError, match=r"dropout\(mode\)"):
        dropout(0.5, "keep")
