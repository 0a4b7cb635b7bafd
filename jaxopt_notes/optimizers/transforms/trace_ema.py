"""Memory of past updates: a decaying sum, an exponential moving average, the correction for its start."""

from typing import Any, NamedTuple

import jax
from jax.typing import DTypeLike

from jaxopt_notes.dtypes import Tree, as_hyperparameter
from jaxopt_notes.optimizers.core.gradient_transform import Accept
from jaxopt_notes.optimizers.core.leafwise import (
    Transform,
    bias_correction,
    first_step,
    increment,
    leafwise,
    store_always,
)
from jaxopt_notes.optimizers.core.moments import check_state_dtype, moments
from jaxopt_notes.record import Number, check_number, record, static


class TraceState(NamedTuple):
    """The decaying sum."""

    trace: Tree


@record
class Trace(Transform):
    """See `trace`."""

    decay: Number
    nesterov: bool = static()
    state_dtype: str | None = static()

    def init(self, params: Tree) -> TraceState:
        return TraceState(*moments(params, (1,), self.state_dtype))

    def update(
        self, updates: Tree, state: TraceState, params: Tree = None, *, accept: Accept = None, **extra: Any
    ) -> tuple[Tree, TraceState]:
        updates, new = leafwise(
            trace_step, updates, params, state.trace,
            decay=self.decay, options={"nesterov": self.nesterov}, accept=accept,
        )  # fmt: skip
        return updates, TraceState(new)


def trace_step(g, p, v, *, decay, nesterov=False, store=store_always):
    """v ← αv + g of one leaf, and a step of v, or of αv + g from the new v."""
    v = store(v, decay * v + g)
    return (decay * v + g if nesterov else v), v


def trace(decay: Number = 0.9, nesterov: bool = False, *, state_dtype: DTypeLike | None = None) -> Trace:
    """A decaying sum of updates.

        v ← α·v + g
        u = v, and with `nesterov=True`: u = α·v + g

    Arguments:
        decay: α in [0, 1].
        nesterov: whether the step looks ahead.
        state_dtype: precision of the trace, as in `adam`.

    Returns:
        A `Trace` record, to stand anywhere in `chain`: before `sgd(η)` it is momentum with the rate
        outside. Its state holds one trace of the parameters' shapes, in at least float32.

    Raises:
        ValueError: α outside [0, 1].
        TypeError: an argument is not a number.

    Example:
        >>> import jax.numpy as jnp
        >>> transform = trace(0.5)
        >>> state = transform.init(jnp.zeros(()))
        >>> for _ in range(2):
        ...     update, state = transform.update(jnp.array(1.0), state)
        ...     print(update)
        1.0
        1.5

    Source: Polyak 1964.

    Elsewhere: `optax.trace`.
    """
    return Trace(
        decay=check_number("trace(decay)", decay, "[0, 1]", "the usual value is 0.9"),
        nesterov=nesterov,
        state_dtype=check_state_dtype("trace(state_dtype)", state_dtype),
    )


class EmaState(NamedTuple):
    """Steps made, and the average with its start at zero still in it."""

    count: jax.Array
    ema: Tree


@record
class Ema(Transform):
    """See `ema`."""

    decay: Number
    debias: bool = static()
    state_dtype: str | None = static()

    def init(self, params: Tree) -> EmaState:
        return EmaState(first_step(), *moments(params, (1,), self.state_dtype))

    def update(
        self, updates: Tree, state: EmaState, params: Tree = None, *, accept: Accept = None, **extra: Any
    ) -> tuple[Tree, EmaState]:
        count = increment(state.count, accept)
        correction = bias_correction(self.decay, count) if self.debias else as_hyperparameter(1.0)
        updates, mean = leafwise(
            ema_step, updates, params, state.ema, decay=self.decay, correction=correction, accept=accept
        )
        return updates, EmaState(count, mean)


def ema_step(g, p, m, *, decay, correction, store=store_always):
    """m ← d·m + (1 − d)·g of one leaf, and m over its weight 1 − dᵗ."""
    m = store(m, decay * m + (1 - decay) * g)
    return m / correction, m


def ema(decay: Number = 0.9, debias: bool = True, *, state_dtype: DTypeLike | None = None) -> Ema:
    """The exponential moving average of updates, corrected for its start at zero.

        m ← d·m + (1 − d)·g
        u = m / (1 − dᵗ), and with `debias=False`: u = m

    Arguments:
        decay: d in [0, 1).
        debias: whether to divide by the weight that the average has seen so far.
        state_dtype: precision of the average, as in `adam`.

    Returns:
        An `Ema` record, to stand anywhere in `chain`. Its state holds `count` and one average of the
        parameters' shapes, in at least float32. For an average of *parameters* see `ema_params`.

    Raises:
        ValueError: d outside [0, 1).
        TypeError: an argument is not a number.

    Example:
        >>> import jax.numpy as jnp
        >>> transform = ema(0.5)
        >>> state = transform.init(jnp.zeros(()))
        >>> for g in (1.0, 4.0):
        ...     update, state = transform.update(jnp.array(g), state)
        ...     print(update)
        1.0
        3.0

    Source: Kingma & Ba 2015, section 3.

    Elsewhere: `optax.ema`.
    """
    return Ema(
        decay=check_number("ema(decay)", decay, "[0, 1)", "the usual value is 0.9"),
        debias=debias,
        state_dtype=check_state_dtype("ema(state_dtype)", state_dtype),
    )


class CorrectBiasState(NamedTuple):
    """Steps made."""

    count: jax.Array


@record
class CorrectBias(Transform):
    """See `correct_bias`."""

    decay: Number

    def init(self, params: Tree) -> CorrectBiasState:
        return CorrectBiasState(first_step())

    def update(
        self,
        updates: Tree,
        state: CorrectBiasState,
        params: Tree = None,
        *,
        accept: Accept = None,
        **extra: Any,
    ) -> tuple[Tree, CorrectBiasState]:
        count = increment(state.count, accept)
        (updates,) = leafwise(
            _divide, updates, params, correction=bias_correction(self.decay, count), accept=accept
        )
        return updates, CorrectBiasState(count)


def _divide(m, p, *, correction):
    return m / correction


def correct_bias(decay: Number = 0.9) -> CorrectBias:
    """Divide by the weight that an exponential moving average started at 0 has seen: bias correction.

        u = m / (1 − dᵗ)                    (t = 1 at the first update)

    Arguments:
        decay: d in [0, 1), that of the average; 0 changes nothing.

    Returns:
        A `CorrectBias` record, to stand after what averages without correction: after
        `ema(d, debias=False)` it makes `ema(d)`. Its state holds `count`.

    Raises:
        ValueError: d outside [0, 1).
        TypeError: an argument is not a number.

    Example:
        >>> import jax.numpy as jnp
        >>> transform = correct_bias(0.5)
        >>> state = transform.init(jnp.zeros(()))
        >>> for m in (0.5, 0.75):  # the averages of 1, 1
        ...     update, state = transform.update(jnp.array(m), state)
        ...     print(update)
        1.0
        1.0

    Source: Kingma & Ba 2015, section 3.

    Elsewhere: `optax.tree.bias_correction`, a function of the step.
    """
    return CorrectBias(check_number("correct_bias(decay)", decay, "[0, 1)", "that of the average"))
