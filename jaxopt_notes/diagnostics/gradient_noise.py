"""How noisy the gradient of a mini-batch is, and which batch size it is worth.

The gradient of m examples drawn from n varies around that of all. Twice the batch halves the variance, until
the noise is smaller than the gradient: beyond that size, the noise scale, a larger batch saves no steps.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import lax
from jax.typing import ArrayLike

from jaxopt_notes.diagnostics.curvature import Loss, of_vector
from jaxopt_notes.dtypes import Tree, as_hyperparameter
from jaxopt_notes.record import Number, check_count

__all__ = ["GradientNoise", "gradient_noise", "noise_scale_of_norms"]


class GradientNoise(NamedTuple):
    """The gradients of n examples around their mean.

    Arguments:
        squared_norm: ‖G‖², of the mean.
        trace: tr Σ = 1/n·Σᵢ‖gᵢ − G‖², the variances of all parameters together.
        examples: n.

    Example:
        >>> noise = GradientNoise(jnp.array(4.0), jnp.array(8.0), 5)
        >>> print(noise.noise_scale, noise.variance(2), noise.variance(2, replacement=True))
        2.0 3.0 4.0
    """

    squared_norm: jax.Array
    trace: jax.Array
    examples: int

    @property
    def noise_scale(self) -> jax.Array:
        """tr Σ/‖G‖², the batch size at which the noise is as large as the gradient."""
        return self.trace / self.squared_norm

    def variance(self, batch_size: Number, *, replacement: bool = False) -> jax.Array:
        """E‖g_B − G‖² of the gradient of m of the n examples: tr Σ/m·(n − m)/(n − 1), or tr Σ/m."""
        m = as_hyperparameter(batch_size).astype(self.trace.dtype)
        if replacement:
            return self.trace / m
        n = as_hyperparameter(self.examples).astype(m.dtype)
        return self.trace / m * (n - m) / jnp.maximum(n - 1, 1)


def gradient_noise(loss: Loss, params: Tree, *data: Any, chunk_size: int = 16) -> GradientNoise:
    """The variance of the gradient over examples, and what it says of batches of any size.

        tr Σ = 1/n·Σᵢ‖gᵢ − G‖²,     B_simple = tr Σ/‖G‖²,     Var(m) = tr Σ/m·(n − m)/(n − 1)

    Arguments:
        loss: `loss(params, *data) -> scalar`, the mean over examples; it is called with one at a time.
        params: where training is.
        *data: arrays [n, …], such as x and y.
        chunk_size: how many gradients are in memory at once, static.

    Returns:
        A `GradientNoise`. Nothing is drawn: the variances are exact for batches of these n examples.

    Raises:
        ValueError: no data, or no chunk size. TypeError: no whole number.

    Example:
        >>> loss = lambda w, x: jnp.mean(w * x)
        >>> noise = jax.jit(lambda w, x: gradient_noise(loss, w, x).variance(1))(1.0, jnp.array([1.0, 3.0]))
        >>> print(noise)
        1.0

    Source: McCandlish et al. 2018, "An empirical model of large-batch training", equation 2.9; Cochran 1977,
    theorem 2.2, for draws without replacement.
    """
    size = check_count("gradient_noise(chunk_size)", chunk_size, 1)
    if not data:
        raise ValueError("gradient_noise(*data) is empty, expected arrays [n, …]: x and y.")
    n = len(jax.tree.leaves(data)[0])

    def gradient(row: Any) -> jax.Array:
        function, x, _ = of_vector(loss, params, jax.tree.map(lambda a: a[None], row))
        return jax.grad(function)(x)

    first = gradient(jax.tree.map(lambda a: a[0], data))  # deviations from it keep their digits
    chunks, rest = divmod(n, size)

    def sums(rows: Any) -> tuple:
        away = jax.vmap(gradient)(rows) - first[None]
        return jnp.sum(away, axis=0), jnp.sum(away * away)

    def add(total: tuple, rows: Any) -> tuple:
        return jax.tree.map(jnp.add, total, sums(rows)), None

    total = (jnp.zeros_like(first), jnp.zeros((), first.dtype))
    if chunks:
        whole = jax.tree.map(lambda a: a[: chunks * size].reshape(chunks, size, *a.shape[1:]), data)
        total, _ = lax.scan(add, total, whole)
    if rest:
        total, _ = add(total, jax.tree.map(lambda a: a[chunks * size :], data))
    mean, squares = total[0] / n, total[1] / n
    trace = jnp.maximum(squares - jnp.sum(mean * mean), 0)
    return GradientNoise(jnp.sum((first + mean) ** 2), trace, n)


def noise_scale_of_norms(
    small: ArrayLike, large: ArrayLike, small_size: Number, large_size: Number
) -> GradientNoise:
    """The noise scale from the norms of gradients of batches of two sizes, which cost no more than training.

        ‖G‖² ≈ (B·‖g_B‖² − b·‖g_b‖²)/(B − b),     tr Σ ≈ (‖g_b‖² − ‖g_B‖²)/(1/b − 1/B)

    Arguments:
        small: ‖g_b‖², or many of them [k], whose mean is taken: one is much too noisy.
        large: ‖g_B‖², likewise.
        small_size, large_size: b < B.

    Returns:
        A `GradientNoise` of one example among infinitely many: take `replacement=True` for variances. Both
        estimates are unbiased; their quotient is not.

    Example:
        >>> print(noise_scale_of_norms(1 + 8 / 2, 1 + 8 / 4, 2, 4).noise_scale)
        8.0

    Source: McCandlish et al. 2018, appendix A.1.
    """
    b, B = as_hyperparameter(small_size), as_hyperparameter(large_size)
    few, many = jnp.mean(as_hyperparameter(small)), jnp.mean(as_hyperparameter(large))
    return GradientNoise((B * many - b * few) / (B - b), (few - many) / (1 / b - 1 / B), 1)
