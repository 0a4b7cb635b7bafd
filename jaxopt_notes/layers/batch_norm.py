"""Batch normalization: each feature is standardized over the batch, then scaled and shifted.

It stands before the activation by convention, where it makes a bias before it redundant. In training
the statistics are the batch's, so the output for one sample depends on its batch mates; in evaluation
they are running averages, and the whole layer is an affine map that `fold_batch_norm` moves into the layer
before. Samples that only fill a batch are left out (`mask_batch`), and with `axis_name` the batch is all
of what several devices hold.
"""

import math
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax

from jaxopt_notes.dtypes import Tree, as_hyperparameter, compute_dtype
from jaxopt_notes.initializers import check_initializer, ones, zeros
from jaxopt_notes.initializers.initializer import Initializer
from jaxopt_notes.layers.batch_mask import OverBatch
from jaxopt_notes.layers.layer import Shaped, along_last, floating, parameter_dtype
from jaxopt_notes.layers.normalization import along, as_axes, check_axes, moments, normalize, parameters
from jaxopt_notes.record import Number, check_number, record, static

__all__ = ["BatchNorm", "batch_norm", "fold_batch_norm"]


@record
class BatchNorm(OverBatch):
    """See `batch_norm`."""

    momentum: Number
    eps: Number
    unbiased: bool = static()
    axis: tuple[int, ...] = static()
    axis_name: str | tuple[str, ...] | None = static()
    use_scale: bool = static()
    use_bias: bool = static()
    scale_init: Initializer
    bias_init: Initializer
    mask: Any

    def init(self, key: jax.Array, x: Shaped) -> tuple[Tree, Tree]:
        shape, dtype = tuple(x.shape[a] for a in self.axis), parameter_dtype(x)
        state = {"mean": jnp.zeros(shape, dtype), "var": jnp.ones(shape, dtype)}
        return parameters(self, key, x, self.axis), state

    def apply(
        self, params: Tree, state: Tree, x: jax.Array, *, key: jax.Array | None = None, train: bool = False
    ) -> tuple[jax.Array, Tree]:
        x = floating(x)
        check_axes("batch_norm", x, {**state, **params}, self.axis)
        wide = x.astype(compute_dtype(x))
        if train:
            mean, var, count = batch_moments(wide, self.axis, self.mask, self.axis_name)
            state = moved(state, mean, var, count, self.momentum, self.unbiased)
        else:
            mean, var = (along(state[name], wide, self.axis) for name in ("mean", "var"))
        y = normalize(wide, mean, var, self.eps, params.get("scale"), params.get("bias"), self.axis)
        return y.astype(x.dtype), state

    def fold(self, params: Tree, state: Tree, previous: Tree) -> Tree:
        """`fold_batch_norm` with this layer's eps."""
        return fold_batch_norm(previous, params, state, self.eps)


def batch_moments(
    x: jax.Array,
    axis: Sequence[int],
    mask: jax.Array | None = None,
    axis_name: str | tuple[str, ...] | None = None,
) -> tuple[jax.Array, jax.Array, Any]:
    """Mean and biased variance of each feature over the other axes, and how many values they are of.

    Arguments:
        x: [B, …].
        axis: the axes of the features.
        mask: bools of the leading axes; what is False counts nothing, not even if it is NaN.
        axis_name: mapped axes over which the batch goes on.
    """
    features = {a % x.ndim for a in axis}
    axes = tuple(a for a in range(x.ndim) if a not in features)
    count = math.prod(x.shape[a] for a in axes)
    if mask is None and axis_name is None:
        return *moments(x, axes), count

    def total(values: jax.Array) -> jax.Array:
        return values if axis_name is None else lax.psum(values, axis_name)

    counts = jnp.ones((1,) * x.ndim, bool) if mask is None else _leading(mask, x, axes)
    everything = total(jnp.sum(counts.astype(x.dtype)) * (count / counts.size))
    divisor = jnp.maximum(everything, 1)  # of nothing but filling the mean is 0
    zero = jnp.zeros_like(x)
    mean = total(jnp.sum(jnp.where(counts, x, zero), axes, keepdims=True)) / divisor
    squares = jnp.square(jnp.where(counts, x - mean, zero))
    return mean, total(jnp.sum(squares, axes, keepdims=True)) / divisor, everything


def _leading(mask: jax.Array, x: jax.Array, axes: tuple[int, ...]) -> jax.Array:
    mask = jnp.asarray(mask)
    if mask.shape != x.shape[: mask.ndim] or not set(range(mask.ndim)) <= set(axes):
        raise ValueError(
            f"batch normalization of x {tuple(x.shape)} has a mask of shape {mask.shape}, expected "
            "the leading axes of x: a layer before it changes them, so what is filling cannot be told."
        )
    return mask.reshape(mask.shape + (1,) * (x.ndim - mask.ndim)).astype(bool)


def moved(state: Tree, mean: jax.Array, var: jax.Array, count: Any, momentum: Number, unbiased: bool) -> Tree:
    """The running statistics after a batch of `count` values a feature.

    One value has no variance to estimate, and none tells nothing: what is known stays.
    """
    known = isinstance(count, int)  # without a mask, and on one device
    if unbiased:
        var = var * (count / max(count - 1, 1) if known else count / jnp.maximum(count - 1, 1))
    after = {}
    for name, new, least in (("mean", mean, 1), ("var", var, 2 if unbiased else 1)):
        running = state[name]
        new = moving_average(running, new.reshape(running.shape), momentum)
        if known:
            after[name] = new if count >= least else running
        else:
            after[name] = jnp.where(count >= least, new, running)
    return {**state, **after}


def moving_average(running: jax.Array, new: jax.Array, momentum: Number) -> jax.Array:
    """momentum·running + (1 − momentum)·new, in the dtype of `running`."""
    kind = compute_dtype(running, new)
    momentum = as_hyperparameter(momentum).astype(kind)
    return (momentum * running.astype(kind) + (1 - momentum) * new.astype(kind)).astype(running.dtype)


def fold_batch_norm(previous: Tree, params: Tree, state: Tree, eps: Number = 1e-5) -> Tree:
    """Evaluation-mode batch normalization moved into the dense or convolution layer before it.

        kernel' = kernel·g      bias' = (bias − mean)·g + β      g = γ/√(var + eps), per output

    Arguments:
        previous: params of the layer before: a kernel [..., O] and perhaps a bias [O].
        params, state: of the batch normalization of its outputs, over all axes but the last.
        eps: that of the batch normalization.

    Returns:
        params {"kernel", "bias"}, in the dtype of the kernel, such that the layer before alone (with a
        bias) gives what both gave.

    Example:
        >>> from jaxopt_notes.layers.dense import affine
        >>> layer, kernel = batch_norm(), jnp.array([[2.0, 4.0]])
        >>> state = {"mean": jnp.array([1.0, 1.0]), "var": jnp.array([4.0, 1.0])}
        >>> folded = fold_batch_norm({"kernel": kernel}, {"scale": jnp.ones(2)}, state, layer.eps)
        >>> affine(jnp.array([[3.0]]), folded["kernel"], folded["bias"]).round(2)
        Array([[ 2.5, 11. ]], dtype=float32)

    Source: Jacob et al. 2018, section 3.2. Elsewhere: `torch.nn.utils.fusion.fuse_conv_bn_eval`.
    """
    kernel = previous["kernel"]
    kind = compute_dtype(kernel)

    def wide(tree: Tree, name: str, default: float) -> jax.Array:
        return tree[name].astype(kind) if name in tree else jnp.full(state["mean"].shape, default, kind)

    inverse = lax.rsqrt(wide(state, "var", 1) + as_hyperparameter(eps).astype(kind))
    gain = wide(params, "scale", 1) * inverse
    bias = (wide(previous, "bias", 0) - wide(state, "mean", 0)) * gain + wide(params, "bias", 0)
    folded = {"kernel": kernel.astype(kind) * along_last(gain, kernel.astype(kind)), "bias": bias}
    return {name: leaf.astype(kernel.dtype) for name, leaf in folded.items()}


def batch_norm(
    momentum: Number = 0.9,
    eps: Number = 1e-5,
    unbiased: bool = True,
    *,
    axis: int | Sequence[int] = -1,
    axis_name: str | tuple[str, ...] | None = None,
    use_scale: bool = True,
    use_bias: bool = True,
    scale_init: Initializer = ones(),
    bias_init: Initializer = zeros(),
) -> BatchNorm:
    """Batch normalization over all axes but the last, or but those named.

        training     μ = mean(x), σ² = mean((x − μ)²)      y = γ·(x − μ)/√(σ² + eps) + β
                     mean ← momentum·mean + (1 − momentum)·μ
                     var  ← momentum·var + (1 − momentum)·σ²·m/(m − 1)
        evaluation   y = γ·(x − mean)/√(var + eps) + β

    Statistics are float32 for inputs of lower precision. With one value a feature (m = 1) the output
    is β, whatever comes in, and there is no unbiased variance: the running one stays.

    Arguments:
        momentum: weight of the old running statistics, in [0, 1].
        eps: added inside the root, > 0.
        unbiased: whether the running variance has the factor m/(m − 1), as in the paper.
        axis: of the features, which have statistics of their own: one axis or several, not 0.
        axis_name: the name of a mapped axis (of `jax.vmap` or `jax.shard_map`), or several: statistics are
            of the batches of all its members together; in training only.
        use_scale, use_bias: whether there is γ, and β.
        scale_init, bias_init: initializers of both; `zeros()` for γ makes a residual branch start as 0.

    Returns:
        A `BatchNorm` record; params {"scale": γ, "bias": β} and state {"mean", "var"}, each of shape [C].

    Raises:
        ValueError: a number outside its interval; the batch axis among the features.
        TypeError: an argument is not a number or an initializer.

    Example:
        >>> layer = batch_norm()
        >>> x = jnp.array([[1.0], [3.0]])
        >>> params, state = layer.init(jax.random.key(0), x)
        >>> y, state = layer.apply(params, state, x, train=True)
        >>> jnp.round(y[:, 0], 3), jnp.round(state["mean"], 3), jnp.round(state["var"], 3)
        (Array([-1.,  1.], dtype=float32), Array([0.2], dtype=float32), Array([1.1], dtype=float32))

    Source: Ioffe & Szegedy 2015, algorithms 1 and 2. The study notes also put it after the activation:
    `serial(dense(16), jax.nn.relu, batch_norm())`.

    Elsewhere: torch's momentum is the weight of the new value, 0.1 for our 0.9, with the same unbiased
    variance; Flax's is as here, 0.99, with the biased one. torch refuses m = 1 in training, and
    synchronizes by another layer, `SyncBatchNorm`; Flax by `axis_name`, as here.
    """
    return BatchNorm(
        check_number("batch_norm(momentum)", momentum, "[0, 1]", "the usual values are 0.9 and 0.99"),
        check_number("batch_norm(eps)", eps, "(0, inf)", "the usual value is 1e-5"),
        unbiased,
        as_axes("batch_norm(axis)", axis),
        tuple(axis_name) if isinstance(axis_name, list) else axis_name,
        use_scale,
        use_bias,
        check_initializer("batch_norm(scale_init)", scale_init),
        check_initializer("batch_norm(bias_init)", bias_init),
        None,
    )
