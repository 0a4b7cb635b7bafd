"""Why networks are made larger than they need be: up to a point, wider ones take fewer steps.

Widths differ in shape, so they would be so many programs. Here all are one: units beyond a network's width
are multiplied by 0, and get no gradient.
"""

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from jaxopt_notes.record import check_count, record
from jaxopt_notes.search.export import Rows
from jaxopt_notes.studies.result import Array, Figure, StudyResult, median, rows_of

__all__ = ["WidthAndSpeed", "width_and_speed"]

WIDTHS, RATES, EXAMPLES = (4, 8, 16, 32, 64), (0.2, 0.4, 0.8, 1.6, 3.2), 32


@record
class WidthAndSpeed(StudyResult):
    """See `width_and_speed`."""

    widths: Array  # [widths]
    rates: Array  # [widths], the best of each
    steps: (
        Array  # [widths, seeds], to the target at that rate; one more than there are where it is not reached
    )
    losses: Array  # [widths, seeds, steps], at that rate

    def rows(self) -> Rows:
        return rows_of(
            width=self.widths, best_rate=self.rates, steps_to_target=median(self.steps),
            last_loss=median(self.losses[..., -1]),
        )  # fmt: skip

    def plot(self) -> Figure:
        from jaxopt_notes.plots.panels import bands, panels, points

        drawn, (left, right) = panels(2)
        names = [f"{width} units" for width in self.widths]
        bands(left, np.arange(1, self.losses.shape[-1] + 1), dict(zip(names, self.losses, strict=True)))
        left.set(xscale="log", yscale="log", xlabel="step", ylabel="training loss")
        points(
            right, {str(w): s for w, s in zip(self.widths, self.steps, strict=True)}, label="steps to target"
        )
        right.set(yscale="log", xlabel="units")
        return drawn


def width_and_speed(
    key: jax.Array, *, seeds: int = 8, steps: int = 1000, target: float = 0.02
) -> WidthAndSpeed:
    """Steps of gradient descent until a network with one hidden layer has fitted 32 points.

        f(x) = √(2/H)·Σₕ vₕ·tanh(wₕx + bₕ),  y = sin(5x),  each width at its best of five rates

    Arguments:
        key: a typed random key.
        seeds: networks and data sets for each width.
        steps: at most.
        target: the training loss to be reached, half of the mean squared error.

    Returns:
        A `WidthAndSpeed`.

    Raises:
        ValueError: a number below 1. TypeError: an argument is not a whole number.

    Source: Livni, Shalev-Shwartz & Shamir 2014; the scale of the output is that of Jacot et al. 2018. 4 units
    never arrive, 8 need some 570 steps, 16 some 290; more units than that save none.
    """
    check_count("width_and_speed(seeds)", seeds, 1)
    check_count("width_and_speed(steps)", steps, 1)
    most = max(WIDTHS)

    def run(width: jax.Array, rate: jax.Array, key: jax.Array) -> jax.Array:
        of_x, *of_params = jax.random.split(key, 4)
        x = jax.random.uniform(of_x, (EXAMPLES, 1), minval=-1.5, maxval=1.5)
        y = jnp.sin(5 * x)[:, 0]
        there = (jnp.arange(float(most)) < width).astype(x.dtype)
        params = [
            jax.random.normal(k, (most,)) * size for k, size in zip(of_params, (2.0, 1.0, 1.0), strict=True)
        ]

        def loss(params: list) -> jax.Array:
            w, b, v = params
            hidden = jnp.tanh(x * w[None] + b[None]) * there[None]
            return jnp.mean((jnp.sqrt(2 / width) * hidden @ v - y) ** 2) / 2

        def step(params: list, _: None) -> tuple:
            value, slopes = jax.value_and_grad(loss)(params)
            return [p - rate * g for p, g in zip(params, slopes, strict=True)], value

        losses: jax.Array = lax.scan(step, params, length=steps)[1]
        return losses

    over_seeds = jax.vmap(run, (None, None, 0))
    program = jax.jit(jax.vmap(jax.vmap(over_seeds, (None, 0, None)), (0, None, None)))
    widths = jnp.array(WIDTHS, jnp.float32)
    losses = np.asarray(program(widths, jnp.array(RATES), jax.random.split(key, seeds)))
    arrived = losses < target
    needed = np.where(arrived.any(axis=-1), arrived.argmax(axis=-1) + 1, steps + 1)
    best = np.argmin(np.mean(needed, axis=-1), axis=1)
    at = np.arange(len(WIDTHS))
    return WidthAndSpeed(np.array(WIDTHS), np.array(RATES)[best], needed[at, best], losses[at, best])
