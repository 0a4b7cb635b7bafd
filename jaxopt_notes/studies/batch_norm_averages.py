"""Moving averages in place of the batch's statistics, in training: biases run away, and nothing else changes.

Where the gradient does not know that the mean depends on the bias, it moves the bias for ever, and the next
mean takes that away again: the output, and so the loss and the gradient, stay what they were. Through the
statistics of the batch, the gradient of the bias is exactly 0.
"""

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from jaxopt_notes.layers import batch_norm
from jaxopt_notes.record import Number, check_count, check_number, record, static
from jaxopt_notes.search.export import Rows
from jaxopt_notes.studies.result import Array, Figure, StudyResult, median, rows_of

__all__ = ["BatchNormAverages", "batch_norm_averages"]


@record
class BatchNormAverages(StudyResult):
    """See `batch_norm_averages`."""

    gradients: tuple[str, ...] = static()
    bias: Array  # [2, seeds, steps]: its norm
    losses: Array  # [2, seeds, steps]
    slopes: Array  # [2, seeds, steps]: the norm of its gradient

    def rows(self) -> Rows:
        change = np.abs(self.losses[..., -1] / self.losses[..., 0] - 1)
        first, last = median(self.bias[..., 1]), median(self.bias[..., -1])
        return rows_of(
            gradient=self.gradients, bias_after_a_step=first, bias_last=last, change_of_loss=median(change),
            slope=median(self.slopes[..., -1]),
        )  # fmt: skip

    def plot(self) -> Figure:
        from jaxopt_notes.plots.panels import bands, panels

        drawn, (left, right) = panels(2)
        steps = np.arange(self.bias.shape[-1])
        bands(left, steps, dict(zip(self.gradients, self.bias, strict=True)))
        left.set(xlabel="step", ylabel="norm of the bias")
        bands(right, steps, dict(zip(self.gradients, self.losses, strict=True)), legend=False)
        right.set(xlabel="step", ylabel="loss")
        return drawn


def batch_norm_averages(
    key: jax.Array, *, seeds: int = 5, steps: int = 50, units: int = 4, examples: int = 32, rate: Number = 0.1
) -> BatchNormAverages:
    """Descent on the bias before a normalization whose mean the gradient knows, or does not know.

        y = (u + b − E[u + b]) / s,     b ← b − η ∂L/∂b

    Arguments:
        key: a typed random key.
        seeds: problems.
        steps: of descent.
        units: biases.
        examples: in the batch.
        rate: η.

    Returns:
        A `BatchNormAverages`. E[u + b] is a constant to the gradient in the first row.

    Raises:
        ValueError: a number below 1. TypeError: it is not a whole number.

    Source: Ioffe & Szegedy 2015, section 2.
    """
    for name, number in {"seeds": seeds, "steps": steps, "units": units, "examples": examples}.items():
        check_count(f"batch_norm_averages({name})", number, 1)
    check_number("batch_norm_averages(rate)", rate, "(0, inf)")
    layer = batch_norm()

    def run(key: jax.Array, known: bool) -> tuple:
        u, target = jax.random.normal(key, (2, examples, units))
        params, state = layer.init(key, u)

        def loss(b: jax.Array) -> jax.Array:
            z = u + b[None]
            if known:
                y = layer.apply(params, state, z, train=True)[0]
            else:
                mean, std = (of(z, axis=0, keepdims=True) for of in (jnp.mean, jnp.std))
                y = (z - lax.stop_gradient(mean)) / lax.stop_gradient(std)
            return jnp.mean((y - target) ** 2 + y)

        def step(b: jax.Array, _: None) -> tuple:
            value, slope = jax.value_and_grad(loss)(b)
            return b - rate * slope, (jnp.linalg.norm(b), value, jnp.linalg.norm(slope))

        return lax.scan(step, jnp.zeros(units), None, length=steps)[1]

    @jax.jit
    def program(keys: jax.Array) -> tuple:
        found = [jax.vmap(lambda k, known=known: run(k, known))(keys) for known in (False, True)]
        return jax.tree.map(lambda *parts: jnp.stack(parts), *found)

    found = program(jax.random.split(key, seeds))
    return BatchNormAverages(("mean held fixed", "through the mean"), *map(np.asarray, found))
