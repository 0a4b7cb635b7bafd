"""Ill-conditioned valleys: how the steps that descent needs grow with the condition number."""

import jax
import jax.numpy as jnp
import numpy as np

from jaxopt_notes.optimizers import heavy_ball, sgd
from jaxopt_notes.problems import quadratic
from jaxopt_notes.record import check_count, record
from jaxopt_notes.search.export import Rows
from jaxopt_notes.studies.descent import path
from jaxopt_notes.studies.result import Array, Figure, StudyResult, rows_of

__all__ = ["Conditioning", "conditioning"]


@record
class Conditioning(StudyResult):
    """See `conditioning`."""

    kappas: Array  # [kappas]
    plain: Array  # [kappas], steps of gradient descent
    heavy: Array  # [kappas], of the heavy ball
    sideways: Array  # [kappas], the part of the plain path's length that lies across the valley
    points: Array  # [2, 31, 2], both paths at κ = 30

    def rows(self) -> Rows:
        return rows_of(
            condition_number=self.kappas, gradient_descent=self.plain, heavy_ball=self.heavy,
            across_the_valley=self.sideways,
        )  # fmt: skip

    def plot(self) -> Figure:
        from jaxopt_notes.plots.figure import COLORS
        from jaxopt_notes.plots.panels import panels

        drawn, (left, right) = panels(2)
        left.loglog(self.kappas, self.plain, "o-", color=COLORS[0], label="gradient descent")
        left.loglog(self.kappas, self.heavy, "s--", color=COLORS[1], label="heavy ball")
        left.set(xlabel="condition number κ", ylabel="steps", title="each at its best rate")
        left.legend(frameon=False)
        x, y = np.meshgrid(np.linspace(-1.1, 1.1, 81), np.linspace(-2.6, 2.6, 121))
        right.contour(x, y, (x**2 + 30 * y**2) / 2, levels=15 * np.linspace(0.05, 2.5, 14) ** 2,
                      colors="silver", linewidths=0.6)  # fmt: skip
        for points, name, color in zip(self.points, ("gradient descent", "heavy ball"), COLORS, strict=False):
            right.plot(*points.T, ".-", lw=1, ms=4, color=color, label=name)
        right.set(title="κ = 30", xlim=(-1.1, 1.1), ylim=(-2.6, 2.6))
        return drawn


def conditioning(*, digits: float = 4.0, steps: int = 6000) -> Conditioning:
    """Steps to the bottom of a valley of condition number κ, with and without momentum.

        gradient descent, η = 2/(L + μ):                       ((κ − 1)/(κ + 1))ᵏ
        heavy ball, η = 4/(√L + √μ)², β = ((√κ − 1)/(√κ + 1))²:  about ((√κ − 1)/(√κ + 1))ᵏ

    Arguments:
        digits: the distance has to fall by ten to this power.
        steps: how many are taken at most.

    Returns:
        A `Conditioning`. A count is `steps` where the goal is not reached.

    Raises:
        ValueError: steps < 30. TypeError: it is not a whole number.

    Source: Polyak 1964; Nesterov 2018, theorem 2.1.15.
    """
    steps = check_count("conditioning(steps)", steps, 30)
    kappas, start = np.array([3.0, 10.0, 30.0, 100.0, 300.0, 1000.0]), jnp.ones(2)

    @jax.jit
    def run(kappa: jax.Array) -> tuple:
        slope, root = jax.grad(quadratic(jnp.stack([jnp.ones(()), kappa]))), jnp.sqrt(kappa)
        ball = heavy_ball(4 / (root + 1) ** 2, ((root - 1) / (root + 1)) ** 2)
        paths = [path(optimizer, slope, start, steps) for optimizer in (sgd(2 / (kappa + 1)), ball)]

        def needed(points: jax.Array) -> jax.Array:
            away = jnp.linalg.norm(points, axis=1) > 10.0**-digits * jnp.sqrt(2.0)
            return jnp.max(jnp.where(away, jnp.arange(steps + 1) + 1, 0)).clip(max=steps)

        moves = jnp.sum(jnp.abs(jnp.diff(paths[0], axis=0)), axis=0)
        return *map(needed, paths), moves[1] / jnp.sum(moves), jnp.stack([points[:31] for points in paths])

    plain, heavy, sideways, points = map(np.asarray, jax.vmap(run)(jnp.asarray(kappas)))
    return Conditioning(kappas, plain, heavy, sideways, points[2])
