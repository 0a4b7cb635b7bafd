"""A module of Equinox as a model of a `Trainer`: its inexact arrays are the parameters, mapped over examples.

A module is made with its parameters, and a pure run makes them from a key. So a model is best given as a
function of `key` that makes the module: every seed then has its own initial parameters. A module that is
there already begins with the parameters it has, whatever the seed, which is what fine-tuning wants.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax.tree_util import PyTreeDef

from jaxopt_notes.dtypes import Tree
from jaxopt_notes.interop.calling import as_before, mode_of_call, takes
from jaxopt_notes.layers.layer import Shaped
from jaxopt_notes.record import record, static


@record
class EquinoxModel:
    """See `equinox_model`."""

    arrays: list
    others: tuple = static()  # leaves that are no arrays, and ... in place of arrays
    structure: PyTreeDef = static()
    make: Callable | None = static()

    def init(self, key: jax.Array, x: Shaped) -> tuple[Tree, Tree]:
        module, state = self._module(key)
        return _split(module)[0], tuple(jax.tree.leaves(state))

    def apply(
        self, params: Tree, state: Tree, x: Tree, *, key: jax.Array | None = None, train: bool = False
    ) -> tuple[Tree, Tree]:
        import equinox

        module, own_state = self._module(jax.random.key(0))  # its parameters are replaced: never computed
        module = equinox.combine(params, _split(module)[1])
        module = equinox.nn.inference_mode(module, value=not train)
        mode, keyed = mode_of_call(module.__call__, train), key is not None and takes(module.__call__, "key")
        keys = None if key is None else jax.random.split(key, len(jax.tree.leaves(x)[0]))
        held = jax.tree.unflatten(jax.tree.structure(own_state), state)

        def call(x: Shaped, key: Any, held: Any) -> tuple[Any, Any]:
            named = {"key": key, **mode} if keyed else mode
            return module(x, held, **named) if self._holds(module, state) else (module(x, **named), held)

        mapped = jax.vmap(call, (0, 0, None), (0, None), axis_name=_axis_name(module))
        y, moved = mapped(x, keys, held)
        return y, as_before(tuple(jax.tree.leaves(moved)), state) if train else state

    def _module(self, key: jax.Array) -> tuple[Any, Any]:
        import equinox

        if self.make is not None:
            return equinox.nn.make_with_state(self.make)(key)
        leaves, arrays = list(self.others), iter(self.arrays)
        return jax.tree.unflatten(self.structure, [next(arrays) if leaf is ... else leaf for leaf in leaves])

    @staticmethod
    def _holds(module: Any, state: tuple) -> bool:
        return bool(state) and takes(module.__call__, "state")


def equinox_model(module: Any) -> EquinoxModel:
    """A module of Equinox as a layer: `Trainer(model=module)` makes this of it by itself.

        yᵢ = module(xᵢ, key=keyᵢ)        for each example of the batch, by `jax.vmap`

    Arguments:
        module: an `eqx.Module` that is called with one example, whose arrays are then the initial parameters
            of every run; or a function `lambda key: MyModule(key=key)`, by which every run draws its own;
            or a pair (module, state), as `eqx.nn.make_with_state` returns.

    Returns:
        An `EquinoxModel` layer. Its parameters are the module's inexact arrays, but for a dropout's rate:
        `eqx.combine(params, module)` brings them back. Its state is that of stateful layers, whose
        `axis_name` is found in the module. In training the module is in training mode, and each example has
        a key if the call takes one; else `eqx.nn.inference_mode` holds.

    Raises:
        TypeError: none of them.

    Example:
        >>> import equinox as eqx  # doctest: +SKIP
        >>> make = lambda key: eqx.nn.MLP(64, 10, 64, 1, key=key)  # doctest: +SKIP
        >>> trainer = Trainer(make, adam(1e-3), softmax_cross_entropy)  # doctest: +SKIP

    Elsewhere: with Equinox alone, `filter_grad`, `filter_jit` and `vmap` over examples are the caller's.
        Examples that only fill the last batch of an epoch count in `eqx.nn.BatchNorm`; in ours they do not.
    """
    import equinox

    if isinstance(module, equinox.Module):
        pair = equinox.nn.delete_init_state(module), equinox.nn.State(module)
    elif isinstance(module, tuple) and len(module) == 2 and isinstance(module[0], equinox.Module):
        pair = module
    elif takes(module, "key"):
        return EquinoxModel([], (), None, module)
    else:
        raise TypeError(f"equinox_model(module) is {module!r}, expected an eqx.Module or a function of key.")
    leaves, structure = jax.tree.flatten(pair)
    arrays = [leaf for leaf in leaves if equinox.is_array(leaf)]
    others = tuple(... if equinox.is_array(leaf) else leaf for leaf in leaves)
    return EquinoxModel(arrays, others, structure, None)


def _split(module: Any) -> tuple[Any, Any]:
    """The parameters of a module, and the rest of it. A dropout's rate is a number, but not trained."""
    import equinox

    def is_dropout(node: Any) -> bool:
        return isinstance(node, equinox.nn.Dropout)

    def is_trained(node: Any) -> bool:
        return not is_dropout(node) and hasattr(node, "dtype") and jnp.issubdtype(node.dtype, jnp.inexact)

    return equinox.partition(module, jax.tree.map(is_trained, module, is_leaf=is_dropout))


def _axis_name(module: Any) -> str:
    """The name by which batch normalization knows the axis of examples."""
    import equinox

    def is_norm(node: Any) -> bool:
        return isinstance(node, equinox.nn.BatchNorm)

    norms = filter(is_norm, jax.tree.leaves(module, is_leaf=is_norm))
    return next((norm.axis_name for norm in norms), "batch")
