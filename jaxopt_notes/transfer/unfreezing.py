"""Fine-tuning from given parameters, and unfreezing layer after layer.

A stage of gradual unfreezing is a `Trainer` that trains more leaves than the one before. The optimizer's
state for leaves that already moved goes on; that of the new ones begins.
"""

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike

from jaxopt_notes.dtypes import Tree, cast_like
from jaxopt_notes.record import check_count, replace
from jaxopt_notes.training.epoch import TrainState
from jaxopt_notes.training.trainer import Trainer
from jaxopt_notes.transfer.rates import layers_in_order

__all__ = ["gradual_unfreezing", "start_from", "top_layers", "unfreeze"]


def start_from(
    trainer: Trainer, key: jax.Array, train_data: tuple, params: Tree, model_state: Tree = None
) -> TrainState:
    """The state of a run that begins at given parameters.

        θ₀ ← params

    Arguments:
        trainer: a `Trainer`; with `trainable=` only a part of the parameters will move.
        key, train_data: as for `Trainer.init`.
        params: such as those of `from_pretrained`, in the structure of the model's own.
        model_state: the model's state (running statistics); `None` for that of a fresh start.

    Returns:
        A `TrainState` for `Trainer.advance` and `fit(state=…)`.

    Raises:
        ValueError: the parameters have another structure or other shapes than the model's.

    Example:
        >>> from jaxopt_notes.layers.dense import dense
        >>> from jaxopt_notes.losses.squared_error import mean_squared_error
        >>> from jaxopt_notes.optimizers.sgd import sgd
        >>> trainer = Trainer(dense(1), sgd(0.1), mean_squared_error, metric=None)
        >>> params = {"kernel": jnp.full((2, 1), 3.0), "bias": jnp.zeros(1)}
        >>> state = start_from(trainer, jax.random.key(0), (jnp.ones((4, 2)), jnp.ones((4, 1))), params)
        >>> print(state.params["kernel"].ravel())
        [3. 3.]

    Source: Yosinski et al. 2014.
    """
    state = trainer.init(key, train_data)
    shapes = [jax.tree.map(jnp.shape, tree) for tree in (params, state.params)]
    if shapes[0] != shapes[1]:
        raise ValueError(
            f"start_from(params) has the shapes {shapes[0]}, expected those of the model, {shapes[1]}: "
            "from_pretrained(model's own, params, …) takes what fits."
        )
    params = jax.tree.map(cast_like, params, state.params)
    model_state = state.learner.model_state if model_state is None else model_state
    optimizer = trainer.guarded_optimizer()
    learner = state.learner._replace(
        params=params, model_state=model_state, opt_state=optimizer.init(trainer.moving(params))
    )
    return state._replace(learner=learner, best_params=params, best_model_state=model_state)


def unfreeze(trainer: Trainer, state: TrainState, trainable: Any) -> tuple[Trainer, TrainState]:
    """Train other parameters from here on.

    Arguments:
        trainer, state: a run.
        trainable: which parameters move now, as for `Trainer`; `None` for all.

    Returns:
        The trainer and the state to go on with: the optimizer keeps what it has for leaves that moved before
        (moments, steps made), begins with those that are new, and forgets those that are frozen now.

    Example:
        >>> from jaxopt_notes.layers.mlp import mlp
        >>> from jaxopt_notes.losses.squared_error import mean_squared_error
        >>> from jaxopt_notes.optimizers.adam import adam
        >>> head = {"layers_0": False, "layers_2": True}
        >>> trainer = Trainer(mlp([4, 1]), adam(0.1), mean_squared_error, metric=None, trainable=head)
        >>> state = trainer.init(jax.random.key(0), (jnp.ones((4, 2)), jnp.ones((4, 1))))
        >>> before = len(jax.tree.leaves(state.learner.opt_state))
        >>> trainer, state = unfreeze(trainer, state, None)
        >>> len(jax.tree.leaves(state.learner.opt_state)) - before  # two moments of a kernel and a bias
        4

    Source: Howard & Ruder 2018, section 3.3.
    """
    changed = replace(trainer, trainable=trainable)
    learner = state.learner
    fresh = changed.guarded_optimizer().init(changed.moving(learner.params))
    old = dict(jax.tree.leaves_with_path(learner.opt_state))

    def kept(path: tuple, leaf: ArrayLike) -> ArrayLike:
        before = old.get(path)
        return before if before is not None and jnp.shape(before) == jnp.shape(leaf) else leaf

    opt_state = jax.tree.map_with_path(kept, fresh)
    return changed, state._replace(learner=learner._replace(opt_state=opt_state), stopped=jnp.array(False))


def top_layers(params: Tree, count: int) -> Tree:
    """A mask of the last layers that have parameters, for `Trainer(trainable=…)`.

    Arguments:
        params: of a `serial` model, or any dict whose keys stand in the order of the layers.
        count: how many from the top, static.

    Returns:
        A tree of bools, one for each top-level entry.

    Example:
        >>> top_layers({"layers_0": {"kernel": 1.0}, "layers_2": {"kernel": 1.0}}, 1)
        {'layers_0': False, 'layers_2': True}

    Source: Howard & Ruder 2018, section 3.3.
    """
    names = layers_in_order(params)
    chosen = names[len(names) - min(check_count("top_layers(count)", count), len(names)) :]
    return {name: name in chosen for name in params}


def gradual_unfreezing(
    trainer: Trainer,
    state: TrainState,
    stages: Sequence[Any],
    train_data: tuple,
    valid_data: tuple | None = None,
    epochs: int | Sequence[int] = 1,
) -> tuple[Trainer, TrainState, dict[str, np.ndarray]]:
    """Train in stages, each with more of the network free.

    Arguments:
        trainer: a `Trainer`; its own `trainable` is replaced.
        state: where to begin, of `start_from`.
        stages: what is trainable in each, as `[top_layers(params, 1), top_layers(params, 2), None]`.
        train_data, valid_data: as for `Trainer.advance`.
        epochs: of each stage, a number or one for each.

    Returns:
        The trainer and state at the end, and the history of all stages. A stage is a program of its own: its
        backward pass ends at the lowest layer that is trained.

    Raises:
        ValueError: not as many epochs as stages.

    Example:
        >>> from jaxopt_notes.layers.mlp import mlp
        >>> from jaxopt_notes.losses.squared_error import mean_squared_error
        >>> from jaxopt_notes.optimizers.sgd import sgd
        >>> data = (jnp.ones((4, 2)), jnp.ones((4, 1)))
        >>> trainer = Trainer(mlp([4, 1]), sgd(0.01), mean_squared_error, metric=None)
        >>> state = trainer.init(jax.random.key(0), data)
        >>> stages = [top_layers(state.params, 1), None]
        >>> trainer, state, history = gradual_unfreezing(trainer, state, stages, data, epochs=[3, 2])
        >>> history["loss"].shape, int(state.epoch)
        ((5,), 5)

    Source: Howard & Ruder 2018, section 3.3, one layer an epoch from the top.
    """
    counts = [epochs] * len(stages) if isinstance(epochs, int) else list(epochs)
    if len(counts) != len(stages):
        raise ValueError(
            f"gradual_unfreezing(epochs) has {len(counts)} numbers, expected {len(stages)}: one a stage."
        )
    curves: list[dict] = []
    for trainable, more in zip(stages, counts, strict=True):
        trainer, state = unfreeze(trainer, state, trainable)
        state, history = trainer.advance(state, train_data, valid_data, more)
        curves.append(jax.device_get(history))
    return trainer, state, {name: np.concatenate([c[name] for c in curves]) for name in curves[0]}
