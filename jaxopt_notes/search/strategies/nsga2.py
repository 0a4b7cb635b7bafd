"""NSGA-II: a population that spreads along the Pareto front of several objectives.

Each generation is as large as the population. Its parents are the best of the parents before and their
children: whole fronts as long as there is room, and of the front that does not fit those with most room
around them, so that the population spreads and does not crowd. Pairs of them, winners of tournaments of two,
have children by simulated binary crossover and polynomial mutation in the unit cube.

Constraints come first: a feasible configuration is better than any other, and of those that are not the
one that breaks less. With one objective it is a genetic algorithm that minds constraints.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxopt_notes.record import Number, check_count, check_number, record, static
from jaxopt_notes.search.pareto import crowding_distance, non_dominated_fronts
from jaxopt_notes.search.spaces.distributions import Distribution
from jaxopt_notes.search.spaces.space import Configs, Space, dimensions
from jaxopt_notes.search.spaces.unit_cube import as_configs
from jaxopt_notes.search.strategies.genetic_operators import children
from jaxopt_notes.search.strategies.on_host import on_cpu, on_host
from jaxopt_notes.search.strategies.proposals import distinct, put_configs
from jaxopt_notes.search.strategies.trials import check_batch, diverged_last, has_score, put_rows
from jaxopt_notes.search.surrogates.encoding import canonical, is_ordered

__all__ = ["NSGA2", "nsga2"]

LEAST, MOST, GENERATIONS = 8, 24, 8  # of a population by default, and how many generations it is to have


class NSGA2State(NamedTuple):
    """Points of the unit cube [n, d], their costs [n, m], and how far they break constraints [n]."""

    dimensions: dict[str, Distribution]
    points: Any
    costs: Any
    violations: Any
    asked: Number
    told: Number


@record
class NSGA2:
    """See `nsga2`."""

    crossover: Number
    crossover_eta: Number
    mutation_eta: Number
    n: int = static()
    population: int | None = static()
    objectives: int = static()

    minds_constraints, takes_observations = True, True

    def init(self, key: jax.Array, space: Space) -> NSGA2State:
        axes, kind = dimensions(space), jnp.result_type(float)
        return NSGA2State(
            axes, np.zeros((self.n, len(axes)), kind), np.zeros((self.n, self.objectives), kind),
            np.zeros(self.n, kind), 0, 0,
        )  # fmt: skip

    def remaining(self, state: NSGA2State) -> int:
        size, asked = self._size(), int(state.asked)
        return max(min(size - asked % size, self.n - asked), 0)

    def go_on(self, state: NSGA2State, fresh: NSGA2State) -> NSGA2State:
        n = min(len(state.points), len(fresh.points))
        grown: dict[str, Any] = {
            name: put_rows(getattr(fresh, name), 0, getattr(state, name)[:n])
            for name in ("points", "costs", "violations")
        }
        return state._replace(**grown)

    def ask(self, state: NSGA2State, key: jax.Array, n: int) -> tuple[Configs, NSGA2State]:
        check_batch("nsga2", n, self.n - state.asked)
        kind = state.points.dtype
        shape = jax.ShapeDtypeStruct((n, state.points.shape[1]), kind)

        def host(strategy: NSGA2, state: NSGA2State, seed: np.ndarray) -> np.ndarray:
            return np.asarray(strategy.batch_of(state, np.random.default_rng(seed), n), kind)

        points = on_host(host, shape, self, state, jax.random.key_data(key))
        with on_cpu():
            configs = as_configs(state.dimensions, jax.device_put(points))
        return configs, state._replace(
            points=put_rows(state.points, state.asked, points), asked=state.asked + n
        )

    def batch_of(self, state: NSGA2State, rng: np.random.Generator, n: int) -> np.ndarray:
        """The next n points, of a state whose numbers are known."""
        axes, asked = state.dimensions, int(state.asked)
        known = np.asarray(state.points[:asked], float)
        parents, fronts, room = survivors(state, self._size())
        fresh = canonical(axes, rng.random((8 * n, len(axes))))
        if not len(parents):
            return distinct(np.concatenate([known, fresh]), asked + n)[asked:]
        mothers, fathers = (known[parents[_tournament(rng, fronts, room, 2 * n)]] for _ in range(2))
        etas = float(self.crossover_eta), float(self.mutation_eta)
        ordered = np.array([is_ordered(axis) for axis in axes.values()], bool)
        born = children(rng, mothers, fathers, ordered, float(self.crossover), etas)
        born = canonical(axes, born[rng.permutation(len(born))])
        return distinct(np.concatenate([known, born, fresh]), asked + n)[asked:]  # nothing is trained twice

    def tell(
        self, state: NSGA2State, configs: Configs, scores: jax.Array, violations: jax.Array | None = None
    ) -> NSGA2State:
        costs = diverged_last(scores).reshape(len(scores), -1)
        if costs.shape[1] != self.objectives:
            raise ValueError(
                f"nsga2 is told {costs.shape[1]} scores a configuration, expected {self.objectives}: "
                f"nsga2(objectives={costs.shape[1]})."
            )
        broken = np.zeros(len(scores)) if violations is None else violations
        return state._replace(
            costs=put_rows(state.costs, state.told, costs),
            violations=put_rows(state.violations, state.told, broken),
            told=state.told + len(scores),
        )

    def amend(self, state: NSGA2State, configs: Configs, places: np.ndarray) -> NSGA2State:
        return state._replace(points=put_configs(state, configs, places))

    def _size(self) -> int:
        """Of a generation."""
        if self.population is not None:
            return self.population
        return min(max(LEAST, min(MOST, self.n // GENERATIONS)), self.n)


def survivors(state: NSGA2State, size: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The parents of the next generation: their numbers, fronts and crowding distances.

    Selection is repeated from the first generation on, which is a function of what was told: whatever sizes
    batches had, and whenever a search was interrupted, parents are the same.
    """
    told = int(state.told) // size * size  # whole generations
    costs = np.where(np.asarray(has_score(state.costs[:told])), state.costs[:told], np.inf).astype(float)
    violations = np.asarray(state.violations[:told], float)
    alive, fronts, room = np.zeros(0, int), np.zeros(0, int), np.zeros(0)
    for first in range(0, told, size):
        found = np.concatenate([alive, np.arange(first, first + size)])
        fronts = non_dominated_fronts(costs[found], violations[found])
        room = np.zeros(len(found))
        for front in range(fronts.max() + 1):
            room[fronts == front] = crowding_distance(np.nan_to_num(costs[found][fronts == front]))
        best = np.lexsort((np.arange(len(found)), -room, fronts))[:size]
        alive, fronts, room = found[best], fronts[best], room[best]
    return alive, fronts, room


def _tournament(rng: np.random.Generator, fronts: np.ndarray, room: np.ndarray, n: int) -> np.ndarray:
    """The winners [n] of tournaments between two, by front and then by room."""
    a, b = rng.integers(len(fronts), size=(2, n))
    wins = (fronts[a] < fronts[b]) | ((fronts[a] == fronts[b]) & (room[a] > room[b]))
    return np.where(wins, a, b)


def nsga2(
    n: int,
    population: int | None = None,
    *,
    objectives: int = 1,
    crossover: Number = 0.9,
    crossover_eta: Number = 20.0,
    mutation_eta: Number = 20.0,
) -> NSGA2:
    """NSGA-II: children of the least dominated and least crowded, for several objectives and constraints.

        parents ← the best λ of parents ∪ children, by (front, −crowding distance)
        children ← mutate(crossover(a, b)),   a, b winners of tournaments between two parents

    Arguments:
        n: configurations in all.
        population: λ ≥ 1, the size of a generation; `None` for n/8, but from 8 to 24.
        objectives: how many scores it is told of each configuration; a sweep with several monitors sets it.
        crossover: the probability that two parents' coordinates are mixed, in [0, 1].
        crossover_eta, mutation_eta: η ≥ 0 of both operators: how near children are to their parents.

    Returns:
        An `NSGA2` strategy: `init(key, space)`, `ask(state, key, n)`, `tell(state, configs, scores,
        violations=None)` with scores [n] or [n, objectives], minimized, and `remaining(state)`, the rest of
        the generation. A diverged configuration is on the last front. No configuration is proposed twice
        while the space has others.

    Raises:
        ValueError: a number outside its interval. TypeError: an argument is not a number.

    Example:
        >>> from jaxopt_notes.search import hypervolume, uniform
        >>> strategy, key = nsga2(96, objectives=2), jax.random.key(0)
        >>> state = strategy.init(key, {"x": uniform(-2.0, 2.0), "y": uniform(-2.0, 2.0)})
        >>> while wanted := strategy.remaining(state):
        ...     key, own = jax.random.split(key)
        ...     h, state = strategy.ask(state, own, wanted)
        ...     costs = np.stack([(h["x"] - 1) ** 2 + h["y"] ** 2, (h["x"] + 1) ** 2 + h["y"] ** 2], axis=1)
        ...     state = strategy.tell(state, h, costs)
        >>> hypervolume(state.costs, [4, 4]) > 12  # the front itself covers 13.33
        True

    Source: Deb, Pratap, Agarwal & Meyarivan 2002; operators of Deb & Agrawal 1995 and Deb & Goyal 1996.

    Elsewhere: optuna's NSGAIISampler (uniform crossover, and mutation that draws anew), pymoo's NSGA2.
    """
    if population is not None:
        check_count("nsga2(population)", population, 1)
    return NSGA2(
        check_number("nsga2(crossover)", crossover, "[0, 1]"),
        check_number("nsga2(crossover_eta)", crossover_eta, "[0, inf)"),
        check_number("nsga2(mutation_eta)", mutation_eta, "[0, inf)"),
        check_count("nsga2(n)", n, 1), population, check_count("nsga2(objectives)", objectives, 1),
    )  # fmt: skip
