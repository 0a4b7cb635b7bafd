"""Prechelt's question, early stopping, but when: what slower criteria cost in epochs and gain in loss.

Each run is trained to the end once, and all 14 criteria of the paper are replayed on its curves. Within a
family a slower criterion never stops sooner and never keeps a higher validation loss; what that is worth on
other data, the test set, is measured here.
"""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from jaxopt_notes.dtypes import Tree
from jaxopt_notes.initializers import xavier_uniform
from jaxopt_notes.layers import flatten, mlp, serial
from jaxopt_notes.losses import softmax_cross_entropy
from jaxopt_notes.optimizers import sgd
from jaxopt_notes.record import check_count, record, static
from jaxopt_notes.search.export import Rows
from jaxopt_notes.studies.result import Array, Figure, StudyResult, median, rows_of
from jaxopt_notes.studies.small_digits import deal, images
from jaxopt_notes.training import Trainer
from jaxopt_notes.training.early_stopping.replay import replay
from jaxopt_notes.training.early_stopping.stop_gl import stop_gl
from jaxopt_notes.training.early_stopping.stop_pq import stop_pq
from jaxopt_notes.training.early_stopping.stop_up import stop_up

__all__ = ["StoppingTradeoff", "stopping_tradeoff"]

FAMILIES = {
    "GL": (stop_gl, (1.0, 2.0, 3.0, 5.0)),
    "PQ": (stop_pq, (0.5, 0.75, 1.0, 2.0, 3.0)),
    "UP": (stop_up, (2, 3, 4, 6, 8)),
}
NAMES = tuple(f"{family} {number:g}" for family, (_, numbers) in FAMILIES.items() for number in numbers)


@record
class StoppingTradeoff(StudyResult):
    """See `stopping_tradeoff`."""

    criteria: tuple[str, ...] = static()
    stop_epoch: Any  # [criteria, seeds]; the length of the run where it never stops
    stopped: Array  # [criteria, seeds]
    test_loss: Any  # [criteria, seeds], of the parameters that are kept
    valid_loss: Array  # [criteria, seeds], of these
    curves: Array  # [3, seeds, epochs]: loss in training, validation and test

    @property
    def ratios(self) -> tuple[np.ndarray, np.ndarray]:
        """Of every criterion and run: epochs to those of the fastest, test loss to that of the best."""
        return self.stop_epoch / self.stop_epoch.min(axis=0), self.test_loss / self.test_loss.min(axis=0)

    def rows(self) -> Rows:
        time, loss = self.ratios
        return rows_of(
            criterion=self.criteria, epochs=median(self.stop_epoch), stops=np.mean(self.stopped, axis=1),
            test_loss=median(self.test_loss), times_the_fastest=time.mean(axis=1),
            times_the_best=loss.mean(axis=1),
        )  # fmt: skip

    def plot(self) -> Figure:
        from jaxopt_notes.plots.panels import bands, panels

        drawn, (left, right) = panels(2)
        epochs = np.arange(1, self.curves.shape[-1] + 1)
        bands(left, epochs, dict(zip(("training", "validation", "test"), self.curves, strict=True)))
        left.set(xlabel="epoch", ylabel="loss", yscale="log", title="the recorded runs")
        time, loss = (ratio.mean(axis=1) for ratio in self.ratios)
        for family, marker in zip(FAMILIES, "os^", strict=True):
            own = [i for i, name in enumerate(self.criteria) if name.startswith(family)]
            right.plot(time[own], loss[own], marker + "-", label=family)
        right.set(xlabel="epochs, times the fastest", ylabel="test loss, times the best", title="the trade")
        right.legend(frameon=False)
        return drawn


def stopping_tradeoff(
    key: jax.Array, *, seeds: int = 12, epochs: int = 200, train: int = 200, width: int = 30
) -> StoppingTradeoff:
    """Fourteen criteria of early stopping on the same runs: epochs trained against loss on a test set.

    Arguments:
        key: a typed random key.
        seeds: networks 64-width-width-10, each with its own digits, which they soon know by heart.
        epochs: of each, in batches of 20, without stopping.
        train: training images; 400 are for validation, the rest of 1,797 is the test set.
        width: of both hidden layers.

    Returns:
        A `StoppingTradeoff`: GL at 1, 2, 3, 5 percent, PQ at 0.5 to 3 and UP of 2 to 8 strips.

    Raises:
        ImportError: scikit-learn is missing. ValueError: a number below 1.

    Source: Prechelt 1998, "Early stopping, but when?", where slower criteria gain some 4 percent and take
    four times as long: means over 12 problems.
    """
    for name, number in {"seeds": seeds, "epochs": epochs, "train": train, "width": width}.items():
        check_count(f"stopping_tradeoff({name})", number, 1)
    model = serial(flatten(), mlp([width, width, 10], "relu", kernel_init=xavier_uniform()))
    trainer = Trainer(model, sgd(0.1), softmax_cross_entropy, batch_size=20, metric=None)

    def run(key: jax.Array, data: tuple) -> jax.Array:
        data_key, run_key = jax.random.split(key)
        train_data, valid_data, (x, y) = deal(data_key, data, train)

        def epoch(state: Tree, _: None) -> tuple:
            state, history = trainer.advance(state, train_data, valid_data)
            outputs, _ = model.apply(state.params, state.learner.model_state, x)
            test = jnp.mean(softmax_cross_entropy(outputs, y))
            return state, jnp.stack([history["loss"][0], history["valid_loss"][0], test])

        curves: jax.Array = lax.scan(epoch, trainer.init(run_key, train_data), None, length=epochs)[1]
        return curves

    @jax.jit
    def program(keys: jax.Array, data: tuple) -> tuple:
        curves = jnp.moveaxis(jax.vmap(run, (0, None))(keys, data), -1, 0)
        recorded = {"loss": curves[0], "valid_loss": curves[1]}
        found: list[jax.Array] = [
            jax.vmap(lambda number, rule=rule: replay(rule(number), recorded))(jnp.asarray(numbers))
            for rule, numbers in FAMILIES.values()
        ]
        all_found: Any = jax.tree.map(lambda *parts: jnp.concatenate(parts), *found)
        test = jax.vmap(lambda kept: jnp.take_along_axis(curves[2], kept[:, None] - 1, 1)[:, 0])
        kept = all_found.best_epoch, all_found.best_score
        return curves, all_found.stop_epoch, all_found.stopped, test(kept[0]), kept[1]

    found = jax.tree.map(np.asarray, program(jax.random.split(key, seeds), images()))
    curves, stop_epoch, stopped, test_loss, valid_loss = found
    return StoppingTradeoff(NAMES, stop_epoch, stopped, test_loss, valid_loss, curves)
