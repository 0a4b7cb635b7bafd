"""What dropout does to a network that soon knows its few digits by heart, by its rate.

Units learn to do without each other: half of them may go. Their correlation does not fall for it, so it is no
measure of what they learn. One pass with all units, scaled, is not what the mean over many sub-networks says,
for which it is often taken, but better: of their probabilities the arithmetic mean is too cautious, and the
geometric mean is nearer. Without the scaling the pass is too sure. And the loss of a step is a draw:
gradients of the same parameters differ by masks, and on slow descent it rises as often as not, where with
masks that stay it is as well defined as without dropout.
"""

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.typing import ArrayLike

from jaxopt_notes.diagnostics.coadaptation import coadaptation
from jaxopt_notes.dtypes import Tree
from jaxopt_notes.initializers import he_normal
from jaxopt_notes.layers import activation, dense, flatten, serial
from jaxopt_notes.layers.dropout import dropout_mask, inverse_keep
from jaxopt_notes.losses import softmax_cross_entropy
from jaxopt_notes.record import check_count, record
from jaxopt_notes.search.export import Rows
from jaxopt_notes.studies.result import Array, Figure, StudyResult, median, rows_of
from jaxopt_notes.studies.small_digits import deal, images

__all__ = ["DropoutRates", "dropout_rates"]

RATES = (0.0, 0.25, 0.5, 0.75)
BATCH, DESCENT = 50, 0.3
DRAWS = (1, 4, 16, 64)  # sub-networks, of which the mean is taken
MEANS = ("arithmetic", "geometric")
SLOW, CAREFUL = 30, 0.02  # steps and rate of the descent whose loss is looked at


@record
class DropoutRates(StudyResult):
    """See `dropout_rates`."""

    rates: Array  # [rates], of dropping
    draws: Array  # [draws]
    train_loss: Array  # [rates, seeds], of the scaled pass
    test_loss: Array  # [rates, seeds]
    unscaled: Array  # [rates, seeds]: test loss with all units and no scaling
    averaged: Array  # [rates, means, draws, seeds]: test loss of the mean over so many sub-networks
    halved: Array  # [rates, seeds]: share of test images wrong with half of the hidden units off
    whole: Array  # [rates, seeds]: with all units
    coadaptation: Array  # [rates, seeds], of hidden units
    noise: Array  # [rates, seeds]: variance of the gradient over masks, by its mean squared, at the start
    rises: Array  # [rates, 2, seeds]: share of steps after which the loss is higher: fresh masks, fixed ones

    def rows(self) -> Rows:
        return rows_of(
            rate=self.rates, train_loss=median(self.train_loss), test_loss=median(self.test_loss),
            arithmetic_mean=median(self.averaged[:, 0, -1]),
            geometric_mean=median(self.averaged[:, 1, -1]), unscaled=median(self.unscaled),
            errors=median(self.whole), errors_of_half=median(self.halved),
            coadaptation=median(self.coadaptation), gradient_noise=median(self.noise),
            rises=median(self.rises[:, 0]), rises_fixed=median(self.rises[:, 1]),
        )  # fmt: skip

    def plot(self) -> Figure:
        from jaxopt_notes.plots.figure import COLORS, DASHES, GREY
        from jaxopt_notes.plots.panels import bands, panels

        drawn, (left, middle, right) = panels(3)
        losses = {"training": self.train_loss, "test": self.test_loss, "test, unscaled": self.unscaled}
        bands(left, self.rates, {name: np.asarray(loss).T for name, loss in losses.items()})
        left.set(xlabel="rate of dropping", ylabel="loss", yscale="log", title="one pass, all units")
        dropped = self.rates > 0
        shares = median(self.averaged / self.test_loss[:, None, None])[dropped]
        for color, rate, of_means in zip(COLORS, self.rates[dropped], shares, strict=False):
            for mean, dashes, share in zip(MEANS, DASHES, of_means, strict=False):
                middle.plot(self.draws, share, color=color, linestyle=dashes, label=f"{mean}, rate {rate:g}")
        middle.axhline(1, color=GREY, lw=0.8)
        middle.set(xscale="log", xlabel="sub-networks", ylabel="test loss / that of one scaled pass")
        middle.set(title="means of many")
        middle.set_xticks(self.draws, [f"{n}" for n in self.draws])
        middle.minorticks_off()
        middle.legend(frameon=False, fontsize="small")
        errors = {"all units": self.whole, "half of them": self.halved}
        bands(right, self.rates, {name: np.asarray(wrong).T for name, wrong in errors.items()})
        right.set(xlabel="rate of dropping", ylabel="test images wrong", title="units that do without others")
        return drawn


def dropout_rates(
    key: jax.Array, *, seeds: int = 8, steps: int = 600, train: int = 300, width: int = 64
) -> DropoutRates:
    """Networks trained with dropout at four rates: what scaling, averaging and fixing the masks do.

    Arguments:
        key: a typed random key.
        seeds: networks 64-width-10 for each rate, each with its own digits.
        steps: of gradient descent on batches of 50.
        train: training images, at least 50; 400 of the others are the test set.
        width: hidden units, which dropout acts on.

    Returns:
        A `DropoutRates`.

    Raises:
        ImportError: scikit-learn is missing. ValueError: a number below its least.

    Source: Srivastava et al. 2014, section 7.5, where the means of many come to err as often as the scaled
    pass; the study notes.
    """
    for name, number in {"seeds": seeds, "steps": steps, "width": width}.items():
        check_count(f"dropout_rates({name})", number, 1)
    check_count("dropout_rates(train)", train, BATCH)
    below = serial(flatten(), dense(width, kernel_init=he_normal()), activation("relu"))
    above = dense(10)

    def hidden(params: Tree, x: jax.Array) -> jax.Array:
        return below.apply(params[0], (), x)[0]

    def loss(params: Tree, x: jax.Array, y: jax.Array, factor: ArrayLike) -> jax.Array:
        """Of the network whose hidden units are multiplied by a factor."""
        logits = above.apply(params[1], (), hidden(params, x) * factor)[0]
        return jnp.mean(softmax_cross_entropy(logits, y))

    def run(rate: jax.Array, key: jax.Array, data: tuple) -> tuple:
        of_data, of_params, of_training, of_tests = jax.random.split(key, 4)
        (x, y), (new_x, new_y), _ = deal(of_data, data, train)

        def kept(key: jax.Array, examples: int, rate: jax.Array = rate) -> jax.Array:
            return dropout_mask(key, rate, (examples, width)).astype(x.dtype) * inverse_keep(rate)

        first, second = jax.random.split(of_params)
        start = below.init(first, x[:1])[0], above.init(second, jnp.zeros((1, width)))[0]

        def step(params: Tree, i: jax.Array) -> tuple:
            of_batch, of_mask = jax.random.split(jax.random.fold_in(of_training, i))
            chosen = jax.random.randint(of_batch, (BATCH,), 0, train)
            slopes = jax.grad(loss)(params, x[chosen], y[chosen], kept(of_mask, BATCH))
            return descended(params, slopes, DESCENT), None

        params, _ = lax.scan(step, start, jnp.arange(steps))

        def logits(key: jax.Array, rate: jax.Array) -> jax.Array:
            """Of sub-networks, one for each image."""
            h = hidden(params, new_x) * kept(key, len(new_x), rate)
            return above.apply(params[1], (), h)[0]

        # Many, then one with half of the units and one with all.
        at = jnp.append(jnp.full(DRAWS[-1], rate), jnp.array([0.5, 0.0]))
        each = lax.map(lambda one: logits(*one), (jax.random.split(of_tests, len(at)), at))
        halved, whole = jnp.mean(jnp.argmax(each[DRAWS[-1] :], axis=-1) != new_y[None], axis=1)
        log_p = jax.nn.log_softmax(each)
        means = jnp.stack([jnp.log(running_mean(jnp.exp(log_p))), running_mean(log_p)])
        averaged = jnp.mean(jax.vmap(jax.vmap(softmax_cross_entropy, (0, None)), (0, None))(means, new_y), 2)

        # The same parameters, many masks: how far their gradients differ.
        fresh = jax.random.split(jax.random.fold_in(of_training, steps), 16)
        slopes = lax.map(lambda key: jax.grad(loss)(start, x, y, kept(key, train)), fresh)
        spread = sum(jnp.sum(jnp.var(g, axis=0)) for g in jax.tree.leaves(slopes))
        mean = sum(jnp.sum(jnp.mean(g, axis=0) ** 2) for g in jax.tree.leaves(slopes))

        def rises(changes: jax.Array) -> jax.Array:
            def slow(params: Tree, i: jax.Array) -> tuple:
                mask = kept(jax.random.fold_in(of_tests, changes * i), train)
                value, slopes = jax.value_and_grad(loss)(params, x, y, mask)
                return descended(params, slopes, CAREFUL), value

            values: jax.Array = lax.scan(slow, params, jnp.arange(SLOW))[1]
            return jnp.mean(values[1:] > values[:-1])

        return (
            loss(params, x, y, 1.0), loss(params, new_x, new_y, 1.0),
            loss(params, new_x, new_y, inverse_keep(rate)), averaged, halved, whole,
            coadaptation(hidden(params, new_x)), spread / mean, jax.vmap(rises)(jnp.array([1, 0])),
        )  # fmt: skip

    grid = jax.jit(jax.vmap(jax.vmap(run, (None, 0, None), -1), (0, None, None)))
    found = grid(jnp.asarray(RATES), jax.random.split(key, seeds), images())
    return DropoutRates(np.asarray(RATES), np.asarray(DRAWS), *map(np.asarray, found))


def descended(params: Tree, slopes: Tree, rate: float) -> Tree:
    """Parameters after a step of gradient descent."""
    return jax.tree.map(lambda p, g: p - rate * g, params, slopes)


def running_mean(each: jax.Array) -> jax.Array:
    """Means over the first 1, 4, … of many sub-networks [draws, ...]."""
    return jnp.stack([jnp.mean(each[:n], axis=0) for n in DRAWS])
