"""Averages of the parameters along a run: trained are the parameters, evaluated is their average.

Every average here is m ← m + wₜ·(θₜ − m), with a weight of its own for the parameters after t steps.
The state holds the average up to the parameters *before* the current ones; `evaluation_params` adds
those. So the parameters enter as the training loop holds them: rounded, projected, whatever became of
them after the update. Where the wrapped optimizer has evaluation parameters itself, those are averaged.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from jaxopt_notes.dtypes import Tree, as_hyperparameter, is_none, zeros_like
from jaxopt_notes.optimizers.core.chain import as_transform
from jaxopt_notes.optimizers.core.evaluation_params import evaluation_params
from jaxopt_notes.optimizers.core.gradient_transform import Accept, GradientTransform
from jaxopt_notes.optimizers.core.leafwise import (
    Transform,
    bias_correction,
    first_step,
    increment,
    leafwise,
    require_params,
    store_always,
)
from jaxopt_notes.optimizers.core.wrapping import narrowed, update_inner
from jaxopt_notes.record import Number, check_number, record, static


class AveragingState(NamedTuple):
    """The wrapped optimizer's state, steps made, and the average before the current parameters."""

    inner: Tree
    count: jax.Array
    mean: Tree


class Averaging(Transform):
    """What the averages share; each has a `weight(t)` for the parameters after t steps, 1 at t = 0."""

    optimizer: GradientTransform

    def weight(self, count: jax.Array) -> jax.Array:
        raise NotImplementedError

    def init(self, params: Tree) -> AveragingState:
        return AveragingState(self.optimizer.init(params), first_step(), zeros_like(params))

    def update(
        self,
        updates: Tree,
        state: AveragingState,
        params: Tree = None,
        *,
        accept: Accept = None,
        **extra: Any,
    ) -> tuple[Tree, AveragingState]:
        params = require_params("an average of the parameters", params)
        mean = self._mean(params, state, accept)
        updates, inner = update_inner(self.optimizer, updates, state.inner, params, accept, extra)
        return updates, AveragingState(inner, increment(state.count, accept), mean)

    def evaluation_params(self, params: Tree, state: AveragingState) -> Tree:
        mean = narrowed(self._mean(params, state), params)
        return jax.tree.map(lambda p, m: p if m is None else m, params, mean, is_leaf=is_none)

    def _mean(self, params: Tree, state: AveragingState, accept: Accept = None) -> Tree:
        held = evaluation_params(self.optimizer, params, state.inner)
        weight = self.weight(state.count)
        return leafwise(move_mean, held, None, state.mean, weight=weight, accept=accept)[1]


def move_mean(theta, p, mean, *, weight, store=store_always):
    """m ← m + w·(θ − m) of one leaf, exactly θ for w = 1."""
    mean = store(mean, (1 - weight) * mean + weight * theta)
    return mean, mean


@record
class EmaParams(Averaging):
    """See `ema_params`."""

    optimizer: GradientTransform
    decay: Number
    debias: bool = static()

    def weight(self, count: jax.Array) -> jax.Array:
        new = 1 - as_hyperparameter(self.decay)
        if self.debias:
            new = new / bias_correction(self.decay, count)
        return jnp.where(count == 0, 1, new)


def ema_params(optimizer: GradientTransform, decay: Number = 0.999, *, debias: bool = True) -> EmaParams:
    """An exponential moving average of the parameters, to evaluate with.

        m ← d·m + (1 − d)·θ                m̂ = m / (1 − dᵗ)

    and with `debias=False`: m̂ = m, which starts at the initial parameters.

    Arguments:
        optimizer: any optimizer or chain; its path is not changed.
        decay: d in [0, 1), about 1 − 1/(steps to average over); 0 is no average. May be traced.
        debias: whether the average is of θ₁ … θₜ alone, the weights adding up to 1; without it the
            initial parameters keep a weight of dᵗ.

    Returns:
        An `EmaParams` record; `evaluation_params(optimizer, params, state)` gives m̂. Its state holds
        `inner`, `count` and one `mean` in at least float32. `update` needs `params`.

    Raises:
        ValueError: d outside [0, 1), or `update` without params.
        TypeError: an argument is not a number.

    Example:
        >>> from jaxopt_notes.optimizers.sgd import sgd
        >>> optimizer = ema_params(sgd(1.0), decay=0.5)
        >>> params = jnp.array(0.0)
        >>> state = optimizer.init(params)
        >>> for _ in range(2):  # to −1, to −2
        ...     update, state = optimizer.update(jnp.array(1.0), state, params)
        ...     params = params + update
        >>> print(f"{optimizer.evaluation_params(params, state):.4f}")  # (0.5·1 + 1·2)/1.5
        -1.6667

    Source: Polyak & Juditsky 1992; the correction as in Kingma & Ba 2015, section 3.

    Elsewhere: torch's `AveragedModel` with `get_ema_multi_avg_fn` starts at the first parameters given;
    `optax.ema` is an average of updates, here `ema`.
    """
    return EmaParams(
        optimizer=as_transform(optimizer),
        decay=check_number("ema_params(decay)", decay, "[0, 1)", "the usual values are 0.99 to 0.9999"),
        debias=debias,
    )


@record
class AverageParams(Averaging):
    """See `polyak_average` and `swa`."""

    optimizer: GradientTransform
    start: Number
    every: Number

    def weight(self, count: jax.Array) -> jax.Array:
        every = as_hyperparameter(self.every)
        since = as_hyperparameter(count) - as_hyperparameter(self.start)
        left = jnp.mod(since, every)
        number = jnp.round((since - left) / every) + 1  # a quotient that XLA need not round correctly
        return jnp.where(since < 0, 1, jnp.where(left < 1, 1 / jnp.maximum(number, 1), 0))


def polyak_average(optimizer: GradientTransform, start: Number = 1) -> AverageParams:
    """The mean of all parameters since a step, to evaluate with: Polyak–Ruppert averaging.

        m = (θ_s + … + θₜ) / (t − s + 1)

    Arguments:
        optimizer: any optimizer or chain; its path is not changed.
        start: s ≥ 0, the steps made before the first parameters that count; 1 leaves out only the
            initial ones. Up to there m = θ. May be traced.

    Returns:
        An `AverageParams` record; `evaluation_params(optimizer, params, state)` gives m. Its state
        holds `inner`, `count` and one `mean` in at least float32. `update` needs `params`.

    Raises:
        ValueError: a negative start, or `update` without params.
        TypeError: an argument is not a number.

    Example:
        >>> from jaxopt_notes.optimizers.sgd import sgd
        >>> optimizer = polyak_average(sgd(1.0))
        >>> params = jnp.array(0.0)
        >>> state = optimizer.init(params)
        >>> for _ in range(2):  # to −1, to −2
        ...     update, state = optimizer.update(jnp.array(1.0), state, params)
        ...     params = params + update
        >>> print(optimizer.evaluation_params(params, state))
        -1.5

    Source: Polyak & Juditsky 1992.

    Elsewhere: torch's `AveragedModel` and its ASGD.
    """
    return AverageParams(
        optimizer=as_transform(optimizer),
        start=check_number("polyak_average(start)", start, "[0, inf)"),
        every=1.0,
    )


def swa(optimizer: GradientTransform, start: Number = 1, every: Number = 1) -> AverageParams:
    """Stochastic weight averaging: the mean of the parameters at the ends of cycles, to evaluate with.

        m = (θ_s + θ_{s+c} + … + θ_{s+nc}) / (n + 1)

    Arguments:
        optimizer: any optimizer or chain, its rate constant or cyclic from s on.
        start: s ≥ 0, the steps made before the first parameters that count; up to there m = θ.
        every: c ≥ 1, the steps between two of them: an epoch, or a cycle of the rate. Both may be
            traced.

    Returns:
        An `AverageParams` record, as that of `polyak_average`, which has c = 1. The running statistics
        of batch norm belong to θ: before evaluating m, pass over the training data once.

    Raises:
        ValueError: a number outside its interval, or `update` without params.
        TypeError: an argument is not a number.

    Example:
        >>> from jaxopt_notes.optimizers.sgd import sgd
        >>> optimizer = swa(sgd(1.0), start=1, every=2)
        >>> params = jnp.array(0.0)
        >>> state = optimizer.init(params)
        >>> for _ in range(4):  # to −1, −2, −3, −4: the mean is of −1 and −3
        ...     update, state = optimizer.update(jnp.array(1.0), state, params)
        ...     params = params + update
        >>> print(optimizer.evaluation_params(params, state))
        -2.0

    Source: Izmailov et al. 2018, algorithm 1.

    Elsewhere: torch's `swa_utils`, where the loop decides when to average.
    """
    return AverageParams(
        optimizer=as_transform(optimizer),
        start=check_number("swa(start)", start, "[0, inf)"),
        every=check_number("swa(every)", every, "[1, inf)", "1 averages after every step"),
    )
