"""Small leaves share their state in one long vector, and their update in one loop.

A GPU launches a kernel, and a CPU runs a loop, for every leaf and slot: of a network with hundreds of biases
and scales that is most of the time of an update. Here the gradients of small leaves are joined once, their
state is held joined from the start, and each parameter adds its piece of the one update. Parameters stay a
tree, and numbers are those of the wrapped optimizer.

It needs a rule that treats every entry by itself; what looks at a leaf as a whole (a trust ratio, a
factored moment) cannot share. Masks see the leaves, not the vector.
"""

from typing import Any

import jax
import jax.numpy as jnp

from jaxopt_notes.dtypes import Tree, cast_like, is_float, is_none
from jaxopt_notes.optimizers.core.chain import as_transform
from jaxopt_notes.optimizers.core.evaluation_params import evaluation_params
from jaxopt_notes.optimizers.core.gradient_transform import GradientTransform
from jaxopt_notes.optimizers.core.leafwise import Transform
from jaxopt_notes.optimizers.wrappers.flatten_tree import Joined, flatten_tree
from jaxopt_notes.record import check_count, record, static

# On a GPU kernels are what costs. A TPU converts the layouts of larger leaves. A CPU copies what it joins,
# which is less than starting a loop for few numbers only.
MAX_SIZES = {"cpu": 256, "tpu": 4096}
ELSEWHERE = 2**20


@record
class Grouped(Transform):
    """See `grouped`."""

    optimizer: GradientTransform
    max_size: int = static()

    elementwise = True

    @property
    def gated(self) -> bool:  # type: ignore[override]
        return getattr(self.optimizer, "gated", False)

    def init(self, params: Tree) -> Tree:
        return self.optimizer.init(self.join(params))

    def update(self, updates: Tree, state: Tree, params: Tree = None, **extra: Any) -> tuple[Tree, Tree]:
        like = self.join(updates if params is None else params)
        if any(g is None for g in like.layout.treedef.flatten_up_to(updates)):
            return self._leaf_by_leaf(updates, state, params, extra)
        flat = None if params is None else like
        updates, state = self.optimizer.update(like.like(updates), state, flat, **extra)
        return _as_leaves(updates.tree(), params), state

    def evaluation_params(self, params: Tree, state: Tree) -> Tree:
        flat = self.join(params)
        found = evaluation_params(self.optimizer, flat, state)
        return params if found is flat else found.tree()

    def mirrored(self, state: Tree) -> Tree:
        """The state as the wrapped optimizer's own, trees like the parameters: for those who look into it."""
        return mirrored(state)

    def joined(self, state: Tree, params: Tree) -> Tree:
        """The state that the wrapped optimizer has for these parameters, in the form that it has here."""
        return joined(self, state, params)

    def join(self, tree: Tree) -> Joined:
        """Parameters or gradients in the form that the wrapped optimizer is given."""
        flat = flatten_tree(tree, max_size=self.max_size)
        return Joined(flat.buffers, flat.others, flat.layout)

    def _leaf_by_leaf(self, updates: Tree, state: Tree, params: Tree, extra: dict) -> tuple[Tree, Tree]:
        """Where gradients are missing, state is that must not move."""
        updates, new = self.optimizer.update(updates, mirrored(state), params, **extra)
        return updates, _joined(state, new)


def size_on(platform: str) -> int:
    """Leaves of at most how many numbers are joined there."""
    return MAX_SIZES.get(platform, ELSEWHERE)


def mirrored(state: Tree) -> Tree:
    """Any state, or tree that has a `Grouped` optimizer's in it, with trees in place of the vectors."""
    return jax.tree.map(lambda part: part.tree() if _is_flat(part) else part, state, is_leaf=_is_flat)


def joined(optimizer: GradientTransform, state: Tree, params: Tree) -> Tree:
    """The way back: `optimizer` is a `Grouped`, or has one in it."""
    return _joined(jax.eval_shape(optimizer.init, params), state)


def _is_flat(part: Any) -> bool:
    return isinstance(part, Joined)


def _joined(like: Tree, state: Tree) -> Tree:
    return jax.tree.map(
        lambda part, tree: part.like(tree) if _is_flat(part) else tree, like, state, is_leaf=_is_flat
    )


def _as_leaves(updates: Tree, params: Tree) -> Tree:
    """Updates with the weak types of the parameters, which a vector has lost."""
    if params is None:
        return updates
    weak = lambda u, p: cast_like(u, p) if is_float(p) and jnp.asarray(p).weak_type else u  # noqa: E731
    return jax.tree.map(weak, updates, params, is_leaf=is_none)


def grouped(optimizer: GradientTransform, max_size: int | None = None) -> Grouped:
    """Update all small leaves together: one loop and one kernel instead of one for each.

        g = (g₁, …, gₙ) joined;   u, state = optimizer(g, state);   θᵢ ← θᵢ + uᵢ

    Arguments:
        optimizer: an optimizer or chain whose rule is elementwise: Adam, AdamW, momentum, RMSProp and their
            kin, clipping by value and by global norm, weight decay, `skip_nonfinite`.
        max_size: leaves of at most this many numbers are joined, one vector for each dtype. `None` is for
            the default backend: 2²⁰ on GPU, 4096 on TPU, 256 on CPU.

    Returns:
        A `Grouped` record; its state is the wrapped optimizer's for a tree of few leaves (`flatten_tree`).
        `mirrored(state)` has it leaf by leaf, `joined(state, params)` is the way back: checkpoints of
        either form can be read for the other. For parameters that are cut over devices it is not meant.

    Raises:
        TypeError: the optimizer treats leaves as wholes. ValueError: max_size < 0.

    Example:
        >>> from jaxopt_notes.optimizers.adam import adam
        >>> optimizer = grouped(adam(0.1), max_size=100)
        >>> params = {"kernel": jnp.ones((2, 3)), "bias": jnp.zeros(3)}
        >>> state = optimizer.init(params)
        >>> {name: x.shape for name, x in state.mu.buffers.items()}
        {'float32': (9,)}
        >>> optimizer.mirrored(state).mu["bias"].shape
        (3,)

    Source: the multi-tensor kernels of NVIDIA Apex, as a layout instead of a kernel.

    Elsewhere: torch's `fused=True` and `foreach=True`; `optax.flatten` joins and cuts everything, parameters
    and state too, at every step.
    """
    optimizer = as_transform(optimizer)
    if not getattr(optimizer, "elementwise", False):
        raise TypeError(
            f"grouped(optimizer) is {type(optimizer).__name__}, which is not known to treat every entry by "
            "itself: use it as it is, or group the elementwise parts of a partition."
        )
    if max_size is None:
        max_size = size_on(jax.default_backend())
    return Grouped(optimizer, check_count("grouped(max_size)", max_size, 0))
