"""D-Adaptation: rates from a lower bound of the distance."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxopt_notes.optimizers import dadapt_adam, dadapt_sgd
from tests.optimizers.runs import follow, random_grads, random_params


def as_vector(tree, steps):
    return np.concatenate([np.asarray(tree[name]).reshape(steps, -1) for name in sorted(tree)], axis=1)


def one_way(steps=40):
    """Gradients that mostly point one way, so that the estimate grows."""
    params = random_params()
    return params, jax.tree.map(lambda g, p: 0.2 * g + 0.3 * np.sign(p), random_grads(steps), params)


def sgd_reference(theta, grads, rate, momentum, d):
    start, s, r = theta, np.zeros_like(theta), 0.0
    for g in grads:
        weight = rate * d / np.linalg.norm(grads[0])
        r += weight * g @ s
        s = s + weight * g
        d = max(d, 2 * r / np.linalg.norm(s))
        theta = momentum * theta + (1 - momentum) * (start - s)
        yield theta, d


def adam_reference(theta, grads, rate, b1, b2, eps, d, decay, corrected):
    m, v, s, r, root = 0.0, np.zeros_like(theta), np.zeros_like(theta), 0.0, np.sqrt(b2)
    for t, g in enumerate(grads, start=1):
        step = rate * d * (np.sqrt(1 - b2**t) / (1 - b1**t) if corrected else 1.0)
        r = root * r + (1 - root) * step * g @ (s / (np.sqrt(v) + eps))
        m = b1 * m + (1 - b1) * step * g
        v = b2 * v + (1 - b2) * g**2
        s = root * s + (1 - root) * step * g
        theta = theta - m / (np.sqrt(v) + eps) - step * decay * theta
        d = max(d, r / ((1 - root) * np.abs(s).sum()))
        yield theta, d


CASES = {
    "sgd": (dadapt_sgd(0.5, d0=1e-2), sgd_reference, (0.5, 0.0, 1e-2)),
    "momentum": (dadapt_sgd(0.5, 0.6, d0=1e-2), sgd_reference, (0.5, 0.6, 1e-2)),
    "adam": (
        dadapt_adam(0.5, 0.9, 0.99, 1e-3, d0=1e-2, weight_decay=0.1, mask=None),
        adam_reference,
        (0.5, 0.9, 0.99, 1e-3, 1e-2, 0.1, False),
    ),
    "corrected": (
        dadapt_adam(0.5, 0.9, 0.99, 1e-3, d0=1e-2, bias_correction=True),
        adam_reference,
        (0.5, 0.9, 0.99, 1e-3, 1e-2, 0.0, True),
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_formula(case, x64):
    """All leaves as one vector: norms and inner products are of the whole tree."""
    optimizer, reference, arguments = CASES[case]
    params, grads = one_way()
    path, states = follow(optimizer, params, grads)
    theta = as_vector(jax.tree.map(lambda p: p[None], params), 1)[0]
    expected = list(reference(theta, as_vector(grads, 40), *arguments))
    np.testing.assert_allclose(as_vector(path, 40), np.stack([t for t, _ in expected]), rtol=1e-11)
    np.testing.assert_allclose(states.estimate, [d for _, d in expected], rtol=1e-11)
    assert states.estimate[-1] > 2e-2


@pytest.mark.parametrize("make", [dadapt_sgd, dadapt_adam])
def test_the_estimate_grows_from_nothing_to_about_the_distance(make, x64):
    """On f(x) = |x| from 5. Gradient descent finds at most twice the distance; Adam forgets: no bound."""

    def end(d0):
        def step(carry, _):
            x, state = carry
            update, state = optimizer.update(jnp.sign(x), state, x)
            return (x + update, state), state.estimate

        optimizer = make(d0=d0)
        x = jnp.array(5.0)
        return jax.lax.scan(step, (x, optimizer.init(x)), length=400)[1][-1]

    found = np.array([end(d0) for d0 in (1e-6, 1e-3)])
    assert (found > 1.0).all()
    assert (found < (10.0 if make is dadapt_sgd else 20.0)).all()


def test_the_first_gradient_that_is_not_0_sets_the_unit():
    grads = jnp.array([[0.0, 0.0], [3.0, 4.0], [3.0, 4.0]])
    path, states = follow(dadapt_sgd(d0=0.1), jnp.zeros(2), grads)
    np.testing.assert_array_equal(states.first_norm, [0, 5, 5])
    np.testing.assert_array_equal(path[0], 0)
    np.testing.assert_allclose(path[1], [-0.06, -0.08], rtol=1e-5)


def test_wrong_numbers_are_named():
    with pytest.raises(ValueError, match=r"dadapt_sgd\(momentum\) is 1"):
        dadapt_sgd(momentum=1.0)
    with pytest.raises(ValueError, match=r"dadapt_adam\(d0\) is 0"):
        dadapt_adam(d0=0.0)
