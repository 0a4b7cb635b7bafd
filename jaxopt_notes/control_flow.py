"""A condition in a program that a population shares: only results are chosen, no operand is copied.

`vmap` turns a `lax.cond` whose predicate differs between members into a selection, and first gives every
member its own copy of all operands, also of those that are the same for all: of a training set that the
branch only reads. `apply_if` is a `lax.while_loop` of at most one step, which `vmap` leaves a loop: nothing
but its carry belongs to a member, and where the condition holds for none of them nothing is computed.
"""

import functools
from collections.abc import Callable
from typing import Any, TypeVar

import jax
import jax.extend
import jax.numpy as jnp
from jax import lax
from jax.custom_derivatives import SymbolicZero

X = TypeVar("X")


def apply_if(condition: jax.Array, function: Callable[[X], X], x: X) -> X:
    """`function(x)` where the condition holds, else `x`.

        y = function(x) if condition else x

    Alone, the function runs only if the condition holds; in a population, if it holds for any member.
    Derivatives of every order and mode are those of `jnp.where(condition, function(x), x)`; to take one,
    the function is evaluated whatever the condition.

    Arguments:
        condition: a bool scalar.
        function: from a pytree to one of the same shapes and dtypes; it may close over traced arrays.
        x: a pytree of arrays.

    Returns:
        A pytree like `x`.

    Example:
        >>> table = jnp.arange(4.0)
        >>> add = lambda keep, x: apply_if(keep, lambda x: x + table.sum(), x)
        >>> jax.vmap(add)(jnp.array([True, False]), jnp.ones(2))
        Array([7., 1.], dtype=float32)

    Elsewhere: `lax.cond`, whose operands `vmap` copies for every member.
    """
    converted, arrays = hoist(function, x)
    return _apply_if(converted, jnp.asarray(condition), x, arrays)


@functools.partial(jax.custom_jvp, nondiff_argnums=(0,))
def _apply_if(function: Callable, condition: jax.Array, x: X, arrays: list[jax.Array]) -> X:
    def once(carry: tuple[jax.Array, X]) -> tuple[jax.Array, X]:
        return jnp.zeros_like(carry[0]), function(carry[1], *arrays)

    return lax.while_loop(lambda carry: carry[0], once, (condition, x))[1]


@functools.partial(_apply_if.defjvp, symbolic_zeros=True)
def _apply_if_jvp(function: Callable, primals: tuple, tangents: tuple) -> tuple:
    condition, *given = primals
    arguments, treedef = jax.tree.flatten(given)
    _, *directions = jax.tree.leaves(tangents)
    moving = [i for i, dx in enumerate(directions) if not isinstance(dx, SymbolicZero)]
    dx = [directions[i] for i in moving]
    # Where the condition does not hold no derivative passes through the function, not even 0 · ∞.
    dx_inside = [jnp.where(condition, d, jnp.zeros_like(d)) for d in dx]

    def chosen(inside: list[jax.Array], around: list[jax.Array]) -> Any:
        def put(moved: list[jax.Array]) -> Any:
            new = dict(zip(moving, moved, strict=True))
            return jax.tree.unflatten(treedef, [new.get(i, x) for i, x in enumerate(arguments)])

        (x, arrays), (old, _) = put(inside), put(around)
        return jax.tree.map(lambda new, old: jnp.where(condition, new, old), function(x, *arrays), old)

    x = [arguments[i] for i in moving]
    return jax.jvp(chosen, (x, x), (dx_inside, dx))


def hoist(function: Callable, *arguments: Any) -> tuple[Callable, list[jax.Array]]:
    """A function that closes over nothing that is traced: `converted(*arguments, *arrays)`, and the arrays.

    Elsewhere: `jax.closure_convert` leaves integers and keys where they are, and a custom derivative that
    closes over a traced one fails under `jax.grad(jax.jit(…))`.

    Example:
        >>> rows = jnp.array([2, 0])
        >>> converted, arrays = hoist(lambda x: x[rows], jnp.arange(3.0))
        >>> converted(jnp.arange(3.0), *arrays)
        Array([2., 0.], dtype=float32)
    """
    traced, shapes = jax.make_jaxpr(function, return_shape=True)(*arguments)
    treedef = jax.tree.structure(shapes)

    def converted(*given: Any) -> Any:
        leaves, arrays = jax.tree.leaves(given[: len(arguments)]), list(given[len(arguments) :])
        closed = jax.extend.core.ClosedJaxpr(traced.jaxpr, arrays)
        return jax.tree.unflatten(treedef, jax.extend.core.jaxpr_as_fun(closed)(*leaves))

    return converted, list(traced.consts)
