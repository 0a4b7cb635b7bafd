"""A tree held as one buffer of each dtype, its leaves views of it.

An update of thousands of tiny leaves is thousands of loops. Held flat it is one: parameters, gradients
and optimizer states are a few long vectors, and only the model sees the leaves. The packing is done
once. A gradient comes back flat by itself: the transpose of cutting a vector is joining its pieces.
"""

import math
from collections import defaultdict
from collections.abc import Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import lax
from jax.tree_util import PyTreeDef

from jaxopt_notes.dtypes import Tree, is_float
from jaxopt_notes.masks import MaskLike, as_mask, read_mask
from jaxopt_notes.record import record, static
from jaxopt_notes.sharding import is_cut


class Layout(NamedTuple):
    """Where each leaf of the tree is: the buffer it is in (`None`: kept as it is), and its shape."""

    treedef: PyTreeDef
    buffers: tuple[str | None, ...]
    shapes: tuple[tuple[int, ...], ...]


@record
class Flat:
    """See `flatten_tree`."""

    buffers: dict[str, jax.Array]
    others: tuple
    layout: Layout = static()

    def tree(self) -> Tree:
        """The tree that was packed, its leaves cut out of the buffers."""
        pieces = {name: iter(self._cut(name)) for name in self.buffers}
        others = iter(self.others)
        treedef, names, shapes = self.layout
        leaves = [
            next(others) if name is None else next(pieces[name]).reshape(shape)
            for name, shape in zip(names, shapes, strict=True)
        ]
        return jax.tree.unflatten(treedef, leaves)

    def like(self, tree: Tree) -> "Flat":
        """Another tree of the same structure and shapes, packed in the same way."""
        return type(self)(*_packed(self.layout.treedef.flatten_up_to(tree), self.layout))

    def _cut(self, name: str) -> Sequence[jax.Array]:
        sizes = [math.prod(s) for n, s in zip(*self.layout[1:], strict=True) if n == name]
        return lax.split(self.buffers[name], sizes)


@record
class Joined(Flat):
    """A tree that `grouped` holds flat: masks are of its leaves, not of the buffers."""


def flatten_tree(tree: Tree, mask: MaskLike = None, max_size: int | None = None) -> Flat:
    """Pack the leaves of a tree into one buffer of each dtype.

        x = (x₁, …, xₙ) → one vector; loss(flat.tree()) has its gradient in the same vector

    Arguments:
        tree: parameters. Leaves that are not floating point are kept beside the buffers.
        mask: `None`, or a function of the parameters or a tree of bools (such as `weights_only`): leaves
            for which it is True get buffers of their own, named "float32/masked", so that weight decay
            can be told apart: `mask=where_path(lambda name, leaf: name.endswith("masked"))`.
        max_size: leaves of more numbers are kept beside the buffers as they are; `None` packs all.

    Returns:
        A `Flat` record, a pytree of a few vectors: give it to any optimizer in place of the parameters,
        and its `tree()` to the model. What looks at single leaves (a trust ratio, a norm for each
        leaf, a mask by path) sees the buffers instead. Values are copied once, here.

    Raises:
        ValueError: a mask of another structure than the tree.

    Example:
        >>> flat = flatten_tree({"kernel": jnp.ones((2, 3)), "bias": jnp.zeros(3)})
        >>> {name: x.shape for name, x in flat.buffers.items()}
        {'float32': (9,)}
        >>> grads = jax.grad(lambda flat: flat.tree()["bias"].sum())(flat)
        >>> grads.buffers["float32"].tolist()
        [1.0, 1.0, 1.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0]

    Source: the multi-tensor kernels of NVIDIA Apex, as a layout instead of a kernel.

    Elsewhere: `optax.flatten` packs the gradients and cuts the updates apart at every step.
    """
    treedef: PyTreeDef
    leaves, treedef = jax.tree.flatten(tree)
    chosen = as_mask(mask)
    flags = [False] * len(leaves) if chosen is None else jax.tree.leaves(read_mask(chosen, tree))
    names = tuple(
        jnp.result_type(leaf).name + "/masked" * bool(flag)
        if is_float(leaf) and not is_cut(leaf) and (max_size is None or jnp.size(leaf) <= max_size)
        else None
        for leaf, flag in zip(leaves, flags, strict=True)
    )
    return Flat(*_packed(leaves, Layout(treedef, names, tuple(jnp.shape(leaf) for leaf in leaves))))


def _packed(leaves: list, layout: Layout) -> tuple[dict, tuple, Layout]:
    """The fields of a record of this layout."""
    parts = defaultdict(list)
    for name, leaf in zip(layout.buffers, leaves, strict=True):
        parts[name].append(leaf)
    buffers = {
        name: jnp.concatenate([jnp.ravel(leaf) for leaf in part]) for name, part in parts.items() if name
    }
    return buffers, tuple(parts[None]), layout
