"""A population under `jax_disable_jit`: the training function itself, called for one member after the other.

Somebody wants to look into it, with a debugger or a print: nothing is traced or compiled, and it runs in
the calling thread. To the rest of the package it looks like a compiled program.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np

from jaxopt_notes.dtypes import Tree
from jaxopt_notes.population.chunk_program import Rows, as_numpy, key_impl
from jaxopt_notes.population.layout import Slots


def is_eager() -> bool:
    """Whether `jax_disable_jit` is set, for the whole program or in this thread."""
    return bool(getattr(jax.config, "jax_disable_jit"))  # noqa: B009


class Eager:
    """`eager(rows, slots, shared)` gives the leaves of a chunk's results, as a `Program` does.

    Arguments:
        train: `train(config, key, *shared) -> pytree`.
        rows, shared: of all members; the first one is trained at once, to know the shapes.
    """

    device_bytes, seconds = 0, 0.0

    def __init__(self, train: Callable[..., Tree], rows: Rows, shared: tuple):
        self._train = train
        out, self.treedef = jax.tree.flatten(self._of_member(0, rows, shared))
        self.impls = tuple(map(key_impl, out))
        self._first = [as_numpy(leaf) for leaf in out]
        self.shapes = [jax.ShapeDtypeStruct((1, *leaf.shape), leaf.dtype) for leaf in self._first]

    def __call__(self, rows: Rows, chunk: Slots, shared: tuple) -> list[np.ndarray]:
        out = [np.zeros((len(chunk.member), *leaf.shape), leaf.dtype) for leaf in self._first]
        for slot in np.flatnonzero(chunk.counts):
            member = int(chunk.member[slot])
            results = self._first if member == 0 else jax.tree.leaves(self._of_member(member, rows, shared))
            for column, result in zip(out, results, strict=True):
                column[slot] = as_numpy(result)
        return out

    def _of_member(self, member: int, rows: Rows, shared: tuple) -> Tree:
        return self._train(*rows.member([jnp.asarray(row[member]) for row in rows.arrays]), *shared)
