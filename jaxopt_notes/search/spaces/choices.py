"""One of several values: as data, or as structure.

`choice` is data: its values are numbers in an array and may be traced. `static_choice` is structure (a
width, a batch size, a function): what is drawn are positions in `values`, and a sweep compiles once
for each of them. Both are `integers` seen through a table.
"""

from collections.abc import Hashable, Sequence

import jax
import jax.numpy as jnp
import numpy as np

from jaxopt_notes.record import Number, concrete, record, static
from jaxopt_notes.search.spaces.distributions import Distribution, Integers


@record
class Choice(Distribution):
    """See `choice`."""

    values: jax.Array

    def from_unit(self, u: jax.Array) -> jax.Array:
        return self.values[Integers(0, len(self.values)).from_unit(u)]

    def to_unit(self, x: np.ndarray) -> np.ndarray:
        values, x = np.asarray(self.values, float), np.asarray(x, float)
        same = np.isclose(x[..., None], values, rtol=1e-6, atol=0)
        return np.where(same.any(axis=-1), (same.argmax(axis=-1) + 0.5) / len(values), np.nan)

    def grid(self, points: int) -> jax.Array:
        """All values, whatever `points`."""
        return self.values


def choice(values: Sequence[Number]) -> Choice:
    """One of several numbers, equally probable, as traced data: one compilation for all of them.

        x = values[⌊u·n⌋]

    Arguments:
        values: n numbers, at least one.

    Returns:
        A `Choice` record; draws have the dtype of the values.

    Raises:
        ValueError: no value, or values that are arrays. TypeError: a value that is not a number.

    Example:
        >>> choice([0.9, 0.99, 0.999]).grid(2)
        Array([0.9  , 0.99 , 0.999], dtype=float32)

    Source: Goodfellow, Bengio & Courville 2016, section 11.4.3 (batch = [4, …, 256] changes structure:
    `static_choice`).

    Elsewhere: optuna's suggest_categorical, Ray Tune's choice: both for any object.
    """
    array = concrete(values)
    if array is None and not isinstance(values, jax.Array):
        raise TypeError(
            f"choice(values) is {values!r}, expected numbers: static_choice(...) takes strings, functions, …."
        )
    if np.ndim(values) != 1 or not len(values):
        raise ValueError(
            f"choice(values) is {values!r}, expected a flat list of at least one number: "
            "use static_choice(...) for values that are tuples."
        )
    return Choice(jnp.asarray(values))


@record
class StaticChoice(Distribution):
    """See `static_choice`."""

    values: tuple = static()

    def from_unit(self, u: jax.Array) -> jax.Array:
        return Integers(0, len(self.values)).from_unit(u)

    def to_unit(self, x: np.ndarray) -> np.ndarray:
        return Integers(0, len(self.values)).to_unit(x)

    def grid(self, points: int) -> jax.Array:
        """The positions of all values, whatever `points`."""
        return jnp.arange(len(self.values), dtype=jnp.result_type(int))


def static_choice(values: Sequence[Hashable]) -> StaticChoice:
    """One of several values that change the structure: a width, a batch size, an activation.

        x = ⌊u·n⌋, the position in values

    Arguments:
        values: n hashable objects, at least one: numbers, strings, tuples, functions, records.

    Returns:
        A `StaticChoice` record; draws are int32 positions in `values`. A sweep hands `values[x]` to
        `build`, and compiles once for each combination of static values.

    Raises:
        ValueError: no value. TypeError: a value that is not hashable.

    Example:
        >>> width = static_choice([64, 128])
        >>> [width.values[i] for i in width.grid(1)]
        [64, 128]

    Source: Goodfellow, Bengio & Courville 2016, section 11.4.3.

    Elsewhere: optuna and Ray Tune do not tell data from structure; neither compiles.
    """
    values = tuple(values)
    if not values:
        raise ValueError("static_choice(values) is empty, expected at least one value.")
    for value in values:
        try:
            hash(value)
        except TypeError:
            raise TypeError(
                f"static_choice(values) holds {value!r}, expected hashable values: a tuple instead of a list."
            ) from None
    return StaticChoice(values)
