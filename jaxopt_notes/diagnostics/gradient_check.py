"""Whether a gradient is that of the loss: against differences, leaf by leaf, along random directions."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from jaxopt_notes.diagnostics.curvature import Loss, of_vector
from jaxopt_notes.dtypes import Tree, is_float
from jaxopt_notes.masks import path_name
from jaxopt_notes.optimizers.core.trainable import moving, ravel
from jaxopt_notes.record import check_count

__all__ = ["GradientCheck", "gradient_check"]


class GradientCheck(NamedTuple):
    """How far a gradient is from differences.

    Arguments:
        errors: {path of the leaf: the largest relative error over directions}.
        worst: the largest of all.

    Example:
        >>> bool(GradientCheck({"kernel": jnp.array(1e-9)}, jnp.array(1e-9)).worst < 1e-6)
        True
    """

    errors: dict[str, jax.Array]
    worst: jax.Array


def gradient_check(
    loss: Loss, params: Tree, key: jax.Array, *args: Any, gradient: Tree = None, directions: int = 2
) -> GradientCheck:
    """A gradient against central differences.

        |(L(θ + hv) − L(θ − hv))/(2h) − gᵀv| / max(|difference|, |gᵀv|),     ‖v‖ = 1 within one leaf

    Arguments:
        loss: `loss(params, *args) -> scalar`. What is random in it must have its key: with a mask of
            dropout drawn anew each call there is nothing to compare.
        params: a tree; leaves that are not floating-point stand still.
        key: a typed random key, of the directions.
        *args: what else the loss takes, such as x and y.
        gradient: what is checked, a tree like the parameters; by default what `jax.grad` finds. Of a complex
            leaf it is the direction of ascent, the conjugate of what `jax.grad` gives.
        directions: how many for each leaf, static.

    Returns:
        A `GradientCheck`. In float64 (`jax.enable_x64`) errors below 1e-6 are rounding, and above 1e-4 a
        fault; in float32 there are two or three digits at most. Both are 0 where neither finds a slope, and
        a kink (ReLU at 0) within h of the point shows as an error that is none.

    Raises:
        ValueError: no directions. TypeError: no whole number.

    Example:
        >>> loss = lambda p: jnp.sum(p["w"] ** 3)
        >>> check = lambda g: gradient_check(loss, {"w": jnp.arange(1.0, 3.0)}, jax.random.key(0), gradient=g)
        >>> print(check(None).worst < 0.01, check({"w": jnp.array([3.0, 11.0])}).worst < 0.01)
        True False

    Source: the lectures CS231n, "Gradient checks"; the study notes.

    Elsewhere: `jax.test_util.check_grads` checks JAX's own rules and raises; `torch.autograd.gradcheck`
    compares whole Jacobians, in float64 only.
    """
    count = check_count("gradient_check(directions)", directions, 1)
    function, x, _ = of_vector(loss, params, args)
    given = None if gradient is None else ravel(moving(gradient, params)[0])[0].astype(x.dtype)
    g = jax.grad(function)(x) if given is None else given
    leaves = [(path_name(path), leaf) for path, leaf in jax.tree.leaves_with_path(params) if is_float(leaf)]
    sizes = [jnp.size(leaf) * (2 if jnp.iscomplexobj(leaf) else 1) for _, leaf in leaves]
    ends = np.cumsum(sizes)
    starts = ends - sizes
    step = jnp.finfo(x.dtype).eps ** (1 / 3)
    place = jnp.arange(x.size)

    def error(inputs: tuple) -> jax.Array:
        start, end, key = inputs
        own = (place >= start) & (place < end)
        v = jnp.where(own, jax.random.normal(key, x.shape, x.dtype), jnp.zeros_like(x))
        v = v / jnp.linalg.norm(v)
        h = step * (1 + jnp.max(jnp.where(own, jnp.abs(x), jnp.zeros_like(x)))).astype(x.dtype)
        difference = (function(x + h * v) - function(x - h * v)) / (2 * h)
        slope = jnp.sum(g * v)
        size = jnp.maximum(jnp.abs(difference), jnp.abs(slope))
        return jnp.where(size > 0, jnp.abs(difference - slope) / size, jnp.zeros_like(size))

    keys = jax.random.split(key, len(leaves) * count)
    rows = (jnp.repeat(jnp.asarray(starts), count), jnp.repeat(jnp.asarray(ends), count), keys)
    found = jnp.max(lax.map(error, rows).reshape(len(leaves), count), axis=1)
    return GradientCheck({name: found[i] for i, (name, _) in enumerate(leaves)}, jnp.max(found))
