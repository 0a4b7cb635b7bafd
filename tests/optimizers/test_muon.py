"""Muon: the formula against NumPy, the limit of exact orthogonality, and who moves which leaf."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxopt_notes.optimizers import adam, adamw, muon, sgd
from jaxopt_notes.optimizers.core.newton_schulz import COEFFICIENTS, newton_schulz
from tests.optimizers.runs import RATES, assert_follows, falling_rate, follow, random_grads, random_params

EXACT = (1.875, -1.25, 0.375)


def iterated(x, triples, eps):
    x = x / (np.linalg.norm(x) + eps)
    for a, b, c in triples:
        x = a * x + b * x @ x.T @ x + c * x @ x.T @ x @ x.T @ x
    return x


def reference(
    theta, grads, rates, beta=0.95, triples=(COEFFICIENTS,) * 5, nesterov=True, decay=0.0, rms=None
):
    m, (inputs, outputs) = np.zeros_like(theta), theta.shape
    scale = np.sqrt(max(1, outputs / inputs)) if rms is None else rms * np.sqrt(max(inputs, outputs))
    for g, eta in zip(grads, np.broadcast_to(rates, len(grads)), strict=True):
        m = beta * m + (1 - beta) * g
        x = iterated(beta * m + (1 - beta) * g if nesterov else m, triples, 1e-8)
        theta = theta - eta * (scale * x + decay * theta)
        yield theta


@pytest.mark.parametrize(("rate", "rates"), [(0.1, 0.1), (falling_rate, RATES)])
@pytest.mark.parametrize(
    "arguments",
    [
        {},
        {"nesterov": False, "decay": 0.3},
        {"rms": 0.2, "beta": 0.5},
        {"triples": ((4.0, -6.9, 2.9), EXACT)},
    ],
    ids=lambda arguments: " ".join(arguments) or "default",
)
def test_golden(rate, rates, arguments, x64):
    """Of the matrix; the vector gets plain descent from its companion."""
    names = {"decay": "weight_decay", "rms": "consistent_rms", "triples": "ns_coeffs"}
    given = {names.get(name, name): value for name, value in arguments.items()}

    def descent(theta, grads):
        return theta - np.cumsum(0.3 * grads, axis=0)

    assert_follows(
        muon(rate, companion=sgd(0.3), **given),
        lambda p, g: reference(p, g, rates, **arguments),
        rtol=1e-10,
        bias=descent,
    )


@pytest.mark.parametrize("shape", [(4, 4), (2, 5), (5, 2)])
def test_many_exact_iterations_give_the_nearest_orthogonal_matrix(shape, x64):
    x = np.random.default_rng(0).normal(size=shape)
    u, _, vt = np.linalg.svd(x, full_matrices=False)
    nearest = jax.jit(lambda x: newton_schulz(x, (EXACT,) * 40))
    np.testing.assert_allclose(nearest(x), u @ vt, atol=1e-12)
    turned = nearest(x * np.exp(0.7j))
    np.testing.assert_allclose(turned, u @ vt * np.exp(0.7j), atol=1e-12)


def test_five_steep_iterations_bring_all_singular_values_near_one(x64):
    """From everything above 1/200 of the norm to 0.68 … 1.16, as newton_schulz.py says."""
    values = np.geomspace(0.006, 0.7, 40)
    values = values / np.linalg.norm(values)
    values = values[values > 0.005]
    values = np.append(values, np.sqrt(1 - (values**2).sum()))
    found = np.diag(newton_schulz(jnp.diag(jnp.asarray(values)), (COEFFICIENTS,) * 5))
    assert found.min() > 0.68
    assert found.max() < 1.16


def test_the_size_of_the_gradient_does_not_matter(x64):
    """Down to eps."""
    grads = random_grads()["kernel"]
    found, _ = follow(muon(0.1), random_params()["kernel"], 1e6 * grads)
    expected, _ = follow(muon(0.1, eps=0.0), random_params()["kernel"], grads)
    np.testing.assert_allclose(found, expected, rtol=1e-6)


def test_the_rest_is_moved_by_adamw_at_the_same_rate(x64):
    params, grads = random_params(), random_grads()
    found, states = follow(muon(0.1, weight_decay=0.2), params, grads)
    expected, _ = follow(adamw(0.1, weight_decay=0.2), params["bias"], grads["bias"])
    np.testing.assert_allclose(found["bias"], expected, rtol=1e-12)
    matrices, others = states
    assert [leaf.shape[1:] for leaf in jax.tree.leaves(matrices.inner.mu)] == [(3, 2)]
    assert [leaf.shape[1:] for leaf in jax.tree.leaves(others.inner.mu)] == [(3,)]


def test_leaves_are_chosen_by_a_mask(x64):
    params = {"embedding": jnp.ones((4, 2)), "kernel": jnp.ones((2, 3))}
    grads = jax.tree.map(lambda p: 0.1 * p, params)
    chosen = {"embedding": False, "kernel": True}
    optimizer = muon(0.1, mask=chosen, companion=adam(0.1))
    updates, _ = optimizer.update(grads, optimizer.init(params), params)
    np.testing.assert_allclose(updates["embedding"], -0.1, rtol=1e-6)  # Adam's first step
    assert abs(updates["kernel"][0, 0]) < 0.09


def test_a_kernel_of_a_convolution_is_a_matrix_of_its_outputs(x64):
    kernel = np.random.default_rng(0).normal(size=(3, 3, 2, 4))
    flat = kernel.reshape(18, 4)
    optimizer = muon(0.1, mask=None)
    found, _ = optimizer.update(jnp.asarray(kernel), optimizer.init(kernel), kernel)
    expected, _ = optimizer.update(jnp.asarray(flat), optimizer.init(flat), flat)
    np.testing.assert_allclose(found.reshape(18, 4), expected, rtol=1e-9)


def test_wrong_arguments_are_named():
    with pytest.raises(ValueError, match=r"muon\(beta\) is 1, .*: the usual value is 0.95"):
        muon(beta=1.0)
    with pytest.raises(ValueError, match="muon needs the parameters"):
        muon().update(jnp.ones((2, 2)), muon().init(jnp.ones((2, 2))))


def test_the_coefficients_are_those_of_the_paper():
    """Jordan 2024: 3.4445·s − 4.7750·s³ + 2.0315·s⁵ on every singular value, in five steps by default."""
    assert COEFFICIENTS == (3.4445, -4.7750, 2.0315)
    assert (muon().ns_coeffs, muon().ns_steps) == (COEFFICIENTS, 5)
    x = jnp.diag(jnp.array([0.6, 0.8]))  # of length 1
    s = np.array([0.6, 0.8])
    expected = 3.4445 * s - 4.7750 * s**3 + 2.0315 * s**5
    np.testing.assert_allclose(jnp.diag(newton_schulz(x, (COEFFICIENTS,), 0.0)), expected, rtol=1e-5)
