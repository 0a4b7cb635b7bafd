"""Pretrained initialization: some leaves from a trained network, the rest as they were drawn.

The whole tree, the leaves of some paths, or the first layers, which learn what all images have in common.
Where shapes differ (another number of classes, of channels, of words) the caller says what is done.
"""

import re
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike

from jaxopt_notes.dtypes import Tree, cast_like
from jaxopt_notes.masks import path_name
from jaxopt_notes.record import check_choice, check_count

__all__ = ["from_pretrained"]

Select = Callable[[str], bool] | str | Sequence[str]
Adapt = Callable[[str, jax.Array, jax.Array], jax.Array]


def from_pretrained(
    params: Tree,
    source: Tree,
    select: Select | None = None,
    *,
    first: int | None = None,
    adapt: str | Adapt | None = None,
) -> Tree:
    """Parameters whose selected leaves come from another network, by path.

        θ[path] ← source[path] where selected, else θ[path]

    Arguments:
        params: freshly initialized parameters.
        source: parameters of a trained network, which may be shallower or deeper.
        select: which paths to take: a function of the path ("layers_0/kernel"), or beginnings of paths, one
            or several ("layers_0" is all of that layer); by default all that both have.
        first: only of the first so many layers of the source that have parameters: its top-level entries, in
            the order of their numbers ("layers_2" before "layers_10").
        adapt: for leaves of another shape: "skip" leaves them as they were drawn; "crop" takes the block that
            both have, from the first entry of each axis on, and leaves the rest as drawn; or a function
            (path, theirs, ours) → an array of our shape. By default they are an error.

    Returns:
        A tree like `params`, in its dtypes.

    Raises:
        ValueError: a selected leaf is missing from the source or has another shape; no leaf is taken.

    Example:
        >>> fresh = {"layers_0": jnp.zeros(2), "layers_1": jnp.zeros(3)}
        >>> trained = {"layers_0": jnp.ones(2), "layers_1": jnp.ones(2)}
        >>> from_pretrained(fresh, trained, first=1)
        {'layers_0': Array([1., 1.], dtype=float32), 'layers_1': Array([0., 0., 0.], dtype=float32)}
        >>> from_pretrained(fresh, trained, "layers_1", adapt="crop")["layers_1"]
        Array([1., 1., 0.], dtype=float32)

    Source: Simonyan & Zisserman 2015, section 3.1: a network of 8 convolutional layers starts a deeper
    one (He et al. 2015 retell it). Yosinski et al. 2014 say which layers transfer.

    Elsewhere: torch's `load_state_dict(strict=False)` takes what it finds by name silently, and raises at
    another shape.
    """
    if isinstance(adapt, str):
        check_choice("from_pretrained(adapt)", adapt, ("skip", "crop"))
    found = {path_name(path): leaf for path, leaf in jax.tree.leaves_with_path(source)}
    usable = set(found) if first is None else _of_first_layers(found, first)
    wanted = _selection(select)
    taken = []

    def choose(path: tuple, leaf: ArrayLike) -> ArrayLike:
        name = path_name(path)
        if not (name in usable if wanted is None else wanted(name) and (first is None or name in usable)):
            return leaf
        if name not in found:
            raise ValueError(
                f"from_pretrained(source) has no leaf {name!r}, which select asks for: it has "
                f"{', '.join(sorted(found)) or 'none'}."
            )
        theirs = found[name]
        if jnp.shape(theirs) != jnp.shape(leaf):
            if adapt == "skip":
                return leaf
            theirs = _adapted(name, theirs, leaf, adapt)
        taken.append(name)
        return cast_like(theirs, leaf)

    chosen = jax.tree.map_with_path(choose, params)
    if not taken:
        raise ValueError(
            "from_pretrained took no leaf: source has the paths "
            f"{', '.join(sorted(found)) or '(none)'}, none of which is selected in params, or fits."
        )
    return chosen


def _selection(select: Select | None) -> Callable[[str], bool] | None:
    if select is None or callable(select):
        return select
    beginnings = (select,) if isinstance(select, str) else tuple(select)
    return lambda name: any(name == start or name.startswith(f"{start}/") for start in beginnings)


def _of_first_layers(found: dict[str, Any], first: int) -> set[str]:
    """The paths of the first top-level entries: numbers in their names count as numbers."""
    first = check_count("from_pretrained(first)", first, 1)

    def order(layer: str) -> list:
        parts = re.split(r"(\d+)", layer)  # text and numbers in turn
        return [int(part) if part.isdigit() else part for part in parts]

    layers = sorted({name.split("/")[0] for name in found}, key=order)[:first]
    return {name for name in found if name.split("/")[0] in layers}


def _adapted(name: str, theirs: Any, ours: Any, adapt: Any) -> jax.Array:
    theirs, ours = jnp.asarray(theirs), jnp.asarray(ours)
    if adapt == "crop" and theirs.ndim == ours.ndim:
        block = tuple(slice(min(a, b)) for a, b in zip(theirs.shape, ours.shape, strict=True))
        return ours.at[block].set(theirs[block].astype(ours.dtype))
    fitted = adapt(name, theirs, ours) if callable(adapt) else theirs
    if jnp.shape(fitted) != ours.shape:
        whose = "adapt made" if callable(adapt) else "in source"
        raise ValueError(
            f"from_pretrained: {name} has shape {jnp.shape(fitted)} {whose} and {ours.shape} in params, "
            'expected the same: leave it out with select or adapt="skip", or take what both have with '
            'adapt="crop".'
        )
    return fitted
