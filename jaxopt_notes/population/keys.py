"""Keys whose numbers do not depend on who else is drawing.

`jax.vmap` over keys of the generators "rbg" and "unsafe_rbg" draws all numbers from the first key: a member
of a population would train on other noise than alone, and on other noise again in a chunk of another size.
So members get keys of threefry, which are made of theirs once, before anything is trained.
"""

import warnings
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike

from jaxopt_notes.dtypes import Tree
from jaxopt_notes.serialization.leaf import is_key

IN_BATCHES = ("rbg", "unsafe_rbg")  # their numbers are those of a batch, not of each key


def check_key(where: str, key: Any) -> jax.Array:
    """Return `key` if it is one typed random key.

    Raises:
        TypeError: it is not.
    """
    if isinstance(key, jax.Array) and is_key(key) and key.ndim == 0:
        return key
    if isinstance(key, jax.Array):
        found = f"{key.dtype}{list(key.shape)}"
    else:
        found = repr(key) if isinstance(key, int | str | None) else f"a {type(key).__name__}"
    raise TypeError(f"{where} is {found}, expected one typed random key: jax.random.key(0).")


def threefry_keys(keys: jax.Array) -> jax.Array:
    """Keys of threefry in place of those of "rbg" and "unsafe_rbg"; keys of other generators as they are.

        (a, b, c, d) → fold_in(fold_in((a, b), c), d)

    Arguments:
        keys: typed random keys of any shape.

    Returns:
        Keys of that shape. A member of a population that was given keys of "rbg" trains as it does alone
        with its key from here.

    Example:
        >>> jax.random.key_impl(threefry_keys(jax.random.key(0, impl="rbg")))
        'threefry2x32'

    Source: Salmon et al. 2011, "Parallel random numbers: as easy as 1, 2, 3".
    """
    if not _of_batches(keys):
        return keys
    words = jax.random.key_data(keys).reshape(-1, 4)

    @jax.vmap
    def one(word: jax.Array) -> jax.Array:
        key = jax.random.wrap_key_data(word[:2], impl="threefry2x32")
        return jax.random.fold_in(jax.random.fold_in(key, word[2]), word[3])

    return one(words).reshape(jnp.shape(keys))


def members_keys(where: str, tree: Tree) -> Tree:
    """The tree with `threefry_keys` in it, and a warning if that is a change."""
    leaves = jax.tree.leaves(tree)
    found = sorted({str(jax.random.key_impl(leaf)) for leaf in leaves if _of_batches(leaf)})
    if not found:
        return tree
    warnings.warn(
        f"{where} has keys of the generator {found[0]!r}, whose numbers under vmap depend on the batch: "
        "members get keys of threefry made of them, jn.population.threefry_keys(key), so that each is what "
        "it would be alone. jax.random.key(seed, impl='threefry2x32') is without this warning.",
        stacklevel=3,
    )
    return jax.tree.map(lambda leaf: threefry_keys(leaf) if _of_batches(leaf) else leaf, tree)


def take_keys(keys: jax.Array, index: ArrayLike) -> jax.Array:
    """Some of a vector of keys, chosen on the host: to index keys compiles a program for every length.

    Example:
        >>> keys = jax.random.split(jax.random.key(0), 3)
        >>> bool((take_keys(keys, [2, 0]) == keys[jnp.array([2, 0])]).all())
        True
    """
    words = np.asarray(jax.random.key_data(keys))[np.asarray(index)]
    return jax.random.wrap_key_data(words, impl=jax.random.key_impl(keys))


def _of_batches(leaf: Any) -> bool:
    return is_key(leaf) and str(jax.random.key_impl(leaf)) in IN_BATCHES
