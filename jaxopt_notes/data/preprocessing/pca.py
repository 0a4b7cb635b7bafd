"""Principal component analysis: the directions in which the training set varies most, as new axes.

The components are uncorrelated, and the first k of them are the best k numbers from which to restore a sample
linearly.
"""

from typing import Any

import jax
import jax.numpy as jnp
from jax import lax
from jax.typing import ArrayLike

from jaxopt_notes.data.preprocessing.weighting import flat, in_dtype_of, principal_axes, training_set
from jaxopt_notes.norms import norm_over
from jaxopt_notes.record import check_count, record, static


@record
class PCA:
    """See `fit_pca`. The mean, the axes [k, d], the deviations along them, and that of all axes together."""

    mean: jax.Array
    axes: jax.Array
    deviations: jax.Array
    total_deviation: jax.Array
    shape: tuple[int, ...] = static()

    def apply(self, x: Any) -> jax.Array:
        """The components (x − mean)·axesᵀ, [B, k], of x [B, …] of any set."""

        def components(x: jax.Array, mean: jax.Array, axes: jax.Array) -> jax.Array:
            return jnp.matmul(x - mean[None], axes.T, precision=lax.Precision.HIGHEST)

        return in_dtype_of(flat("PCA", x, self.shape), components, self.mean, self.axes)

    def inverse(self, z: ArrayLike) -> jax.Array:
        """What has these components, z·axes + mean: undoes `apply`, as far as k components can."""

        def restored(z: jax.Array, mean: jax.Array, axes: jax.Array) -> jax.Array:
            return jnp.matmul(z, axes, precision=lax.Precision.HIGHEST) + mean[None]

        x = in_dtype_of(z, restored, self.mean, self.axes)
        return x.reshape(len(x), *self.shape)

    @property
    def variances(self) -> jax.Array:
        """The variance along each axis, λ [k]: the square of the deviation."""
        return self.deviations**2

    @property
    def explained(self) -> jax.Array:
        """The share of the variance that lies along each axis, [k]."""
        return (self.deviations / jnp.where(self.total_deviation > 0, self.total_deviation, 1)) ** 2


def fit_pca(x: ArrayLike, components: int | None = None, *, weights: ArrayLike | None = None) -> PCA:
    """The principal axes of the training set.

        Cov = Σw(x − μ)(x − μ)ᵀ/(Σw − 1) = Σₖ λₖ·vₖvₖᵀ,   zₖ = vₖᵀ(x − μ),   λ₁ ≥ λ₂ ≥ …

    Arguments:
        x: the *training* inputs, [n, …]; each sample is taken as d numbers.
        components: k, how many axes, 1 … d, static; by default all.
        weights: [n], what each sample counts, ≥ 0; `None` for all alike.

    Returns:
        A `PCA` record with `apply`, `inverse`, `explained`. The entry of largest magnitude of each axis is
        positive.

    Raises:
        ValueError: no sample, more components than numbers, weights of another shape.

    Example:
        >>> pca = fit_pca(jnp.array([[1.0, 1.0], [-1.0, -1.0], [2.0, 2.0]]), 1)
        >>> print(pca.axes.round(3), pca.explained.round(3))
        [[0.707 0.707]] [1.]

    Source: Pearson 1901; Goodfellow, Bengio & Courville 2016, section 2.12.

    Elsewhere: scikit-learn's `PCA`, by the singular values of the data; here by the eigenvalues of the
    covariance, so that weights and `vmap` cost no copy of the data.
    """
    x, weights = training_set("fit_pca", x, weights)
    shape, d = x.shape[1:], x.size // len(x)
    k = d if components is None else check_count("fit_pca(components)", components, 1)
    if k > d:
        raise ValueError(f"fit_pca(components) is {k}, expected at most d = {d}, the numbers of a sample.")
    mean, deviations, axes = principal_axes(x.reshape(len(x), -1), weights)
    return PCA(mean, axes[:k], deviations[:k], norm_over(deviations, (0,))[0], shape)
