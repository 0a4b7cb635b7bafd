"""Sharpness in the course of training, beside the 2/η that a stable rate allows.

Full-batch gradient descent does not stay where 2/η is far above the curvature: sharpness rises until it is
about 2/η and hovers there, while the loss goes on falling, not monotonically: the edge of stability.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import lax

from jaxopt_notes.diagnostics.curvature import sharpness
from jaxopt_notes.dtypes import Tree
from jaxopt_notes.record import Number, check_count
from jaxopt_notes.training.trainer import Trainer

__all__ = ["SharpnessPath", "sharpness_in_training"]


class SharpnessPath(NamedTuple):
    """Sharpness after every few epochs of a run.

    Arguments:
        sharpness: [k], λ_max of the Hessian of the training loss.
        losses: [k], the training loss at the same parameters.
        epochs: [k], after how many epochs, the first 0.

    Example:
        >>> path = SharpnessPath(jnp.array([5.0, 19.0]), jnp.ones(2), jnp.arange(2))
        >>> print(path.of_limit(0.1))
        [0.25 0.95]
    """

    sharpness: jax.Array
    losses: jax.Array
    epochs: jax.Array

    def of_limit(self, learning_rate: Number) -> jax.Array:
        """λ_max·η/2: 1 at the edge of stability."""
        return self.sharpness * learning_rate / 2


def sharpness_in_training(
    trainer: Trainer,
    key: jax.Array,
    train_data: tuple,
    checks: int = 20,
    epochs_per_check: int = 1,
    *,
    steps: int = 16,
) -> SharpnessPath:
    """Train, and measure the sharpness of the training loss in between.

        λ_max(∇²L(θₜ)),     t = 0, e, 2e, …

    Arguments:
        trainer: a `Trainer` without early stopping. With its batch size that of the data, a step an epoch,
            this is full-batch descent.
        key: a typed random key, of the run and of Lanczos's directions.
        train_data: (x, y), all of it; the loss's Hessian is of it, without penalty, in evaluation mode.
        checks: k, how often to look, the first time before training; static.
        epochs_per_check: e, epochs in between; static.
        steps: products with the Hessian for each look, see `hessian_spectrum`; static.

    Returns:
        A `SharpnessPath`. It is jitted as a whole, and works under `vmap` over trainers and keys.

    Raises:
        ValueError, TypeError: counts below 1 or no whole numbers.

    Example:
        >>> from jaxopt_notes import Trainer, dense, mean_squared_error, sgd
        >>> x = jnp.array([[1.0], [2.0]])
        >>> trainer = Trainer(dense(1, use_bias=False), sgd(0.1), mean_squared_error, metric=None)
        >>> print(sharpness_in_training(trainer, jax.random.key(0), (x, x), checks=2).sharpness)  # 2·E[x²]
        [5. 5.]

    Source: Cohen et al. 2021, "Gradient descent on neural networks typically occurs at the edge of
    stability".
    """
    checks = check_count("sharpness_in_training(checks)", checks, 1)
    epochs = check_count("sharpness_in_training(epochs_per_check)", epochs_per_check, 1)
    state = trainer.init(key, train_data)
    return _path(trainer, state, key, tuple(train_data[:2]), checks, epochs, steps)


def _run(
    trainer: Trainer, state: Tree, key: jax.Array, data: tuple, checks: int, epochs: int, steps: int
) -> SharpnessPath:
    def loss(params: Tree, model_state: Tree) -> jax.Array:
        outputs, _ = trainer.model.apply(params, model_state, data[0], key=None, train=False)
        return jnp.mean(trainer.loss(outputs, data[1]))

    def look(state: Tree, i: jax.Array) -> tuple:
        at = state.learner.params, state.learner.model_state
        value = loss(*at)
        top = sharpness(loss, at[0], jax.random.fold_in(key, i), at[1], steps=steps)
        state, _ = trainer.advance(state, data, epochs=epochs)
        return state, (top, value)

    top: jax.Array
    values: jax.Array
    _, (top, values) = lax.scan(look, state, jnp.arange(checks))
    return SharpnessPath(top, values, epochs * jnp.arange(checks))


_path = jax.jit(_run, static_argnums=(4, 5, 6))
