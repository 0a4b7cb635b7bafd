"""Gradients brought to a standard form: of mean zero for every unit, or of length one altogether."""

from typing import Any

import jax.numpy as jnp

from jaxopt_notes.dtypes import Tree, as_hyperparameter
from jaxopt_notes.norms import global_norm
from jaxopt_notes.numerics import safe_divide
from jaxopt_notes.optimizers.core.gradient_transform import Accept
from jaxopt_notes.optimizers.core.leafwise import Transform, leafwise
from jaxopt_notes.record import Number, check_number, record


@record
class Centralize(Transform):
    """See `centralize`."""

    def update(
        self, updates: Tree, state: tuple, params: Tree = None, *, accept: Accept = None, **extra: Any
    ) -> tuple[Tree, tuple]:
        return leafwise(subtract_mean, updates, params, accept=accept)[0], state


def subtract_mean(g, p):
    """A kernel's gradient less its mean over the inputs of each output; vectors as they are."""
    if g.ndim < 2 or not g.size:
        return g
    return g - jnp.broadcast_to(jnp.mean(g, axis=tuple(range(g.ndim - 1)), keepdims=True), g.shape)


def centralize() -> Centralize:
    """Gradient centralization: subtract each unit's mean.

        g ← g − mean of g over all axes but the last          (leaves of rank ≥ 2)

    Returns:
        A `Centralize` record without state or numbers, to stand before an optimizer in `chain`. The last
        axis of a kernel is its output, so the mean is over what enters one unit, as in the paper.

    Example:
        >>> centralize().update(jnp.array([[1.0, 2.0], [3.0, 6.0]]), ())[0]
        Array([[-1., -2.], [ 1.,  2.]], dtype=float32)

    Source: Yong et al. 2020, equation 1.

    Elsewhere: `optax.centralize` takes the mean over all axes but the *first*, the paper's for kernels
    of torch, [out, in, …]; for those of Flax and of this library that is the mean over the outputs.
    """
    return Centralize()


@record
class NormalizeByNorm(Transform):
    """See `normalize_by_norm`."""

    scale_factor: Number
    eps: Number

    def update(
        self, updates: Tree, state: tuple, params: Tree = None, *, accept: Accept = None, **extra: Any
    ) -> tuple[Tree, tuple]:
        length = global_norm(updates)
        factor = safe_divide(as_hyperparameter(self.scale_factor), length + as_hyperparameter(self.eps))
        return leafwise(_scale, updates, params, factor=factor, accept=accept)[0], state


def _scale(g, p, *, factor):
    return factor * g


def normalize_by_norm(scale_factor: Number = 1.0, eps: Number = 1e-6) -> NormalizeByNorm:
    """Steps of one length: divide by the norm of all leaves together.

        g ← c·g/(‖g‖ + eps)

    Arguments:
        scale_factor: c ≥ 0, the length.
        eps: ≥ 0; with 0 a gradient of zero stays zero.

    Returns:
        A `NormalizeByNorm` record without state.

    Raises:
        ValueError: a negative number.
        TypeError: an argument is not a number.

    Example:
        >>> normalize_by_norm(eps=0.0).update({"a": jnp.array([3.0]), "b": jnp.array([4.0])}, ())[0]
        {'a': Array([0.6], dtype=float32), 'b': Array([0.8], dtype=float32)}

    Elsewhere: `optax.normalize_by_update_norm`; its norm overflows at 1e19.
    """
    return NormalizeByNorm(
        check_number("normalize_by_norm(scale_factor)", scale_factor, "[0, inf)"),
        check_number("normalize_by_norm(eps)", eps, "[0, inf)"),
    )
