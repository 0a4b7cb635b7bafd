"""Batch normalization and the first weights: they may be of any size.

The output of a normalized layer does not depend on the size of its weights, so networks learn from standard
deviations between 0.01 and 1. Without it too small ones make every output the same, and too large ones
explode: the range in which a deep network starts to learn is narrow.
"""

from typing import Any

import jax
import numpy as np

from jaxopt_notes.initializers import normal
from jaxopt_notes.record import Number, check_count, check_number, record, static
from jaxopt_notes.search.export import Rows
from jaxopt_notes.studies.normalized_digits import ends, losses, network, over
from jaxopt_notes.studies.result import Array, Figure, StudyResult, median, rows_of
from jaxopt_notes.studies.small_digits import images

__all__ = ["BatchNormStarts", "batch_norm_starts"]

NORMS = {"without": False, "with": "before"}


@record
class BatchNormStarts(StudyResult):
    """See `batch_norm_starts`."""

    networks: tuple[str, ...] = static()
    stddevs: Array  # [stddevs], of the first weights
    losses: Array  # [2, stddevs, seeds], at the end

    def rows(self) -> Rows:
        columns = dict(zip(self.networks, median(self.losses), strict=True))
        return rows_of(stddev=self.stddevs, **{f"loss_{name}": values for name, values in columns.items()})

    def plot(self) -> Figure:
        from jaxopt_notes.plots.panels import bands, panels

        drawn, (axis,) = panels(1)
        found = {f"{name} normalization": own.T for name, own in zip(self.networks, self.losses, strict=True)}
        bands(axis, self.stddevs, found)
        axis.set(xscale="log", xlabel="standard deviation of the first weights", ylabel="loss at the end")
        return drawn


def batch_norm_starts(
    key: jax.Array, *, seeds: int = 5, steps: int = 100, depth: int = 6, width: int = 32, rate: Number = 0.1
) -> BatchNormStarts:
    """From which sizes of weights deep networks start to learn, with and without batch normalization.

    Arguments:
        key: a typed random key.
        seeds: networks for each size.
        steps: of gradient descent on batches of 64.
        depth: hidden layers of rectifiers.
        width: their units.
        rate: of descent, the same for all.

    Returns:
        A `BatchNormStarts` for standard deviations 0.01, 0.1, 0.25 and 1; at a width of 32 He's is 0.25.

    Raises:
        ImportError: scikit-learn is missing. ValueError: a number below 1.

    Source: Ioffe & Szegedy 2015, section 3.3: BN(aWu) = BN(Wu).
    """
    for name, number in {"seeds": seeds, "steps": steps, "depth": depth, "width": width}.items():
        check_count(f"batch_norm_starts({name})", number, 1)
    check_number("batch_norm_starts(rate)", rate, "(0, inf)")
    stddevs, data = np.array([0.01, 0.1, 0.25, 1.0]), images()

    def last(norm: Any) -> np.ndarray:
        def run(stddev: jax.Array, key: jax.Array, data: tuple) -> jax.Array:
            model = network(norm, depth=depth, width=width, kernel_init=normal(stddev))
            return losses(model, rate, key, data, steps)

        return ends(over(stddevs, run, key, seeds, data))

    return BatchNormStarts(tuple(NORMS), stddevs, np.stack([last(norm) for norm in NORMS.values()]))
