"""Batch normalization and the learning rate: larger rates work, fewer steps are needed, at either place.

Deep networks on digits at rates from 1/64 to 16: without normalization, with it before and with it after the
activations. Whether it stands before or after hardly matters here; that it is there does.
"""

import jax
import numpy as np

from jaxopt_notes.record import check_count, record, static
from jaxopt_notes.search.export import Rows
from jaxopt_notes.studies.normalized_digits import descents, ends, network
from jaxopt_notes.studies.result import Array, Figure, StudyResult, median, rows_of
from jaxopt_notes.studies.small_digits import images

__all__ = ["BatchNormRates", "batch_norm_rates"]

PLACES = {"none": False, "before": "before", "after": "after"}
LEARNT = 1.5  # a loss below this, of ln 10 = 2.3 at chance


@record
class BatchNormRates(StudyResult):
    """See `batch_norm_rates`."""

    places: tuple[str, ...] = static()
    rates: Array  # [rates]
    paths: Array  # [places, rates, seeds, steps]: losses

    @property
    def largest_rate(self) -> np.ndarray:
        """[places]: the largest rate at which the median run learns; 0 if none does."""
        learns = median(ends(self.paths)) < LEARNT
        return np.max(np.where(learns, self.rates, 0), axis=1)

    def rows(self) -> Rows:
        last, whole = median(ends(self.paths)), median(self.paths.mean(axis=-1))
        return rows_of(
            normalization=self.places, largest_rate=self.largest_rate,
            best_rate=self.rates[np.argmin(whole, axis=1)], least_mean_loss=whole.min(axis=1),
            least_last_loss=last.min(axis=1),
        )  # fmt: skip

    def plot(self) -> Figure:
        from jaxopt_notes.plots.panels import bands, panels

        drawn, (left, right) = panels(2)
        bands(left, self.rates, dict(zip(self.places, ends(self.paths).swapaxes(1, 2), strict=True)))
        left.set(xscale="log", xlabel="rate", ylabel="loss at the end", title="range of rates")
        best = np.argmin(median(self.paths.mean(axis=-1)), axis=1)
        paths = {name: self.paths[i, best[i]] for i, name in enumerate(self.places)}
        bands(right, np.arange(self.paths.shape[-1]), paths)
        right.set(xlabel="step", ylabel="loss", title="each at its best rate")
        return drawn


def batch_norm_rates(
    key: jax.Array, *, seeds: int = 5, steps: int = 100, depth: int = 6, width: int = 32
) -> BatchNormRates:
    """At which learning rates deep networks learn, without batch normalization and with it at either place.

    Arguments:
        key: a typed random key.
        seeds: networks for each rate and place.
        steps: of gradient descent on batches of 64.
        depth: hidden layers of rectifiers, from He's initialization.
        width: their units.

    Returns:
        A `BatchNormRates`.

    Raises:
        ImportError: scikit-learn is missing. ValueError: a number below 1.

    Source: Ioffe & Szegedy 2015, section 4.2; the study notes. Their order, before the activation, is the
    paper's; after it works as well here.
    """
    for name, number in {"seeds": seeds, "steps": steps, "depth": depth, "width": width}.items():
        check_count(f"batch_norm_rates({name})", number, 1)
    rates, data = 4.0 ** np.arange(-3, 3), images()

    models = [network(norm, depth=depth, width=width) for norm in PLACES.values()]
    paths = [descents(model, rates, key, seeds, data, steps) for model in models]
    return BatchNormRates(tuple(PLACES), rates, np.stack(paths))
