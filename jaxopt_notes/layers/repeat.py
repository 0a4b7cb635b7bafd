"""One block many times over, each time with parameters of its own, as a loop.

`serial(*[block] * 100)` is traced and compiled block by block; `repeat(block, 100)` once, as a `lax.scan`
over the blocks' parameters, which stand stacked on a leading axis. It makes the same numbers from the same
key: block i draws from `fold_in(key, i)`. A stacked bias has rank 2, so a mask by rank must
ask for the name instead; and what goes by the norm of a leaf (LARS, clipping leaf by leaf) sees all blocks.
"""

from typing import Any

import jax
import jax.numpy as jnp
from jax import lax

from jaxopt_notes.dtypes import Tree
from jaxopt_notes.layers.children import as_layer, entry, run, start
from jaxopt_notes.layers.layer import Layer, Shaped, floating
from jaxopt_notes.record import check_count, record, static

__all__ = ["Repeat", "repeat"]


@record
class Repeat:
    """See `repeat`."""

    layer: Layer
    times: int = static()
    unroll: int = static()

    def init(self, key: jax.Array, x: Shaped, **extra: Any) -> tuple[Tree, Tree]:
        params, state = jax.vmap(lambda key: start(self.layer, key, x, extra))(self._keys(key))
        return entry("layer", params), entry("layer", state) or ()

    def apply(
        self,
        params: Tree,
        state: Tree,
        x: jax.Array,
        *,
        key: jax.Array | None = None,
        train: bool = False,
        **extra: Any,
    ) -> tuple[jax.Array, Tree]:
        def block(x: jax.Array, own: tuple) -> tuple[jax.Array, Tree]:
            params, state, key = own
            y, state = run(self.layer, params, state, x, key, train, extra)
            if (y.shape, y.dtype) != (x.shape, x.dtype):
                raise ValueError(
                    f"repeat(layer) turns {x.dtype}{list(x.shape)} into {y.dtype}{list(y.shape)}, expected "
                    "an output like the input: put what changes the shape before or after the repeat."
                )
            return y, state

        own = params.get("layer", {}), (state or {}).get("layer", ()), self._keys(key)
        x, state = lax.scan(block, floating(x), own, self.times, unroll=self.unroll)
        return x, entry("layer", state) or ()

    def _keys(self, key: jax.Array | None) -> jax.Array | None:
        if key is None:
            return None
        return jax.vmap(jax.random.fold_in, (None, 0))(key, jnp.arange(self.times, dtype=jnp.uint32))


def repeat(layer: Layer, times: int, *, unroll: int = 1) -> Repeat:
    """A layer applied again and again, each time with parameters of its own.

        y = f(θₙ, … f(θ₂, f(θ₁, x)))

    Arguments:
        layer: a layer whose output has the shape and dtype of its input: a residual block, say.
        times: n, the number of blocks, ≥ 1.
        unroll: how many blocks are compiled as one step of the loop, ≥ 1: more take longer to compile and
            may run faster.

    Returns:
        A `Repeat` record; params {"layer": the layer's, each stacked on a leading axis [n, …]}.

    Raises:
        TypeError: not a layer, not whole numbers. ValueError: fewer than 1; in `apply`, an output that is not
            like the input.

    Example:
        >>> from jaxopt_notes.layers.dense import dense
        >>> model = repeat(dense(4), 100)
        >>> params, state = model.init(jax.random.key(0), jnp.ones((2, 4)))
        >>> jax.tree.map(jnp.shape, params)
        {'layer': {'bias': (100, 4), 'kernel': (100, 4, 4)}}

    Elsewhere: Flax's `nn.scan` with `variable_axes={"params": 0}`.
    """
    return Repeat(
        as_layer("repeat(layer)", layer),
        check_count("repeat(times)", times, 1),
        check_count("repeat(unroll)", unroll, 1),
    )
