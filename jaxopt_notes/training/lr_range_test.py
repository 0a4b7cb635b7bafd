"""The learning-rate range test: one short run in which the rate rises, and where the loss then falls fastest.

A rate is data, so each step is that of another `Trainer`, `build(rate)`, in one compiled scan; and a run with
another seed is one more member of a `vmap`.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from jaxopt_notes.data.batches import epoch_batches, take
from jaxopt_notes.record import Number, check_count, check_number, check_takes
from jaxopt_notes.serialization.leaf import is_key
from jaxopt_notes.tracing import WHILE_TRACED, needed_values
from jaxopt_notes.training.evaluation import check_weights, count
from jaxopt_notes.training.step import train_step
from jaxopt_notes.training.trainer import check_trainer

__all__ = ["RangeTest", "lr_range_test"]


class RangeTest(NamedTuple):
    """What `lr_range_test` found: rates [steps], losses of the batches and smoothed ones [seeds, steps].

    `suggested` is the rate where the mean of the smoothed losses falls fastest; `largest` the last one before
    it has risen to `factor` times its least value.
    """

    rates: np.ndarray
    losses: np.ndarray
    smoothed: np.ndarray
    suggested: float
    largest: float


def lr_range_test(
    build: Callable[[Number], Any],
    data: tuple,
    low: float = 1e-6,
    high: float = 1.0,
    steps: int = 200,
    seeds: int = 4,
    *,
    key: jax.Array,
    smoothing: float = 0.95,
    factor: float = 4.0,
) -> RangeTest:
    """Train for some steps while the learning rate rises from step to step, and look where it helps most.

        ηₜ = low·(high/low)^(t/(steps − 1));   l̄ₜ = (β·l̄ₜ₋₁ + (1 − β)·lₜ) corrected by 1/(1 − βᵗ)
        suggested = ηₜ at the steepest fall of the mean of l̄ over log η, behind the first tenth of the steps
                    and before `largest`

    Arguments:
        build: from a learning rate to a `Trainer`; the rate is traced.
        data: (x, y), or (x, y, weights), the training data.
        low, high: the first and the last rate, 0 < low < high.
        steps: how many, one mini-batch each; epochs follow one another.
        seeds: runs with other initial parameters and orders, at once.
        key: a typed random key.
        smoothing: β in [0, 1), the part of the running mean of losses that stays.
        factor: how far above its least value the loss is lost, > 1.

    Returns:
        A `RangeTest`; `jn.plots.plot_lr_range` draws it.

    Raises:
        ValueError: a number outside its interval, or a loss that is never finite. TypeError: not a number.

    Example:
        >>> import jaxopt_notes as jn
        >>> x = jnp.linspace(-1, 1, 32)[:, None]
        >>> build = lambda rate: jn.Trainer(jn.dense(1), jn.sgd(rate), jn.mean_squared_error, metric=None)
        >>> found = lr_range_test(build, (x, 2 * x), 1e-3, 100.0, key=jax.random.key(0))
        >>> found.losses.shape, 0.01 < found.suggested < 1
        ((4, 200), True)

    Source: Smith 2017, section 3.3 (there the rate rises linearly and accuracy is looked at); the steepest
    fall, the exponential rise and the smoothing are those of fastai.

    Elsewhere: fastai's `lr_find` has one seed and stops at 4 times the best loss; so does Lightning's.
    """
    check_number("lr_range_test(low)", low, "(0, inf)")
    check_number("lr_range_test(high)", high, "(0, inf)")
    if not low < high:
        raise ValueError(f"lr_range_test(high) is {high:g}, expected more than low = {low:g}.")
    check_number("lr_range_test(smoothing)", smoothing, "[0, 1)")
    check_number("lr_range_test(factor)", factor, "(1, inf)")
    steps, seeds = (
        check_count("lr_range_test(steps)", steps, 3),
        check_count("lr_range_test(seeds)", seeds, 1),
    )
    check_takes("lr_range_test(build)", build, 1, "build(rate), which returns a Trainer")
    check_trainer("what lr_range_test(build) returns", build(low))
    if not is_key(key):
        raise TypeError(f"lr_range_test(key) is {key!r}, expected a typed key: jax.random.key(0).")
    check_weights("lr_range_test(data)", data)
    rates = np.geomspace(low, high, steps)
    keys, rising = jax.random.split(key, seeds), jnp.asarray(rates, jnp.float32)
    run = _run(build, steps)
    try:
        losses = np.asarray(run(keys, rising, data))
    except (TypeError, ValueError, LookupError, AttributeError) as error:  # as tracing raises them
        if needed_values(lambda known: [build(known["rate"])][:0], {"rate": np.float32(low)}):
            raise TypeError(
                f"lr_range_test(build) needs the value of the rate {WHILE_TRACED}; but one program serves "
                "all rates. Choose between numbers with jnp.where(condition, a, b)."
            ) from error
        raise
    smoothed = _smooth(losses, smoothing)
    mean = smoothed.mean(axis=0)
    fine = np.isfinite(mean)
    if not fine[:2].all():
        raise ValueError(
            f"lr_range_test: the loss is not finite at the rate {low:g}: begin with a smaller one."
        )
    end = steps if fine.all() else int(np.argmin(fine))
    least = np.minimum.accumulate(mean[:end])
    risen = mean[:end] > least + (factor - 1) * np.abs(least)
    end = int(np.argmax(risen)) if risen.any() else end
    begin = min(steps // 10, max(end - 2, 0))  # the first running means are of a few batches
    slope = np.gradient(mean[begin : max(end, 2)], np.log(rates[begin : max(end, 2)]))
    suggested = float(rates[begin + np.argmin(slope)])
    return RangeTest(rates, losses, smoothed, suggested, float(rates[max(end - 1, 0)]))


def _run(build: Callable[[Number], Any], steps: int) -> Callable:
    """The compiled runs: keys [seeds], rates [steps] and data to losses [seeds, steps]."""

    def run(key: jax.Array, rates: jax.Array, data: tuple) -> jax.Array:
        start, order, noise = jax.random.split(key, 3)
        trainer, n = build(rates[0]), count(data)
        size = min(trainer.batch_size, n)
        epochs = -(-steps // -(-n // size))
        batches = jax.vmap(lambda key: epoch_batches(key, n, size))(jax.random.split(order, epochs))
        indices, weights = (part.reshape(-1, size)[:steps] for part in batches)

        def step(learner: Any, inputs: tuple) -> tuple:
            rate, rows, weights, *keys = inputs
            x, y, *own = take(data, rows)
            weights = weights * own[0].astype(weights.dtype) if own else weights
            return train_step(build(rate), learner, (x, y), weights, *keys)

        keys = jax.random.split(noise, (2, steps))
        return lax.scan(step, trainer.init(start, data).learner, (rates, indices, weights, *keys))[1]

    return jax.jit(jax.vmap(run, in_axes=(0, None, None)))


def _smooth(losses: np.ndarray, beta: float) -> np.ndarray:
    """The running means of each row, corrected for their beginning at 0."""
    total, found = np.zeros(len(losses)), []
    for t, column in enumerate(losses.T.astype(np.float64), 1):
        total = beta * total + (1 - beta) * column
        found.append(total / (1 - beta**t))
    return np.stack(found, axis=1)
