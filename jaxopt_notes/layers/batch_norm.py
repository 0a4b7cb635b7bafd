"""Batch normalization: each feature is standardized over the batch, then scaled and shifted.

It stands before the activation by convention, where it makes a bias before it redundant. In training
the statistics are the batch's, so the output for one sample depends on its batch mates; in evaluation
they are running averages, and the whole layer is an affine map that `fold` moves into the layer before.
`moments` and `normalize` are the formula, and layer normalization is the same two functions.
"""

import jax
import jax.numpy as jnp
from jax import lax

from jaxopt_notes.dtypes import Tree, as_hyperparameter, compute_dtype
from jaxopt_notes.layers.layer import Shaped, along_last, check_features, floating, parameter_dtype
from jaxopt_notes.record import Number, check_number, record, static

__all__ = ["BatchNorm", "batch_norm", "moments", "normalize"]


@record
class BatchNorm:
    """See `batch_norm`."""

    momentum: Number
    eps: Number
    unbiased: bool = static()

    def init(self, key: jax.Array, x: Shaped) -> tuple[Tree, Tree]:
        def full(value: float) -> jax.Array:  # a buffer for each: parameters and state may be donated
            return jnp.full(x.shape[-1:], value, parameter_dtype(x))

        return {"scale": full(1), "bias": full(0)}, {"mean": full(0), "var": full(1)}

    def apply(
        self, params: Tree, state: Tree, x: jax.Array, *, key: jax.Array | None = None, train: bool = False
    ) -> tuple[jax.Array, Tree]:
        x = floating(x)
        check_features("batch_norm", x, params["scale"].shape[0])
        wide = x.astype(compute_dtype(x))
        if train:
            axes = tuple(range(x.ndim - 1))
            mean, var = moments(wide, axes)
            count = x.size // x.shape[-1]
            state = self._moved(state, mean.reshape(-1), var.reshape(-1), count)
        else:
            mean, var = (along_last(state[name], wide) for name in ("mean", "var"))
        y = normalize(wide, mean, var, self.eps, params["scale"], params["bias"])
        return y.astype(x.dtype), state

    def _moved(self, state: Tree, mean: jax.Array, var: jax.Array, count: int) -> Tree:
        """The running statistics after a batch of `count` values a feature."""
        batch = {"mean": mean, "var": var * (count / (count - 1)) if self.unbiased and count > 1 else var}
        moved = {name: moving_average(state[name], batch[name], self.momentum) for name in ("mean", "var")}
        # One value has no variance to estimate: what is known stays.
        return moved if count > 1 or not self.unbiased else {**moved, "var": state["var"]}

    def fold(self, params: Tree, state: Tree, previous: Tree) -> Tree:
        """Evaluation-mode batch normalization moved into the dense or convolution layer before it.

            kernel' = kernel·g      bias' = (bias − mean)·g + β      g = γ/√(var + eps), per output

        Arguments:
            params, state: of this layer.
            previous: params of the layer before: a kernel [..., O] and perhaps a bias [O].

        Returns:
            params {"kernel", "bias"} such that the layer before alone gives what both gave.
        """
        kernel = previous["kernel"]
        kind = compute_dtype(kernel)
        mean, var, scale, shift = (
            leaf.astype(kind) for leaf in (state["mean"], state["var"], params["scale"], params["bias"])
        )
        bias = previous.get("bias", jnp.zeros_like(mean)).astype(kind)
        gain = scale * lax.rsqrt(var + as_hyperparameter(self.eps).astype(kind))
        folded = {"kernel": kernel.astype(kind) * along_last(gain, kernel.astype(kind))}
        folded["bias"] = (bias - mean) * gain + shift
        return {name: leaf.astype(kernel.dtype) for name, leaf in folded.items()}


def moments(x: jax.Array, axes: tuple[int, ...]) -> tuple[jax.Array, jax.Array]:
    """Mean and (biased, 1/m) variance over some axes, which are kept with size 1.

    The variance is the mean square of the centred values: E[x²] − E[x]² would lose it to rounding
    where the mean is large.

    Example:
        >>> print(*moments(jnp.array([[1.0], [3.0]]), (0,)))
        [[2.]] [[1.]]
    """
    mean = jnp.mean(x, axes, keepdims=True)
    return mean, jnp.mean(jnp.square(x - mean), axes, keepdims=True)


def normalize(
    x: jax.Array, mean: jax.Array, var: jax.Array, eps: Number, scale: jax.Array, bias: jax.Array
) -> jax.Array:
    """scale·(x − mean)/√(var + eps) + bias, with scale and bias on the last axis, in the dtype of x.

    Example:
        >>> x = jnp.array([[1.0], [3.0]])
        >>> normalize(x, *moments(x, (0,)), 0.0, jnp.array([2.0]), jnp.array([0.5])).ravel()
        Array([-1.5,  2.5], dtype=float32)
    """
    inverse = lax.rsqrt(var + as_hyperparameter(eps).astype(x.dtype))
    return along_last(scale, x) * ((x - mean) * inverse) + along_last(bias, x)


def moving_average(running: jax.Array, new: jax.Array, momentum: Number) -> jax.Array:
    """momentum·running + (1 − momentum)·new, in the dtype of `running`."""
    kind = compute_dtype(running, new)
    momentum = as_hyperparameter(momentum).astype(kind)
    return (momentum * running.astype(kind) + (1 - momentum) * new.astype(kind)).astype(running.dtype)


def batch_norm(momentum: Number = 0.9, eps: Number = 1e-5, unbiased: bool = True) -> BatchNorm:
    """Batch normalization over all axes but the last.

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

    Returns:
        A `BatchNorm` record; params {"scale": γ, "bias": β} and state {"mean", "var"}, each of shape [C].

    Raises:
        ValueError: a number outside its interval. TypeError: an argument is not a number.

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
    variance; Flax's is as here, 0.99, with the biased one.
    """
    return BatchNorm(
        check_number("batch_norm(momentum)", momentum, "[0, 1]", "the usual values are 0.9 and 0.99"),
        check_number("batch_norm(eps)", eps, "(0, inf)", "the usual value is 1e-5"),
        unbiased,
    )
