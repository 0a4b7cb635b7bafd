"""Hyperparameters that exist only together with a value of another one.

The momentum of an optimizer means nothing if Adam was chosen. To most strategies a conditional
hyperparameter is drawn like any other, and where it is inactive `build` leaves it aside. A surrogate model
knows better: configurations that differ only in an inactive hyperparameter are the same one.
"""

from typing import Any

import jax
import numpy as np

from jaxopt_notes.record import record, static
from jaxopt_notes.search.spaces.choices import StaticChoice
from jaxopt_notes.search.spaces.distributions import Distribution


@record
class Conditional(Distribution):
    """See `conditional`."""

    distribution: Distribution
    on: str = static()
    values: tuple = static()

    def from_unit(self, u: jax.Array) -> jax.Array:
        return self.distribution.from_unit(u)

    def to_unit(self, x: np.ndarray) -> np.ndarray:
        return self.distribution.to_unit(x)

    def sample(self, key: jax.Array, n: int) -> jax.Array:
        return self.distribution.sample(key, n)

    def grid(self, points: int) -> jax.Array:
        return self.distribution.grid(points)

    def is_met(self, other: Distribution, found: np.ndarray) -> np.ndarray:
        """Where the hyperparameter it depends on, a column of `other`, has one of the values."""
        if not isinstance(other, StaticChoice):
            wanted = self.values
        elif unknown := [value for value in self.values if value not in other.values]:
            raise ValueError(
                f"conditional(values) has {unknown[0]!r}, expected values of {self.on!r}: {other.values}."
            )
        else:
            wanted = tuple(map(other.values.index, self.values))
        return np.any([found == np.asarray(value).astype(found.dtype) for value in wanted], axis=0)


def conditional(distribution: Distribution, on: str, *values: Any) -> Conditional:
    """A hyperparameter that is active only where another one has one of some values.

        active = (configuration[on] ∈ values) and `on` itself is active

    Arguments:
        distribution: what it is drawn from; no `static_choice`.
        on: the name of the other one in the space, "optimizer/kind" in a nested one: a `static_choice`, a
            `choice` or `integers`.
        values: at least one, as they stand in that choice.

    Returns:
        A `Conditional` record, a distribution. Every configuration has a value for it, as columns have;
        `bayesian` puts it at the median where it is inactive.

    Raises:
        TypeError: the distribution changes the structure, or is not a distribution. ValueError: no value.

    Example:
        >>> from jaxopt_notes.search import static_choice, uniform
        >>> space = {"kind": static_choice(["sgd", "adam"]),
        ...          "momentum": conditional(uniform(0.0, 1.0), "kind", "sgd")}
        >>> space["momentum"].grid(3)
        Array([0. , 0.5, 1. ], dtype=float32)

    Source: Hutter et al. 2011 (SMAC); Swersky et al. 2014.

    Elsewhere: optuna's define-by-run spaces are conditional by the `if` in the code; ConfigSpace has
    EqualsCondition and InCondition.
    """
    if not isinstance(distribution, Distribution) or isinstance(distribution, StaticChoice | Conditional):
        raise TypeError(
            f"conditional(distribution) is {distribution!r}, expected uniform(...), integers(...), …: "
            "a static choice has a program of its own for each value, active or not."
        )
    if not values:
        raise ValueError("conditional(values) is empty, expected the values under which it is active.")
    return Conditional(distribution, on, values)
