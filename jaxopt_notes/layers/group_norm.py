"""Group and instance normalization: each sample by itself, over its pixels and the channels of a group.

Between layer normalization of whole images (one group) and instance normalization (a group for each
channel). Neither needs a batch, so the output for one sample never depends on the others, and batches of
one or two, as large images leave room for, cost no accuracy.
"""

import jax

from jaxopt_notes.dtypes import Tree, compute_dtype
from jaxopt_notes.initializers import check_initializer, ones, zeros
from jaxopt_notes.initializers.initializer import Initializer
from jaxopt_notes.layers.layer import Shaped, floating
from jaxopt_notes.layers.normalization import check_axes, moments, normalize, parameters
from jaxopt_notes.record import Number, check_count, check_number, record, static

__all__ = ["GroupNorm", "group_norm", "instance_norm"]


@record
class GroupNorm:
    """See `group_norm` and `instance_norm`."""

    groups: int | None = static()
    eps: Number
    use_scale: bool = static()
    use_bias: bool = static()
    scale_init: Initializer
    bias_init: Initializer

    def init(self, key: jax.Array, x: Shaped) -> tuple[Tree, Tree]:
        self._groups_of(x)
        return parameters(self, key, x, (-1,)), ()

    def apply(
        self, params: Tree, state: Tree, x: jax.Array, *, key: jax.Array | None = None, train: bool = False
    ) -> tuple[jax.Array, Tree]:
        x = floating(x)
        check_axes("group_norm" if self.groups else "instance_norm", x, params, (-1,))
        split = self._groups_of(x), -1  # channels as groups of channels
        grouped = x.astype(compute_dtype(x)).reshape(*x.shape[:-1], *split)
        scale, bias = (params[name].reshape(split) if name in params else None for name in ("scale", "bias"))
        within = (*range(1, x.ndim - 1), x.ndim)  # all but the batch and the groups
        y = normalize(grouped, *moments(grouped, within), self.eps, scale, bias, (-2, -1))
        return y.reshape(x.shape).astype(x.dtype), state

    def _groups_of(self, x: Shaped) -> int:
        channels = x.shape[-1]
        if self.groups is None and len(x.shape) < 3:
            raise ValueError(
                f"instance_norm(x) has shape {tuple(x.shape)}, expected [batch, …, channels] with axes "
                "between them to average over: for vectors use layer_norm."
            )
        if self.groups is not None and channels % self.groups:
            raise ValueError(
                f"group_norm(groups) is {self.groups}, expected a divisor of the {channels} channels of x "
                f"{tuple(x.shape)}."
            )
        return channels if self.groups is None else self.groups


def group_norm(
    groups: int = 32,
    eps: Number = 1e-5,
    *,
    use_scale: bool = True,
    use_bias: bool = True,
    scale_init: Initializer = ones(),
    bias_init: Initializer = zeros(),
) -> GroupNorm:
    """Group normalization: each sample, over all pixels and the channels of a group.

        μ = mean(x), σ² = mean((x − μ)²)  over H, W and C/groups      y = γ·(x − μ)/√(σ² + eps) + β

    Statistics are float32 for inputs of lower precision; γ and β are the channels' own.

    Arguments:
        groups: how many groups of neighbouring channels; it divides C. 1 is layer normalization of the
            whole image but for γ and β.
        eps: added inside the root, > 0.
        use_scale, use_bias: whether there is γ, and β.
        scale_init, bias_init: initializers of both.

    Returns:
        A `GroupNorm` record, for x [B, …, C]; params {"scale": γ, "bias": β}, each of shape [C].

    Raises:
        ValueError: eps is not positive; groups that do not divide the channels.
        TypeError: `groups` is not a whole number; an argument is not a number or an initializer.

    Example:
        >>> import jax.numpy as jnp
        >>> layer = group_norm(2)
        >>> x = jnp.array([[1.0, 3.0, 10.0, 30.0]])
        >>> params, state = layer.init(jax.random.key(0), x)
        >>> layer.apply(params, state, x)[0].round(3)
        Array([[-1.,  1., -1.,  1.]], dtype=float32)

    Source: Wu & He 2018, eq. 1, 2 and 7.

    Elsewhere: torch has the same eps and asks for the number of channels; Flax and Keras have 1e-6 and
    1e-3, and 32 groups as here.
    """
    return GroupNorm(
        check_count("group_norm(groups)", groups, 1),
        check_number("group_norm(eps)", eps, "(0, inf)", "the usual value is 1e-5"),
        use_scale,
        use_bias,
        check_initializer("group_norm(scale_init)", scale_init),
        check_initializer("group_norm(bias_init)", bias_init),
    )


def instance_norm(
    eps: Number = 1e-5,
    *,
    use_scale: bool = True,
    use_bias: bool = True,
    scale_init: Initializer = ones(),
    bias_init: Initializer = zeros(),
) -> GroupNorm:
    """Instance normalization: each channel of each sample, over its pixels.

        μ = mean(x), σ² = mean((x − μ)²)  over H, W      y = γ·(x − μ)/√(σ² + eps) + β

    It takes away the contrast of an image. Statistics are float32 for inputs of lower precision.

    Arguments:
        eps: added inside the root, > 0.
        use_scale, use_bias: whether there is γ, and β.
        scale_init, bias_init: initializers of both.

    Returns:
        A `GroupNorm` record with a group for each channel, for x [B, …, C] with pixels between;
        params {"scale": γ, "bias": β}, each of shape [C].

    Raises:
        ValueError: eps is not positive; x has no axes but batch and channels.
        TypeError: an argument is not a number or an initializer.

    Example:
        >>> import jax.numpy as jnp
        >>> layer = instance_norm()
        >>> x = jnp.array([[[1.0, 10.0], [3.0, 30.0]]])
        >>> params, state = layer.init(jax.random.key(0), x)
        >>> layer.apply(params, state, x)[0].round(3)
        Array([[[-1., -1.],
                [ 1.,  1.]]], dtype=float32)

    Source: Ulyanov, Vedaldi & Lempitsky 2016, eq. 4.

    Elsewhere: torch has no γ and β unless `affine=True`; Flax has eps 1e-6.
    """
    return GroupNorm(
        None,
        check_number("instance_norm(eps)", eps, "(0, inf)", "the usual value is 1e-5"),
        use_scale,
        use_bias,
        check_initializer("instance_norm(scale_init)", scale_init),
        check_initializer("instance_norm(bias_init)", bias_init),
    )
