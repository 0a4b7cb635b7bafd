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
import itertools
from collections.abc import Callable, Hashable, Iterator, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import lax
from jax.tree_util import PyTreeDef
from jax.typing import ArrayLike

from jaxopt_notes.dtypes import (
    Tree,
    as_hyperparameter,
    cast_like,
    compute_dtype,
    is_float,
    is_none,
    real_dtype,
)
from jaxopt_notes.masks import Mask, read_mask
from jaxopt_notes.optimizers.core.gradient_transform import Accept
from jaxopt_notes.optimizers.core.moments import LowPrecision, Shared, decode, encode
from jaxopt_notes.record import Number


class Transform:
    """What the optimizers and transforms here have in common.

    `gated` says that `update` takes `accept`, a bool scalar: where it is False the update is zero and
    the state stays as it is. A transform without state of its own inherits `init`.

    `elementwise` says that each entry's update depends on its own gradient, parameter and state, and on
    numbers of the whole tree: leaves may then share buffers (`grouped`).
    """

    gated = True
    elementwise = False

    def init(self, params: Tree) -> Tree:
        return ()


class PerLeaf(NamedTuple):
    """A tree like the parameters, of which a formula is given the part of its leaf."""

    tree: Tree


def number_where(mask: Mask | None, number: ArrayLike, params: Tree) -> PerLeaf:
    """The number for the leaves that a mask (`None`: all) selects, 0 for the others.

    Example:
        >>> from jaxopt_notes.masks import weights_only
        >>> amounts = number_where(weights_only, 0.5, {"kernel": jnp.ones((2, 3)), "bias": jnp.ones(3)})
        >>> print(amounts.tree["kernel"], amounts.tree["bias"])
        0.5 0.0
    """
    number = as_hyperparameter(number)
    zero = jnp.zeros_like(number)
    return PerLeaf(jax.tree.map(lambda keep: number if keep else zero, read_mask(mask, params)))


def store_always(old: jax.Array, new: jax.Array) -> jax.Array:
    """The `store` of a formula outside `leafwise`: the new state is kept."""
    return new


def leafwise(
    formula: Callable[..., Any],
    updates: Tree,
    params: Tree,
    *slots: Tree,
    mask: Tree = None,
    accept: Accept = None,
    options: Mapping[str, Hashable] | None = None,
    **numbers: Any,
) -> tuple:
    """Apply `formula` to every floating-point leaf; return the new updates and slots.

    Arguments:
        formula: `formula(g, p, *slots, store, **options, **numbers) -> (update, *slots)` for one leaf,
            everything in one dtype of at least float32; a module-level function, so that its trace is
            shared. Each new slot must be what `store(old, new)` returned. Without slots: no `store`.
        updates: the gradients; a `None` leaf passes through, an integer leaf becomes a zero update.
        params: the parameters, or `None` if the formula does not need them.
        slots: state trees, `None` where a leaf has no state; each keeps its dtype. Or what `moments`
            allotted, which is decoded for the formula and encoded again.
        mask: a tree of bools; where False, the leaf's update and slots pass unchanged.
        accept: a bool scalar; where False, all updates are zero and the slots as they were.
        options: structure that a formula branches on in Python: flags, names.
        numbers: hyperparameters and numbers of the whole tree, each a number or a pytree of them; a `PerLeaf`
            gives each leaf its own.

    Returns:
        `(updates, *slots)`; updates in the dtype of the parameters (of the gradients without them).

    Raises:
        TypeError: the formula returns a new slot that did not pass through `store`.
    """
    treedef: PyTreeDef
    grads, treedef = jax.tree.flatten(updates, is_leaf=is_none)
    physical = [slot for slot in slots if not isinstance(slot, Shared)]
    columns = [treedef.flatten_up_to(getattr(slot, "leaves", slot)) for slot in physical]
    seeds = tuple(
        slot.step * jnp.uint32(len(physical)) + jnp.uint32(i) if isinstance(slot, LowPrecision) else None
        for i, slot in enumerate(physical)
    )
    leaves = [None] * len(grads) if params is None else treedef.flatten_up_to(params)
    chosen = [True] * len(grads) if mask is None else treedef.flatten_up_to(mask)
    own = {name: treedef.flatten_up_to(n.tree) for name, n in numbers.items() if isinstance(n, PerLeaf)}
    shared = _computed_once({name: n for name, n in numbers.items() if name not in own})
    fixed = tuple((options or {}).items())

    rows = []
    for i, (g, p, keep, *state) in enumerate(zip(grads, leaves, chosen, *columns, strict=True)):
        target = g if p is None else p
        if g is None:
            rows.append((g, *state))
        elif not keep:
            same = g if accept is None else jnp.where(accept, g, jnp.zeros_like(g))
            rows.append((same, *state))
        elif not is_float(target):
            rows.append((jnp.zeros_like(jnp.asarray(target)), *state))
        else:
            given = shared | {name: column[i] for name, column in own.items()}
            rows.append(_step(formula, fixed, g, p, tuple(state), seeds, given, accept))
    columns_out = [list(column) for column in zip(*rows, strict=True)] or [
        [] for _ in range(1 + len(columns))
    ]
    updates, *trees = (jax.tree.unflatten(treedef, column) for column in columns_out)
    return updates, *_as_given(slots, trees, accept)


def _computed_once(numbers: dict[str, Any]) -> dict[str, Any]:
    """Hyperparameters such that every leaf reads them instead of computing them again.

    XLA's CPU backend copies cheap arithmetic, a whole schedule, into the loop of every leaf. It does
    not copy a division, and this one, by 1, is none that it can leave out.
    """
    known = not any(isinstance(value, jax.core.Tracer) for value in jax.tree.leaves(numbers))
    numbers = jax.tree.map(as_hyperparameter, numbers)
    if known:
        return numbers
    return lax.platform_dependent(numbers, cpu=lambda xs: jax.tree.map(_divided, xs), default=lambda xs: xs)


def _divided(x: jax.Array) -> jax.Array:
    return x / lax.stop_gradient(jnp.where(jnp.isnan(x), x, jnp.ones_like(x)))


def _as_given(slots: tuple, trees: list, accept: Accept) -> Iterator[Tree]:
    """The new trees, each in the kind of slot that it came in."""
    new = iter(trees)
    for slot in slots:
        if isinstance(slot, Shared):
            yield slot
        elif isinstance(slot, LowPrecision):
            written = jnp.uint32(1) if accept is None else accept.astype(jnp.uint32)
            yield LowPrecision(next(new), slot.step + written)
        else:
            yield next(new)


@functools.partial(jax.jit, static_argnums=(0, 1))
def _step(
    formula: Callable[..., Any],
    options: tuple[tuple[str, Hashable], ...],
    g: ArrayLike | None,
    p: ArrayLike | None,
    state: tuple,
    seeds: tuple,
    numbers: dict[str, Any],
    accept: Accept,
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
        hyper: dict[str, Any] = {**jax.tree.map(lift, numbers), **dict(options)}
        values = [lift(x) for leaf, seed in zip(state, seeds, strict=True) for x in _values(leaf, seed)]
        stored: list[Any] = []
        if state:
            hyper["store"] = _recorded(store_always if accept is None else _store_if(accept), stored)
        out = formula(g, p, *values, **hyper)
        update, *new = out if isinstance(out, tuple) else (out,)
        _check_slots(formula, values, new, stored)
        new = [_written(new, leaf, seed) for leaf, seed in zip(state, seeds, strict=True)]
        if any(seed is not None for seed in seeds):  # again, with what could be written
            new = _stored_once(new, state, seeds, accept)
            kept = [lift(x) for leaf, seed in zip(new, seeds, strict=True) for x in _values(leaf, seed)]
            hyper["store"] = _replay(formula, values, kept)
            update, *_ = formula(g, p, *values, **hyper)
    if accept is not None:
        update = jnp.where(accept, update, jnp.zeros_like(update))
    return cast_like(update, target), *new


def _recorded(store: Callable, stored: list) -> Callable[[jax.Array, jax.Array], jax.Array]:
    """A `store` that keeps a list of what it has returned."""

    def call(old: jax.Array, new: jax.Array) -> jax.Array:
        stored.append(store(old, new))
        return stored[-1]

    return call


def _check_slots(formula: Callable, values: list, new: list, stored: list) -> None:
    """That every new slot has been stored, or is the old one itself."""
    for old, slot in itertools.zip_longest(values, new, fillvalue=formula):
        if slot is not old and not any(slot is kept for kept in stored):
            raise TypeError(_broken_rule(formula))


def _broken_rule(formula: Callable) -> str:
    return (
        f"{getattr(formula, '__name__', repr(formula))} breaks the rule of `leafwise`: for every slot a "
        "formula calls store(old, new), with the old slot as it was given, and returns the result unchanged, "
        "in the order of the slots."
    )


def _values(leaf: Any, seed: jax.Array | None) -> tuple:
    """What a formula sees of one leaf of a slot: itself, or the moments that are encoded in it."""
    return (leaf,) if seed is None else decode(leaf)


def _written(new: list, leaf: Any, seed: jax.Array | None) -> Tree:
    """The next of the new values (taken off the list) in the form of the leaf they replace."""
    if seed is None:
        return new.pop(0).astype(leaf.dtype)
    return encode(tuple(new.pop(0) for _ in decode(leaf)), leaf, seed)


def _stored_once(new: list, state: tuple, seeds: tuple, accept: Accept) -> list:
    """The new leaves, or the old ones where the step is not accepted, to be read back as they are stored.

    XLA's CPU backend would compute converted numbers (bfloat16, bytes) a second time instead of reading
    them. So they are chosen without `accept` too, by a condition that holds and that it cannot fold.
    """
    used = [seed for seed in seeds if seed is not None]
    chosen = used[0] != jnp.uint32(0xFFFFFFFF) if accept is None else accept
    new = jax.tree.map(_store_if(chosen), list(state), new)
    return lax.platform_dependent(new, cpu=lax.optimization_barrier, default=lambda new: new)


def _replay(formula: Callable, values: list, kept: list) -> Callable[[jax.Array, jax.Array], jax.Array]:
    """A `store` that returns, for each old value, the one that has been written for it."""

    def store(old: jax.Array, new: jax.Array) -> jax.Array:
        for value, written in zip(values, kept, strict=True):
            if value is old:
                return written
        raise TypeError(_broken_rule(formula))

    return store


def _store_if(accept: jax.Array) -> Callable[[jax.Array, jax.Array], jax.Array]:
    return lambda old, new: jnp.where(accept, new, old)


def increment(count: jax.Array, accept: Accept = None) -> jax.Array:
    """The next step number; it saturates instead of wrapping to a negative one."""
    room = count < jnp.iinfo(count.dtype).max
    return count + (room if accept is None else room & accept).astype(count.dtype)


def first_step() -> jax.Array:
    """The step counter of a fresh state: int32, the number of updates made so far."""
    return jnp.zeros((), jnp.int32)


def bias_correction(decay: Number, count: jax.Array) -> jax.Array:
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
