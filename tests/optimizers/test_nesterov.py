"""Nesterov momentum: the parameters held are the look-ahead point of the textbook iterate."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxopt_notes.optimizers.core.chain import chain
from jaxopt_notes.optimizers.core.evaluation_params import evaluation_params
from jaxopt_notes.optimizers.nesterov import nesterov, nesterov_accelerated
from jaxopt_notes.optimizers.transforms.clipping import clip_by_global_norm
from jaxopt_notes.optimizers.wrappers.skip_nonfinite import skip_nonfinite
from jaxopt_notes.problems import quadratic
from tests.optimizers.runs import RATES, assert_follows, descend, falling_rate

START = np.array([1.5, -0.4, 0.9])
CURVATURES = np.array([1.0, 0.3, 2.0])


def gradient(x):
    """Of ½Σλx² + ¼Σx⁴: not linear, so that it matters where it is taken; NumPy or JAX."""
    return CURVATURES * x + x**3


def iterates(optimizer, steps=20, slope=gradient):
    """The parameters held, and those to evaluate, before each step and after the last."""
    held, states = descend(optimizer, slope, jnp.asarray(START), steps)
    count = len(held)
    start = optimizer.init(jnp.asarray(START))
    states = jax.tree.map(lambda first, rest: jnp.concatenate([first[None], rest[1:]]), start, states)
    assert jax.tree.leaves(states)[0].shape[0] == count
    return held, jax.vmap(lambda p, s: evaluation_params(optimizer, p, s))(held, states)


def sutskever(alpha, rates):
    """θ̂ = θ − αv; g = ∇f(θ̂); v ← αv + ηg; θ ← θ − v, for a rate inside. Yields (θ̂, θ)."""
    theta, v = START, np.zeros(3)
    yield theta, theta
    for rate in rates:
        v = alpha * v + rate * gradient(theta - alpha * v)
        theta = theta - v
        yield theta - alpha * v, theta


@pytest.mark.notes("S2-33", "S2-34", "S1-63")
@pytest.mark.parametrize(
    ("rate", "rates"), [(0.1, np.full(11, 0.1)), (falling_rate, RATES[:11])], ids=["constant", "falling"]
)
def test_holds_the_look_ahead_point_of_the_two_line_form(rate, rates, x64):
    """The gradient is taken after moving *by* −αv *to* θ − αv, and the iterate can be had back."""
    held, theta = iterates(nesterov(rate, 0.9), steps=11)
    expected = list(sutskever(0.9, rates))
    np.testing.assert_allclose(held, [look_ahead for look_ahead, _ in expected], rtol=1e-12, atol=1e-13)
    np.testing.assert_allclose(theta, [iterate for _, iterate in expected], rtol=1e-12, atol=1e-13)


@pytest.mark.notes("S1-63")
def test_rearranged_form_of_the_slide(x64):
    """v₊ = ρv − α∇f(x); x₊ = x − ρv + (1 + ρ)v₊: the change of variables x̃ = x + ρv."""
    held, _ = iterates(nesterov(0.05, 0.9))
    x, v = START, np.zeros(3)
    for found in held[1:]:
        v, before = 0.9 * v - 0.05 * gradient(x), v
        x = x - 0.9 * before + 1.9 * v
        np.testing.assert_allclose(found, x, rtol=1e-12)


@pytest.mark.parametrize("rate_outside", [False, True])
@pytest.mark.parametrize(("rate", "rates"), [(0.07, 0.07), (falling_rate, RATES)])
def test_golden(rate, rates, rate_outside, x64):
    def reference(theta, grads):
        """torch's form: v ← αv + g, step g + αv, the rate outside; or each g with its own rate."""
        v = np.zeros_like(theta)
        for g, eta in zip(grads, np.broadcast_to(rates, len(grads)), strict=True):
            inside, outside = (1.0, eta) if rate_outside else (eta, 1.0)
            v = 0.8 * v + inside * g
            theta = theta - outside * (inside * g + 0.8 * v)
            yield theta

    assert_follows(nesterov(rate, 0.8, rate_outside=rate_outside), reference)


@pytest.mark.notes("S2-33", "S2-36", "S3-21")
@pytest.mark.parametrize(
    "optimizer",
    [
        nesterov(falling_rate, 0.9),
        nesterov(falling_rate, 0.9, rate_outside=True),
        nesterov_accelerated(falling_rate, 0.9),
        nesterov_accelerated(falling_rate),
    ],
    ids=["inside", "outside", "constant", "growing"],
)
def test_the_iterate_is_a_gradient_step_from_the_point_held(optimizer, x64):
    """Figure 15-7: first along −αv to the look-ahead point, from there along −ηg."""
    held, theta = iterates(optimizer, steps=11)
    np.testing.assert_allclose(theta[0], START)
    for k in range(11):
        step = held[k] - RATES[k] * gradient(held[k])
        np.testing.assert_allclose(theta[k + 1], step, rtol=1e-11, atol=1e-13)


@pytest.mark.notes("S3-21")
@pytest.mark.parametrize("beta", [0.6, None], ids=["constant", "growing"])
def test_two_iterate_form(beta, x64):
    """x₊ = y − η∇f(y), y = x + β(x − x₋₁); β constant or (k − 1)/(k + 2) after the k-th gradient."""
    held, x = iterates(nesterov_accelerated(0.1, beta))
    here = before = START
    np.testing.assert_array_equal(held[0], START)
    for k in range(1, 21):
        y = held[k - 1]
        here, before = np.asarray(y - 0.1 * gradient(y)), here
        b = (k - 1) / (k + 2) if beta is None else beta
        np.testing.assert_allclose(x[k], here, rtol=1e-12)
        np.testing.assert_allclose(held[k], here + b * (here - before), rtol=1e-12)


@pytest.mark.notes("S3-21")
def test_two_iterates_are_the_velocity_form(x64):
    """With v = −(x − x₋₁) and a constant β the two-iterate form is the one with a velocity."""
    for found, expected in zip(
        iterates(nesterov_accelerated(0.1, 0.9)), iterates(nesterov(0.1, 0.9)), strict=True
    ):
        np.testing.assert_allclose(found, expected, rtol=1e-11, atol=1e-13)


def slope_of_ill_conditioned(x):
    return jax.grad(quadratic(np.geomspace(1e-4, 1.0, 3)))(x)


@pytest.mark.notes("S2-35", "S3-21")
def test_growing_momentum_has_the_convex_rate(x64):
    """f(xₖ) − f* ≤ 2L‖x₀ − x*‖²/(k + 1)² at every step, far below what plain descent reaches."""
    steps = 300
    _, x = iterates(nesterov_accelerated(1.0), steps, slope_of_ill_conditioned)
    curvatures = np.geomspace(1e-4, 1.0, 3)
    values = np.sum(curvatures * np.asarray(x) ** 2, axis=1) / 2
    k = np.arange(1, steps + 1)
    assert (values[1:] <= 2 * np.sum(START**2) / (k + 1) ** 2).all()
    plain = np.sum(curvatures * (START * (1 - curvatures) ** steps) ** 2) / 2
    assert values[-1] < plain / 3


def test_the_iterate_is_found_through_wrappers(x64):
    """A chain and `skip_nonfinite` hand `evaluation_params` on."""
    plain = iterates(nesterov(0.1, 0.9))
    for wrapped in (
        chain(clip_by_global_norm(np.inf), nesterov(0.1, 0.9)),
        skip_nonfinite(chain(nesterov(0.1, 0.9))),
    ):
        for found, expected in zip(iterates(wrapped), plain, strict=True):
            np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-15)
    assert abs(plain[0] - plain[1]).max() > 0.1


@pytest.mark.parametrize("factory", [nesterov, nesterov_accelerated])
def test_wrong_momentum_is_named(factory):
    with pytest.raises(ValueError, match=rf"{factory.__name__}\(momentum\) is 1.5"):
        factory(0.1, 1.5)
