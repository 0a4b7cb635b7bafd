"""AdaBoost: members trained one after another, each on the examples that those before it got wrong.

The examples have weights, which grow where a member errs; the members have weights, the log odds of being
right. Any model that a `Trainer` trains can be the weak learner. The rounds are a scan: one program.
"""

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import lax
from jax.typing import ArrayLike

from jaxopt_notes.dtypes import as_hyperparameter
from jaxopt_notes.ensembles.members import Members, check_learning
from jaxopt_notes.ensembles.voting import count_votes
from jaxopt_notes.metrics import accuracy
from jaxopt_notes.record import Number, check_count, check_number
from jaxopt_notes.training.evaluation import count, predict
from jaxopt_notes.training.trainer import Trainer

__all__ = ["Boosted", "adaboost", "samme_round"]


class Boosted(NamedTuple):
    """Members in the order of training, what each one's vote counts, and its weighted error.

    Example:
        >>> Boosted._fields
        ('members', 'weights', 'errors')
    """

    members: Members
    weights: jax.Array
    errors: jax.Array

    def predict(self, x: ArrayLike) -> jax.Array:
        """The weight of the votes for each class [B, C]; the largest is the decision."""
        return count_votes(self.members.predict(x), self.weights)


def samme_round(
    weights: jax.Array, wrong: jax.Array, classes: int, learning_rate: Number = 1.0
) -> tuple[jax.Array, jax.Array, jax.Array]:
    """One round of SAMME: what a member's vote counts, and the examples' new weights.

        ε = Σᵢ wᵢ·[i is wrong] / Σᵢ wᵢ        α = η·(log((1 − ε)/ε) + log(C − 1))        wᵢ ← wᵢ·e^(α·[wrong])

    Arguments:
        weights: w, [n], ≥ 0.
        wrong: [n], bools.
        classes: C ≥ 2, static.
        learning_rate: η > 0.

    Returns:
        (α, ε, the new weights, which sum to 1). A member no better than chance, ε ≥ 1 − 1/C, has α = 0 and
        changes nothing; of one without an error ε counts as the smallest that the dtype resolves.

    Example:
        >>> alpha, error, weights = samme_round(jnp.ones(4) / 4, jnp.array([True, False, False, False]), 2)
        >>> print(*(f"{number:.4f}" for number in (alpha, error, *weights)))
        1.0986 0.2500 0.5000 0.1667 0.1667 0.1667

    Source: Zhu, Zou, Rosset & Hastie 2009, algorithm 2; with C = 2 Freund & Schapire 1997.

    Elsewhere: scikit-learn's `AdaBoostClassifier`, which stops at a member that is no better than chance or
    has no error; there the latter's vote counts 1.
    """
    share = weights / jnp.sum(weights)
    error = jnp.sum(jnp.where(wrong, share, 0))
    eps = jnp.finfo(error.dtype).eps
    bounded = jnp.clip(error, eps, 1 - eps)
    rate = as_hyperparameter(learning_rate).astype(error.dtype)
    alpha = rate * (jnp.log((1 - bounded) / bounded) + jnp.log(jnp.asarray(classes - 1.0, error.dtype)))
    alpha = jnp.where(error < 1 - 1 / classes, alpha, 0)
    grown = share * jnp.exp(jnp.where(wrong, alpha, 0))
    return alpha, error, grown / jnp.sum(grown)


def adaboost(
    trainer: Trainer,
    key: jax.Array,
    train_data: tuple,
    epochs: int = 20,
    *,
    rounds: int = 10,
    learning_rate: Number = 1.0,
) -> Boosted:
    """AdaBoost for classes (SAMME), with any model as the weak learner.

        θ_t = the run of `trainer` on the examples with weights w;   (α_t, w) ← samme_round(w, [f_t(x) ≠ y])
        decision: argmax_c Σ_t α_t·[f_t says c]

    Arguments:
        trainer: a `Trainer` of a classifier with outputs [B, C]; its loss is weighted by example.
        key: a typed key, `fold_in(key, t)` for round t.
        train_data: (x, y) with integer labels [n] or one-hot rows [n, C], or (x, y, weights).
        epochs: of each member.
        rounds: T, static.
        learning_rate: η > 0, how much of α is taken; a leaf: it may be traced.

    Returns:
        `Boosted(members, weights, errors)`; `predict(x)` gives the weights of the votes [B, C]. For two
        classes and η = 1 the training error is at most Π_t 2√(ε_t(1 − ε_t)), and ½Σ α is the usual form.

    Raises:
        ValueError, TypeError: as `Trainer.init` does.

    Example:
        >>> from jaxopt_notes.layers.mlp import mlp
        >>> from jaxopt_notes.losses.cross_entropy import softmax_cross_entropy
        >>> from jaxopt_notes.optimizers.adam import adam
        >>> from jaxopt_notes.training.trainer import Trainer
        >>> x = jax.random.normal(jax.random.key(1), (64, 2))
        >>> y = (jnp.sum(x**2, axis=1) > 1.2).astype(int)
        >>> trainer = Trainer(mlp([3, 2]), adam(0.1), softmax_cross_entropy, batch_size=64)
        >>> boosted = adaboost(trainer, jax.random.key(0), (x, y), rounds=8)
        >>> right = jnp.mean(boosted.predict(x).argmax(1) == y)
        >>> bool(right > 0.9), bool(1 - right < boosted.errors.min())
        (True, True)

    Source: Zhu, Zou, Rosset & Hastie 2009; Freund & Schapire 1997, theorem 6 for the bound.

    Elsewhere: scikit-learn's `AdaBoostClassifier`.
    """
    check_learning("adaboost", trainer, key, train_data)
    check_number("adaboost(learning_rate)", learning_rate, "(0, inf)")
    rounds = check_count("adaboost(rounds)", rounds, 1)
    params, state, weights, errors = _boost(
        trainer, key, tuple(train_data), as_hyperparameter(learning_rate), epochs, rounds
    )
    return Boosted(Members(trainer.model, params, state), weights, errors)


@functools.partial(jax.jit, static_argnames=("epochs", "rounds"))
def _boost(trainer: Trainer, key: jax.Array, data: tuple, rate: jax.Array, epochs: int, rounds: int) -> tuple:
    x, y, *own = data
    n = count(data)
    first = own[0].astype(jnp.result_type(float)) if own else jnp.ones(n, jnp.result_type(float))

    def step(weights: jax.Array, t: jax.Array) -> tuple:
        # Weights of mean 1, so that a batch's total is of the order of its size.
        round_data = (x, y, weights * n)
        state, _ = trainer.advance(
            trainer.init(jax.random.fold_in(key, t), round_data), round_data, None, epochs
        )
        outputs = predict(
            trainer.model, state.best_params, state.best_model_state, x, trainer.eval_batch_size
        )
        wrong = accuracy(outputs, y) == 0
        alpha, error, weights = samme_round(weights, wrong, outputs.shape[-1], rate)
        return weights, (state.best_params, state.best_model_state, alpha, error)

    return lax.scan(step, first / jnp.sum(first), jnp.arange(rounds))[1]
