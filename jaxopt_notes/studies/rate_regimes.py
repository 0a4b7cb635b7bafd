"""The learning rate against the curvature L: monotone below 1/L, swinging up to 2/L, diverging above."""

import jax
import jax.numpy as jnp
import numpy as np

from jaxopt_notes.optimizers import sgd
from jaxopt_notes.problems import quadratic
from jaxopt_notes.record import check_count, record
from jaxopt_notes.search.export import Rows
from jaxopt_notes.studies.descent import path
from jaxopt_notes.studies.result import Array, Figure, StudyResult, rows_of

__all__ = ["RateRegimes", "rate_regimes"]


@record
class RateRegimes(StudyResult):
    """See `rate_regimes`."""

    rates: Array  # [rates], in units of 1/L
    points: Array  # [rates, steps + 1, 2], along the flat and the steep direction
    losses: Array  # [rates, steps + 1]
    factors: Array  # [rates]: of the loss, from one step to the next, at the end
    predicted: Array  # [rates]: max (1 − ηλ)²

    def rows(self) -> Rows:
        steep = self.points[..., 1]
        return rows_of(
            rate_times_L=self.rates, last_loss=self.losses[:, -1], factor=self.factors,
            predicted_factor=self.predicted, swings=(steep[:, 1:] * steep[:, :-1] < -1e-12).sum(axis=1),
        )  # fmt: skip

    def plot(self) -> Figure:
        from jaxopt_notes.plots.panels import bands, panels

        drawn, (left, right) = panels(2)
        steps = np.arange(self.losses.shape[1])
        names = [f"{rate:.3g}/L" for rate in self.rates]
        bands(left, steps, dict(zip(names, np.maximum(self.losses, 1e-30), strict=True)))
        left.set(yscale="log", xlabel="step", ylabel="loss", title="losses")
        shown = 15
        steep = dict(zip(names, np.clip(self.points[:, :shown, 1], -2, 2), strict=True))
        bands(right, steps[:shown], steep, legend=False)
        right.set(xlabel="step", ylabel="the steep coordinate", title="within ±2")
        return drawn


def rate_regimes(*, smooth: float = 10.0, strong: float = 1.0, steps: int = 60) -> RateRegimes:
    """Gradient descent on a quadratic at rates from 0.1/L to 2.1/L.

        xᵢ ← (1 − ηλᵢ)·xᵢ;   converges if and only if 0 < η < 2/L, fastest at η = 2/(L + μ)

    Arguments:
        smooth: L, the largest curvature.
        strong: μ, the smallest.
        steps: how many.

    Returns:
        A `RateRegimes`; the fourth of its rates is the best one, 2/(L + μ).

    Raises:
        ValueError: steps < 2. TypeError: it is not a whole number.

    Source: Nesterov 2018, theorems 2.1.14 and 2.1.15: at the best rate the distance shrinks by
    (κ − 1)/(κ + 1).
    """
    steps = check_count("rate_regimes(steps)", steps, 2)
    surface, start = quadratic([strong, smooth]), jnp.ones(2)
    rates = np.array([0.1, 0.5, 1.0, 2 * smooth / (smooth + strong), 1.95, 2.0, 2.1])

    @jax.jit
    def run(rate: jax.Array) -> tuple:
        points = path(sgd(rate), jax.grad(surface), start, steps)
        return points, jax.vmap(surface)(points)

    points, losses = map(np.asarray, jax.vmap(run)(jnp.asarray(rates / smooth)))
    predicted = np.max((1 - np.outer(rates / smooth, [strong, smooth])) ** 2, axis=1)
    return RateRegimes(rates, points, losses, losses[:, -1] / losses[:, -2], predicted)
