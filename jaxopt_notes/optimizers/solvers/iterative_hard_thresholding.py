"""Iterative hard thresholding: gradient descent that keeps k numbers and zeroes all others."""

from jaxopt_notes.optimizers.solvers.projected_gradient import projected_gradient
from jaxopt_notes.optimizers.solvers.proximal_gradient import ProximalGradient
from jaxopt_notes.projections import project_sparse
from jaxopt_notes.record import Number, check_number
from jaxopt_notes.schedules.schedule import Rate, check_rate


def iterative_hard_thresholding(learning_rate: Rate = 1.0, k: Number = 10) -> ProximalGradient:
    """Iterative hard thresholding: descent among the vectors with at most k non-zeros.

        θ ← H_k(θ − η·g),     H_k keeps the k largest magnitudes

    Arguments:
        learning_rate: η ≥ 0, a number or a schedule; for the loss ½‖Aθ − b‖² it should be a little below
            1/‖A‖².
        k: ≥ 0, how many numbers of all leaves together are not 0; may be traced.

    Returns:
        A `ProximalGradient` record: `projected_gradient` onto `project_sparse`. It finds the k-sparse θ
        of b = Aθ if A nearly keeps the length of every sparse vector. `update` needs `params`.

    Raises:
        ValueError: a negative number, or `update` without params.

    Example:
        >>> import jax.numpy as jnp
        >>> optimizer, x = iterative_hard_thresholding(1.0, k=1), jnp.zeros(3)
        >>> updates, _ = optimizer.update(jnp.array([-1.0, 3.0, 0.5]), optimizer.init(x), x)
        >>> print(x + updates)
        [ 0. -3.  0.]

    Source: Blumensath & Davies 2009, algorithm 1. For a penalty λ‖θ‖₀ in place of
    k: `proximal_gradient` with `hard_threshold` at √(2ηλ).

    Elsewhere: neither torch nor optax has it.
    """
    check_rate("iterative_hard_thresholding(learning_rate)", learning_rate)
    k = check_number("iterative_hard_thresholding(k)", k, "[0, inf)")
    return projected_gradient(learning_rate, project_sparse, k=k)
