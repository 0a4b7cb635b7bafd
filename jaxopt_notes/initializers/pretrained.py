"""Pretrained initialization: some leaves from a trained network, the rest as they were drawn."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from jaxopt_notes.dtypes import Tree, cast_like
from jaxopt_notes.masks import path_name

__all__ = ["from_pretrained"]


def from_pretrained(params: Tree, source: Tree, select: Callable[[str], bool] | None = None) -> Tree:
    """Parameters whose selected leaves come from another network, by path.

        θ[path] ← source[path] where selected, else θ[path]

    Arguments:
        params: freshly initialized parameters.
        source: parameters of a trained network, which may be shallower or deeper.
        select: which paths ("layers_0/kernel") to take; by default all that both trees have.

    Returns:
        A tree like `params`, in its dtypes.

    Raises:
        ValueError: a selected leaf is missing from the source or has another shape; no leaf is taken.

    Example:
        >>> fresh = {"layers_0": jnp.zeros(2), "layers_1": jnp.zeros(3)}
        >>> from_pretrained(fresh, {"layers_0": jnp.ones(2)})
        {'layers_0': Array([1., 1.], dtype=float32), 'layers_1': Array([0., 0., 0.], dtype=float32)}

    Source: Simonyan & Zisserman 2015, section 3.1: a network of 8 convolutional layers starts a deeper
    one (Simonyan & Zisserman 2015; He et al. 2015 retell it).

    Elsewhere: torch's `load_state_dict(strict=False)` takes what fits by name and shape silently.
    """
    found = {path_name(path): leaf for path, leaf in jax.tree.leaves_with_path(source)}
    taken = []

    def choose(path: tuple, leaf: Any) -> Any:
        name = path_name(path)
        if not (name in found if select is None else select(name)):
            return leaf
        if name not in found:
            raise ValueError(
                f"from_pretrained(source) has no leaf {name!r}, which select asks for: it has "
                f"{', '.join(sorted(found)) or 'none'}."
            )
        if jnp.shape(found[name]) != jnp.shape(leaf):
            raise ValueError(
                f"from_pretrained: {name} has shape {jnp.shape(found[name])} in source and {jnp.shape(leaf)} "
                "in params, expected the same: leave it out with select."
            )
        taken.append(name)
        return cast_like(found[name], leaf)

    chosen = jax.tree.map_with_path(choose, params)
    if not taken:
        raise ValueError(
            "from_pretrained took no leaf: source has the paths "
            f"{', '.join(sorted(found)) or '(none)'}, none of which is selected in params."
        )
    return chosen
