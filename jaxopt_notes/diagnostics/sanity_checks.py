"""The checks before a long run: a first loss that is known, a penalty that costs, data that can be learned.

Each takes seconds and finds what would spoil days: labels that are shifted, a loss that is averaged twice, a
model that cannot learn at all.
"""

import dataclasses
import math
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxopt_notes.data.batches import take
from jaxopt_notes.dtypes import Tree
from jaxopt_notes.record import check_count, check_number
from jaxopt_notes.training.evaluation import count, evaluate
from jaxopt_notes.training.trainer import Trainer

__all__ = ["SanityCheck", "sanity_checks"]


class SanityCheck(NamedTuple):
    """One check: whether it passed, what was found, what was expected, and what to look at if it failed.

    Example:
        >>> SanityCheck(True, 2.31, "about ln 10 = 2.303", "").passed
        True
    """

    passed: bool
    found: float
    expected: str
    advice: str


def sanity_checks(
    trainer: Trainer,
    key: jax.Array,
    train_data: tuple,
    *,
    classes: int | None = None,
    examples: int = 20,
    steps: int = 200,
    tolerance: float = 0.2,
) -> dict[str, SanityCheck]:
    """Whether a run may begin: the first loss, the penalty, and a few examples learned by heart.

        L(θ₀) ≈ ln k,     L + penalty ≥ L,     L → 0 on a few examples

    Arguments:
        trainer: a `Trainer`; its rate must be one that learns.
        key: a typed random key.
        train_data: (x, y).
        classes: k, for a cross-entropy over so many classes; `None` leaves that check out.
        examples: how many are to be learned by heart, the first ones; static.
        steps: how many steps that may take, without penalty, augmentation and early stopping; static.
        tolerance: how far the first loss may be from ln k, as a part of it, and how much of the first loss
            may be left at the end.

    Returns:
        name → `SanityCheck`: "initial loss" (with `classes`), "penalty" (if there is one), "overfit".

    Raises:
        ValueError, TypeError: counts below 1, a tolerance outside of (0, 1), or what `Trainer.init` refuses.

    Example:
        >>> from jaxopt_notes import Trainer, adam, mlp, softmax_cross_entropy
        >>> x, y = jax.random.normal(jax.random.key(0), (8, 5)), jnp.arange(8) % 4
        >>> trainer = Trainer(mlp([32, 4]), adam(0.05), softmax_cross_entropy, metric=None)
        >>> checks = sanity_checks(trainer, jax.random.key(1), (x, y), examples=8, steps=40)
        >>> checks["overfit"].passed
        True

    Source: the lectures CS231n, "Babysitting the learning process": ln 10 = 2.3 for ten classes; crank up the
    regularization and the loss goes up; 20 examples to 100 percent.
    """
    examples = min(check_count("sanity_checks(examples)", examples, 1), count(train_data))
    steps = check_count("sanity_checks(steps)", steps, 1)
    part = float(check_number("sanity_checks(tolerance)", tolerance, "(0, 1)"))
    few = tuple(take(train_data[:2], np.arange(examples)))
    alone = dataclasses.replace(
        trainer, penalty=None, augmentation=None, early_stopping=None, metric=None, collect=None,
        batch_size=examples,
    )  # fmt: skip
    state = trainer.init(key, train_data)
    params, model_state = state.learner.params, state.learner.model_state
    first, start = jax.device_get(jax.jit(_losses)(alone, params, model_state, tuple(train_data[:2]), few))
    checks = {}
    if classes is not None:
        chance = math.log(check_count("sanity_checks(classes)", classes, 2))
        checks["initial loss"] = SanityCheck(
            abs(float(first) - chance) <= part * chance, float(first), f"about ln {classes} = {chance:.4g}",
            "labels that are not 0 … k − 1, a loss that is summed, or outputs too large at first: smaller "
            "weights in the last layer",
        )  # fmt: skip
    if trainer.penalty is not None and not hasattr(trainer.penalty, "apply"):
        cost = float(jax.device_get(jax.jit(_penalty)(trainer.penalty, params)))
        checks["penalty"] = SanityCheck(
            cost > 0, cost, "above 0: a penalty raises the loss",
            "a strength of 0, or a mask that chooses nothing",
        )  # fmt: skip
    after, _ = alone.advance(alone.init(key, few), few, epochs=steps)
    _, left = jax.device_get(
        jax.jit(_losses)(alone, after.learner.params, after.learner.model_state, few, few)
    )
    most = part * float(start)
    checks["overfit"] = SanityCheck(
        bool(float(left) <= most), float(left), f"at most {most:.4g}, of {start:.4g}",
        "a rate that is too low or too high, a model that is too small, units that are dead, or inputs and "
        "targets that do not belong together",
    )  # fmt: skip
    return checks


def _losses(trainer: Trainer, params: Tree, model_state: Tree, data: tuple, few: tuple) -> tuple:
    return tuple(evaluate(trainer, params, model_state, part)["loss"] for part in (data, few))


def _penalty(penalty: Any, params: Tree) -> jax.Array:
    return jnp.asarray(penalty(params))
