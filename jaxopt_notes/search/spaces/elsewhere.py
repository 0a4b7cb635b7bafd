"""Spaces as people write them elsewhere: distributions of scipy and Optuna are read, other spellings refused.

What is read has one meaning here: a frozen distribution of `scipy.stats` that is uniform, log-uniform, normal
or of whole numbers, and the distributions of Optuna. What could mean two things, or is not there, is refused
with the spelling to use. No other library is imported: an object says itself where it is from.
"""

import inspect
from typing import Any

import jax
import numpy as np

from jaxopt_notes.dtypes import Tree
from jaxopt_notes.masks import path_name
from jaxopt_notes.search.spaces.choices import choice, static_choice
from jaxopt_notes.search.spaces.distributions import (
    Distribution,
    integers,
    log_uniform,
    normal,
    uniform,
)

SPELLINGS = "jn.uniform(low, high), jn.log_uniform(low, high), jn.integers(low, high), jn.choice([…])"
SWEEPS = {"min", "max", "values", "distribution", "mu", "sigma", "q"}  # of Weights & Biases


def as_space(space: Any) -> Tree:
    """A search space with the distributions of other libraries as ours.

        scipy.stats.loguniform(a, b) → log_uniform(a, b)            FloatDistribution(a, b) → uniform(a, b)

    Arguments:
        space: a dict, or any pytree, of distributions and constants.

    Returns:
        The space; what is a distribution of ours, or a constant, stays as it is.

    Raises:
        TypeError: a distribution that has no counterpart, or a range in another notation; the message has
            the spelling to use.

    Example:
        >>> as_space({"rate": {"min": 0.0, "max": 0.1}})
        Traceback (most recent call last):
        TypeError: the space has {'min': 0.0, 'max': 0.1} as 'rate', expected a distribution: …

    Source: the notations of scipy.stats, Optuna and Weights & Biases.
    """

    def is_whole(node: Any) -> bool:
        return isinstance(node, Distribution) or _is_range(node)

    def read(path: tuple, leaf: Any) -> Any:
        return leaf if isinstance(leaf, Distribution) else _read(path_name(path), leaf)

    return jax.tree.map_with_path(read, space, is_leaf=is_whole)


def _is_range(node: Any) -> bool:
    """Whether it is a dict that describes a range, as in the configuration of a sweep of W&B."""
    if not isinstance(node, dict) or not set(node) <= SWEEPS:
        return False
    if "values" in node:
        return isinstance(node["values"], list | tuple)
    return all(isinstance(node.get(end), int | float) for end in ("min", "max"))


def _read(name: str, leaf: Any) -> Any:
    module, kind = type(leaf).__module__, type(leaf).__name__
    if inspect.isfunction(leaf) and leaf in (uniform, log_uniform, integers, normal, choice, static_choice):
        raise TypeError(_refused(name, leaf, SPELLINGS))
    if _is_range(leaf):
        raise TypeError(_refused(name, leaf, _spelled(leaf)))
    if module.startswith("scipy.stats") and hasattr(leaf, "dist"):
        return _of_scipy(name, leaf)
    if module.startswith("optuna.distributions"):
        return _of_optuna(name, leaf, kind)
    if callable(getattr(leaf, "rvs", None)) or module.split(".")[0] in ("ray", "hyperopt", "keras_tuner"):
        raise TypeError(_refused(name, leaf, SPELLINGS))
    return leaf


def _refused(name: str, leaf: Any, spelling: str) -> str:
    return f"the space has {leaf!r} as {name!r}, expected a distribution: write {spelling}."


def _spelled(node: dict) -> str:
    """A range in the notation of W&B, in ours."""
    if "values" in node:
        kind = "choice" if all(isinstance(v, int | float) for v in node["values"]) else "static_choice"
        return f"jn.{kind}({list(node['values'])!r})"
    low, high = node["min"], node["max"]
    if "log" in str(node.get("distribution", "")):
        return f"jn.log_uniform({low!r}, {high!r})"
    if isinstance(low, int) and isinstance(high, int):
        return f"jn.integers({low!r}, {high + 1!r}), whose end is left out, or jn.uniform({low!r}, {high!r})"
    return f"jn.uniform({low!r}, {high!r})"


def _of_scipy(name: str, frozen: Any) -> Distribution:
    """A frozen distribution of scipy, by its name and its quantiles."""
    kind = frozen.dist.name
    if kind in ("uniform", "loguniform", "reciprocal", "randint"):
        low, high = map(float, frozen.support())
        # Moved by `loc`, the logarithm of x − loc is uniform, and not that of x.
        if kind in ("loguniform", "reciprocal") and not np.isclose(frozen.median() ** 2, low * high):
            raise TypeError(
                f"the space has scipy's {kind!r} with loc as {name!r}, whose logarithm is not uniform: add "
                "loc in build, and leave it out here."
            )
        if kind == "randint":
            return integers(int(low), int(high) + 1)
        return (uniform if kind == "uniform" else log_uniform)(low, high)
    if kind == "norm":
        return normal(float(frozen.mean()), float(frozen.std()))
    raise TypeError(
        f"the space has scipy's {kind!r} as {name!r}, expected uniform, loguniform, norm or randint: write "
        f"{SPELLINGS}, or jn.normal(mean, stddev)."
    )


def _of_optuna(name: str, found: Any, kind: str) -> Distribution:
    """A distribution of Optuna."""
    if kind == "CategoricalDistribution":
        values = list(found.choices)
        numbers = all(isinstance(value, int | float) and not isinstance(value, bool) for value in values)
        return choice(values) if numbers else static_choice(values)
    if found.log and kind == "IntDistribution":
        raise TypeError(
            f"the space has {found!r} as {name!r}, and there are no logarithmic whole numbers here: write "
            f"jn.log_uniform({found.low}, {found.high}) and round in build, or jn.static_choice([…])."
        )
    if found.step is not None and found.step != (1 if kind == "IntDistribution" else None):
        steps = int(np.floor((found.high - found.low) / found.step + 1e-9))
        return choice([found.low + i * found.step for i in range(steps + 1)])
    if kind == "IntDistribution":
        return integers(found.low, found.high + 1)
    return (log_uniform if found.log else uniform)(found.low, found.high)
