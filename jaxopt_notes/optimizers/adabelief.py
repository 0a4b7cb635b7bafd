"""AdaBelief: Adam divided by how far gradients are from what was expected of them."""

from typing import Any

from jaxopt_notes.dtypes import Tree
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
class AdaBelief(Transform):
    """See `adabelief`. The `nu` of its state is the average s of squared deviations."""

    elementwise = True

    learning_rate: Rate
    b1: Number
    b2: Number
    eps: Number
    eps_root: Number
    state_dtype: str | None = static()

    def init(self, params: Tree) -> AdamState:
        return AdamState(first_step(), *moments(params, (1, 2), self.state_dtype))

    def update(
        self, updates: Tree, state: AdamState, params: Tree = None, *, accept: Accept = None, **extra: Any
    ) -> tuple[Tree, AdamState]:
        count = increment(state.count, accept)
        updates, mu, nu = leafwise(
            adabelief_step, updates, params, state.mu, state.nu,
            accept=accept, rate=rate_at(self.learning_rate, state.count),
            b1=self.b1, b2=self.b2, eps=self.eps, eps_root=self.eps_root,
            c1=bias_correction(self.b1, count), c2=bias_correction(self.b2, count),
        )  # fmt: skip
        return updates, AdamState(count, mu, nu)


def adabelief_step(g, p, m, s, *, rate, b1, b2, eps, eps_root, c1, c2, store=store_always):
    """AdaBelief's update of one leaf; c1 and c2 are the bias corrections 1 − b1ᵗ and 1 − b2ᵗ.

    The brackets in s matter: a sum with a constant last is computed twice on CPU instead of read back.
    """
    m = store(m, b1 * m + (1 - b1) * g)
    s = store(s, b2 * s + ((1 - b2) * abs_squared(g - m) + eps_root))
    return -rate * safe_divide(m / c1, safe_sqrt(s / c2) + eps), m, s


def adabelief(
    learning_rate: Rate = 1e-3,
    b1: Number = 0.9,
    b2: Number = 0.999,
    eps: Number = 1e-16,
    eps_root: Number = 1e-16,
    state_dtype: str | None = None,
) -> AdaBelief:
    """AdaBelief: the step is large where gradients come as expected, small where they surprise.

        m ← b1·m + (1 − b1)·g
        s ← b2·s + (1 − b2)·|g − m|² + eps_root
        θ ← θ − η·m/(1 − b1ᵗ) / (√(s/(1 − b2ᵗ)) + eps)

    Arguments:
        learning_rate: η ≥ 0, a number or a schedule; the first step is η/b1·sign(g).
        b1: decay of the first moment, in [0, 1).
        b2: decay of the average of squared deviations, in [0, 1).
        eps: added outside the root, ≥ 0.
        eps_root: added to s at every step, ≥ 0, so that s/(1 − b2ᵗ) is never below eps_root/(1 − b2): the
            method's scale of what is no surprise at all. For gradients that hardly vary it bounds the step.
        state_dtype: the precision of m and s; `None` for that of the parameters and at least float32.

    Returns:
        An `AdaBelief` record. Its state is that of `adam`, with s in place of the second moment.

    Raises:
        ValueError: a number outside its interval.
        TypeError: an argument is not a number.

    Example:
        >>> import jax.numpy as jnp
        >>> optimizer = adabelief(learning_rate=0.1, b1=0.5)
        >>> updates, _ = optimizer.update(jnp.array([5.0]), optimizer.init(jnp.zeros(1)))
        >>> print(f"{updates[0]:.4f}")
        -0.2000

    Source: Zhuang et al. 2020, algorithm 2, with one ε (1e-8) in both places; 1e-16 is that of the
    authors' code.

    Elsewhere: `optax.adabelief` has the same formula and defaults, and a Nesterov form; torch has none.
    """
    return AdaBelief(
        learning_rate=check_rate("adabelief(learning_rate)", learning_rate),
        b1=check_number("adabelief(b1)", b1, "[0, 1)", "the usual value is 0.9"),
        b2=check_number("adabelief(b2)", b2, "[0, 1)", "the usual value is 0.999"),
        eps=check_number("adabelief(eps)", eps, "[0, inf)"),
        eps_root=check_number("adabelief(eps_root)", eps_root, "[0, inf)"),
        state_dtype=check_state_dtype("adabelief(state_dtype)", state_dtype),
    )
