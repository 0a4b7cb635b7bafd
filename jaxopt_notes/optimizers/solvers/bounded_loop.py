"""A while loop with a bound, and therefore with a gradient.

`lax.while_loop` ends as soon as every member of a batch is done, but has no reverse-mode derivative; a
`lax.scan` has one, but always runs to its bound. Here the loop itself is the former, and only its
derivative is taken through the latter.
"""

import functools
from collections.abc import Callable

import jax
from jax import lax
from jax.typing import ArrayLike

from jaxopt_notes.control_flow import hoist
from jaxopt_notes.dtypes import Tree


def bounded_loop(condition: Callable, body: Callable, start: Tree, max_steps: int) -> Tree:
    """`lax.while_loop(condition, body, start)`, differentiable in both modes.

    Arguments:
        condition: from the carry to a bool; it must be False after `max_steps` steps at the latest.
        body: from the carry to the next one, of the same types. Both may be closed over traced arrays:
            derivatives reach these too.
        start: the carry, a pytree.
        max_steps: static; what a derivative unrolls.

    Example:
        >>> halved = lambda x: bounded_loop(lambda y: y > 1, lambda y: y / 2, x, 10)
        >>> [float(f(6.0)) for f in (halved, jax.grad(halved))]
        [0.75, 0.125]
    """
    body, body_arrays = hoist(body, start)
    condition, condition_arrays = hoist(condition, start)
    return _loop(condition, body, max_steps, start, body_arrays, condition_arrays)


@functools.partial(jax.custom_jvp, nondiff_argnums=(0, 1, 2))
def _loop(
    condition: Callable, body: Callable, max_steps: int, start: Tree, arrays: list, others: list
) -> Tree:
    return lax.while_loop(lambda x: condition(x, *others), lambda x: body(x, *arrays), start)


@_loop.defjvp
def _loop_jvp(condition: Callable, body: Callable, max_steps: int, primals: tuple, tangents: tuple) -> tuple:
    def unrolled(start: Tree, arrays: list, others: list) -> Tree:
        def step(x: ArrayLike, _: None) -> tuple:
            return lax.cond(condition(x, *others), lambda x: body(x, *arrays), lambda x: x, x), None

        return lax.scan(step, start, length=max_steps)[0]

    return jax.jvp(unrolled, primals, tangents)
