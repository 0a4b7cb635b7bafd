"""Features of unequal size: descent is slow along the small one, and distances do not see it.

The price of a house by rooms, 1 to 10, and area, 1 to 1,000. The rate is limited by the area, whose
curvature is thousands of times that of the rooms, so it is the weight of the *rooms* that hardly moves: the
notes have it the other way round. Scaled, both arrive in a few steps. For nearest neighbours, which know only
distances, unscaled features of large unit are all there is.
"""

import jax
import jax.numpy as jnp
import numpy as np

from jaxopt_notes.data import fit_standardizer
from jaxopt_notes.optimizers import sgd
from jaxopt_notes.record import check_count, record, static
from jaxopt_notes.search.export import Rows
from jaxopt_notes.studies.descent import path
from jaxopt_notes.studies.result import Array, Figure, StudyResult, median, rows_of

__all__ = ["FeatureScaling", "feature_scaling"]

NEIGHBOURS = 5


@record
class FeatureScaling(StudyResult):
    """See `feature_scaling`."""

    features: tuple[str, ...] = static()
    condition: Array  # [2, seeds]: of the Hessian
    largest_rate: Array  # [2, seeds]: 2/L
    steps: Array  # [2, seeds]: of descent, until both weights are within a hundredth
    left: (
        Array  # [2, seeds, steps + 1, 2]: distance of each weight to its best value, as a share of the first
    )
    accuracy: Array  # [2, seeds]: of nearest neighbours, where one feature has a unit 1,000 times smaller

    def rows(self) -> Rows:
        return rows_of(
            features=self.features, condition_number=median(self.condition),
            largest_rate=median(self.largest_rate), steps=median(self.steps),
            rooms_left_after_100=median(self.left[:, :, 100, 0]),
            area_left_after_100=median(self.left[:, :, 100, 1]), accuracy_of_neighbours=median(self.accuracy),
        )  # fmt: skip

    def plot(self) -> Figure:
        from jaxopt_notes.plots.panels import bands, panels, points

        drawn, axes = panels(3)
        steps = np.arange(self.left.shape[2])
        for axis, name, left in zip(axes, self.features, self.left, strict=False):
            bands(axis, steps, {"rooms": left[..., 0], "area": left[..., 1]})
            axis.set(yscale="log", ylim=(1e-6, 3), xlabel="step", ylabel="distance left", title=name)
        points(axes[2], dict(zip(self.features, self.accuracy, strict=True)), label="accuracy")
        axes[2].set_title("nearest neighbours")
        return drawn


def feature_scaling(
    key: jax.Array, *, seeds: int = 8, examples: int = 200, steps: int = 400
) -> FeatureScaling:
    """House prices by gradient descent, and classes by nearest neighbours, raw and scaled.

        price = 30·rooms + 2·area + 50 + noise,  descent at 1/L on the mean of half of the squares

    Arguments:
        key: a typed random key.
        seeds: data sets.
        examples: houses; and points of two classes, as many to learn from as to test.
        steps: of the descent, at least 100.

    Returns:
        A `FeatureScaling`; rows of arrays are raw, then standardized. Steps are `steps` + 1 where the goal is
        not reached. Targets and features are centred in both, so that only scales differ.

    Raises:
        ValueError: a number below its least. TypeError: an argument is not a whole number.

    Source: LeCun et al. 1998, section 4.3.
    """
    check_count("feature_scaling(seeds)", seeds, 1)
    check_count("feature_scaling(examples)", examples, 10)
    check_count("feature_scaling(steps)", steps, 100)

    def run(key: jax.Array) -> tuple:
        of_rooms, of_area, of_noise, of_points = jax.random.split(key, 4)
        rooms = jax.random.uniform(of_rooms, (examples,), minval=1.0, maxval=10.0)
        area = jax.random.uniform(of_area, (examples,), minval=1.0, maxval=1000.0)
        price = 30 * rooms + 2 * area + 50 + 5 * jax.random.normal(of_noise, (examples,))
        raw = jnp.stack([rooms, area], axis=1)
        raw, price = raw - jnp.mean(raw, axis=0, keepdims=True), price - jnp.mean(price)
        scaled = fit_standardizer(raw).apply(raw)

        def descend(x: jax.Array) -> tuple:
            hessian = x.T @ x / examples
            curvatures = jnp.linalg.eigvalsh(hessian)
            best = jnp.linalg.solve(hessian, x.T @ price / examples)
            points = path(sgd(1 / curvatures[-1]), lambda w: hessian @ (w - best), jnp.zeros(2), steps)
            left = jnp.abs(points - best[None]) / jnp.abs(best)[None]
            away = jnp.any(left > 0.01, axis=1)
            needed = jnp.max(jnp.where(away, jnp.arange(steps + 1) + 1, 0))
            return curvatures[1] / curvatures[0], 2 / curvatures[1], needed, left

        found = jax.tree.map(lambda *both: jnp.stack(both), descend(raw), descend(scaled))
        points, labels = two_classes(of_points, examples)
        standardizer = fit_standardizer(points[0])
        scores = [neighbours(points, labels), neighbours(jax.vmap(standardizer.apply)(points), labels)]
        return *found, jnp.stack(scores)

    with jax.default_matmul_precision("highest"):  # the three digits of GPU and TPU are too few
        found = jax.jit(jax.vmap(run, out_axes=1))(jax.random.split(key, seeds))
    condition, largest, needed, left, scores = jax.tree.map(np.asarray, found)
    return FeatureScaling(("raw", "standardized"), condition, largest, needed, left, scores)


def two_classes(key: jax.Array, n: int) -> tuple[jax.Array, jax.Array]:
    """Points [2, n, 2] to learn from and to test, and labels [2, n], which only the first feature tells."""
    of_labels, of_points = jax.random.split(key)
    labels = jax.random.bernoulli(of_labels, shape=(2, n)).astype(jnp.int32)
    telling = 2.0 * labels.astype(jnp.float32)[..., None]
    noise = jax.random.normal(of_points, (2, n, 2))
    return jnp.concatenate([noise[..., :1] + telling, 1000 * noise[..., 1:]], axis=-1), labels


def neighbours(points: jax.Array, labels: jax.Array) -> jax.Array:
    """The accuracy of the majority of the five nearest points of the first half on the second."""
    distances = jnp.sum((points[1][:, None] - points[0][None]) ** 2, axis=-1)
    nearest = jax.lax.top_k(-distances, NEIGHBOURS)[1]
    votes = jnp.sum(labels[0][nearest], axis=1)
    return jnp.mean((2 * votes > NEIGHBOURS) == (labels[1] == 1))
