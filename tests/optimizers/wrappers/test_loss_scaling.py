"""Gradients of half precision, kept between zero and infinity."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxopt_notes.optimizers import adam, apply_updates, ema_params, evaluation_params, sgd, skip_nonfinite
from jaxopt_notes.optimizers.wrappers.loss_scaling import dynamic_loss_scale, static_loss_scale


@pytest.mark.notes("S0-33")
def test_a_chain_of_growing_layers_overflows_float16_and_is_skipped():
    """1.5ⁿ leaves float16 at n = 28, bfloat16 does not mind; its gradient is not taken, the scale halved."""

    def chain_of(n, dtype):
        def loss(w):
            x = jnp.ones((), dtype)
            for _ in range(n):
                x = x * w
            return x

        return loss

    assert jnp.isfinite(chain_of(27, jnp.float16)(jnp.float16(1.5)))
    assert not jnp.isfinite(chain_of(28, jnp.float16)(jnp.float16(1.5)))
    assert jnp.isfinite(chain_of(28, jnp.bfloat16)(jnp.bfloat16(1.5)))

    w = jnp.float16(1.5)
    for optimizer in (dynamic_loss_scale(sgd(0.1)), skip_nonfinite(dynamic_loss_scale(sgd(0.1)))):
        state = optimizer.init(w)
        updates, state = optimizer.update(jax.grad(chain_of(28, jnp.float16))(w), state, w)
        inner = getattr(state, "inner", None) if hasattr(state, "skipped") else state
        assert float(updates) == 0.0
        assert float(inner.scale) == 2.0**14
        assert int(inner.overflows) == 1


@pytest.mark.notes("S0-37")
@pytest.mark.parametrize("wrap", [static_loss_scale, dynamic_loss_scale])
def test_a_gradient_that_underflows_is_recovered(wrap):
    """1e-9 is 0 in float16: training stops. With a scale of 2¹⁵ it arrives, as float32."""

    def loss(w):  # the slope is 1e-9, a product of two numbers of float16
        return jnp.float16(2e-5) * (jnp.float16(5e-5) * w)

    w = jnp.float16(1.0)
    assert float(jax.grad(loss)(w)) == 0.0
    optimizer = wrap(sgd(1e6))
    state = optimizer.init(w)
    grads = jax.grad(lambda w: optimizer.scale_loss(loss(w), state))(w)
    updates, _ = optimizer.update(grads, state, w)
    slope = float(np.float16(2e-5)) * float(np.float16(5e-5))
    np.testing.assert_allclose(float(updates), -1e6 * slope, rtol=2e-3)
    assert updates.dtype == jnp.float16


@pytest.mark.notes("S0-37")
def test_training_goes_on_where_it_stopped():
    """Least squares in float16 on inputs of 1e-5: Adam's direction needs gradients that are not 0."""
    x = jnp.asarray(1e-5 * np.random.default_rng(0).normal(size=(32, 4)), jnp.float16)
    y = (x.astype(jnp.float32) @ jnp.array([1.0, -1.0, 2.0, 0.5])).astype(jnp.float16)

    def loss(w):
        return jnp.mean((x @ w - y) ** 2)

    def train(optimizer):
        def step(carry, _):
            w, state = carry
            scale = getattr(optimizer, "scale_loss", lambda loss, state: loss)
            grads = jax.grad(lambda w: scale(loss(w), state))(w)
            updates, state = optimizer.update(grads, state, w)
            return (apply_updates(w, updates), state), None

        w = jnp.zeros(4, jnp.float16)
        return jax.lax.scan(step, (w, optimizer.init(w)), length=200)[0][0]

    target = np.array([1.0, -1.0, 2.0, 0.5])
    np.testing.assert_array_equal(train(adam(0.02)), 0)
    assert (
        np.abs(np.asarray(train(dynamic_loss_scale(adam(0.02, eps=1e-12))), np.float32) - target).max() < 0.2
    )


def test_the_dynamic_rule_step_by_step():
    """Growth after 3 good steps in a row, halving at once, both within the limits."""
    optimizer = dynamic_loss_scale(sgd(1.0), 4.0, growth_interval=3, min_scale=1.0, max_scale=8.0)
    state = optimizer.init(jnp.zeros(()))
    bad = [0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1]
    expected = [4, 4, 2, 2, 2, 4, 4, 4, 8, 8, 8, 8, 4, 2, 1, 1]
    for flag, scale in zip(bad, expected, strict=True):
        _, state = optimizer.update(jnp.where(flag, jnp.inf, 1.0), state)
        assert float(state.scale) == scale
    assert int(state.overflows) == sum(bad)


def test_the_factors_of_the_dynamic_rule():
    optimizer = dynamic_loss_scale(sgd(1.0), 4.0, growth_factor=3.0, backoff_factor=0.25, growth_interval=2)
    state = optimizer.init(jnp.zeros(()))
    for g, scale in ((1.0, 4), (1.0, 12), (jnp.inf, 3), (1.0, 3), (1.0, 9)):
        _, state = optimizer.update(jnp.array(g), state)
        assert float(state.scale) == scale


def test_the_static_scale_stays():
    optimizer = static_loss_scale(sgd(1.0), 2.0**10)
    state = optimizer.init(jnp.zeros(()))
    for g in (jnp.nan, jnp.inf, 1.0):
        updates, state = optimizer.update(jnp.array(g), state)
        assert float(state.scale) == 2.0**10
    assert float(updates) == -(2.0**-10)
    assert int(state.overflows) == 2


def test_a_step_not_accepted_for_another_reason_moves_no_scale():
    optimizer = dynamic_loss_scale(sgd(1.0), growth_interval=1)
    state = optimizer.init(jnp.zeros(()))
    updates, after = optimizer.update(jnp.ones(()), state, accept=jnp.array(False))
    assert float(updates) == 0.0
    jax.tree.map(np.testing.assert_array_equal, after, state)


def test_members_of_a_population_have_scales_of_their_own():
    run = jax.vmap(lambda scale, g: _after(dynamic_loss_scale(sgd(1.0), scale), g))
    scales, updates = run(jnp.array([4.0, 8.0]), jnp.array([jnp.inf, 8.0]))
    np.testing.assert_array_equal(scales, [2, 8])
    np.testing.assert_array_equal(updates, [0, -1])


def _after(optimizer, g):
    updates, state = optimizer.update(g, optimizer.init(g))
    return state.scale, updates


def test_evaluation_params_reach_through():
    optimizer = static_loss_scale(ema_params(sgd(1.0), 0.5))
    params = jnp.array(0.0)
    state = optimizer.init(params)
    for _ in range(2):
        updates, state = optimizer.update(jnp.array(2.0**15), state, params)
        params = params + updates
    np.testing.assert_allclose(evaluation_params(optimizer, params, state), -2.5 / 1.5, rtol=1e-6)


def test_wrong_numbers_are_named():
    with pytest.raises(ValueError, match=r"static_loss_scale\(scale\) is 0"):
        static_loss_scale(sgd(), 0.0)
    with pytest.raises(ValueError, match=r"dynamic_loss_scale\(backoff_factor\) is 2"):
        dynamic_loss_scale(sgd(), backoff_factor=2.0)
