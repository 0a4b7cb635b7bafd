"""A rate that falls when a metric has stopped improving."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxopt_notes.optimizers import adam, chain, skip_nonfinite
from jaxopt_notes.optimizers.transforms.reduce_on_plateau import reduce_on_plateau
from jaxopt_notes.schedules.plateau import plateau


def scales(rule, values):
    def step(state, value):
        state = rule.update(state, value)
        return state, state.scale

    return jax.lax.scan(step, rule.init(), jnp.asarray(values))[1]


@pytest.mark.notes("S4-26")
@pytest.mark.parametrize("patience", [1, 3, 10])
def test_a_flat_sequence_falls_once_per_patience(patience):
    """The first value is the best; every `patience` values after it the rate is a tenth."""
    found = scales(plateau(patience=patience), np.full(30, 2.0, np.float32))
    np.testing.assert_allclose(found, 0.1 ** (np.arange(30) // patience), rtol=1e-5)


@pytest.mark.notes("S4-26")
@pytest.mark.parametrize("offset", [-1000.0, -1.0, 0.0, 1000.0])
def test_a_margin_is_a_margin_for_losses_of_any_sign(offset):
    """Improving by twice the absolute margin never falls, by half of it does; the offset is no matter."""
    rule = plateau(0.5, patience=3, rtol=0.0, atol=1.0)
    values = offset - np.arange(12, dtype=np.float32)
    np.testing.assert_array_equal(scales(rule, 2 * values - offset), 1)
    assert scales(rule, values / 8 + offset)[-1] < 1


def test_a_flat_and_a_rising_negative_loss_do_not_improve():
    rule = plateau(0.5, patience=2, rtol=0.1)
    np.testing.assert_array_equal(scales(rule, [-1.0, -1.0, -1.0]), [1, 1, 0.5])
    np.testing.assert_array_equal(scales(rule, [-1.0, -0.95, -0.92]), [1, 1, 0.5])
    np.testing.assert_array_equal(scales(rule, [-1.0, -1.2, -1.4, -1.6]), 1)


def test_cooldown_minimum_mode_and_nan():
    found = scales(plateau(0.5, patience=2, cooldown=3, min_scale=0.2), np.zeros(16, np.float32))
    expected = [1] * 2 + [0.5] * 5 + [0.25] * 5 + [0.2] * 4
    np.testing.assert_allclose(found, expected, rtol=1e-6)
    np.testing.assert_array_equal(
        scales(plateau(0.5, 2, mode="max"), [0.1, 0.2, 0.3, 0.3, 0.3]), [1] * 4 + [0.5]
    )
    np.testing.assert_array_equal(scales(plateau(0.5, 2), [3.0, np.nan, np.nan, 1.0]), [1, 1, 0.5, 0.5])


def test_a_scale_below_the_least_is_left_alone():
    """As after a change of min_scale: a plateau never raises the rate."""
    rule = plateau(0.5, patience=1, min_scale=0.3)
    state = rule.init()._replace(scale=jnp.array(0.2), best=jnp.array(1.0))
    assert float(rule.update(state, 2.0).scale) == pytest.approx(0.2)
    assert float(rule.update(state._replace(scale=jnp.array(0.4)), 2.0).scale) == pytest.approx(0.3)


def test_a_population_with_patience_of_its_own():
    run = jax.vmap(lambda patience: scales(plateau(0.5, patience), jnp.zeros(5))[-1])
    np.testing.assert_array_equal(run(jnp.array([1.0, 2.0, jnp.inf])), [0.0625, 0.25, 1.0])


def test_as_a_transform_it_shrinks_the_steps_after_the_metric():
    optimizer = chain(adam(0.1), reduce_on_plateau(plateau(0.5, patience=1)))
    params = jnp.zeros(2)
    state = optimizer.init(params)
    full = []
    for value in (1.0, None, 1.0, None, 0.5):
        updates, state = optimizer.update(jnp.ones(2), state, params, value=value)
        full.append(float(updates[0]))
    np.testing.assert_allclose(full, [-0.1, -0.1, -0.05, -0.05, -0.05], rtol=1e-5)


def test_a_step_not_taken_has_no_metric():
    optimizer = skip_nonfinite(reduce_on_plateau(plateau(0.5, patience=1)))
    state = optimizer.init(jnp.zeros(()))
    for g in (1.0, jnp.nan):
        _, state = optimizer.update(jnp.array(g), state, value=1.0)
    assert float(state.inner.scale) == 1.0


def test_wrong_arguments_are_named():
    with pytest.raises(ValueError, match=r"plateau\(patience\) is 0"):
        plateau(patience=0)
    with pytest.raises(ValueError, match=r"plateau\(mode\) is 'best'"):
        plateau(mode="best")


def test_torch_ends_at_its_eps_and_here_min_scale_says_where():
    """Torch ignores a fall by less than 1e-8 of the rate itself, which the rule here does not know."""
    torch = pytest.importorskip("torch")
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1e-3)
    peer = torch.optim.lr_scheduler.ReduceLROnPlateau(optimizer, factor=0.1, patience=1)
    expected = []
    for _ in range(20):
        peer.step(2.0)
        expected.append(optimizer.param_groups[0]["lr"])
    found = 1e-3 * np.asarray(scales(plateau(0.1, patience=2, min_scale=1e-5), np.full(20, 2.0, np.float32)))
    np.testing.assert_allclose(found, expected, rtol=1e-5)
    assert expected[-1] == pytest.approx(1e-8)
    assert scales(plateau(0.1, patience=2), np.full(20, 2.0, np.float32))[-1] < 1e-8
