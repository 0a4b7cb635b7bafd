"""Optimizer states spread over the devices that share the data (ZeRO, stage 1).

In data-parallel training every device holds all parameters and, without this, all moments. Here each
device keeps and updates a slice of the moments: the gradient is reduced and scattered, the slice is
updated, and the updates are gathered. The numbers are those of the wrapped optimizer.

States of parameters that are themselves sharded need nothing: an update is elementwise, and the
compiler gives states and updates the sharding of their parameters.
"""

from typing import Any

import jax
import jax.numpy as jnp
from jax import lax
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec
from jax.typing import ArrayLike

from jaxopt_notes.dtypes import Tree
from jaxopt_notes.optimizers.core.chain import as_transform
from jaxopt_notes.optimizers.core.evaluation_params import evaluation_params
from jaxopt_notes.optimizers.core.gradient_transform import GradientTransform
from jaxopt_notes.optimizers.core.leafwise import Transform
from jaxopt_notes.record import check_choice, record, static


@record
class ShardState(Transform):
    """See `shard_state`."""

    optimizer: GradientTransform
    mesh: Mesh = static()
    axis: str = static()

    @property
    def gated(self) -> bool:  # type: ignore[override]
        return getattr(self.optimizer, "gated", False)

    def init(self, params: Tree) -> Tree:
        return self._spread(self.optimizer.init(params))

    def update(self, updates: Tree, state: Tree, params: Tree = None, **extra: Any) -> tuple[Tree, Tree]:
        updates, params = self._spread(updates), self._spread(params)
        updates, state = self.optimizer.update(updates, self._spread(state), params, **extra)
        return self._place(updates, lambda leaf: PartitionSpec()), self._spread(state)

    def evaluation_params(self, params: Tree, state: Tree) -> Tree:
        return evaluation_params(self.optimizer, params, state)

    def _spread(self, tree: Tree) -> Tree:
        """Every leaf cut along its first axis that the devices divide; whole where there is none."""
        size = self.mesh.shape[self.axis]

        def spec(leaf: ArrayLike) -> PartitionSpec:
            axes = [i for i, length in enumerate(jnp.shape(leaf)) if length and length % size == 0]
            return PartitionSpec(*[None] * axes[0], self.axis) if axes else PartitionSpec()

        return self._place(tree, spec)

    def _place(self, tree: Tree, spec: Any) -> Tree:
        explicit = self.mesh.axis_types[self.mesh.axis_names.index(self.axis)] == AxisType.Explicit
        place = jax.sharding.reshard if explicit else lax.with_sharding_constraint
        return jax.tree.map(lambda leaf: place(leaf, NamedSharding(self.mesh, spec(leaf))), tree)


def shard_state(optimizer: GradientTransform, mesh: Mesh, axis: str = "data") -> ShardState:
    """Keep the state of replicated parameters in slices, one on each device of a mesh axis.

        g_d = slice d of the reduced gradient      (reduce-scatter)
        u_d, state_d = update of slice d
        u = (u₁, …, u_D)                           (all-gather)

    Arguments:
        optimizer: any optimizer or chain.
        mesh: the devices.
        axis: the name of the axis over which the data are spread and the parameters replicated.

    Returns:
        A `ShardState` record; its state is the wrapped optimizer's, each leaf cut along its first axis
        that the number of devices divides. For use under `jax.jit`, where the compiler makes the
        collectives from these placements.

    Raises:
        ValueError: an axis that the mesh does not have.
        TypeError: the optimizer is not a gradient transform.

    Example:
        >>> from jaxopt_notes.optimizers.adam import adam
        >>> mesh = jax.make_mesh((1,), ("data",))
        >>> optimizer = shard_state(adam(0.1), mesh)
        >>> optimizer.init(jnp.zeros((8, 2))).mu.sharding.spec[0]
        'data'

    Source: Rajbhandari et al. 2020, "ZeRO: memory optimizations", section 5.1.

    Elsewhere: `torch.distributed.optim.ZeroRedundancyOptimizer` gives whole parameters to ranks; with
    optax the same is done by hand, with sharding annotations on its state.
    """
    check_choice("shard_state(axis)", axis, tuple(mesh.axis_names))
    return ShardState(optimizer=as_transform(optimizer), mesh=mesh, axis=axis)
