"""The trained models of a sweep: what each member says of some inputs, in one call for each structure.

A sweep forgets what it has trained, but for the scores, unless it is asked to keep it (`keep_params`). Then
its members are a library of models: the best one can be used as it is, and an ensemble chosen among them.
"""

from collections.abc import Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.typing import ArrayLike

from jaxopt_notes.dtypes import Tree
from jaxopt_notes.search.member import Runs
from jaxopt_notes.search.spaces.space import Configs
from jaxopt_notes.training.evaluation import predict


class TrainedGroup(NamedTuple):
    """Trained members of one structure.

    Arguments:
        runs: how a `Trainer` is made of a configuration.
        trials: the numbers of their trials [k].
        configs: columns [k], without static choices.
        params, model_state: the best of each run, [k·seeds, …].
    """

    runs: Runs
    trials: np.ndarray
    configs: Configs
    params: Tree
    model_state: Tree

    def networks(self, trial: int, seeds: int) -> tuple[Tree, Tree]:
        """The parameters and model states of a trial's members [seeds, …]."""
        i = int(np.flatnonzero(self.trials == trial)[0]) * seeds
        return jax.tree.map(lambda leaf: leaf[i : i + seeds], (self.params, self.model_state))

    def predict(self, x: ArrayLike, seeds: int, batch_size: int = 8) -> np.ndarray:
        """Outputs [k, seeds, B, …]; `batch_size` members are computed together."""

        def one(member: tuple) -> jax.Array:
            config, params, model_state = member
            trainer = self.runs.trainer(config)
            return predict(trainer.model, params, model_state, x, trainer.eval_batch_size)

        columns = {name: np.repeat(column, seeds) for name, column in self.configs.items()}
        members = jax.tree.map(jnp.asarray, (columns, self.params, self.model_state))
        outputs = jax.jit(lambda members: lax.map(one, members, batch_size=batch_size))(members)
        return np.asarray(outputs).reshape(len(self.trials), seeds, *outputs.shape[1:])


def predict_all(groups: Sequence[TrainedGroup], x: ArrayLike, shape: tuple[int, int]) -> np.ndarray:
    """Outputs of all members [n, seeds, B, …], in the order of trials.

    Raises:
        ValueError: not all models were kept, or their outputs differ in shape.
    """
    kept = sum(len(group.trials) for group in groups)
    if kept < shape[0]:
        raise ValueError(
            f"Results.predict_all() needs every trained model, and {kept} trials of {shape[0]} have theirs: "
            'sweep(…, keep_params="all").'
        )
    found = [group.predict(x, shape[1]) for group in groups]
    shapes = {outputs.shape[2:] for outputs in found}
    if len(shapes) > 1:
        raise ValueError(
            f"Results.predict_all(): members answer in the shapes {sorted(shapes)}, expected one: ask the "
            "groups in Results.models one by one."
        )
    outputs = np.zeros((*shape, *found[0].shape[2:]), found[0].dtype)
    for group, own in zip(groups, found, strict=True):
        outputs[group.trials] = own
    return outputs
