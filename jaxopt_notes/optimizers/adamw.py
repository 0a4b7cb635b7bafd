"""AdamW: Adam with weight decay that its moments never see."""

from typing import Any

from jax.typing import DTypeLike

from jaxopt_notes.dtypes import Tree
from jaxopt_notes.masks import Mask, MaskLike, as_mask
from jaxopt_notes.optimizers.adam import Adam, AdamState, adam
from jaxopt_notes.optimizers.core.gradient_transform import Accept
from jaxopt_notes.optimizers.core.leafwise import Transform, require_params
from jaxopt_notes.optimizers.transforms.weight_decay import add_multiple
from jaxopt_notes.record import Number, record, static
from jaxopt_notes.schedules.schedule import Rate, check_rate, rate_at


@record
class AdamW(Transform):
    """See `adamw`."""

    elementwise = True

    learning_rate: Rate
    b1: Number
    b2: Number
    eps: Number
    eps_root: Number
    weight_decay: Rate
    mask: Mask | None = static()
    state_dtype: str | None = static()

    def _adam(self) -> Adam:
        return Adam(
            learning_rate=self.learning_rate,
            b1=self.b1,
            b2=self.b2,
            eps=self.eps,
            eps_root=self.eps_root,
            state_dtype=self.state_dtype,
        )

    def init(self, params: Tree) -> AdamState:
        return self._adam().init(params)

    def update(
        self, updates: Tree, state: AdamState, params: Tree = None, *, accept: Accept = None, **extra: Any
    ) -> tuple[Tree, AdamState]:
        params = require_params("adamw", params)
        amount = rate_at(self.learning_rate, state.count) * rate_at(self.weight_decay, state.count)
        updates, state = self._adam().update(updates, state, params, accept=accept)
        return add_multiple(updates, params, -amount, self.mask, accept), state


def adamw(
    learning_rate: Rate = 1e-3,
    b1: Number = 0.9,
    b2: Number = 0.999,
    eps: Number = 1e-8,
    eps_root: Number = 0.0,
    *,
    weight_decay: Rate = 1e-4,
    mask: MaskLike = "weights_only",
    state_dtype: DTypeLike | None = None,
) -> AdamW:
    """Adam with decoupled weight decay.

        u = Adam's update
        θ ← θ + u − η·λ·θ

    Arguments:
        learning_rate: η ≥ 0, a number or a schedule; it multiplies the decay too.
        b1: decay of the first moment, in [0, 1).
        b2: decay of the second moment, in [0, 1).
        eps: added outside the root, ≥ 0.
        eps_root: added inside the root, ≥ 0.
        weight_decay: λ ≥ 0, a number or a schedule. Without gradients t steps leave (1 − ηλ)ᵗ·θ.
        mask: which leaves are decayed: "weights_only" (rank ≥ 2, no scale or bias), `None` for
            all, a function of the parameters, or a tree of bools.
        state_dtype: precision of the moments, as in `adam`.

    Returns:
        An `AdamW` record; state as in `adam`; `update` needs `params`.

    Raises:
        ValueError: a number outside its interval, or `update` without params.

    Example:
        >>> import jax.numpy as jnp
        >>> optimizer = adamw(learning_rate=0.1, weight_decay=0.5)
        >>> params = {"kernel": jnp.full((1, 1), 2.0), "bias": jnp.array([2.0])}
        >>> zero_grads = {"kernel": jnp.zeros((1, 1)), "bias": jnp.zeros(1)}
        >>> updates, _ = optimizer.update(zero_grads, optimizer.init(params), params)
        >>> print(f"{updates['kernel'][0, 0]:.2f} {updates['bias'][0]:.2f}")
        -0.10 -0.00

    Source: Loshchilov & Hutter 2019, algorithm 2.

    Elsewhere: optax (λ = 1e-4) and torch (λ = 1e-2) decay every leaf by default: `mask=None` here.
    """
    base = adam(learning_rate, b1, b2, eps, eps_root, state_dtype)
    return AdamW(
        learning_rate=base.learning_rate,
        b1=base.b1,
        b2=base.b2,
        eps=base.eps,
        eps_root=base.eps_root,
        weight_decay=check_rate("adamw(weight_decay)", weight_decay),
        mask=as_mask(mask),
        state_dtype=base.state_dtype,
    )
