"""PCA jitter: each image's color is moved along the directions in which colors vary in the training set."""

from typing import Any

import jax
import jax.numpy as jnp
from jax import lax
from jax.typing import ArrayLike

from jaxopt_notes.data.augmentation.augmentation import Augmentation, images, in_floats
from jaxopt_notes.dtypes import as_hyperparameter, compute_dtype
from jaxopt_notes.record import Number, check_number, record

__all__ = ["PCAJitter", "color_directions", "pca_jitter"]


def color_directions(x: ArrayLike) -> jax.Array:
    """The directions in which the pixels of a training set vary, each as long as its variance.

        [λ₁p₁, …, λ_C p_C],   λ and p: eigenvalues and eigenvectors of the covariance of the channels

    Arguments:
        x: the *training* images [n, H, W, C].

    Returns:
        [C, C], a direction in each row, the longest last; signs are arbitrary.

    Example:
        >>> x = jnp.array([[1.0, 0.0], [-1.0, 0.0]]).reshape(2, 1, 1, 2)
        >>> jnp.abs(color_directions(x))
        Array([[0., 0.],
               [1., 0.]], dtype=float32)
    """
    x = images("color_directions", x)
    pixels = x.astype(compute_dtype(x)).reshape(-1, x.shape[-1])
    apart = pixels - jnp.mean(pixels, axis=0, keepdims=True)
    covariance = jnp.matmul(apart.T, apart, precision=lax.Precision.HIGHEST) / len(pixels)
    variances, vectors = jnp.linalg.eigh(covariance)
    return (vectors * variances[None]).T


@record
class PCAJitter(Augmentation):
    """See `pca_jitter`."""

    directions: Any
    strength: Number

    def inputs(self, key: jax.Array, x: jax.Array) -> jax.Array:
        x, directions = images("pca_jitter", x), jnp.asarray(self.directions)
        if directions.shape != (x.shape[-1],) * 2:
            raise ValueError(
                f"pca_jitter(directions) has shape {directions.shape}, but the images have {x.shape[-1]} "
                f"channels: use color_directions(training images)."
            )
        alpha = jax.random.normal(key, (len(x), x.shape[-1]), jnp.float32)
        alpha = as_hyperparameter(self.strength) * alpha.astype(jnp.result_type(float))
        shift = jnp.matmul(alpha, directions.astype(alpha.dtype), precision=lax.Precision.HIGHEST)
        return in_floats(lambda x: x + shift[:, None, None, :].astype(x.dtype), x)


def pca_jitter(directions: ArrayLike, strength: Number = 0.1) -> PCAJitter:
    """A color is added to every image, drawn along the principal directions of the training set's colors.

        x[i, j] ← x[i, j] + Σₖ αₖ·λₖ·pₖ,   αₖ ~ N(0, σ²), anew for each image

    Arguments:
        directions: [C, C], from `color_directions(training images)`.
        strength: σ ≥ 0.

    Returns:
        A `PCAJitter` record for images [B, H, W, C] of any dtype.

    Raises:
        ValueError: a negative strength; when called, directions for another number of channels.

    Example:
        >>> x = jax.random.uniform(jax.random.key(0), (8, 4, 4, 3))
        >>> augment = pca_jitter(color_directions(x), 0.1)
        >>> augment(jax.random.key(1), x)[0].shape
        (8, 4, 4, 3)

    Source: Krizhevsky, Sutskever & Hinton 2012, section 4.1: σ = 0.1, images of 0 … 255.
    """
    directions = check_number("pca_jitter(directions)", directions)
    return PCAJitter(directions, check_number("pca_jitter(strength)", strength, "[0, inf)"))
