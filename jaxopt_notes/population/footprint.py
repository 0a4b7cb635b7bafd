"""What a training function works on at a time, in bytes, read from its trace.

It decides how many members are vectorized together: on a CPU a group is fast while it stays in the cache of
its core, and while its operations are long enough to be worth starting.
"""

import math
from collections.abc import Iterator
from typing import Any

import jax
from jax.extend.core import ClosedJaxpr, Jaxpr


def footprint(program: ClosedJaxpr) -> int:
    """The most that a loop carries, with the largest value of its body where no other loop is inside.

    Without a loop it is the largest value.

    Example:
        >>> def train(config, key):
        ...     return jax.lax.fori_loop(0, 9, lambda i, x: 2 * x, jax.numpy.zeros(100))
        >>> footprint(jax.make_jaxpr(train)(0.1, jax.random.key(0)))
        804
    """
    return _of_loops(program.jaxpr) or _largest(program.jaxpr)


def _of_loops(program: Jaxpr) -> int:
    """The footprint of the loops in a program; 0 where there is none."""
    found = [0]
    for operation in program.eqns:
        inside = max(map(_of_loops, _inner(operation)), default=0)
        if operation.primitive.name in ("scan", "while"):
            body = operation.params["body_jaxpr" if "body_jaxpr" in operation.params else "jaxpr"]
            found.append(sum(map(_bytes, body.out_avals)) + (0 if inside else _largest(body.jaxpr)))
        found.append(inside)
    return max(found)


def _largest(program: Jaxpr) -> int:
    """The bytes of the largest value that a program computes."""
    values = [_bytes(value.aval) for operation in program.eqns for value in operation.outvars]
    return max(
        values + [_largest(inner) for operation in program.eqns for inner in _inner(operation)], default=0
    )


def _inner(operation: Any) -> Iterator[Jaxpr]:
    """The programs that an operation runs: a loop's body, branches, a function that is called."""
    for value in jax.tree.leaves(list(operation.params.values())):
        if isinstance(value, ClosedJaxpr | Jaxpr):
            yield value.jaxpr if isinstance(value, ClosedJaxpr) else value


def _bytes(aval: Any) -> int:
    return math.prod(aval.shape) * aval.dtype.itemsize if hasattr(aval, "dtype") else 0
