"""The race on a curve: three sigmoids fit a wave that grows, gradient descent with and without momentum."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from jaxopt_notes.dtypes import Tree
from jaxopt_notes.layers import mlp
from jaxopt_notes.losses import half_mean_squared_error
from jaxopt_notes.optimizers import apply_updates, momentum, nesterov, sgd
from jaxopt_notes.optimizers.core.gradient_transform import GradientTransform
from jaxopt_notes.record import check_count, check_number, record, static
from jaxopt_notes.search.export import Rows
from jaxopt_notes.studies.result import Array, Figure, StudyResult, median, rows_of

__all__ = ["CurveRace", "curve_race"]

BATCH = 10


@record
class CurveRace(StudyResult):
    """See `curve_race`."""

    runners: tuple[str, ...] = static()
    epochs: Array  # [runners, seeds], until the loss is below the goal; the whole number where it never is
    losses: Array  # [runners, seeds, epochs], of new points
    fits: Array  # [runners, 201], of the first seed at the end, on an even grid
    examples: Array  # [n, 2], of the first seed

    def rows(self) -> Rows:
        return rows_of(
            optimizer=self.runners, epochs=median(self.epochs), fewest=self.epochs.min(axis=1),
            most=self.epochs.max(axis=1), last_loss=median(self.losses[:, :, -1]),
        )  # fmt: skip

    def plot(self) -> Figure:
        from jaxopt_notes.plots.figure import line_style
        from jaxopt_notes.plots.panels import bands, panels

        drawn, (left, right) = panels(2, width=4.8)
        epochs = np.arange(1, self.losses.shape[-1] + 1)
        bands(left, epochs, dict(zip(self.runners, self.losses, strict=True)))
        left.set(xscale="log", yscale="log", xlabel="epoch", ylabel="loss of new points")
        right.plot(*self.examples.T, ".", color="0.75", ms=2)
        for i, fit in enumerate(self.fits):
            right.plot(np.linspace(0, 1, fit.size), fit, lw=1.5, **line_style(i))
        right.set(xlabel="x", ylabel="y", title="the first seed, at the end")
        return drawn


def runners() -> dict[str, Any]:
    """The best rates of the notes."""
    return {"sgd": sgd(0.3), "momentum": momentum(0.1, 0.9), "nesterov": nesterov(0.1, 0.9)}


def curve(x: jax.Array) -> jax.Array:
    """0.4·x² + 0.3·x·sin(15x) + 0.01·cos(50x) − 0.3."""
    return 0.4 * x**2 + 0.3 * x * jnp.sin(15 * x) + 0.01 * jnp.cos(50 * x) - 0.3


def curve_race(
    key: jax.Array, *, seeds: int = 8, epochs: int = 4000, examples: int = 1000, goal: float = 0.001
) -> CurveRace:
    """A network 1-3-1 on a curve, by mini-batches of 10: epochs until the loss of new points is below a goal.

        y = 0.4·x² + 0.3·x·sin(15x) + 0.01·cos(50x) − 0.3 + U(−0.05, 0.05),  x in [0, 1],  loss ½·mean(e²)

    Arguments:
        key: a typed random key.
        seeds: data sets, first weights and orders.
        epochs: the most.
        examples: of the training set; a fifth as many are scored.
        goal: the loss at which a run has arrived; that of the noise alone is 0.0004.

    Returns:
        A `CurveRace`.

    Raises:
        ValueError: a number below 1, a goal that is not positive. TypeError: an argument is not a number.

    Source: chapter 15 of Microsoft's ai-edu, which reports, of one run each, 5,000 epochs for gradient
    descent at 0.3, 2,000 for momentum and 1,400 for Nesterov's at 0.1. Of four seeds, gradient descent
    arrives within 6,000 once (4,361), momentum in 2,277 to 2,669, Nesterov's in 1,693 to 2,398, but for one
    seed of each, which never does. The rates explain the order: a momentum of 0.9 makes ten times the step.
    """
    check_count("curve_race(seeds)", seeds, 1)
    check_count("curve_race(epochs)", epochs, 1)
    check_count("curve_race(examples)", examples, BATCH)
    check_number("curve_race(goal)", goal, "(0, inf)")
    chosen, model = runners(), mlp([3, 1], "sigmoid")
    steps = examples // BATCH

    def draw(key: jax.Array, n: int) -> tuple[jax.Array, jax.Array]:
        of_x, of_noise = jax.random.split(key)
        x = jax.random.uniform(of_x, (n, 1))
        return x, curve(x) + jax.random.uniform(of_noise, (n, 1), minval=-0.05, maxval=0.05)

    def run(key: jax.Array) -> tuple:
        of_data, of_test, of_weights, of_order = jax.random.split(key, 4)
        (x, y), test = draw(of_data, examples), draw(of_test, examples // 5)
        params, _ = model.init(of_weights, x)

        def loss(params: Tree, x: jax.Array, y: jax.Array) -> jax.Array:
            return jnp.mean(half_mean_squared_error(model.apply(params, (), x)[0], y))

        found: list[Any] = []
        for optimizer in chosen.values():

            def step(carry: tuple, rows: jax.Array, optimizer: GradientTransform = optimizer) -> tuple:
                params, state = carry
                updates, state = optimizer.update(jax.grad(loss)(params, x[rows], y[rows]), state, params)
                return (apply_updates(params, updates), state), None

            def epoch(carry: tuple, key: jax.Array, step: Any = step) -> tuple:
                order = jax.random.permutation(key, examples)[: steps * BATCH]
                carry, _ = lax.scan(step, carry, order.reshape(steps, BATCH))
                return carry, loss(carry[0], *test)

            keys = jax.random.split(of_order, epochs)
            ended: Any = lax.scan(epoch, (params, optimizer.init(params)), keys)
            fit = model.apply(ended[0][0], (), jnp.linspace(0, 1, 201)[:, None])[0][:, 0]
            found.append((ended[1], fit))
        losses, fits = (jnp.stack(parts) for parts in zip(*found, strict=True))
        return losses, fits, jnp.concatenate([x, y], axis=1)

    found = jax.jit(jax.vmap(run))(jax.random.split(key, seeds))
    by_seed, fits, drawn = map(np.asarray, found)
    losses = by_seed.swapaxes(0, 1)
    arrived = losses <= goal
    needed = np.where(arrived.any(axis=-1), arrived.argmax(axis=-1) + 1, epochs)
    return CurveRace(tuple(chosen), needed, losses, fits[0], drawn[0])
