"""Several micro-batches as one batch."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxopt_notes.optimizers import (
    adam,
    chain,
    clip_by_global_norm,
    polyak_sgd,
    reduce_on_plateau,
    sgd,
    skip_nonfinite,
)
from jaxopt_notes.optimizers.core.apply_updates import apply_updates
from jaxopt_notes.optimizers.wrappers.accumulation import accumulate_gradients
from tests.optimizers.runs import follow, random_grads, random_params


@pytest.mark.notes("S3-27", "S3-55")
def test_micro_batches_are_one_big_batch():
    """Least squares on 64 examples, 4 epochs of one step each: the path of the whole batch to 1e-6."""
    rng = np.random.default_rng(0)
    x, y = (rng.normal(size=shape).astype(np.float32) for shape in ((64, 5), (64, 3)))

    def train(optimizer, size):
        def step(carry, batch):
            w, state = carry
            x, y = batch
            grads = jax.grad(lambda w: jnp.mean(jnp.sum((x @ w - y) ** 2, axis=1)))(w)
            updates, state = optimizer.update(grads, state, w)
            return (apply_updates(w, updates), state), None

        w = jnp.zeros((5, 3))
        batches = [np.tile(part.reshape(-1, size, part.shape[1]), (4, 1, 1)) for part in (x, y)]
        return jax.lax.scan(step, (w, optimizer.init(w)), batches)[0][0]

    clipped = chain(clip_by_global_norm(1.0), adam(0.1))
    micro = {k: accumulate_gradients(clipped, k) for k in (1, 2, 4, 8)}
    whole, found = jax.jit(lambda: (train(clipped, 64), {k: train(micro[k], 64 // k) for k in micro}))()
    for k in micro:
        np.testing.assert_allclose(found[k], whole, rtol=1e-6, atol=1e-6, err_msg=str(k))


@pytest.mark.parametrize("k", [1, 2, 4])
def test_a_rule_of_the_loss_sees_that_of_the_whole_batch(k):
    """Polyak's step is gap/‖g‖²: with the loss of the last micro-batch it is of another length."""
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(8, 3)).astype(np.float32), rng.normal(size=8).astype(np.float32)
    optimizer = accumulate_gradients(polyak_sgd(max_learning_rate=10.0), k)
    w = np.zeros(3)
    params, state = jnp.zeros(3), optimizer.init(jnp.zeros(3))
    update = jax.jit(optimizer.update)
    for _ in range(2):
        error = x @ w - y
        gradient = 2 * x.T @ error / 8
        w = w - np.mean(error**2) / np.sum(gradient**2) * gradient
        for rows in np.split(np.arange(8), k):
            error = x[rows] @ np.asarray(params) - y[rows]
            grads = 2 * x[rows].T @ error / len(rows)
            steps, state = update(jnp.asarray(grads), state, params, value=np.mean(error**2))
            params = apply_updates(params, steps)
        np.testing.assert_allclose(params, w, rtol=1e-5)
    assert (state.value, state.values) == (0, 0)


def test_a_loss_that_is_given_once_counts_as_it_is():
    optimizer = accumulate_gradients(reduce_on_plateau(), 3)
    state = optimizer.init(jnp.ones(()))
    for value in (None, None, 3.0):
        _, state = optimizer.update(jnp.array(2.0), state, value=value)
    assert state.inner.best == 3


def test_a_traced_k_steps_when_its_own_count_is_full(x64):
    """A population with k of its own for every member, one program."""
    params, grads = random_params(), random_grads()
    ks = np.array([1, 3, 4])
    run = jax.vmap(lambda k: follow(accumulate_gradients(sgd(0.1), k), params, grads)[0]["kernel"])
    for k, path in zip(ks, run(ks), strict=True):
        theta = params["kernel"].copy()
        for t, g in enumerate(grads["kernel"]):
            if (t + 1) % k == 0:
                theta = theta - 0.1 * grads["kernel"][t + 1 - k : t + 1].mean(axis=0)
            np.testing.assert_allclose(path[t], theta, rtol=1e-12, atol=1e-15, err_msg=f"{k} {t} {g.shape}")


def test_a_schedule_of_k_counts_the_steps_taken():
    """k = 1, 2, 3: steps after 1, 3 and 6 gradients."""
    optimizer = accumulate_gradients(sgd(1.0), lambda step: 1 + jnp.asarray(step, jnp.float32))
    path, states = follow(optimizer, jnp.zeros(()), jnp.arange(1.0, 7.0))
    np.testing.assert_allclose(path, [-1, -1, -3.5, -3.5, -3.5, -8.5], rtol=1e-6)
    np.testing.assert_array_equal(states.gradient_step, [1, 1, 2, 2, 2, 3])
    np.testing.assert_array_equal(states.mini_step, [0, 1, 0, 1, 2, 0])


def test_the_mean_of_half_precision_gradients_is_taken_in_single():
    """1, then 63 times 2⁻¹⁰: in bfloat16 every one of them would vanish beside the first."""
    optimizer = accumulate_gradients(sgd(1.0), 64)
    grads = jnp.full((64,), 2.0**-10, jnp.bfloat16).at[0].set(1)
    params = jnp.zeros((), jnp.bfloat16)
    state = optimizer.init(params)
    for g in grads:
        updates, state = optimizer.update(g, state)
    assert updates.dtype == jnp.bfloat16
    np.testing.assert_allclose(state.mean, (1 + 63 * 2.0**-10) / 64, rtol=1e-6)


def test_a_bad_micro_batch_is_left_out():
    optimizer = skip_nonfinite(accumulate_gradients(sgd(1.0), 2))
    path, states = follow(optimizer, jnp.zeros(()), jnp.array([1.0, jnp.nan, 3.0, 5.0]))
    np.testing.assert_array_equal(path, [0, 0, -2, -2])
    np.testing.assert_array_equal(states.inner.mini_step, [1, 1, 0, 1])


def test_what_an_old_mean_became_does_not_matter():
    """An infinite mean is gone with its step."""
    optimizer = accumulate_gradients(sgd(1.0), 1)
    _, state = optimizer.update(jnp.array(jnp.inf), optimizer.init(jnp.zeros(())))
    updates, _ = optimizer.update(jnp.array(2.0), state)
    assert float(updates) == -2.0


def test_an_optimizer_that_is_not_gated_is_stepped_only_when_due():
    """One of functions, as other libraries make them: its state counts its calls."""

    class Foreign:
        init = staticmethod(lambda params: jnp.zeros((), jnp.int32))
        update = staticmethod(lambda g, state, params=None: (-g, state + 1))

    path, states = follow(accumulate_gradients(Foreign(), 2), jnp.zeros(()), jnp.ones(5))
    np.testing.assert_array_equal(path, [0, -1, -1, -2, -2])
    np.testing.assert_array_equal(states.inner, [0, 1, 1, 2, 2])


def test_k_below_one_is_refused():
    with pytest.raises(
        ValueError, match=r"accumulate_gradients\(every_k\) is 0, expected a number in \[1, inf\)"
    ):
        accumulate_gradients(sgd(), 0)
