"""SM3: AdaGrad with one accumulator for each slice of a tensor instead of one for each entry."""

import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import DTypeLike

from jaxopt_notes.dtypes import Tree, zeros_like
from jaxopt_notes.numerics import abs_squared, safe_divide, safe_sqrt
from jaxopt_notes.optimizers.core.gradient_transform import Accept
from jaxopt_notes.optimizers.core.leafwise import (
    Transform,
    first_step,
    increment,
    leafwise,
    store_always,
)
from jaxopt_notes.optimizers.core.moments import check_state_dtype, moments
from jaxopt_notes.record import Number, check_number, record, static
from jaxopt_notes.schedules.schedule import Rate, check_rate, rate_at
from jaxopt_notes.sharding import whole


class SM3State(NamedTuple):
    """Steps made, the average of scaled gradients, and the maxima: axis after axis, slice after slice."""

    count: jax.Array
    mu: Tree
    maxima: Tree


@record
class SM3(Transform):
    """See `sm3`."""

    learning_rate: Rate
    momentum: Number
    eps: Number
    state_dtype: str | None = static()

    def init(self, params: Tree) -> SM3State:
        def slices(x: jax.Array) -> jax.Array:
            return x if x.ndim < 2 else jnp.zeros(sum(x.shape), x.dtype)

        maxima = jax.tree.map(slices, zeros_like(params, real=True))
        (mu,) = moments(params, (1,), self.state_dtype)
        return SM3State(first_step(), mu, maxima)

    def update(
        self, updates: Tree, state: SM3State, params: Tree = None, *, accept: Accept = None, **extra: Any
    ) -> tuple[Tree, SM3State]:
        updates, mu, maxima = leafwise(
            sm3_step, updates, params, state.mu, state.maxima, accept=accept,
            rate=rate_at(self.learning_rate, state.count), momentum=self.momentum, eps=self.eps,
        )  # fmt: skip
        return updates, SM3State(increment(state.count, accept), mu, maxima)


def sm3_step(g, p, m, maxima, *, rate, momentum, eps, store=store_always):
    """The update of one leaf, its average of scaled gradients, and the maxima of its slices."""
    bound = functools.reduce(jnp.minimum, _by_axis(maxima, g.shape)) + abs_squared(g)
    m = store(m, momentum * m + (1 - momentum) * safe_divide(g, safe_sqrt(bound + eps)))
    return -rate * m, m, store(maxima, _largest(bound))


def _by_axis(maxima: jax.Array, shape: tuple[int, ...]) -> list[jax.Array]:
    """The maxima of each axis' slices, each of a shape that broadcasts."""
    if len(shape) < 2:
        return [maxima]
    parts = jnp.split(maxima, np.cumsum(shape)[:-1])
    return [
        part.reshape([-1 if axis == own else 1 for axis in range(len(shape))])
        for own, part in enumerate(parts)
    ]


def _largest(bound: jax.Array) -> jax.Array:
    """The largest entry of every slice, in the order of `maxima`."""
    if bound.ndim < 2:
        return bound
    axes = range(bound.ndim)
    parts = [whole(jnp.max(bound, [axis for axis in axes if axis != own], initial=0)) for own in axes]
    return jnp.concatenate(parts)


def sm3(
    learning_rate: Rate = 1e-1,
    momentum: Number = 0.9,
    eps: Number = 1e-8,
    state_dtype: DTypeLike | None = None,
) -> SM3:
    """SM3: memory-efficient AdaGrad, by maxima over the rows, the columns, … of a tensor.

        ν = min(μᵣ over the slices r that hold the entry) + |g|²
        μᵣ ← max(ν over the entries of slice r)
        m ← β·m + (1 − β)·g/√(ν + ε)
        θ ← θ − η·m

    A slice is all entries of one index of one axis; of a vector every entry is one, and the method is
    AdaGrad. ν is never below AdaGrad's sum of squares.

    Arguments:
        learning_rate: η ≥ 0, a number or a schedule.
        momentum: β in [0, 1), the decay of the average.
        eps: ε ≥ 0, inside the root.
        state_dtype: precision of the average, see `moments`.

    Returns:
        An `SM3` record. Its state holds one average of the parameters' shapes, and for a leaf of shape
        [m, n] m + n maxima in one vector.

    Raises:
        ValueError: a number outside its interval.
        TypeError: an argument is not a number.

    Example:
        >>> optimizer = sm3(learning_rate=1.0, momentum=0.0)
        >>> state = optimizer.init(jnp.zeros((2, 2)))
        >>> grads = jnp.array([[3.0, 0.0], [0.0, 4.0]])
        >>> for _ in range(2):
        ...     updates, state = optimizer.update(grads, state)
        >>> print(state.maxima)
        [18. 32. 18. 32.]

    Source: Anil et al. 2019, "Memory-efficient adaptive optimization", algorithm SM3-II (ε 0).

    Elsewhere: `optax.sm3` has the same formula, no default rate, and refuses scalars and complex leaves.
    torch has none.
    """
    return SM3(
        learning_rate=check_rate("sm3(learning_rate)", learning_rate),
        momentum=check_number(
            "sm3(momentum)", momentum, "[0, 1)", "the usual value is 0.9; 0 switches it off"
        ),
        eps=check_number("sm3(eps)", eps, "[0, inf)"),
        state_dtype=check_state_dtype("sm3(state_dtype)", state_dtype),
    )
