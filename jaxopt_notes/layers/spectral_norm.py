"""Spectral normalization: a layer's kernel is divided by its largest singular value.

The layer then lengthens no difference of two inputs (its Lipschitz constant is 1). The singular vectors are
followed by power iteration, a step or a few per forward pass in training, from where the last pass left them;
training moves the kernel slowly, so one step is enough. To the gradient they are
constants, which at the fixed point is exact.
"""

from typing import Any

import jax
import jax.numpy as jnp
from jax import lax

from jaxopt_notes.dtypes import Tree, as_hyperparameter
from jaxopt_notes.layers.kernel import check_layer, run_inner, start_inner, wide
from jaxopt_notes.layers.layer import Layer, Shaped
from jaxopt_notes.norms import norm_over
from jaxopt_notes.numerics import precise_matmul, precise_vdot
from jaxopt_notes.record import Number, check_count, check_number, record, static

__all__ = ["SpectralNorm", "spectral_norm"]

WARM_UP = 15  # power iterations in `init`, as in torch


@record
class SpectralNorm:
    """See `spectral_norm`."""

    layer: Layer
    n_steps: int = static()
    eps: Number

    def init(self, key: jax.Array, x: Shaped, **extra: Any) -> tuple[Tree, Tree]:
        key, own_key = jax.random.split(key)
        params = start_inner("spectral_norm", self.layer, key, x, extra)
        matrix = as_matrix(params["kernel"])
        v = jax.random.normal(own_key, matrix.shape[:1], jnp.float32).astype(matrix.dtype)
        u, v = power_iteration(matrix, _unit(v, self.eps), WARM_UP, self.eps)
        return params, {"u": u.astype(params["kernel"].dtype), "v": v.astype(params["kernel"].dtype)}

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
        matrix = as_matrix(params["kernel"])
        u, v = (state[name].astype(matrix.dtype) for name in ("u", "v"))
        if train:
            u, v = power_iteration(lax.stop_gradient(matrix), v, self.n_steps, self.eps)
            state = {"u": u.astype(state["u"].dtype), "v": v.astype(state["v"].dtype)}
        sigma = precise_vdot(v, precise_matmul(matrix, u))
        tiny = sigma < as_hyperparameter(self.eps).astype(sigma.dtype)
        kernel = wide(params["kernel"]) / jnp.where(tiny, 1, sigma)  # a kernel of zeros stays as it is
        return run_inner(self.layer, params, kernel, x, key, train, extra), state


def as_matrix(kernel: jax.Array) -> jax.Array:
    """The kernel as a matrix [I, O], all axes but the last in one, in at least float32."""
    return wide(kernel).reshape(-1, kernel.shape[-1])


def power_iteration(matrix: jax.Array, v: jax.Array, steps: int, eps: Number) -> tuple[jax.Array, jax.Array]:
    """The first singular vectors of a matrix [I, O], right u [O] and left v [I], after some steps from v.

    Example:
        >>> u, v = power_iteration(jnp.diag(jnp.array([1.0, 3.0])), jnp.array([0.6, 0.8]), 10, 1e-12)
        >>> u.round(3)
        Array([0., 1.], dtype=float32)
    """

    def step(_: Any, pair: tuple) -> tuple:
        u = _unit(precise_matmul(pair[1], matrix), eps)
        return u, _unit(precise_matmul(matrix, u), eps)

    return lax.fori_loop(0, steps, step, (jnp.zeros_like(matrix[0]), v), unroll=steps == 1)


def _unit(x: jax.Array, eps: Number) -> jax.Array:
    return x / jnp.maximum(norm_over(x, (0,)), as_hyperparameter(eps).astype(x.dtype))


def spectral_norm(layer: Layer, n_steps: int = 1, eps: Number = 1e-12) -> SpectralNorm:
    """Spectral normalization of a layer's kernel.

        training     n_steps times:  u ← Wᵀ·v/‖Wᵀ·v‖,  v ← W·u/‖W·u‖
        always       Ŵ = W/σ,  σ = vᵀ·W·u

    Arguments:
        layer: a layer with one kernel, read as a matrix [I, O]: all axes but the last in one.
        n_steps: power iterations in each pass in training, ≥ 1.
        eps: the least norm to divide by, > 0.

    Returns:
        A `SpectralNorm` record; params are the layer's, state {"u": [O], "v": [I]}, after 15 iterations.

    Raises:
        TypeError: not a layer. ValueError: eps or n_steps is not positive; in `init`, a layer without kernel.

    Example:
        >>> from jaxopt_notes.layers.dense import dense
        >>> layer, x = spectral_norm(dense(3)), jnp.eye(4)
        >>> params, state = layer.init(jax.random.key(0), x)
        >>> kernel, _ = layer.apply({**params, "bias": jnp.zeros(3)}, state, x)
        >>> print(f"{jnp.linalg.norm(kernel, 2):.2f}")
        1.00

    Source: Miyato et al. 2018, algorithm 1.

    Elsewhere: `torch.nn.utils.parametrizations.spectral_norm`, the same; Flax's
    `SpectralNorm` begins without iterations. For a convolution σ is that of its matrix, not of the map.
    """
    return SpectralNorm(
        check_layer("spectral_norm", layer),
        check_count("spectral_norm(n_steps)", n_steps, 1),
        check_number("spectral_norm(eps)", eps, "(0, inf)", "the usual value is 1e-12"),
    )
