"""Random arrays drawn as one vector, and put into shape afterwards.

Threefry numbers the entries of an array and makes each from its own number, so the shape changes nothing in
what is drawn. But it changes what is compiled: XLA's CPU backend writes the rounds of the generator out for
the axes of the result, and a kernel of [64, 10] under `vmap` takes it eleven times as long as a vector of
640. On TPU the vector takes fewer fusions and no more bytes.
"""

import math
from collections.abc import Callable, Sequence

import jax

# Larger arrays may be cut over devices, along an axis that a vector does not have.
MOST = 2**20


def as_vector(draw: Callable[[tuple[int, ...]], jax.Array], shape: Sequence[int]) -> jax.Array:
    """`draw(shape)`, drawn as one vector where that is the same.

    Arguments:
        draw: from a shape to random numbers, or keys, of that shape, each drawn like the others.
        shape: of the result.

    Returns:
        With keys of threefry the same numbers as `draw(shape)`.

    Example:
        >>> key = jax.random.key(0)
        >>> x = as_vector(lambda shape: jax.random.normal(key, shape), (2, 3))
        >>> bool((x == jax.random.normal(key, (2, 3))).all())
        True

    Source: Salmon et al. 2011, "Parallel random numbers: as easy as 1, 2, 3": a number is a function of the
    key and its position.
    """
    shape = tuple(shape)
    size = math.prod(shape)
    return draw((size,)).reshape(shape) if len(shape) > 1 and size <= MOST else draw(shape)
