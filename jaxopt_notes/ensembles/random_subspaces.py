"""Random subspaces: every member sees some of the features only."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxopt_notes.ensembles.members import Members, check_learning, train_members
from jaxopt_notes.record import check_count
from jaxopt_notes.training.trainer import Trainer

__all__ = ["random_features", "random_subspaces"]


def random_features(key: jax.Array, features: int, k: int, members: int) -> jax.Array:
    """Which features each member sees: k of them, without replacement.

    Arguments:
        key: a typed key.
        features: F, how many there are, static.
        k: how many a member sees, at most F, static.
        members: M, static.

    Returns:
        Indices [M, k], ascending.

    Raises:
        ValueError: k is larger than F.

    Example:
        >>> random_features(jax.random.key(0), 5, 3, 2).shape
        (2, 3)

    Source: Ho 1998.
    """
    features = check_count("random_features(features)", features, 1)
    k = check_count("random_features(k)", k, 1)
    if k > features:
        raise ValueError(f"random_features(k) is {k}, expected at most the {features} features.")
    keys = jax.random.split(key, check_count("random_features(members)", members, 1))
    every = jnp.arange(features, dtype=jnp.int32)
    return jax.vmap(lambda key: jnp.sort(jax.random.choice(key, every, (k,), replace=False)))(keys)


def random_subspaces(
    trainer: Trainer,
    key: jax.Array,
    train_data: tuple,
    valid_data: tuple | None = None,
    epochs: int = 20,
    *,
    k: int,
    members: int = 10,
    **engine: Any,
) -> tuple[Members, dict[str, np.ndarray]]:
    """Train every member on features of its own.

        θ_m = the run of `trainer` with key m on x[:, F_m]          F_m: k features at random

    Arguments:
        trainer, key, train_data, valid_data, epochs, members, engine: as for `train_members`.
        k: how many features, the last axis of x, each member sees. Static.

    Returns:
        `Members`, which pick their features themselves when they predict, and the histories [M, epochs].

    Raises:
        TypeError, ValueError: as `train_members` does, or k is larger than the number of features.

    Example:
        >>> from jaxopt_notes.layers.dense import dense
        >>> from jaxopt_notes.losses.squared_error import mean_squared_error
        >>> from jaxopt_notes.optimizers.sgd import sgd
        >>> from jaxopt_notes.training.trainer import Trainer
        >>> x = jax.random.normal(jax.random.key(1), (8, 6))
        >>> trainer = Trainer(dense(1), sgd(0.1), mean_squared_error, metric=None)
        >>> members, _ = random_subspaces(trainer, jax.random.key(0), (x, x[:, :1]), epochs=2, k=3, members=4)
        >>> members.params["kernel"].shape, members.predict(x).shape
        ((4, 3, 1), (4, 8, 1))

    Source: Ho 1998; with bootstrap samples too it is Breiman's random patches (`train_members(weights=…,
    features=…)`).

    Elsewhere: scikit-learn's `BaggingClassifier(max_features=…, bootstrap=False)`.
    """
    check_learning("random_subspaces", trainer, key, train_data, valid_data)
    feature_key, run_key = jax.random.split(key)
    features = random_features(feature_key, train_data[0].shape[-1], k, members)
    return train_members(
        trainer, run_key, train_data, valid_data, epochs, members=members, features=features, **engine
    )
