"""How much a function can stretch: from above by the weights of its layers, from below by data."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jax import lax
from jax.typing import ArrayLike

from jaxopt_notes.diagnostics.parameter_report import layer_norms
from jaxopt_notes.dtypes import Tree, compute_dtype
from jaxopt_notes.masks import MaskLike, weights_only
from jaxopt_notes.norms import norm_over
from jaxopt_notes.record import check_count

__all__ = ["lipschitz_bound", "local_lipschitz"]


def lipschitz_bound(params: Tree, mask: MaskLike = weights_only) -> jax.Array:
    """A bound on how much a network of dense layers stretches the distance of two inputs.

        ‖f(x) − f(y)‖ ≤ Π_l ‖W_l‖₂·‖x − y‖

    Arguments:
        params: those of dense layers in a row, between activations whose slope is at most 1: ReLU, tanh; each
            layer of sigmoids makes it 4 times too large. The kernel of a convolution is read as one matrix,
            which bounds the stretch of one window, not of the whole image.
        mask: which leaves are factors; by default weights only.

    Returns:
        A scalar. It holds everywhere and is far from sharp in deep networks: see `local_lipschitz` too.

    Example:
        >>> params = {"a": jnp.diag(jnp.array([2.0, 1.0])), "b": jnp.array([[3.0], [4.0]])}
        >>> print(f"{lipschitz_bound(params):.3f}")
        10.000

    Source: Szegedy et al. 2014, section 4.3; Bartlett, Foster & Telgarsky 2017. So bounded weights help.
    """
    norms = layer_norms(params, "spectral", mask)
    return jnp.prod(jnp.stack([jnp.ones(()), *norms.values()]))


def local_lipschitz(
    function: Callable[[jax.Array], jax.Array], x: ArrayLike, key: jax.Array, steps: int = 20
) -> jax.Array:
    """How much a function stretches around each example: the largest singular value of its Jacobian.

        σ_max(∂f/∂x) at each xᵢ,     v ← JᵀJv/‖JᵀJv‖

    Arguments:
        function: of a batch [B, …] to outputs [B, …], each example alone, as a network in evaluation mode.
        x: [B, …].
        key: a typed random key, of the first directions.
        steps: power iterations, static; σ is never too large, and nearer with more of them.

    Returns:
        [B]. The largest of them bounds the Lipschitz constant of the function from below.

    Raises:
        ValueError: no steps. TypeError: they are no whole number.

    Example:
        >>> f = lambda x: x * jnp.array([[3.0, 1.0]])
        >>> found = jax.jit(lambda x: local_lipschitz(f, x, jax.random.key(0)))(jnp.ones((1, 2)))
        >>> print(f"{found[0]:.3f}")
        3.000

    Source: Golub & Van Loan 2013, section 7.3; Novak et al. 2018 look at its Frobenius norm.
    """
    steps = check_count("local_lipschitz(steps)", steps, 1)
    x = jnp.asarray(x)
    x = x.astype(compute_dtype(x))
    _, push = jax.linearize(function, x)
    pull = jax.linear_transpose(push, x)
    axes = tuple(range(1, x.ndim))

    def sizes(v: jax.Array) -> jax.Array:
        return norm_over(v, tuple(range(1, v.ndim)))

    def unit(v: jax.Array) -> jax.Array:
        size = norm_over(v, axes)
        return v / jnp.where(size > 0, size, jnp.ones_like(size))

    start = unit(jax.random.normal(key, x.shape, x.dtype))
    v = lax.fori_loop(0, steps, lambda _, v: unit(pull(push(v))[0]), start)
    return sizes(push(v)).reshape(len(x))
