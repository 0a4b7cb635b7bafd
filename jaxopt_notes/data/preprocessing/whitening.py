"""Whitening: inputs of which no two are correlated, all of variance 1.

PCA whitening gives the principal components, each over its deviation. ZCA whitening turns them back to the
old axes; of all transforms that whiten it changes the inputs least, so that images stay images.
"""

from typing import Any

import jax
import jax.numpy as jnp
from jax import lax
from jax.typing import ArrayLike

from jaxopt_notes.data.preprocessing.weighting import flat, in_dtype_of, principal_axes, training_set
from jaxopt_notes.dtypes import as_hyperparameter
from jaxopt_notes.numerics import safe_sqrt
from jaxopt_notes.record import Number, check_choice, check_number, record, static

KINDS = ("pca", "zca")


@record
class Whitening:
    """See `fit_whitening`. The mean, the principal axes in rows, the deviations along them, and ε."""

    mean: jax.Array
    axes: jax.Array
    deviations: jax.Array
    eps: Number
    kind: str = static()
    shape: tuple[int, ...] = static()

    def apply(self, x: Any) -> jax.Array:
        """Whitened inputs: [B, d] components (PCA), or of the shape of x (ZCA)."""

        def whitened(x: jax.Array, mean: jax.Array, axes: jax.Array, deviations: jax.Array) -> jax.Array:
            z = _product(x - mean[None], axes.T) / jnp.where(deviations > 0, deviations, 1)[None]
            return _product(z, axes) if self.kind == "zca" else z

        z = in_dtype_of(flat("Whitening", x, self.shape), whitened, self.mean, self.axes, self._deviations())
        return z.reshape(len(z), *self.shape) if self.kind == "zca" else z

    def inverse(self, z: Any) -> jax.Array:
        """Undoes `apply`."""
        z = jnp.asarray(z).reshape(len(z), len(self.axes))

        def restored(z: jax.Array, mean: jax.Array, axes: jax.Array, deviations: jax.Array) -> jax.Array:
            z = _product(z, axes.T) if self.kind == "zca" else z
            return _product(z * deviations[None], axes) + mean[None]

        x = in_dtype_of(z, restored, self.mean, self.axes, self._deviations())
        return x.reshape(len(x), *self.shape)

    def _deviations(self) -> jax.Array:
        return jnp.hypot(
            self.deviations, safe_sqrt(as_hyperparameter(self.eps)).astype(self.deviations.dtype)
        )


def _product(a: jax.Array, b: jax.Array) -> jax.Array:
    return jnp.matmul(a, b, precision=lax.Precision.HIGHEST)


def fit_whitening(
    x: ArrayLike, kind: str = "zca", eps: Number = 1e-5, *, weights: ArrayLike | None = None
) -> Whitening:
    """The transform that makes the training set's covariance the identity.

        PCA: z = (Λ + ε)^(−½)·V·(x − μ),   ZCA: z = Vᵀ(Λ + ε)^(−½)·V·(x − μ),   Cov = VᵀΛV

    Arguments:
        x: the *training* inputs, [n, …]; each sample is taken as d numbers.
        kind: "zca" or "pca".
        eps: ε ≥ 0, in units of the inputs' variance: directions with less of it, noise and constant columns,
            are not blown up. With 0 directions without any variance stay 0.
        weights: [n], what each sample counts, ≥ 0; `None` for all alike.

    Returns:
        A `Whitening` record with `apply` and `inverse`. Its covariance is that of a sample, over Σw − 1.

    Raises:
        ValueError: no sample, an unknown kind, a negative ε, weights of another shape.

    Example:
        >>> x = jax.random.normal(jax.random.key(0), (100, 2)) @ jnp.array([[3.0, 1.0], [0.0, 0.1]])
        >>> z = fit_whitening(x, eps=0.0).apply(x)
        >>> print(jnp.abs(jnp.cov(z.T) - jnp.eye(2)).max() < 1e-3)
        True

    Source: Bell & Sejnowski 1997; Krizhevsky 2009, appendix A, for images.

    Elsewhere: scikit-learn's `PCA(whiten=True)` is the PCA form with ε = 0.
    """
    check_choice("fit_whitening(kind)", kind, KINDS)
    eps = check_number("fit_whitening(eps)", eps, "[0, inf)")
    x, weights = training_set("fit_whitening", x, weights)
    mean, deviations, axes = principal_axes(x.reshape(len(x), -1), weights)
    return Whitening(mean, axes, deviations, eps, kind, x.shape[1:])
