"""Compiled programs, kept and used again.

A program is a training function compiled for chunks of one layout. `Programs` keeps the latest ones, by
the function, the shapes and the layout, and holds the functions weakly: what nobody can call any more is
gone. So a second call of `population_map` with the same function compiles nothing, as with `jax.jit`.
"""

import collections
import weakref
from collections.abc import Callable, Hashable
from typing import Any

import jax

from jaxopt_notes.record import check_count

# What a trace depends on beside its arguments.
_CONTEXT = (
    "jax_enable_x64", "jax_default_matmul_precision", "jax_numpy_dtype_promotion", "jax_debug_nans",
    "jax_debug_infs", "jax_numpy_rank_promotion", "jax_threefry_partitionable", "jax_default_prng_impl",
    "jax_disable_jit",
)  # fmt: skip


class Programs:
    """A bounded store of compiled programs: the least recently used goes first.

    Arguments:
        size: how many are kept.

    Example:
        >>> import numpy as np
        >>> from jaxopt_notes.search import population_map
        >>> programs, keys = Programs(), jax.random.split(jax.random.key(0), 2)
        >>> def train(config, key):
        ...     return config + 1
        >>> for _ in range(2):
        ...     _, report = population_map(train, np.arange(2.0), keys, programs=programs, return_report=True)
        >>> len(programs), report.compile_seconds
        (1, 0.0)

    Without `programs` the library's own store is used, which holds 16.
    """

    def __init__(self, size: int = 16):
        self.size = check_count("Programs(size)", size, 1)
        self._kept: collections.OrderedDict[tuple, Any] = collections.OrderedDict()
        self._functions: dict[Hashable, Any] = {}

    def __len__(self) -> int:
        return len(self._kept)

    def get(self, function: Callable, key: Hashable, make: Callable[[], Any]) -> tuple[Any, bool]:
        """What was made for this function and key, or else is made now; and whether it was."""
        try:
            entry = (weakref.ref(function, self._forget), key, _context())
            hash(entry)
        except TypeError:  # not hashable, or without weak references: made for this call only
            return make(), True
        if entry in self._kept:
            self._kept.move_to_end(entry)
            return self._kept[entry], False
        self._kept[entry] = made = make()
        while len(self._kept) > self.size:
            self._kept.popitem(last=False)
        return made, True

    def function(self, key: Hashable, make: Callable[[], Any]) -> Any:
        """The function that stands for this key: the same one each time, while this store lives."""
        if key not in self._functions:
            if len(self._functions) >= self.size:
                self._functions.pop(next(iter(self._functions)))
            self._functions[key] = make()
        return self._functions[key]

    def _forget(self, reference: weakref.ref) -> None:
        for entry in [entry for entry in tuple(self._kept) if entry[0] is reference]:
            self._kept.pop(entry, None)


KEPT = Programs()  # weak: it keeps no function alive, and no more than 16 programs
_SWEEPS: weakref.WeakKeyDictionary[Callable, Programs] = weakref.WeakKeyDictionary()


def kept_for(build: Callable) -> Programs:
    """The programs of all sweeps with this `build`, for as long as it lives."""
    try:
        return _SWEEPS.setdefault(build, Programs(64))
    except TypeError:  # not hashable, or without weak references: for one sweep only
        return Programs(64)


def _context() -> tuple:
    return tuple(str(getattr(jax.config, name, None)) for name in _CONTEXT)
