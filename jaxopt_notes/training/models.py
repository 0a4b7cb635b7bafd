"""What may stand as a `Trainer`'s model: a layer, two functions, or a module of Flax or Equinox.

Whatever is not a layer is put into one. Modules of other libraries are known by the libraries that are
loaded, so that nothing is imported to find out; their adapters are in `jaxopt_notes.interop`.
"""

import functools
import inspect
import sys
from typing import Any, NamedTuple

import jax

from jaxopt_notes.dtypes import Tree
from jaxopt_notes.layers.layer import Shaped
from jaxopt_notes.record import as_leaf, record


class Functions(NamedTuple):
    """A model that is not a pytree, as the two functions of the layer protocol."""

    init: Any
    apply: Any


@record
class Stateless:
    """A model of `init(key, x) -> params` and `apply(params, x) -> y`, without a state, noise or modes."""

    # Not one field of both: what has `init` and `apply` is taken for a layer within (`capture`).
    init_function: Any
    apply_function: Any

    def init(self, key: jax.Array, x: Shaped) -> tuple[Tree, Tree]:
        return self.init_function(key, x), ()

    def apply(
        self, params: Tree, state: Tree, x: Any, *, key: jax.Array | None = None, train: bool = False
    ) -> tuple[Tree, Tree]:
        return self.apply_function(params, x), state


def as_model(model: Any) -> Any:
    """A model as a layer; what is not recognized comes back as it is.

    Arguments:
        model: a layer; an object with `init(key, x) -> params` and `apply(params, x)`; a module of Flax
            linen, Flax NNX or Equinox; or a function that makes one of the last two from `rngs` or `key`.

    Example:
        >>> import types
        >>> model = types.SimpleNamespace(init=lambda key, x: 2.0, apply=lambda w, x: w * x)
        >>> as_model(model).apply(2.0, (), 3.0)
        (6.0, ())
    """
    if _is_of("flax.linen", model):
        from jaxopt_notes.interop.linen_model import linen_model

        return linen_model(model)
    if _is_of("flax.nnx", model) or _makes("rngs", model):
        from jaxopt_notes.interop.nnx_model import nnx_model

        return nnx_model(model)
    pair = isinstance(model, tuple) and len(model) == 2 and _is_of("equinox", model[0])
    if pair or _is_of("equinox", model) or _makes("key", model):
        from jaxopt_notes.interop.equinox_model import equinox_model

        return equinox_model(model)
    layer_like = hasattr(model, "init") and hasattr(model, "apply") and not inspect.isclass(model)
    if not (layer_like and jax.tree_util.all_leaves([model])):
        return model
    functions = Functions(as_leaf(model.init), as_leaf(model.apply))
    return Stateless(*functions) if _has_no_state(model.apply) else functions


def _is_of(library: str, model: Any) -> bool:
    """Whether it is a module of a library; one that is not loaded has none."""
    base = getattr(sys.modules.get(library), "Module", None)
    return base is not None and isinstance(model, base)


def _makes(argument: str, model: Any) -> bool:
    """Whether it is a function (or a class) that needs this argument alone, and makes a module of it."""
    if not (inspect.isroutine(model) or inspect.isclass(model) or isinstance(model, functools.partial)):
        return False
    try:
        arguments = inspect.signature(model).parameters.values()
    except (TypeError, ValueError):
        return False
    kinds = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    return [a.name for a in arguments if a.default is a.empty and a.kind not in kinds] == [argument]


def _has_no_state(apply: Any) -> bool:
    """Whether a function takes two arguments by position, and not what the layer protocol gives."""
    try:
        signature = inspect.signature(apply)
    except (TypeError, ValueError):
        return False
    for arguments, named, fits in (((0, 0, 0), {"key": 0, "train": 0}, False), ((0, 0), {}, True)):
        try:
            signature.bind(*arguments, **named)
        except TypeError:
            continue
        return fits
    return False
