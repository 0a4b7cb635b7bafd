"""Functions compiled as wholes: called as they stand, they would compile every operation by itself.

A program costs some 30 ms however small it is, and a loss of twenty operations, called eagerly on a new
shape, is twenty programs. Tests of values call `compiled(loss)` instead, with the same arguments; `grad` and
`value_and_grad` are JAX's, compiled, and `init` and `apply` those of a layer.
"""

import functools
import types

import jax
import numpy as np


def compiled(function):
    """`function`, of which arrays are traced and all else (numbers, strings, functions) is what it was."""

    @functools.cache
    def program(structure, fixed):
        def call(arrays):
            arrays = iter(arrays)
            leaves = [next(arrays) if leaf is ARRAY else leaf.value for leaf in fixed]
            args, kwargs = jax.tree.unflatten(structure, leaves)
            return function(*args, **kwargs)

        return jax.jit(call)

    @functools.wraps(function)
    def whole(*args, **kwargs):
        leaves, structure = jax.tree.flatten((args, kwargs))
        arrays = [leaf for leaf in leaves if isinstance(leaf, jax.Array | np.ndarray)]
        fixed = [ARRAY if isinstance(leaf, jax.Array | np.ndarray) else Fixed(leaf) for leaf in leaves]
        return program(structure, tuple(fixed))(arrays)

    return whole


def compiled_functions(module):
    """A module's functions, each `compiled`."""
    functions = {name: compiled(f) for name, f in vars(module).items() if isinstance(f, types.FunctionType)}
    return types.SimpleNamespace(**functions)


@compiled
def init(layer, *args, **kwargs):
    return layer.init(*args, **kwargs)


@compiled
def apply(layer, *args, **kwargs):
    return layer.apply(*args, **kwargs)


def grad(function, *args, **kwargs):
    return jax.jit(jax.grad(function, *args, **kwargs))


def value_and_grad(function, *args, **kwargs):
    return jax.jit(jax.value_and_grad(function, *args, **kwargs))


ARRAY = object()


class Fixed:
    """A value that is told from equal ones of another type: 1, 1.0 and True are three programs."""

    def __init__(self, value):
        self.value, self.key = value, (type(value), repr(value) if isinstance(value, float) else value)

    def __eq__(self, other):
        return isinstance(other, Fixed) and self.key == other.key

    def __hash__(self):
        return hash(self.key)
