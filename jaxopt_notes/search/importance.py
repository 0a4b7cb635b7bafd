"""How much each hyperparameter mattered, and whether the best value lies at the edge of what was searched.

Importance is the share of the score's variance that a hyperparameter explains. Scores are replaced by their
ranks first (so that a diverged or a terrible run weighs no more than a bad one), a random forest is fitted to
them if scikit-learn is there, and its functional analysis of variance gives each hyperparameter's main effect
(fANOVA), and what two of them do only together. Without scikit-learn the same variance is taken over bins of
equal probability.
"""

import importlib.util
import itertools
from typing import Any

import numpy as np

from jaxopt_notes.record import check_choice
from jaxopt_notes.search.names import hyperparameters, reserved_columns
from jaxopt_notes.search.spaces.distributions import Distribution, Integers, LogUniform, Uniform

POINTS = 32  # where a hyperparameter's main effect is evaluated
PAIR_POINTS = 8  # and along each of two
PAIR_TRIALS = 32  # whose other values a pair's effect is averaged over, at most
TREES = 64


def importance(results: Any, method: str | None = None, seed: int = 0) -> dict[str, float]:
    """The share of the score's variance that each hyperparameter explains on its own.

        V_j = Var_x [ E( rank(score) | x_j = x ) ] / Var( rank(score) )

    Arguments:
        results: a `Results`; trials that diverged have the worst rank. Of trials that continue runs those
            count that no other continues.
        method: "forest" (needs scikit-learn) or "bins"; by default the forest if it can be imported.
        seed: of the forest.

    Returns:
        Name → share in [0, 1], the most important first. What hyperparameters do only together is in
        none of them, so they need not sum to 1. With fewer than ten trials a hyperparameter they are noise.

    Raises:
        ValueError: an unknown method. ImportError: scikit-learn is wanted and missing.

    Example:
        >>> from jaxopt_notes.search import Results
        >>> x, y = np.random.default_rng(0).uniform(size=(2, 200))
        >>> found = importance(Results({"x": x, "y": y}, (x**2 + 0.05 * y)[:, None]), "bins")
        >>> list(found), found["x"] > 0.9 > 0.2 > found["y"]
        (['x', 'y'], True)

    Source: Hutter, Hoos & Leyton-Brown 2014 (fANOVA), first-order terms.

    Elsewhere: optuna's FanovaImportanceEvaluator is the same on raw scores, normalized to a sum of 1.
    """
    names, x, ranks, method = _explained(results, method)
    if x is None:
        return dict.fromkeys(names, 0.0)
    effects = _effects(method, x, ranks, seed, [(j,) for j in range(len(names))], 1)
    shares = np.clip(effects / ranks.var(), 0.0, 1.0)
    found = zip(names, shares.tolist(), strict=True)
    return dict(sorted(found, key=lambda pair: -pair[1]))


def _explained(results: Any, method: str | None) -> tuple[list[str], np.ndarray | None, np.ndarray, str]:
    """Names, their columns spread over [0, 1] (`None` of too few trials), ranks of scores, and a method."""
    if method is None:
        method = "forest" if importlib.util.find_spec("sklearn") else "bins"
    check_choice("importance(method)", method, ("forest", "bins"))
    columns = {name: _ordered(column) for name, column in hyperparameters(results).items()}
    kept = _last_of_their_line(results)
    ranks = np.empty(len(results))
    ranks[results.order] = np.arange(len(results))
    ranks = ranks[kept].argsort().argsort().astype(float)
    enough = bool(columns) and len(kept) >= 2
    x = np.stack([_uniform_ranks(column[kept]) for column in columns.values()], axis=1) if enough else None
    return list(columns), x, ranks, method


def pair_importance(results: Any, method: str | None = None, seed: int = 0) -> dict[tuple[str, str], float]:
    """The share of the score's variance that two hyperparameters explain together and neither alone.

        V_jk = Var [ E( rank(score) | x_j, x_k ) ] / Var( rank(score) ) − V_j − V_k

    Arguments:
        results, method, seed: as of `importance`.

    Returns:
        (name, name) → share in [0, 1], the most important pair first. With fewer than some thirty trials
        they are noise.

    Raises:
        As `importance`.

    Example:
        >>> from jaxopt_notes.search import Results
        >>> x, y, z = np.random.default_rng(0).uniform(-1, 1, size=(3, 400))
        >>> found = pair_importance(Results({"x": x, "y": y, "z": z}, (x * y)[:, None]), "bins")
        >>> list(found)[0], found["x", "y"] > 0.5 > 0.3 > found["x", "z"]
        (('x', 'y'), True)

    Source: Hutter, Hoos & Leyton-Brown 2014 (fANOVA), second-order terms.
    """
    names, x, ranks, method = _explained(results, method)
    pairs = list(itertools.combinations(range(len(names)), 2))
    if x is None or not pairs:
        return {(names[j], names[k]): 0.0 for j, k in pairs}
    parts = [(j,) for j in range(len(names))] + pairs
    effects = dict(zip(parts, _effects(method, x, ranks, seed, parts, 2), strict=True))
    shares = {
        (names[j], names[k]): float(np.clip((effects[j, k] - effects[j,] - effects[k,]) / ranks.var(), 0, 1))
        for j, k in pairs
    }
    return dict(sorted(shares.items(), key=lambda pair: -pair[1]))


def edge_warnings(results: Any, margin: float = 0.1) -> list[str]:
    """Hyperparameters whose best values lie at the edge of their range: search a wider one.

        warn where the median of the best tenth lies within `margin` of an end of [0, 1], by quantile

    Arguments:
        results: a `Results` with its space.
        margin: the part of the range, in the logarithm for `log_uniform`, that counts as the edge.

    Returns:
        A sentence for each such hyperparameter. Of ranges of whole numbers or of choices, only an end
        itself counts, and only where there are more than two.

    Example:
        >>> from jaxopt_notes.search import Results, log_uniform
        >>> rate = np.geomspace(1e-4, 1e-1, 20)
        >>> edge_warnings(Results({"rate": rate}, -rate[:, None], space={"rate": log_uniform(1e-4, 1e-1)}))
        ['rate: the best values are at the upper end, 0.1, of its range: search beyond it.']

    Source: the lectures CS231n, "Hyperparameter optimization".
    """
    from jaxopt_notes.search.spaces.space import dimensions

    alive = [i for i in results.order if np.isfinite(results.score_mean[i])]
    best = alive[: max(1, len(alive) // 10)]
    said = []
    for name, axis in dimensions(results.space).items() if results.space is not None else ():
        ends = _ends(axis)
        if name not in results.columns or ends is None or not best:
            continue
        low, high = ends
        typical = float(np.median(np.asarray(results.columns[name], float)[best]))
        place = _place(axis, typical, low, high)
        end = "lower" if place <= margin else "upper" if place >= 1 - margin else None
        if end:
            value = low if end == "lower" else high
            said.append(
                f"{name}: the best values are at the {end} end, {value:g}, of its range: search beyond it."
            )
    return said


def _ends(axis: Distribution) -> tuple[float, float] | None:
    """The range of a distribution that has one worth widening."""
    if isinstance(axis, Uniform | LogUniform):
        return float(axis.low), float(axis.high)
    if isinstance(axis, Integers) and int(axis.high) - int(axis.low) > 2:
        return float(axis.low), float(axis.high) - 1
    return None


def _place(axis: Distribution, value: float, low: float, high: float) -> float:
    if low == high:
        return 0.5  # nothing was searched
    if isinstance(axis, LogUniform):
        return float(np.log(value / low) / np.log(high / low))
    place = (value - low) / (high - low)
    return place if not isinstance(axis, Integers) or place in (0.0, 1.0) else 0.5


def _last_of_their_line(results: Any) -> np.ndarray:
    parents = np.asarray(reserved_columns(results).get("parent", []), int)
    return np.setdiff1d(np.arange(len(results)), parents[parents >= 0])


def in_order(column: np.ndarray) -> tuple[np.ndarray, list[str]]:
    """Values of static choices as 0, 1, … and their names: numbers by size, then others by name.

    Example:
        >>> in_order(np.array([16, 4, 128, None], object))
        (array([1., 0., 2., 3.]), ['4', '16', '128', 'None'])
    """
    named = [getattr(value, "__name__", str(value)) for value in column]
    size = {name: _size(value) for name, value in zip(named, column, strict=True)}
    names = sorted(size, key=lambda name: (size[name], name))
    return np.array([names.index(name) for name in named], float), names


def _size(value: Any) -> float:
    """Of a number; NaN, as of an inactive hyperparameter, and what is no number come last."""
    return float(value) if isinstance(value, int | float | np.number) and value == value else np.inf


def _ordered(column: np.ndarray) -> np.ndarray:
    """A column as numbers."""
    if np.asarray(column).dtype.kind in "biuf":
        return np.asarray(column, float)
    return in_order(column)[0]


def _uniform_ranks(column: np.ndarray) -> np.ndarray:
    """A column spread evenly over [0, 1]; equal values stay equal."""
    distinct, place = np.unique(column, return_inverse=True)
    return place.reshape(-1) / max(len(distinct) - 1, 1)


def _effects(
    method: str, x: np.ndarray, y: np.ndarray, seed: int, parts: list[tuple], order: int
) -> np.ndarray:
    """The variance that each of some columns, or pairs of columns, explains.

    Arguments:
        order: of the largest part: all are seen as finely, so that their differences mean something.
    """
    if method == "bins":
        return np.asarray([_bin_effect(x[:, part], y, int(len(y) ** (0.5 / order))) for part in parts])
    return _forest_effects(x, y, seed, parts, order)


def _bin_effect(x: np.ndarray, y: np.ndarray, most: int) -> float:
    """The variance between bins of columns [n, 1 or 2], less what chance alone would give."""
    place = np.zeros(len(y), int)
    for column in x.T:
        count = min(len(np.unique(column)), max(2, most))
        place = place * count + np.minimum((column * count).astype(int), count - 1)
    sizes = np.bincount(place)
    means = np.bincount(place, y) / np.maximum(sizes, 1)
    between = np.average((means - y.mean()) ** 2, weights=sizes)
    within = np.average((y - means[place]) ** 2)
    used = int((sizes > 0).sum())
    return float(between - (used - 1) / max(len(y) - used, 1) * within)


def _forest_effects(x: np.ndarray, y: np.ndarray, seed: int, parts: list[tuple], order: int) -> np.ndarray:
    """The variance of effects of a random forest, averaged over the trials' other values."""
    from sklearn.ensemble import RandomForestRegressor

    forest = RandomForestRegressor(TREES, min_samples_leaf=2, random_state=seed).fit(x, y)
    points, others = (POINTS, x) if order == 1 else (PAIR_POINTS, x[:: -(-len(x) // PAIR_TRIALS)])
    effects = []
    for part in parts:
        grids = [np.unique(np.quantile(x[:, j], np.linspace(0, 1, points))) for j in part]
        grid = np.stack(np.meshgrid(*grids, indexing="ij"), axis=-1).reshape(-1, len(part))
        probe = np.repeat(others[None], len(grid), axis=0)
        probe[:, :, list(part)] = grid[:, None]
        effect = forest.predict(probe.reshape(-1, x.shape[1])).reshape(len(grid), -1).mean(axis=1)
        effects.append(effect.var())
    return np.asarray(effects)
