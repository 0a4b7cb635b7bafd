"""Weight decay in all its forms: as a gradient, decoupled, and multiplicative.

`add_l2` stands before an optimizer and adds λθ to the gradient, which is the gradient of ½λ‖θ‖².
`weight_decay` stands after it and shrinks parameters by a rate of its own. The two are the same for
plain gradient descent and differ for everything adaptive or with memory.
"""

import warnings
from typing import Any, NamedTuple

import jax

from jaxopt_notes.dtypes import Tree
from jaxopt_notes.masks import Mask, MaskLike, as_mask, read_mask
from jaxopt_notes.optimizers.core.gradient_transform import Accept
from jaxopt_notes.optimizers.core.leafwise import (
    Transform,
    first_step,
    increment,
    leafwise,
    require_params,
)
from jaxopt_notes.optimizers.wrappers.flatten_tree import Joined
from jaxopt_notes.record import Number, check_number, concrete, record, static
from jaxopt_notes.schedules.schedule import Rate, check_rate, rate_at


class DecayState(NamedTuple):
    """Steps made."""

    count: jax.Array


@record
class AddL2(Transform):
    """See `add_l2`."""

    elementwise = True

    weight_decay: Rate
    mask: Mask | None = static()

    def init(self, params: Tree) -> DecayState:
        return DecayState(first_step())

    def update(
        self, updates: Tree, state: DecayState, params: Tree = None, *, accept: Accept = None, **extra: Any
    ) -> tuple[Tree, DecayState]:
        params = require_params("add_l2", params)
        amount = rate_at(self.weight_decay, state.count)
        return add_multiple(updates, params, amount, self.mask, accept), DecayState(
            increment(state.count, accept)
        )


def add_multiple(updates: Tree, params: Tree, factor: Any, mask: Any, accept: Accept = None) -> Tree:
    """u + factor·θ on the leaves that the mask (None: all) selects."""
    if isinstance(updates, Joined):  # a mask is of leaves
        return updates.like(add_multiple(updates.tree(), params.tree(), factor, mask, accept))
    chosen = None if mask is None else read_mask(mask, params)
    return leafwise(_add_multiple, updates, params, mask=chosen, factor=factor, accept=accept)[0]


def _add_multiple(u, p, *, factor):
    return u + factor * p


def add_l2(weight_decay: Rate = 1e-4, mask: MaskLike = "weights_only") -> AddL2:
    """The gradient of an L2 penalty, added to the gradients: coupled weight decay.

        g ← g + λ·θ

    Arguments:
        weight_decay: λ ≥ 0, a number or a schedule.
        mask: which leaves: "weights_only" (rank ≥ 2, no scale or bias), `None` for all, a
            function of the parameters, or a tree of bools.

    Returns:
        An `AddL2` record, to stand before an optimizer in `chain`; `update` needs `params`.

    Raises:
        ValueError: a negative λ, or `update` without params.

    Example:
        >>> import jax.numpy as jnp
        >>> transform = add_l2(0.1, mask=None)
        >>> updates, _ = transform.update(jnp.array([0.5]), transform.init(None), jnp.array([1.0]))
        >>> print(f"{updates[0]:.2f}")
        0.60

    Source: Goodfellow, Bengio & Courville 2016, section 7.1.1.

    Elsewhere: `optax.add_decayed_weights` (all leaves by default); torch's `weight_decay` in every
    optimizer but AdamW.
    """
    return AddL2(check_rate("add_l2(weight_decay)", weight_decay), as_mask(mask))


@record
class WeightDecay(Transform):
    """See `weight_decay`."""

    elementwise = True

    weight_decay: Rate
    learning_rate: Rate
    mask: Mask | None = static()

    def init(self, params: Tree) -> DecayState:
        return DecayState(first_step())

    def update(
        self, updates: Tree, state: DecayState, params: Tree = None, *, accept: Accept = None, **extra: Any
    ) -> tuple[Tree, DecayState]:
        params = require_params("weight_decay", params)
        amount = rate_at(self.learning_rate, state.count) * rate_at(self.weight_decay, state.count)
        return add_multiple(updates, params, -amount, self.mask, accept), DecayState(
            increment(state.count, accept)
        )


def weight_decay(
    weight_decay: Rate = 1e-4, learning_rate: Rate = 1.0, mask: MaskLike = "weights_only"
) -> WeightDecay:
    """Decoupled weight decay: parameters shrink by a fixed share each step, whatever the optimizer.

        θ ← θ + u − η·λ·θ

    Arguments:
        weight_decay: λ ≥ 0, a number or a schedule.
        learning_rate: η ≥ 0, a number or a schedule; 1 for a decay that no rate multiplies, the
            optimizer's own rate for the decay of AdamW. Without gradients t steps leave (1 − ηλ)ᵗ·θ.
        mask: which leaves: "weights_only" (rank ≥ 2, no scale or bias), `None` for all, a
            function of the parameters, or a tree of bools.

    Returns:
        A `WeightDecay` record, to stand after an optimizer in `chain`; `update` needs `params`.

    Raises:
        ValueError: a negative number, or `update` without params.

    Warns:
        UserWarning: ηλ ≥ 1, where every step flips the sign of the weights.

    Example:
        >>> import jax.numpy as jnp
        >>> transform = weight_decay(0.1, mask=None)
        >>> updates, _ = transform.update(jnp.array([0.5]), transform.init(None), jnp.array([1.0]))
        >>> print(f"{updates[0]:.2f}")
        0.40

    Source: Loshchilov & Hutter 2019.

    Elsewhere: optax puts `add_decayed_weights` before the rate, so that its η multiplies λ.
    """
    amount, rate = (concrete(x) for x in (weight_decay, learning_rate))
    if amount is not None and rate is not None and (amount * rate >= 1).any():
        warnings.warn(
            f"weight_decay·learning_rate is {(amount * rate).max():g} ≥ 1: every step flips the sign "
            "of the weights; choose 0 < ηλ < 1.",
            stacklevel=2,
        )
    return WeightDecay(
        weight_decay=check_rate("weight_decay(weight_decay)", weight_decay),
        learning_rate=check_rate("weight_decay(learning_rate)", learning_rate),
        mask=as_mask(mask),
    )


@record
class MultiplicativeDecay(Transform):
    """See `multiplicative_decay`."""

    factor: Number
    mask: Mask | None = static()

    def update(
        self, updates: Tree, state: tuple, params: Tree = None, *, accept: Accept = None, **extra: Any
    ) -> tuple[Tree, tuple]:
        params = require_params("multiplicative_decay", params)
        chosen = None if self.mask is None else read_mask(self.mask, params)
        return leafwise(_multiply, updates, params, mask=chosen, factor=self.factor, accept=accept)[0], state


def _multiply(u, p, *, factor):
    return factor * (p + u) - p


def multiplicative_decay(factor: Number = 0.9999, mask: MaskLike = "weights_only") -> MultiplicativeDecay:
    """Multiply the parameters by a constant after each step.

        θ ← c·(θ + u)

    Arguments:
        factor: c in [0, 1].
        mask: which leaves: "weights_only" (rank ≥ 2, no scale or bias), `None` for all, a
            function of the parameters, or a tree of bools.

    Returns:
        A `MultiplicativeDecay` record, to stand last in `chain`; `update` needs `params`.

    Raises:
        ValueError: c outside [0, 1], or `update` without params.

    Example:
        >>> import jax.numpy as jnp
        >>> transform = multiplicative_decay(0.9, mask=None)
        >>> updates, _ = transform.update(jnp.array([-0.5]), (), jnp.array([1.0]))
        >>> print(f"{1.0 + updates[0]:.2f}")
        0.45

    Source: Hanson & Pratt 1988. After `sgd(η)` it is gradient descent of rate cη on the
    loss plus ½λ‖θ‖² with λ = (1 − c)/(cη); the notes' (1 − c)/2·‖θ‖² is right for η = 1 only, and for
    the decay taken before the step.

    Elsewhere: neither torch nor optax has it.
    """
    return MultiplicativeDecay(
        check_number("multiplicative_decay(factor)", factor, "[0, 1]", "1 switches it off"), as_mask(mask)
    )
