"""L-BFGS: Newton directions from the last m differences of parameters and of gradients."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import lax

from jaxopt_notes.dtypes import Tree, compute_dtype, is_float, real_dtype, zeros_like
from jaxopt_notes.norms import global_norm
from jaxopt_notes.numerics import precise_vdot, safe_divide
from jaxopt_notes.optimizers.core.gradient_transform import Accept
from jaxopt_notes.optimizers.core.leafwise import (
    Transform,
    first_step,
    increment,
    require_params,
)
from jaxopt_notes.optimizers.core.trainable import (
    merge,
    moved,
    moving,
    ravel,
    ravel_rows,
    restrict,
    stands_still,
)
from jaxopt_notes.optimizers.core.wrapping import select
from jaxopt_notes.optimizers.solvers.line_search import LineSearch, check_search, line_search
from jaxopt_notes.optimizers.solvers.zoom import Zoom, zoom
from jaxopt_notes.record import check_count, record, static
from jaxopt_notes.schedules.schedule import Rate, check_rate, rate_at
from jaxopt_notes.sharding import placed_like


class LBFGSState(NamedTuple):
    """Steps made, pairs stored; the last parameters and gradients; the pairs, a ring of m rows.

    `scaled` says whether the matrix begins with γI: a step that went nowhere turns it to I, the next back.
    """

    count: jax.Array
    pairs: jax.Array
    params: Tree
    updates: Tree
    diff_params_memory: Tree
    diff_updates_memory: Tree
    weights_memory: jax.Array
    identity_scale: jax.Array
    scaled: jax.Array


@record
class LBFGS(Transform):
    """See `lbfgs`."""

    learning_rate: Rate
    memory_size: int = static()
    scale_init_precond: bool = static()

    def init(self, params: Tree) -> LBFGSState:
        zeros = zeros_like(params)

        def rows() -> Tree:
            def room(z: jax.Array) -> jax.Array:
                return placed_like(jnp.zeros((self.memory_size, *z.shape), z.dtype), z)

            return jax.tree.map(room, zeros)

        kind = real_dtype(compute_dtype(*(x for x in jax.tree.leaves(params) if is_float(x))))
        weights, scale = jnp.zeros(self.memory_size, kind), jnp.ones((), kind)
        last = zeros_like(params)
        return LBFGSState(
            first_step(), first_step(), last, zeros, rows(), rows(), weights, scale, jnp.array(True)
        )

    def update(
        self, updates: Tree, state: LBFGSState, params: Tree = None, *, accept: Accept = None, **extra: Any
    ) -> tuple[Tree, LBFGSState]:
        grads, here = moving(updates, require_params("lbfgs", params))
        (g, unravel), (x, _) = ravel(grads), ravel(here)
        s, y = x - ravel(restrict(state.params, here))[0], g - ravel(restrict(state.updates, here))[0]
        kind = state.weights_memory.dtype
        curvature = precise_vdot(s, y).astype(kind)

        stuck = (state.count > 0) & stands_still(s, x)  # nothing was found along the direction
        learned = (state.count > 0) & (curvature > 0) & ~stuck
        pairs, weights = self.remember(state, curvature, learned, stuck)
        scaled = state.scaled ^ stuck
        scale = self.first_matrix(state, g, y, curvature, learned, stuck, scaled)

        place = state.pairs % self.memory_size

        def stored(memory: Tree, row: Tree) -> Tree:
            def one(m: Any, r: Any) -> Any:
                return None if r is None else m.at[place].set(jnp.where(learned, r, m[place]))

            return merge(jax.tree.map(one, restrict(memory, here), row), memory)

        memories = (state.diff_params_memory, state.diff_updates_memory)
        steps, turns = (stored(memory, unravel(row)) for memory, row in zip(memories, (s, y), strict=True))

        rows = (ravel_rows(restrict(memory, here), self.memory_size) for memory in (steps, turns))
        p = two_loops(g, *rows, weights.astype(g.dtype), scale.astype(g.dtype), pairs)
        step = unravel(-rate_at(self.learning_rate, state.count).astype(g.dtype) * p)
        new = LBFGSState(
            increment(state.count), pairs, merge(here, state.params), merge(grads, state.updates),
            steps, turns, weights, scale, scaled,
        )  # fmt: skip
        return moved(step, updates, params, accept), select(accept, new, state)

    def remember(
        self, state: LBFGSState, curvature: jax.Array, learned: jax.Array, stuck: jax.Array
    ) -> tuple[jax.Array, jax.Array]:
        """The number of pairs and their weights 1/sᵀy; none after a step that went nowhere."""
        place = state.pairs % self.memory_size
        weight = safe_divide(jnp.ones_like(curvature), curvature)
        weights = state.weights_memory.at[place].set(jnp.where(learned, weight, state.weights_memory[place]))
        weights = jnp.where(stuck, 0, weights)
        return jnp.where(stuck, 0, state.pairs + learned.astype(jnp.int32)), weights

    def first_matrix(
        self,
        state: LBFGSState,
        g: jax.Array,
        y: jax.Array,
        curvature: jax.Array,
        learned: jax.Array,
        stuck: jax.Array,
        scaled: jax.Array,
    ) -> jax.Array:
        """γ: from the last pair, or for a step along the gradient no longer than 1."""
        one = jnp.ones_like(curvature)
        if not self.scale_init_precond:
            return one
        length = global_norm(y).astype(curvature.dtype)  # its square may over- or underflow
        scale = jnp.where(learned, safe_divide(safe_divide(curvature, length), length), state.identity_scale)
        short = 1 / jnp.maximum(global_norm(g).astype(curvature.dtype), 1)
        return jnp.where(scaled, jnp.where((state.count == 0) | stuck, short, scale), one)


@jax.jit
def two_loops(
    g: jax.Array, s: jax.Array, y: jax.Array, weights: jax.Array, scale: jax.Array, pairs: jax.Array
) -> jax.Array:
    """The inverse Hessian of L-BFGS times a vector.

    Arguments:
        g: [n]. s, y: [m, n], rings of differences of parameters and gradients.
        weights: [m], 1/sᵀy, and 0 where there is no pair.
        scale: γ, the first inverse Hessian is γI.
        pairs: the number of pairs ever stored: pair i is in row i mod m.
    """
    oldest_first = (pairs + jnp.arange(len(weights), dtype=pairs.dtype)) % len(weights)

    def backward(q: jax.Array, i: jax.Array) -> tuple[jax.Array, jax.Array]:
        alpha = weights[i] * precise_vdot(s[i], q)
        return q - alpha * y[i], alpha

    q, alphas = lax.scan(backward, g, oldest_first, reverse=True)

    def forward(r: jax.Array, pair: tuple) -> tuple:
        i, alpha = pair
        return r + s[i] * (alpha - weights[i] * precise_vdot(y[i], r)), None

    return lax.scan(forward, scale * q, (oldest_first, alphas))[0]


def lbfgs(
    learning_rate: Rate = 1.0,
    memory_size: int = 10,
    scale_init_precond: bool = True,
    linesearch: Zoom | None = zoom(),
) -> LineSearch | LBFGS:
    """L-BFGS: limited-memory Broyden–Fletcher–Goldfarb–Shanno, for losses without noise.

        sₖ = θₖ₊₁ − θₖ,   yₖ = gₖ₊₁ − gₖ,   ρₖ = 1/sₖᵀyₖ,   V = I − ρₖ·yₖsₖᵀ
        H ← Vᵀ·H·V + ρₖ·sₖsₖᵀ          for the last m pairs, from H = γI, γ = sᵀy/yᵀy of the last
        θ ← θ − η·H·g                  η such that the strong Wolfe conditions hold

    Arguments:
        learning_rate: the first η that the search tries, or η itself without a search; a number or a
            schedule.
        memory_size: m ≥ 1, static; the state holds 2m + 2 vectors.
        scale_init_precond: γ as above, and 1/max(‖g‖, 1) at the first step; else γ = 1. Static.
        linesearch: a `zoom`, or `None` for steps of η.

    Returns:
        A `LineSearch` record around an `LBFGS`; its `update` needs `params` and `value_fn=`, see
        `line_search`. Without a search the bare `LBFGS`. Full batches only: a difference of two
        mini-batch gradients is noise. A pair with sᵀy ≤ 0 is left out. A step of length 0 (a search that
        failed) starts the memory anew, and from I: where curvatures differ by as much as floating-point
        numbers have digits, γ lets the flat directions stand still. A further one turns back to γI.

    Raises:
        ValueError: a memory below 1, a negative rate, `update` without params or value_fn.

    Example:
        >>> f = lambda x: jnp.sum((x - 1) ** 4 + (x - 1) ** 2)
        >>> optimizer, x = lbfgs(), jnp.array([3.0, -2.0])
        >>> @jax.jit
        ... def step(x, state):
        ...     value, grad = jax.value_and_grad(f)(x)
        ...     updates, state = optimizer.update(grad, state, x, value=value, grad=grad, value_fn=f)
        ...     return x + updates, state
        >>> state = optimizer.init(x)
        >>> for _ in range(15):
        ...     x, state = step(x, state)
        >>> print(jnp.round(x, 3))
        [1. 1.]

    Source: Nocedal & Wright 2006, algorithms 7.4 and 7.5; row S1-67 of the notes.

    Elsewhere: `optax.lbfgs` makes the same steps and has the same defaults; it stores pairs with
    sᵀy ≤ 0 too, and its state has no reverse-mode gradient. torch's `LBFGS` is a loop of its own
    inside one `step`, without a search unless asked for, and its first step is 1/‖g‖₁.
    """
    direction = LBFGS(
        check_rate("lbfgs(learning_rate)", learning_rate),
        check_count("lbfgs(memory_size)", memory_size, 1, "10 is usual"),
        bool(scale_init_precond),
    )
    if linesearch is None:
        return direction
    return line_search(direction, check_search("lbfgs(linesearch)", linesearch))
