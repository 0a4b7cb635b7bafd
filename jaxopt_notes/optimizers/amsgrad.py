"""AMSGrad: Adam whose second moment never falls, so that no rate ever rises again."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from jaxopt_notes.dtypes import Tree
from jaxopt_notes.numerics import abs_squared, safe_divide, safe_sqrt
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
from jaxopt_notes.record import Number, check_choice, check_number, record, static
from jaxopt_notes.schedules.schedule import Rate, check_rate, rate_at


class AMSGradState(NamedTuple):
    """Steps made, the averages of the gradient and of its square, and the largest of the latter so far."""

    count: jax.Array
    mu: Tree
    nu: Tree
    nu_max: Tree


@record
class AMSGrad(Transform):
    """See `amsgrad`."""

    elementwise = True

    learning_rate: Rate
    b1: Number
    b2: Number
    eps: Number
    eps_root: Number
    correction: str = static()
    state_dtype: str | None = static()

    def init(self, params: Tree) -> AMSGradState:
        return AMSGradState(first_step(), *moments(params, (1, 2, 2), self.state_dtype))

    def update(
        self, updates: Tree, state: AMSGradState, params: Tree = None, *, accept: Accept = None, **extra: Any
    ) -> tuple[Tree, AMSGradState]:
        count = increment(state.count, accept)
        c1, c2 = (bias_correction(decay, count) for decay in (self.b1, self.b2))
        updates, mu, nu, nu_max = leafwise(
            amsgrad_step, updates, params, state.mu, state.nu, state.nu_max,
            accept=accept, rate=rate_at(self.learning_rate, state.count),
            b1=self.b1, b2=self.b2, eps=self.eps, eps_root=self.eps_root,
            c1=1 if self.correction == "none" else c1,
            before=c2 if self.correction == "before" else 1,
            after=c2 if self.correction == "after" else 1,
        )  # fmt: skip
        return updates, AMSGradState(count, mu, nu, nu_max)


def amsgrad_step(
    g, p, m, v, largest, *, rate, b1, b2, eps, eps_root, c1, before, after, store=store_always
):  # fmt: skip
    """AMSGrad's update of one leaf; v is divided by `before`, then its maximum by `after`."""
    m = store(m, b1 * m + (1 - b1) * g)
    v = store(v, b2 * v + (1 - b2) * abs_squared(g))
    largest = store(largest, jnp.maximum(largest, v / before))
    return -rate * safe_divide(m / c1, safe_sqrt(largest / after + eps_root) + eps), m, v, largest


def amsgrad(
    learning_rate: Rate = 1e-3,
    b1: Number = 0.9,
    b2: Number = 0.999,
    eps: Number = 1e-8,
    eps_root: Number = 0.0,
    correction: str = "after",
    state_dtype: str | None = None,
) -> AMSGrad:
    """AMSGrad: Adam divided by the largest second moment so far.

        m ← b1·m + (1 − b1)·g              v ← b2·v + (1 − b2)·|g|²
        w ← max(w, v)
        θ ← θ − η·m/(1 − b1ᵗ) / (√(w/(1 − b2ᵗ) + eps_root) + eps)

    and with `correction="before"`: w ← max(w, v/(1 − b2ᵗ)), the root of w + eps_root; with
    `correction="none"`: neither moment is corrected, as in the paper.

    Arguments:
        learning_rate: η ≥ 0, a number or a schedule; the first step is η·sign(g) where it is corrected.
        b1: decay of the first moment, in [0, 1).
        b2: decay of the second moment, in [0, 1).
        eps: added outside the root, ≥ 0.
        eps_root: added inside the root, ≥ 0.
        correction: where the second moment is corrected for its start at zero: "after" the maximum is
            taken, "before", or "none". Corrected before, the first squared gradients, still noisy,
            bound the rate for ever.
        state_dtype: the precision of the moments; `None` for that of the parameters and at least float32.

    Returns:
        An `AMSGrad` record. Its state holds three moments of the parameters' shapes.

    Raises:
        ValueError: a number outside its interval, or an unknown `correction`.
        TypeError: an argument is not a number.

    Example:
        >>> optimizer = amsgrad(learning_rate=0.1, b1=0.0, b2=0.0)
        >>> params = jnp.array(0.0)
        >>> state = optimizer.init(params)
        >>> for gradient in (1.0, 4.0, 1.0):  # the rate stays where the largest gradient has brought it
        ...     update, state = optimizer.update(jnp.array(gradient), state, params)
        ...     print(f"{update:.3f}")
        -0.100
        -0.100
        -0.025

    Source: Reddi, Kale & Kumar 2018, algorithm 2.

    Elsewhere: torch's `Adam(amsgrad=True)` is "after"; `optax.amsgrad` is "before" and, with
    `bias_correction_mu=False, bias_correction_nu=False`, "none"; the defaults are otherwise the same.
    """
    return AMSGrad(
        learning_rate=check_rate("amsgrad(learning_rate)", learning_rate),
        b1=check_number("amsgrad(b1)", b1, "[0, 1)", "the usual value is 0.9; 0 switches momentum off"),
        b2=check_number("amsgrad(b2)", b2, "[0, 1)", "the usual value is 0.999"),
        eps=check_number("amsgrad(eps)", eps, "[0, inf)"),
        eps_root=check_number("amsgrad(eps_root)", eps_root, "[0, inf)"),
        correction=check_choice("amsgrad(correction)", correction, ("after", "before", "none")),
        state_dtype=check_state_dtype("amsgrad(state_dtype)", state_dtype),
    )
