"""What kind of point it is where the gradient vanishes, by the signs of the Hessian's extreme eigenvalues."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from jaxopt_notes.diagnostics.curvature import Loss, hessian_spectrum
from jaxopt_notes.dtypes import Tree, as_hyperparameter
from jaxopt_notes.norms import global_norm
from jaxopt_notes.optimizers.core.trainable import merge, moving, scalar
from jaxopt_notes.record import Number, check_number

__all__ = ["CRITICAL_POINTS", "CriticalPoint", "classify_critical_point"]

CRITICAL_POINTS = ("not critical", "degenerate", "minimum", "maximum", "saddle")
"""What `classify_critical_point` may find, in the order of its codes."""


class CriticalPoint(NamedTuple):
    """A point of a loss, by its gradient and its curvatures.

    Arguments:
        kind: an index of `CRITICAL_POINTS`.
        gradient_norm: ‖∇L‖.
        smallest, largest: the ends of the Hessian's spectrum.

    Example:
        >>> CriticalPoint(jnp.array(4), jnp.array(0.0), jnp.array(-2.0), jnp.array(2.0)).label
        'saddle'
    """

    kind: jax.Array
    gradient_norm: jax.Array
    smallest: jax.Array
    largest: jax.Array

    @property
    def label(self) -> str:
        """The kind in words, outside of `jit`."""
        return CRITICAL_POINTS[int(self.kind)]


def classify_critical_point(
    loss: Loss,
    params: Tree,
    key: jax.Array,
    *args: Any,
    gradient_tolerance: Number = 1e-3,
    tolerance: Number = 1e-4,
    steps: int = 32,
) -> CriticalPoint:
    """Whether a point is a minimum, a maximum, a saddle, or one that the Hessian does not decide.

        λ_min > 0: minimum     λ_max < 0: maximum     λ_min < 0 < λ_max: saddle     otherwise: degenerate

    Arguments:
        loss, params, key, *args, steps: see `hessian_spectrum`.
        gradient_tolerance: a point is critical where ‖∇L‖ is at most this.
        tolerance: an eigenvalue counts as 0 if it is at most this part of the largest in magnitude.

    Returns:
        A `CriticalPoint`. It is certain if steps are at least the number of parameters; with fewer the ends
        of the spectrum are seen from inside: a saddle is a saddle, a minimum may be one not recognized.

    Raises:
        ValueError: a tolerance below 0; see also `hessian_spectrum`. TypeError: no number.

    Example:
        >>> for loss in (lambda x: x @ x, lambda x: x[0] ** 2 - x[1] ** 2, lambda x: jnp.sum(x**4)):
        ...     print(classify_critical_point(loss, jnp.zeros(2), jax.random.key(0)).label)
        minimum
        saddle
        degenerate

    The study notes name minimum and saddle only. Where an eigenvalue is 0, as it is in every network with
    more parameters than it needs, second derivatives do not decide: x⁴ has a minimum at 0, and x³ has none.
    """
    least_slope = check_number("classify_critical_point(gradient_tolerance)", gradient_tolerance, "[0, inf)")
    part = check_number(
        "classify_critical_point(tolerance)", tolerance, "[0, 1)", "it is a part of the largest"
    )
    here, _ = moving(params, params)
    slope = jax.grad(lambda x: scalar(loss(merge(x, params), *args), jnp.result_type(float)))(here)
    norm = global_norm(slope)
    spectrum = hessian_spectrum(loss, params, key, *args, steps=steps)
    low, high = spectrum.smallest, spectrum.largest
    zero = as_hyperparameter(part).astype(low.dtype) * jnp.maximum(jnp.abs(low), jnp.abs(high))
    cases = {"minimum": low > zero, "maximum": high < -zero, "saddle": (low < -zero) & (high > zero)}
    kind = jnp.array(CRITICAL_POINTS.index("degenerate"))
    for name, holds in cases.items():
        kind = jnp.where(holds, CRITICAL_POINTS.index(name), kind)
    critical = norm <= as_hyperparameter(least_slope).astype(norm.dtype)
    return CriticalPoint(jnp.where(critical, kind, 0), norm, low, high)
