"""Hypergradient descent: SGD-HD and Adam-HD of the paper in NumPy, its limits, and what it repairs."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxopt_notes.optimizers import adam, apply_updates, sgd
from jaxopt_notes.optimizers.wrappers.hypergradient import hypergradient, next_scale

CURVATURE = np.array([1.0, 4.0, 0.5])


def run(optimizer, steps, start=(1.0, -2.0, 3.0)):
    """Parameters and scales along f(θ) = ½·Σ cᵢθᵢ²."""

    def body(carry, _):
        params, state = carry
        grads = jax.tree.map(lambda p, c: p * c, params, curvature)
        updates, state = optimizer.update(grads, state, params)
        params = apply_updates(params, updates)
        return (params, state), (jnp.concatenate([params["a"], params["b"]]), state.scale)

    params = {"a": jnp.asarray(start[:2]), "b": jnp.asarray(start[2:])}
    curvature = {"a": jnp.asarray(CURVATURE[:2]), "b": jnp.asarray(CURVATURE[2:])}
    return jax.jit(lambda: jax.lax.scan(body, (params, optimizer.init(params)), length=steps)[1])()


def test_sgd_hd_is_the_papers(x64):
    """Algorithm 4: αₜ = αₜ₋₁ + β·gₜ·gₜ₋₁, θₜ = θₜ₋₁ − αₜ·gₜ."""
    found, scales = run(hypergradient(sgd(1.0), 0.001, scale=0.05), 50)
    theta, alpha, before = np.array([1.0, -2.0, 3.0]), 0.05, np.zeros(3)
    for t in range(50):
        g = CURVATURE * theta
        alpha, before = alpha + 0.001 * g @ before, g
        theta = theta - alpha * g
        np.testing.assert_allclose([*found[t], scales[t]], [*theta, alpha], rtol=1e-11)


def test_adam_hd_is_the_papers(x64):
    """Algorithm 6: the derivative of the last step with respect to α is −m̂/(√v̂ + ε)."""
    found, scales = run(hypergradient(adam(1.0), 1e-4, scale=0.01), 50)
    theta, alpha, before = np.array([1.0, -2.0, 3.0]), 0.01, np.zeros(3)
    m = v = np.zeros(3)
    for t in range(50):
        g = CURVATURE * theta
        alpha = alpha - 1e-4 * g @ before
        m, v = 0.9 * m + 0.1 * g, 0.999 * v + 0.001 * g**2
        before = -(m / (1 - 0.9 ** (t + 1))) / (np.sqrt(v / (1 - 0.999 ** (t + 1))) + 1e-8)
        theta = theta + alpha * before
        np.testing.assert_allclose([*found[t], scales[t]], [*theta, alpha], rtol=1e-11)


def test_the_product_is_the_derivative_of_the_loss_by_the_scale(x64):
    """⟨g, d⟩ is what `jax.grad` says of the loss after a step of size s."""

    def after(s):
        theta = jnp.array([1.0, -2.0]) - s * jnp.array([1.0, -8.0])
        return jnp.sum(jnp.array([0.5, 2.0]) * theta**2)

    g = jnp.array([1.0, 4.0]) * (jnp.array([1.0, -2.0]) - 0.1 * jnp.array([1.0, -8.0]))
    product = g @ -jnp.array([1.0, -8.0])
    np.testing.assert_allclose(next_scale(0.1, product, 1.0, 1.0, 0.01), 0.1 - 0.01 * jax.grad(after)(0.1))


def test_without_a_hyper_rate_it_is_the_optimizer(x64):
    found, scales = run(hypergradient(adam(0.1), 0.0), 20)
    expected, _ = run(hypergradient(adam(1.0), 0.0, scale=0.1), 20)
    np.testing.assert_allclose(found, expected, rtol=1e-12)
    assert (scales == 1.0).all()


@pytest.mark.parametrize("rule", ["additive", "multiplicative"])
def test_a_rate_that_is_far_too_small_grows(x64, rule):
    beta = {"additive": 1e-3, "multiplicative": 0.1}[rule]
    plain, _ = run(hypergradient(sgd(1.0), 0.0, scale=1e-4), 200)
    found, scales = run(hypergradient(sgd(1.0), beta, scale=1e-4, rule=rule), 200)
    assert np.abs(plain[-1]).max() > 1
    assert np.abs(found[-1]).max() < 1e-2
    assert scales[-1] > 100 * scales[0]


def test_a_rate_that_is_too_large_shrinks(x64):
    """2/L is 0.5: at 0.6 gradient descent diverges; consecutive gradients point against each other."""
    plain, _ = run(hypergradient(sgd(1.0), 0.0, scale=0.6), 60)
    found, scales = run(hypergradient(sgd(1.0), 0.1, scale=0.6, rule="multiplicative"), 60)
    assert np.abs(plain[-1]).max() > 1e3
    assert np.abs(found[-1]).max() < 1e-2
    assert scales[-1] < 0.5


def test_the_multiplicative_rule_is_free_of_units(x64):
    one, scales = run(hypergradient(sgd(1.0), 0.05, scale=0.01, rule="multiplicative"), 30)
    ten, again = run(
        hypergradient(sgd(1.0), 0.05, scale=0.01, rule="multiplicative"), 30, start=(10.0, -20.0, 30.0)
    )
    np.testing.assert_allclose(ten, 10 * one, rtol=1e-10)
    np.testing.assert_allclose(scales, again, rtol=1e-10)


def test_a_scale_stays_where_the_next_is_not_finite():
    optimizer = hypergradient(sgd(1.0), scale=0.5)
    params = jnp.array([1e25])
    state = optimizer.init(params)
    for _ in range(2):
        _, state = optimizer.update(params, state, params)  # the product overflows
    assert state.scale == 0.5


def test_errors_name_everything():
    with pytest.raises(ValueError, match=r"hypergradient\(hyper_learning_rate\) is -1"):
        hypergradient(sgd(1.0), -1.0)
    with pytest.raises(ValueError, match=r"hypergradient\(rule\) is 'wild'"):
        hypergradient(sgd(1.0), rule="wild")
    with pytest.raises(TypeError, match="not a gradient transform"):
        hypergradient(0.1)
