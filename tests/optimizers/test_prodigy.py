"""Adam that finds its rate."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxopt_notes.optimizers import prodigy
from tests.optimizers.runs import follow, random_grads, random_params


def reference(theta, grads, rate, b1, b2, b3, eps, d, decay, corrected, safeguard):
    """Algorithm 4 of the paper, all leaves as one vector, without the division by d0."""
    start, m, v, s, r = theta, 0.0, 0.0, 0.0, 0.0
    for t, g in enumerate(grads, start=1):
        step = rate * d * (np.sqrt(1 - b2**t) / (1 - b1**t) if corrected else 1.0)
        m = b1 * m + (1 - b1) * d * g
        v = b2 * v + (1 - b2) * d**2 * g**2
        r = b3 * r + d * step * g @ (start - theta)
        s = b3 * s + d * (d if safeguard else step) * g
        theta = theta - step * m / (np.sqrt(v) + d * eps) - step * decay * theta
        d = max(d, r / np.abs(s).sum())
        yield theta, d


def as_vector(tree, steps):
    return np.concatenate([np.asarray(tree[name]).reshape(steps, -1) for name in sorted(tree)], axis=1)


@pytest.mark.parametrize(
    ("b3", "corrected", "safeguard"), [(None, False, False), (0.8, True, False), (None, True, True)]
)
def test_formula(b3, corrected, safeguard, x64):
    params = random_params()
    towards = jax.tree.map(lambda p: np.sign(p) * 0.3, params)
    grads = jax.tree.map(lambda g, a: 0.2 * g + a, random_grads(40), towards)  # mostly one way: d grows
    optimizer = prodigy(
        0.5, 0.9, 0.99, b3, 1e-3, d0=1e-2, weight_decay=0.1, mask=None,
        bias_correction=corrected, safeguard_warmup=safeguard,
    )  # fmt: skip
    path, states = follow(optimizer, params, grads)
    theta = as_vector(jax.tree.map(lambda p: p[None], params), 1)[0]
    numbers = (0.5, 0.9, 0.99, np.sqrt(0.99) if b3 is None else b3, 1e-3, 1e-2, 0.1)
    expected = list(reference(theta, as_vector(grads, 40), *numbers, corrected, safeguard))
    np.testing.assert_allclose(as_vector(path, 40), np.stack([t for t, _ in expected]), rtol=1e-11)
    np.testing.assert_allclose(states.estimate, [d for _, d in expected], rtol=1e-11)
    assert states.estimate[-1] > 2e-2


def test_the_estimate_grows_from_nothing_to_the_distance_and_not_far_beyond(x64):
    """On f(x) = |x| from 5 the bound is one of the distance: d ≤ 5 in theory, and most of it is found."""

    def ends(d0):
        def step(carry, _):
            x, state = carry
            update, state = optimizer.update(jnp.sign(x), state, x)
            return (x + update, state), state.estimate

        optimizer = prodigy(d0=d0)
        x = jnp.array(5.0)
        return jax.lax.scan(step, (x, optimizer.init(x)), length=300)[1][-1]

    found = jnp.stack([ends(d0) for d0 in (1e-6, 1e-3)])
    assert (found > 1.0).all()
    assert (found < 5.0).all()


def test_gradients_of_another_scale_give_the_same_path(x64):
    """Without eps: numerator and denominator, and Adam, have the same units."""
    params, grads = random_params(), random_grads(20)
    optimizer = prodigy(eps=0.0, d0=1e-2)
    path, _ = follow(optimizer, params, grads)
    scaled, _ = follow(optimizer, params, jax.tree.map(lambda g: 1e5 * g, grads))
    np.testing.assert_allclose(scaled["kernel"], path["kernel"], rtol=1e-9)


def test_no_gradient_is_no_step_and_no_nan():
    path, states = follow(prodigy(), jnp.ones(3), jnp.zeros((4, 3)))
    np.testing.assert_array_equal(path, 1)
    np.testing.assert_allclose(states.estimate, 1e-6)


def test_wrong_numbers_are_named():
    with pytest.raises(ValueError, match=r"prodigy\(d0\) is 0"):
        prodigy(d0=0.0)
    with pytest.raises(ValueError, match=r"prodigy\(b3\) is 1"):
        prodigy(b3=1.0)
    with pytest.raises(ValueError, match="params is None"):
        prodigy().update(jnp.ones(1), prodigy().init(jnp.ones(1)))


def test_d_coef_multiplies_what_the_estimate_grows_to(x64):
    """In the second step, where sums and numerator are still those of d0."""
    params, grads = jnp.ones(3), np.full((2, 3), 0.5)
    estimates = [
        follow(prodigy(1.0, d0=1e-3, d_coef=c, weight_decay=0.0), params, grads)[1].estimate[-1]
        for c in (2.0, 6.0)
    ]
    assert estimates[0] > 1.5e-3
    np.testing.assert_allclose(estimates[1], 3 * estimates[0], rtol=1e-10)
