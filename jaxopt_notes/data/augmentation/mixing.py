"""What augmentations that mix examples share: partners within the batch, and targets that can be mixed.

The examples that count are put in a random circle, and each is mixed with the next one. So each has a partner
other than itself, each serves once, and examples of weight 0, which only fill the batch or belong to another
fold, are mixed into no other.
"""

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike

from jaxopt_notes.data.augmentation.augmentation import each
from jaxopt_notes.dtypes import as_hyperparameter


def partners(key: jax.Array, n: int, mask: jax.Array | None = None) -> jax.Array:
    """For each of n examples the one to be mixed in, int32 [n]; itself where the mask leaves it out."""
    place = jnp.arange(n, dtype=jnp.int32)
    mask = jnp.ones(n, bool) if mask is None else mask
    order = jnp.argsort(jnp.where(mask, jax.random.uniform(key, (n,), jnp.float32), 2)).astype(jnp.int32)
    count = jnp.sum(mask, dtype=jnp.int32)
    after = jnp.where(place < count, (place + 1) % jnp.maximum(count, 1), place)
    return place.at[order].set(order[after])


def share_of_beta(key: jax.Array, alpha: ArrayLike, n: int) -> jax.Array:
    """λ ~ Beta(α, α) for each of n examples; 1 at α = 0."""
    alpha = as_hyperparameter(alpha)
    drawn = jax.random.beta(key, jnp.where(alpha > 0, alpha, 1), jnp.where(alpha > 0, alpha, 1), (n,))
    return jnp.where(alpha > 0, drawn, 1)


def mix(a: jax.Array, b: jax.Array, share: jax.Array) -> jax.Array:
    """λ·a + (1 − λ)·b, with a share λ for each example; a, to the bit, where λ = 1."""
    share = each(share, a)
    return share * a + (1 - share) * b


def soft_targets(where: str, y: ArrayLike, classes: int | None) -> jax.Array:
    """Targets as numbers that can be mixed: labels as one-hot rows, others as they are.

    Raises:
        ValueError: labels, and nobody said how many classes there are.
    """
    y = jnp.asarray(y)
    if not jnp.issubdtype(y.dtype, jnp.integer):
        return y
    if classes is None:
        raise ValueError(
            f"{where}(classes) is None, but the targets are labels ({y.dtype}{list(y.shape)}): say how many "
            f"classes there are, as classes=10; they become probabilities, which cross-entropy takes."
        )
    return jax.nn.one_hot(y, classes, dtype=jnp.result_type(float))
