"""Different treatment of different leaves: by label, frozen, or at a rate of their own.

`partition` is a chain of `masked` optimizers, one for each label; a leaf is seen by the one of its label
only, so norms and states are those of the group. A group under `freeze` holds no state at all.
"""

from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
from jax.tree_util import PyTreeDef

from jaxopt_notes.dtypes import Tree, is_none
from jaxopt_notes.masks import Marks, Mask, MaskLike, as_mask, path_name, read_mask
from jaxopt_notes.optimizers.core.chain import Chain, as_transform
from jaxopt_notes.optimizers.core.gradient_transform import Accept
from jaxopt_notes.optimizers.core.leafwise import Transform, leafwise
from jaxopt_notes.optimizers.wrappers.masking import masked
from jaxopt_notes.record import Number, check_number, record, static


def partition(transforms: Mapping[str, Any], labels: Callable[[Tree], Tree] | Tree) -> Chain:
    """An optimizer for each group of leaves.

        u ← optimizer_l(g of all leaves labelled l), for every label l

    Arguments:
        transforms: an optimizer, chain or transform for each label; `freeze()` for what must not move.
        labels: a tree of labels like the parameters (a label for a whole subtree will do), or a
            function from the parameters to one; `label_paths` makes one from a function of the path.

    Returns:
        A `Chain` of `masked` optimizers in the order of `transforms`; its state is a tuple with the
        state of each, which has leaves for the parameters of its group only.

    Raises:
        ValueError: a label without an optimizer, found when the parameters are.
        TypeError: a part is not a gradient transform.

    Example:
        >>> from jaxopt_notes.optimizers.sgd import sgd
        >>> optimizer = partition({"moved": sgd(0.5), "kept": freeze()}, {"w": "moved", "b": "kept"})
        >>> params = {"w": jnp.array(1.0), "b": jnp.array(1.0)}
        >>> updates, _ = optimizer.update(params, optimizer.init(params), params)
        >>> print(updates["w"], updates["b"])
        -0.5 0.0

    Source: Howard & Ruder 2018, section 3.2: a head on top of frozen layers, fine-tuning at a tenth of
    the rate.

    Elsewhere: `optax.partition` (`multi_transform`), the same arguments; torch's parameter groups.
    """
    known = tuple(transforms)
    return Chain(
        tuple(
            masked(as_transform(transform), Marks.of(label, labels, known), outside="raw")
            for label, transform in transforms.items()
        )
    )


def label_paths(label: Callable[[str], str]) -> Callable[[Tree], Tree]:
    """Labels for `partition` from the path of each leaf.

        label of θᵢ = label("layers_0/kernel") for the leaf of that path

    Arguments:
        label: called with the path; returns the label.

    Returns:
        A function from the parameters to a tree of labels.

    Example:
        >>> labels = label_paths(lambda path: "head" if path.startswith("layers_4") else "body")
        >>> labels({"layers_0": {"kernel": 1.0}, "layers_4": {"kernel": 1.0}})
        {'layers_0': {'kernel': 'body'}, 'layers_4': {'kernel': 'head'}}
    """
    return Marks(label, "path")


@record
class Freeze(Transform):
    """See `freeze`."""

    mask: Mask | None = static()

    def update(
        self, updates: Tree, state: tuple, params: Tree = None, *, accept: Accept = None, **extra: Any
    ) -> tuple[Tree, tuple]:
        chosen = None if self.mask is None else read_mask(self.mask, updates if params is None else params)
        return leafwise(_zero, updates, params, mask=chosen, accept=accept)[0], state


def _zero(u, p):
    return jnp.zeros_like(u)


def freeze(mask: MaskLike = None) -> Freeze:
    """Leave some parameters where they are: their updates become zero.

        u ← 0 where the mask is True

    Arguments:
        mask: `None` for all leaves, a function of the parameters, or a tree of bools.

    Returns:
        A `Freeze` record without state, for a group of `partition`, or to stand last in `chain`. Last in
        a chain it stops whatever the optimizer made of the gradients, decay and noise included, but the
        optimizer keeps its state for the frozen leaves; under `partition` (or with `masked`) they have
        none.

    Example:
        >>> freeze({"w": False, "b": True}).update({"w": jnp.ones(1), "b": jnp.ones(1)}, ())[0]
        {'b': Array([0.], dtype=float32), 'w': Array([1.], dtype=float32)}

    Source: Yosinski et al. 2014.

    Elsewhere: `optax.transforms.freeze`, and `optax.set_to_zero` for all leaves; `requires_grad_(False)` in
    torch.
    """
    return Freeze(as_mask(mask))


@record
class LayerwiseRates(Transform):
    """See `layerwise_rates`."""

    rates: Any
    default: Number

    def update(
        self, updates: Tree, state: tuple, params: Tree = None, *, accept: Accept = None, **extra: Any
    ) -> tuple[Tree, tuple]:
        treedef: PyTreeDef
        paths, treedef = jax.tree.flatten_with_path(updates, is_leaf=is_none)
        names = [path_name(path) for path, _ in paths]
        for prefix in self.rates:
            if names and not any(_lies_under(name, prefix) for name in names):
                raise ValueError(
                    f"layerwise_rates(rates) has {prefix!r}, expected the path of a leaf or of a subtree: "
                    f"the leaves are {', '.join(map(repr, names))}."
                )
        likes = treedef.flatten_up_to(updates if params is None else params)
        scaled = [
            leafwise(_scale, g, like, rate=self._rate(name), accept=accept)[0]
            for name, (_, g), like in zip(names, paths, likes, strict=True)
        ]
        return jax.tree.unflatten(treedef, scaled), state

    def _rate(self, name: str) -> Number:
        """That of the longest prefix."""
        found = [prefix for prefix in self.rates if _lies_under(name, prefix)]
        return self.rates[max(found, key=len)] if found else self.default


def _lies_under(name: str, prefix: str) -> bool:
    return f"{name}/".startswith(f"{prefix}/")


def _scale(u, p, *, rate):
    return rate * u


def layerwise_rates(rates: Mapping[str, Number] | None = None, default: Number = 1.0) -> LayerwiseRates:
    """Multiply the steps of some layers by a factor.

        u ← rates[path]·u

    Arguments:
        rates: a factor ≥ 0 for each path of a leaf or a subtree ("layers_0", "layers_0/kernel"), the
            longest one counts. 0 freezes. They may be traced.
        default: the factor of all other leaves.

    Returns:
        A `LayerwiseRates` record without state, to stand after an optimizer in `chain`. (Before one that
        is adaptive it would do nothing: Adam's steps do not depend on the scale of its gradients.)

    Raises:
        ValueError: a negative factor; in `update`, a path that no leaf has.
        TypeError: an argument is not a number.

    Example:
        >>> fine_tuning = layerwise_rates({"head": 1.0}, default=0.1)
        >>> updates = {"body": jnp.array(1.0), "head": jnp.array(1.0)}
        >>> print({name: float(u) for name, u in fine_tuning.update(updates, ())[0].items()})
        {'body': 0.10000000149011612, 'head': 1.0}

    Source: Howard & Ruder 2018, section 3.2 (fine-tuning at a tenth of the rate).

    Elsewhere: a rate for each group of torch's parameter groups or of `optax.partition`.
    """
    for prefix, rate in (rates or {}).items():
        check_number(f"layerwise_rates(rates[{prefix!r}])", rate, "[0, inf)", "0 freezes")
    return LayerwiseRates(
        dict(rates or {}), check_number("layerwise_rates(default)", default, "[0, inf)", "0 freezes")
    )
