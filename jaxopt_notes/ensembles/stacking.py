"""Stacking: a network learns how to combine the members.

It must learn from what members say of examples that they have not been trained on, or it trusts whoever
memorises best. So each member is trained once for each fold, without it, in one population; the combiner
learns from these outputs, and the members are then trained on everything.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike

from jaxopt_notes.data import kfold_indices
from jaxopt_notes.ensembles.members import Members, check_learning, train_members
from jaxopt_notes.population.keys import check_key
from jaxopt_notes.record import check_count
from jaxopt_notes.training.evaluation import check_weights, count
from jaxopt_notes.training.fit import FitResult, fit
from jaxopt_notes.training.trainer import Trainer, check_trainer

__all__ = ["Stack", "out_of_fold", "stack"]


def out_of_fold(
    trainer: Trainer,
    key: jax.Array,
    train_data: tuple,
    epochs: int = 20,
    *,
    folds: int = 5,
    labels: ArrayLike | None = None,
    **engine: Any,
) -> jax.Array:
    """What networks say of training examples that they have not seen.

        oᵢ = f(xᵢ; θ_k), θ_k trained on all folds but the k-th, in which i is

    Arguments:
        trainer, key, train_data, epochs, engine: as for `train_members`; each fold is a member. The folds
            depend on the key alone.
        folds: K, static.
        labels: integers [n], to keep the proportions of the classes in every fold.

    Returns:
        Outputs [n, …].

    Raises:
        TypeError, ValueError: as `train_members` and `kfold_indices` do.

    Example:
        >>> from jaxopt_notes.layers.dense import dense
        >>> from jaxopt_notes.losses.squared_error import mean_squared_error
        >>> from jaxopt_notes.optimizers.sgd import sgd
        >>> from jaxopt_notes.training.trainer import Trainer
        >>> x = jnp.linspace(-1, 1, 8)[:, None]
        >>> trainer = Trainer(dense(1), sgd(0.5), mean_squared_error, metric=None)
        >>> out_of_fold(trainer, jax.random.key(0), (x, 2 * x), epochs=2, folds=2).shape
        (8, 1)

    Source: Wolpert 1992, section 2; Stone 1974.

    Elsewhere: scikit-learn's `cross_val_predict`.
    """
    check_learning("out_of_fold", trainer, key, train_data)
    fold_key, run_key = jax.random.split(key)
    return _held_out(trainer, fold_key, run_key, train_data, epochs, folds, labels, engine)


def fold_of(key: jax.Array, n: int, folds: int, labels: ArrayLike | None = None) -> jax.Array:
    """The fold in which each example is, [n].

    Example:
        >>> jnp.bincount(fold_of(jax.random.key(0), 10, 5)).tolist()
        [2, 2, 2, 2, 2]
    """
    dealt = kfold_indices(key, n, check_count("out_of_fold(folds)", folds, 2), labels)
    numbers = jnp.broadcast_to(jnp.arange(folds, dtype=jnp.int32)[:, None], dealt.validation.shape)
    real = jnp.where(dealt.validation_weights > 0, dealt.validation, n)  # what only fills a row is dropped
    return jnp.zeros(n, jnp.int32).at[real].set(numbers, mode="drop")


class Stack(NamedTuple):
    """Members, and the network that combines what they say.

    Example:
        >>> Stack._fields
        ('members', 'combiner')
    """

    members: tuple[Members, ...]
    combiner: FitResult

    def predict(self, x: ArrayLike) -> jax.Array:
        """The combiner's outputs [B, …]."""
        return self.combiner.predict(together([member.predict(x)[0] for member in self.members]))


def together(outputs: Sequence[jax.Array]) -> jax.Array:
    """What several members say of each example, side by side: [B, M·C]."""
    return jnp.concatenate([o.reshape(len(o), -1) for o in outputs], axis=1)


def stack(
    trainers: Sequence[Any],
    combiner: Any,
    key: jax.Array,
    train_data: tuple,
    epochs: int = 20,
    *,
    folds: int = 5,
    combiner_epochs: int | None = None,
    labels: ArrayLike | None = None,
    **engine: Any,
) -> Stack:
    """Stacked generalization: members, and a combiner fitted to what they say out of fold.

        z_i = [f₁(xᵢ), …, f_T(xᵢ)] out of fold;   combiner ← fit(z, y);   f_t ← fit(x, y)

    Arguments:
        trainers: a `Trainer` for each member; they may be of any kinds.
        combiner: a `Trainer` whose model takes [B, T·C]: `dense(C)`, or a small MLP.
        key: a typed key.
        train_data: (x, y), or (x, y, weights).
        epochs: of each member.
        folds: K, static.
        combiner_epochs: of the combiner; `None` for as many.
        labels: as for `out_of_fold`.
        engine: further arguments of `population_map`.

    Returns:
        A `Stack`, whose `predict(x)` gives the combiner's outputs.

    Raises:
        TypeError, ValueError: as `train_members` and `fit` do.

    Example:
        >>> from jaxopt_notes.layers.dense import dense
        >>> from jaxopt_notes.losses.squared_error import mean_squared_error
        >>> from jaxopt_notes.optimizers.sgd import sgd
        >>> from jaxopt_notes.training.trainer import Trainer
        >>> x = jnp.linspace(-1, 1, 8)[:, None]
        >>> trainer = Trainer(dense(1), sgd(0.5), mean_squared_error, metric=None)
        >>> stacked = stack([trainer], trainer, jax.random.key(0), (x, 2 * x), epochs=50, folds=2)
        >>> bool(abs(stacked.predict(x) - 2 * x).max() < 0.1)
        True

    Source: Wolpert 1992; Breiman 1996, "Stacked regressions".

    Elsewhere: scikit-learn's `StackingClassifier`.
    """
    for trainer in trainers:
        check_trainer("stack(trainers)", trainer)
    check_trainer("stack(combiner)", combiner)
    check_key("stack(key)", key)
    check_weights("stack(train_data)", train_data)
    _, *rest = train_data
    fold_key, combiner_key, *keys = jax.random.split(key, 2 + len(trainers))
    # All members are held out on the same folds, so that the combiner compares like with like.
    said = [
        _held_out(trainer, fold_key, own, train_data, epochs, folds, labels, engine)
        for trainer, own in zip(trainers, keys, strict=True)
    ]
    combined = fit(
        combiner, combiner_key, (together(said), *rest), None, combiner_epochs or epochs,
        progress=False, epochs_per_call=combiner_epochs or epochs,
    )  # fmt: skip
    members = [
        train_members(trainer, jax.random.fold_in(own, 1), train_data, None, epochs, members=1, **engine)[0]
        for trainer, own in zip(trainers, keys, strict=True)
    ]
    return Stack(tuple(members), combined)


def _held_out(
    trainer: Any, fold_key: jax.Array, key: jax.Array, data: tuple, epochs: int, folds: int, labels: Any,
    engine: dict,
) -> jax.Array:  # fmt: skip
    fold = fold_of(fold_key, count(data), folds, labels)
    weights = (fold[None, :] != jnp.arange(folds)[:, None]).astype(jnp.float32)
    members, _ = train_members(trainer, key, data, None, epochs, members=folds, weights=weights, **engine)
    return members.predict(data[0])[fold, jnp.arange(len(fold))]
