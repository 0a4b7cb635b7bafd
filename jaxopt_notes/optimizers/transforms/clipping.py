"""Gradient clipping: by value, by the norm of each leaf, by the norm of all leaves together.

Clipping takes a *minimum*: |g| above the threshold comes down to it, small gradients are left alone.
A gradient that is not finite leaves as zeros, never as NaN; `skip_nonfinite` around the whole
optimizer keeps such a step from touching the state as well.
"""

from typing import Any

import jax.numpy as jnp

from jaxopt_notes.dtypes import Tree
from jaxopt_notes.norms import global_norm
from jaxopt_notes.optimizers.core.gradient_transform import Accept
from jaxopt_notes.optimizers.core.leafwise import Transform, leafwise
from jaxopt_notes.record import Number, check_choice, check_number, record, static


@record
class ClipByValue(Transform):
    """See `clip_by_value`."""

    elementwise = True

    max_delta: Number

    def update(
        self, updates: Tree, state: tuple, params: Tree = None, *, accept: Accept = None, **extra: Any
    ) -> tuple[Tree, tuple]:
        return leafwise(clip_value, updates, params, max_delta=self.max_delta, accept=accept)[0], state


def clip_value(g, p, *, max_delta):
    """sign(g)·min(|g|, c) of one leaf, a complex number by its absolute value; NaN becomes 0."""
    if jnp.iscomplexobj(g):
        return clip_to(g, jnp.abs(g), max_delta, zero_nonfinite=True)
    return jnp.where(jnp.isnan(g), jnp.zeros_like(g), jnp.clip(g, -max_delta, max_delta))


def clip_by_value(max_delta: Number = 1.0) -> ClipByValue:
    """Clip every entry of the gradient to [−c, c].

        g ← sign(g)·min(|g|, c)

    Arguments:
        max_delta: c ≥ 0; `inf` switches clipping off. An infinite entry becomes ±c, a NaN 0.

    Returns:
        A `ClipByValue` record without state.

    Raises:
        ValueError: a negative c.

    Example:
        >>> clip_by_value(1.0).update(jnp.array([-3.0, 0.5]), ())[0]
        Array([-1. ,  0.5], dtype=float32)

    Source: Goodfellow, Bengio & Courville 2016, section 10.11.1. The study notes write max where min is
    meant.

    Elsewhere: `optax.clip`, `torch.nn.utils.clip_grad_value_`; both pass NaN through.
    """
    return ClipByValue(check_number("clip_by_value(max_delta)", max_delta, "[0, inf]"))


def clip_to(g, norm, max_norm, *, zero_nonfinite):
    """g·min(1, c/‖g‖) for a norm already known; one that is not finite gives zeros, or g as it came."""
    over = norm > max_norm
    one = jnp.ones_like(norm)  # in both places, so that c = inf and ‖g‖ = 0 have gradients
    scale = jnp.where(over, max_norm, one) / jnp.where(over, norm, one)
    return jnp.where(jnp.isfinite(norm), g * scale, jnp.zeros_like(g) if zero_nonfinite else g)


def clip_leaf(g, p, *, norm=None, max_norm, nonfinite="zero"):
    """g·min(1, c/‖g‖) of one leaf, by a norm that is given or by its own."""
    return clip_to(g, global_norm(g) if norm is None else norm, max_norm, zero_nonfinite=nonfinite == "zero")


@record
class ClipByNorm(Transform):
    """See `clip_by_norm`."""

    max_norm: Number
    nonfinite: str = static()

    def update(
        self, updates: Tree, state: tuple, params: Tree = None, *, accept: Accept = None, **extra: Any
    ) -> tuple[Tree, tuple]:
        options = {"nonfinite": self.nonfinite}
        return leafwise(clip_leaf, updates, params, max_norm=self.max_norm, options=options, accept=accept)[
            0
        ], state


def clip_by_norm(max_norm: Number = 1.0, *, nonfinite: str = "zero") -> ClipByNorm:
    """Clip the Euclidean norm of every leaf.

        g ← g·min(1, c/‖g‖)                 (leaf by leaf)

    Arguments:
        max_norm: c ≥ 0; `inf` switches clipping off.
        nonfinite: what becomes of a leaf with an infinite or NaN entry: "zero", or "keep", which
            leaves it as it came.

    Returns:
        A `ClipByNorm` record without state.

    Raises:
        ValueError: a negative c, or an unknown `nonfinite`.

    Example:
        >>> clip_by_norm(1.0).update({"a": jnp.array([3.0, 4.0]), "b": jnp.array([0.5])}, ())[0]
        {'a': Array([0.6, 0.8], dtype=float32), 'b': Array([0.5], dtype=float32)}

    Source: Pascanu et al. 2013, algorithm 1.

    Elsewhere: `optax.clip_by_block_rms` is the nearest; torch has none.
    """
    return ClipByNorm(
        check_number("clip_by_norm(max_norm)", max_norm, "[0, inf]"),
        check_choice("clip_by_norm(nonfinite)", nonfinite, ("zero", "keep")),
    )


@record
class ClipByGlobalNorm(Transform):
    """See `clip_by_global_norm`."""

    elementwise = True

    max_norm: Number
    nonfinite: str = static()

    def update(
        self, updates: Tree, state: tuple, params: Tree = None, *, accept: Accept = None, **extra: Any
    ) -> tuple[Tree, tuple]:
        return leafwise(
            clip_leaf, updates, params, norm=global_norm(updates), max_norm=self.max_norm,
            options={"nonfinite": self.nonfinite}, accept=accept,
        )[0], state  # fmt: skip


def clip_by_global_norm(max_norm: Number = 1.0, *, nonfinite: str = "zero") -> ClipByGlobalNorm:
    """Clip the Euclidean norm of all leaves together; the direction is kept.

        g ← g·min(1, c/‖g‖),  ‖g‖² = Σ over all leaves

    Arguments:
        max_norm: c ≥ 0; `inf` switches clipping off.
        nonfinite: what becomes of a gradient with an infinite or NaN entry: "zero" (all of it), or
            "keep", which leaves it as it came.

    Returns:
        A `ClipByGlobalNorm` record without state.

    Raises:
        ValueError: a negative c, or an unknown `nonfinite`.

    Example:
        >>> clip_by_global_norm(1.0).update({"a": jnp.array([3.0]), "b": jnp.array([4.0])}, ())[0]
        {'a': Array([0.6], dtype=float32), 'b': Array([0.8], dtype=float32)}

    Source: Pascanu et al. 2013.

    Elsewhere: `optax.clip_by_global_norm` and `torch.nn.utils.clip_grad_norm_` (which divides by
    ‖g‖ + 1e-6). In both the norm overflows at 1e19 and one infinite entry makes every entry NaN.
    """
    return ClipByGlobalNorm(
        check_number("clip_by_global_norm(max_norm)", max_norm, "[0, inf]"),
        check_choice("clip_by_global_norm(nonfinite)", nonfinite, ("zero", "keep")),
    )
