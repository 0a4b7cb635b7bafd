"""The history of single steps, on request: the loss of every window of so many steps, within each epoch.

An epoch's loss is a mean over its steps, which hides what happens inside: a spike, a warm-up, the first
hundred steps. With `Trainer(history_every=k)` the history has "step_loss", a value for every k steps: their
mean, weighted by examples, so that the mean over an epoch's windows is its loss, and k = 1 is every step.
What a collector makes of steps is there too, as "step_<name>".
"""

from typing import Any

import jax
import jax.numpy as jnp

from jaxopt_notes.dtypes import as_hyperparameter
from jaxopt_notes.numerics import safe_divide

PREFIX = "step_"


def windows_of(trainer: Any, n: int) -> int:
    """How many windows an epoch of n examples has; 0 without a history of steps."""
    if trainer.history_every is None:
        return 0
    return -(-steps_of(trainer, n) // trainer.history_every)


def steps_of(trainer: Any, n: int) -> int:
    """How many steps an epoch of n examples has; the last one may be a short batch."""
    return -(-n // min(trainer.batch_size, n))


def no_steps(windows: int, collected: dict[str, jax.Array]) -> dict[str, jax.Array]:
    """The entries of a history before the first epoch.

    Arguments:
        windows: how many an epoch has.
        collected: what a collector makes of a step, by name.
    """
    if not windows:
        return {}
    entries = {"loss": as_hyperparameter(0.0), **collected}
    return {PREFIX + name: jnp.zeros((windows, *value.shape), value.dtype) for name, value in entries.items()}


def with_windows(metrics: dict[str, jax.Array], windows: int) -> dict[str, jax.Array]:
    """The entries of a state for an epoch of as many windows, where the last one had others.

    Example:
        >>> entries = {"loss": jnp.array(2.0), "step_loss": jnp.array([1.0, 2.0, 3.0])}
        >>> with_windows(entries, 2)["step_loss"]
        Array([1., 2.], dtype=float32)
    """

    def entry(name: str, value: jax.Array) -> jax.Array:
        if name.removeprefix(PREFIX) not in metrics or not name.startswith(PREFIX) or len(value) == windows:
            return value
        zeros = jnp.zeros((max(windows - len(value), 0), *value.shape[1:]), value.dtype)
        return jnp.concatenate([value[:windows], zeros])

    return {name: entry(name, value) for name, value in metrics.items()}


def step_means(every: int, sums: dict[str, jax.Array], counts: dict[str, jax.Array]) -> dict[str, jax.Array]:
    """Means over windows of steps.

        m_w = Σ_{s in window w} sumₛ / Σ_{s in window w} countₛ

    Arguments:
        every: steps in a window; the last one may have fewer.
        sums: name → values of each step [steps, …].
        counts: name → what they count [steps].

    Returns:
        Name → [windows, …]; 0 for a window in which nothing counts.

    Example:
        >>> sums = {"loss": jnp.array([2.0, 4.0, 3.0])}
        >>> print(step_means(2, sums, {"loss": jnp.array([1.0, 1.0, 3.0])})["loss"])
        [3. 1.]
    """

    def summed(values: jax.Array) -> jax.Array:
        short = -len(values) % every
        padded = jnp.concatenate([values, jnp.zeros((short, *values.shape[1:]), values.dtype)])
        return padded.reshape(-1, every, *values.shape[1:]).sum(axis=1)

    def mean(name: str) -> jax.Array:
        total, count = summed(sums[name]), summed(counts[name])
        return safe_divide(total, count.astype(total.dtype).reshape(-1, *(1,) * (total.ndim - 1)))

    return {name: mean(name) for name in sums}
