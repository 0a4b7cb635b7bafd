"""Weight normalization: the length of each unit's weights is a parameter, and their direction another.

    w = g·v/‖v‖            ∇g = ∇w·v/‖v‖            ∇v = g/‖v‖·(∇w − ∇g·v/‖v‖)

The gradient of v is at right angles to v, so a step of gradient descent only ever lengthens v, and a longer v
turns more slowly: the rate adapts itself. Unlike batch normalization it draws no noise from the batch and
needs no running statistics; what it lacks, pre-activations of a known scale, `weight_norm_init` gives at the
start, from one batch of data.
"""

from typing import Any

import jax
import jax.numpy as jnp

from jaxopt_notes.dtypes import Tree
from jaxopt_notes.initializers.probe import probe
from jaxopt_notes.layers.kernel import check_layer, run_inner, start_inner, wide
from jaxopt_notes.layers.layer import Layer, Shaped, along_last
from jaxopt_notes.norms import norm_over
from jaxopt_notes.numerics import safe_divide, safe_sqrt
from jaxopt_notes.record import record

__all__ = ["WeightNorm", "normalized_kernel", "weight_norm", "weight_norm_init"]


@record
class WeightNorm:
    """See `weight_norm`."""

    layer: Layer

    def init(self, key: jax.Array, x: Shaped, **extra: Any) -> tuple[Tree, Tree]:
        params = start_inner("weight_norm", self.layer, key, x, extra)
        length = norm_over(wide(params["kernel"]), tuple(range(params["kernel"].ndim - 1)))
        return {**params, "scale": length.reshape(-1).astype(params["kernel"].dtype)}, ()

    def apply(
        self,
        params: Tree,
        state: Tree,
        x: Tree,
        *,
        key: jax.Array | None = None,
        train: bool = False,
        **extra: Any,
    ) -> tuple[Tree, Tree]:
        inner = {name: leaf for name, leaf in params.items() if name != "scale"}
        kernel = normalized_kernel(params["kernel"], params["scale"])
        return run_inner(self.layer, inner, kernel, x, key, train, extra), state


def normalized_kernel(kernel: jax.Array, scale: jax.Array) -> jax.Array:
    """g·v/‖v‖, one norm for each output; 0 where v is 0.

    Arguments:
        kernel: v [..., O]. scale: g [O].

    Example:
        >>> normalized_kernel(jnp.array([[3.0, 0.0], [4.0, 2.0]]), jnp.array([10.0, 1.0]))
        Array([[6., 0.],
               [8., 1.]], dtype=float32)
    """
    v = wide(kernel)
    return along_last(scale, v) * safe_divide(v, norm_over(v, tuple(range(v.ndim - 1))))


def weight_norm(layer: Layer) -> WeightNorm:
    """Weight normalization of a layer's kernel.

        w = g·v/‖v‖            the norm of what one output sums over

    Arguments:
        layer: a layer with one kernel: `dense`, `conv`, …

    Returns:
        A `WeightNorm` record; params are the layer's, of which "kernel" is v, and "scale": g [O], at first
        ‖v‖, so that it begins as the layer does. `weight_norm_init` starts from data.

    Raises:
        TypeError: not a layer. ValueError: in `init`, a layer without a kernel, or with a state.

    Example:
        >>> from jaxopt_notes.layers.dense import dense
        >>> layer, x = weight_norm(dense(3)), jnp.ones((2, 5))
        >>> params, state = layer.init(jax.random.key(0), x)
        >>> jax.tree.map(jnp.shape, params)
        {'bias': (3,), 'kernel': (5, 3), 'scale': (3,)}

    Source: Salimans & Kingma 2016, eq. 2 and 3.

    Elsewhere: `torch.nn.utils.parametrizations.weight_norm`, with the same start; Flax's `WeightNorm` begins
    with g = 1.
    """
    return WeightNorm(check_layer("weight_norm", layer))


def weight_norm_init(model: Layer, key: jax.Array, x: jax.Array) -> tuple[Tree, Tree]:
    """Initial parameters under which each weight-normalized unit has mean 0 and variance 1 on a batch.

        t = v·x/‖v‖            g = 1/σ[t]            b = −μ[t]/σ[t]

    Arguments:
        model: a layer of any kind; the layers in it that are `weight_norm` are set, one after the other, on
            what comes out of those before them.
        key: for the draws; they are those of `model.init(key, x)`.
        x: a batch of data [B, …].

    Returns:
        `(params, state)`, as from `model.init`. A unit that does not vary on the batch gets g = 1. Layers
        without a bias keep the mean that they have.

    Example:
        >>> from jaxopt_notes.layers.dense import dense
        >>> layer, x = weight_norm(dense(3)), 5 + jax.random.normal(jax.random.key(1), (64, 2))
        >>> params, state = weight_norm_init(layer, jax.random.key(0), x)
        >>> y, _ = layer.apply(params, state, x)
        >>> bool(jnp.allclose(y.mean(0), 0, atol=1e-5)), bool(jnp.allclose(y.std(0), 1, atol=1e-5))
        (True, True)

    Source: Salimans & Kingma 2016, section 3.
    """

    def standardized(params: Tree, run: Any) -> Tree:
        unit = {**params, "scale": jnp.ones_like(params["scale"])}
        if "bias" in params:
            unit["bias"] = jnp.zeros_like(params["bias"])
        t = wide(run(unit))
        axes = tuple(range(t.ndim - 1))
        mean, deviation = jnp.mean(t, axes), safe_sqrt(jnp.var(t, axes))
        scale = jnp.where(deviation > 0, 1 / jnp.where(deviation > 0, deviation, 1), 1)
        start = {"scale": scale, "bias": -mean * scale}
        return {**unit, **{name: start[name].astype(unit[name].dtype) for name in start if name in unit}}

    return probe(model, key, x, lambda layer: isinstance(layer, WeightNorm), standardized)
