"""Members: networks of one kind as one model with stacked parameters, trained and asked together.

What is trained is a population: every member has a key of its own, and may have weights for the examples and
features of its own. `population_map` trains them, on every core and device there is.
"""

import functools
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike

from jaxopt_notes.data.arrays import check_arrays
from jaxopt_notes.dtypes import Tree
from jaxopt_notes.layers.layer import Layer
from jaxopt_notes.population import population_map
from jaxopt_notes.population.keys import check_key
from jaxopt_notes.record import check_count, record
from jaxopt_notes.training.evaluation import check_weights, predict
from jaxopt_notes.training.trainer import Trainer, check_trainer

__all__ = ["Members", "predict_each", "train_members"]


@record
class Members:
    """Networks of one kind: a model, and parameters and states with a leading axis of members.

    Arguments:
        model: a layer, the same for all.
        params: stacked parameters, [M, …].
        model_state: stacked states, [M, …].
        features: which features each member sees, indices [M, k]; `None` for all.

    Example:
        >>> from jaxopt_notes.layers.dense import dense
        >>> params, state = jax.vmap(lambda key: dense(3).init(key, jnp.ones((1, 2))))(
        ...     jax.random.split(jax.random.key(0), 4))
        >>> members = Members(dense(3), params, state)
        >>> len(members), members.predict(jnp.ones((5, 2))).shape
        (4, (4, 5, 3))
    """

    model: Layer
    params: Tree
    model_state: Tree
    features: Any = None

    def __len__(self) -> int:
        return len(jax.tree.leaves((self.params, self.model_state))[0])

    def predict(self, x: ArrayLike, chunk_size: int = 1024) -> jax.Array:
        """What every member says of inputs x [B, …], [M, B, …], in one call; `chunk_size` bounds memory."""
        check_arrays("predict(x) is", x)
        return _predict(self, x, chunk_size)

    def take(self, index: Any) -> "Members":
        """Some of the members, by their numbers or a slice."""
        stacked = (self.params, self.model_state, self.features)
        params, model_state, features = jax.tree.map(lambda leaf: leaf[index], stacked)
        return Members(self.model, params, model_state, features)


@functools.partial(jax.jit, static_argnames="chunk_size")
def _predict(members: Members, x: ArrayLike, chunk_size: int) -> jax.Array:
    def one(params: Tree, state: Tree, features: ArrayLike | None) -> jax.Array:
        return predict(members.model, params, state, seen(x, features), chunk_size)

    return jax.vmap(one)(members.params, members.model_state, members.features)


def seen(x: ArrayLike, features: ArrayLike | None) -> ArrayLike:
    """The features of x [..., F] that a member sees."""
    return x if features is None else jnp.take(x, features, axis=-1)


def predict_each(members: Sequence[Any], x: ArrayLike) -> jax.Array:
    """What members of different kinds say of the same inputs.

        o = [f₁(x), f₂(x), …]

    Arguments:
        members: functions of x, `FitResult`s and `Members` (whose members count one by one), all with
            outputs of one shape.
        x: inputs [B, …].

    Returns:
        [M, B, …], for `average`, `vote`, `greedy_selection` and the others.

    Example:
        >>> predict_each([jnp.sin, jnp.cos], jnp.zeros(3))
        Array([[0., 0., 0.],
               [1., 1., 1.]], dtype=float32)

    Source: the study notes on homogeneous and heterogeneous members.
    """
    outputs = []
    for member in members:
        said = member.predict(x) if hasattr(member, "predict") else member(x)
        outputs.append(said if isinstance(member, Members) else said[None])
    return jnp.concatenate(outputs)


def check_learning(where: str, trainer: Any, key: Any, train_data: Any, valid_data: Any = None) -> None:
    """Refuse, by name, what members cannot be trained with.

    Raises:
        TypeError, ValueError: naming the argument, what it is, and what was expected.
    """
    check_trainer(f"{where}(trainer)", trainer)
    check_key(f"{where}(key)", key)
    check_weights(f"{where}(train_data)", train_data)
    if valid_data is not None:
        check_weights(f"{where}(valid_data)", valid_data)


def train_members(
    trainer: Trainer,
    key: jax.Array,
    train_data: tuple,
    valid_data: tuple | None = None,
    epochs: int = 20,
    *,
    members: int = 5,
    weights: ArrayLike | None = None,
    features: ArrayLike | None = None,
    **engine: Any,
) -> tuple[Members, dict[str, np.ndarray]]:
    """Train several networks that differ by their seeds: a deep ensemble.

        (θ_m, history_m) = the run of `trainer` with key m          for m = 1 … M

    Arguments:
        trainer: a `Trainer`, the same for all members.
        key: a typed key; the members are a function of it.
        train_data: (x, y), or (x, y, weights).
        valid_data: (x, y), or (x, y, weights), by which each member keeps its best parameters, or `None`.
        epochs: of each member.
        members: M, how many.
        weights: [M, n], what each example counts for each member; `None` for 1.
        features: [M, k], indices of the features that each member sees; `None` for all.
        engine: further arguments of `population_map`: `chunk_size`, `workers`, `progress`, `folder`, …

    Returns:
        `Members` with the best parameters of each, and the histories, name → [M, epochs].

    Raises:
        TypeError, ValueError: as `Trainer.init` and `population_map` do.

    Example:
        >>> from jaxopt_notes.layers.dense import dense
        >>> from jaxopt_notes.losses.squared_error import mean_squared_error
        >>> from jaxopt_notes.optimizers.sgd import sgd
        >>> from jaxopt_notes.training.trainer import Trainer
        >>> x = jnp.linspace(-1, 1, 8)[:, None]
        >>> trainer = Trainer(dense(1), sgd(0.5), mean_squared_error, metric=None)
        >>> members, history = train_members(trainer, jax.random.key(0), (x, 2 * x), epochs=9, members=3)
        >>> members.predict(x).shape, history["loss"].shape
        ((3, 8, 1), (3, 9))

    Source: Lakshminarayanan, Pritzel & Blundell 2017, algorithm 1.

    Elsewhere: scikit-learn's `BaggingClassifier` fits one after another, or in processes.
    """
    count = check_count("train_members(members)", members, 1)
    epochs = check_count("train_members(epochs)", epochs, 1)
    check_learning("train_members", trainer, key, train_data, valid_data)
    for name, array in {"weights": weights, "features": features}.items():
        if array is not None and np.shape(array)[:1] != (count,):
            raise ValueError(f"train_members({name}) has shape {np.shape(array)}, expected [{count}, …].")
    out = population_map(
        _run_of(epochs), {"weights": weights, "features": features}, jax.random.split(key, count),
        shared=(trainer, train_data, valid_data), **engine,
    )  # fmt: skip
    params, model_state = jax.tree.map(jnp.asarray, (out["params"], out["model_state"]))
    return Members(trainer.model, params, model_state, features), out["history"]


@functools.lru_cache(maxsize=64)
def _run_of(epochs: int) -> Callable:
    """The function that trains one member; the same for the same epochs, so that its programs are kept."""

    def run(
        config: dict, key: jax.Array, trainer: Trainer, train_data: tuple, valid_data: tuple | None
    ) -> dict:
        x, y, *own = train_data
        if config["weights"] is not None:
            given = config["weights"]
            own = [given if not own else given * own[0].astype(given.dtype)]
        if valid_data is not None:
            valid_data = (seen(valid_data[0], config["features"]), *valid_data[1:])
        data = (seen(x, config["features"]), y, *own)
        state, history = trainer.advance(trainer.init(key, data), data, valid_data, epochs)
        return {"params": state.best_params, "model_state": state.best_model_state, "history": history}

    return run
