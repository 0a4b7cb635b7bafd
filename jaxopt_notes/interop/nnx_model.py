"""A module of Flax NNX as a model of a `Trainer`, its parameters and statistics outside as plain dicts.

A module holds its own parameters, and a pure run makes them from a key. So a model is best given as a
function of `rngs` that makes the module: every seed then has its own initial parameters. A module that is
there already begins with the parameters it has, whatever the seed, which is what fine-tuning wants.
"""

from collections.abc import Callable
from typing import Any

import jax
from jax.tree_util import PyTreeDef

from jaxopt_notes.dtypes import Tree
from jaxopt_notes.interop.calling import as_before, mode_of_call, takes
from jaxopt_notes.layers.layer import Shaped
from jaxopt_notes.record import record, static


@record
class NNXModel:
    """See `nnx_model`."""

    arrays: list
    structure: PyTreeDef = static()
    make: Callable | None = static()

    def init(self, key: jax.Array, x: Shaped) -> tuple[Tree, Tree]:
        params, state = _parts(self._module(key))
        return params, state or ()

    def apply(
        self, params: Tree, state: Tree, x: Tree, *, key: jax.Array | None = None, train: bool = False
    ) -> tuple[Tree, Tree]:
        from flax import nnx

        module = self._module(jax.random.key(0))  # its parameters are replaced, and so never computed
        nnx.update(module, params)
        if state:
            nnx.update(module, state)
        if key is not None:
            _reseed(module, key)
        module.train() if train else module.eval()
        y = module(x, **mode_of_call(module.__call__, train))
        return y, as_before(_parts(module)[1], state) if train and state else state

    def _module(self, key: jax.Array) -> Any:
        from flax import nnx

        if self.make is not None:
            return self.make(nnx.Rngs(key))
        return nnx.merge(*jax.tree.unflatten(self.structure, self.arrays))


def nnx_model(module: Any) -> NNXModel:
    """A module of Flax NNX as a layer: `Trainer(model=module)` makes this of it by itself.

        y = merge(graph, params, state)(x);  state ← the module's other variables

    Arguments:
        module: an `nnx.Module`, whose parameters are then the initial ones of every run; or a function
            `lambda rngs: MyModule(rngs=rngs)`, by which every run draws its own.

    Returns:
        An `NNXModel` layer. Parameters are the `nnx.Param`s, state the other variables (running statistics),
        both as plain dicts: `nnx.update(module, params)` brings them back. In training the module is in
        `train()` mode and its random streams come from the run's key; else it is in `eval()` mode.

    Raises:
        TypeError: neither of them.

    Example:
        >>> from flax import nnx  # doctest: +SKIP
        >>> make = lambda rngs: nnx.Linear(64, 10, rngs=rngs)  # doctest: +SKIP
        >>> trainer = Trainer(make, adam(1e-3), softmax_cross_entropy)  # doctest: +SKIP

    Elsewhere: `nnx.Optimizer` changes a module in place, one at a time.
        Examples that only fill the last batch of an epoch count in `nnx.BatchNorm`, as they do not in ours.
    """
    from flax import nnx

    if isinstance(module, nnx.Module):
        return NNXModel(*jax.tree.flatten(nnx.split(module)), None)
    if not takes(module, "rngs"):
        raise TypeError(f"nnx_model(module) is {module!r}, expected an nnx.Module or a function of rngs.")
    return NNXModel([], None, module)


def _parts(module: Any) -> tuple[dict, dict]:
    """Parameters, and what else moves in training; random streams come from the run's key."""
    from flax import nnx

    _, *found = nnx.split(module, nnx.Param, nnx.RngState, nnx.Intermediate, ...)
    return nnx.to_pure_dict(found[0]), nnx.to_pure_dict(found[-1])


def _reseed(module: Any, key: jax.Array) -> None:
    from flax import nnx

    old, structure = jax.tree.flatten(nnx.state(module, nnx.RngKey))
    new = [jax.random.split(jax.random.fold_in(key, i), leaf.shape) for i, leaf in enumerate(old)]
    nnx.update(module, jax.tree.unflatten(structure, new))
