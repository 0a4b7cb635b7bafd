"""Distance over gradients."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxopt_notes.optimizers import dog, dowg
from tests.optimizers.runs import follow, random_grads, random_params


def as_vector(tree, steps):
    return np.concatenate([np.asarray(tree[name]).reshape(steps, -1) for name in sorted(tree)], axis=1)


def dog_reference(theta, grads, rate, r_eps, eps):
    start, total = theta, 0.0
    reached = r_eps * (1 + np.linalg.norm(theta))
    for g in grads:
        reached = max(reached, np.linalg.norm(theta - start))
        total += g @ g
        theta = theta - rate * reached / np.sqrt(total + eps) * g
        yield theta


def dowg_reference(theta, grads, rate, reached, eps):
    start, total = theta, 0.0
    for g in grads:
        reached = max(reached, np.linalg.norm(theta - start))
        total += reached**2 * (g @ g)
        theta = theta - rate * reached**2 / (np.sqrt(total) + eps) * g
        yield theta


@pytest.mark.parametrize(
    ("optimizer", "reference", "arguments"),
    [
        (dog(0.8, 0.05, 1e-2), dog_reference, (0.8, 0.05, 1e-2)),
        (dowg(0.8, 0.05, 1e-2), dowg_reference, (0.8, 0.05, 1e-2)),
        (dowg(eps=0.0), dowg_reference, (1.0, 1e-2, 0.0)),
    ],
)
def test_formula(optimizer, reference, arguments, x64):
    """All leaves as one vector."""
    params = random_params()
    grads = jax.tree.map(lambda g, p: 0.3 * g + np.sign(p), random_grads(40), params)
    path, states = follow(optimizer, params, grads)
    theta = as_vector(jax.tree.map(lambda p: p[None], params), 1)[0]
    expected = np.stack(list(reference(theta, as_vector(grads, 40), *arguments)))
    np.testing.assert_allclose(as_vector(path, 40), expected, rtol=1e-11)
    assert states.max_distance[-1] > 4 * states.max_distance[0]


@pytest.mark.parametrize("optimizer", [dog(r_eps=1e-3, eps=0.0), dowg(initial_distance=1e-3, eps=0.0)])
@pytest.mark.parametrize("scale", [1e-12, 1e12])
def test_gradients_of_another_scale_give_the_same_path(optimizer, scale):
    """In float32 too, where sums of squares would be 0 or infinite soon."""
    grads = jnp.asarray(np.random.default_rng(0).normal(size=(30, 6)) + 1, jnp.float32)
    path, _ = follow(optimizer, jnp.ones(6), grads)
    scaled, _ = follow(optimizer, jnp.ones(6), grads * scale * scale)
    np.testing.assert_allclose(scaled, path, rtol=1e-4)


@pytest.mark.parametrize("make", [lambda r: dog(r_eps=r), lambda r: dowg(initial_distance=r)])
def test_the_first_distance_hardly_matters(make, x64):
    """On ½‖x‖² from distance 5: a thousand times smaller, and the end is the same."""

    def end(r):
        def step(carry, _):
            x, state = carry
            update, state = optimizer.update(x, state, x)
            return (x + update, state), None

        optimizer = make(r)
        x = jnp.array([3.0, 4.0])
        return jax.lax.scan(step, (x, optimizer.init(x)), length=1500)[0][0]

    for r in (1e-2, 1e-5):
        assert np.linalg.norm(end(r)) < 1e-6


def test_no_gradient_is_no_step_and_no_nan():
    for optimizer in (dog(eps=0.0), dowg(eps=0.0)):
        path, _ = follow(optimizer, jnp.ones(3), jnp.zeros((4, 3)))
        np.testing.assert_array_equal(path, 1)


def test_wrong_numbers_are_named():
    with pytest.raises(ValueError, match=r"dog\(r_eps\) is 0"):
        dog(r_eps=0.0)
    with pytest.raises(ValueError, match=r"dowg\(initial_distance\) is 0"):
        dowg(initial_distance=0.0)
    with pytest.raises(ValueError, match="dog needs the parameters"):
        dog().update(jnp.ones(1), dog().init(jnp.ones(1)))
