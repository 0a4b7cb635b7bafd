"""Compiled once: numbers change at every step, or are mapped over, and the program stays the same."""

import itertools
import logging

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

from jaxopt_notes.layers import mlp
from jaxopt_notes.losses import softmax_cross_entropy, weighted_mean
from jaxopt_notes.optimizers import adam, adamw, apply_updates, chain, clip_by_global_norm
from jaxopt_notes.penalties import l2
from jaxopt_notes.schedules import warmup_cosine

X = np.random.default_rng(0).normal(size=(16, 5)).astype(np.float32)
Y = np.argmax(X[:, :3], axis=1)


def one_step(model, penalty, optimizer, params, state, key):
    def objective(params):
        outputs, _ = model.apply(params, (), X, key=key, train=True)
        return weighted_mean(softmax_cross_entropy(outputs, Y)) + penalty(params)

    loss, grads = jax.value_and_grad(objective)(params)
    updates, state = optimizer.update(grads, state, params)
    return apply_updates(params, updates), state, loss


def run_with_changing_numbers(build, caplog, steps=200):
    """Train with new records at every step; return how often the step was traced, and the losses."""
    traces = []

    def counted(*args):
        traces.append(1)
        return one_step(*args)

    step, losses, key = jax.jit(counted, donate_argnums=(3, 4)), [], jax.random.key(0)
    model, _, optimizer = build(0.0)
    params, _ = model.init(key, X)
    state = optimizer.init(params)
    params, state, loss = step(*build(0.0), params, state, key)
    with caplog.at_level(logging.WARNING), jax.log_compiles():
        for i in range(1, steps):
            params, state, loss = step(*build(i / steps), params, state, key)
            losses.append(loss)
    compiled = [r.getMessage() for r in caplog.records if "ompiling" in r.getMessage()]
    assert compiled == []
    return len(traces), np.array(losses)


def test_two_hundred_steps_with_other_numbers_at_each_are_one_program(caplog):
    """Rate, moments, decay, clip norm, penalty, and the dropout rate of the model itself."""

    def build(t):
        optimizer = chain(
            clip_by_global_norm(0.5 + t), adamw(1e-2 * (1.1 - t), b1=0.9 - 0.1 * t, weight_decay=0.1 * t)
        )
        return mlp([8, 3], dropout=0.3 * t), l2(1e-4 * (1 + t)), optimizer

    traces, losses = run_with_changing_numbers(build, caplog)
    assert traces == 1
    assert losses[-20:].mean() < 0.7 * losses[:20].mean()


def test_the_numbers_of_a_schedule_are_no_structure_either(caplog):
    def build(t):
        schedule = warmup_cosine(1e-3, 2e-2 + 1e-2 * t, 10 + 20 * t, 200 * (1 + t))
        return mlp([8, 3]), l2(0.0), adam(schedule)

    traces, losses = run_with_changing_numbers(build, caplog, steps=60)
    assert traces == 1
    assert losses[-1] < 0.7 * losses[0]


def test_the_log_shows_what_does_compile_again(caplog):
    """So the check above can fail: a Python number and an array are two kinds of argument to JAX."""
    kinds = itertools.cycle([float, jnp.float32])

    def build(t):
        return mlp([8, 3]), l2(0.0), adam(next(kinds)(0.1))

    with pytest.raises(AssertionError, match="ompiling"):
        run_with_changing_numbers(build, caplog, steps=4)


@pytest.mark.full
def test_a_vmap_over_optimizer_seed_and_dropout_rate_is_the_loop():
    """Sixteen whole runs in one program: 2 rates × 2 moments of Adam × 2 seeds × 2 dropout rates."""

    def train(optimizer, key, rate):
        model = mlp([8, 3], dropout=rate)
        params, _ = model.init(key, X)

        def body(carry, step):
            *carry, loss = one_step(model, l2(1e-3), optimizer, *carry, jax.random.fold_in(key, step))
            return tuple(carry), loss

        return lax.scan(body, (params, optimizer.init(params)), jnp.arange(8))[1]

    pairs = list(itertools.product([0.01, 0.05], [0.5, 0.9]))
    optimizers = jax.vmap(adam)(*jnp.array(pairs).T)
    keys, rates = jax.random.split(jax.random.key(0), 2), [0.1, 0.6]
    sweep = jax.vmap(jax.vmap(jax.vmap(train, (None, None, 0)), (None, 0, None)), (0, None, None))
    losses = jax.jit(sweep)(optimizers, keys, jnp.array(rates))
    assert losses.shape == (4, 2, 2, 8)

    alone = jax.jit(train)
    for (i, pair), (j, key), (k, rate) in itertools.product(*map(enumerate, (pairs, keys, rates))):
        np.testing.assert_allclose(losses[i, j, k], alone(adam(*pair), key, rate), rtol=1e-4, atol=1e-5)
    distinct = {tuple(run) for run in np.asarray(losses).reshape(-1, 8).round(5).tolist()}
    assert len(distinct) == 16
