"""The Jacobian penalty: outputs that change little with the inputs.

It is no matter of the parameters alone: it looks at the network where the training examples are. So it runs
the model itself (see the package on penalties of the model).
"""

import functools
import math
from typing import Any

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike

from jaxopt_notes.dtypes import Tree, as_hyperparameter, compute_dtype
from jaxopt_notes.losses.reduction import weighted_mean
from jaxopt_notes.norms import norm_over
from jaxopt_notes.numerics import abs_squared, safe_divide
from jaxopt_notes.record import Number, check_count, check_number, record, static

__all__ = ["Jacobian", "jacobian_penalty"]


@record
class Jacobian:
    """See `jacobian_penalty`."""

    strength: Number
    projections: int | None = static()

    def apply(
        self,
        model: Any,
        params: Tree,
        state: Tree,
        x: Tree,
        targets: Tree = None,
        weights: jax.Array | None = None,
        *,
        key: jax.Array | None = None,
        train: bool = True,
    ) -> tuple[Any, Tree, jax.Array]:
        model_key, own_key = (None, None) if key is None else jax.random.split(key)

        def outputs(x: ArrayLike) -> tuple:
            return model.apply(params, state, x, key=model_key, train=train)

        y: jax.Array
        y, pull, state = jax.vjp(outputs, x, has_aux=True)
        squares = jax.vmap(lambda v: sum_of_squares(pull(v)[0]))(self._directions(y, own_key))
        cost = weighted_mean(jnp.sum(squares, axis=0), weights)
        return y, state, 0.5 * as_hyperparameter(self.strength).astype(cost.dtype) * cost

    def _directions(self, y: jax.Array, key: jax.Array | None) -> jax.Array:
        """Cotangents [n, B, …]: of each output alone, or random ones of a length that keeps the mean."""
        count = math.prod(y.shape[1:])
        if self.projections is None:
            units = jnp.eye(count, dtype=y.dtype).reshape(count, 1, *y.shape[1:])
            return jnp.broadcast_to(units, (count, *y.shape))
        if key is None:
            raise ValueError(
                "jacobian_penalty(projections) draws at random and needs key=; projections=None does not."
            )
        v = jax.random.normal(key, (self.projections, *y.shape), compute_dtype(y))
        v = safe_divide(v, norm_over(v, tuple(range(2, v.ndim))) + jnp.zeros_like(v))
        return (v * (count / self.projections) ** 0.5).astype(y.dtype)


def sum_of_squares(tree: Tree) -> jax.Array:
    """Σ of squares for each example [B], over all leaves [B, …] of a tree, in at least float32."""
    parts = [abs_squared(leaf.astype(compute_dtype(leaf))) for leaf in jax.tree.leaves(tree)]
    sums = [jnp.sum(part.reshape(len(part), -1), axis=1) for part in parts]
    return functools.reduce(jnp.add, sums)


def jacobian_penalty(strength: Number, projections: int | None = 1) -> Jacobian:
    """The Jacobian penalty: half the mean square of the outputs' derivatives by the inputs.

        Ω(θ) = ½·λ·1/B·Σᵢ ‖∂f(xᵢ; θ)/∂xᵢ‖²_F          ‖J‖²_F ≈ C/n·Σ_k ‖vₖᵀJ‖²,  vₖ random, ‖vₖ‖ = 1

    Arguments:
        strength: λ ≥ 0; 0 switches it off.
        projections: n, random directions among the C outputs; one is enough, because the next step draws
            another. `None` for the exact norm, C backward passes. Static.

    Returns:
        A `Jacobian` record for `Trainer(penalty=…)`: `apply(model, params, state, x, …)`.

    Raises:
        ValueError: λ < 0, or no projection. TypeError: an argument is not a number.

    Example:
        >>> from jaxopt_notes.layers.dense import dense
        >>> params = {"kernel": jnp.array([[1.0, 2.0], [0.0, 3.0]]), "bias": jnp.zeros(2)}
        >>> y, state, cost = jacobian_penalty(1.0, None).apply(dense(2), params, (), jnp.ones((4, 2)))
        >>> print(cost)
        7.0

    Source: Hoffman, Roberts & Yaida 2019, algorithm 1; Sokolić et al. 2017.
    """
    if projections is not None:
        projections = check_count("jacobian_penalty(projections)", projections, 1, "None is exact")
    remedy = "0 switches the penalty off"
    return Jacobian(check_number("jacobian_penalty(strength)", strength, "[0, inf)", remedy), projections)
