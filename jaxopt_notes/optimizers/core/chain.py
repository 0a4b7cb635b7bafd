"""Chaining gradient transforms: the updates of one are the gradients of the next."""

import inspect
from collections.abc import Callable
from typing import Any

import jax

from jaxopt_notes.dtypes import Tree
from jaxopt_notes.optimizers.core.evaluation_params import evaluation_params
from jaxopt_notes.optimizers.core.gradient_transform import GradientTransform
from jaxopt_notes.record import record, static


@record
class Chain:
    """See `chain`."""

    transforms: tuple

    @property
    def gated(self) -> bool:
        return all(getattr(transform, "gated", False) for transform in self.transforms)

    @property
    def elementwise(self) -> bool:
        return all(getattr(transform, "elementwise", False) for transform in self.transforms)

    def init(self, params: Tree) -> tuple:
        return tuple(transform.init(params) for transform in self.transforms)

    def update(self, updates: Tree, state: tuple, params: Tree = None, **extra: Any) -> tuple[Tree, tuple]:
        if len(state) != len(self.transforms):
            raise ValueError(
                f"chain has {len(self.transforms)} transforms, but its state has {len(state)} parts: "
                "make the state with the same chain's init."
            )
        new = []
        for transform, part in zip(self.transforms, state, strict=True):
            updates, part = transform.update(updates, part, params, **extra)
            new.append(part)
        return updates, tuple(new)

    def evaluation_params(self, params: Tree, state: tuple) -> Tree:
        for transform, part in zip(self.transforms, state, strict=True):
            params = evaluation_params(transform, params, part)
        return params


def chain(*transforms: Any) -> Chain:
    """Apply gradient transforms one after the other.

        u ← Tₙ(… T₂(T₁(g)))

    Arguments:
        transforms: optimizers and transforms of this library, or of any library that follows
            `init(params)`, `update(updates, state, params)`, such as optax.

    Returns:
        A `Chain` record; its state is the tuple of the parts' states.

    Raises:
        TypeError: a part is not a gradient transform.

    Example:
        >>> import jax.numpy as jnp
        >>> from jaxopt_notes.optimizers.transforms.clipping import clip_by_global_norm
        >>> from jaxopt_notes.optimizers.sgd import sgd
        >>> optimizer = chain(clip_by_global_norm(1.0), sgd(0.5))
        >>> optimizer.update(jnp.array([3.0, 4.0]), optimizer.init(jnp.zeros(2)))[0]
        Array([-0.3, -0.4], dtype=float32)

    Elsewhere: `optax.chain`.
    """
    return Chain(tuple(map(as_transform, transforms)))


def as_transform(transform: GradientTransform) -> GradientTransform:
    """The transform itself if it is a record; functions of another library held as structure."""
    if not (callable(getattr(transform, "init", None)) and callable(getattr(transform, "update", None))):
        raise TypeError(
            f"{transform!r} is not a gradient transform: expected an object with init(params) and "
            "update(updates, state, params), such as adam()."
        )
    has_bare_functions = any(
        callable(leaf) for leaf in jax.tree.leaves(transform) if not hasattr(leaf, "update")
    )
    if jax.tree_util.all_leaves([transform]) or has_bare_functions:
        return Foreign(transform.init, transform.update)
    return transform if _takes_extra(transform.update) else WithoutExtra(transform)


def _takes_extra(update: Callable) -> bool:
    kinds = {parameter.kind for parameter in inspect.signature(update).parameters.values()}
    return inspect.Parameter.VAR_KEYWORD in kinds


@record
class WithoutExtra:
    """A record whose `update` takes gradients, state and parameters, and nothing else."""

    transform: GradientTransform

    def init(self, params: Tree) -> Tree:
        return self.transform.init(params)

    def update(self, updates: Tree, state: Tree, params: Tree = None, **extra: Any) -> tuple[Tree, Tree]:
        return self.transform.update(updates, state, params)

    def evaluation_params(self, params: Tree, state: Tree) -> Tree:
        return evaluation_params(self.transform, params, state)


@record
class Foreign:
    """A gradient transform of another library, made of functions: its numbers are constants."""

    init_function: Callable = static()
    update_function: Callable = static()

    def init(self, params: Tree) -> Tree:
        return self.init_function(params)

    def update(self, updates: Tree, state: Tree, params: Tree = None, **extra: Any) -> tuple[Tree, Tree]:
        accepted = extra if _takes_extra(self.update_function) else {}
        return self.update_function(updates, state, params, **accepted)
