"""What normalization layers share: statistics over some axes, then a scale and a shift of each feature.

The layers differ in the axes they average over. For images [B, H, W, C]: batch normalization over B, H, W;
layer normalization over C; instance normalization over H, W; group normalization over H, W and the
channels of a group. `moments` and `normalize` are the formula of all of them. A scale or a shift that is
left out is no parameter at all, and `scale_init=zeros()` on the last normalization of a residual branch
(zero-γ) makes a deep network start as the identity.
"""

import functools
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax

from jaxopt_notes.dtypes import Tree, as_hyperparameter
from jaxopt_notes.layers.layer import Shaped, parameter_dtype
from jaxopt_notes.record import Number

__all__ = ["moments", "normalize"]


def moments(x: jax.Array, axes: Sequence[int]) -> tuple[jax.Array, jax.Array]:
    """Mean and (biased, 1/m) variance over some axes, which are kept with size 1.

    The variance is the mean square of the centred values: E[x²] − E[x]² would lose it to rounding
    where the mean is large.

    Example:
        >>> print(*moments(jnp.array([[1.0], [3.0]]), (0,)))
        [[2.]] [[1.]]
    """
    return _moments(x, tuple(axes))


@functools.partial(jax.custom_jvp, nondiff_argnums=(1,))
def _moments(x: jax.Array, axes: tuple[int, ...]) -> tuple[jax.Array, jax.Array]:
    mean = jnp.mean(x, axes, keepdims=True)
    return mean, jnp.mean(jnp.square(x - mean), axes, keepdims=True)


@_moments.defjvp
def _moments_tangent(axes: tuple[int, ...], primals: tuple, tangents: tuple) -> tuple[tuple, tuple]:
    """The variance does not move with the mean, whose centred values sum to 0: a pass less over x."""
    (x,), (dx,) = primals, tangents
    mean, var = _moments(x, axes)
    dvar = 2 * jnp.mean((x - mean) * dx, axes, keepdims=True)
    return (mean, var), (jnp.mean(dx, axes, keepdims=True), dvar)


def normalize(
    x: jax.Array,
    mean: jax.Array | None,
    var: jax.Array,
    eps: Number,
    scale: jax.Array | None = None,
    bias: jax.Array | None = None,
    axis: Sequence[int] = (-1,),
) -> jax.Array:
    """scale·(x − mean)/√(var + eps) + bias, in the dtype of x; what is None is left out.

    Arguments:
        x: floating-point, of any shape.
        mean, var: of the rank of x, 1 along the axes they were taken over; without a mean nothing is
            subtracted.
        eps: added inside the root.
        scale, bias: parameters of the features.
        axis: the axes of x that they stand on, in order.

    Example:
        >>> x = jnp.array([[1.0], [3.0]])
        >>> normalize(x, *moments(x, (0,)), 0.0, jnp.array([2.0]), jnp.array([0.5])).ravel()
        Array([-1.5,  2.5], dtype=float32)
    """
    factor = lax.rsqrt(var + as_hyperparameter(eps).astype(x.dtype))
    if scale is not None and along(scale, x, axis).shape == factor.shape:
        factor, scale = factor * along(scale, x, axis), None  # of features, before all values take it
    return scale_and_shift((x if mean is None else x - mean) * factor, scale, bias, axis)


def scale_and_shift(
    x: jax.Array, scale: jax.Array | None, bias: jax.Array | None, axis: Sequence[int]
) -> jax.Array:
    """scale·x + bias, both on some axes of x, in its dtype; what is None is left out."""
    y = x if scale is None else along(scale, x, axis) * x
    return y if bias is None else y + along(bias, y, axis)


def along(values: jax.Array, like: jax.Array, axis: Sequence[int]) -> jax.Array:
    """Values on some axes of `like`, in order, shaped to broadcast over the others, in its dtype."""
    kept = {a % like.ndim for a in axis}
    return values.astype(like.dtype).reshape([n if a in kept else 1 for a, n in enumerate(like.shape)])


def parameters(layer: Any, key: jax.Array, x: Shaped, axis: Sequence[int]) -> Tree:
    """A scale and a bias of the shape of some axes of x, those that the layer uses."""
    shape, dtype = tuple(x.shape[a] for a in axis), parameter_dtype(x)
    kinds = {"scale": (layer.use_scale, layer.scale_init), "bias": (layer.use_bias, layer.bias_init)}
    keys = [None, None] if key is None else jax.random.split(key)
    return {
        name: init(key, shape, dtype)
        for (name, (used, init)), key in zip(kinds.items(), keys, strict=True)
        if used
    }


def check_axes(layer: str, x: Shaped, values: Tree, axis: Sequence[int]) -> None:
    """Raise unless x has the features that parameters or running statistics were made for.

    Broadcasting would otherwise let one feature stand for all, and answer in another shape.
    """
    for name, leaf in values.items():
        shape = tuple(leaf.shape)
        if x.ndim < len(axis) or shape != tuple(x.shape[a] for a in axis):
            raise ValueError(
                f"{layer}(x) has shape {tuple(x.shape)}, its {name} was made for {shape} features on axis "
                f"{axis[0] if len(axis) == 1 else tuple(axis)}: give it such inputs, or call init again "
                "with these."
            )


def as_axes(where: str, axis: int | Sequence[int]) -> tuple[int, ...]:
    """One or several axes of features as a tuple, in the order in which x has them."""
    axes = tuple(axis) if isinstance(axis, tuple | list) else (axis,)
    whole = all(isinstance(a, int) and not isinstance(a, bool) for a in axes)
    if not axes or not whole or len(set(axes)) < len(axes) or 0 in axes or min(axes) < 0 < max(axes):
        raise ValueError(
            f"{where} is {axis!r}, expected one axis or several, none of them 0 (the batch), all counted "
            "from the same end: -1 is the last one."
        )
    return tuple(sorted(axes))
