"""Adafactor: the second moment of a matrix kept as its row means and its column means.

Of a matrix of shape [m, n] that takes m + n numbers instead of m·n, and is the best approximation of
rank one of the moment (in Kullback–Leibler divergence). Around it stand three more ideas: a decay that
approaches 1, so that no bias needs correction; updates clipped in root mean square; and a rate in
proportion to the size of the parameters.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import DTypeLike

from jaxopt_notes.dtypes import Tree, as_hyperparameter, zeros_like
from jaxopt_notes.masks import Mask, MaskLike, as_mask
from jaxopt_notes.numerics import abs_squared, safe_divide, safe_sqrt
from jaxopt_notes.optimizers.core.gradient_transform import Accept
from jaxopt_notes.optimizers.core.leafwise import (
    Transform,
    first_step,
    increment,
    leafwise,
    number_where,
    require_params,
    store_always,
)
from jaxopt_notes.optimizers.core.moments import check_state_dtype, moments
from jaxopt_notes.optimizers.core.xla_cpu import anew, plain_norms
from jaxopt_notes.record import Number, check_count, check_number, record, static
from jaxopt_notes.schedules.schedule import Rate, check_rate, rate_at
from jaxopt_notes.sharding import placed_like


class AdafactorState(NamedTuple):
    """Steps made; the means along one axis (or the whole moment), and along the other; the momentum."""

    count: jax.Array
    rows: Tree
    columns: Tree
    mu: Tree


@record
class Adafactor(Transform):
    """See `adafactor`."""

    learning_rate: Rate
    decay_rate: Number
    decay_offset: Number
    clipping_threshold: Number
    momentum: Number | None
    weight_decay: Rate
    eps: Number
    eps_scale: Number
    min_dim_size_to_factor: int = static()
    multiply_by_parameter_scale: bool = static()
    relative_step: bool = static()
    factored: bool = static()
    mask: Mask | None = static()
    state_dtype: str | None = static()

    def init(self, params: Tree) -> AdafactorState:
        def means(x: jax.Array, which: int) -> jax.Array:
            if not self.factored or sorted((0, 0, *x.shape))[-2] < self.min_dim_size_to_factor:
                return x if which == 0 else jnp.zeros(0, x.dtype)
            left = np.delete(np.arange(x.ndim), factored_axes(x.shape)[which])
            return placed_like(jnp.zeros([x.shape[axis] for axis in left], x.dtype), x, tuple(left))

        whole = zeros_like(params, real=True)
        trees = (jax.tree.map(lambda x, i=i: means(x, i), whole) for i in (0, 1))
        rows, columns = (moments(tree, (2,), self.state_dtype)[0] for tree in trees)
        mu = () if self.momentum is None else moments(params, (1,), self.state_dtype)[0]
        return AdafactorState(first_step(), rows, columns, mu)

    def update(
        self,
        updates: Tree,
        state: AdafactorState,
        params: Tree = None,
        *,
        accept: Accept = None,
        **extra: Any,
    ) -> tuple[Tree, AdafactorState]:
        params = require_params("adafactor", params)
        number = as_hyperparameter(state.count) + 1
        effective = jnp.maximum(number - as_hyperparameter(self.decay_offset), 1)
        rate = rate_at(self.learning_rate, state.count)
        decay = number_where(self.mask, rate * rate_at(self.weight_decay, state.count), params)
        scalars = {
            "rate": jnp.minimum(rate, number**-0.5) if self.relative_step else rate,
            "b2": 1 - effective ** -as_hyperparameter(self.decay_rate),
            "threshold": self.clipping_threshold, "eps": self.eps, "decay": decay,
            "scale_at_least": self.eps_scale if self.multiply_by_parameter_scale else 1.0,
            "scale_at_most": jnp.inf if self.multiply_by_parameter_scale else 1.0,
        }  # fmt: skip
        if self.momentum is None:
            updates, rows, columns = leafwise(
                adafactor_step, updates, params, state.rows, state.columns, accept=accept, **scalars
            )
            mu = state.mu
        else:
            updates, rows, columns, mu = leafwise(
                adafactor_momentum_step, updates, params, state.rows, state.columns, state.mu,
                accept=accept, momentum=self.momentum, **scalars,
            )  # fmt: skip
        return updates, AdafactorState(increment(state.count, accept), rows, columns, mu)


def factored_axes(shape: tuple[int, ...]) -> tuple[int, int]:
    """The largest axis of a tensor of rank ≥ 2 and the second largest; of equals the later ones."""
    *_, second, first = np.argsort(shape, kind="stable")
    return int(first), int(second)


def _factored_step(
    g, p, rows, columns, *, rate, b2, eps, threshold, scale_at_least, scale_at_most, store
):  # fmt: skip
    """The step of one leaf, and the means of its squared gradients."""
    if rows.shape == g.shape:
        rows = store(rows, b2 * rows + (1 - b2) * (abs_squared(g) + eps))
    else:
        first, second = factored_axes(g.shape)
        rows = store(rows, b2 * rows + (1 - b2) * (jnp.mean(abs_squared(g), first) + eps))
        columns = store(columns, b2 * columns + (1 - b2) * (jnp.mean(abs_squared(*anew(g)), second) + eps))
    # Made twice, in the pass for its norm and in that for the parameters, so that it is never stored.
    length, size = plain_norms(_scaled(g, *anew(rows, columns)), p)
    root = max(g.size, 1) ** 0.5
    scale = jnp.minimum(jnp.maximum(size / root, scale_at_least), scale_at_most)
    clipped = jnp.maximum(length / root / threshold, 1)
    return rate * scale / clipped * _scaled(g, rows, columns), rows, columns


def _scaled(g: jax.Array, rows: jax.Array, columns: jax.Array) -> jax.Array:
    """g/√v, where v is the whole moment, or rows·columns/(mean of the rows)."""
    if rows.shape == g.shape:
        return safe_divide(g, safe_sqrt(rows))
    first, second = factored_axes(g.shape)
    row = safe_sqrt(safe_divide(rows, jnp.mean(rows, second - (first < second), keepdims=True)))
    return safe_divide(g, jnp.expand_dims(row, first) * jnp.expand_dims(safe_sqrt(columns), second))


def adafactor_step(g, p, rows, columns, *, decay, store=store_always, **scalars):
    """The update of one leaf and its means; `decay` is ηλ."""
    step, rows, columns = _factored_step(g, p, rows, columns, store=store, **scalars)
    return -(step + decay * p), rows, columns


def adafactor_momentum_step(g, p, rows, columns, m, *, decay, momentum, store=store_always, **scalars):
    """The same with an average of the steps."""
    step, rows, columns = _factored_step(g, p, rows, columns, store=store, **scalars)
    m = store(m, momentum * m + (1 - momentum) * step)
    return -(m + decay * p), rows, columns, m


def adafactor(
    learning_rate: Rate = 1e-2,
    min_dim_size_to_factor: int = 128,
    decay_rate: Number = 0.8,
    decay_offset: Number = 0.0,
    multiply_by_parameter_scale: bool = True,
    clipping_threshold: Number = 1.0,
    momentum: Number | None = None,
    *,
    weight_decay: Rate = 0.0,
    eps: Number = 1e-30,
    eps_scale: Number = 1e-3,
    relative_step: bool = True,
    factored: bool = True,
    mask: MaskLike = "weights_only",
    state_dtype: DTypeLike | None = None,
) -> Adafactor:
    """Adafactor: adaptive rates in sublinear memory.

        b = 1 − max(t − offset, 1)^(−decay_rate),  ρ = min(η, 1/√t)       (t = 1 at the first step)
        R ← b·R + (1 − b)·row means of (|g|² + ε₁)
        C ← b·C + (1 − b)·column means of (|g|² + ε₁)
        u = g/√(R·C/mean(R)),  u ← u/max(1, rms(u)/d)
        θ ← θ − ρ·max(ε₂, rms(θ))·u − η·λ·θ

    Leaves that are not factored keep the whole V ← b·V + (1 − b)·(|g|² + ε₁), and u = g/√V. With momentum the
    step is averaged: m ← β·m + (1 − β)·step.

    Arguments:
        learning_rate: η ≥ 0, a number or a schedule: the largest share of its size by which a leaf moves.
        min_dim_size_to_factor: a leaf of rank ≥ 2 is factored, over its two largest axes, if both have at
            least this size.
        decay_rate: ≥ 0; how fast the decay b approaches 1.
        decay_offset: steps that t is ahead, for fine-tuning a state that was kept.
        multiply_by_parameter_scale: whether steps are in proportion to rms(θ).
        clipping_threshold: d > 0; `inf` switches clipping off.
        momentum: β in [0, 1), or `None` for none: then no average is held.
        weight_decay: λ ≥ 0, a number or a schedule, decoupled.
        eps: ε₁ ≥ 0, added to squared gradients.
        eps_scale: ε₂ ≥ 0, the least rms(θ), by which weights that start at zero can grow.
        relative_step: False for ρ = η.
        factored: False keeps the whole moment of every leaf.
        mask: which leaves are decayed: "weights_only" (rank ≥ 2, no scale or bias), `None` for
            all, a function of the parameters, or a tree of bools.
        state_dtype: precision of the means, of whole moments and of the momentum, see `moments`.

    Returns:
        An `Adafactor` record. Its state holds m + n numbers for a matrix of shape [m, n]; `update` needs
        `params`.

    Raises:
        ValueError: a number outside its interval, or `update` without params.
        TypeError: an argument is not a number.

    Example:
        >>> optimizer = adafactor(min_dim_size_to_factor=2)
        >>> params = jnp.full((2, 3), 5.0)
        >>> state = optimizer.init(params)
        >>> print(state.rows.shape, state.columns.shape)
        (2,) (3,)
        >>> updates, _ = optimizer.update(jnp.ones((2, 3)), state, params)
        >>> print(f"{updates[0, 0]:.3f}")
        -0.050

    Source: Shazeer & Stern 2018, algorithms 4 and 5 (there η is 0.01, and no decay or momentum by
    default).

    Elsewhere: `optax.adafactor` has ρ = η (`relative_step=False`), no rate by default (η = 1), and λθ
    without η. `torch.optim.Adafactor` always factors the last two axes, adds no ε₁ but bounds mean(R) by
    it and the moment by its square from below (its default is the machine's ε), and decays every leaf.
    """
    where = "adafactor({})".format
    return Adafactor(
        learning_rate=check_rate(where("learning_rate"), learning_rate),
        decay_rate=check_number(where("decay_rate"), decay_rate, "[0, inf)", "the usual value is 0.8"),
        decay_offset=check_number(where("decay_offset"), decay_offset, "[0, inf)"),
        clipping_threshold=check_number(
            where("clipping_threshold"), clipping_threshold, "(0, inf]", "inf switches it off"
        ),
        momentum=momentum if momentum is None else check_number(where("momentum"), momentum, "[0, 1)"),
        weight_decay=check_rate(where("weight_decay"), weight_decay),
        eps=check_number(where("eps"), eps, "[0, inf)"),
        eps_scale=check_number(where("eps_scale"), eps_scale, "[0, inf)"),
        min_dim_size_to_factor=check_count(where("min_dim_size_to_factor"), min_dim_size_to_factor, 1),
        multiply_by_parameter_scale=multiply_by_parameter_scale,
        relative_step=relative_step,
        factored=factored,
        mask=as_mask(mask),
        state_dtype=check_state_dtype(where("state_dtype"), state_dtype),
    )
