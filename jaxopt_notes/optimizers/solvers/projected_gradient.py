"""Projected gradient descent: after every step back to the nearest point that is allowed."""

from collections.abc import Callable

import jax

from jaxopt_notes.dtypes import Tree
from jaxopt_notes.optimizers.solvers.proximal_gradient import ProximalGradient
from jaxopt_notes.record import Number, as_leaf, record
from jaxopt_notes.schedules.schedule import Rate, check_rate


@record
class Projection:
    """A projection with its numbers as leaves: the proximal operator of a set, whatever the step."""

    function: Callable
    numbers: dict

    def __call__(self, params: Tree, step: jax.Array) -> Tree:
        return self.function(params, **self.numbers)


def projected_gradient(
    learning_rate: Rate, projection: Callable[..., Tree], *, accelerated: bool = False, **numbers: Number
) -> ProximalGradient:
    """Projected gradient descent, for a loss under a hard constraint.

        θ ← P(θ − η·g),     P(v) the point of the set that is nearest to v

    Arguments:
        learning_rate: η ≥ 0, a number or a schedule; at most 1/L, L the largest curvature of the loss.
        projection: a function of `jaxopt_notes.projections`, or any function from a tree of the leaves
            that are moved (`None` in place of the others) to such a tree.
        accelerated: Nesterov's acceleration, as in `proximal_gradient`. Static.
        numbers: arguments of the projection, such as `radius=2.0`: leaves of the record.

    Returns:
        A `ProximalGradient` record, whose penalty is 0 inside of the set and infinite outside. After
        each step the parameters are in the set (with acceleration, those of `evaluation_params`).
        `update` needs `params`.

    Raises:
        ValueError: a negative rate, or `update` without params.

    Example:
        >>> import jax.numpy as jnp
        >>> from jaxopt_notes.projections import project_box
        >>> optimizer = projected_gradient(0.5, project_box, lower=0.0, upper=1.0)
        >>> x = jnp.array([0.2, 0.9])
        >>> updates, _ = optimizer.update(jnp.array([2.0, -1.0]), optimizer.init(x), x)
        >>> print(x + updates)
        [0. 1.]

    Source: Boyd & Vandenberghe 2004.

    Elsewhere: with optax, `optax.projections` are applied to the parameters by hand after each step.
    """
    return ProximalGradient(
        check_rate("projected_gradient(learning_rate)", learning_rate),
        Projection(as_leaf(projection), numbers),
        bool(accelerated),
    )
