"""A line search around any optimizer: its update is the direction, the search says how far."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike

from jaxopt_notes.control_flow import apply_if
from jaxopt_notes.dtypes import Tree, compute_dtype, is_float, real_dtype, zeros_like
from jaxopt_notes.norms import global_norm
from jaxopt_notes.numerics import precise_vdot
from jaxopt_notes.optimizers.core.chain import as_transform
from jaxopt_notes.optimizers.core.evaluation_params import evaluation_params
from jaxopt_notes.optimizers.core.gradient_transform import Accept, GradientTransform
from jaxopt_notes.optimizers.core.leafwise import Transform, require_params
from jaxopt_notes.optimizers.core.trainable import merge, moved, moving, objective, ravel, scalar
from jaxopt_notes.optimizers.core.wrapping import select, update_inner, widened
from jaxopt_notes.optimizers.solvers.zoom import Zoom, zoom
from jaxopt_notes.record import check_choice, record, static


class LineSearchState(NamedTuple):
    """The optimizer's state; the last step taken, the loss and the gradient there, and how it was found.

    `failures` is the number of searches in a row that found no step: 0 after one that did.
    """

    inner: Tree
    learning_rate: jax.Array
    value: jax.Array
    grad: Tree
    num_linesearch_steps: jax.Array
    decrease_error: jax.Array
    curvature_error: jax.Array
    failures: jax.Array


@record
class LineSearch(Transform):
    """See `line_search`."""

    optimizer: GradientTransform
    rule: Zoom
    initial_guess_strategy: str = static()

    def init(self, params: Tree) -> LineSearchState:
        kind = real_dtype(compute_dtype(*(x for x in jax.tree.leaves(params) if is_float(x))))
        unknown = [jnp.full((), jnp.inf, kind) for _ in range(3)]  # arrays of their own: they may be donated
        rounds, failures = jnp.zeros((), jnp.int32), jnp.zeros((), jnp.int32)
        one, inner = jnp.ones((), kind), self.optimizer.init(params)
        return LineSearchState(
            inner, one, unknown[0], zeros_like(params), rounds, unknown[1], unknown[2], failures
        )

    def update(
        self,
        updates: Tree,
        state: LineSearchState,
        params: Tree = None,
        *,
        value: ArrayLike | None = None,
        grad: Tree = None,
        value_fn: Callable | None = None,
        accept: Accept = None,
        **extra: Any,
    ) -> tuple[Tree, LineSearchState]:
        params = require_params("line_search", params)
        grads = updates if grad is None else grad
        passed = {"value": value, "grad": grad, "value_fn": value_fn, "downwards": True, **extra}
        wide = widened(params)
        direction, inner = update_inner(self.optimizer, widened(updates), state.inner, wide, accept, passed)
        d, unravel = ravel(moving(direction, wide)[0])
        (g, _), (x, _) = map(ravel, moving(grads, wide))
        kind = state.value.dtype
        loss = objective("line_search", "value_fn", value_fn, wide, unravel, extra)
        d, g, x = (vector.astype(kind) for vector in (d, g, x))
        first = scalar(loss(x) if value is None else value, kind)
        d = downwards(d, g, state.failures)
        found = self.rule.search(
            jax.value_and_grad(lambda x: scalar(loss(x), kind)), x, d, first, g, self.guess(state)
        )
        failed = (found.step == 0) & jnp.any(d != 0)
        new = LineSearchState(
            inner, found.step, found.value, merge(unravel(found.grad), state.grad),
            found.num_linesearch_steps, found.decrease_error, found.curvature_error,
            failures=jnp.where(failed, state.failures + 1, 0),
        )  # fmt: skip
        step = found.step * d
        return moved(unravel(step), direction, params, accept), select(accept, new, state)

    def guess(self, state: LineSearchState) -> jax.Array:
        """The first step tried: after searches that failed much shorter than theirs."""
        one = jnp.ones_like(state.learning_rate)
        kept = jnp.where(state.learning_rate > 0, state.learning_rate, one)
        guess = kept if self.initial_guess_strategy == "keep" else one
        fewer = 0.5 ** (state.failures * self.rule.max_linesearch_steps).astype(guess.dtype)
        return jnp.maximum(guess * fewer, jnp.finfo(guess.dtype).tiny)

    def evaluation_params(self, params: Tree, state: LineSearchState) -> Tree:
        return evaluation_params(self.optimizer, params, state.inner)


def downwards(d: jax.Array, g: jax.Array, failures: jax.Array) -> jax.Array:
    """The direction; steepest descent where it does not lead downwards, or failed twice.

    What the direction leaves alone, because it is frozen, stays.
    """
    size = jnp.max(jnp.abs(d), initial=0.0)
    slope = precise_vdot(g, d / jnp.where(size > 0, size, jnp.ones_like(size)))
    steepest = jnp.where(d == 0, jnp.zeros_like(g), -g / jnp.maximum(global_norm(g).astype(g.dtype), 1))
    return jnp.where((slope < 0) & (failures < 2), d, steepest)


def check_search(where: str, rule: Any) -> Any:
    """A line search of this package, or an error that says where others go."""
    if callable(getattr(rule, "search", None)):
        return rule
    raise TypeError(
        f"{where} is {rule!r}, not a `zoom(...)` or None. A line search of optax stands after the optimizer: "
        "chain(lbfgs(linesearch=None), optax.scale_by_zoom_linesearch(20))."
    )


def line_search(
    optimizer: GradientTransform, rule: Zoom | None = None, *, initial_guess_strategy: str = "one"
) -> LineSearch:
    """Let a search decide how far to go along an optimizer's update.

        u ← η·d, with d the optimizer's update and η from `zoom`

    Arguments:
        optimizer: any optimizer or chain, such as `sgd(1.0)` or `newton()`. Where its update does not lead
            downwards steepest descent takes its place, for what the update moves at all.
        rule: a `zoom`; by default `zoom()`.
        initial_guess_strategy: "one" tries the update as it is first, right for Newton directions;
            "keep" the last η, right for gradients.

    Returns:
        A `LineSearch` record. `update` needs `params` and `value_fn=`, the loss as a function of the
        parameters; `value=` and `grad=`, the loss and its gradient at the parameters, save evaluations
        (`grad` is needed where the gradients were transformed before). Arguments of `update` that
        `value_fn` has a name for are passed on to it. The state holds the new `value` and `grad`: see
        `value_and_grad_from_state`. A search that finds no step leaves the parameters as they are and
        counts in `failures`; the next one begins with a much shorter step, and after two it goes
        along the gradient. At a minimum, to the last digit, no step is found.

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
        zoom() if rule is None else check_search("line_search(rule)", rule),
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
