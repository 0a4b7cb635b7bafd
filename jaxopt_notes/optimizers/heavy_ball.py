"""Polyak's heavy ball: momentum written with two iterates instead of a velocity.

With v = x₋₁ − x the two-iterate form *is* momentum with the rate inside, under any schedule. So there
is one record for both, and it stores the displacement: storing x₋₁ would cost two copies a step.
"""

from jax.typing import DTypeLike

from jaxopt_notes.optimizers.core.moments import check_state_dtype
from jaxopt_notes.optimizers.momentum import Momentum
from jaxopt_notes.record import Number, check_number
from jaxopt_notes.schedules.schedule import Rate, check_rate


def heavy_ball(
    learning_rate: Rate = 1e-2, momentum: Number = 0.9, *, state_dtype: DTypeLike | None = None
) -> Momentum:
    """Polyak's heavy ball method.

        x₊ = x − η·∇f(x) + β·(x − x₋₁),  x₋₁ = x at the start

    Arguments:
        learning_rate: η ≥ 0, a number or a schedule.
        momentum: β in [0, 1].
        state_dtype: precision of the displacement, as in `adam`.

    Returns:
        A `Momentum` record with the rate inside; its velocity is x₋₁ − x.

    Raises:
        ValueError: a number outside its interval.
        TypeError: an argument is not a number.

    Example:
        >>> import jax.numpy as jnp
        >>> optimizer = heavy_ball(learning_rate=0.1, momentum=0.5)
        >>> x = jnp.array(1.0)
        >>> state = optimizer.init(x)
        >>> for _ in range(2):
        ...     update, state = optimizer.update(x, state, x)
        ...     x = x + update
        >>> print(f"{x:.3f}")
        0.760

    Source: Polyak 1964. Guaranteed to converge on quadratics; with
    Polyak's tuning it can cycle on other strongly convex functions (Lessard et al. 2016).

    Elsewhere: at a constant rate it is torch's and optax's momentum; under a schedule theirs, with the
    rate outside, is another method. What else moves the parameters (a projection, decoupled decay) is
    not part of the displacement here.
    """
    return Momentum(
        check_rate("heavy_ball(learning_rate)", learning_rate),
        check_number("heavy_ball(momentum)", momentum, "[0, 1]", "the usual value is 0.9"),
        rate_outside=False,
        state_dtype=check_state_dtype("heavy_ball(state_dtype)", state_dtype),
    )
