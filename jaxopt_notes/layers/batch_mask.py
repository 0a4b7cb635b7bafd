"""Examples that only fill a batch: layers that look at the whole batch leave them out.

The last batch of an epoch is filled up with examples of weight 0, so that all batches have one shape. They
have no part in the loss; batch normalization, whose statistics are of all examples in the batch, would
still see them. Which examples count is known to the loop and not to the layer. A model is a pytree, so the
loop tells the layer by putting the mask into its record: `mask_batch(model, mask)` is the same model,
each layer in it that is an `OverBatch` knowing the mask. No layer in between needs to pass anything on.
"""

from typing import Any

import jax

from jaxopt_notes.layers.layer import Layer
from jaxopt_notes.record import replace

__all__ = ["OverBatch", "mask_batch"]


class OverBatch:
    """A layer that computes something of the whole batch, and whose record has a field `mask`.

    The mask is `None`, or bools of shape [B] or of the leading axes of the input ([B, T] for sequences
    filled up to one length): what is False counts nothing.

    Example:
        >>> from jaxopt_notes.layers.batch_norm import batch_norm
        >>> isinstance(batch_norm(), OverBatch)
        True
    """


def mask_batch(model: Layer, mask: jax.Array | None) -> Any:
    """The same model, its batch statistics taken of some of the examples only.

    Arguments:
        model: a layer of any kind, with others in it.
        mask: bools [B] (or [B, T, …]), False for examples that only fill the batch; None: all count.

    Returns:
        The model; parameters and states are as before. Models without such layers come back as they are.

    Example:
        >>> import jax.numpy as jnp
        >>> from jaxopt_notes.layers.batch_norm import batch_norm
        >>> layer = mask_batch(batch_norm(momentum=0.0), jnp.array([True, True, False]))
        >>> x = jnp.array([[1.0], [3.0], [1e6]])
        >>> params, state = layer.init(jax.random.key(0), x)
        >>> layer.apply(params, state, x, train=True)[1]["mean"]
        Array([2.], dtype=float32)

    Elsewhere: Flax's `BatchNorm` takes a mask in its call, through which every module has to pass it;
    torch makes the last batch smaller.
    """

    def is_over_batch(node: Any) -> bool:
        return isinstance(node, OverBatch)

    def told(node: Any) -> Any:
        return replace(node, mask=mask) if is_over_batch(node) else node

    return jax.tree.map(told, model, is_leaf=is_over_batch)
