"""A sequence made one vector: its mean, its largest numbers, or its last step, padding left out."""

import jax
import jax.numpy as jnp

from jaxopt_notes.dtypes import Tree, compute_dtype
from jaxopt_notes.layers.layer import WithoutParameters, floating
from jaxopt_notes.layers.recurrent import check_mask, check_sequence
from jaxopt_notes.record import check_choice, record, static

__all__ = ["SequencePool", "sequence_pool"]


@record
class SequencePool(WithoutParameters):
    """See `sequence_pool`."""

    kind: str = static()

    def apply(
        self,
        params: Tree,
        state: Tree,
        x: jax.Array,
        *,
        key: jax.Array | None = None,
        train: bool = False,
        mask: jax.Array | None = None,
    ) -> tuple[jax.Array, Tree]:
        x = floating(x)
        check_sequence("sequence_pool", x)
        check_mask(mask, x.shape[:2])
        there = jnp.ones(x.shape[:2], bool) if mask is None else mask
        any_there, there = jnp.any(there, axis=1)[:, None], there[:, :, None]
        if self.kind == "last":
            places = jnp.where(there[:, :, 0], jnp.arange(x.shape[1], dtype=jnp.int32)[None], -1)
            y = jnp.take_along_axis(x, jnp.max(places, axis=1)[:, None, None] % x.shape[1], axis=1)[:, 0]
        elif self.kind == "max":
            y = jnp.max(jnp.where(there, x, jnp.asarray(-jnp.inf, x.dtype)), axis=1)
        else:
            wide = jnp.where(there, x, jnp.zeros_like(x)).astype(compute_dtype(x))
            count = jnp.maximum(jnp.sum(there, axis=1), 1).astype(wide.dtype)
            y = (jnp.sum(wide, axis=1) / count).astype(x.dtype)
        return jnp.where(any_there, y, jnp.zeros_like(y)), state


def sequence_pool(kind: str = "mean") -> SequencePool:
    """The mean, the largest numbers or the last step of a sequence.

        y[b] = mean, max or last of x[b, t] over the steps t that are there

    Arguments:
        kind: "mean", "max" or "last".

    Returns:
        A `SequencePool` record, from [B, T, D] to [B, D]; `apply` takes a `mask` [B, T]. A sequence of which
        no step is there gives zeros.

    Raises:
        ValueError: another kind; in `apply`, an input that is not of rank 3, a mask of another shape.

    Example:
        >>> x = jnp.array([[[1.0], [3.0], [8.0]]])
        >>> sequence_pool().apply({}, (), x, mask=jnp.array([[True, True, False]]))[0]
        Array([[2.]], dtype=float32)

    Elsewhere: Keras' `GlobalAveragePooling1D` takes a mask too.
    """
    return SequencePool(check_choice("sequence_pool(kind)", kind, ("mean", "max", "last")))
