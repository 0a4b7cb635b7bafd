"""A condition in a program that a population shares: only results are chosen, no operand is copied.

`vmap` turns a `lax.cond` whose predicate differs between members into a selection, and first gives every
member its own copy of all operands, also of those that are the same for all: of a training set that the
branch only reads. `apply_if` is a `lax.cond` until it is mapped over, and then a `lax.while_loop` of at most
one step, which `vmap` leaves a loop: nothing but its carry belongs to a member, and where the condition holds
for none of them nothing is computed. (A loop alone would do, but it copies what it carries.)
"""

import functools
from collections.abc import Callable, Sequence
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
    return apply_one(jnp.asarray(condition).astype(jnp.int32), [function], x)


def apply_one(which: jax.Array, functions: Sequence[Callable[[X], X]], x: X) -> X:
    """`functions[which - 1](x)`, or `x` where `which` is 0.

    What is said of `apply_if` holds for each of the functions.

    Arguments:
        which: a whole number from 0 to the number of functions.
        functions: each from a pytree to one of the same shapes and dtypes; they may close over traced arrays.
        x: a pytree of arrays.

    Returns:
        A pytree like `x`.

    Example:
        >>> apply_one(jnp.array(2), [jnp.sin, jnp.square], jnp.ones(2) * 3)
        Array([9., 9.], dtype=float32)

    Elsewhere: `lax.switch`, which in a population computes every branch.
    """
    converted, arrays = zip(*(hoist(function, x) for function in functions), strict=True)
    return _apply_one(converted, which, x, arrays)


@functools.partial(jax.custom_jvp, nondiff_argnums=(0,))
def _apply_one(functions: Sequence[Callable], which: jax.Array, x: X, arrays: Sequence[list]) -> X:
    def bound(arrays: Sequence[list]) -> list[Callable[[X], X]]:
        return [_bind(function, closed) for function, closed in zip(functions, arrays, strict=True)]

    @jax.custom_batching.custom_vmap
    def alone(which: jax.Array, x: X, arrays: Sequence[list]) -> X:
        return lax.switch(which, [lambda x: x, *bound(arrays)], x)

    def member(which: jax.Array, x: X, arrays: Sequence[list]) -> X:
        for number, function in enumerate(bound(arrays), 1):
            x = _at_most_once(which == number, function, x)
        return x

    @alone.def_vmap
    def _(axis_size: int, mapped: list, *arguments: Any) -> tuple[X, Any]:
        axes = jax.tree.map(lambda is_mapped: 0 if is_mapped else None, tuple(mapped))
        y = jax.vmap(member, axes, axis_size=axis_size)(*arguments)
        return y, jax.tree.map(lambda _: True, y)

    return alone(which, x, arrays)


def _bind(function: Callable, arrays: list[jax.Array]) -> Callable[[X], X]:
    return lambda x: function(x, *arrays)


def _at_most_once(condition: jax.Array, function: Callable[[X], X], x: X) -> X:
    def once(carry: tuple[jax.Array, X]) -> tuple[jax.Array, X]:
        return jnp.zeros_like(carry[0]), function(carry[1])

    return lax.while_loop(lambda carry: carry[0], once, (condition, x))[1]


@functools.partial(_apply_one.defjvp, symbolic_zeros=True)
def _apply_one_jvp(functions: Sequence[Callable], primals: tuple, tangents: tuple) -> tuple:
    which, *given = primals
    arguments, treedef = jax.tree.flatten(given)
    _, *directions = jax.tree.leaves(tangents)
    moving = [i for i, dx in enumerate(directions) if not isinstance(dx, SymbolicZero)]
    dx = [directions[i] for i in moving]
    is_it = [which == number for number in range(1, len(functions) + 1)]
    # No derivative passes through a function that is not the one, not even 0 · ∞.
    dx_inside = [[jnp.where(it, d, jnp.zeros_like(d)) for d in dx] for it in is_it]

    def chosen(inside: list[list[jax.Array]], around: list[jax.Array]) -> Any:
        def put(moved: list[jax.Array]) -> Any:
            new = dict(zip(moving, moved, strict=True))
            return jax.tree.unflatten(treedef, [new.get(i, x) for i, x in enumerate(arguments)])

        y = put(around)[0]
        for i, function in enumerate(functions):
            x, arrays = put(inside[i])
            y = jax.tree.map(functools.partial(jnp.where, is_it[i]), function(x, *arrays[i]), y)
        return y

    x = [arguments[i] for i in moving]
    return jax.jvp(chosen, ([x] * len(functions), x), (dx_inside, dx))


def any_member(condition: jax.Array) -> jax.Array:
    """Whether a condition holds for any member of a population; alone, whether it holds.

        any_i c_i        over the members that `vmap` vectorizes together

    It is one for all of them, so a `lax.cond` by it stays one under `vmap`: nothing is selected for each
    member, and where it holds for none nothing is computed.

    Arguments:
        condition: a bool scalar.

    Returns:
        A bool scalar, which `vmap` does not map.

    Example:
        >>> double = lambda c, x: jax.lax.cond(any_member(c), lambda: 2 * x, lambda: x)
        >>> jax.vmap(double)(jnp.array([True, False]), jnp.ones(2))
        Array([2., 2.], dtype=float32)

    Elsewhere: `lax.pmax` needs the name of the axis, and one that is there.
    """
    return _any_member(jnp.asarray(condition))


@jax.custom_batching.custom_vmap
def _any_member(condition: jax.Array) -> jax.Array:
    return condition


@_any_member.def_vmap
def _(axis_size: int, mapped: list, condition: jax.Array) -> tuple[jax.Array, bool]:
    return _any_member(jnp.any(condition)), False


def own(x: X) -> X:
    """The same tree, of which each member of a population has a copy; alone, the tree itself.

    `vmap` finds out which parts of a loop's carry differ between members by tracing the body, once more for
    each set that it tries, and loops in loops multiply. Where all differ from the start it traces once. No
    derivative passes through it backwards.

    Arguments:
        x: a pytree of arrays.

    Returns:
        A pytree like `x`, all of whose arrays `vmap` maps.

    Example:
        >>> jax.vmap(lambda x: own((x, jnp.zeros(()))), out_axes=0)(jnp.ones(2))
        (Array([1., 1.], dtype=float32), Array([0., 0.], dtype=float32))
    """
    return _own(x)


@jax.custom_batching.custom_vmap
def _own(x: X) -> X:
    return x


@_own.def_vmap
def _(axis_size: int, mapped: list, x: X) -> tuple[X, Any]:
    def given(x: jax.Array, is_mapped: bool) -> jax.Array:
        return x if is_mapped else jnp.broadcast_to(x, (axis_size, *x.shape))

    return jax.tree.map(given, x, mapped[0]), jax.tree.map(lambda _: True, x)


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
