"""A line search around any optimizer: its update is the direction, the search says how far."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from jaxopt_notes.control_flow import apply_if
from jaxopt_notes.dtypes import Tree, compute_dtype, is_float, real_dtype, zeros_like
from jaxopt_notes.optimizers.core.chain import as_transform
from jaxopt_notes.optimizers.core.evaluation_params import evaluation_params
from jaxopt_notes.optimizers.core.leafwise import Transform, require_params
from jaxopt_notes.optimizers.core.trainable import merge, moved, moving, objective, ravel, scalar
from jaxopt_notes.optimizers.core.wrapping import select, update_inner, widened
from jaxopt_notes.optimizers.solvers.zoom import Zoom, zoom
from jaxopt_notes.record import check_choice, record, static


class LineSearchState(NamedTuple):
    """The optimizer's state; the last step taken, the loss and the gradient there, and how it was found."""

    inner: Any
    learning_rate: jax.Array
    value: jax.Array
    grad: Tree
    num_linesearch_steps: jax.Array
    decrease_error: jax.Array
    curvature_error: jax.Array


@record
class LineSearch(Transform):
    """See `line_search`."""

    optimizer: Any
    rule: Zoom
    initial_guess_strategy: str = static()

    def init(self, params: Tree) -> LineSearchState:
        kind = real_dtype(compute_dtype(*(x for x in jax.tree.leaves(params) if is_float(x))))
        one, unknown = jnp.ones((), kind), jnp.full((), jnp.inf, kind)
        rounds = jnp.zeros((), jnp.int32)
        inner = self.optimizer.init(params)
        return LineSearchState(inner, one, unknown, zeros_like(params), rounds, unknown, unknown)

    def update(
        self,
        updates: Tree,
        state: LineSearchState,
        params: Tree = None,
        *,
        value: Any = None,
        grad: Tree = None,
        value_fn: Callable | None = None,
        accept: Any = None,
        **extra: Any,
    ) -> tuple[Tree, LineSearchState]:
        params = require_params("line_search", params)
        grads = updates if grad is None else grad
        passed = {"value": value, "grad": grad, "value_fn": value_fn, **extra}
        wide = widened(params)
        direction, inner = update_inner(self.optimizer, widened(updates), state.inner, wide, accept, passed)
        d, unravel = ravel(moving(direction, wide)[0])
        (g, _), (x, _) = map(ravel, moving(grads, wide))
        kind = state.value.dtype
        loss = objective("line_search", "value_fn", value_fn, wide, unravel, extra)
        d, g, x = (vector.astype(kind) for vector in (d, g, x))
        first = scalar(loss(x) if value is None else value, kind)
        kept = jnp.where(state.learning_rate > 0, state.learning_rate, jnp.ones_like(state.learning_rate))
        found = self.rule.search(
            jax.value_and_grad(lambda x: scalar(loss(x), kind)), x, d, first, g,
            guess=kept if self.initial_guess_strategy == "keep" else 1.0,
        )  # fmt: skip
        step, rate, (after, grad_after), *rest = found.step * d, found.step, found[1:3], *found[3:]
        new = LineSearchState(inner, rate, after, merge(unravel(grad_after), state.grad), *rest)
        return moved(unravel(step), direction, params, accept), select(accept, new, state)

    def evaluation_params(self, params: Tree, state: LineSearchState) -> Tree:
        return evaluation_params(self.optimizer, params, state.inner)


def line_search(
    optimizer: Any, rule: Zoom | None = None, *, initial_guess_strategy: str = "one"
) -> LineSearch:
    """Let a search decide how far to go along an optimizer's update.

        u ← η·d, with d the optimizer's update and η from `zoom`

    Arguments:
        optimizer: any optimizer or chain whose update leads downwards, such as `sgd(1.0)` or `newton()`.
        rule: a `zoom`; by default `zoom()`.
        initial_guess_strategy: "one" tries the update as it is first, right for Newton directions;
            "keep" the last η, right for gradients.

    Returns:
        A `LineSearch` record. `update` needs `params` and `value_fn=`, the loss as a function of the
        parameters; `value=` and `grad=`, the loss and its gradient at the parameters, save evaluations
        (`grad` is needed where the gradients were transformed before). Arguments of `update` that
        `value_fn` has a name for are passed on to it. The state holds the new `value` and `grad`: see
        `value_and_grad_from_state`.

    Raises:
        ValueError: `update` without params or without value_fn.

    Example:
        >>> from jaxopt_notes.optimizers.sgd import sgd
        >>> f = lambda x: jnp.sum(x**2)
        >>> optimizer, x = line_search(sgd(1.0)), jnp.array([3.0])
        >>> value, grad = jax.value_and_grad(f)(x)
        >>> updates, state = optimizer.update(grad, optimizer.init(x), x, value=value, grad=grad, value_fn=f)
        >>> print(x + updates, state.value, state.num_linesearch_steps)
        [0.] 0.0 2

    Source: Nocedal & Wright 2006, chapter 3.

    Elsewhere: in optax the search is a transform that stands after the optimizer in `chain`; its
    default for the first guess is "keep".
    """
    strategies = ("one", "keep")
    return LineSearch(
        as_transform(optimizer),
        zoom() if rule is None else rule,
        check_choice("line_search(initial_guess_strategy)", initial_guess_strategy, strategies),
    )


def value_and_grad_from_state(value_fn: Callable) -> Callable:
    """`jax.value_and_grad(value_fn)` that takes what a line search found where it ended.

    Arguments:
        value_fn: the loss; it must be the same function at every step (no mini-batches).

    Returns:
        A function `(params, *, state) -> (value, grad)` that evaluates the loss at the first step only.
        Gradients of complex leaves are conjugated, as optimizers want them. Right as long as the
        parameters are moved by the search alone, in at least single precision.

    Example:
        >>> from jaxopt_notes.optimizers.sgd import sgd
        >>> f = lambda x: jnp.sum(x**2)
        >>> optimizer, x = line_search(sgd(1.0)), jnp.array([3.0])
        >>> value_and_grad_from_state(f)(x, state=optimizer.init(x))
        (Array(9., dtype=float32), Array([6.], dtype=float32))

    Elsewhere: `optax.value_and_grad_from_state`.
    """

    def value_and_grad(params: Tree, *, state: LineSearchState) -> tuple[jax.Array, Tree]:
        def anew() -> tuple[jax.Array, Tree]:
            value, grad = jax.value_and_grad(value_fn, allow_int=True)(params)
            grad = jax.tree.map(
                lambda g, p: jnp.conj(g).astype(compute_dtype(p)) if is_float(p) else None, grad, params
            )
            return scalar(value, state.value.dtype), grad

        known = (state.value, state.grad)
        return apply_if(~jnp.isfinite(state.value), lambda known: anew(), known)

    return value_and_grad
