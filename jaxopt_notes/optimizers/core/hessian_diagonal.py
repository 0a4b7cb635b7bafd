"""Estimates of the Hessian's diagonal, each from one random vector and about as much work as a gradient.

Hutchinson's is of the Hessian itself and may be negative; that of Gauss, Newton and Bartlett is of the
Gauss–Newton matrix, which is the Hessian where predictions are right on average, and never negative.
"""

import zlib
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax

from jaxopt_notes.dtypes import Tree, is_float, is_none, real_dtype
from jaxopt_notes.masks import path_name
from jaxopt_notes.numerics import abs_squared
from jaxopt_notes.optimizers.core.trainable import scalar
from jaxopt_notes.record import Number


def hutchinson(loss: Callable[[Tree], Any], params: Tree, key: jax.Array) -> Tree:
    """An unbiased estimate of the Hessian's diagonal: s·(H·s) for random signs s.

    Arguments:
        loss: a function of the parameters.
        params: floating-point leaves, or `None`. Of a complex number the mean of both curvatures is meant.
        key: a random key; every leaf draws from a key of its path.

    Returns:
        A tree like the parameters; exact where the Hessian is diagonal. It costs about two gradients.

    Example:
        >>> curvatures = jnp.array([1.0, 10.0])
        >>> print(hutchinson(lambda x: jnp.sum(curvatures * x**2 / 2), jnp.ones(2), jax.random.key(0)))
        [ 1. 10.]

    Source: Bekas et al. 2007, "An estimator for the diagonal of a matrix".
    """

    def signs(path: tuple, x: jax.Array) -> jax.Array:
        own = jax.random.fold_in(key, zlib.crc32(path_name(path).encode()))
        kind = real_dtype(x.dtype)
        if not jnp.iscomplexobj(x):
            return jax.random.rademacher(own, x.shape, kind)
        real, imaginary = jax.random.rademacher(own, (2, *x.shape), kind) * jnp.asarray(0.5**0.5, kind)
        return lax.complex(real, imaginary)

    def slope(params: Tree) -> Tree:
        grads = jax.grad(lambda x: scalar(loss(x), jnp.result_type(float)))(params)
        return jax.tree.map(jnp.conj, grads)  # of real numbers it is the number

    directions = jax.tree.map_with_path(signs, params)
    _, products = jax.jvp(slope, (params,), (directions,))
    return jax.tree.map(lambda s, h: jnp.real(jnp.conj(s) * h), directions, products)


def gauss_newton_bartlett(sampled_value_fn: Callable, batch_size: Number) -> Callable:
    """An estimate of the Gauss–Newton matrix's diagonal, for `hessian_fn=` of `sophia`.

        h = B·|∇L̂|²,  L̂ the mean loss of B examples with labels drawn from the model's own predictions

    Arguments:
        sampled_value_fn: `(params, key) -> L̂`; it draws the labels with the key, and lets no gradient through
            the draw.
        batch_size: B.

    Returns:
        A function `(params, key) -> tree`. It is never negative, unbiased, and costs one gradient.

    Example:
        >>> def sampled_value(logit, key):  # one coin, thrown eight times
        ...     labels = jax.random.bernoulli(key, jax.nn.sigmoid(logit), (8,)).astype(float)
        ...     return jnp.mean(jax.nn.softplus(logit) - labels * logit)
        >>> estimate = gauss_newton_bartlett(sampled_value, 8)
        >>> keys = jax.random.split(jax.random.key(0), 10_000)
        >>> print(f"{jnp.mean(jax.vmap(lambda key: estimate(0.0, key))(keys)):.2f}")  # p·(1 − p)
        0.25

    Source: Liu et al. 2024, algorithm 2.
    """

    def estimate(params: Tree, key: jax.Array) -> Tree:
        def times_square(g: Any, p: Any) -> Any:
            square = abs_squared(g) if is_float(p) else None
            return square if square is None else square * jnp.asarray(batch_size).astype(square.dtype)

        grads = jax.grad(sampled_value_fn, allow_int=True)(params, key)
        return jax.tree.map(times_square, grads, params, is_leaf=is_none)

    return estimate
