"""The race of figure 15-8: seven optimizers on z = x²/10 + y² from (−7, 2)."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxopt_notes.optimizers import adadelta, adagrad, adam, momentum, nesterov, rmsprop, sgd
from jaxopt_notes.problems import elliptic_bowl
from jaxopt_notes.record import check_count, record, static
from jaxopt_notes.search.export import Rows
from jaxopt_notes.studies.descent import path
from jaxopt_notes.studies.result import Array, Figure, StudyResult, rows_of

__all__ = ["ContourRace", "contour_race"]

START = (-7.0, 2.0)


@record
class ContourRace(StudyResult):
    """See `contour_race`."""

    runners: tuple[str, ...] = static()
    points: Array  # [runners, steps + 1, 2]
    heights: Array  # [runners, steps + 1]
    lengths: Array  # [runners], of the whole path
    flips: Array  # [runners], how often y changes its sign

    def rows(self) -> Rows:
        return rows_of(
            optimizer=self.runners, x=self.points[:, -1, 0], y=self.points[:, -1, 1],
            height=self.heights[:, -1], path_length=self.lengths, sign_changes_of_y=self.flips,
        )  # fmt: skip

    def plot(self) -> Figure:
        from jaxopt_notes.plots.figure import COLORS
        from jaxopt_notes.plots.panels import bands, panels

        drawn, axes = panels(len(self.runners) + 1, columns=4, width=3.2, height=2.7)
        x, y = np.meshgrid(np.linspace(-8, 4, 121), np.linspace(-3, 3, 91))
        for axis, name, points in zip(axes, self.runners, self.points, strict=False):
            axis.contour(x, y, x**2 / 10 + y**2, levels=np.arange(0.25, 4, 0.5) ** 2, colors="silver",
                         linewidths=0.6)  # fmt: skip
            axis.plot(*points.T, ".-", color=COLORS[0], lw=1, ms=4)
            axis.plot(0, 0, "*", color=COLORS[1], ms=10)
            axis.set(title=name, xlim=(-8, 4), ylim=(-3, 3))
        heights = dict(zip(self.runners, np.maximum(self.heights, 1e-9), strict=True))
        bands(axes[-1], np.arange(self.heights.shape[1]), heights, legend=False)
        axes[-1].set(yscale="log", xlabel="step", ylabel="height z", title="height")
        axes[-1].legend(frameon=False, fontsize="x-small", ncols=2)
        return drawn


def runners() -> dict[str, Any]:
    """The rates and numbers of the notes."""
    return {
        "sgd": sgd(0.95), "momentum": momentum(0.1, 0.9), "nesterov": nesterov(0.1, 0.9),
        "adagrad": adagrad(0.5), "adadelta": adadelta(), "rmsprop": rmsprop(0.5), "adam": adam(0.5),
    }  # fmt: skip


def contour_race(*, steps: int = 20) -> ContourRace:
    """Seven optimizers down an elliptic bowl: who zig-zags, who arrives.

        z = x²/10 + y²,  from (−7, 2)

    Arguments:
        steps: how many; the notes have 20.

    Returns:
        A `ContourRace`.

    Raises:
        ValueError: steps < 1. TypeError: it is not a whole number.

    Source: the notes' figure 15-8. After 20 steps RMSProp is lowest, then SGD, Adam, momentum: at these
    rates, which are not each one's best.
    """
    steps = check_count("contour_race(steps)", steps, 1)
    slope, surface, all_runners = jax.grad(elliptic_bowl()), elliptic_bowl(), runners()

    @jax.jit
    def race() -> jax.Array:
        return jnp.stack([path(runner, slope, jnp.array(START), steps) for runner in all_runners.values()])

    found = race()
    points, heights = np.asarray(found), np.asarray(jax.vmap(jax.vmap(surface))(found))
    lengths = np.linalg.norm(np.diff(points, axis=1), axis=-1).sum(axis=1)
    flips = (np.diff(np.sign(points[..., 1]), axis=1) != 0).sum(axis=1)
    return ContourRace(tuple(all_runners), points, heights, lengths, flips)
