"""Latin hypercube: n configurations of which each hyperparameter takes n values, evenly spread."""

import functools

import jax
import jax.numpy as jnp

from jaxopt_notes.record import check_count, record, static
from jaxopt_notes.search.strategies.space_filling import SpaceFilling

__all__ = ["LatinHypercube", "latin_hypercube"]


@record
class LatinHypercube(SpaceFilling):
    """See `latin_hypercube`."""

    n: int = static()

    def points(self, key: jax.Array, d: int) -> jax.Array:
        return latin_hypercube_points(key, self.n, d)


@functools.partial(jax.jit, static_argnames=("n", "d"))  # one program, not one for each operation
def latin_hypercube_points(key: jax.Array, n: int, d: int) -> jax.Array:
    """n points of the unit cube [n, d]: along each axis one in each of n equal intervals.

    Example:
        >>> points = latin_hypercube_points(jax.random.key(0), 4, 2)
        >>> jnp.sort(jnp.floor(4 * points), axis=0).T.tolist()
        [[0.0, 1.0, 2.0, 3.0], [0.0, 1.0, 2.0, 3.0]]
    """
    order, place = jax.random.split(key)
    kind = jnp.result_type(float)
    cells = jnp.broadcast_to(jnp.arange(n, dtype=kind)[:, None], (n, d))
    cells = jax.random.permutation(order, cells, axis=0, independent=True)
    return (cells + jax.random.uniform(place, (n, d), kind)) / n


def latin_hypercube(n: int) -> LatinHypercube:
    """`n` configurations that are evenly spread in every hyperparameter by itself.

        uᵢⱼ = (πⱼ(i) + vᵢⱼ)/n,   πⱼ a random permutation of 0 … n − 1,   v ~ U[0, 1)

    Arguments:
        n: configurations in all; the intervals are fractions of n, so they are not the first of a larger
            set.

    Returns:
        A `LatinHypercube` strategy: `init(key, space)`, `ask(state, key, n)`, `tell(state, configs,
        scores)`, and `remaining(state)`. The key of `init` decides all of them.

    Raises:
        ValueError: n < 1. TypeError: n is not a whole number.

    Example:
        >>> from jaxopt_notes.search import integers
        >>> strategy, key = latin_hypercube(6), jax.random.key(0)
        >>> state = strategy.init(key, {"depth": integers(1, 4)})
        >>> sorted(strategy.ask(state, key, 6)[0]["depth"].tolist())
        [1, 1, 2, 2, 3, 3]

    Source: McKay, Beckman & Conover 1979.

    Elsewhere: scipy.stats.qmc.LatinHypercube, which can also optimize the permutations.
    """
    return LatinHypercube(check_count("latin_hypercube(n)", n, 1))
