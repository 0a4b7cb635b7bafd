"""Four causes of overfitting, one at a time: few samples, noise, a shift of the inputs, long training.

A polynomial is fitted to a sine by gradient descent. Where descent is after t steps is known in closed form,
share 1 − (1 − ηs²)ᵗ of the least-squares solution along each singular direction, so nothing is trained.
"""

import jax
import jax.numpy as jnp
import numpy as np

from jaxopt_notes.record import check_count, record, static
from jaxopt_notes.search.export import Rows
from jaxopt_notes.studies.result import Array, Figure, StudyResult, median, rows_of

__all__ = ["OverfitCauses", "overfit_causes"]

DEGREE, MOST, TESTS = 9, 60, 400
# Samples, noise, the right end of the inputs in training, steps.
CAUSES = {
    "none": (60, 0.2, 1.0, 1e4),
    "few samples": (12, 0.2, 1.0, 1e4),
    "noise": (60, 0.8, 1.0, 1e4),
    "shifted inputs": (60, 0.2, 0.4, 1e4),
    "long training": (12, 0.2, 1.0, 1e6),
}


@record
class OverfitCauses(StudyResult):
    """See `overfit_causes`."""

    causes: tuple[str, ...] = static()
    train: Array  # [causes, seeds], mean squared error on the training samples
    test: Array  # [causes, seeds], on new ones, with noise as in training
    by_steps: Array  # [2, seeds, steps]: both errors of few samples, over the steps
    steps: Array  # [steps]

    @property
    def gap(self) -> np.ndarray:
        """[causes, seeds]: how much worse the error on new samples is."""
        return np.asarray(self.test) - np.asarray(self.train)

    def rows(self) -> Rows:
        return rows_of(
            cause=self.causes, train_error=median(self.train), test_error=median(self.test),
            gap=median(self.gap),
        )  # fmt: skip

    def plot(self) -> Figure:
        from jaxopt_notes.plots.panels import bands, panels, points

        drawn, (left, right) = panels(2, width=4.8)
        points(left, dict(zip(self.causes, self.gap, strict=True)), label="test error − training error")
        left.set_yscale("log")
        bands(right, self.steps, {"training": self.by_steps[0], "test": self.by_steps[1]})
        right.set(xscale="log", yscale="log", xlabel="steps", ylabel="error", title="12 samples")
        return drawn


def overfit_causes(key: jax.Array, *, seeds: int = 32) -> OverfitCauses:
    """Each of four causes of overfitting by itself, on a polynomial of degree 9.

        y = sin(πx) + noise;  features: Chebyshev polynomials T₀ … T₉

    Arguments:
        key: a typed random key.
        seeds: data sets for each cause.

    Returns:
        An `OverfitCauses`. "long training" is to be compared with "few samples": the same, a hundred times
        as long.

    Raises:
        ValueError: seeds < 1. TypeError: it is not a whole number.

    Source: chapter 16 of Microsoft's ai-edu names the four; Bishop 1995 for the filter of early stopping.
    """
    check_count("overfit_causes(seeds)", seeds, 1)
    steps = jnp.logspace(0, 7, 57)

    def features(x: jax.Array) -> jax.Array:
        return jnp.cos(jnp.arange(DEGREE + 1)[None].astype(x.dtype) * jnp.arccos(jnp.clip(x, -1, 1))[:, None])

    def run(cause: tuple, key: jax.Array) -> tuple:
        samples, stddev, right, length = cause
        of_x, of_noise, of_test, of_test_noise = jax.random.split(key, 4)
        x = jax.random.uniform(of_x, (MOST,), minval=-1.0, maxval=right)
        y = jnp.sin(jnp.pi * x) + stddev * jax.random.normal(of_noise, (MOST,))
        new = jax.random.uniform(of_test, (TESTS,), minval=-1.0, maxval=1.0)
        truth = jnp.sin(jnp.pi * new) + stddev * jax.random.normal(of_test_noise, (TESTS,))
        used = (jnp.arange(float(MOST)) < samples).astype(x.dtype)
        design = features(x) * used[:, None] / jnp.sqrt(samples)
        left, values, directions = jnp.linalg.svd(design, full_matrices=False)
        squares, target = values**2, left.T @ (y * used / jnp.sqrt(samples))

        def errors(length: jax.Array) -> tuple:
            share = 1 - jnp.exp(length * jnp.log1p(-jnp.minimum(squares / squares[0], 1 - 1e-6)))
            w = directions.T @ (share * target / jnp.maximum(values, 1e-6))
            wrong = jnp.sum(used * (features(x) @ w - y) ** 2) / samples
            return wrong, jnp.mean((features(new) @ w - truth) ** 2)

        return *errors(length), jnp.stack(jax.vmap(errors)(steps))

    program = jax.jit(jax.vmap(jax.vmap(run, (None, 0)), (0, None)))
    columns = tuple(jnp.array(column, jnp.float32) for column in zip(*CAUSES.values(), strict=True))
    with jax.default_matmul_precision("highest"):  # the three digits of GPU and TPU are too few
        train, test, curves = map(np.asarray, program(columns, jax.random.split(key, seeds)))
    few = list(CAUSES).index("few samples")
    return OverfitCauses(tuple(CAUSES), train, test, curves[few].transpose(1, 0, 2), np.asarray(steps))
