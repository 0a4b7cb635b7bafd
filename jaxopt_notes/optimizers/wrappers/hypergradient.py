"""Hypergradient descent: a learning rate that is itself learned, by gradient descent, while training.

The last step went s·d. Had s been larger, the loss would have changed by ⟨g, d⟩ for each unit of it, g being
the gradient where that step led: one inner product says whether steps are too short or too long.
(For gradients through whole training runs, see `jaxopt_notes.search.strategies.hypergradient_search`.)
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax.tree_util import PyTreeDef

from jaxopt_notes.dtypes import Tree, as_hyperparameter, is_none, zeros_like
from jaxopt_notes.numerics import precise_vdot, safe_divide, safe_sqrt
from jaxopt_notes.optimizers.core.chain import as_transform
from jaxopt_notes.optimizers.core.evaluation_params import evaluation_params
from jaxopt_notes.optimizers.core.gradient_transform import Accept, GradientTransform
from jaxopt_notes.optimizers.core.leafwise import Transform, leafwise, store_always
from jaxopt_notes.optimizers.core.wrapping import narrowed, select, update_inner, widened
from jaxopt_notes.record import Number, check_choice, check_number, record, static


class HypergradientState(NamedTuple):
    """The wrapped optimizer's state, the scale of its steps, and its last step at scale 1."""

    inner: Tree
    scale: jax.Array
    previous: Tree


@record
class Hypergradient(Transform):
    """See `hypergradient`."""

    optimizer: GradientTransform
    hyper_learning_rate: Number
    scale: Number
    rule: str = static()

    def init(self, params: Tree) -> HypergradientState:
        return HypergradientState(
            self.optimizer.init(params), as_hyperparameter(self.scale), zeros_like(params)
        )

    def update(
        self,
        updates: Tree,
        state: HypergradientState,
        params: Tree = None,
        *,
        accept: Accept = None,
        **extra: Any,
    ) -> tuple[Tree, HypergradientState]:
        products = inner_products(updates, state.previous)
        scale = next_scale(state.scale, *products, self.hyper_learning_rate, self.rule)
        scale = select(accept, scale, state.scale)
        # In single precision at least, so that what is scaled has not been rounded before.
        wide = None if params is None else widened(params)
        steps, inner = update_inner(self.optimizer, widened(updates), state.inner, wide, accept, extra)
        steps, previous = leafwise(scaled, steps, wide, state.previous, scale=scale, accept=accept)
        like = updates if params is None else params
        return narrowed(steps, like), HypergradientState(inner, scale, previous)

    def evaluation_params(self, params: Tree, state: HypergradientState) -> Tree:
        return evaluation_params(self.optimizer, params, state.inner)


def scaled(u, p, previous, *, scale, store=store_always):
    """The step s·d of one leaf, and d."""
    new = store(previous, u)
    return scale * new, new


def next_scale(
    scale: Any, product: Any, square: Any, previous_square: Any, beta: Number, rule: str = "additive"
) -> jax.Array:
    """s − β·⟨g, d⟩, or s·(1 − β·cos(g, d)); s itself where that is not finite.

    Arguments:
        scale: s.
        product, square, previous_square: ⟨g, d⟩, ⟨g, g⟩ and ⟨d, d⟩.
        beta: β.
        rule: "additive" or "multiplicative".
    """
    scale, product, beta = map(as_hyperparameter, (scale, product, beta))
    if rule == "additive":
        new = scale - beta * product
    else:
        lengths = safe_sqrt(as_hyperparameter(square)) * safe_sqrt(as_hyperparameter(previous_square))
        new = scale * (1 - beta * safe_divide(product, lengths))
    return jnp.where(jnp.isfinite(new), new, scale)


def inner_products(a: Tree, b: Tree) -> tuple[jax.Array, jax.Array, jax.Array]:
    """⟨a, b⟩, ⟨a, a⟩ and ⟨b, b⟩ over all leaves that both trees have, in at least single precision."""
    total = [as_hyperparameter(0.0) for _ in range(3)]
    treedef: PyTreeDef
    others, treedef = jax.tree.flatten(b, is_leaf=is_none)
    for x, y in zip(treedef.flatten_up_to(a), others, strict=True):
        if x is None or y is None:
            continue
        x = jnp.asarray(x).astype(jnp.asarray(y).dtype)
        pairs = ((x, y), (x, x), (y, y))
        total = [
            t + as_hyperparameter(jnp.real(precise_vdot(u, v)))
            for t, (u, v) in zip(total, pairs, strict=True)
        ]
    return total[0], total[1], total[2]


def hypergradient(
    optimizer: GradientTransform,
    hyper_learning_rate: Number = 1e-3,
    scale: Number = 1.0,
    *,
    rule: str = "additive",
) -> Hypergradient:
    """Hypergradient descent: the size of an optimizer's steps follows its own gradient.

        s ← s − β·⟨gₜ, dₜ₋₁⟩
        θ ← θ + s·dₜ,  dₜ = optimizer(gₜ)

    Arguments:
        optimizer: any optimizer or chain; d is its update. With a rate of 1, s is the learning rate.
        hyper_learning_rate: β ≥ 0. In the additive rule it has the units of s/⟨g, d⟩, so that it must be
            found for each problem; in the multiplicative one it is a number such as 0.02.
        scale: s at the start; 1 is the optimizer as it is.
        rule: "additive", or "multiplicative": s ← s·(1 − β·cos(gₜ, dₜ₋₁)), which is free of units and keeps s
            positive for β < 1.

    Returns:
        A `Hypergradient` record. Its state holds `inner`, `scale`, which a training loop can read, and
        `previous`, the last d in at least float32. A scale that would not be finite stays as it was.

    Raises:
        ValueError: a number outside its interval, or another rule.
        TypeError: an argument is not a number.

    Example:
        >>> from jaxopt_notes.optimizers.sgd import sgd
        >>> optimizer = hypergradient(sgd(1.0), hyper_learning_rate=0.1, scale=0.5)
        >>> params = jnp.array(2.0)
        >>> state = optimizer.init(params)
        >>> for _ in range(3):  # f(θ) = ½·θ²
        ...     update, state = optimizer.update(params, state, params)
        ...     params = params + update
        ...     print(f"{state.scale:.3f} {params:.3f}")
        0.500 1.000
        0.700 0.300
        0.730 0.081

    Source: Baydin et al. 2018, equations 5 and 8 (SGD-HD is this around sgd(1.0), Adam-HD around
    adam(1.0)).

    Elsewhere: optax and torch have none.
    """
    return Hypergradient(
        optimizer=as_transform(optimizer),
        hyper_learning_rate=check_number(
            "hypergradient(hyper_learning_rate)", hyper_learning_rate, "[0, inf)"
        ),
        scale=check_number("hypergradient(scale)", scale, "[0, inf)", "1 is the optimizer as it is"),
        rule=check_choice("hypergradient(rule)", rule, ("additive", "multiplicative")),
    )
