"""Adding updates to parameters: the last line of every training step."""

import jax
import jax.numpy as jnp

from jaxopt_notes.trees import Tree, cast_like, compute_dtype, is_float, is_none


def apply_updates(params: Tree, updates: Tree) -> Tree:
    """Add updates to parameters.

        θ ← θ + u

    Arguments:
        params: the parameters, any pytree.
        updates: what an optimizer's `update` returned, the same tree. `None` leaves its parameter
            unchanged; so does any update of an integer or boolean parameter.

    Returns:
        The new parameters in the dtype (and weak type) of the old ones; the sum is rounded once,
        from at least float32.

    Example:
        >>> apply_updates({"w": jnp.array([1.0])}, {"w": jnp.array([-0.25])})["w"]
        Array([0.75], dtype=float32)

    Elsewhere: `optax.apply_updates` is the same, except that it adds to integer leaves.
    """

    def add(u: object, p: object) -> object:
        if u is None or not is_float(p):
            return p
        kind = compute_dtype(p)
        return cast_like(jnp.asarray(p).astype(kind) + jnp.asarray(u).astype(kind), p)

    return jax.tree.map(add, updates, params, is_leaf=is_none)
