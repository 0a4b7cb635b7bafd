"""Two features that say the same: ridge shares the weight, the lasso picks one, the elastic net does both.

The notes have it the other way round, L1 for correlated features and L2 for uncorrelated ones. Which of two
nearly equal features the lasso keeps depends on the sample, so its weights are unstable where those of ridge
and elastic net are not; both penalties with L1 drop the features that say nothing.
"""

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from jaxopt_notes.optimizers import apply_updates, proximal_gradient
from jaxopt_notes.penalties import elastic_net
from jaxopt_notes.record import check_count, record, static
from jaxopt_notes.search.export import Rows
from jaxopt_notes.studies.result import Array, Figure, StudyResult, rows_of

__all__ = ["CorrelatedFeatures", "correlated_features"]

EXAMPLES, USELESS, NOISE = 60, 4, 1.0
# Strength and share of L1, in one record with the numbers of all three.
PENALTIES = {"ridge": (0.1, 0.0), "lasso": (0.2, 1.0), "elastic net": (0.4, 0.5)}


@record
class CorrelatedFeatures(StudyResult):
    """See `correlated_features`."""

    penalties: tuple[str, ...] = static()
    weights: Array  # [penalties, samples, features]: two that are correlated, then useless ones
    imbalance: Array  # [penalties]: the median of |w₁ − w₂|/|w₁ + w₂|
    instability: Array  # [penalties]: the standard deviation of w₁ over samples
    one_dropped: Array  # [penalties]: how often exactly one of the two is 0
    useless_dropped: Array  # [penalties]: the share of useless features that are exactly 0

    def rows(self) -> Rows:
        return rows_of(
            penalty=self.penalties, imbalance=self.imbalance, std_of_w1=self.instability,
            one_of_two_dropped=self.one_dropped, useless_dropped=self.useless_dropped,
        )  # fmt: skip

    def plot(self) -> Figure:
        from jaxopt_notes.plots.figure import BLUE, GREY
        from jaxopt_notes.plots.panels import panels

        drawn, axes = panels(len(self.penalties), width=3.4, height=3.3)
        for axis, name, weights in zip(axes, self.penalties, self.weights, strict=True):
            axis.plot([0, 2], [2, 0], color=GREY, lw=0.8)
            axis.plot(*weights[:, :2].T, "o", ms=3.5, alpha=0.6, color=BLUE, mew=0)
            axis.set(title=name, xlabel="w₁", xlim=(-0.2, 2.4), ylim=(-0.2, 2.4))
        axes[0].set_ylabel("w₂")
        return drawn


def correlated_features(
    key: jax.Array, *, samples: int = 64, correlation: float = 0.98, steps: int = 400
) -> CorrelatedFeatures:
    """Weights of two correlated features under three penalties, over many samples.

        y = x₁ + x₂ + noise,  corr(x₁, x₂) = ρ,  minimize ‖y − Xw‖²/(2n) + penalty(w)

    Arguments:
        key: a typed random key.
        samples: data sets of 60 examples, with four more features that say nothing.
        correlation: ρ.
        steps: of accelerated proximal gradient descent, which makes exact zeros.

    Returns:
        A `CorrelatedFeatures`.

    Raises:
        ValueError: a number below 1. TypeError: an argument is not a whole number.

    Source: Zou & Hastie 2005, theorem 1: the elastic net's weights differ by at most √(2(1 − ρ))/λ₂.
    """
    check_count("correlated_features(samples)", samples, 1)
    check_count("correlated_features(steps)", steps, 1)

    def run(numbers: tuple, key: jax.Array) -> jax.Array:
        of_x, of_y = jax.random.split(key)
        z = jax.random.normal(of_x, (EXAMPLES, 3 + USELESS))
        shared = jnp.sqrt(correlation) * z[:, :1] + jnp.sqrt(1 - correlation) * z[:, 1:3]
        x = jnp.concatenate([shared, z[:, 3:]], axis=1)
        y = x[:, 0] + x[:, 1] + NOISE * jax.random.normal(of_y, (EXAMPLES,))
        gram, moment = x.T @ x / EXAMPLES, x.T @ y / EXAMPLES
        penalty = elastic_net(numbers[0], numbers[1], mask=None)
        optimizer = proximal_gradient(0.9 / jnp.linalg.eigvalsh(gram)[-1], penalty)

        def step(carry: tuple, _: None) -> tuple:
            w, state = carry
            updates, state = optimizer.update(gram @ w - moment, state, w)
            return (apply_updates(w, updates), state), None

        start = jnp.zeros(2 + USELESS)
        return lax.scan(step, (start, optimizer.init(start)), length=steps)[0][0]

    program = jax.jit(jax.vmap(jax.vmap(run, (None, 0)), (0, None)))
    columns = tuple(jnp.array(column) for column in zip(*PENALTIES.values(), strict=True))
    with jax.default_matmul_precision("highest"):  # the three digits of GPU and TPU are too few
        w = np.asarray(program(columns, jax.random.split(key, samples)))
    first, second, useless = w[..., 0], w[..., 1], w[..., 2:]
    imbalance = np.median(np.abs(first - second) / np.abs(first + second), axis=1)
    dropped = np.mean((first == 0) != (second == 0), axis=1)
    return CorrelatedFeatures(
        tuple(PENALTIES), w, imbalance, first.std(axis=1), dropped, np.mean(useless == 0, axis=(1, 2))
    )
