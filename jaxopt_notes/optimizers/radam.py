"""RAdam: Adam that trusts its second moment only once it has seen enough gradients.

The average of few squares has a large variance, and so has a rate divided by its root. RAdam counts how
many gradients the average is worth: for the first few steps it is momentum alone, then the rate is
multiplied by a factor that rises to 1. It is a warm-up without a horizon.
"""

from typing import Any

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike

from jaxopt_notes.dtypes import Tree, as_hyperparameter
from jaxopt_notes.numerics import abs_squared, safe_divide, safe_sqrt
from jaxopt_notes.optimizers.adam import AdamState
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
from jaxopt_notes.schedules.schedule import Rate, check_rate, rate_at


@record
class RAdam(Transform):
    """See `radam`."""

    elementwise = True

    learning_rate: Rate
    b1: Number
    b2: Number
    eps: Number
    eps_root: Number
    threshold: Number
    state_dtype: str | None = static()

    def init(self, params: Tree) -> AdamState:
        return AdamState(first_step(), *moments(params, (1, 2), self.state_dtype))

    def update(
        self, updates: Tree, state: AdamState, params: Tree = None, *, accept: Accept = None, **extra: Any
    ) -> tuple[Tree, AdamState]:
        count = increment(state.count, accept)
        adapted, rectification = rectify(self.b2, count, self.threshold)
        updates, mu, nu = leafwise(
            radam_step, updates, params, state.mu, state.nu,
            accept=accept, rate=rate_at(self.learning_rate, state.count),
            b1=self.b1, b2=self.b2, eps=self.eps, eps_root=self.eps_root,
            c1=bias_correction(self.b1, count), c2=bias_correction(self.b2, count),
            adapted=adapted, rectification=rectification,
        )  # fmt: skip
        return updates, AdamState(count, mu, nu)


def radam_step(
    g, p, m, v, *, rate, b1, b2, eps, eps_root, c1, c2, adapted, rectification, store=store_always
):  # fmt: skip
    """RAdam's update of one leaf: Adam's times the rectification where `adapted` is 1, else momentum's."""
    m = store(m, b1 * m + (1 - b1) * g)
    v = store(v, b2 * v + (1 - b2) * abs_squared(g))
    step = m / c1
    adaptive = rectification * safe_divide(step, safe_sqrt(v / c2 + eps_root) + eps)
    return -rate * jnp.where(adapted > 0, adaptive, step), m, v


def effective_length(b2: Number, count: ArrayLike) -> jax.Array:
    """ρₜ = 2/(1 − b2) − 1 − 2t·b2ᵗ/(1 − b2ᵗ), how many gradients the second moment is worth.

    It is 1 + 2A, where A is the mean age of the gradients in it. Written as above it is a difference of
    two numbers near 2,000 that comes to 5, too coarse in float32 to decide whether it is; while few
    gradients are seen it is taken from the series of 1/(eˣ − 1) − 1/x + ½, whose first terms cancel.
    """
    t = as_hyperparameter(jnp.maximum(count, 1))
    a = -jnp.log(jnp.maximum(as_hyperparameter(b2), 1e-30))
    few = a * t < 0.1

    def bose(x):  # 1/(eˣ − 1) without overflow
        return jnp.exp(-x) / -jnp.expm1(-x)

    def series(x):
        x = jnp.where(few, x, 0.1)
        return x / 12 - x**3 / 720 + x**5 / 30240 - x**7 / 1209600

    age = jnp.where(few, (t - 1) / 2 + series(a) - t * series(a * t), bose(a) - t * bose(a * t))
    return 1 + 2 * age


def rectify(b2: Number, count: ArrayLike, threshold: Number) -> tuple[jax.Array, jax.Array]:
    """Whether ρₜ has come to the threshold, and √((ρₜ−4)(ρₜ−2)ρ∞ / ((ρ∞−4)(ρ∞−2)ρₜ)) where it has."""
    length = effective_length(b2, count)
    adapted = length >= as_hyperparameter(threshold)
    now, end = (jnp.where(adapted, x, 5.0) for x in (length, 2 / (1 - as_hyperparameter(b2)) - 1))
    return adapted, safe_sqrt((now - 4) * (now - 2) * end / ((end - 4) * (end - 2) * now))


def radam(
    learning_rate: Rate = 1e-3,
    b1: Number = 0.9,
    b2: Number = 0.999,
    eps: Number = 1e-8,
    eps_root: Number = 0.0,
    threshold: Number = 5.0,
    state_dtype: str | None = None,
) -> RAdam:
    """RAdam: rectified Adam.

        m ← b1·m + (1 − b1)·g              v ← b2·v + (1 − b2)·|g|²
        m̂ = m / (1 − b1ᵗ)                  v̂ = v / (1 − b2ᵗ)
        ρₜ = ρ∞ − 2t·b2ᵗ/(1 − b2ᵗ),        ρ∞ = 2/(1 − b2) − 1
        θ ← θ − η·r·m̂ / (√(v̂ + eps_root) + eps)      if ρₜ ≥ threshold, else  θ − η·m̂
        r = √((ρₜ − 4)(ρₜ − 2)·ρ∞ / ((ρ∞ − 4)(ρ∞ − 2)·ρₜ))

    Arguments:
        learning_rate: η ≥ 0, a number or a schedule. In the first steps (five by default) it multiplies
            the gradient itself.
        b1: decay of the first moment, in [0, 1).
        b2: decay of the second moment, in [0, 1); where ρ∞ is below the threshold (b2 < 2/3 for 5) the
            method is momentum for ever.
        eps: added outside the root, ≥ 0.
        eps_root: added inside the root, ≥ 0.
        threshold: of ρₜ, at least 4, where r is 0.
        state_dtype: the precision of the moments; `None` for that of the parameters and at least float32.

    Returns:
        An `RAdam` record. Its state is that of `adam`.

    Raises:
        ValueError: a number outside its interval.
        TypeError: an argument is not a number.

    Example:
        >>> optimizer = radam(learning_rate=0.1)
        >>> updates, _ = optimizer.update(jnp.array([3.0, -0.5]), optimizer.init(jnp.zeros(2)))
        >>> print(f"{updates[0]:.3f} {updates[1]:.3f}")
        -0.300 0.050

    Source: Liu et al. 2020, algorithm 2, whose threshold is 4 (exclusive).

    Elsewhere: `optax.radam` has the same formula and defaults; torch has ρₜ > 5, no eps_root, and
    η·r·m̂·√(1 − b2ᵗ) / (√v + ε), an ε that is larger by 1/√(1 − b2ᵗ). Both take ρₜ as a difference of large
    numbers; in float32 that is off by 0.01 in the first steps for b2 = 0.999, and by 2 for 0.9999.
    """
    return RAdam(
        learning_rate=check_rate("radam(learning_rate)", learning_rate),
        b1=check_number("radam(b1)", b1, "[0, 1)", "the usual value is 0.9; 0 switches momentum off"),
        b2=check_number("radam(b2)", b2, "[0, 1)", "the usual value is 0.999"),
        eps=check_number("radam(eps)", eps, "[0, inf)"),
        eps_root=check_number("radam(eps_root)", eps_root, "[0, inf)"),
        threshold=check_number("radam(threshold)", threshold, "[4, inf]", "the usual value is 5"),
        state_dtype=check_state_dtype("radam(state_dtype)", state_dtype),
    )
