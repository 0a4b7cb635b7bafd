"""RMS normalization: each sample is divided by the root of its mean square, then scaled.

Layer normalization without its mean: what it keeps is the invariance to the scale of a sample, at less cost.
"""

from collections.abc import Sequence

import jax
import jax.numpy as jnp

from jaxopt_notes.dtypes import Tree, compute_dtype
from jaxopt_notes.initializers import check_initializer, ones
from jaxopt_notes.initializers.initializer import Initializer
from jaxopt_notes.layers.layer import Shaped, floating, parameter_dtype
from jaxopt_notes.layers.normalization import as_axes, check_axes, normalize
from jaxopt_notes.record import Number, check_number, record, static

__all__ = ["RMSNorm", "rms_norm"]


@record
class RMSNorm:
    """See `rms_norm`."""

    eps: Number
    axis: tuple[int, ...] = static()
    use_scale: bool = static()
    scale_init: Initializer

    def init(self, key: jax.Array, x: Shaped) -> tuple[Tree, Tree]:
        shape = tuple(x.shape[a] for a in self.axis)
        return {"scale": self.scale_init(key, shape, parameter_dtype(x))} if self.use_scale else {}, ()

    def apply(
        self, params: Tree, state: Tree, x: jax.Array, *, key: jax.Array | None = None, train: bool = False
    ) -> tuple[jax.Array, Tree]:
        x = floating(x)
        check_axes("rms_norm", x, params, self.axis)
        wide = x.astype(compute_dtype(x))
        mean_square = jnp.mean(jnp.square(wide), self.axis, keepdims=True)
        y = normalize(wide, None, mean_square, self.eps, params.get("scale"), axis=self.axis)
        return y.astype(x.dtype), state


def rms_norm(
    eps: Number = 1e-6,
    *,
    axis: int | Sequence[int] = -1,
    use_scale: bool = True,
    scale_init: Initializer = ones(),
) -> RMSNorm:
    """RMS normalization over the last axis, or over several.

        y = γ·x/√(mean(x²) + eps)

    The mean square is float32 for inputs of lower precision.

    Arguments:
        eps: added inside the root, > 0.
        axis: what the mean is taken over, and γ has: one axis or several, not 0.
        use_scale: whether there is γ.
        scale_init: its initializer.

    Returns:
        An `RMSNorm` record; params {"scale": γ}, of the shape of these axes: [C].

    Raises:
        ValueError: eps is not positive; the batch axis among the axes.
        TypeError: an argument is not a number or an initializer.

    Example:
        >>> layer = rms_norm()
        >>> x = jnp.array([[1.0, -7.0]])
        >>> params, state = layer.init(jax.random.key(0), x)
        >>> layer.apply(params, state, x)[0].round(1)
        Array([[ 0.2, -1.4]], dtype=float32)

    Source: Zhang & Sennrich 2019, eq. 4.

    Elsewhere: Flax has the same eps; torch's is by default that of the input's dtype (1.2e-7 in float32).
    """
    return RMSNorm(
        check_number("rms_norm(eps)", eps, "(0, inf)", "the usual value is 1e-6"),
        as_axes("rms_norm(axis)", axis),
        use_scale,
        check_initializer("rms_norm(scale_init)", scale_init),
    )
