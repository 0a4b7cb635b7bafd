"""Gradient boosting: each member is fitted to what is still missing, the slope of the loss.

It is gradient descent in the space of functions: a step is not a change of parameters but one more small
network. The rounds are a scan: one program.
"""

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import lax
from jax.typing import ArrayLike

from jaxopt_notes.data.batches import shuffled_indices
from jaxopt_notes.dtypes import Tree, as_hyperparameter
from jaxopt_notes.ensembles.members import Members, check_learning
from jaxopt_notes.losses.reduction import weighted_mean
from jaxopt_notes.record import Number, check_count, check_number
from jaxopt_notes.training.evaluation import count, predict
from jaxopt_notes.training.trainer import Trainer

__all__ = ["GradientBoosted", "gradient_boosting"]


class GradientBoosted(NamedTuple):
    """A sum of members: F(x) = start + η·Σ_t f_t(x), and the training loss before each round and at the end.

    Example:
        >>> GradientBoosted._fields
        ('members', 'start', 'learning_rate', 'losses')
    """

    members: Members
    start: jax.Array
    learning_rate: jax.Array
    losses: jax.Array

    def predict(self, x: ArrayLike) -> jax.Array:
        """The outputs of the sum [B, …]: predictions or logits, as the loss takes them."""
        outputs = self.members.predict(x)
        rate = self.learning_rate.astype(outputs.dtype)
        return self.start.astype(outputs.dtype)[None] + rate * jnp.sum(outputs, axis=0)

    def staged(self, x: ArrayLike) -> jax.Array:
        """The outputs after each round [T, B, …]."""
        outputs = self.members.predict(x)
        rate = self.learning_rate.astype(outputs.dtype)
        return self.start.astype(outputs.dtype)[None, None] + rate * jnp.cumsum(outputs, axis=0)


def gradient_boosting(
    trainer: Trainer,
    loss: Callable[..., Any],
    key: jax.Array,
    train_data: tuple,
    epochs: int = 20,
    *,
    rounds: int = 10,
    learning_rate: Number = 0.1,
    subsample: Number = 1.0,
    start: Tree = None,
) -> GradientBoosted:
    """Gradient boosting with any model as the learner.

        rᵢ = −∂ℓ(F(xᵢ), yᵢ)/∂F;   f_t = the run of `trainer` on (x, r);   F ← F + η·f_t

    Arguments:
        trainer: a `Trainer` whose loss is a squared error, `mean_squared_error`: it is fitted to slopes.
        loss: ℓ, (outputs, targets) → one value per example: what F shall make small.
        key: a typed key, `fold_in(key, t)` for round t.
        train_data: (x, y), or (x, y, weights).
        epochs: of each member.
        rounds: T, static.
        learning_rate: η in (0, 1], the shrinkage; a leaf: it may be traced.
        subsample: the part of the examples that each round learns from, in (0, 1]; which, is drawn anew.
        start: F before the first round, of the shape of one output; `None` for 0.

    Returns:
        `GradientBoosted(members, start, learning_rate, losses)`; `predict(x)` gives F, `staged(x)` F after
        every round, `losses` [T + 1] the mean of ℓ on the training set before each round and after the last.

    Raises:
        ValueError: a number outside its interval, and as `Trainer.init` does.

    Example:
        >>> from jaxopt_notes.layers.mlp import mlp
        >>> from jaxopt_notes.losses.squared_error import mean_squared_error
        >>> from jaxopt_notes.optimizers.adam import adam
        >>> from jaxopt_notes.training.trainer import Trainer
        >>> x = jnp.linspace(-3, 3, 16)[:, None]
        >>> trainer = Trainer(mlp([4, 1]), adam(0.03), mean_squared_error, metric=None, batch_size=16)
        >>> boosted = gradient_boosting(
        ...     trainer, mean_squared_error, jax.random.key(0), (x, jnp.sin(x)), rounds=4, learning_rate=0.5)
        >>> bool(boosted.losses[-1] < boosted.losses[0] / 2)
        True

    Source: Friedman 2001, algorithm 1 with a fixed step, section 5 for the shrinkage; Friedman 2002 for the
    subsample.

    Elsewhere: scikit-learn's `GradientBoostingRegressor` grows trees, and begins at the best constant.
    """
    check_learning("gradient_boosting", trainer, key, train_data)
    check_number("gradient_boosting(learning_rate)", learning_rate, "(0, 1]")
    check_number("gradient_boosting(subsample)", subsample, "(0, 1]")
    rounds = check_count("gradient_boosting(rounds)", rounds, 1)
    numbers = as_hyperparameter(learning_rate), as_hyperparameter(subsample)
    params, state, first, losses = _boost(
        trainer, jax.tree_util.Partial(loss), key, tuple(train_data), *numbers, start, epochs, rounds
    )
    return GradientBoosted(Members(trainer.model, params, state), first, numbers[0], losses)


@functools.partial(jax.jit, static_argnames=("epochs", "rounds"))
def _boost(
    trainer: Trainer, loss: Callable, key: jax.Array, data: tuple, rate: jax.Array, subsample: jax.Array,
    start: Tree, epochs: int, rounds: int,
) -> tuple:  # fmt: skip
    x, y, *own = data
    n = count(data)
    weights = own[0] if own else jnp.ones(n, jnp.result_type(float))

    def run(key: jax.Array, round_data: tuple) -> tuple:
        state, _ = trainer.advance(trainer.init(key, round_data), round_data, None, epochs)
        params, model_state = state.best_params, state.best_model_state
        return params, model_state, predict(trainer.model, params, model_state, x, trainer.eval_batch_size)

    def untrained(key: jax.Array) -> Tree:
        params, model_state = trainer.model.init(key, x)
        return predict(trainer.model, params, model_state, x)

    like = jax.eval_shape(untrained, key)
    first = jnp.zeros(like.shape[1:], like.dtype) if start is None else jnp.asarray(start).astype(like.dtype)
    first = jnp.broadcast_to(first, like.shape[1:])

    def risk(outputs: jax.Array) -> jax.Array:
        return weighted_mean(loss(outputs, y), weights)

    def step(outputs: jax.Array, t: jax.Array) -> tuple:
        sample_key, run_key = jax.random.split(jax.random.fold_in(key, t))
        slopes = jax.grad(lambda outputs: jnp.sum(loss(outputs, y)))(outputs)
        places = shuffled_indices(sample_key, n)
        drawn = places < jnp.maximum(jnp.round(subsample * n), 1).astype(places.dtype)
        params, model_state, said = run(run_key, (x, -slopes, jnp.where(drawn, weights, 0)))
        return outputs + rate.astype(outputs.dtype) * said, (params, model_state, risk(outputs))

    begin = jnp.broadcast_to(first, like.shape)
    found: tuple
    outputs, found = lax.scan(step, begin, jnp.arange(rounds))
    params, model_state, losses = found
    return params, model_state, first, jnp.append(losses, risk(outputs))
