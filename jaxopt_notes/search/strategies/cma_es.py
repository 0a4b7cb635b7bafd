"""CMA-ES: sample a normal distribution, and shape it by the ranks of what was sampled.

The covariance matrix adaptation evolution strategy works in the unit cube. It uses no value of a score,
only the order, so it is unmoved by outliers, divergence and monotonic transformations; and it learns the
full covariance, so that badly scaled and correlated hyperparameters cost it little.

Points beyond a wall of the cube are reflected into it; the strategy itself does not see the walls, and its
formulas stay those of the unbounded method.
"""

import functools
import math
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxopt_notes.dtypes import as_hyperparameter
from jaxopt_notes.numerics import safe_sqrt
from jaxopt_notes.record import Number, check_count, check_number, record, static
from jaxopt_notes.search.spaces.distributions import Distribution
from jaxopt_notes.search.spaces.space import Configs, Space, dimensions
from jaxopt_notes.search.spaces.unit_cube import as_configs, as_points, reflect
from jaxopt_notes.search.strategies.symmetric_roots import symmetric_roots
from jaxopt_notes.search.strategies.trials import check_batch, diverged_last, has_score, no_scores

__all__ = ["CMAES", "cma_es"]


class CMAState(NamedTuple):
    """The normal distribution, its evolution paths, and the generation in work."""

    dimensions: dict[str, Distribution]
    mean: jax.Array
    sigma: jax.Array
    covariance: jax.Array
    path_sigma: jax.Array
    path_c: jax.Array
    generation: jax.Array
    steps: jax.Array  # y = (x − mean)/σ of each point [population, dimensions]
    scores: jax.Array
    asked: Number
    told: Number


@record
class CMAES:
    """See `cma_es`."""

    sigma: Number
    tolerance: Number
    n: int = static()
    population: int | None = static()
    restart: bool = static()

    def init(self, key: jax.Array, space: Space) -> CMAState:
        found = dimensions(space)
        d, kind = max(len(found), 1), jnp.result_type(float)
        size = self.population or 4 + math.floor(3 * math.log(d))
        steps, scores = jnp.zeros((size, d), kind), jax.device_put(no_scores(size))
        start: Any = self._start(jnp.full((d,), 0.5, kind))
        return CMAState(found, *start, steps, scores, 0, 0)  # type: ignore[call-arg]

    def remaining(self, state: CMAState) -> int:
        asked, size = int(state.asked), len(state.scores)
        if not self.restart and asked % size == 0 and bool(self.converged(state)):
            return 0
        return max(min(size - asked % size, self.n - asked), 0)

    def go_on(self, state: CMAState, fresh: CMAState) -> CMAState:
        return state

    def ask(self, state: CMAState, key: jax.Array, n: int) -> tuple[Configs, CMAState]:
        check_batch("cma_es", n, len(state.scores) - state.asked % len(state.scores))
        configs, new = _ask(self, state, key, n)
        return configs, new._replace(asked=state.asked + n, told=state.told)

    def tell(self, state: CMAState, configs: Configs, scores: jax.Array) -> CMAState:
        new = _tell(state, scores)
        return new._replace(asked=state.asked, told=state.told + len(scores))

    def _asked(self, state: CMAState, key: jax.Array, n: int) -> tuple[Configs, CMAState]:
        place = jnp.asarray(state.asked, int) % len(state.scores)
        sample, anew = jax.random.split(key)
        if self.restart:
            begin = (place == 0) & self.converged(state)
            mean = jax.random.uniform(anew, state.mean.shape, state.mean.dtype)
            fresh = state._replace(**dict(zip(CMAState._fields[1:7], self._start(mean), strict=True)))
            state = _choose(begin, fresh, state)
        z = jax.random.normal(sample, (n, len(state.mean)), state.mean.dtype)
        y = jnp.matmul(z, symmetric_roots(state.covariance)[0], precision="highest")
        points = reflect(state.mean[None] + state.sigma * y)
        steps = state.steps.at[place + jnp.arange(n, dtype=place.dtype)].set(y, mode="drop")
        return as_configs(state.dimensions, points), state._replace(steps=steps)

    def amend(self, state: CMAState, configs: Configs, places: np.ndarray) -> CMAState:
        """With points from elsewhere, of which no step is longer than √d + 2d/(d + 2): Hansen 2011."""
        d, points = len(state.mean), as_points(state.dimensions, configs)[places]
        y = (points - np.asarray(state.mean)) / float(state.sigma)
        length = np.linalg.norm(y @ np.asarray(symmetric_roots(state.covariance)[1]), axis=1, keepdims=True)
        y = y * np.minimum(1, (math.sqrt(d) + 2 * d / (d + 2)) / np.maximum(length, 1e-12))
        rows = (int(state.asked) - len(next(iter(configs.values()))) + places) % len(state.scores)
        return state._replace(steps=state.steps.at[rows].set(y.astype(state.steps.dtype)))

    def converged(self, state: CMAState) -> jax.Array:
        """Whether the widest axis of the distribution is below the tolerance."""
        widest = state.sigma * jnp.sqrt(jnp.max(jnp.diagonal(state.covariance)))
        return widest < as_hyperparameter(self.tolerance)

    def _start(self, mean: jax.Array) -> tuple:
        covariance, sigma = jnp.eye(len(mean), dtype=mean.dtype), as_hyperparameter(self.sigma)
        paths = (jnp.zeros_like(mean) for _ in range(2))
        return mean, sigma, covariance, *paths, jnp.zeros((), jnp.result_type(int))


# One program each: by itself every operation would be one, and there are a hundred.


@functools.partial(jax.jit, static_argnums=3)
def _ask(strategy: CMAES, state: CMAState, key: jax.Array, n: int) -> tuple[Configs, CMAState]:
    return strategy._asked(state, key, n)


@jax.jit
def _tell(state: CMAState, scores: jax.Array) -> CMAState:
    size = len(state.scores)
    row = jnp.asarray(state.told, int) % size + jnp.arange(len(scores), dtype=jnp.result_type(int))
    known = state.scores.at[row].set(diverged_last(scores).astype(state.scores.dtype), mode="drop")
    state = state._replace(scores=known)
    complete = jnp.asarray(state.told + len(scores), int) % size == 0
    return _choose(complete & jnp.any(has_score(known)), cma_update(state), state)


class Constants(NamedTuple):
    """The numbers of the method for d dimensions and λ points, by their names in the tutorial."""

    weights: np.ndarray  # [λ], for points from the best to the worst; those of the worse half are negative
    mu_eff: float
    c_sigma: float
    d_sigma: float
    c_c: float
    c_1: float
    c_mu: float
    chi: float  # the expected length of a standard normal vector


def constants(d: int, population: int) -> Constants:
    """The defaults of the tutorial, table 1.

    Example:
        >>> c = constants(10, 10)
        >>> print(f"{c.mu_eff:.4f} {c.c_sigma:.4f} {c.c_c:.4f} {c.c_1:.5f} {c.c_mu:.5f}")
        3.1673 0.2844 0.2950 0.01528 0.02355
    """
    raw = np.log((population + 1) / 2) - np.log(np.arange(1, population + 1))
    mu = population // 2
    mu_eff, mu_eff_minus = (np.sum(w) ** 2 / np.sum(w**2) for w in (raw[:mu], raw[mu:]))
    c_sigma = (mu_eff + 2) / (d + mu_eff + 5)
    c_1 = 2 / ((d + 1.3) ** 2 + mu_eff)
    c_mu = min(1 - c_1, 2 * (0.25 + mu_eff + 1 / mu_eff - 2) / ((d + 2) ** 2 + mu_eff))
    negative = min(1 + c_1 / c_mu, 1 + 2 * mu_eff_minus / (mu_eff + 2), (1 - c_1 - c_mu) / (d * c_mu))
    positive_sum, negative_sum = np.sum(raw[raw > 0]), -np.sum(raw[raw < 0])
    return Constants(
        weights=np.where(raw >= 0, raw / positive_sum, negative * raw / negative_sum),
        mu_eff=float(mu_eff),
        c_sigma=float(c_sigma),
        d_sigma=float(1 + 2 * max(0.0, math.sqrt((mu_eff - 1) / (d + 1)) - 1) + c_sigma),
        c_c=float((4 + mu_eff / d) / (d + 4 + 2 * mu_eff / d)),
        c_1=float(c_1),
        c_mu=float(c_mu),
        chi=math.sqrt(d) * (1 - 1 / (4 * d) + 1 / (21 * d**2)),
    )


def cma_update(state: CMAState) -> CMAState:
    """The distribution after a generation: formulas 41 to 47 of the tutorial, c_m = 1."""
    d, kind = len(state.mean), state.mean.dtype
    c = constants(d, len(state.scores))
    order = jnp.argsort(state.scores)
    y, alive = state.steps[order], has_score(state.scores[order])
    weights = jnp.asarray(c.weights, kind)
    positive = jnp.where((weights > 0) & alive, weights, 0)  # nobody follows a diverged point
    positive = positive / jnp.where(jnp.any(alive), jnp.sum(positive), 1)
    weights = jnp.where(weights > 0, positive, weights)

    step = jnp.matmul(positive, y, precision="highest")
    inverse_root = symmetric_roots(state.covariance)[1]
    whitened = jnp.matmul(inverse_root, step, precision="highest")
    gain = math.sqrt(c.c_sigma * (2 - c.c_sigma) * c.mu_eff)
    path_sigma = (1 - c.c_sigma) * state.path_sigma + gain * whitened
    length = safe_sqrt(jnp.sum(path_sigma**2))
    sigma = state.sigma * jnp.exp(c.c_sigma / c.d_sigma * (length / c.chi - 1))

    generation = state.generation + 1
    settled = jnp.sqrt(1 - jnp.power(1 - c.c_sigma, 2 * generation.astype(kind)))
    moving = (length / settled < (1.4 + 2 / (d + 1)) * c.chi).astype(kind)
    path_c = (1 - c.c_c) * state.path_c + moving * math.sqrt(c.c_c * (2 - c.c_c) * c.mu_eff) * step
    squares = jnp.sum(jnp.matmul(y, inverse_root, precision="highest") ** 2, axis=1)
    scaled = jnp.where(weights >= 0, weights, weights * d / jnp.where(squares > 0, squares, 1))
    rank_mu = jnp.matmul(y.T * scaled[None], y, precision="highest")
    kept = 1 + c.c_1 * (1 - moving) * c.c_c * (2 - c.c_c) - c.c_1 - c.c_mu * jnp.sum(weights)
    covariance = kept * state.covariance + c.c_1 * jnp.outer(path_c, path_c) + c.c_mu * rank_mu
    return state._replace(
        mean=state.mean + state.sigma * step, sigma=sigma, covariance=(covariance + covariance.T) / 2,
        path_sigma=path_sigma, path_c=path_c, generation=generation,
    )  # fmt: skip


def _choose(condition: jax.Array, new: CMAState, old: CMAState) -> CMAState:
    moving: dict[str, Any] = {
        name: jnp.where(condition, getattr(new, name), getattr(old, name)) for name in CMAState._fields[1:7]
    }
    return old._replace(**moving)


def cma_es(
    n: int = 100,
    population: int | None = None,
    sigma: Number = 1 / 6,
    tolerance: Number = 0.0,
    *,
    restart: bool = False,
) -> CMAES:
    """CMA-ES: a normal distribution that follows the best of what it samples, in whole generations.

        x = m + σ·C^½·z,  z ~ N(0, I)
        m ← m + σ·Σ wᵢ·yᵢ              the better half, y = (x − m)/σ
        σ ← σ·exp(c_σ/d_σ·(‖p_σ‖/E‖N(0, I)‖ − 1))
        C ← (1 − c₁ − c_μ·Σ wⱼ)·C + c₁·p_c·p_cᵀ + c_μ·Σ wᵢ·yᵢ·yᵢᵀ

    Arguments:
        n: configurations in all.
        population: λ ≥ 2, the size of a generation; `None` for 4 + ⌊3·ln d⌋ in d dimensions. Larger ones
            fill a population engine, and find their way on noisy and rugged scores.
        sigma: σ > 0, the initial standard deviation in the unit cube; the mean starts at its centre.
        tolerance: converged when the widest standard deviation is below it, ≥ 0; 0 is never.
        restart: whether to begin anew at a random mean when converged, or to end.

    Returns:
        A `CMAES` strategy: `init(key, space)`, `ask(state, key, n)`, `tell(state, configs, scores)`, and
        `remaining(state)`, the rest of the generation, 0 at the end. Points outside the cube are
        reflected into it. A diverged configuration is ranked last, and nobody follows it.

    Raises:
        ValueError: a number outside its interval. TypeError: an argument is not a number.

    Example:
        >>> from jaxopt_notes.search.spaces.distributions import uniform
        >>> strategy, key = cma_es(240, sigma=0.2), jax.random.key(0)
        >>> state = strategy.init(key, {"x": uniform(-1.0, 1.0), "y": uniform(-1.0, 1.0)})
        >>> while n := strategy.remaining(state):
        ...     key, own = jax.random.split(key)
        ...     configs, state = strategy.ask(state, own, n)
        ...     scores = configs["x"] ** 2 + 100 * (configs["y"] - 0.5) ** 2
        ...     state = strategy.tell(state, configs, scores)
        >>> bool(scores.min() < 1e-3)
        True

    Source: Hansen 2016 (arXiv:1604.00772), with negative weights for the covariance: it stops on
    convergence or on an exhausted budget.

    Elsewhere: pycma and optuna's CmaEsSampler; both treat walls otherwise (a smooth transformation, and
    resampling). Restarts there double the population; here the size is fixed.
    """
    if population is not None:
        check_count("cma_es(population)", population, 2)
    return CMAES(
        check_number("cma_es(sigma)", sigma, "(0, inf)"),
        check_number("cma_es(tolerance)", tolerance, "[0, inf)"),
        check_count("cma_es(n)", n, 1), population, bool(restart),
    )  # fmt: skip
