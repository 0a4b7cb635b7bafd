"""Weight decay in its three forms, and when they are one and the same."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxopt_notes.optimizers.adam import adam
from jaxopt_notes.optimizers.core.chain import chain
from jaxopt_notes.optimizers.momentum import momentum
from jaxopt_notes.optimizers.sgd import sgd
from jaxopt_notes.optimizers.transforms.weight_decay import (
    add_l2,
    multiplicative_decay,
    weight_decay,
)
from tests.optimizers.runs import RATES, STEPS, assert_follows, descend, falling_rate, random_params


def gradient(tree):
    """Of a loss that is not quadratic, so that trajectories that differ at all drift apart."""
    return jax.tree.map(lambda x: x + jnp.sin(2 * x), tree)


def path(*transforms, steps=40):
    trajectory, _ = descend(chain(*transforms), gradient, jax.tree.map(jnp.asarray, random_params()), steps)
    return trajectory


def distance(a, b):
    return max(float(abs(x - y).max()) for x, y in zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True))


FORMS = {
    "add_l2": (
        lambda lam: chain(add_l2(lam, mask=None), sgd(0.2)),
        lambda p, g, lam: p - 0.2 * (g + lam * p),
    ),
    "weight_decay": (
        lambda lam: chain(sgd(0.2), weight_decay(lam, mask=None)),
        lambda p, g, lam: p - 0.2 * g - lam * p,
    ),
    "weight_decay, with a rate": (
        lambda lam: chain(sgd(0.2), weight_decay(lam, 0.3, mask=None)),
        lambda p, g, lam: p - 0.2 * g - 0.3 * lam * p,
    ),
    "weight_decay, with a falling rate": (
        lambda lam: chain(sgd(0.2), weight_decay(0.5, lam, mask=None)),
        lambda p, g, lam: p - 0.2 * g - lam * 0.5 * p,
    ),
}


@pytest.mark.notes("S0-12", "S0-16")
@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(("decay", "decays"), [(0.3, 0.3), (falling_rate, RATES)])
def test_golden(decay, decays, form, x64):
    optimizer, step = FORMS[form]

    def reference(theta, grads):
        for g, lam in zip(grads, np.broadcast_to(decays, len(grads)), strict=True):
            theta = step(theta, g, lam)
            yield theta

    assert_follows(optimizer(decay), reference)


@pytest.mark.notes("S3-33")
@pytest.mark.parametrize("factor", [1.0, 0.9, 0.0])
def test_golden_multiplicative(factor, x64):
    """θ ← c·(θ − ηg)."""

    def reference(theta, grads):
        for g in grads:
            theta = factor * (theta - 0.2 * g)
            yield theta

    assert_follows(chain(sgd(0.2), multiplicative_decay(factor, mask=None)), reference)


@pytest.mark.notes("S0-16")
def test_one_step_by_hand(x64):
    """w = 1, ∇ = 0.5, η = 0.1, λ = 0.1: w − η(∇ + λw) = 0.94, and so is (1 − ηλ)w − η∇."""
    w, g = jnp.array(1.0), jnp.array(0.5)
    for optimizer in (
        chain(add_l2(0.1, mask=None), sgd(0.1)),
        chain(sgd(0.1), weight_decay(0.1, 0.1, mask=None)),
    ):
        update, _ = optimizer.update(g, optimizer.init(w), w)
        np.testing.assert_allclose(w + update, 0.94, rtol=1e-15)


@pytest.mark.notes("S0-12", "S0-16")
@pytest.mark.parametrize("rate", [0.1, falling_rate])
def test_decay_is_a_penalty_under_plain_gradient_descent(rate, x64):
    """Also under a schedule, as long as the decay is multiplied by the same rate."""
    penalty = path(add_l2(0.3), sgd(rate))
    decay = path(sgd(rate), weight_decay(0.3, rate))
    for a, b in zip(jax.tree.leaves(penalty), jax.tree.leaves(decay), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-12)
    assert distance(penalty, path(sgd(rate))) > 1e-3


@pytest.mark.notes("S0-12", "S4-34")
@pytest.mark.parametrize("optimizer", [momentum(0.1, 0.9), adam(0.1)], ids=["momentum", "adam"])
def test_decay_is_no_penalty_with_memory_or_adaptive_rates(optimizer, x64):
    assert distance(path(add_l2(0.3), optimizer), path(optimizer, weight_decay(0.3, 0.1))) > 1e-2


@pytest.mark.notes("S0-17")
@pytest.mark.parametrize(("product", "behaviour"), [(0.1, "shrinks"), (1.5, "flips"), (2.5, "diverges")])
def test_without_a_loss(product, behaviour, x64):
    """(1 − ηλ)ᵗ·θ: it shrinks for ηλ < 1, flips its sign and shrinks to 2, and diverges beyond."""
    if product >= 1:
        with pytest.warns(UserWarning, match="flips the sign"):
            transform = weight_decay(product / 0.5, 0.5, mask=None)
    else:
        transform = weight_decay(product / 0.5, 0.5, mask=None)
    trajectory, _ = descend(transform, jnp.zeros_like, jnp.array([2.0, -3.0]), 10)
    t = np.arange(11)[:, None]
    np.testing.assert_allclose(trajectory, (1 - product) ** t * [2.0, -3.0], rtol=1e-12)
    first, second = np.asarray(trajectory[:2, 0])
    assert (second < 0) == (behaviour != "shrinks")
    assert (abs(second) < abs(first)) == (behaviour != "diverges")


def test_no_warning_where_the_product_is_not_known(recwarn):
    """A schedule or a traced number is not looked at."""
    weight_decay(5.0, falling_rate)
    jax.jit(weight_decay)(5.0, 1.0)
    assert not recwarn.list


@pytest.mark.notes("S3-34")
@pytest.mark.parametrize("rate", [0.1, 1.0])
def test_multiplying_is_a_penalty_of_another_strength(rate, x64):
    """θ ← wθ − η∇ is λ = (1 − w)/η; θ ← w(θ − η∇) is a step wη with λ = (1 − w)/(wη).

    The notes' λ = 1 − w is right for η = 1 and the first form only.
    """
    w = 0.9
    before = path(sgd(rate), weight_decay(1 - w, mask=None))
    after = path(sgd(rate), multiplicative_decay(w, mask=None))
    as_noted = path(add_l2(1 - w, mask=None), sgd(rate))
    assert distance(before, path(add_l2((1 - w) / rate, mask=None), sgd(rate))) < 1e-12
    assert distance(after, path(add_l2((1 - w) / (w * rate), mask=None), sgd(w * rate))) < 1e-12
    assert (distance(before, as_noted) < 1e-12) == (rate == 1.0)
    assert distance(after, as_noted) > 1e-2


@pytest.mark.notes("S3-33", "S4-37")
@pytest.mark.parametrize(
    "optimizer",
    [
        chain(add_l2(0.5), sgd(0.1)),
        chain(sgd(0.1), weight_decay(0.5, 0.1)),
        chain(sgd(0.1), multiplicative_decay(0.95)),
    ],
    ids=["add_l2", "weight_decay", "multiplicative_decay"],
)
def test_biases_and_normalization_scales_are_left_alone(optimizer, x64):
    """By default only weights are decayed: leaves of rank two and more that are no `scale`."""
    params = {"kernel": jnp.ones((2, 2)), "bias": jnp.ones(2), "scale": jnp.ones((1, 2))}
    decayed, _ = descend(optimizer, gradient, params, STEPS)
    plain, _ = descend(sgd(0.1), gradient, params, STEPS)
    np.testing.assert_array_equal(decayed["bias"], plain["bias"])
    np.testing.assert_array_equal(decayed["scale"], plain["scale"])
    assert (decayed["kernel"][-1] < plain["kernel"][-1] - 0.005).all()


@pytest.mark.parametrize("factory", [add_l2, weight_decay, multiplicative_decay])
def test_needs_the_parameters_and_names_wrong_arguments(factory):
    transform = factory()
    with pytest.raises(ValueError, match=f"{factory.__name__} needs the parameters"):
        transform.update(jnp.ones(2), transform.init(jnp.ones(2)))
    with pytest.raises(ValueError, match=rf"{factory.__name__}\(\w+\) is -1"):
        factory(-1.0)
