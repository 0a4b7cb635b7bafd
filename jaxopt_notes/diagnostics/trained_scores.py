"""Training and validation scores after training, of many seeds in one program: a point of a curve."""

import functools

import jax
import jax.numpy as jnp

from jaxopt_notes.data.batches import shuffled_indices, take
from jaxopt_notes.training.evaluation import count, evaluate
from jaxopt_notes.training.trainer import Trainer

Scores = dict[str, jax.Array]


@functools.partial(jax.jit, static_argnames=("size", "epochs"))
def trained_scores(
    trainer: Trainer, keys: jax.Array, train_data: tuple, valid_data: tuple, size: int, epochs: int
) -> tuple[Scores, Scores]:
    """Scores on `size` random training samples, after training on them, and on validation data, [seeds] each.

    The validation data are for judging only: without early stopping the last parameters count.
    """

    def of_seed(key: jax.Array) -> tuple[Scores, Scores]:
        draw, run = jax.random.split(key)
        # All of them in their order are no draw, and one copy serves all seeds.
        n = count(train_data)
        data = train_data if size == n else take(train_data, shuffled_indices(draw, n)[:size])
        state, _ = trainer.advance(trainer.init(run, data), data, None, epochs)
        train, valid = (
            evaluate(trainer, state.best_params, state.best_model_state, of) for of in (data, valid_data)
        )
        return train, valid

    return jax.vmap(of_seed)(keys)


def stacked(points: list[tuple[Scores, Scores]]) -> tuple[Scores, Scores]:
    """The points of a curve as arrays [points, seeds] by name: of training, and of validation."""
    train, valid = (jax.tree.map(lambda *rows: jnp.stack(rows), *side) for side in zip(*points, strict=True))
    return train, valid
