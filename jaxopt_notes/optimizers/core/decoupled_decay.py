"""Decoupled weight decay as a part of an optimizer: what turns Adamax into AdamaxW.

Mixed in before an optimizer's record, it decays the parameters after the optimizer's own update, which
never sees the decay. The optimizer's rate multiplies the decay too, as in AdamW.
"""

from typing import Any

from jaxopt_notes.dtypes import Tree
from jaxopt_notes.masks import Mask
from jaxopt_notes.optimizers.core.gradient_transform import Accept
from jaxopt_notes.optimizers.core.leafwise import require_params
from jaxopt_notes.optimizers.transforms.weight_decay import add_multiple
from jaxopt_notes.schedules.schedule import Rate, rate_at


class DecoupledDecay:
    """θ ← θ + u − η·λ·θ, where u is the update of the optimizer that it is mixed into.

    The record has the optimizer's fields, a `weight_decay` and a `mask`; its state counts the steps.
    """

    learning_rate: Rate
    weight_decay: Rate
    mask: Mask | None

    def update(
        self, updates: Tree, state: Tree, params: Tree = None, *, accept: Accept = None, **extra: Any
    ) -> tuple[Tree, Tree]:
        params = require_params(type(self).__name__.lower(), params)
        amount = rate_at(self.learning_rate, state.count) * rate_at(self.weight_decay, state.count)
        updates, after = super().update(updates, state, params, accept=accept, **extra)  # type: ignore[misc]
        return add_multiple(updates, params, -amount, self.mask, accept), after
