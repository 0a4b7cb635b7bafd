"""Clipping by a threshold that fits the leaf: by the norm of its weights, unit by unit, or by its size."""

import math
from typing import Any

import jax
import jax.numpy as jnp

from jaxopt_notes.dtypes import Tree
from jaxopt_notes.norms import global_norm
from jaxopt_notes.optimizers.core.gradient_transform import Accept
from jaxopt_notes.optimizers.core.leafwise import Transform, leafwise, require_params
from jaxopt_notes.optimizers.transforms.clipping import clip_to
from jaxopt_notes.record import Number, check_number, record


def unitwise_norm(x: jax.Array) -> jax.Array:
    """The norm of each unit: of all that enters one output (the last axis), of the whole of a vector.

    Example:
        >>> unitwise_norm(jnp.array([[3.0, 1.0], [4.0, 0.0]]))
        Array([[5., 1.]], dtype=float32)
    """
    if x.ndim < 2 or not x.size:
        return global_norm(x)
    return jax.vmap(global_norm, in_axes=-1)(x).reshape((1,) * (x.ndim - 1) + x.shape[-1:])


@record
class AdaptiveGradClip(Transform):
    """See `adaptive_grad_clip`."""

    clipping: Number
    eps: Number

    def update(
        self, updates: Tree, state: tuple, params: Tree = None, *, accept: Accept = None, **extra: Any
    ) -> tuple[Tree, tuple]:
        params = require_params("adaptive_grad_clip", params)
        return leafwise(
            clip_units, updates, params, clipping=self.clipping, eps=self.eps, accept=accept
        )[0], state  # fmt: skip


def clip_units(g, p, *, clipping, eps):
    """g·min(1, λ·max(‖θ‖, eps)/‖g‖) of one leaf, unit by unit."""
    return clip_to(g, unitwise_norm(g), clipping * jnp.maximum(unitwise_norm(p), eps), zero_nonfinite=True)


def adaptive_grad_clip(clipping: Number = 0.01, eps: Number = 1e-3) -> AdaptiveGradClip:
    """Adaptive gradient clipping (AGC): no unit's gradient may be large beside its weights.

        g ← g·min(1, λ·max(‖θ‖, eps)/‖g‖)          (unit by unit)

    Arguments:
        clipping: λ ≥ 0, the largest ratio of the two norms; `inf` switches clipping off.
        eps: ≥ 0, a lower bound of ‖θ‖, so that weights that start at zero can grow.

    Returns:
        An `AdaptiveGradClip` record without state, to stand before an optimizer in `chain`; `update`
        needs `params`. A unit is what enters one output: an entry of the last axis of a kernel, a
        vector as a whole. A unit with an entry that is not finite leaves as zeros.

    Raises:
        ValueError: a negative number, or `update` without params.
        TypeError: an argument is not a number.

    Example:
        >>> clip = adaptive_grad_clip(0.1)
        >>> kernel, grads = jnp.array([[3.0, 1.0], [4.0, 0.0]]), jnp.array([[1.0, 0.0], [0.0, 2.0]])
        >>> clip.update(grads, (), kernel)[0]
        Array([[0.5, 0. ], [0. , 0.1]], dtype=float32)

    Source: Brock et al. 2021, equation 3 (λ 0.01, eps 1e-3), who leave out the last linear layer: see
    `partition` and `masked`.

    Elsewhere: `optax.adaptive_grad_clip`; of a kernel of rank 3 its units are entries of the last two
    axes, and it has an `axis` to choose them.
    """
    return AdaptiveGradClip(
        check_number("adaptive_grad_clip(clipping)", clipping, "[0, inf]", "inf switches it off"),
        check_number("adaptive_grad_clip(eps)", eps, "[0, inf)", "the usual value is 1e-3"),
    )


@record
class ClipByBlockRMS(Transform):
    """See `clip_by_block_rms`."""

    threshold: Number

    def update(
        self, updates: Tree, state: tuple, params: Tree = None, *, accept: Accept = None, **extra: Any
    ) -> tuple[Tree, tuple]:
        return leafwise(clip_rms, updates, params, threshold=self.threshold, accept=accept)[0], state


def clip_rms(g, p, *, threshold):
    """g·min(1, c/rms(g)) of one leaf; its norm is √n times its root mean square."""
    return clip_to(g, global_norm(g), threshold * math.sqrt(g.size), zero_nonfinite=True)


def clip_by_block_rms(threshold: Number = 1.0) -> ClipByBlockRMS:
    """Clip the root mean square of every leaf.

        u ← u·min(1, c/rms(u)),  rms(u)² = Σ|uᵢ|²/n          (leaf by leaf)

    Arguments:
        threshold: c ≥ 0; `inf` switches clipping off.

    Returns:
        A `ClipByBlockRMS` record without state. A leaf with an entry that is not finite leaves as zeros.

    Raises:
        ValueError: a negative c.
        TypeError: an argument is not a number.

    Example:
        >>> clip_by_block_rms(1.0).update({"a": jnp.array([2.0, -2.0]), "b": jnp.array([0.5])}, ())[0]
        {'a': Array([ 1., -1.], dtype=float32), 'b': Array([0.5], dtype=float32)}

    Source: Shazeer & Stern 2018 (Adafactor), section 6.

    Elsewhere: `optax.clip_by_block_rms`.
    """
    return ClipByBlockRMS(check_number("clip_by_block_rms(threshold)", threshold, "[0, inf]"))
