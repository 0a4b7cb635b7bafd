"""One augmentation after another."""

from typing import Any

import jax

from jaxopt_notes.data.augmentation.augmentation import Augmentation
from jaxopt_notes.record import as_leaf, record

__all__ = ["Compose", "compose"]


@record
class Compose(Augmentation):
    """See `compose`."""

    augmentations: tuple

    def __call__(self, key: jax.Array, x: Any, y: Any = None) -> tuple[jax.Array, Any]:
        for i, augment in enumerate(self.augmentations):
            x, y = augment(jax.random.fold_in(key, i), x, y)
        return x, y


def compose(*augmentations: Any) -> Compose:
    """Augmentations applied one after another.

        (x, y) ← augmentᵢ(keyᵢ, x, y)          for i = 0, 1, …

    Arguments:
        augmentations: records, or functions `(key, x, y) -> (x, y)`; none of them is the identity.

    Returns:
        A `Compose` record. The i-th takes `fold_in(key, i)`: one more at the end leaves the draws alone.

    Raises:
        TypeError: one of them cannot be called.

    Example:
        >>> import jax.numpy as jnp
        >>> from jaxopt_notes.data.augmentation.flip import random_flip
        >>> augment = compose(random_flip(), lambda key, x, y: (jnp.clip(x, 0, 1), y))
        >>> x, y = augment(jax.random.key(0), jnp.full((2, 4, 4, 3), 7.0), jnp.array([0, 1]))
        >>> float(x.max())
        1.0

    Elsewhere: `torchvision.transforms.Compose`.
    """
    for i, augment in enumerate(augmentations):
        if not callable(augment):
            raise TypeError(
                f"compose({i}) is {augment!r}, expected augmentations, functions of (key, x, y) -> (x, y)."
            )
    return Compose(tuple(map(as_leaf, augmentations)))
