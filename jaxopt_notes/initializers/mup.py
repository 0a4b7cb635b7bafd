"""Width transfer (μP): hyperparameters found on a narrow network that are right for a wide one.

As networks grow wider under the usual initialization, the best learning rate falls, because a step of Adam
moves each output by a sum over ever more inputs. In the maximal update parametrization all activations, and
all that a step changes them by, stay of one size at every width; so the best rate, schedule and momentum
stay where they are, and are found where they are cheap.

`mup` compares the shapes of a model at two widths. An axis that has grown is a width: a matrix between two
of them is drawn smaller and moves slower, one that only reads from a width even more so, and what only
writes to one (the first layer, biases, scales, embeddings) is left as it is. Two things happen in the
forward pass, for which the layers concerned are replaced: attention divides by the size of its heads
instead of its root, and logits of (tied) embeddings are divided by how many times as many features they sum.

The rates are factors for each path, so they go after any optimizer, in `layerwise_rates`. Weight decay that
stands after them (`chain(adam(η), layerwise_rates(…), weight_decay(ηλ))`) is the same at every width.
"""

from typing import Any

import jax
import jax.numpy as jnp

from jaxopt_notes.dtypes import Tree, compute_dtype
from jaxopt_notes.masks import path_name
from jaxopt_notes.record import check_choice, record, static

__all__ = ["Mup", "mup"]

DRAWS = 16  # of the narrow model, to measure how large its parameters are
Growth = tuple[float, float]  # how many times as long a leaf's axes of inputs and of outputs have become


@record
class Mup:
    """See `mup`."""

    model: Any
    base: Any
    growth: tuple[tuple[str, Growth], ...] = static()

    def init(self, key: jax.Array, x: Tree, **extra: Any) -> tuple[Tree, Tree]:
        params, state = self.model.init(key, x, **extra)
        keys = jax.vmap(jax.random.fold_in, (None, 0))(key, jnp.arange(DRAWS, dtype=jnp.uint32))
        drawn = jax.vmap(lambda key: self.base.init(key, x, **extra)[0])(keys)
        scales = self.init_scales

        def scaled(path: tuple, leaf: jax.Array, narrow: jax.Array) -> jax.Array:
            if leaf.shape == narrow.shape[1:]:
                return leaf
            own, wanted = _root_mean_square(leaf), scales[path_name(path)] * _root_mean_square(narrow)
            factor = jnp.where(own > 0, wanted / jnp.where(own > 0, own, 1), 1)
            return (factor * leaf.astype(factor.dtype)).astype(leaf.dtype)

        return jax.tree.map_with_path(scaled, params, drawn), state

    def apply(
        self,
        params: Tree,
        state: Tree,
        x: jax.Array,
        *,
        key: jax.Array | None = None,
        train: bool = False,
        **extra: Any,
    ) -> tuple[Tree, Tree]:
        return self.model.apply(params, state, x, key=key, train=train, **extra)

    @property
    def init_scales(self) -> dict[str, float]:
        """How large each leaf begins, in units of its size in the narrow model."""
        return {path: _init_scale(*growth) for path, growth in self.growth}

    def rates(self, optimizer: str = "adam") -> dict[str, float]:
        """The factor of each leaf's learning rate, for `layerwise_rates`.

        Arguments:
            optimizer: "adam" for all whose steps do not depend on the size of gradients (Adam, RMSProp,
                Lion, …), "sgd" for those that are linear in them (with any momentum).
        """
        check_choice("rates(optimizer)", optimizer, ("adam", "sgd"))
        return {path: 1 / a if optimizer == "adam" else b / a for path, (a, b) in self.growth}


def _init_scale(inputs: float, outputs: float) -> float:
    """Of the standard deviation."""
    return inputs ** (-1 if outputs == 1 else -1 / 2)


def _root_mean_square(x: jax.Array) -> jax.Array:
    x = x.astype(compute_dtype(x))
    return jnp.sqrt(jnp.mean(jnp.square(x)))


def mup(model: Any, base: Any, x: Tree, **extra: Any) -> Mup:
    """A model whose best hyperparameters are those of a narrower one: the maximal update parametrization.

            leaf                standard deviation     rate of Adam     rate of SGD
        between widths      base's/√a              η/a              η·b/a
        from a width        base's/a               η/a              η/a
        to a width          base's                 η                η·b

    where a leaf has a times the inputs and b times the outputs that it has in the base. In attention q·k/√H
    becomes q·k·√(H of the base)/H, and logits of `unembedding` are divided by a.

    Arguments:
        model: a layer, at the width wanted.
        base: the same model at the width where hyperparameters are tuned, "the base": it behaves as it would
            without `mup`. Widths may differ in any number of layers; depth, inputs and outputs must not.
        x: an input, or its `jax.ShapeDtypeStruct`.
        extra: further arguments of `init`, such as a `memory`.

    Returns:
        A `Mup` record, which is a layer like `model`: `init` draws as it does and scales each leaf; how large
        the leaves of the base are is measured on 16 draws. Its `rates("adam")` or `rates("sgd")` are the
        factors of the learning rate by path, its `init_scales` those of the first parameters.

    Raises:
        ValueError: the two models have other leaves, or a leaf differs in more than its last two axes (in the
            last, of biases and scales).

    Example:
        >>> from jaxopt_notes import adam, chain, layerwise_rates, mlp
        >>> model = mup(mlp([512, 512, 10]), mlp([32, 32, 10]), jax.ShapeDtypeStruct((1, 64), jnp.float32))
        >>> optimizer = chain(adam(1e-3), layerwise_rates(model.rates("adam")))
        >>> rates = model.rates("adam")
        >>> [rates[f"layers_{i}/kernel"] for i in (0, 2, 4)], rates["layers_2/bias"]
        ([1.0, 0.0625, 0.0625], 1.0)

    Source: Yang et al. 2021 ("Tensor Programs V"), tables 3 (all leaves but those of embeddings that
    unembed) and 8 (those), definition 4.1 for attention. It advises zeros for the last layer and for queries:
    narrow networks are then closer to the limit. Gradients shrink with width: Adam's `eps` has to be small.

    Elsewhere: the package `mup` marks shapes by `set_base_shapes`, has a `MuReadout` to be put last and
    optimizers of its own (`MuAdam`, `MuSGD`); nanoGPT-mup writes the factors into the model by hand. A kernel
    that stands transposed, [out, in], as in `conv_transpose` counts as between widths, or as the other kind.
    """
    wide, narrow = _shapes(model, x, extra), _shapes(base, x, extra)
    if list(wide) != list(narrow):
        raise ValueError(
            f"mup(base) has the leaves {', '.join(narrow)}, expected those of model, {', '.join(wide)}: let "
            "the two differ in width only."
        )
    shapes = {path: (narrow[path], shape) for path, shape in wide.items()}
    growth = tuple((path, _growth(path, *pair)) for path, pair in shapes.items())
    return Mup(_transferred(model, base, shapes), base, growth)


def _transferred(model: Any, base: Any, shapes: dict) -> Tree:
    """The model, its layers whose forward pass goes by the width (those with a `transferred`) replaced."""
    layers, treedef = jax.tree.flatten(model, is_leaf=_is_transferred)
    others = jax.tree.leaves(base, is_leaf=_is_transferred)
    layers = [
        layer.transferred(other, shapes) if _is_transferred(layer) else layer
        for layer, other in zip(layers, others, strict=True)
    ]
    return jax.tree.unflatten(treedef, layers)


def _is_transferred(layer: Any) -> bool:
    return hasattr(layer, "transferred")


def _shapes(model: Any, x: Tree, extra: dict) -> dict[str, tuple[int, ...]]:
    params, _ = jax.eval_shape(lambda x, extra: model.init(jax.random.key(0), x, **extra), x, extra)
    return {path_name(path): leaf.shape for path, leaf in jax.tree.leaves_with_path(params)}


def _growth(path: str, narrow: tuple[int, ...], wide: tuple[int, ...]) -> Growth:
    """How many times as long the axes of inputs and of outputs have become."""
    name = path.split("/")[-1]
    axes = 1 if name in ("bias", "scale") or len(wide) < 2 else 2
    if len(narrow) != len(wide) or narrow[:-axes] != wide[:-axes]:
        raise ValueError(
            f"mup: {path} has shape {narrow} in base and {wide} in model, expected the same but for "
            f"{'its last axis' if axes == 1 else 'its last two axes'}: let the two differ in width only."
        )
    ratios = [n / m if m else 1.0 for m, n in zip(narrow, wide, strict=True)][-axes:]
    inputs, outputs = [1.0] * (2 - len(ratios)) + ratios
    return inputs, outputs
