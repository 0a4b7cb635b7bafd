"""The one loop over leaves that every optimizer shares.

An optimizer file holds a *formula*: a plain function of one leaf's gradient, parameter and state
that reads like the paper. `leafwise` applies it to a whole tree and takes care of what no paper
mentions: missing gradients, integer leaves, complex leaves, dtypes, weak types.

The formula is compiled as a function of its own (`jax.jit`), so leaves of one shape share their
trace, and everything a step needs of the whole tree (a norm, a rate, a bias correction) enters it
as a scalar computed once. A formula computes its new state, passes it through `store`, and makes
the update from what was stored: XLA reads the new state back instead of recomputing it, so every
buffer is updated in place, without copies. `store` is also where a step that must not be taken
(`accept` is False) keeps the old state.
"""

import contextlib
import functools
from collections.abc import Callable, Iterator
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax

from jaxopt_notes.dtypes import (
    Tree,
    as_hyperparameter,
    cast_like,
    compute_dtype,
    is_float,
    is_none,
    real_dtype,
)
from jaxopt_notes.optimizers.core.moments import SHARED, LowPrecision, decode, encode


class Transform:
    """What the optimizers and transforms here have in common.

    `gated` says that `update` takes `accept`, a bool scalar: where it is False the update is zero and
    the state stays as it is. A transform without state of its own inherits `init`.
    """

    gated = True

    def init(self, params: Tree) -> Any:
        return ()


def store_always(old: jax.Array, new: jax.Array) -> jax.Array:
    """The `store` of a formula outside `leafwise`: the new state is kept."""
    return new


def leafwise(
    formula: Callable[..., Any],
    updates: Tree,
    params: Tree,
    *slots: Tree,
    mask: Tree = None,
    accept: jax.Array | None = None,
    **scalars: Any,
) -> tuple:
    """Apply `formula` to every floating-point leaf; return the new updates and slots.

    Arguments:
        formula: `formula(g, p, *slots, store, **scalars) -> (update, *slots)` for one leaf, everything
            in one dtype of at least float32; a module-level function, so that its trace is shared.
            Each new slot must be what `store(old, new)` returned. Without slots: no `store`.
        updates: the gradients; a `None` leaf passes through, an integer leaf becomes a zero update.
        params: the parameters, or `None` if the formula does not need them.
        slots: state trees, `None` where a leaf has no state; each keeps its dtype. Or what `moments`
            allotted, which is decoded for the formula and encoded again.
        mask: a tree of bools; where False, the leaf's update and slots pass unchanged.
        accept: a bool scalar; where False, all updates are zero and the slots as they were.
        scalars: hyperparameters and numbers of the whole tree.

    Returns:
        `(updates, *slots)`; updates in the dtype of the parameters (of the gradients without them).
    """
    treedef: Any
    grads, treedef = jax.tree.flatten(updates, is_leaf=is_none)
    physical = [slot for slot in slots if slot is not SHARED]
    columns = [treedef.flatten_up_to(getattr(slot, "leaves", slot)) for slot in physical]
    seeds = tuple(
        slot.step * jnp.uint32(len(physical)) + jnp.uint32(i) if isinstance(slot, LowPrecision) else None
        for i, slot in enumerate(physical)
    )
    leaves = [None] * len(grads) if params is None else treedef.flatten_up_to(params)
    chosen = [True] * len(grads) if mask is None else treedef.flatten_up_to(mask)
    names, numbers = tuple(scalars), _computed_once(tuple(scalars.values()))

    rows = []
    for g, p, keep, *state in zip(grads, leaves, chosen, *columns, strict=True):
        target = g if p is None else p
        if g is None:
            rows.append((g, *state))
        elif not keep:
            same = g if accept is None else jnp.where(accept, g, jnp.zeros_like(g))
            rows.append((same, *state))
        elif not is_float(target):
            rows.append((jnp.zeros_like(jnp.asarray(target)), *state))
        else:
            rows.append(_step(formula, names, g, p, tuple(state), seeds, numbers, accept))
    columns_out = [list(column) for column in zip(*rows, strict=True)] or [
        [] for _ in range(1 + len(columns))
    ]
    updates, *trees = (jax.tree.unflatten(treedef, column) for column in columns_out)
    return updates, *_as_given(slots, trees, accept)


def _computed_once(scalars: tuple) -> tuple:
    """Hyperparameters such that every leaf reads them instead of computing them again.

    XLA's CPU backend copies cheap arithmetic, a whole schedule, into the loop of every leaf. It does
    not copy a division, and this one, by 1, is none that it can leave out.
    """
    numbers = tuple(as_hyperparameter(value) for value in scalars)
    if not any(isinstance(value, jax.core.Tracer) for value in scalars):
        return numbers
    return lax.platform_dependent(numbers, cpu=lambda xs: tuple(map(_divided, xs)), default=lambda xs: xs)


def _divided(x: jax.Array) -> jax.Array:
    return x / lax.stop_gradient(jnp.where(jnp.isnan(x), x, jnp.ones_like(x)))


def _as_given(slots: tuple, trees: list, accept: jax.Array | None) -> Iterator[Tree]:
    """The new trees, each in the kind of slot that it came in."""
    new = iter(trees)
    for slot in slots:
        if slot is SHARED:
            yield slot
        elif isinstance(slot, LowPrecision):
            written = jnp.uint32(1) if accept is None else accept.astype(jnp.uint32)
            yield LowPrecision(next(new), slot.step + written)
        else:
            yield next(new)


@functools.partial(jax.jit, static_argnums=(0, 1))
def _step(
    formula: Callable[..., Any],
    names: tuple[str, ...],
    g: Any,
    p: Any,
    state: tuple,
    seeds: tuple,
    numbers: Any,
    accept: Any,
) -> tuple:
    target = g if p is None else p
    kind = compute_dtype(g, target)
    real = real_dtype(kind)

    def lift(leaf: jax.Array | None) -> jax.Array | None:
        return leaf if leaf is None else leaf.astype(kind if jnp.iscomplexobj(leaf) else real)

    # A complex leaf mixes complex gradients with real second moments and real hyperparameters.
    mixed = jnp.iscomplexobj(target)
    with jax.numpy_dtype_promotion("standard") if mixed else contextlib.nullcontext():
        g, p = (None if leaf is None else lift(jnp.asarray(leaf)) for leaf in (g, p))
        hyper: dict[str, Any] = {name: numbers[i].astype(real) for i, name in enumerate(names)}
        if state:
            hyper["store"] = store_always if accept is None else _store_if(accept)
        values = [lift(x) for leaf, seed in zip(state, seeds, strict=True) for x in _values(leaf, seed)]
        out = formula(g, p, *values, **hyper)
        update, *new = out if isinstance(out, tuple) else (out,)
        new = [_written(new, leaf, seed) for leaf, seed in zip(state, seeds, strict=True)]
        if any(seed is not None for seed in seeds):  # again, with what could be written
            new = _stored_once(new, state, seeds, accept)
            kept = [lift(x) for leaf, seed in zip(new, seeds, strict=True) for x in _values(leaf, seed)]
            hyper["store"] = _replay(values, kept)
            update, *_ = formula(g, p, *values, **hyper)
    if accept is not None:
        update = jnp.where(accept, update, jnp.zeros_like(update))
    return cast_like(update, target), *new


def _values(leaf: Any, seed: Any) -> tuple:
    """What a formula sees of one leaf of a slot: itself, or the moments that are encoded in it."""
    return (leaf,) if seed is None else decode(leaf)


def _written(new: list, leaf: Any, seed: Any) -> Any:
    """The next of the new values (taken off the list) in the form of the leaf they replace."""
    if seed is None:
        return new.pop(0).astype(leaf.dtype)
    return encode(tuple(new.pop(0) for _ in decode(leaf)), leaf, seed)


def _stored_once(new: list, state: tuple, seeds: tuple, accept: jax.Array | None) -> list:
    """The new leaves, or the old ones where the step is not accepted, to be read back as they are stored.

    XLA's CPU backend would compute converted numbers (bfloat16, bytes) a second time instead of reading
    them. So they are chosen without `accept` too, by a condition that holds and that it cannot fold.
    """
    used = [seed for seed in seeds if seed is not None]
    chosen = used[0] != jnp.uint32(0xFFFFFFFF) if accept is None else accept
    new = jax.tree.map(_store_if(chosen), list(state), new)
    return lax.platform_dependent(new, cpu=lax.optimization_barrier, default=lambda new: new)


def _replay(values: list, kept: list) -> Callable[[jax.Array, jax.Array], jax.Array]:
    """A `store` that returns, for each old value, the one that has been written for it."""
    return lambda old, new: next(k for v, k in zip(values, kept, strict=True) if v is old)


def _store_if(accept: jax.Array) -> Callable[[jax.Array, jax.Array], jax.Array]:
    return lambda old, new: jnp.where(accept, new, old)


def increment(count: jax.Array, accept: jax.Array | None = None) -> jax.Array:
    """The next step number; it saturates instead of wrapping to a negative one."""
    room = count < jnp.iinfo(count.dtype).max
    return count + (room if accept is None else room & accept).astype(count.dtype)


def first_step() -> jax.Array:
    """The step counter of a fresh state: int32, the number of updates made so far."""
    return jnp.zeros((), jnp.int32)


def bias_correction(decay: Any, count: jax.Array) -> jax.Array:
    """1 − decayᵗ, the weight that an exponential moving average started at 0 has seen after t steps.

    Where it is 0 (t = 0, or decay = 1) it is 1, so that dividing by it is always safe.
    """
    # At t = 0 the power is taken as at t = 1: the slope of 0⁰ would be NaN.
    weight = 1 - as_hyperparameter(decay) ** as_hyperparameter(jnp.maximum(count, 1))
    return jnp.where((count == 0) | (weight == 0), 1, weight)


def require_params(where: str, params: Tree) -> Tree:
    """Return `params`, or say that this transform cannot do without them."""
    if params is None:
        raise ValueError(
            f"{where} needs the parameters, but params is None: call update(updates, state, params)."
        )
    return params
