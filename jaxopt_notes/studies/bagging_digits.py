"""Nine networks on nine bootstrap samples of few digits: their vote beats the best of them."""

import jax
import jax.numpy as jnp
import numpy as np

from jaxopt_notes.data import bootstrap
from jaxopt_notes.ensembles import average, vote
from jaxopt_notes.initializers import xavier_uniform
from jaxopt_notes.layers import flatten, mlp, serial
from jaxopt_notes.losses import softmax_cross_entropy
from jaxopt_notes.metrics import accuracy
from jaxopt_notes.optimizers import sgd
from jaxopt_notes.record import check_count, record
from jaxopt_notes.search.export import Rows
from jaxopt_notes.studies.result import Array, Figure, StudyResult
from jaxopt_notes.studies.small_digits import deal, images
from jaxopt_notes.training import Trainer

__all__ = ["BaggingDigits", "bagging_digits"]


@record
class BaggingDigits(StudyResult):
    """See `bagging_digits`."""

    members: Array  # [seeds, members], test accuracy
    vote: Array  # [seeds], of the plurality
    average: Array  # [seeds], of the averaged probabilities
    whole: Array  # [seeds], of one network on all training images
    missed: Array  # [seeds], share of the images that a member has not seen

    def rows(self) -> Rows:
        best, worst = self.members.max(axis=1), self.members.min(axis=1)
        columns = {
            "worst member": worst, "median member": np.median(self.members, axis=1), "best member": best,
            "vote": self.vote, "average": self.average, "one network on all images": self.whole,
        }  # fmt: skip
        return [
            {"who": name, "test_accuracy": np.median(values), "least": np.min(values), "most": np.max(values)}
            for name, values in columns.items()
        ]

    def plot(self) -> Figure:
        from jaxopt_notes.plots.figure import BLUE, GREEN, ORANGE
        from jaxopt_notes.plots.panels import panels

        drawn, (axis,) = panels(1, width=6.0)
        seeds = np.arange(len(self.vote))
        axis.plot(np.repeat(seeds, self.members.shape[1]), self.members.ravel(), "o", ms=4, color=BLUE,
                  alpha=0.5, label="members")  # fmt: skip
        axis.plot(seeds, self.vote, "*", ms=12, color=ORANGE, label="their vote")
        axis.plot(seeds, self.whole, "_", ms=16, mew=2, color=GREEN, label="one network on all images")
        axis.set(xlabel="seed", ylabel="test accuracy", xticks=seeds)
        axis.legend(frameon=False, fontsize="small", ncols=3, loc="lower center", bbox_to_anchor=(0.5, 1.0))
        return drawn


def bagging_digits(
    key: jax.Array, *, seeds: int = 8, members: int = 9, epochs: int = 50, train: int = 300
) -> BaggingDigits:
    """Bagging: networks trained on bootstrap samples, and their vote.

    Arguments:
        key: a typed random key.
        seeds: repetitions, each with its own training images.
        members: networks of an ensemble.
        epochs: of each, in batches of 32.
        train: training images.

    Returns:
        A `BaggingDigits`. All networks of all repetitions are members of one program: a bootstrap sample is
        a weight for each image.

    Raises:
        ImportError: scikit-learn is missing. ValueError: a number below 1.

    Source: Breiman 1996. In the notes nine networks on samples of 1,000 digits of MNIST reach 83.3 to 85.3 %,
    and their vote 87.5 %.
    """
    for name, number in {"seeds": seeds, "members": members, "epochs": epochs, "train": train}.items():
        check_count(f"bagging_digits({name})", number, 1)
    model = serial(flatten(), mlp([30, 30, 10], "relu", kernel_init=xavier_uniform()))
    trainer = Trainer(model, sgd(0.1), softmax_cross_entropy, batch_size=32)

    def repetition(key: jax.Array, data: tuple) -> tuple:
        data_key, sample_key, run_key = jax.random.split(key, 3)
        (x, y), _, (test_x, test_y) = deal(data_key, data, train)
        samples = bootstrap(sample_key, train, members).weights
        weights = jnp.concatenate([samples, jnp.ones((1, train), samples.dtype)])

        def run(weights: jax.Array, key: jax.Array) -> jax.Array:
            data = (x, y, weights)
            state, _ = trainer.advance(trainer.init(key, data), data, epochs=epochs)
            return model.apply(state.params, state.best_model_state, test_x)[0]

        said = jax.vmap(run)(weights, jax.random.split(run_key, members + 1))
        right = jnp.mean(jax.vmap(accuracy, (0, None))(said, test_y), axis=1)
        voted = jnp.mean(vote(said[:-1]) == test_y)
        averaged = jnp.mean(accuracy(average(said[:-1], of="probabilities"), test_y))
        return right[:-1], voted, averaged, right[-1], jnp.mean(samples == 0)

    found = jax.jit(jax.vmap(repetition, (0, None)))(jax.random.split(key, seeds), images())
    alone, voted, averaged, whole, missed = map(np.asarray, found)
    return BaggingDigits(alone, voted, averaged, whole, missed)
