"""Parameters as another library has them, and back: what is common to all libraries.

For each kind of layer a `Rule` says how its parameters look elsewhere, by name within one module, in both
directions; it works on NumPy arrays. A `naming` says what the module of a path is called. From the two
follow all names and shapes that a model has elsewhere, so what is missing, left over, or of another shape or
dtype is known, by name, before anything is converted.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxopt_notes.dtypes import Tree, cast_and_fits
from jaxopt_notes.interop.places import Path, Place, assembled, places, shapes_of
from jaxopt_notes.layers.layer import Layer, Shaped

Entries = dict[str, np.ndarray]
Naming = Callable[[Place, str], str]  # the whole name of one of a module's entries


class Rule(NamedTuple):
    """How the parameters of a kind of layer look elsewhere.

    `give` makes the module's entries of what a place owns; `take` makes params and state of entries. An entry
    in `unread` holds nothing that a layer here has, so it may be missing.
    """

    give: Callable[[Place], Entries]
    take: Callable[[Place, Entries], tuple[Tree, Tree]]
    unread: tuple[str, ...] = ()


class Move(NamedTuple):
    """One array under another name, laid out otherwise: `give` and `take` are each other's inverses."""

    name: str
    give: Callable[[np.ndarray], np.ndarray] = np.asarray
    take: Callable[[np.ndarray], np.ndarray] = np.asarray


def moving(params: Mapping[str, Move], state: Mapping[str, Move] | None = None) -> Rule:
    """The rule of a layer each of whose arrays is one array elsewhere, by our names."""
    moves = {"params": params, "state": state or {}}

    def give(place: Place) -> Entries:
        own = {"params": place.params, "state": place.state}
        return {
            move.name: move.give(own[tree][name])
            for tree, names in moves.items()
            for name, move in names.items()
            if name in own[tree]
        }

    def take(_: Place, entries: Entries) -> tuple[Tree, Tree]:
        made, kept = (
            {name: move.take(entries[move.name]) for name, move in names.items() if move.name in entries}
            for names in moves.values()
        )
        return made, kept or ()

    return Rule(give, take)


class Library(NamedTuple):
    """Another library: its rules by kind of layer, and what the functions for it are called."""

    name: str
    rules: Mapping[type, Rule]

    def rule(self, place: Place) -> Rule:
        """The rule for a layer.

        Raises:
            TypeError: there is none.
        """
        for kind in type(place.layer).__mro__:
            if kind in self.rules:
                return self.rules[kind]
        raise TypeError(f"{place} has no counterpart in {self.name}: move what it owns by hand.")

    def exported(self, found: list[Place], naming: Naming) -> Entries:
        """All entries of a model, by their whole names."""
        entries: Entries = {}
        for place in found:
            for name, array in self.rule(place).give(place).items():
                whole = naming(place, name)
                if whole in entries:
                    raise ValueError(f"names gives {whole!r} to two layers, the second is {place}.")
                entries[whole] = array
        return entries

    def imported(
        self, where: str, model: Layer, entries: Mapping[str, Any], x: Shaped, extra: Any, naming: Naming
    ) -> tuple[Tree, Tree]:
        """Params and state of a model, as JAX arrays in the dtypes of its own `init`."""
        params, state = jax.tree.map(_hollow, shapes_of(model, x, extra))
        found = places(model, params, state, x, extra)
        arrays = {name: as_numpy(array) for name, array in entries.items()}
        self._check(where, found, arrays, naming)
        parts: tuple[dict[Path, Tree], ...] = {}, {}
        for place in found:
            rule = self.rule(place)
            names = {name: naming(place, name) for name in rule.give(place)}
            own = {name: arrays[whole] for name, whole in names.items() if whole in arrays}
            for part, tree, like in zip(
                parts, rule.take(place, own), (place.params, place.state), strict=True
            ):
                part[place.path] = jax.tree.map_with_path(_caster(where, place), like or tree, tree)
        # Not jnp.asarray, which compiles a program for each shape.
        params, state = (jax.device_put(assembled(part) if part else {}) for part in parts)
        return params, state or ()

    def _check(self, where: str, found: list[Place], arrays: Entries, naming: Naming) -> None:
        left, missing, wrong = dict(arrays), [], []
        for place in found:
            rule = self.rule(place)
            for name, expected in rule.give(place).items():
                whole = naming(place, name)
                array = left.pop(whole, None)
                if array is None:
                    if name not in rule.unread:
                        missing.append(f"{whole} (of {place})")
                elif array.shape != expected.shape:
                    wrong.append(f"{whole} has shape {array.shape}, expected {expected.shape} (of {place})")
                elif not jnp.issubdtype(array.dtype, jnp.floating) and name not in rule.unread:
                    wrong.append(f"{whole} is {array.dtype}, expected a floating-point dtype (of {place})")
        faults = [f"missing {_listed(missing)}"] * bool(missing) + wrong[:10]
        faults += [f"left over {_listed(list(left))}"] * bool(left)
        if faults:
            raise ValueError(
                f"{where} does not fit the model: {'; '.join(faults)}. Check names, the sizes of the model, "
                "and the shape of x; what the model does not have must be taken out first."
            )


def _listed(names: list[str]) -> str:
    more = f" and {len(names) - 10} more" if len(names) > 10 else ""
    return ", ".join(names[:10]) + more


def _hollow(shape: Any) -> np.ndarray:
    """An array of a shape and dtype that takes no memory."""
    return np.broadcast_to(np.zeros((), shape.dtype), shape.shape)


def _caster(where: str, place: Place) -> Callable[[tuple, Any, np.ndarray], np.ndarray]:
    def cast(path: tuple, like: Any, array: np.ndarray) -> np.ndarray:
        made, fits = cast_and_fits(array, like.dtype, rounded=True)
        if not np.all(fits):
            name = jax.tree_util.keystr(path, simple=True, separator="/")
            raise ValueError(
                f"{where} holds {array[~fits].flat[0]} for {name} of {place}, which {like.dtype} does not."
            )
        return made

    return cast


def as_numpy(array: Any) -> np.ndarray:
    """An array of NumPy, JAX or torch as NumPy's; torch is not imported.

    Example:
        >>> as_numpy(jnp.ones(2))
        array([1., 1.], dtype=float32)
    """
    if hasattr(array, "detach"):
        tensor = array.detach().cpu()
        try:
            return np.asarray(tensor)
        except TypeError:  # bfloat16 and float8, which NumPy does not have
            return np.asarray(tensor.float())
    return np.asarray(array)


def writable(array: np.ndarray) -> np.ndarray:
    """A contiguous copy that its owner may change."""
    return np.array(array, order="C")


def as_path_names(names: Any) -> Callable[[str], str | None]:
    """What the caller calls modules, as a function of our path."""
    if names is None:
        return lambda path: None
    return names if callable(names) else names.get


def named(place: Place, names: Callable[[str], str | None], default: Callable[[str | int], str]) -> list[str]:
    """The module of a place, as parts: the caller's name for the longest beginning of its path, and default
    names for the rest. A path that ends in the block of a `repeat` is "layers_2/layer/0"."""
    path = list(place.path)
    for end in range(len(path), -1, -1):
        given = names("/".join(map(str, path[:end])))
        if given is not None:
            return [part for part in [given, *_defaults(path[end:], default)] if part]
    return list(_defaults(path, default))


def _defaults(path: list, default: Callable[[str | int], str]) -> Iterator[str]:
    for i, part in enumerate(path):
        if not (part == "layer" and i + 1 < len(path) and isinstance(path[i + 1], int)):
            yield default(part)
