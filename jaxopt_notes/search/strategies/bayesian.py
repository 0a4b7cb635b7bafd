"""Bayesian search: a Gaussian process of the scores says where to look next.

After a few scattered configurations each batch is proposed in three steps. The hyperparameters of the
process are fitted to the scores so far; an acquisition function weighs what each place promises; and the
points of a batch are chosen one after the other, each believed to score one standard deviation worse than
the process expects, so that the next one looks elsewhere (a Kriging believer with doubts: who believes the
mean itself crowds about one place). So are configurations that were asked for and not yet scored.

The process works on the unit cube (see `encoding`: whole numbers, choices, conditional hyperparameters),
in double precision whatever the rest of the program uses (but not inside another transformation, a
`vmap` over searches, whose precision it is), and in buffers with room to spare: a program is compiled for
64 configurations, then for 256, 512, …, and not for every new one.
"""

import contextlib
import math
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from jaxopt_notes.record import Number, check_choice, check_count, check_number, concrete, record, static
from jaxopt_notes.search.spaces.distributions import Distribution
from jaxopt_notes.search.spaces.space import Configs, Space, dimensions
from jaxopt_notes.search.spaces.unit_cube import as_configs
from jaxopt_notes.search.strategies.bayesian_batch import propose
from jaxopt_notes.search.strategies.latin_hypercube import latin_hypercube_points
from jaxopt_notes.search.strategies.proposals import distinct
from jaxopt_notes.search.strategies.trials import check_batch, diverged_last, no_scores
from jaxopt_notes.search.surrogates.acquisition import ACQUISITIONS
from jaxopt_notes.search.surrogates.encoding import canonical, enumerate_points, feature_groups
from jaxopt_notes.search.surrogates.gaussian_process import (
    KERNELS,
    GaussianProcess,
    gaussian_process,
)

__all__ = ["Bayesian", "bayesian"]

ENUMERATED = 2048  # in a space of at most this many configurations all are candidates


class BayesianState(NamedTuple):
    """Points of the unit cube and their scores [n], the scattered ones to begin with, and the process."""

    dimensions: dict[str, Distribution]
    points: jax.Array
    scores: jax.Array
    design: jax.Array
    candidates: jax.Array | None  # all there are, in a small space
    process: GaussianProcess
    improvement: jax.Array  # what the last batch promised
    asked: Any
    told: Any


@record
class Bayesian:
    """See `bayesian`."""

    exploration: Number | None
    tolerance: Number
    n: int = static()
    batch: int = static()
    initial: int | None = static()
    acquisition: str = static()
    kernel: str = static()

    def init(self, key: jax.Array, space: Space) -> BayesianState:
        axes, kind = dimensions(space), jnp.result_type(float)
        every = enumerate_points(axes, ENUMERATED)
        n = self.n if every is None else min(self.n, len(every))
        initial = min(2 * (len(axes) + 1) if self.initial is None else self.initial, n)
        if every is None:
            even, spare = jax.random.split(key)
            spread = latin_hypercube_points(even, initial, len(axes))
            more = jax.random.uniform(spare, (7 * initial, len(axes)), kind)
            design = distinct(canonical(axes, jnp.concatenate([spread, more])), initial)
        else:
            design = jax.random.permutation(key, every)[:initial]
        return BayesianState(
            axes, jnp.zeros((n, len(axes)), kind), no_scores(n), design, every,
            jax.tree.map(lambda x: jnp.asarray(x, kind), self.prior(axes)),
            no_scores(1)[0], 0, 0,
        )  # fmt: skip

    def remaining(self, state: BayesianState) -> int:
        asked, initial = int(state.asked), len(state.design)
        if asked < initial:
            return initial - asked
        if asked > initial and float(state.improvement) < float(self.tolerance):
            return 0
        return min(self.batch, len(state.points) - asked)

    def go_on(self, state: BayesianState, fresh: BayesianState) -> BayesianState:
        n = min(len(state.points), len(fresh.points))
        return state._replace(
            points=jnp.asarray(fresh.points).at[:n].set(jnp.asarray(state.points)[:n]),
            scores=jnp.asarray(fresh.scores).at[:n].set(jnp.asarray(state.scores)[:n]),
        )

    def ask(self, state: BayesianState, key: jax.Array, n: int) -> tuple[Configs, BayesianState]:
        room, asked = len(state.points), concrete(state.asked)
        check_batch("bayesian", n, room - state.asked)
        size = max(n, self.batch)  # a short last batch is cut from a whole one: one program less
        rows = room if asked is None else _rows(int(asked) + size, room)
        if asked is not None and asked + n <= len(state.design):  # no model needed
            points, process, improvement = state.design[asked : asked + n], state.process, state.improvement
        else:
            # inside somebody's transformation the precision is theirs: it cannot be changed half-way
            traced = any(isinstance(x, jax.core.Tracer) for x in jax.tree.leaves((self, state, key)))
            with contextlib.nullcontext() if traced else jax.enable_x64(True):
                points, process, improvement = propose(self, state, key, n, size, rows)
                points = points[:n]
        row = jnp.asarray(state.asked, int) + jnp.arange(n, dtype=jnp.result_type(int))
        return as_configs(state.dimensions, points), state._replace(
            points=jnp.asarray(state.points).at[row].set(points, mode="drop"),
            process=process, improvement=improvement, asked=state.asked + n,
        )  # fmt: skip

    def tell(self, state: BayesianState, configs: Configs, scores: jax.Array) -> BayesianState:
        row = jnp.asarray(state.told, int) + jnp.arange(len(scores), dtype=jnp.result_type(int))
        known = jnp.asarray(state.scores)
        known = known.at[row].set(diverged_last(scores).astype(known.dtype), mode="drop")
        return state._replace(scores=known, told=state.told + len(scores))

    def prior(self, axes: dict[str, Distribution]) -> GaussianProcess:
        """Where the fit of the hyperparameters starts."""
        lengthscale = jnp.full((len(feature_groups(axes)),), math.sqrt(max(len(axes), 1)) / 2)
        return gaussian_process(lengthscale, 1.0, 1e-3, 0.0, self.kernel)


def _rows(needed: int, room: int) -> int:
    """The size of the buffers: one of few, so that few programs are compiled."""
    return min(64 if needed <= 64 else -(-needed // 256) * 256, room)


def bayesian(
    n: int,
    batch: int = 1,
    *,
    initial: int | None = None,
    acquisition: str = "log_expected_improvement",
    kernel: str = "matern52",
    exploration: Number | None = None,
    tolerance: Number = 0.0,
) -> Bayesian:
    """Bayesian search: propose what a Gaussian process of the scores so far finds most promising.

        repeat: f | scores ~ GP;   x₁ … x_q = argmax of the acquisition, each believed before the next

    Arguments:
        n: configurations in all; a space that has fewer is searched to its end. No configuration is
            proposed twice.
        batch: q, the configurations of a batch.
        initial: of those n the first, scattered as a Latin hypercube; by default 2·(hyperparameters + 1).
        acquisition: "log_expected_improvement", "expected_improvement", "probability_of_improvement" or
            "upper_confidence_bound".
        kernel: "matern52" or "rbf".
        exploration: ξ or β of the acquisition, for scores with variance 1; by default that of the
            acquisition.
        tolerance: the search ends once the greatest expected improvement of a batch is less, in units of
            the score; at 0 it ends with its budget.

    Returns:
        A `Bayesian` strategy: `init(key, space)`, `ask(state, key, n)`, `tell(state, configs, scores)` in the
        order of asking, and `remaining(state)`, the size of the next batch, 0 at the end. Scores are
        minimized; they may be noisy, and diverged ones count as the worst seen. What was asked for and not
        told yet is avoided. Costs O(n³) a batch; the process is fitted to at most 128 scores.

    Raises:
        ValueError: a number outside its interval, an unknown name. TypeError: a count that is not
            a whole number.

    Example:
        >>> from jaxopt_notes.search import integers
        >>> strategy, key = bayesian(5, initial=4), jax.random.key(0)
        >>> state = strategy.init(key, {"depth": integers(1, 6)})
        >>> seen = []
        >>> while wanted := strategy.remaining(state):
        ...     key, own = jax.random.split(key)
        ...     configs, state = strategy.ask(state, own, wanted)
        ...     state = strategy.tell(state, configs, (configs["depth"] - 3) ** 2)
        ...     seen += configs["depth"].tolist()
        >>> sorted(seen)
        [1, 2, 3, 4, 5]

    Source: Jones, Schonlau & Welch 1998; Snoek, Larochelle & Adams 2012; Ginsbourger et al. 2010
    (Kriging believer, constant liar); Ament et al. 2023 (log EI); Hvarfner et al. 2024 (prior of the
    length scales).

    Elsewhere: BoTorch and optuna's GPSampler, on PyTorch; scikit-optimize's gp_minimize, on the host. All
    three propose what they like again.
    """
    check_count("bayesian(n)", n, 1)
    check_count("bayesian(batch)", batch, 1)
    if initial is not None:
        check_count("bayesian(initial)", initial, 1)
    check_choice("bayesian(acquisition)", acquisition, tuple(ACQUISITIONS))
    check_choice("bayesian(kernel)", kernel, tuple(KERNELS))
    if exploration is not None:
        exploration = check_number("bayesian(exploration)", exploration, "[0, inf)")
    tolerance = check_number("bayesian(tolerance)", tolerance, "[0, inf)")
    return Bayesian(exploration, tolerance, n, batch, initial, acquisition, kernel)
