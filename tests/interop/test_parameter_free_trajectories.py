"""Optimizers without schedules or rates beside optax's: the same to 1e-9, or the stated difference."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

import jaxopt_notes.optimizers as ours
from jaxopt_notes.optimizers.core.apply_updates import apply_updates
from tests.optimizers.runs import random_grads, random_params

pytestmark = pytest.mark.full

STEPS = 200


def our_path(optimizer):
    """A bowl with noisy gradients: the parameters and the states after each step. Estimates have a limit."""

    def step(carry, noise):
        params, state = carry
        grads = jax.tree.map(lambda p, n: 2 * p + n, params, noise)
        updates, state = optimizer.update(grads, state, params)
        params = apply_updates(params, updates)
        return (params, state), (params, state)

    start = jax.tree.map(jnp.asarray, random_params())
    return jax.jit(lambda noise: lax.scan(step, (start, optimizer.init(start)), noise)[1])(
        random_grads(STEPS)
    )


def optax_path(transform):
    with jax.numpy_dtype_promotion("standard"), jax.numpy_rank_promotion("allow"):
        return our_path(transform)


def difference(found, expected):
    """The largest, relative to the largest parameter."""
    return max(
        np.abs(np.asarray(path) - expected[name]).max() / np.abs(expected[name]).max()
        for name, path in found.items()
    )


@pytest.mark.parametrize("decay", [0.0, 0.1])
@pytest.mark.parametrize("name", ["schedule_free_sgd", "schedule_free_adamw"])
def test_schedule_free(name, decay, optax):
    """With what is to be evaluated."""
    optimizer = getattr(ours, name)(0.05, 0.8, weight_decay=decay, mask=None)
    path, states = our_path(optimizer)
    expected, their_states = optax_path(getattr(optax.contrib, name)(0.05, b1=0.8, weight_decay=decay))
    assert difference(path, expected) < 1e-9
    mean = jax.vmap(lambda p, s: ours.evaluation_params(optimizer, p, s))(path, states)
    with jax.numpy_dtype_promotion("standard"):
        their_mean = jax.vmap(optax.contrib.schedule_free_eval_params)(their_states, expected)
    assert difference(mean, their_mean) < 1e-9


def test_schedule_free_around_another_optimizer(optax):
    found, _ = our_path(ours.schedule_free(ours.adagrad(0.1, 0.1, 1e-7, eps_in_sqrt=True), 0.7))
    expected, _ = optax_path(optax.contrib.schedule_free(optax.adagrad(0.1), 0.1, b1=0.7))
    assert difference(found, expected) < 1e-9


def test_optax_asks_for_the_rate_of_the_weights_a_step_early(optax):
    """Its base is asked at step t, its weights at t + 1: with that, a warm-up gives the same path."""

    def warm(step):
        return 0.05 * jnp.minimum(1.0, (1 + jnp.asarray(step, float)) / 20)

    expected, _ = optax_path(optax.contrib.schedule_free(optax.sgd(warm), lambda t: warm(t - 1)))
    assert difference(our_path(ours.schedule_free_sgd(warm))[0], expected) < 1e-9
    early, _ = optax_path(optax.contrib.schedule_free(optax.sgd(warm), warm))
    assert difference(our_path(ours.schedule_free_sgd(warm))[0], early) > 1e-4


@pytest.mark.parametrize("safeguard", [False, True])
def test_prodigy(safeguard, optax):
    """Optax's d·eps has the d of the next step: without eps the paths are the same, with it nearly."""

    def pair(eps):
        both = {"eps": eps, "weight_decay": 0.1, "safeguard_warmup": safeguard}
        found, states = our_path(ours.prodigy(d0=1e-3, mask=None, bias_correction=True, **both))
        peer = optax.contrib.prodigy(estim_lr0=1e-3, **both)
        assert states.estimate[-1] > 1e-2
        return difference(found, optax_path(peer)[0])

    assert pair(0.0) < 1e-9
    assert 1e-9 < pair(1e-3) < 0.1


def test_dadapt_adam(optax):
    """Optax has Adam's bias correction always."""
    found, states = our_path(ours.dadapt_adam(d0=1e-3, weight_decay=0.1, mask=None, bias_correction=True))
    expected, _ = optax_path(optax.contrib.dadapt_adamw(estim_lr0=1e-3, weight_decay=0.1))
    assert states.estimate[-1] > 1e-2
    assert difference(found, expected) < 1e-9
    assert difference(our_path(ours.dadapt_adam(d0=1e-3, weight_decay=0.1, mask=None))[0], expected) > 1e-4


def test_dog_and_dowg(optax):
    found, _ = our_path(ours.dog(0.8, 1e-3, 1e-4))
    expected, _ = optax_path(optax.contrib.dog(0.8, ("heuristic", 1e-3), 1e-4))
    assert difference(found, expected) < 1e-9
    found, _ = our_path(ours.dowg(0.8))
    assert difference(found, optax_path(optax.contrib.dowg(0.8))[0]) < 1e-9
    found, _ = our_path(ours.dowg(initial_distance=0.1, eps=1e-3))
    expected, _ = optax_path(optax.contrib.dowg(init_estim_sq_dist=0.01, eps=1e-3))
    assert difference(found, expected) < 1e-9


@pytest.mark.parametrize("outside", ["raw", "zero"])
def test_conditionally(outside, optax):
    condition = lambda step: step % 3 == 1  # noqa: E731
    found, _ = our_path(
        ours.chain(ours.conditionally(ours.adam(0.1), condition, outside=outside), ours.sgd(0.01))
    )
    wrap = {"raw": optax.conditionally_transform, "zero": optax.conditionally_mask}[outside]
    expected, _ = optax_path(optax.chain(wrap(optax.adam(0.1), condition), optax.sgd(0.01)))
    assert difference(found, expected) < 1e-9


def test_clipping_per_example_without_noise(optax):
    factors = np.arange(1.0, 9)
    grads = jax.tree.map(lambda g: jnp.asarray(np.einsum("b,b...->b...", factors, g)), random_grads(8))
    clip = ours.clip_per_example(2.0, 0.0)
    params = jax.tree.map(jnp.asarray, random_params())
    found, _ = clip.update(grads, clip.init(params), params)
    with jax.numpy_dtype_promotion("standard"), jax.numpy_rank_promotion("allow"):
        peer = optax.contrib.differentially_private_aggregate(2.0, 0.0, jax.random.key(0))
        expected, _ = peer.update(grads, peer.init(params))
    assert difference(found, expected) < 1e-9
