"""Parameters of half precision that still move by small steps.

A bfloat16 number has 8 bits: a step smaller than 1/256 of the parameter is rounded away. Either a
float32 copy of the parameters is kept and the bfloat16 ones are its rounding (`master_weights`, 4 more
bytes for each), or what each step lost is kept and added to the next one (`kahan`, 2 more bytes).
Updates are float32 numbers here: the exact difference to the new parameters.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import lax
from jax.tree_util import PyTreeDef
from jax.typing import ArrayLike, DTypeLike

from jaxopt_notes.dtypes import Tree, compute_dtype, is_float, is_none
from jaxopt_notes.optimizers.core.chain import as_transform
from jaxopt_notes.optimizers.core.evaluation_params import evaluation_params
from jaxopt_notes.optimizers.core.gradient_transform import Accept, GradientTransform
from jaxopt_notes.optimizers.core.leafwise import Transform, require_params
from jaxopt_notes.optimizers.core.wrapping import select, update_inner
from jaxopt_notes.record import record


class HalfState(NamedTuple):
    """The wrapped optimizer's state, and what the half-precision parameters cannot hold; `None` elsewhere."""

    inner: Tree
    rest: Tree


class HalfPrecision(Transform):
    """What both methods share: a float32 step of the wrapped optimizer, and a rest for each half leaf."""

    optimizer: GradientTransform

    def init(self, params: Tree) -> HalfState:
        rest = jax.tree.map(lambda p: self._start(jnp.asarray(p)) if is_half(p) else None, params)
        return HalfState(self.optimizer.init(_widened(params)), rest)

    def update(
        self, updates: Tree, state: HalfState, params: Tree = None, *, accept: Accept = None, **extra: Any
    ) -> tuple[Tree, HalfState]:
        params = require_params(type(self).__name__, params)
        wide = jax.tree.map(self._wide, _widened(params), state.rest, is_leaf=is_none)
        updates, inner = update_inner(self.optimizer, _widened(updates), state.inner, wide, accept, extra)
        treedef: PyTreeDef
        steps, treedef = jax.tree.flatten(updates, is_leaf=is_none)
        old, rest = treedef.flatten_up_to(params), treedef.flatten_up_to(state.rest)
        for i, (u, p, r) in enumerate(zip(steps, old, rest, strict=True)):
            if u is not None and r is not None:
                target, rest[i] = self._move(u, p.astype(u.dtype), r, p.dtype)
                steps[i] = target - p.astype(u.dtype)
        updates, new = (jax.tree.unflatten(treedef, leaves) for leaves in (steps, rest))
        updates = jax.tree.map(
            lambda u, r: u if accept is None or r is None else jnp.where(accept, u, jnp.zeros_like(u)),
            updates, new, is_leaf=is_none,
        )  # fmt: skip
        return updates, HalfState(inner, select(accept, new, state.rest))

    def evaluation_params(self, params: Tree, state: HalfState) -> Tree:
        return evaluation_params(self.optimizer, params, state.inner)

    def _start(self, p: jax.Array) -> jax.Array:
        raise NotImplementedError

    def _wide(self, p: ArrayLike | None, rest: ArrayLike | None) -> ArrayLike | None:
        return p

    def _move(
        self, u: jax.Array, p: jax.Array, rest: jax.Array, dtype: DTypeLike
    ) -> tuple[jax.Array, jax.Array]:
        """Where the parameter goes (in the dtype of u, rounded to `dtype`), and the new rest."""
        raise NotImplementedError


@record
class MasterWeights(HalfPrecision):
    """See `master_weights`."""

    optimizer: GradientTransform

    def _start(self, p: jax.Array) -> jax.Array:
        return p.astype(compute_dtype(p))

    def _wide(self, p: ArrayLike | None, rest: ArrayLike | None) -> ArrayLike | None:
        return p if rest is None else rest

    def _move(
        self, u: jax.Array, p: jax.Array, rest: jax.Array, dtype: DTypeLike
    ) -> tuple[jax.Array, jax.Array]:
        return _rounded(rest + u, dtype), rest + u


@record
class Kahan(HalfPrecision):
    """See `kahan`."""

    optimizer: GradientTransform

    def _start(self, p: jax.Array) -> jax.Array:
        return jnp.zeros_like(p)

    def _move(
        self, u: jax.Array, p: jax.Array, rest: jax.Array, dtype: DTypeLike
    ) -> tuple[jax.Array, jax.Array]:
        step = u + rest.astype(u.dtype)
        target = _rounded(p + step, dtype)
        return target, (step - (target - p)).astype(rest.dtype)


def is_half(leaf: ArrayLike | None) -> bool:
    """Whether a leaf is of a floating dtype of less than 32 bits."""
    return is_float(leaf) and jnp.asarray(leaf).dtype != compute_dtype(leaf)


def _widened(tree: Tree) -> Tree:
    return jax.tree.map(lambda x: jnp.asarray(x).astype(compute_dtype(x)) if is_half(x) else x, tree)


def _rounded(x: jax.Array, dtype: DTypeLike) -> jax.Array:
    """x, rounded to a number of a narrower dtype."""
    # A cast there and back XLA may leave out, to be more precise than it was asked to be. `reduce_precision`
    # rounds the mantissa, but it would flush subnormal numbers to 0, and knows no float8 without infinities.
    own, info = jnp.finfo(x.dtype), jnp.finfo(dtype)
    normal = lax.reduce_precision(x, own.nexp, info.nmant)
    if info.nexp == own.nexp:
        return normal
    smallest, unit = (jnp.asarray(n, x.dtype) for n in (info.smallest_normal, info.smallest_subnormal))
    return jnp.where(jnp.abs(x) < smallest, jnp.round(x / unit) * unit, normal)


def master_weights(optimizer: GradientTransform) -> MasterWeights:
    """Train half-precision parameters through a float32 copy of them.

        w ← w + u(w)                   float32, in the state
        θ = w rounded                  bfloat16 or float16: the parameters

    Arguments:
        optimizer: any optimizer or chain; it sees float32 parameters and gradients.

    Returns:
        A `MasterWeights` record. Its state holds `inner` and `rest`, the float32 parameters of half
        leaves; its updates are float32. Leaves of 32 or more bits are updated as ever.

    Raises:
        ValueError: `update` without params.
        TypeError: the optimizer is not a gradient transform.

    Example:
        >>> from jaxopt_notes.optimizers.core.apply_updates import apply_updates
        >>> from jaxopt_notes.optimizers.sgd import sgd
        >>> optimizer, x = master_weights(sgd(2.0**-10)), jnp.ones((), jnp.bfloat16)
        >>> state = optimizer.init(x)
        >>> for _ in range(8):
        ...     updates, state = optimizer.update(jnp.ones((), jnp.bfloat16), state, x)
        ...     x = apply_updates(x, updates)
        >>> float(1 - x) * 2**10
        8.0

    Source: Micikevicius et al. 2018, "Mixed precision training", section 3.1.

    Elsewhere: Apex amp O2; optax has none.
    """
    return MasterWeights(as_transform(optimizer))


def kahan(optimizer: GradientTransform) -> Kahan:
    """Train half-precision parameters with compensated summation: what a step lost is added to the next.

        y = u + c
        θ₊ = θ + y, rounded            c ← y − (θ₊ − θ), in the parameters' dtype

    Arguments:
        optimizer: any optimizer or chain; it sees the parameters and gradients widened to float32.

    Returns:
        A `Kahan` record. Its state holds `inner` and `rest`, the compensations c of half leaves; its
        updates are float32.

    Raises:
        ValueError: `update` without params.
        TypeError: the optimizer is not a gradient transform.

    Example:
        >>> from jaxopt_notes.optimizers.core.apply_updates import apply_updates
        >>> from jaxopt_notes.optimizers.sgd import sgd
        >>> optimizer, x = kahan(sgd(2.0**-10)), jnp.ones((), jnp.bfloat16)
        >>> state = optimizer.init(x)
        >>> for _ in range(8):
        ...     updates, state = optimizer.update(jnp.ones((), jnp.bfloat16), state, x)
        ...     x = apply_updates(x, updates)
        >>> float(1 - x) * 2**10
        8.0

    Source: Kahan 1965; for training: Zamirai et al. 2020, "Revisiting BFloat16 training", algorithm 2.

    Elsewhere: torchao and optimi have it; torch and optax have none.
    """
    return Kahan(as_transform(optimizer))
