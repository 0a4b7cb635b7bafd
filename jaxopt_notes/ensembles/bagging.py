"""Bagging: every member learns from its own bootstrap sample, and they vote or are averaged.

A bootstrap sample is a count for every example, not a copy of the data: a third of the counts is 0. So all
members train in one population over the one data set. The examples that a member has not seen are its test
set, and together they judge the ensemble without one (out of bag).
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike

from jaxopt_notes.data import bootstrap
from jaxopt_notes.ensembles.averaging import average
from jaxopt_notes.ensembles.members import Members, check_learning, train_members
from jaxopt_notes.training.evaluation import count, score
from jaxopt_notes.training.trainer import Trainer

__all__ = ["Bag", "bagging", "out_of_bag"]


class Bag(NamedTuple):
    """Members trained on bootstrap samples, and these.

    Arguments:
        members: the trained `Members`.
        weights: [M, n], how often each saw each training example.
        history: name → [M, epochs].

    Example:
        >>> from jaxopt_notes.layers.dense import dense
        >>> members = Members(dense(1), {"kernel": jnp.ones((2, 1, 1)), "bias": jnp.zeros((2, 1))}, ())
        >>> Bag(members, jnp.array([[2.0, 0.0], [1.0, 1.0]]), {}).members.predict(jnp.ones((1, 1))).shape
        (2, 1, 1)
    """

    members: Members
    weights: jax.Array
    history: dict[str, np.ndarray]

    def out_of_bag(self, data: tuple, metric: Callable[..., Any], *, of: str = "probabilities") -> jax.Array:
        """A metric over the training examples, each judged by members that have not seen it.

        Arguments:
            data: the training data, (x, y), or (x, y, weights), whose examples then count by these.
            metric: as of a `Trainer`: values per example, which are averaged, or one number by `weights`.
            of: as in `average`.
        """
        x, y, *own = data
        said, judged = out_of_bag(self.members.predict(x), self.weights, of=of)
        counted = judged.astype(said.dtype)
        return score(metric, said, y, counted * jnp.asarray(own[0]).astype(said.dtype) if own else counted)


def out_of_bag(
    outputs: ArrayLike, weights: ArrayLike, *, of: str = "probabilities"
) -> tuple[jax.Array, jax.Array]:
    """What the members say together of examples that each has not seen.

        ōᵢ = average of o_mi over the members with w_mi = 0

    Arguments:
        outputs: [M, n, …], on the training set.
        weights: [M, n], as of `bootstrap`.
        of: as in `average`. Static.

    Returns:
        The average [n, …], and bools [n]: False where every member has seen the example (the average there
        means nothing).

    Example:
        >>> out_of_bag(jnp.array([[1.0, 5.0], [3.0, 7.0]]), jnp.array([[0, 2], [0, 1]]), of="outputs")
        (Array([2., 0.], dtype=float32), Array([ True, False], dtype=bool))

    Source: Breiman 1996, "Out-of-bag estimation".

    Elsewhere: scikit-learn's `oob_decision_function_`, where such examples are NaN.
    """
    unseen = jnp.asarray(weights) == 0
    return average(outputs, unseen, of=of), jnp.any(unseen, axis=0)


def bagging(
    trainer: Trainer,
    key: jax.Array,
    train_data: tuple,
    valid_data: tuple | None = None,
    epochs: int = 20,
    *,
    members: int = 10,
    **engine: Any,
) -> Bag:
    """Bootstrap aggregating: train every member on a sample of its own.

        θ_m = the run of `trainer` with key m on the examples, weighted by w_m          w_m: bootstrap

    Arguments:
        trainer, key, train_data, valid_data, epochs, members, engine: as for `train_members`.

    Returns:
        A `Bag`; `average(bag.members.predict(x), of="probabilities")` or `vote` is the ensemble's answer,
        `bag.out_of_bag(train_data, metric)` an estimate of its score.

    Raises:
        TypeError, ValueError: as `train_members` does.

    Example:
        >>> from jaxopt_notes.layers.dense import dense
        >>> from jaxopt_notes.losses.squared_error import mean_squared_error
        >>> from jaxopt_notes.optimizers.sgd import sgd
        >>> from jaxopt_notes.training.trainer import Trainer
        >>> x = jnp.linspace(-1, 1, 8)[:, None]
        >>> trainer = Trainer(dense(1), sgd(0.5), mean_squared_error, metric=None)
        >>> bag = bagging(trainer, jax.random.key(0), (x, 2 * x), epochs=50, members=3)
        >>> print(abs(bag.out_of_bag((x, 2 * x), mean_squared_error, of="outputs").round(2)))
        0.0

    Source: Breiman 1996.

    Elsewhere: scikit-learn's `BaggingClassifier`, which passes the counts as `sample_weight` too, where the
    member takes them.
    """
    check_learning("bagging", trainer, key, train_data, valid_data)
    sample_key, run_key = jax.random.split(key)
    weights = bootstrap(sample_key, count(train_data), members).weights
    trained, history = train_members(
        trainer, run_key, train_data, valid_data, epochs, members=members, weights=weights, **engine
    )
    return Bag(trained, weights, history)
