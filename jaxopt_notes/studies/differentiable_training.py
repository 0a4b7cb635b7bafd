"""Training is differentiable: five numbers of a run, tuned by the gradient of its validation loss.

Rate, momentum, the rate's decay, weight decay and the scale of the first kernels are leaves of one `Trainer`;
the loss after 200 steps is a function of them like any other, and `jax.grad` goes through all steps. The
way back needs every state of the way there. `training_score` keeps one state an epoch and computes the epoch
again (`jax.checkpoint` of the inner of two scans): with √n epochs of √n steps, memory grows with √n, at
the price of one more way there. `memory` reads both figures from the compiled programs.
"""

import dataclasses
import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from jaxopt_notes.initializers import normal
from jaxopt_notes.layers import mlp
from jaxopt_notes.losses import mean_squared_error
from jaxopt_notes.optimizers import adam, apply_updates, chain, momentum, skip_nonfinite, weight_decay
from jaxopt_notes.record import check_count
from jaxopt_notes.schedules import inverse_time
from jaxopt_notes.search import training_score
from jaxopt_notes.search.export import Rows
from jaxopt_notes.studies.result import Figure, StudyResult, rows_of
from jaxopt_notes.training import Trainer

__all__ = ["DifferentiableTraining", "differentiable_training"]

BATCH = 8
# Held as numbers that may be any real one: logarithms, and for the momentum its log-odds.
START = {
    "rate": math.log(0.01), "momentum": 0.0, "rate_decay": math.log(0.01),
    "weight_decay": math.log(1e-4), "scale": math.log(0.1),
}  # fmt: skip


@dataclasses.dataclass(frozen=True, eq=False)
class DifferentiableTraining(StudyResult):
    """The hyperparameters found, those of the start, and the validation loss before every step."""

    found: dict[str, float]
    start: dict[str, float]
    losses: np.ndarray

    def rows(self) -> Rows:
        losses = [{"number": "validation loss", "start": self.losses[0], "found": self.losses[-1]}]
        return losses + rows_of(number=self.start, start=self.start.values(), found=self.found.values())

    def plot(self) -> Figure:
        from jaxopt_notes.plots.panels import bands, panels

        drawn, (axis,) = panels(1, width=4.8)
        bands(axis, np.arange(len(self.losses)), {"after the whole run": self.losses}, legend=False)
        axis.set(yscale="log", xlabel="step of the hyperparameters", ylabel="validation loss")
        return drawn


def hyperparameters(point: dict[str, Any]) -> dict[str, Any]:
    """The numbers themselves, from a point of the space that is descended in."""
    odds = {"momentum": jax.nn.sigmoid(point["momentum"])}
    return {name: jnp.exp(value) for name, value in point.items()} | odds


def build(point: dict[str, Any]) -> Trainer:
    """The run: a network 1-16-1 on a curve, momentum, a rate that falls, decoupled weight decay."""
    h = hyperparameters(point)
    rate = inverse_time(h["rate"], h["rate_decay"])
    return Trainer(
        mlp([16, 1], "tanh", kernel_init=normal(h["scale"])),
        chain(momentum(rate, h["momentum"]), weight_decay(h["weight_decay"])),
        mean_squared_error, metric=None, batch_size=BATCH, eval_batch_size=64,
    )  # fmt: skip


def curve(key: jax.Array, steps: int) -> tuple:
    """Training data for that many steps an epoch, and 64 points for validation: sin 1.5x with noise."""
    n = steps * BATCH
    x_key, noise_key = jax.random.split(key)
    x = jax.random.uniform(x_key, (n + 64, 1), minval=-2.0, maxval=2.0)
    y = jnp.sin(1.5 * x) + 0.1 * jax.random.normal(noise_key, x.shape)
    return (x[:n], y[:n]), (x[n:], y[n:])


def differentiable_training(
    key: jax.Array, *, epochs: int = 10, steps: int = 20, updates: int = 30, rate: float = 0.2
) -> DifferentiableTraining:
    """Descend along the gradient of the validation loss after `epochs` times `steps` steps of training.

    Arguments:
        key: a typed random key.
        epochs: epochs of a run, each computed again on the way back.
        steps: steps of an epoch.
        updates: how often the hyperparameters are moved, by Adam.
        rate: the rate of that Adam.

    Returns:
        A `DifferentiableTraining`; the last loss is that of the hyperparameters found.

    Raises:
        ValueError: a number below its least. TypeError: an argument is not a whole number.

    Source: Maclaurin, Duvenaud & Adams 2015.
    """
    check_count("differentiable_training(updates)", updates, 1)
    check_count("differentiable_training(steps)", steps, 1)
    data_key, run_key = jax.random.split(key)
    score = training_score(build, curve(data_key, steps), epochs)
    outer = skip_nonfinite(adam(rate))
    point = jax.tree.map(jnp.asarray, START)

    def move(carry: tuple, _: None) -> tuple:
        point, state = carry
        loss, slopes = jax.value_and_grad(score)(point, run_key)
        change, state = outer.update(slopes, state, point)
        return (apply_updates(point, change), state), (loss, point)

    program = jax.jit(lambda point: lax.scan(move, (point, outer.init(point)), length=updates + 1)[1])
    losses, points = program(point)
    last = jax.tree.map(lambda path: path[-1], points)
    found, start = ({name: float(value) for name, value in hyperparameters(p).items()} for p in (last, point))
    order = list(START)
    found, start = ({name: values[name] for name in order} for values in (found, start))
    return DifferentiableTraining(found, start, np.asarray(losses))


def memory(steps: int, *, checkpoint: bool) -> int:
    """Bytes of scratch memory of the compiled gradient of a run of n = √n·√n steps.

    Arguments:
        steps: n, a square number.
        checkpoint: keep one state for every √n steps and compute the rest again, or keep all.

    Raises:
        ValueError: n is not a square.
    """
    side = math.isqrt(check_count("memory(steps)", steps, 1))
    if side**2 != steps:
        raise ValueError(f"memory(steps) is {steps}, expected a square number: √n epochs of √n steps.")
    key = jax.random.key(0)
    data = curve(key, side)

    def keep_all(point: dict, key: jax.Array) -> jax.Array:
        trainer = build(point)
        _, history = trainer.advance(trainer.init(key, data[0]), data[0], data[1], side)
        return history["valid_loss"][-1]

    score = training_score(build, data, side) if checkpoint else keep_all
    program = jax.jit(jax.grad(score)).lower(START, key).compile()
    found: Any = program.memory_analysis()
    return found.temp_size_in_bytes
