"""A saddle holds gradient descent that starts on its ridge; noise, and nothing but noise, frees it."""

import jax
import jax.numpy as jnp
import numpy as np

from jaxopt_notes.optimizers import momentum, sgd
from jaxopt_notes.record import check_count, record, static
from jaxopt_notes.search.export import Rows
from jaxopt_notes.studies.descent import path
from jaxopt_notes.studies.result import Array, Figure, StudyResult, median, rows_of

__all__ = ["SaddleEscape", "saddle_escape"]


def surface(x: jax.Array) -> jax.Array:
    """½x² − ½y² + ¼y⁴: a saddle at 0, minima of −¼ at y = ±1.

    Example:
        >>> surface(jnp.array([0.0, 1.0]))
        Array(-0.25, dtype=float32)
    """
    return x[0] ** 2 / 2 - x[1] ** 2 / 2 + x[1] ** 4 / 4


@record
class SaddleEscape(StudyResult):
    """See `saddle_escape`."""

    methods: tuple[str, ...] = static()
    points: Array  # [methods, seeds, steps + 1, 2]
    escaped: Array  # [methods, seeds]: the first step with |y| > ½; steps + 1 where there is none
    losses: Array  # [methods, seeds], at the end

    def rows(self) -> Rows:
        return rows_of(
            method=self.methods, steps_to_leave=median(self.escaped), last_loss=median(self.losses),
            to_the_left=np.mean(self.points[:, :, -1, 1] < 0, axis=1),
        )  # fmt: skip

    def plot(self) -> Figure:
        from jaxopt_notes.plots.figure import COLORS
        from jaxopt_notes.plots.panels import bands, panels

        drawn, (left, right) = panels(2)
        x, y = np.meshgrid(np.linspace(-1.3, 1.3, 91), np.linspace(-1.5, 1.5, 91))
        left.contour(y, x, x**2 / 2 - y**2 / 2 + y**4 / 4, levels=14, colors="silver", linewidths=0.6)
        for points, name, color in zip(self.points, self.methods, COLORS, strict=False):
            left.plot(points[0, :, 1], points[0, :, 0], ".-", ms=3, lw=1, color=color, label=name)
        left.set(xlabel="y", ylabel="x", title="the first seed")
        left.legend(frameon=False, fontsize="small")
        steps = np.arange(self.points.shape[2])
        heights = {n: np.abs(p[..., 1]) for n, p in zip(self.methods, self.points, strict=True)}
        bands(right, steps, heights, legend=False)
        right.set(xlabel="step", ylabel="|y|", title="distance from the ridge")
        return drawn


def saddle_escape(
    key: jax.Array, *, seeds: int = 16, steps: int = 150, stddev: float = 0.01, rate: float = 0.1
) -> SaddleEscape:
    """From a point exactly on the ridge of a saddle: without noise it is the end, with it not.

        f = ½x² − ½y² + ¼y⁴,  from (1, 0);   |y| grows by 1 + η a step once noise has moved it

    Arguments:
        key: a typed random key.
        seeds: draws of the noise.
        steps: how many.
        stddev: of the noise in each gradient.
        rate: η.

    Returns:
        A `SaddleEscape`.

    Raises:
        ValueError: a number below 1. TypeError: an argument is not a whole number.

    Source: Goodfellow, Bengio & Courville 2016, section 8.2.3; Ge et al. 2015.
    """
    check_count("saddle_escape(seeds)", seeds, 1)
    check_count("saddle_escape(steps)", steps, 1)
    start, slope = jnp.array([1.0, 0.0]), jax.grad(surface)

    def run(key: jax.Array) -> jax.Array:
        noise = stddev * jax.random.normal(key, (steps, 2))
        runs = ((sgd(rate), None), (sgd(rate), noise), (momentum(rate, 0.9), noise))
        return jnp.stack([path(optimizer, slope, start, steps, xi) for optimizer, xi in runs])

    points = np.asarray(jax.jit(jax.vmap(run, out_axes=1))(jax.random.split(key, seeds)))
    gone = np.abs(points[..., 1]) > 0.5
    escaped = np.where(gone.any(axis=-1), gone.argmax(axis=-1), steps + 1)
    losses = np.asarray(jax.vmap(jax.vmap(surface))(jnp.asarray(points[:, :, -1])))
    methods = ("gradient descent", "with noise", "noise and momentum")
    return SaddleEscape(methods, points, escaped, losses)
