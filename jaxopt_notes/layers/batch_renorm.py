"""Batch renormalization: in training too the output is what evaluation would give, within bounds.

Batch normalization trains on the statistics of a batch and evaluates on running ones; with small batches, or
batches whose examples are alike, the two differ. Here the batch's are corrected by r and d to the running
ones. The correction has no gradient, so the gradient still knows what a batch's mean and variance are made
of; where it is bounded (r_max = 1, d_max = 0) it is batch normalization again. Training starts there and
loosens the bounds, which may be schedules of the number of batches seen.
"""

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax

from jaxopt_notes.dtypes import Tree, as_hyperparameter, compute_dtype
from jaxopt_notes.initializers import check_initializer, ones, zeros
from jaxopt_notes.initializers.initializer import Initializer
from jaxopt_notes.layers.batch_mask import OverBatch
from jaxopt_notes.layers.batch_norm import batch_moments, moved
from jaxopt_notes.layers.layer import Shaped, floating, parameter_dtype
from jaxopt_notes.layers.normalization import (
    along,
    as_axes,
    check_axes,
    normalize,
    parameters,
    scale_and_shift,
)
from jaxopt_notes.record import Number, as_leaf, check_number, record, static
from jaxopt_notes.schedules.schedule import Rate

__all__ = ["BatchRenorm", "batch_renorm"]


@record
class BatchRenorm(OverBatch):
    """See `batch_renorm`."""

    r_max: Rate
    d_max: Rate
    momentum: Number
    eps: Number
    axis: tuple[int, ...] = static()
    axis_name: str | tuple[str, ...] | None = static()
    use_scale: bool = static()
    use_bias: bool = static()
    scale_init: Initializer
    bias_init: Initializer
    mask: Any

    def init(self, key: jax.Array, x: Shaped) -> tuple[Tree, Tree]:
        shape, dtype = tuple(x.shape[a] for a in self.axis), parameter_dtype(x)
        state = {
            "mean": jnp.zeros(shape, dtype),
            "var": jnp.ones(shape, dtype),
            "count": jnp.zeros((), dtype),
        }
        return parameters(self, key, x, self.axis), state

    def apply(
        self, params: Tree, state: Tree, x: jax.Array, *, key: jax.Array | None = None, train: bool = False
    ) -> tuple[jax.Array, Tree]:
        x = floating(x)
        check_axes("batch_renorm", x, {"mean": state["mean"], **params}, self.axis)
        wide = x.astype(compute_dtype(x))
        mean, var = (along(state[name], wide, self.axis) for name in ("mean", "var"))
        if train:
            r_max, d_max = (
                as_hyperparameter(bound(state["count"]) if callable(bound) else bound).astype(wide.dtype)
                for bound in (self.r_max, self.d_max)
            )
            own_mean, own_var, count = batch_moments(wide, self.axis, self.mask, self.axis_name)
            r, d = corrections(own_mean, own_var, mean, var, self.eps, r_max, d_max)
            hat = normalize(wide, own_mean, own_var, self.eps) * r + d
            state = moved(state, own_mean, own_var, count, self.momentum, unbiased=False)
            state = {**state, "count": state["count"] + 1}
        else:
            hat = normalize(wide, mean, var, self.eps)
        y = scale_and_shift(hat, params.get("scale"), params.get("bias"), self.axis)
        return y.astype(x.dtype), state


def corrections(
    own_mean: jax.Array, own_var: jax.Array, mean: jax.Array, var: jax.Array,
    eps: Number, r_max: jax.Array, d_max: jax.Array,
) -> tuple[jax.Array, jax.Array]:  # fmt: skip
    """r = σ_B/σ and d = (μ_B − μ)/σ, bounded, of which no gradient goes to the batch.

    Example:
        >>> one, four, nine = jnp.array(1.0), jnp.array(4.0), jnp.array(9.0)
        >>> r, d = corrections(four, nine, one, one, 0.0, jnp.array(2.0), jnp.array(5.0))
        >>> print(r, d)
        2.0 3.0
    """
    own_mean, own_var = lax.stop_gradient((own_mean, own_var))
    eps = as_hyperparameter(eps).astype(var.dtype)
    inverse = lax.rsqrt(var + eps)
    r = jnp.clip(jnp.sqrt(own_var + eps) * inverse, 1 / r_max, r_max)
    d = jnp.clip((own_mean - mean) * inverse, -d_max, d_max)
    return r, d


def batch_renorm(
    r_max: Number | Callable[[jax.Array], jax.Array] = 3.0,
    d_max: Number | Callable[[jax.Array], jax.Array] = 5.0,
    momentum: Number = 0.99,
    eps: Number = 1e-3,
    *,
    axis: int | Sequence[int] = -1,
    axis_name: str | tuple[str, ...] | None = None,
    use_scale: bool = True,
    use_bias: bool = True,
    scale_init: Initializer = ones(),
    bias_init: Initializer = zeros(),
) -> BatchRenorm:
    """Batch renormalization.

        training     r = clip(σ_B/σ, 1/r_max, r_max)      d = clip((μ_B − μ)/σ, −d_max, d_max)
                     y = γ·((x − μ_B)/σ_B·r + d) + β      σ = √(var + eps), for the batch and running
        evaluation   y = γ·(x − μ)/σ + β

    To the gradient by x they are constants. Within the bounds both lines give the same output.

    Arguments:
        r_max: ≥ 1; d_max: ≥ 0. Numbers, or schedules of the number of batches seen; with 1 and 0 it is
            batch normalization. The paper has these for 5,000 batches, then r_max → 3 until batch 40,000
            and d_max → 5 until 25,000.
        momentum: weight of the old running statistics, in [0, 1].
        eps: added inside the root, > 0.
        axis, axis_name, use_scale, use_bias, scale_init, bias_init: as in `batch_norm`.

    Returns:
        A `BatchRenorm` record; params {"scale": γ, "bias": β}, state {"mean", "var", "count"}. mean and
        var serve `batch_norm` and `fold_batch_norm`.

    Raises:
        ValueError: a number outside its interval; the batch axis among the features.
        TypeError: an argument is not a number or an initializer.

    Example:
        >>> layer, x = batch_renorm(), jnp.array([[1.0], [3.0]])
        >>> params, state = layer.init(jax.random.key(0), x)
        >>> y, _ = layer.apply(params, state, x, train=True)
        >>> jnp.allclose(y, layer.apply(params, state, x)[0], atol=1e-5)
        Array(True, dtype=bool)

    Source: Ioffe 2017, algorithm 1. The paper averages σ; here it is the variance, as in `batch_norm`.

    Elsewhere: torch and Flax have none; Keras 2 has `BatchNormalization(renorm=True)`.
    """

    def bound(name: str, value: Any, interval: str) -> Rate:
        return as_leaf(value) if callable(value) else check_number(f"batch_renorm({name})", value, interval)

    return BatchRenorm(
        bound("r_max", r_max, "[1, inf)"),
        bound("d_max", d_max, "[0, inf)"),
        check_number("batch_renorm(momentum)", momentum, "[0, 1]"),
        check_number("batch_renorm(eps)", eps, "(0, inf)"),
        as_axes("batch_renorm(axis)", axis),
        tuple(axis_name) if isinstance(axis_name, list) else axis_name,
        use_scale,
        use_bias,
        check_initializer("batch_renorm(scale_init)", scale_init),
        check_initializer("batch_renorm(bias_init)", bias_init),
        None,
    )
