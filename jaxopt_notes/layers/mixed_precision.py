"""Mixed precision: a layer computes in one dtype, keeps its parameters in another and answers in a third.

Every layer here computes in the dtype of its input, and sums, averages and normalizes in at least float32; it
casts its kernels as it needs them. So a policy is three casts at the border of a model, and its loss, its
gradients and the statistics of its normalizations stay in float32. What float16 lacks at the small end a loss
scale makes up for (`dynamic_loss_scale`), what bfloat16 parameters lack a copy of them (`master_weights`). A
policy around a layer within the model holds for that layer: a softmax or a last dense layer in float32, say.
"""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import DTypeLike

from jaxopt_notes.dtypes import Tree, is_float
from jaxopt_notes.layers.children import Around, as_layer, run, start
from jaxopt_notes.layers.embedding import Embedding
from jaxopt_notes.layers.layer import Layer, Shaped
from jaxopt_notes.record import record, replace, static

__all__ = ["MixedPrecision", "mixed_precision"]


@record
class MixedPrecision(Around):
    """See `mixed_precision`."""

    layer: Any
    compute_dtype: DTypeLike = static()
    param_dtype: DTypeLike | None = static()
    output_dtype: DTypeLike | None = static()

    def init(self, key: jax.Array, x: Shaped, **extra: Any) -> tuple[Tree, Tree]:
        params, state = start(self.layer, key, x, extra)
        return params if self.param_dtype is None else cast_floats(params, self.param_dtype), state

    def apply(
        self,
        params: Tree,
        state: Tree,
        x: Tree,
        *,
        key: jax.Array | None = None,
        train: bool = False,
        **extra: Any,
    ) -> tuple[Tree, Tree]:
        given = [leaf.dtype for leaf in jax.tree.leaves(x) if is_float(leaf)]
        answer = self.output_dtype or (given[0] if given else jnp.result_type(float))
        inputs, others = (cast_floats(tree, self.compute_dtype) for tree in (x, extra))
        y, state = run(self.layer, params, state, inputs, key, train, others)
        return cast_floats(y, answer), state


def cast_floats(tree: Tree, dtype: DTypeLike) -> Tree:
    """The tree with its real floating-point leaves in a dtype; all others as they are.

    Example:
        >>> cast_floats({"w": jnp.ones(2), "n": jnp.array([1])}, jnp.bfloat16)
        {'n': Array([1], dtype=int32), 'w': Array([1, 1], dtype=bfloat16)}
    """
    dtype = jax.dtypes.canonicalize_dtype(dtype)
    return jax.tree.map(
        lambda leaf: leaf.astype(dtype) if jnp.issubdtype(leaf.dtype, jnp.floating) else leaf, tree
    )


def mixed_precision(
    layer: Layer,
    compute_dtype: DTypeLike = "bfloat16",
    *,
    param_dtype: DTypeLike | None = None,
    output_dtype: DTypeLike | None = None,
) -> MixedPrecision:
    """A layer under a policy of dtypes.

        y = cast(f(θ, cast(x, compute)), output)            θ in param_dtype; statistics in float32

    Arguments:
        layer: a layer of any kind, a whole model as a rule.
        compute_dtype: of what goes through the layer, and so of its products: "bfloat16", "float16",
            "float32"; "float64" is float32 unless x64 is on.
        param_dtype: of the parameters that `init` makes; by default as the layer makes them, float32. The
            state, such as running statistics, is never narrowed.
        output_dtype: of what comes out; by default the input's, and float32 for tokens.

    Returns:
        A `MixedPrecision` record, with the parameters and the state of the layer.

    Raises:
        TypeError: not a layer. ValueError: a dtype that is not real floating-point.

    Example:
        >>> from jaxopt_notes.layers.batch_norm import batch_norm
        >>> from jaxopt_notes.layers.dense import dense
        >>> from jaxopt_notes.layers.serial import serial
        >>> model, x = mixed_precision(serial(dense(4), batch_norm(), dense(2))), jnp.ones((8, 3))
        >>> params, state = model.init(jax.random.key(0), x)
        >>> y, state = model.apply(params, state, x, train=True)
        >>> y.dtype, params["layers_0"]["kernel"].dtype, state["layers_1"]["var"].dtype
        (dtype('float32'), dtype('float32'), dtype('float32'))

    Source: Micikevicius et al. 2018, "Mixed precision training", section 3.

    Elsewhere: jmp's `Policy` has the same three dtypes, and casts parameters with the input; Flax has `dtype`
    and `param_dtype` in every module and answers in `dtype`; Keras a policy "mixed_bfloat16"; torch's
    `autocast` chooses operation by operation.
    """

    def is_embedding(node: Any) -> bool:
        return isinstance(node, Embedding)

    def told(node: Any) -> Any:  # what goes through the layer begins with an embedding's output
        return replace(node, dtype=compute) if is_embedding(node) and node.dtype is None else node

    compute = _real("compute_dtype", compute_dtype)
    found = jax.tree.map(told, as_layer("mixed_precision(layer)", layer), is_leaf=is_embedding)
    others = {"param_dtype": param_dtype, "output_dtype": output_dtype}
    return MixedPrecision(found, compute, *(d and _real(name, d) for name, d in others.items()))


def _real(name: str, dtype: DTypeLike) -> np.dtype:
    try:
        found = jnp.dtype(dtype)
    except TypeError:
        found = jnp.dtype(bool)
    if not jnp.issubdtype(found, jnp.floating):
        raise ValueError(
            f"mixed_precision({name}) is {dtype!r}, expected a real floating-point dtype such as 'bfloat16'."
        )
    return found
