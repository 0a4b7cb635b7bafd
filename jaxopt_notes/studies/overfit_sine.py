"""A network that memorizes 25 points of a sine with its fifth harmonic, and four remedies.

The target is 4 sin(x)/π + 4 sin(5x)/(5π), validation is 4 sin(x)/π alone, so a network that reproduces its
training points exactly scores R² = 1 − (1/5)² = 0.96 there: what reads as a good score is that of pure
memory. Widths 1-16-16-16-1, plain gradient descent at 0.1 on batches of 5, 20,000 epochs. All remedies and
seeds are members of one program: strengths, rates and patience are leaves.
"""

import jax
import jax.numpy as jnp
import numpy as np

from jaxopt_notes.diagnostics.parameter_report import layer_norms
from jaxopt_notes.initializers import xavier_uniform
from jaxopt_notes.layers import activation, dense, dropout, serial
from jaxopt_notes.layers.layer import Layer
from jaxopt_notes.losses import half_mean_squared_error
from jaxopt_notes.metrics import r2
from jaxopt_notes.optimizers import sgd
from jaxopt_notes.penalties import add_penalties, l1, l2
from jaxopt_notes.record import check_count, record, static
from jaxopt_notes.search.export import Rows
from jaxopt_notes.sparsity import count_small
from jaxopt_notes.studies.result import Array, Figure, StudyResult, median, rows_of
from jaxopt_notes.training import Trainer
from jaxopt_notes.training.early_stopping import patience

__all__ = ["OverfitSine", "overfit_sine"]

PI = 3.1416  # as the source has it
BATCH = 5
# λ of L2 and of L1, which are divided by the batch, dropout after layers 1 and 3, epochs of patience.
REMEDIES = {
    "none": (0.0, 0.0, 0.0, 0.0, np.inf),
    "L2": (0.01, 0.0, 0.0, 0.0, np.inf),
    "L1": (0.0, 0.005, 0.0, 0.0, np.inf),
    "dropout": (0.0, 0.0, 0.1, 0.2, np.inf),
    "early stopping": (0.0, 0.0, 0.0, 0.0, 800.0),
}


@record
class OverfitSine(StudyResult):
    """See `overfit_sine`."""

    remedies: tuple[str, ...] = static()
    r2: Array  # [remedies, seeds], of the network that is kept
    r2_curve: Array  # [remedies, seeds, epochs / stride]
    stride: int = static()
    epochs: Array  # [remedies, seeds], run
    small: Array  # [remedies, seeds]: weights of size ≤ 0.01
    tiny: Array  # ≤ 0.0001
    norm1: Array  # [remedies, seeds, layers]: Σ|w|
    spectral: Array  # the largest singular value
    frobenius: Array
    fit: Array  # [remedies, points], of the first seed, for the picture

    def rows(self) -> Rows:
        return rows_of(
            remedy=self.remedies, r2=median(self.r2), epochs=median(self.epochs),
            small_weights=median(self.small), tiny_weights=median(self.tiny),
            norm1=median(np.sum(self.norm1, axis=-1)),
            largest_spectral=median(np.max(self.spectral, axis=-1)),
        )  # fmt: skip

    def plot(self) -> Figure:
        from jaxopt_notes.plots.figure import COLORS
        from jaxopt_notes.plots.panels import bands, panels

        drawn, (left, middle, right) = panels(3)
        x, y = (part[:, 0] for part in wave(25, (1, 5)))
        grid = wave(self.fit.shape[1], (1,))[0][:, 0]
        bands(left, grid, dict(zip(self.remedies, self.fit, strict=True)))
        left.plot(x, y, "k.", ms=6)
        left.set(xlabel="x", ylabel="y", title="the first seed's networks")
        epochs = self.stride * np.arange(1, self.r2_curve.shape[-1] + 1)
        bands(middle, epochs, dict(zip(self.remedies, self.r2_curve, strict=True)), legend=False)
        middle.axhline(0.96, color="gray", lw=0.8)
        middle.annotate("memorized: 0.96", (epochs[-1], 0.96), ha="right", va="top", fontsize="small")
        middle.set(ylim=(0.9, 1.0), xlabel="epoch", ylabel="validation R²", title="during training")
        norms = np.median(self.norm1, axis=1)
        layers = np.arange(norms.shape[1])
        for i, name in enumerate(self.remedies):
            right.bar(layers + 0.16 * (i - 2), norms[i], 0.15, label=name, color=COLORS[i])
        right.set_xticks(layers, [f"layer {i + 1}" for i in layers])
        right.set(yscale="log", ylabel="Σ|w|", title="size of the weights")
        return drawn


def wave(points: int, harmonics: tuple[int, ...]) -> tuple[jax.Array, jax.Array]:
    """Equally spaced points of one period, and Σ 4 sin(kx)/(kπ) there."""
    x = np.linspace(0, 2 * PI, points)[:, None]
    return jnp.float32(x), jnp.float32(sum(4 * np.sin(k * x) / (k * PI) for k in harmonics))


def build(remedy: tuple) -> Trainer:
    """The run with the numbers of a remedy."""
    of_l2, of_l1, first, third, epochs = remedy

    def layer(width: int) -> Layer:
        return dense(width, kernel_init=xavier_uniform())

    model = serial(
        layer(16), activation("sigmoid"), dropout(first, mode="vanilla"),
        layer(16), activation("tanh"),
        layer(16), activation("tanh"), dropout(third, mode="vanilla"),
        layer(1),
    )  # fmt: skip
    penalty = add_penalties(l2(of_l2, samples=BATCH), l1(of_l1, samples=BATCH))
    return Trainer(
        model, sgd(0.1), half_mean_squared_error, penalty,
        metric=r2, batch_size=BATCH, early_stopping=patience(epochs),
    )  # fmt: skip


def overfit_sine(key: jax.Array, *, seeds: int = 12, epochs: int = 20_000) -> OverfitSine:
    """A memorized regression, and what L2, L1, dropout and early stopping make of it.

        y = 4 sin(x)/π + 4 sin(5x)/(5π) at 25 points;  R² against 4 sin(x)/π

    Arguments:
        key: a typed random key.
        seeds: networks for each remedy.
        epochs: epochs of 5 steps. Memory is complete after some 15,000.

    Returns:
        An `OverfitSine`. The network kept is the last, and with early stopping the best.

    Raises:
        ValueError: a number below its least. TypeError: an argument is not a whole number.

    Source: the study notes' tables of L1, L2 and dropout, from chapter 16 of Microsoft's ai-edu. The notes
    report R² = 0.961 without remedy, 0.982 with L2, 0.987 with L1, 0.9817 with dropout; their 0.9605 for
    early stopping is that of no remedy. What they print as the second norm of a layer is its spectral norm:
    as Frobenius norm it would contradict their own first norm.
    """
    check_count("overfit_sine(seeds)", seeds, 1)
    check_count("overfit_sine(epochs)", epochs, 1)
    train, valid = wave(25, (1, 5)), wave(100, (1,))
    stride = max(1, epochs // 200)

    def run(remedy: tuple, key: jax.Array) -> tuple:
        trainer = build(remedy)
        state, history = trainer.advance(trainer.init(key, train), train, valid, epochs)
        early = jnp.isfinite(remedy[-1])
        params = jax.tree.map(lambda a, b: jnp.where(early, a, b), state.best_params, state.params)
        norms = {order: layer_norms(params, order) for order in ("l1", "spectral", "frobenius")}
        fit = trainer.model.apply(params, state.best_model_state, valid[0])[0]
        return (
            r2(fit, valid[1]), history["valid_r2"][stride - 1 :: stride], state.epoch,
            count_small(params, 1e-2), count_small(params, 1e-4),
            *(jnp.stack(list(of_layers.values())) for of_layers in norms.values()), fit[:, 0],
        )  # fmt: skip

    program = jax.jit(jax.vmap(jax.vmap(run, (None, 0)), (0, None)))
    columns = tuple(jnp.array(column) for column in zip(*REMEDIES.values(), strict=True))
    found = jax.tree.map(np.asarray, program(columns, jax.random.split(key, seeds)))
    scores, curve, ran, small, tiny, norm1, spectral, frobenius, fit = found
    return OverfitSine(
        tuple(REMEDIES), scores, curve, stride, ran, small, tiny, norm1, spectral, frobenius, fit[:, 0]
    )
