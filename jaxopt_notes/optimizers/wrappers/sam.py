"""Sharpness-aware minimization: the gradient is taken where the loss is worst nearby.

One step of length ρ up the gradient leads to about the highest point of a small ball around the parameters.
The gradient there, used at the parameters themselves, leads to minima whose whole neighbourhood is low. A
step costs two gradients, the second of which the wrapper computes itself, from the loss.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from jaxopt_notes.dtypes import Tree, as_hyperparameter
from jaxopt_notes.norms import global_norm
from jaxopt_notes.numerics import abs_squared, safe_divide
from jaxopt_notes.optimizers.core.chain import as_transform
from jaxopt_notes.optimizers.core.evaluation_params import evaluation_params
from jaxopt_notes.optimizers.core.gradient_transform import Accept, GradientTransform
from jaxopt_notes.optimizers.core.leafwise import Transform, require_params
from jaxopt_notes.optimizers.core.trainable import merge, moving, objective, scalar
from jaxopt_notes.optimizers.core.wrapping import narrowed, update_inner, widened
from jaxopt_notes.record import Number, check_number, record, static


class SAMState(NamedTuple):
    """The wrapped optimizer's state."""

    inner: Tree


@record
class SAM(Transform):
    """See `sam`."""

    optimizer: GradientTransform
    rho: Number
    adaptive: bool = static()

    def init(self, params: Tree) -> SAMState:
        return SAMState(self.optimizer.init(params))

    def update(
        self,
        updates: Tree,
        state: SAMState,
        params: Tree = None,
        *,
        value_fn: Callable | None = None,
        grad_fn: Callable | None = None,
        accept: Accept = None,
        **extra: Any,
    ) -> tuple[Tree, SAMState]:
        params = require_params("sam", params)
        grads, here = moving(updates, params)
        there = ascend(grads, here, self.rho, self.adaptive)
        if grad_fn is not None:
            found, _ = moving(grad_fn(merge(there, params), 0), params)
        else:
            loss = objective("sam", "value_fn", value_fn, params, lambda x: x, extra)
            found = jax.grad(lambda x: scalar(loss(x), jnp.result_type(float)))(there)
            found = jax.tree.map(jnp.conj, found)  # of real numbers it is the number
        wide = widened(params)
        perturbed = merge(found, widened(updates))
        passed = {"value_fn": value_fn, "grad_fn": grad_fn, **extra}
        steps, inner = update_inner(self.optimizer, perturbed, state.inner, wide, accept, passed)
        return narrowed(steps, params), SAMState(inner)

    def evaluation_params(self, params: Tree, state: SAMState) -> Tree:
        return evaluation_params(self.optimizer, params, state.inner)


def ascend(grads: Tree, params: Tree, rho: Any, adaptive: bool = False) -> Tree:
    """θ + ρ·g/‖g‖, or θ + ρ·|θ|²g/‖|θ|g‖; θ itself where the gradient is 0.

    Example:
        >>> print(ascend(jnp.array([3.0, 4.0]), jnp.array([1.0, 1.0]), 0.5))
        [1.3 1.4]
    """
    if adaptive:
        norm = global_norm(jax.tree.map(lambda g, p: jnp.abs(p).astype(g.dtype) * g, grads, params))
        grads = jax.tree.map(lambda g, p: abs_squared(p).astype(g.dtype) * g, grads, params)
    else:
        norm = global_norm(grads)
    scale = safe_divide(as_hyperparameter(rho).astype(norm.dtype), norm)
    return jax.tree.map(lambda p, g: p + scale.astype(g.dtype) * g, params, grads)


def sam(optimizer: GradientTransform, rho: Number = 0.05, *, adaptive: bool = False) -> SAM:
    """Sharpness-aware minimization around any optimizer.

        θ' = θ + ρ·g/‖g‖
        θ ← θ + optimizer(∇L(θ'))

    Arguments:
        optimizer: any optimizer or chain.
        rho: ρ ≥ 0, how far away the gradient is taken; 0 is the optimizer alone.
        adaptive: whether the ball is measured in units of the parameters, θ' = θ + ρ·|θ|²g/‖|θ|g‖, so that
            it does not matter how a network's scales are shared out between its layers (ρ of 0.5 to 2).

    Returns:
        A `SAM` record; its state holds `inner`. `update` needs `params` and one of two: `value_fn=`, the
        loss as a function of the parameters, or `grad_fn=`, called as `grad_fn(params, 0)`, for a gradient
        of another kind or of another batch. The gradients given are those at the parameters, the norm is
        that of all leaves, and parameters are in at least float32 for both functions. Arguments of
        `update` that `value_fn` has a name for are passed on to it, and all of them to the optimizer.

    Raises:
        ValueError: a negative ρ, `update` without params or without a function.
        TypeError: an argument is not a number.

    Example:
        >>> from jaxopt_notes.optimizers.sgd import sgd
        >>> loss = lambda x: jnp.sum(x**2)
        >>> optimizer, x = sam(sgd(0.25), rho=0.5), jnp.array([3.0, 4.0])
        >>> updates, _ = optimizer.update(2 * x, optimizer.init(x), x, value_fn=loss)
        >>> print(updates)  # half of [3.3, 4.4]
        [-1.65 -2.2 ]

    Source: Foret et al. 2021, algorithm 1; Kwon et al. 2021, equation 8 (adaptive).

    Elsewhere: `optax.contrib.sam(optimizer, chain(normalize(), sgd(ρ)), opaque_mode=True)` with `grad_fn=`
    is the same (NaN where all gradients are 0); its other mode needs no function, and two calls of `update`
    for a step. torch has none.
    """
    return SAM(
        optimizer=as_transform(optimizer),
        rho=check_number("sam(rho)", rho, "[0, inf)", "0 is the optimizer alone"),
        adaptive=adaptive,
    )
