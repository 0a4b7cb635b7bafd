"""Bayesian search: a Gaussian process of the scores says where to look next.

After a few scattered configurations each batch is proposed in three steps. The hyperparameters of the
process are fitted to the scores so far; an acquisition function weighs what each place promises; and the
points of a batch are chosen one after the other, each believed to score one standard deviation worse than
the process expects, so that the next one looks elsewhere (a Kriging believer with doubts: who believes the
mean itself crowds about one place). So are configurations that were asked for and not yet scored.

The process works on the unit cube (see `encoding`: whole numbers, choices, conditional hyperparameters), in
NumPy and in double precision, on the host whatever device trains: nothing is compiled, and a batch costs some
milliseconds. Inside somebody's `jit` or `vmap` it is a callback.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxopt_notes.record import Number, check_choice, check_count, check_number, record, static
from jaxopt_notes.search.spaces.distributions import Distribution
from jaxopt_notes.search.spaces.space import Configs, Space, dimensions
from jaxopt_notes.search.spaces.unit_cube import as_configs
from jaxopt_notes.search.strategies.bayesian_batch import Known, propose
from jaxopt_notes.search.strategies.on_host import on_cpu, on_host
from jaxopt_notes.search.strategies.proposals import distinct, put_configs
from jaxopt_notes.search.strategies.trials import (
    check_batch,
    diverged_last,
    has_score,
    no_scores,
    put_rows,
)
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
    points: Any
    scores: Any
    design: Any
    candidates: Any  # all there are, in a small space
    process: GaussianProcess
    improvement: jax.Array  # what the last batch promised
    asked: Number
    told: Number


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

    takes_observations = True

    def init(self, key: jax.Array, space: Space) -> BayesianState:
        axes, kind = dimensions(space), jnp.result_type(float)
        every = enumerate_points(axes, ENUMERATED)
        n = self.n if every is None else min(self.n, len(every))
        initial = min(self._initial(len(axes)), n)

        def scattered(seed: np.ndarray) -> np.ndarray:
            rng = np.random.default_rng(seed)
            if every is not None:
                return rng.permutation(every)[:initial].astype(kind)
            cells = rng.permuted(np.broadcast_to(np.arange(initial)[:, None], (initial, len(axes))), axis=0)
            spread = (cells + rng.random(cells.shape)) / initial
            more = rng.random((7 * initial, len(axes)))
            return distinct(canonical(axes, np.concatenate([spread, more])), initial).astype(kind)

        shape = jax.ShapeDtypeStruct((initial, len(axes)), kind)
        design = on_host(scattered, shape, jax.random.key_data(key))
        return BayesianState(
            axes, np.zeros((n, len(axes)), kind), no_scores(n), design, every,
            jax.tree.map(lambda leaf: leaf.astype(kind), self.prior(axes)),
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
            points=put_rows(fresh.points, 0, state.points[:n]),
            scores=put_rows(fresh.scores, 0, state.scores[:n]),
        )

    def ask(self, state: BayesianState, key: jax.Array, n: int) -> tuple[Configs, BayesianState]:
        room, d = state.points.shape
        check_batch("bayesian", n, room - state.asked)
        kind = state.points.dtype
        like = jax.tree.map(lambda leaf: jax.ShapeDtypeStruct(leaf.shape, kind), state.process)
        shapes = jax.ShapeDtypeStruct((n, d), kind), like, jax.ShapeDtypeStruct((), kind)

        def host(strategy: Bayesian, state: BayesianState, seed: np.ndarray) -> tuple:
            return jax.tree.map(lambda leaf: np.asarray(leaf, kind), strategy.batch_of(state, seed, n))

        points, process, improvement = on_host(host, shapes, self, state, jax.random.key_data(key))
        with on_cpu():
            configs = as_configs(state.dimensions, jax.device_put(points))
        return configs, state._replace(
            points=put_rows(state.points, state.asked, points),
            process=process, improvement=improvement, asked=state.asked + n,
        )  # fmt: skip

    def batch_of(self, state: BayesianState, seed: np.ndarray, n: int) -> tuple:
        """The next n points, the fitted process and what they promise, of a state whose numbers are known."""
        axes, asked, told = state.dimensions, int(state.asked), int(state.told)
        designed = state.design[asked : asked + n]
        if len(designed) == n or not told:  # no model needed, or none possible
            more = state.candidates
            if more is None:
                more = canonical(axes, np.random.default_rng(seed).random((8 * n, len(axes))))
            fill = distinct(np.concatenate([state.points[:asked], designed, more]), asked + n)[asked:]
            return fill, state.process, state.improvement
        scores = np.asarray(state.scores[:told], float)
        scores = np.where(np.asarray(has_score(state.scores[:told])), scores, np.inf)
        known = Known(
            axes, np.concatenate([state.points[:asked], designed]).astype(float), scores, state.candidates,
            (jax.tree.map(np.float64, state.process), self.prior(axes)),
        )  # fmt: skip
        exploration = () if self.exploration is None else (float(self.exploration),)
        rng = np.random.default_rng(seed)
        batch = propose(known, n - len(designed), rng, self.acquisition, exploration)
        return np.concatenate([designed, batch.points]), batch.process, batch.improvement

    def tell(self, state: BayesianState, configs: Configs, scores: jax.Array) -> BayesianState:
        return state._replace(
            scores=put_rows(state.scores, state.told, diverged_last(scores)), told=state.told + len(scores)
        )

    def amend(self, state: BayesianState, configs: Configs, places: np.ndarray) -> BayesianState:
        return state._replace(points=put_configs(state, configs, places))

    def prior(self, axes: dict[str, Distribution]) -> GaussianProcess:
        """Where the fit of the hyperparameters starts."""
        lengthscale = np.full(len(feature_groups(axes)), np.sqrt(max(len(axes), 1)) / 2)
        return gaussian_process(lengthscale, 1.0, 1e-3, 0.0, self.kernel)

    def _initial(self, d: int) -> int:
        """How many are scattered: whole batches of d + 2 or a few more, but at most a quarter of all."""
        if self.initial is not None:
            return self.initial
        return max(min(-(-(d + 2) // self.batch) * self.batch, self.n // 4), 2)


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
        initial: of those n the first, scattered as a Latin hypercube; by default hyperparameters + 2, in
            whole batches, but at most n/4.
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
        minimized; they may be noisy, and diverged ones count as the worst seen. The louder the noise that
        is fitted, up to a fifth of all variance, the farther apart are points asked for; where it outweighs
        the amplitude, (noise - amplitude)/(noise + amplitude) of the points are drawn at random. What was
        asked for and not told yet is avoided. Costs O(n³) a batch; the process is fitted to at most 128
        scores.

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
    (Kriging believer, constant liar); Ament et al. 2023 (log EI); Huang et al. 2006 (noise).

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
