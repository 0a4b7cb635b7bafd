"""Population-based training: hyperparameters that change while the runs go on.

A population is trained side by side. Now and then those that do badly continue the run of one that
does well (*exploit*) with its hyperparameters changed a little (*explore*). What comes out is not one
configuration but a schedule of them: the line of `parent`s of the best.

`pbt_step` is the whole rule as a pure function of a key, points in the unit cube and scores: the strategy
calls it between batches, and a training function may call it inside a scan, with the weights of the
population taken along (`weights[parents]`), so that everything is one program on the device.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from jaxopt_notes.dtypes import as_hyperparameter
from jaxopt_notes.record import Number, check_choice, check_count, check_number, record, static
from jaxopt_notes.search.spaces.distributions import Distribution
from jaxopt_notes.search.spaces.space import Configs, Space, dimensions
from jaxopt_notes.search.spaces.unit_cube import as_configs, reflect
from jaxopt_notes.search.strategies.trials import check_batch, diverged_last, has_score, no_scores, reserved

__all__ = ["PopulationBasedTraining", "pbt_step", "population_based_training"]


class PopulationState(NamedTuple):
    """The generation in work: points [n, dimensions], whom each member continues [n], scores [n]."""

    dimensions: dict[str, Distribution]
    points: jax.Array
    parents: jax.Array
    scores: jax.Array
    asked: Number
    told: Number


@record
class PopulationBasedTraining:
    """See `population_based_training`."""

    perturbation: Number
    resample: Number
    truncation: Number
    population: int = static()
    generations: int = static()
    interval: int = static()
    selection: str = static()

    def init(self, key: jax.Array, space: Space) -> PopulationState:
        found, n = dimensions(space), self.population
        return PopulationState(
            found,
            jax.random.uniform(key, (n, len(found)), jnp.result_type(float)),
            jnp.full((n,), -1, jnp.result_type(int)),
            jax.device_put(no_scores(n)), 0, 0,
        )  # fmt: skip

    def remaining(self, state: PopulationState) -> int:
        asked = int(state.asked)
        left = self.population * self.generations - asked
        return min(self.population - asked % self.population, left)

    def ask(self, state: PopulationState, key: jax.Array, n: int) -> tuple[Configs, PopulationState]:
        asked = jnp.asarray(state.asked, int)
        generation, place = jnp.divmod(asked, self.population)
        wanted = self.population - asked % self.population
        check_batch("population_based_training", n, wanted)
        parents, points = pbt_step(
            key, state.points, state.scores, selection=self.selection, perturbation=self.perturbation,
            resample=self.resample, truncation=self.truncation,
        )  # fmt: skip
        begins = (place == 0) & (generation > 0)
        parents = jnp.where(begins, parents.astype(state.parents.dtype), state.parents)
        points = jnp.where(begins, points, state.points)
        member = place + jnp.arange(n, dtype=place.dtype)
        before = (generation - 1) * self.population + parents[member]  # trials are numbered by generation
        epochs, parent = (
            jnp.full((n,), (generation + 1) * self.interval),
            jnp.where(generation > 0, before, -1),
        )
        configs = as_configs(state.dimensions, points[member])
        state = state._replace(points=points, parents=parents, asked=state.asked + n)
        return {**configs, **reserved(state.dimensions, epochs=epochs, parent=parent)}, state

    def tell(self, state: PopulationState, configs: Configs, scores: jax.Array) -> PopulationState:
        place = jnp.asarray(state.told, int) % self.population
        member = place + jnp.arange(len(scores), dtype=place.dtype)
        known = state.scores.at[member].set(diverged_last(scores).astype(state.scores.dtype), mode="drop")
        return state._replace(scores=known, told=state.told + len(scores))


def pbt_step(
    key: jax.Array,
    points: jax.Array,
    scores: jax.Array,
    *,
    perturbation: Number = 0.05,
    resample: Number = 0.1,
    truncation: Number = 0.2,
    selection: str = "truncation",
) -> tuple[jax.Array, jax.Array]:
    """Whom each member continues, and with which hyperparameters.

        exploit: parent(i) = i if member i does well enough, else one that does better
        explore: u ← reflect(u[parent] ± perturbation), each coordinate drawn anew with probability resample,
                 for those that are replaced

    Arguments:
        key: a typed random key.
        points: hyperparameters in the unit cube [n, dimensions].
        scores: the smaller the better [n]; one that is not finite is the worst.
        perturbation, resample, truncation, selection: as in `population_based_training`; the numbers may be
            traced.

    Returns:
        `(parents, points)`: members [n], and points [n, dimensions]. Where all have diverged everybody
        continues itself.

    Example:
        >>> points = jnp.linspace(0.0, 1.0, 5)[:, None]
        >>> parents, points = pbt_step(jax.random.key(0), points, jnp.array([3.0, 1.0, 2.0, 9.0, 4.0]))
        >>> parents
        Array([0, 1, 2, 1, 4], dtype=int32)

    A whole population in one program, its weights taken along:

        >>> def generation(carry, key):
        ...     weights, points = carry
        ...     weights = weights - 2 * points * weights          # train, at the rates 2·points
        ...     parents, points = pbt_step(key, points, jnp.abs(weights[:, 0]))
        ...     return (weights[parents], points), parents
        >>> keys = jax.random.split(jax.random.key(1), 10)
        >>> carry, lineage = jax.lax.scan(generation, (jnp.ones((5, 1)), points), keys)
        >>> lineage.shape
        (10, 5)
    """
    n, scores = len(points), jnp.asarray(diverged_last(scores))
    choose, turn, redraw, anew = jax.random.split(key, 4)
    members = jnp.arange(n, dtype=jnp.result_type(int))
    alive = has_score(scores)
    order = jnp.argsort(scores).astype(members.dtype)
    if selection == "truncation":
        cut = jnp.clip(jnp.floor(as_hyperparameter(truncation) * n), 1, n // 2).astype(members.dtype)
        rank = jnp.zeros_like(members).at[order].set(members)
        replaced = (rank >= n - cut) | ~alive
        best = jnp.clip(jnp.sum(alive, dtype=members.dtype), 1, cut)
        better = order[jax.random.randint(choose, (n,), 0, best, members.dtype)]
    else:
        better = (members + jax.random.randint(choose, (n,), 1, n, members.dtype)) % n
        replaced = scores[better] < scores
    replaced = replaced & jnp.any(alive)
    parents = jnp.where(replaced, better, members)

    inherited = points[parents]
    sign = jax.random.rademacher(turn, points.shape, points.dtype)
    moved = reflect(inherited + sign * as_hyperparameter(perturbation).astype(points.dtype))
    drawn = jax.random.uniform(redraw, points.shape) < as_hyperparameter(resample)
    explored = jnp.where(drawn, jax.random.uniform(anew, points.shape, points.dtype), moved)
    return parents, jnp.where(replaced[:, None], explored, inherited)


def population_based_training(
    population: int = 16,
    generations: int = 10,
    interval: int = 1,
    *,
    perturbation: Number = 0.05,
    resample: Number = 0.1,
    truncation: Number = 0.2,
    selection: str = "truncation",
) -> PopulationBasedTraining:
    """Population-based training: bad members continue the run of a good one, with its settings changed.

        every `interval` epochs, (parents, u) = pbt_step(key, u, scores)

    Arguments:
        population: members, at least 2.
        generations: how often the population is trained for `interval` epochs.
        interval: epochs between two decisions.
        perturbation: the step of exploring in the unit cube, ≥ 0: u ± perturbation, reflected at the walls;
            in a logarithmic dimension a factor of (high/low)^±perturbation.
        resample: the probability that a coordinate is drawn anew from its distribution instead.
        truncation: the fraction of the worst that is replaced by members of the same fraction of the best.
        selection: "truncation", or "tournament": each member meets another one, and is replaced by it if
            that one does better.

    Returns:
        A `PopulationBasedTraining` strategy: `init(key, space)`, `ask(state, key, n)`, `tell(state,
        configs, scores)`, and `remaining(state)`. Batches have the columns `epochs` and `parent`: trial
        g·population + i is member i in generation g. A diverged member is always replaced. Static
        choices make no sense here: a run cannot be continued in another structure. In a sweep give
        `at="last"`: the best epoch of a whole run may be one of the run that it continues, and then says
        nothing of the hyperparameters that were changed since.

    Raises:
        ValueError: a number outside its interval, another selection. TypeError: an argument is not a number.

    Example:
        >>> from jaxopt_notes.search.spaces.distributions import log_uniform
        >>> strategy = population_based_training(population=4, generations=2)
        >>> state = strategy.init(jax.random.key(0), {"rate": log_uniform(1e-4, 1e-1)})
        >>> for i in range(2):
        ...     configs, state = strategy.ask(state, jax.random.key(i), strategy.remaining(state))
        ...     state = strategy.tell(state, configs, jnp.array([2.0, 1.0, jnp.nan, 3.0]))
        ...     print(configs["epochs"], configs["parent"])
        [1 1 1 1] [-1 -1 -1 -1]
        [2 2 2 2] [0 1 1 3]

    Source: Jaderberg et al. 2017, algorithm 1 and section 4.1 (truncation 20 %, tournament,
    perturbation).

    Elsewhere: Ray Tune's PopulationBasedTraining multiplies by 0.8 or 1.2 outside any range, and resamples
    with probability 0.25; optuna has none.
    """
    check_count("population_based_training(population)", population, 2)
    check_count("population_based_training(generations)", generations, 1)
    check_count("population_based_training(interval)", interval, 1)
    return PopulationBasedTraining(
        check_number("population_based_training(perturbation)", perturbation, "[0, inf)"),
        check_number("population_based_training(resample)", resample, "[0, 1]"),
        check_number("population_based_training(truncation)", truncation, "(0, 0.5]"),
        population, generations, interval,
        check_choice("population_based_training(selection)", selection, ("truncation", "tournament")),
    )  # fmt: skip
