"""The trials of a search that continues runs: a table of fixed size, filled in from the top.

A batch of such a strategy has two columns beside the hyperparameters. `epochs` is the total number of
epochs until which a row is trained, and `parent` the number of the earlier trial whose run it continues
(−1 for a fresh one); beside hyperparameters of these names they are `sweep/epochs` and `sweep/parent`. Every
row is a new trial, numbered in the order of asking. What a strategy knows is this table; what it wants next
is a function of it, and so can be traced, checkpointed and replayed. Unless somebody traces it, NumPy
computes it, for which nothing is compiled.

A *rung* is the stage that a trial belongs to: a level of successive halving, a generation.
"""

import types
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike

from jaxopt_notes.dtypes import as_hyperparameter
from jaxopt_notes.record import Number, concrete
from jaxopt_notes.search.names import reserved_names
from jaxopt_notes.search.spaces.distributions import Distribution
from jaxopt_notes.search.spaces.space import Configs, Space, dimensions
from jaxopt_notes.search.strategies.random_search import RandomSearch, RandomState


class Trials(NamedTuple):
    """The trials asked for so far, in columns [capacity]; how many were asked for, and how many scored."""

    dimensions: dict[str, Distribution]
    configs: Configs
    epochs: Any
    parent: Any
    rung: Any  # −1 where nothing has been asked for yet
    scores: Any  # the worst number where diverged or not yet known
    asked: Number
    told: Number


def no_trials(space: Space, capacity: int) -> Trials:
    """An empty table with room for `capacity` trials."""
    found = dimensions(space)
    like = jax.eval_shape(lambda key: _draw(found, key, capacity), jax.random.key(0))
    epochs, parent, rung = (np.full((capacity,), -1, jnp.result_type(int)) for _ in range(3))
    return Trials(
        found,
        {name: np.zeros(column.shape, column.dtype) for name, column in like.items()},
        epochs, parent, rung, no_scores(capacity), 0, 0,
    )  # fmt: skip


def arrays_of(trials: Trials, *others: Any) -> tuple[Any, Trials]:
    """NumPy, and the table in its arrays; inside somebody's transformation `jax.numpy` and its."""
    module: Any = jnp if is_traced(trials, *others) else np
    dimensions, configs, epochs, parent, rung, scores, asked, told = trials
    configs = {name: module.asarray(column) for name, column in configs.items()}
    epochs, parent, rung, scores = map(module.asarray, (epochs, parent, rung, scores))
    return module, Trials(dimensions, configs, epochs, parent, rung, scores, asked, told)


def is_traced(*trees: Any) -> bool:
    """Whether some number is not known yet, inside somebody's transformation."""
    return any(isinstance(leaf, jax.core.Tracer) for leaf in jax.tree.leaves(trees))


def put_rows(column: Any, row: Any, values: Any) -> Any:
    """The column with these values from a row on, as far as there is room; NumPy unless it is traced."""
    if is_traced(column, row, values):
        rows = jnp.asarray(row, int) + jnp.arange(len(values), dtype=jnp.result_type(int))
        return jnp.asarray(column).at[rows].set(jnp.asarray(values, column.dtype), mode="drop")
    column, row = np.array(column), int(row)
    column[row : row + len(values)] = np.asarray(values)[: max(len(column) - row, 0)]
    return column


def ask_trials(
    trials: Trials, key: jax.Array, parent: jax.Array, epochs: jax.Array, rung: jax.Array, most: int = 0
) -> tuple[Configs, Trials]:
    """The next trials: a fresh draw where `parent` is −1, else that trial's run with its configuration.

    With `most` that many are drawn whatever is needed, for one compiled program.
    """
    xp, trials = arrays_of(trials, key, parent)
    n, configs = len(parent), {name: column[parent] for name, column in trials.configs.items()}
    if xp is jnp or (parent < 0).any():
        fresh = {name: column[:n] for name, column in _draw(trials.dimensions, key, max(n, most)).items()}
        configs = {name: xp.where(parent < 0, fresh[name], column) for name, column in configs.items()}
    return record_trials(trials, configs, parent, epochs, rung)


def record_trials(
    trials: Trials, configs: Configs, parent: jax.Array, epochs: jax.Array, rung: jax.Array
) -> tuple[Configs, Trials]:
    """The next trials with these configurations, and the table with them in it."""
    at = trials.asked
    table = trials._replace(
        configs={name: put_rows(column, at, configs[name]) for name, column in trials.configs.items()},
        epochs=put_rows(trials.epochs, at, epochs),
        parent=put_rows(trials.parent, at, parent),
        rung=put_rows(trials.rung, at, rung),
        asked=at + len(parent),
    )
    return {**configs, **reserved(trials.dimensions, epochs=epochs, parent=parent)}, table


def amend_trials(trials: Trials, configs: Configs) -> Trials:
    """The table as if these configurations had been asked for in the last batch."""
    n = len(next(iter(configs.values())))
    known = {
        name: put_rows(column, trials.asked - n, configs[name]) for name, column in trials.configs.items()
    }
    return trials._replace(configs=known)


def reserved(axes: dict[str, Distribution], **columns: jax.Array) -> Configs:
    """The reserved columns of a batch, by the names that they have beside these dimensions."""
    names = reserved_names(axes)
    return {names[name]: column.astype(jnp.result_type(int)) for name, column in columns.items()}


def tell_trials(trials: Trials, scores: jax.Array) -> Trials:
    """The table with the scores of the trials that came next in the order of asking."""
    known = put_rows(trials.scores, trials.told, diverged_last(scores))
    return trials._replace(scores=known, told=trials.told + len(scores))


def no_scores(n: int) -> np.ndarray:
    """Scores [n] that are not known yet: the largest number, which is finite for `jax_debug_infs`' sake."""
    return np.full((n,), jnp.finfo(jnp.result_type(float)).max, jnp.result_type(float))


def has_score(scores: jax.Array) -> jax.Array:
    """Where a score is known and has not diverged."""
    return scores < jnp.finfo(scores.dtype).max


def diverged_last(scores: ArrayLike) -> jax.Array:
    """Scores to be minimized, the largest number in place of what is not finite, −∞ and NaN among them."""
    xp: types.ModuleType = jnp if is_traced(scores) else np
    scores = xp.asarray(scores, as_hyperparameter(0.0).dtype) if xp is np else as_hyperparameter(scores)
    return xp.where(xp.isfinite(scores), scores, jnp.finfo(scores.dtype).max)


def rank_in_group(group: jax.Array, scores: jax.Array) -> jax.Array:
    """The rank of each score within its group, 0 the least; of equal ones the first comes first.

    Example:
        >>> rank_in_group(np.array([0, 1, 0, 0]), np.array([3.0, 9.0, 2.0, 3.0])).tolist()
        [1, 0, 0, 2]
    """
    xp: Any = jnp if is_traced(group, scores) else np
    place = xp.argsort(xp.lexsort((scores, group)))
    return place - xp.searchsorted(xp.sort(group), group).astype(place.dtype)


def count_by_rung(trials: Trials, chosen: jax.Array, rungs: int) -> jax.Array:
    """How many of the chosen trials are in each of the rungs 0, 1, … [rungs]."""
    xp: types.ModuleType = jnp if is_traced(trials.rung, chosen) else np
    inside = trials.rung[:, None] == xp.arange(rungs, dtype=trials.rung.dtype)[None]
    return xp.sum(inside & chosen[:, None], axis=0, dtype=jnp.result_type(int))


def check_batch(where: str, n: int, wanted: Any) -> None:
    """Refuse to be asked for more configurations than are wanted, where that is known."""
    if (found := concrete(wanted)) is not None and n > found:
        raise ValueError(
            f"{where}: asked for {n} configurations, {int(found)} are wanted now: ask for as many as "
            "remaining(state) says, and tell their scores before asking for more."
        )


def _draw(axes: dict[str, Distribution], key: jax.Array, n: int) -> Configs:
    return RandomSearch(n).ask(RandomState(axes, 0), key, n)[0]
