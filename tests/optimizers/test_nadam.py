"""NAdam and NAdamW: Dozat's rising momentum, a constant one, and decay that the moments never see."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxopt_notes.optimizers.adam import adam
from jaxopt_notes.optimizers.nadam import momentum_at, nadam, nadamw
from tests.optimizers.runs import (
    RATES,
    STEPS,
    assert_follows,
    falling_rate,
    follow,
    random_params,
)

DEFAULTS = (0.9, 0.999, 1e-8, 0.0, 4e-3)


def reference(theta, grads, rates, b1, b2, eps, eps_root, psi, decays=0.0):
    """Dozat 2016, algorithm 2 (v̂ as in Adam); for ψ = ∞ its simpler form with a constant momentum."""
    m = v = np.zeros_like(theta)
    product = 1.0
    rates, decays = (np.broadcast_to(values, len(grads)) for values in (rates, decays))
    for t, (g, eta, lam) in enumerate(zip(grads, rates, decays, strict=True), 1):
        m = b1 * m + (1 - b1) * g
        v = b2 * v + (1 - b2) * g**2
        if np.isinf(psi):
            ahead = (1 - b1) * g / (1 - b1**t) + b1 * m / (1 - b1 ** (t + 1))
        else:
            now, following = (b1 * (1 - 0.5 * 0.96 ** (i * psi)) for i in (t, t + 1))
            product *= now
            ahead = (1 - now) * g / (1 - product) + following * m / (1 - product * following)
        theta = theta - eta * ahead / (np.sqrt(v / (1 - b2**t) + eps_root) + eps) - eta * lam * theta
        yield theta


@pytest.mark.parametrize(("rate", "rates"), [(0.07, 0.07), (falling_rate, RATES)])
@pytest.mark.parametrize(
    "numbers",
    [DEFAULTS, (0.8, 0.5, 1e-3, 0.0, np.inf), (0.9, 0.0, 0.0, 1e-2, 20.0), (0.0, 0.9, 1e-8, 0.0, 0.1)],
)
def test_golden(numbers, rate, rates, x64):
    assert_follows(nadam(rate, *numbers), lambda p, g: reference(p, g, rates, *numbers), rtol=1e-11)


def test_defaults_are_dozats(x64):
    assert_follows(nadam(), lambda p, g: reference(p, g, 2e-3, *DEFAULTS), rtol=1e-11)


def test_the_momentum_rises_from_half_of_b1_to_b1(x64):
    assert float(momentum_at(0, 0.9, 4e-3)) == pytest.approx(0.45)
    assert float(momentum_at(1, 0.9, np.inf)) == 0.9
    rising = np.asarray(momentum_at(jnp.arange(1.0, 60_000.0), 0.9, 4e-3))
    assert (np.diff(rising) > 0).all()
    assert rising[6000] == pytest.approx(0.9 * (1 - 0.5 * np.exp(-1)), rel=0.01), "1/(0.04·ψ) steps"
    assert rising[-1] == pytest.approx(0.9, rel=1e-4)


def test_a_slow_schedule_far_along_is_the_constant_momentum(x64):
    """The two forms agree where 0.96^(tψ) has died out; at the start they differ by more than a third."""
    grads = np.random.default_rng(0).normal(size=(50, 3))
    constant, _ = follow(nadam(0.1, momentum_decay=np.inf), jnp.zeros(3), grads)
    fast, _ = follow(nadam(0.1, momentum_decay=1000.0), jnp.zeros(3), grads)
    slow, _ = follow(nadam(0.1), jnp.zeros(3), grads)
    np.testing.assert_allclose(fast, constant, rtol=1e-12)
    assert abs(constant[0, 0]) / 0.1 == pytest.approx(1 + 0.9 * 0.1 / 0.19, rel=1e-6)
    assert abs(slow[0, 0] / constant[0, 0] - 1) > 0.2


def test_without_momentum_it_is_adam_without_momentum(x64):
    grads = np.random.default_rng(0).normal(size=(20, 3))
    found, _ = follow(nadam(0.1, b1=0.0), jnp.zeros(3), grads)
    expected, _ = follow(adam(0.1, b1=0.0), jnp.zeros(3), grads)
    np.testing.assert_allclose(found, expected, rtol=1e-12)


def test_it_looks_one_gradient_ahead(x64):
    """At a constant gradient and momentum its average after t steps weighs as Adam's after t + 1 would."""
    g = np.array([2.0])
    path, _ = follow(nadam(0.1, b2=0.0, eps=0.0, momentum_decay=np.inf), jnp.zeros(1), np.tile(g, (5, 1)))
    steps = -np.diff(np.concatenate([[[0.0]], path]), axis=0)[:, 0] / 0.1
    t = np.arange(1, 6)
    np.testing.assert_allclose(
        steps, 0.1 / (1 - 0.9**t) + 0.9 * (1 - 0.9**t) / (1 - 0.9 ** (t + 1)), rtol=1e-12
    )


def test_a_step_not_accepted_leaves_the_product_of_momenta(x64):
    optimizer = nadam(0.1)
    _, state = optimizer.update(jnp.ones(2), optimizer.init(jnp.ones(2)))
    _, after = optimizer.update(jnp.ones(2), state, accept=jnp.array(False))
    assert (
        float(after.momentum_product)
        == float(state.momentum_product)
        == pytest.approx(momentum_at(1, 0.9, 4e-3))
    )


@pytest.mark.parametrize(("rate", "rates"), [(0.07, 0.07), (falling_rate, RATES)])
@pytest.mark.parametrize(("decay", "decays"), [(0.3, 0.3), (falling_rate, RATES)])
def test_decay_golden(decay, decays, rate, rates, x64):
    """Weights decay, biases do not, unless the mask says so."""

    def decayed(p, g):
        return reference(p, g, rates, *DEFAULTS, decays)

    def plain(p, g):
        return reference(p, g, rates, *DEFAULTS)

    assert_follows(nadamw(rate, weight_decay=decay), decayed, 1e-11, bias=plain)
    assert_follows(nadamw(rate, weight_decay=decay, mask=None), decayed, 1e-11)
    assert_follows(nadamw(rate, weight_decay=0.0), plain, 1e-11)


def test_without_gradients_it_decays_by_a_fixed_share(x64):
    params = random_params()
    zeros = jax.tree.map(lambda p: np.zeros((STEPS, *p.shape)), params)
    path, _ = follow(nadamw(0.1, weight_decay=0.5), params, zeros)
    for t in range(STEPS):
        np.testing.assert_allclose(path["kernel"][t], 0.95 ** (t + 1) * params["kernel"], rtol=1e-13)
        np.testing.assert_array_equal(path["bias"][t], params["bias"])


def test_wrong_arguments_are_named():
    with pytest.raises(ValueError, match=r"nadam\(momentum_decay\) is -1"):
        nadam(momentum_decay=-1.0)
    with pytest.raises(ValueError, match=r"nadamw\(weight_decay\) is -1"):
        nadamw(weight_decay=-1.0)
    with pytest.raises(ValueError, match="nadamw needs the parameters"):
        nadamw().update(jnp.ones(2), nadamw().init(jnp.ones(2)))
