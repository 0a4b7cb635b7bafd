"""The rule of `plateau` as a gradient transform: steps shrink when a metric stops improving."""

from typing import Any

from jax.typing import ArrayLike

from jaxopt_notes.dtypes import Tree
from jaxopt_notes.optimizers.core.gradient_transform import Accept
from jaxopt_notes.optimizers.core.leafwise import Transform, leafwise
from jaxopt_notes.optimizers.core.wrapping import select
from jaxopt_notes.record import record
from jaxopt_notes.schedules.plateau import Plateau, PlateauState, plateau


@record
class ReduceOnPlateau(Transform):
    """See `reduce_on_plateau`."""

    rule: Plateau

    def init(self, params: Tree) -> PlateauState:
        return self.rule.init()

    def update(
        self,
        updates: Tree,
        state: PlateauState,
        params: Tree = None,
        *,
        value: ArrayLike | None = None,
        accept: Accept = None,
        **extra: Any,
    ) -> tuple[Tree, PlateauState]:
        if value is not None:
            state = select(accept, self.rule.update(state, value), state)
        return leafwise(_scale, updates, params, scale=state.scale, accept=accept)[0], state


def _scale(u, p, *, scale):
    return scale * u


def reduce_on_plateau(rule: Plateau | None = None) -> ReduceOnPlateau:
    """Shrink the steps when a metric has stopped improving.

        u ← scale·u, the scale that of `plateau`

    Arguments:
        rule: a `plateau`; by default `plateau()`, a tenth after 10 values without improvement.

    Returns:
        A `ReduceOnPlateau` record, to stand after an optimizer in `chain`. Its `update` takes
        `value=metric`; in a step without one the scale stays as it is, so a metric that is measured once
        an epoch is given once an epoch.

    Example:
        >>> import jax.numpy as jnp
        >>> transform = reduce_on_plateau(plateau(factor=0.5, patience=1))
        >>> state = transform.init(None)
        >>> for value in (1.0, 1.0):
        ...     update, state = transform.update(jnp.array(-1.0), state, value=value)
        ...     print(update)
        -1.0
        -0.5

    Source: torch's `ReduceLROnPlateau`.

    Elsewhere: `optax.contrib.reduce_on_plateau`, with `accumulation_size` to average the values; its
    comparison is wrong for negative losses.
    """
    return ReduceOnPlateau(plateau() if rule is None else rule)
