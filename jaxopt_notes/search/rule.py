"""What a good run is: the monitors, which way each is good, and the bounds that some values are to keep.

All values of a run are those of one epoch: the last, or the one at which the first monitor was best, or of
equally good ones the second, and so on. Means over the runs of a configuration are what is compared.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

import jax
import numpy as np

from jaxopt_notes.population.chunk_program import as_numpy
from jaxopt_notes.record import check_choice

PARAMETERS = "parameters"  # of a network, how many: a sweep counts them where they are asked for
Bounds = Mapping[str, tuple[float | None, float | None]]
Curves = Mapping[str, np.ndarray]  # name → [runs, epochs]
Values = dict[str, np.ndarray]  # name → one value of every run


class Rule(NamedTuple):
    """What is a good score; see `sweep`. A trial has seeds × folds runs, which count by their `sizes`."""

    monitors: tuple[str, ...]
    modes: tuple[str, ...]
    at: str
    constraints: Bounds
    folds: int = 1
    sizes: Any = 1.0

    @property
    def monitor(self) -> str:
        """The first one, which is what is called the score."""
        return self.monitors[0]

    @property
    def mode(self) -> str:
        return self.modes[0]

    @property
    def names(self) -> tuple[str, ...]:
        """All that is measured."""
        return tuple(dict.fromkeys((*self.monitors, *self.constraints)))

    def measured(self, curves: Curves) -> Values:
        """The values of members [k] from their histories; NaN for those that have diverged."""
        lost = ~np.all([np.isfinite(curves[name][:, -1]) for name in self.monitors], axis=0)
        if self.at == "last":
            found = {name: np.asarray(curves[name][:, -1]) for name in self.names}
        else:
            costs = [sign(mode) * curves[name] for name, mode in zip(self.monitors, self.modes, strict=True)]
            best = np.lexsort(costs[::-1], axis=-1)[:, 0]  # the first of equals
            found = {name: curves[name][np.arange(len(best)), best] for name in self.names}
        for name, values in found.items():
            if values.ndim > 1:
                raise ValueError(several_numbers(name, values.shape[1:]))
        return {name: np.where(lost, np.nan, values) for name, values in found.items()}

    def scores(self, curves: Curves) -> np.ndarray:
        """The values of the first monitor."""
        return self.measured(curves)[self.monitor]

    def means(self, values: np.ndarray) -> np.ndarray:
        """Over the runs of trials, [n, seeds] to [n]; NaN where one has diverged."""
        weights = np.broadcast_to(self.sizes, values.shape[1:])
        mean = np.average(np.where(np.isfinite(values), values, 0), axis=1, weights=weights)
        return np.where(np.isfinite(values).all(axis=1), mean, np.nan)

    def costs(self, values: Values) -> np.ndarray:
        """What strategies minimize, of trials with these values [n, seeds]: [n, monitors]."""
        pairs = zip(self.monitors, self.modes, strict=True)
        return np.stack([sign(mode) * self.means(values[name]) for name, mode in pairs], axis=1)

    def violations(self, values: Values) -> np.ndarray:
        """How far trials with these values [n, seeds] are from keeping all bounds [n]."""
        means = {name: self.means(values[name]) for name in self.constraints}
        return violations_of(means, self.constraints, len(values[self.monitor]))

    def told(self, values: Values) -> jax.Array:
        """What a search with one objective is told: the cost; NaN, as of diverged ones, if infeasible."""
        costs = np.where(self.violations(values) > 0, np.nan, self.costs(values)[:, 0])
        return jax.device_put(as_numpy(costs))


def several_numbers(name: str, shape: tuple[int, ...]) -> str:
    """What is wrong with a monitor, or a value with a bound, of this shape in every epoch."""
    return f"sweep: {name!r} has shape {shape} after an epoch, expected one number to rank configurations by."


def sign(mode: str) -> int:
    """What makes a cost of a score."""
    return -1 if mode == "max" else 1


def violations_of(means: Mapping[str, np.ndarray], bounds: Bounds, n: int) -> np.ndarray:
    """How far each of n trials is beyond its bounds, in units of these, summed; ∞ where nothing is known.

    Example:
        >>> bounds = {"latency": (None, 0.5), "accuracy": (0.8, None)}
        >>> violations_of({"latency": np.array([0.4, 0.75]), "accuracy": np.array([0.8, 0.6])}, bounds, 2)
        array([0.  , 0.75])

    Source: Deb, Pratap, Agarwal & Meyarivan 2002, section VI.
    """
    total = np.zeros(n)
    for name, (low, high) in bounds.items():
        for bound, side in ((low, -1), (high, 1)):
            if bound is not None:
                total += np.maximum(side * (means[name] - bound), 0) / (abs(bound) or 1.0)
    return np.where(np.isnan(total), np.inf, total)


def check_monitors(where: str, monitor: Any, mode: Any) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The monitors and their modes, one or several.

    Raises:
        TypeError, ValueError: no names, names twice, or modes that are not one for each.

    Example:
        >>> check_monitors("sweep", ("valid_accuracy", "parameters"), ("max", "min"))
        (('valid_accuracy', 'parameters'), ('max', 'min'))
    """
    monitors = tuple(monitor) if isinstance(monitor, tuple | list) else (monitor,)
    if not monitors or not all(isinstance(name, str) for name in monitors):
        raise TypeError(
            f'{where}(monitor) is {monitor!r}, expected a name of the history, as "valid_loss", or several: '
            '("valid_loss", "parameters").'
        )
    if len(set(monitors)) < len(monitors):
        raise ValueError(f"{where}(monitor) is {monitor!r}, expected each name once.")
    modes = tuple(mode) if isinstance(mode, tuple | list) else (mode,) * len(monitors)
    for one in modes:
        check_choice(f"{where}(mode)", one, ("min", "max"))
    if len(modes) != len(monitors):
        raise ValueError(
            f"{where}(mode) is {mode!r}, expected one for each of {', '.join(monitors)}: "
            f"{tuple(['min'] * len(monitors))!r}, or one for all."
        )
    return monitors, modes


def check_constraints(where: str, constraints: Any) -> Bounds:
    """Bounds as (at least, at most): a number is what a value may be at most.

    Raises:
        TypeError, ValueError: no mapping, or a bound that is none.

    Example:
        >>> check_constraints("sweep", {"parameters": 5000, "valid_accuracy": (0.9, None)})
        {'parameters': (None, 5000.0), 'valid_accuracy': (0.9, None)}
    """
    if constraints is None:
        return {}
    hint = '{"parameters": 5000} for at most, {"valid_accuracy": (0.9, None)} for at least'
    if not isinstance(constraints, Mapping):
        raise TypeError(f"{where}(constraints) is {constraints!r}, expected bounds by name: {hint}.")
    found = {}
    for name, bound in constraints.items():
        pair = tuple(bound) if isinstance(bound, tuple | list) else (None, bound)
        numbers = [float(end) for end in pair if isinstance(end, int | float | np.number)]
        if len(pair) != 2 or len(numbers) != sum(end is not None for end in pair) or not numbers:
            raise TypeError(
                f"{where}(constraints) has {bound!r} for {name!r}, expected a number or two: {hint}."
            )
        low, high = (None if end is None else float(end) for end in pair)
        if not np.isfinite(numbers).all() or (low is not None and high is not None and low > high):
            raise ValueError(
                f"{where}(constraints) has {bound!r} for {name!r}, expected low <= high, finite."
            )
        found[name] = (low, high)
    return found
