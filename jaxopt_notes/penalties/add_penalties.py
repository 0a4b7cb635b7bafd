"""Several penalties at once, of the parameters and of the model."""

from typing import Any

import jax

from jaxopt_notes.dtypes import Tree
from jaxopt_notes.record import as_leaf, record

__all__ = ["AddPenalties", "add_penalties"]


@record
class AddPenalties:
    """See `add_penalties`."""

    parts: tuple

    def __call__(self, params: Tree) -> jax.Array:
        return sum(part(params) for part in self.parts)

    def apply(
        self,
        model: Any,
        params: Tree,
        state: Tree,
        x: Tree,
        targets: Tree = None,
        weights: jax.Array | None = None,
        *,
        key: jax.Array | None = None,
        train: bool = True,
    ) -> tuple[Any, Tree, jax.Array]:
        of_model = [part for part in self.parts if hasattr(part, "apply")]
        costs = [part(params) for part in self.parts if not hasattr(part, "apply")]
        outcomes = [
            part.apply(model, params, state, x, targets, weights, key=key, train=train) for part in of_model
        ]
        outcomes = outcomes or [(*model.apply(params, state, x, key=key, train=train), 0.0)]
        y, after, _ = outcomes[0]
        cost, *others = [cost for *_, cost in outcomes] + costs
        for other in others:
            cost = cost + other
        return y, after, cost


def add_penalties(*penalties: Any) -> AddPenalties:
    """Several penalties as one.

        Ω = Ω₁ + Ω₂ + …

    Arguments:
        penalties: functions of the parameters, and penalties of the model such as `activity_penalty`. The
            first of these makes the outputs; each further one runs the model once more.

    Returns:
        An `AddPenalties` record; called with the parameters where all its parts are.

    Raises:
        TypeError: a part is no penalty.

    Example:
        >>> import jax.numpy as jnp
        >>> from jaxopt_notes.penalties.l1 import l1
        >>> from jaxopt_notes.penalties.l2 import l2
        >>> add_penalties(l1(1.0, mask=None), l2(2.0, mask=None))(jnp.array([3.0]))
        Array(12., dtype=float32)
    """
    for part in penalties:
        if not (callable(part) or hasattr(part, "apply")):
            raise TypeError(
                f"add_penalties has {part!r}, expected a function of the parameters or a penalty."
            )
    return AddPenalties(tuple(map(as_leaf, penalties)))
