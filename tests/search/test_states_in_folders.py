"""States of any dtype in the folder of a sweep: runs go on from them as they do from memory."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxopt_notes.record import record
from jaxopt_notes.search import (
    log_uniform,
    population_based_training,
    random_search,
    successive_halving,
    sweep,
)

DATA = ((jnp.ones((4, 1)), jnp.ones(4)), (jnp.ones((2, 1)), jnp.ones(2)))


class State(NamedTuple):
    w: jax.Array
    moment: jax.Array
    code: jax.Array
    key: jax.Array


@record
class Shrink:
    """w ← w·(1 − rate) with a moment in bfloat16, a code in int4 and a key of another generator."""

    rate: Any

    def init(self, key, train_data):
        other = jax.random.wrap_key_data(jnp.tile(jax.random.key_data(key), 2), impl="rbg")
        return State(jnp.ones(2), jnp.zeros(2, jnp.bfloat16), jnp.ones(3, jnp.int4), other)

    def advance(self, state, train_data, valid_data, epochs):
        def epoch(carry, _):
            w, moment = carry
            w = w * (1 - self.rate) + 0.1 * moment.astype(jnp.float32)
            return (w, (0.5 * w).astype(jnp.bfloat16)), jnp.abs(w[0])

        (w, moment), losses = jax.lax.scan(epoch, (state.w, state.moment), None, length=epochs)
        return State(w, moment, state.code, state.key), {"valid_loss": losses}


def run(strategy, **options):
    key = jax.random.key(0)
    return sweep(Shrink, log_uniform(0.01, 0.9), DATA, strategy, epochs=4, key=key, progress=False, **options)


@pytest.mark.parametrize(
    "strategy",
    [successive_halving(4, max_epochs=4, eta=2), population_based_training(4, 2)],
    ids=["halving", "pbt"],
)
def test_runs_go_on_in_a_fresh_folder(tmp_path, strategy):
    scores = run(strategy).scores
    np.testing.assert_array_equal(run(strategy, folder=tmp_path).scores, scores)
    again = run(strategy, folder=tmp_path)
    np.testing.assert_array_equal(again.scores, scores)
    assert again.reports == ()  # nothing was trained


def test_an_interrupted_sweep_in_segments_goes_on(tmp_path):
    options = {"segment": 1, "chunk_size": 2, "batch_size": 2, "folder": tmp_path}
    chunks = []

    def stop(*chunk):
        chunks.append(chunk)
        if len(chunks) == 2:
            raise InterruptedError

    with pytest.raises(InterruptedError):
        run(random_search(8), on_chunk=stop, **options)
    np.testing.assert_array_equal(
        run(random_search(8), **options).scores, run(random_search(8), segment=1, batch_size=2).scores
    )
