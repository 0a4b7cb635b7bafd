"""Ensembles within one run, and averages of parameters.

Snapshots at the ends of the rate's cycles are members that cost nothing extra. Parameters that lie in one
valley, as those of the end of one run, can be averaged themselves: one network then predicts about as well
as the ensemble. Running statistics (batch normalization) belong to the parameters they were taken with, so
they are taken anew.
"""

import jax
import jax.numpy as jnp
from jax import lax
from jax.typing import ArrayLike

from jaxopt_notes.dtypes import Tree, cast_like, is_float
from jaxopt_notes.ensembles.averaging import average
from jaxopt_notes.ensembles.members import Members
from jaxopt_notes.layers.layer import Layer
from jaxopt_notes.optimizers.core.chain import Chain
from jaxopt_notes.optimizers.core.gradient_transform import GradientTransform
from jaxopt_notes.record import check_count
from jaxopt_notes.training.evaluation import count
from jaxopt_notes.training.trainer import Trainer

__all__ = ["average_parameters", "refresh_state", "snapshot_members"]


def snapshot_members(trainer: Trainer, state: Tree) -> tuple[Members, jax.Array]:
    """The members that a run with the optimizer `snapshots` has kept.

        Θ = (θ_{t₁}, …, θ_{t_k}), the ends of the last k cycles of the rate

    Arguments:
        trainer: a `Trainer` whose optimizer is or holds `snapshots(…, number=k)`.
        state: the `TrainState` of its run.

    Returns:
        `Members` [k], the oldest first, and which of them there are, bools [k]: before the k-th cycle has
        ended the first do not count. Use them as `average(outputs, present)`. The model's state is that of
        the end of the run; for batch normalization see `refresh_state`.

    Raises:
        TypeError: the optimizer keeps no snapshots.

    Example:
        >>> from jaxopt_notes.layers.dense import dense
        >>> from jaxopt_notes.losses.squared_error import mean_squared_error
        >>> from jaxopt_notes.optimizers import sgd, snapshots
        >>> from jaxopt_notes.training.trainer import Trainer
        >>> data = (jnp.ones((4, 2)), jnp.ones((4, 1)))
        >>> optimizer = snapshots(sgd(0.1), decay_steps=2, number=3)
        >>> trainer = Trainer(dense(1), optimizer, mean_squared_error, metric=None)
        >>> state, _ = trainer.advance(trainer.init(jax.random.key(0), data), data, epochs=4)
        >>> members, present = snapshot_members(trainer, state)
        >>> present.tolist(), members.predict(data[0]).shape
        ([False, True, True], (3, 4, 1))

    Source: Huang et al. 2017, section 3.
    """
    kept, kept_state = _snapshots(trainer.guarded_optimizer(), state.learner.opt_state)
    if kept is None:
        raise TypeError(
            "snapshot_members(trainer) has an optimizer without snapshots, expected snapshots(optimizer, …)."
        )
    params, present = kept.members(state.params, kept_state)
    k = len(present)
    repeated = jax.tree.map(lambda leaf: jnp.broadcast_to(leaf, (k, *leaf.shape)), state.learner.model_state)
    return Members(trainer.model, params, repeated), present


def _snapshots(optimizer: GradientTransform, state: Tree) -> tuple[Tree, Tree]:
    """The first part of an optimizer that has members, and its state."""
    if hasattr(optimizer, "members"):
        return optimizer, state
    if isinstance(optimizer, Chain):
        found = [_snapshots(*part) for part in zip(optimizer.transforms, state, strict=True)]
        return next((pair for pair in found if pair[0] is not None), (None, None))
    if hasattr(optimizer, "optimizer") and hasattr(state, "inner"):
        return _snapshots(optimizer.optimizer, state.inner)
    return None, None


def average_parameters(params: Tree, weights: ArrayLike | None = None) -> Tree:
    """The mean of the members' parameters: one network in place of several.

        θ̄ = Σ_m w_m·θ_m / Σ_m w_m

    Arguments:
        params: stacked parameters [M, …]: snapshots, or members fine-tuned from one start. Networks from
            different starts lie in different valleys, and their mean is on the hill between.
        weights: [M]; `None` weights all alike.

    Returns:
        A tree without the leading axis, in the dtypes of the parameters; of leaves that are no floating
        point those of the first member.

    Example:
        >>> average_parameters({"kernel": jnp.array([[1.0, 2.0], [3.0, 6.0]])})
        {'kernel': Array([2., 4.], dtype=float32)}

    Source: Izmailov et al. 2018; Wortsman et al. 2022 ("model soups").

    Elsewhere: the optimizers `swa`, `polyak_average` and `ema_params` average on the way, without copies.
    """
    return jax.tree.map(
        lambda leaf: cast_like(average(leaf, weights), leaf) if is_float(leaf) else leaf[0], params
    )


def refresh_state(
    model: Layer, params: Tree, state: Tree, x: ArrayLike, key: jax.Array | None = None, batch_size: int = 32
) -> Tree:
    """The model's state (running statistics) for other parameters: one pass over the training inputs.

        s ← the state after model(x_b; θ, s) in training, for each batch b in order

    Arguments:
        model, params: a layer, and the parameters to evaluate with.
        state: where to begin, such as that of `init`.
        x: inputs [n, …]. What does not fill a last batch is left out, unless there is but one.
        key: for dropout.
        batch_size: static.

    Returns:
        A state like the given one.

    Example:
        >>> from jaxopt_notes.layers.batch_norm import batch_norm
        >>> x = jnp.full((400, 1), 5.0)
        >>> params, state = batch_norm().init(jax.random.key(0), x)
        >>> print(refresh_state(batch_norm(), params, state, x, batch_size=4)["mean"].round(3))
        [5.]

    Source: Izmailov et al. 2018, section 3.2.

    Elsewhere: torch's `swa_utils.update_bn`, with a plain mean over batches where ours is the layer's own
    moving average.
    """
    n = count(x)
    size = min(check_count("refresh_state(batch_size)", batch_size, 1), n)
    steps = n // size
    batches = jax.tree.map(lambda a: jnp.asarray(a)[: steps * size].reshape(steps, size, *a.shape[1:]), x)

    def step(state: Tree, batch: tuple) -> tuple:
        i, rows = batch
        own = None if key is None else jax.random.fold_in(key, i)
        return model.apply(params, state, rows, key=own, train=True)[1], None

    return lax.scan(step, state, (jnp.arange(steps), batches))[0]
