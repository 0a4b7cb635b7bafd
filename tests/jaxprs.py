"""What a traced program holds, also in its branches, loops and calls."""

from collections.abc import Collection, Iterator
from typing import Any

import jax
from jax.extend.core import ClosedJaxpr, Jaxpr


def equations(program: Jaxpr, outside: Collection[str] = ()) -> Iterator[Any]:
    """All equations of a program, the outer before the inner.

    Arguments:
        program: as `jax.make_jaxpr(f)(x).jaxpr`.
        outside: primitives whose bodies are left out, as "while".
    """
    for equation in program.eqns:
        yield equation
        if equation.primitive.name not in outside:
            for value in jax.tree.leaves(list(equation.params.values())):
                if isinstance(value, ClosedJaxpr | Jaxpr):
                    yield from equations(value.jaxpr if isinstance(value, ClosedJaxpr) else value, outside)
