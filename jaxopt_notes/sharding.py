"""Arrays cut over the `Explicit` axes of a mesh, where an algorithm needs all of an array in one place.

With `Auto` axes XLA chooses where an array goes; with `Explicit` ones its type says so, and JAX refuses what
would leave the choice open: a reshape across a cut axis, a product over one, a concatenation of arrays cut
differently. What is elementwise needs nothing. The rest gathers an array first (`whole`) and cuts the result
as it was (`placed_like`). Where there is no such axis both return what they are given: no program changes.
"""

from typing import Any

import jax
import jax.numpy as jnp
from jax.sharding import NamedSharding, PartitionSpec
from jax.typing import ArrayLike

__all__ = ["is_cut", "placed_like", "rows_of", "whole"]


def is_cut(x: Any) -> bool:
    """Whether an array is cut over an explicit axis.

    Example:
        >>> is_cut(jnp.zeros(3))
        False
    """
    return any(jax.typeof(x).sharding.spec)


def whole(x: Any) -> Any:
    """The array with all of its entries on every device of its mesh, if it was cut over an explicit axis.

    Example:
        >>> mesh = jax.make_mesh((1,), ("data",), axis_types=(jax.sharding.AxisType.Explicit,))
        >>> x = jax.device_put(jnp.zeros((4, 2)), NamedSharding(mesh, PartitionSpec("data")))
        >>> jax.typeof(x), jax.typeof(whole(x))
        (ShapedArray(float32[4@data,2]), ShapedArray(float32[4,2]))
    """
    return (
        jax.sharding.reshard(x, NamedSharding(jax.typeof(x).sharding.mesh, PartitionSpec()))
        if is_cut(x)
        else x
    )


def rows_of(x: Any, indices: ArrayLike) -> jax.Array:
    """`x[indices]`; of an array cut over an explicit axis these rows alone are gathered, on every device.

    Example:
        >>> rows_of(jnp.array([1.0, 2.0, 3.0]), jnp.array([2, 0]))
        Array([3., 1.], dtype=float32)
    """
    x = jnp.asarray(x)
    if not is_cut(x):
        return x[indices]
    return x.at[indices].get(out_sharding=NamedSharding(jax.typeof(x).sharding.mesh, PartitionSpec()))


def placed_like(x: jax.Array, like: Any, axes: tuple[int, ...] | None = None) -> jax.Array:
    """The array cut over explicit axes as another one is.

    Arguments:
        x: any array.
        like: whose cuts those are.
        axes: which axes of `like` the last axes of `x` are; by default all of them. Others are not cut.

    Example:
        >>> mesh = jax.make_mesh((1,), ("data",), axis_types=(jax.sharding.AxisType.Explicit,))
        >>> like = jax.device_put(jnp.zeros((4, 2)), NamedSharding(mesh, PartitionSpec("data")))
        >>> jax.typeof(placed_like(jnp.zeros((5, 4, 2)), like))
        ShapedArray(float32[5,4@data,2])
        >>> jax.typeof(placed_like(jnp.zeros(4), like, axes=(0,)))
        ShapedArray(float32[4@data])
    """
    if not is_cut(like):
        return x
    mesh, spec = jax.typeof(like).sharding.mesh, jax.typeof(like).sharding.spec
    cuts = [spec[axis] for axis in (range(len(spec)) if axes is None else axes)]
    place = PartitionSpec(*[None] * (jnp.ndim(x) - len(cuts)), *cuts)
    return jax.sharding.reshard(x, NamedSharding(mesh, place))
