"""A driver for strategies that continue runs, on learning curves that are simulated."""

from typing import NamedTuple

import jax
import numpy as np


class Trial(NamedTuple):
    """One row of a batch: its number is its place in the list, its batch that of the asking."""

    config: dict
    epochs: int
    parent: int
    score: float
    batch: int


# Programs that all searches share whose strategies differ in numbers alone.
ask = jax.jit(lambda strategy, state, key, n: strategy.ask(state, key, n), static_argnums=3)
tell = jax.jit(lambda strategy, state, configs, scores: strategy.tell(state, configs, scores))


def ask_all(strategy, space, key):
    """All the configurations of a strategy that is told nothing, in one batch, and its last state."""
    state = strategy.init(key, space)
    configs, state = ask(strategy, state, key, strategy.remaining(state))
    return jax.device_get(configs), state


def drive(strategy, space, score, key, whole=20, batches=1000, most=None):
    """Ask and tell until nothing remains; `score(config, epochs)` of a run that was continued from parents.

    Returns the trials and the epochs that were trained: those that a parent has trained are not again.
    """
    state, trials, trained = strategy.init(key, space), [], 0
    for batch in range(batches):
        n = strategy.remaining(state)
        if n == 0:
            return trials, trained
        n = n if most is None else min(n, most)
        configs, state = ask(strategy, state, jax.random.fold_in(key, batch), n)
        columns = jax.device_get(configs)
        epochs = columns.pop("epochs", np.full(n, whole)).tolist()
        parents = columns.pop("parent", np.full(n, -1)).tolist()
        rows = []
        for i in range(n):
            config = {name: column[i].item() for name, column in columns.items()}
            before = trials[parents[i]].epochs if parents[i] >= 0 else 0
            assert before < epochs[i]
            trained += epochs[i] - before
            rows.append(Trial(config, epochs[i], parents[i], float(score(config, epochs[i])), batch))
        trials += rows
        state = tell(strategy, state, configs, np.array([row.score for row in rows], np.float32))
    raise AssertionError("the strategy does not end")


def lineage(trials, number):
    """The trials from the first ancestor to this one."""
    line = []
    while number >= 0:
        line.append(number)
        number = trials[number].parent
    return line[::-1]
