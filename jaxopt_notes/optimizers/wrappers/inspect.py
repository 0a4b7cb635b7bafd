"""What the last step was made of: its rate, and the norms of gradient, update and parameters."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from jaxopt_notes.dtypes import Tree
from jaxopt_notes.norms import global_norm
from jaxopt_notes.optimizers.core.chain import Chain, as_transform
from jaxopt_notes.optimizers.core.evaluation_params import evaluation_params
from jaxopt_notes.optimizers.core.gradient_transform import Accept, GradientTransform
from jaxopt_notes.optimizers.core.leafwise import Transform, require_params
from jaxopt_notes.optimizers.core.wrapping import narrowed, select, update_inner, widened
from jaxopt_notes.record import record
from jaxopt_notes.schedules.schedule import rate_at


class InspectState(NamedTuple):
    """The wrapped optimizer's state, and numbers of the last step that was taken; 0 before the first."""

    inner: Tree
    learning_rate: jax.Array
    grad_norm: jax.Array
    update_norm: jax.Array
    param_norm: jax.Array


@record
class Inspect(Transform):
    """See `inspect`."""

    optimizer: GradientTransform

    def init(self, params: Tree) -> InspectState:
        kind = jax.eval_shape(global_norm, params).dtype
        norms = [jnp.zeros((), kind) for _ in range(3)]
        return InspectState(self.optimizer.init(params), jnp.zeros((), jnp.result_type(float)), *norms)

    def update(
        self, updates: Tree, state: InspectState, params: Tree = None, *, accept: Accept = None, **extra: Any
    ) -> tuple[Tree, InspectState]:
        params = require_params("inspect", params)
        # In single precision at least: the norm of the update must not be that of a rounded one.
        steps, inner = update_inner(self.optimizer, updates, state.inner, widened(params), accept, extra)
        rate = learning_rate(self.optimizer, state.inner)
        norms = [
            global_norm(tree).astype(old.dtype)
            for tree, old in zip((updates, steps, params), state[2:], strict=True)
        ]
        recorded = select(accept, (rate, *norms), state[1:])
        return narrowed(steps, params), InspectState(inner, *recorded)

    def evaluation_params(self, params: Tree, state: InspectState) -> Tree:
        return evaluation_params(self.optimizer, params, state.inner)


def learning_rate(optimizer: GradientTransform, state: Tree) -> jax.Array:
    """The rate of the next step of an optimizer: its own, or that of the last part that has one.

    Looks into chains and wrappers; NaN where there is none.

    Example:
        >>> from jaxopt_notes.optimizers.adam import adam
        >>> float(learning_rate(adam(0.5), adam(0.5).init(jnp.zeros(1))))
        0.5
    """
    found = _learning_rate(optimizer, state)
    return jnp.full((), jnp.nan, jnp.result_type(float)) if found is None else found


def _learning_rate(optimizer: GradientTransform, state: Tree) -> jax.Array | None:
    if isinstance(optimizer, Chain):
        parts = zip(optimizer.transforms, state, strict=True)
        rates = [rate for part in parts if (rate := _learning_rate(*part)) is not None]
        return rates[-1] if rates else None
    rate = getattr(optimizer, "learning_rate", None)
    if rate is not None and (hasattr(state, "count") or not callable(rate)):
        return rate_at(rate, state.count if hasattr(state, "count") else jnp.zeros((), jnp.int32))
    if hasattr(optimizer, "optimizer") and hasattr(state, "inner"):
        return _learning_rate(optimizer.optimizer, state.inner)
    return None


def inspect(optimizer: GradientTransform) -> Inspect:
    """Keep the rate and the norms of the last step in the state, where a training loop can read them.

        state = (inner, learning_rate, ‖g‖, ‖u‖, ‖θ‖)

    Arguments:
        optimizer: any optimizer or chain; its path is not changed.

    Returns:
        An `Inspect` record. After `update` its state holds `learning_rate` (of the last part of a chain
        that has one; NaN if none has), `grad_norm` of what came in, `update_norm` of what went out,
        and `param_norm` of the parameters before. A step that is not taken leaves them as they were.

    Raises:
        ValueError: `update` without params.

    Example:
        >>> from jaxopt_notes.optimizers.sgd import sgd
        >>> optimizer = inspect(sgd(0.5))
        >>> params = jnp.array([0.0, 2.0])
        >>> _, state = optimizer.update(jnp.array([3.0, 4.0]), optimizer.init(params), params)
        >>> print(state.learning_rate, state.grad_norm, state.update_norm, state.param_norm)
        0.5 5.0 2.5 2.0

    Source: the lectures CS231n, "Ratio of weights:updates": ‖u‖/‖θ‖ of about 1e-3 is healthy.

    Elsewhere: `optax.inject_hyperparams` puts rates into the state, `optax.measure_with_ema` and
    `optax.snapshot` other numbers.
    """
    return Inspect(as_transform(optimizer))
