"""Hidden layers of ReLU, tanh and sigmoid: steps until a deep network has learnt.

All activations and rates are members of one program: a network computes all three and a leaf picks one.
"""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from jaxopt_notes.activations import relu, sigmoid, tanh
from jaxopt_notes.losses import softmax_cross_entropy
from jaxopt_notes.record import check_count, record, static
from jaxopt_notes.search.export import Rows
from jaxopt_notes.studies.result import Array, Figure, StudyResult, rows_of
from jaxopt_notes.studies.small_digits import images

__all__ = ["ActivationRace", "activation_race"]

KINDS = {"relu": (relu, 2.0), "tanh": (tanh, 1.0), "sigmoid": (sigmoid, 1.0)}
RATES = (0.03, 0.1, 0.3, 1.0, 3.0)
BATCH, CLASSES = 64, 10


@record
class ActivationRace(StudyResult):
    """See `activation_race`."""

    activations: tuple[str, ...] = static()
    rates: Array  # [rates]
    steps: (
        Array  # [activations, rates, seeds], to the target; one more than there are where it is not reached
    )
    losses: Array  # [activations, rates, seeds, steps], of the batches, smoothed

    @property
    def best(self) -> np.ndarray:
        """[activations]: which rate has the fewest steps, as a median over seeds."""
        return np.argmin(np.median(self.steps, axis=-1), axis=1)

    def rows(self) -> Rows:
        best, at = self.best, np.arange(len(self.activations))
        return rows_of(
            activation=self.activations, best_rate=self.rates[best],
            steps_to_target=np.median(self.steps[at, best], axis=-1),
            last_loss=np.median(self.losses[at, best, :, -1], axis=-1),
        )  # fmt: skip

    def plot(self) -> Figure:
        from jaxopt_notes.plots.panels import bands, panels, points

        drawn, (left, right) = panels(2)
        best, at = self.best, np.arange(len(self.activations))
        names = [f"{name}, rate {self.rates[i]:g}" for name, i in zip(self.activations, best, strict=True)]
        bands(left, np.arange(1, self.losses.shape[-1] + 1),
              dict(zip(names, self.losses[at, best], strict=True)))  # fmt: skip
        left.set(yscale="log", xlabel="step", ylabel="loss", title="each at its best rate")
        points(right, dict(zip(self.activations, self.steps[at, best], strict=True)), label="steps to target")
        return drawn


def activation_race(
    key: jax.Array, *, seeds: int = 6, steps: int = 400, depth: int = 4, width: int = 32, target: float = 0.5
) -> ActivationRace:
    """A deep classifier of digits with three activations, each at its best of five rates.

    Arguments:
        key: a typed random key.
        seeds: networks, and orders of the images.
        steps: of gradient descent, on 64 images each.
        depth, width: hidden layers and their units; weights N(0, 2/n) for ReLU, N(0, 1/n) for the others.
        target: a run has arrived when its loss, smoothed over some ten batches, is below.

    Returns:
        An `ActivationRace`.

    Raises:
        ImportError: scikit-learn is missing. ValueError: a number below 1.

    Source: Krizhevsky, Sutskever & Hinton 2012, figure 1: a network with ReLU is six times as fast as with
    tanh. That is one network. Here, each at its own best rate, tanh is first (68 steps, ReLU 106), and
    sigmoid does not arrive in 300.
    """
    for name, number in {"seeds": seeds, "steps": steps, "depth": depth, "width": width}.items():
        check_count(f"activation_race({name})", number, 1)

    def run(kind: jax.Array, rate: jax.Array, key: jax.Array, data: tuple) -> tuple:
        x, y = data[0].reshape(-1, 64), data[1]
        scales = jnp.array([scale for _, scale in KINDS.values()])

        def layer(i: int, inputs: int, outputs: int) -> tuple:
            stddev = jnp.sqrt(scales[kind] / inputs)
            return stddev * jax.random.normal(jax.random.fold_in(key, i), (inputs, outputs)), jnp.zeros(
                outputs
            )

        sizes = [x.shape[1], *[width] * depth, CLASSES]
        params = [layer(i, *pair) for i, pair in enumerate(itertools.pairwise(sizes))]

        def loss(params: list, batch: jax.Array) -> jax.Array:
            a = x[batch]
            for kernel, bias in params[:-1]:
                z = a @ kernel + bias[None]
                a = jnp.stack([phi(z) for phi, _ in KINDS.values()])[kind]
            kernel, bias = params[-1]
            return jnp.mean(softmax_cross_entropy(a @ kernel + bias[None], y[batch]))

        def step(carry: tuple, i: jax.Array) -> tuple:
            params, smooth = carry
            batch = jax.random.randint(jax.random.fold_in(key, 1000 + i), (BATCH,), 0, len(y))
            value, slopes = jax.value_and_grad(loss)(params, batch)
            params = jax.tree.map(lambda p, g: p - rate * g, params, slopes)
            smooth = 0.9 * smooth + 0.1 * jnp.where(jnp.isfinite(value), value, 1e3)
            return (params, smooth), smooth

        losses: jax.Array = lax.scan(step, (params, jnp.log(float(CLASSES))), jnp.arange(steps))[1]
        arrived = losses < target
        return jnp.where(jnp.any(arrived), jnp.argmax(arrived) + 1, steps + 1), losses

    over_seeds = jax.vmap(run, (None, None, 0, None))
    over_rates = jax.vmap(over_seeds, (None, 0, None, None))
    program = jax.jit(jax.vmap(over_rates, (0, None, None, None)))
    found = program(jnp.arange(len(KINDS)), jnp.array(RATES), jax.random.split(key, seeds), images())
    needed, losses = map(np.asarray, found)
    return ActivationRace(tuple(KINDS), np.array(RATES), needed, losses)
