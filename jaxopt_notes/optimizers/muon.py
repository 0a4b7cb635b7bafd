"""Muon: momentum, made orthogonal, for matrices; another optimizer for the rest.

The update of a matrix U·Σ·Vᵀ is U·Vᵀ: all directions move alike, the rare ones as far as the dominant
ones. That is steepest descent for matrices measured by their largest singular value. A few Newton–Schulz
iterations, matrix products only, push all singular values near 1, which is enough.

`muon` is two optimizers under masks: `MuonMatrices` for the chosen leaves, a companion for all others.
"""

from typing import Any, NamedTuple

import jax
from jax.typing import DTypeLike

from jaxopt_notes.dtypes import Tree, as_hyperparameter
from jaxopt_notes.masks import Marks, Mask, MaskLike, as_mask
from jaxopt_notes.optimizers.adamw import adamw
from jaxopt_notes.optimizers.core.chain import Chain, as_transform
from jaxopt_notes.optimizers.core.gradient_transform import Accept, GradientTransform
from jaxopt_notes.optimizers.core.leafwise import (
    Transform,
    first_step,
    increment,
    leafwise,
    require_params,
    store_always,
)
from jaxopt_notes.optimizers.core.moments import check_state_dtype, moments
from jaxopt_notes.optimizers.core.newton_schulz import COEFFICIENTS, as_leaf, as_matrix, newton_schulz
from jaxopt_notes.optimizers.wrappers.masking import Masked
from jaxopt_notes.record import Number, check_choice, check_count, check_number, record, static
from jaxopt_notes.schedules.schedule import Rate, check_rate, rate_at


class MuonState(NamedTuple):
    """Steps made, and the moving average of the gradient."""

    count: jax.Array
    mu: Tree


@record
class MuonMatrices(Transform):
    """Muon of leaves that are all seen as matrices; see `muon`."""

    learning_rate: Rate
    ns_coeffs: tuple[tuple[Number, Number, Number], ...]
    beta: Number
    eps: Number
    weight_decay: Rate
    consistent_rms: Number | None
    nesterov: bool = static()
    state_dtype: str | None = static()
    precision: str = static()

    def init(self, params: Tree) -> MuonState:
        return MuonState(first_step(), *moments(params, (1,), self.state_dtype))

    def update(
        self, updates: Tree, state: MuonState, params: Tree = None, *, accept: Accept = None, **extra: Any
    ) -> tuple[Tree, MuonState]:
        params = require_params("muon", params)
        by_width = self.consistent_rms is None
        updates, mu = leafwise(
            muon_step, updates, params, state.mu,
            accept=accept, rate=rate_at(self.learning_rate, state.count), beta=self.beta, eps=self.eps,
            ahead=as_hyperparameter(self.beta) if self.nesterov else 1.0,
            weight_decay=rate_at(self.weight_decay, state.count),
            by_width=float(by_width), rms=0.0 if by_width else self.consistent_rms,
            coefficients=self.ns_coeffs, options={"precision": self.precision},
        )  # fmt: skip
        return updates, MuonState(increment(state.count, accept), mu)


def muon_step(
    g,
    p,
    m,
    *,
    rate,
    beta,
    ahead,
    eps,
    weight_decay,
    by_width,
    rms,
    coefficients,
    precision="highest",
    store=store_always,
):
    """The update and the average of one leaf; `ahead` is β with Nesterov's momentum, else 1."""
    m = store(m, beta * m + (1 - beta) * g)
    direction = as_matrix(ahead * m + (1 - ahead) * g)
    orthogonal = newton_schulz(direction, coefficients, eps, precision)
    inputs, outputs = (max(size, 1) for size in direction.shape)
    scale = by_width * max(1.0, outputs / inputs) ** 0.5 + rms * max(inputs, outputs) ** 0.5
    return -rate * (scale * as_leaf(orthogonal, g) + weight_decay * p), m


@record
class Muon(Transform):
    """See `muon`."""

    learning_rate: Rate
    ns_coeffs: tuple
    beta: Number
    eps: Number
    weight_decay: Rate
    consistent_rms: Number | None
    companion: Any
    ns_steps: int = static()
    nesterov: bool = static()
    mask: Mask | None = static()
    state_dtype: str | None = static()
    precision: str = static()

    def _parts(self) -> Chain:
        one = not isinstance(self.ns_coeffs[0], tuple | list)
        own = MuonMatrices(
            learning_rate=self.learning_rate,
            ns_coeffs=(self.ns_coeffs,) * self.ns_steps if one else self.ns_coeffs,
            beta=self.beta,
            eps=self.eps,
            weight_decay=self.weight_decay,
            consistent_rms=self.consistent_rms,
            nesterov=self.nesterov,
            state_dtype=self.state_dtype,
            precision=self.precision,
        )
        other = self.companion
        if other is None:
            other = adamw(self.learning_rate, weight_decay=self.weight_decay, state_dtype=self.state_dtype)
        others = Marks(self.mask, "others")
        return Chain(
            (
                Masked(optimizer=own, mask=self.mask, outside="raw"),
                Masked(optimizer=other, mask=others, outside="raw"),
            )
        )

    def init(self, params: Tree) -> tuple:
        return self._parts().init(params)

    def update(self, updates: Tree, state: tuple, params: Tree = None, **extra: Any) -> tuple[Tree, tuple]:
        return self._parts().update(updates, state, require_params("muon", params), **extra)

    def evaluation_params(self, params: Tree, state: tuple) -> Tree:
        return self._parts().evaluation_params(params, state)


def muon(
    learning_rate: Rate = 0.02,
    ns_coeffs: tuple = COEFFICIENTS,
    ns_steps: int = 5,
    beta: Number = 0.95,
    eps: Number = 1e-8,
    weight_decay: Rate = 0.0,
    *,
    nesterov: bool = True,
    consistent_rms: Number | None = None,
    companion: GradientTransform | None = None,
    mask: MaskLike = "matrices",
    state_dtype: DTypeLike | None = None,
    precision: str = "highest",
) -> Muon:
    """Muon: momentum orthogonalized by Newton–Schulz iterations.

        m ← β·m + (1 − β)·g
        O = newton_schulz(β·m + (1 − β)·g)
        θ ← θ − η·(√max(1, outputs/inputs)·O + λ·θ)             (matrices [inputs, outputs])

    Arguments:
        learning_rate: η ≥ 0, a number or a schedule.
        ns_coeffs: (a, b, c) of all iterations, or a triple for each of them.
        ns_steps: the number of iterations, if one triple is given.
        beta: β in [0, 1), the decay of the average.
        eps: ≥ 0, added to the norm of the matrix that is orthogonalized.
        weight_decay: λ ≥ 0, a number or a schedule, decoupled.
        nesterov: False orthogonalizes m.
        consistent_rms: r, for steps r·√max(inputs, outputs)·O, whose entries are of size r whatever the
            shape. 0.2 is what AdamW's are, so that both take the same rate. `None` for the factor above.
        companion: the optimizer of all other leaves. `None` is `adamw` with the same rate and decay,
            which suits consistent_rms = 0.2; else give it a rate of its own: `adamw(3e-4)`.
        mask: which leaves are orthogonalized: those of rank 2, a function of the parameters, a tree of
            bools, or `None` for all. Of a leaf of another rank all axes but the last are taken as one,
            right for kernels of convolutions. Embeddings and the last layer are best left out.
        state_dtype: precision of the average, and of the moments of `adamw`, see `moments`.
        precision: of the products: "highest" has all digits on every device; "default", on GPU and TPU three
            digits and faster, is enough for coefficients that only come near 1, as the usual ones do.

    Returns:
        A `Muon` record; its state is a tuple, one part for the matrices and one for the others. `update`
        needs `params`.

    Raises:
        ValueError: a number outside its interval, or `update` without params.
        TypeError: an argument is not a number.

    Example:
        >>> import jax.numpy as jnp
        >>> optimizer = muon(learning_rate=0.1, consistent_rms=0.2)
        >>> params = {"kernel": jnp.ones((2, 2)), "bias": jnp.ones(2)}
        >>> grads = {"kernel": jnp.array([[3.0, 0.0], [0.0, 0.2]]), "bias": jnp.array([-1.0, 0.5])}
        >>> updates, _ = optimizer.update(grads, optimizer.init(params), params)
        >>> print(" ".join(f"{u:.3f}" for u in [*jnp.diag(updates["kernel"]), *updates["bias"]]))
        -0.020 -0.032 0.100 -0.100

    Source: Jordan et al. 2024, "Muon: an optimizer for hidden layers in neural networks"; Liu et al.
    2025, "Muon is scalable for LLM training" (consistent_rms); Bernstein & Newhouse 2024 (the norm).

    Elsewhere: `torch.optim.Muon` takes matrices [outputs, inputs] only, iterates in bfloat16 (a per cent of
    the step), divides by max(‖X‖, eps) with eps 1e-7, and has η 1e-3 and λ 0.1 by default.
    `optax.contrib.muon` corrects m for its start at zero, each term of Nesterov's sum differently
    (without Nesterov that changes nothing but the size of eps), and does not decay the other leaves.
    """
    rows = ns_coeffs if isinstance(ns_coeffs[0], tuple | list) else (ns_coeffs,)
    rows = tuple(
        tuple(check_number(f"muon(ns_coeffs) {name}", c) for name, c in zip("abc", row, strict=True))
        for row in rows
    )
    return Muon(
        learning_rate=check_rate("muon(learning_rate)", learning_rate),
        ns_coeffs=rows if isinstance(ns_coeffs[0], tuple | list) else rows[0],
        beta=check_number("muon(beta)", beta, "[0, 1)", "the usual value is 0.95"),
        eps=check_number("muon(eps)", eps, "[0, inf)"),
        weight_decay=check_rate("muon(weight_decay)", weight_decay),
        consistent_rms=consistent_rms
        if consistent_rms is None
        else check_number("muon(consistent_rms)", consistent_rms, "[0, inf)", "the usual value is 0.2"),
        companion=companion if companion is None else as_transform(companion),
        ns_steps=check_count("muon(ns_steps)", ns_steps, 1),
        nesterov=nesterov,
        mask=as_mask(mask),
        state_dtype=check_state_dtype("muon(state_dtype)", state_dtype),
        precision=check_choice("muon(precision)", precision, ("highest", "high", "default")),
    )
