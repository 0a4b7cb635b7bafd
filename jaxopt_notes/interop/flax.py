"""Variables of Flax, linen and NNX, as parameters of our models, and back.

Most of ours have Flax's names and layouts already, so plain dicts move by path. What differs: linen keeps a
kernel for each gate of a recurrent cell, attention has an axis for the heads, transposed convolutions are
flipped, running statistics are a collection of their own (linen) or stand beside the scale (NNX), and NNX
numbers the layers of a `Sequential` in a list. `LINEN` and `NNX` have, kind by kind, what stands where.

What variables do not say must be the same in both models: ε (1e-6 for some of Flax's, 1e-5 here), the
momentum of running statistics (0.99 there, 0.9 here) and whether their variance is the unbiased one
(`batch_norm(unbiased=False)` is Flax's), the form of GELU.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import jax
import numpy as np

from jaxopt_notes.dtypes import Tree
from jaxopt_notes.interop.exchange import (
    Entries,
    Library,
    Move,
    Naming,
    Rule,
    as_numpy,
    as_path_names,
    moving,
    named,
)
from jaxopt_notes.interop.flax_cells import LINEN_CELL, NNX_CELL, both_ways
from jaxopt_notes.interop.places import Place, places
from jaxopt_notes.layers.attention import MultiHeadAttention
from jaxopt_notes.layers.batch_norm import BatchNorm
from jaxopt_notes.layers.bidirectional import Bidirectional
from jaxopt_notes.layers.conv import Conv
from jaxopt_notes.layers.conv_transpose import ConvTranspose
from jaxopt_notes.layers.dense import Dense
from jaxopt_notes.layers.embedding import Embedding, Unembedding
from jaxopt_notes.layers.glu import GLU
from jaxopt_notes.layers.group_norm import GroupNorm
from jaxopt_notes.layers.layer import Layer, Shaped
from jaxopt_notes.layers.layer_norm import LayerNorm
from jaxopt_notes.layers.positions import LearnedPositions
from jaxopt_notes.layers.prelu import PReLU
from jaxopt_notes.layers.recurrent import Recurrent
from jaxopt_notes.layers.rms_norm import RMSNorm

Names = Mapping[str, str] | Callable[[str], str | None]
# Names of entries begin with the collection; what follows is the path in the module.
KERNEL, BIAS, SCALE = (Move(f"params/{name}") for name in ("kernel", "bias", "scale"))
MEAN, VAR = (Move(f"batch_stats/{name}") for name in ("mean", "var"))
EMBEDDING = Move("params/embedding")


def _flipped(kernel: np.ndarray) -> np.ndarray:
    """A transposed convolution's kernel, [*window, O, I] → [*window, I, O] or back, and turned around."""
    return np.swapaxes(np.flip(kernel, tuple(range(kernel.ndim - 2))), -1, -2)


def _give_conv_transpose(place: Place) -> Entries:
    if place.layer.groups != 1:
        raise TypeError(f"{place} has groups, which Flax's ConvTranspose cannot have.")
    return _CONV_TRANSPOSE.give(place)


_CONV_TRANSPOSE = moving({"kernel": Move("params/kernel", _flipped, _flipped), "bias": BIAS})


def _give_prelu(place: Place) -> Entries:
    if not place.layer.shared:
        raise TypeError(f"{place} has a slope for each channel, Flax's one for all: use prelu(shared=True).")
    return {"params/negative_slope": place.params["negative_slope"].reshape(())}


def _take_prelu(place: Place, entries: Entries) -> tuple[Tree, Tree]:
    return {"negative_slope": entries["params/negative_slope"].reshape(1)}, ()


# Attention: the kernel of queries is [D, N, H], that of outputs [N, H, D].


def _give_attention(place: Place) -> Entries:
    heads = place.layer.heads
    if heads != place.layer.kv_heads:
        raise TypeError(f"{place} shares keys among queries, which Flax's attention does not.")
    entries: Entries = {}
    for name, own in place.params.items():
        split = (heads, -1, own["kernel"].shape[1]) if name == "out" else (own["kernel"].shape[0], heads, -1)
        entries[f"params/{name}/kernel"] = own["kernel"].reshape(split)
        if "bias" in own:
            entries[f"params/{name}/bias"] = own["bias"] if name == "out" else own["bias"].reshape(heads, -1)
    return entries


def _take_attention(place: Place, entries: Entries) -> tuple[Tree, Tree]:
    params: dict[str, Any] = {}
    for entry, array in entries.items():
        _, name, leaf = entry.split("/")
        if leaf == "kernel":
            array = array.reshape((-1, array.shape[-1]) if name == "out" else (len(array), -1))
        params.setdefault(name, {})[leaf] = array.reshape(-1) if leaf == "bias" else array
    return params, ()


_COMMON: dict[type, Rule] = {
    Dense: moving({"kernel": KERNEL, "bias": BIAS}),
    GLU: moving({"kernel": KERNEL, "bias": BIAS}),  # a Dense of twice the size before nn.glu
    Conv: moving({"kernel": KERNEL, "bias": BIAS}),
    ConvTranspose: Rule(_give_conv_transpose, _CONV_TRANSPOSE.take),
    BatchNorm: moving({"scale": SCALE, "bias": BIAS}, {"mean": MEAN, "var": VAR}),
    LayerNorm: moving({"scale": SCALE, "bias": BIAS}),
    RMSNorm: moving({"scale": SCALE}),
    GroupNorm: moving({"scale": SCALE, "bias": BIAS}),  # instance normalization too
    PReLU: Rule(_give_prelu, _take_prelu),
    Embedding: moving({"embedding": EMBEDDING}),
    LearnedPositions: moving({"embedding": EMBEDDING}),
    Unembedding: moving({"embedding": EMBEDDING}),
    MultiHeadAttention: Rule(_give_attention, _take_attention),
}


LINEN = Library("Flax", _COMMON | {Recurrent: LINEN_CELL, Bidirectional: both_ways(LINEN_CELL)})
NNX = Library("NNX", _COMMON | {Recurrent: NNX_CELL, Bidirectional: both_ways(NNX_CELL)})


def _linen_naming(names: Names | None) -> Naming:
    given = as_path_names(names)

    def whole(place: Place, name: str) -> str:
        collection, _, leaf = name.partition("/")
        module = named(place, given, lambda part: part if isinstance(part, str) else f"layers_{part}")
        return "/".join([collection, *module, leaf])

    return whole


def _nnx_naming(names: Names | None) -> Naming:
    given = as_path_names(names)

    def default(part: str | int) -> str:
        number = str(part).removeprefix("layers_")
        return f"layers/{number}" if number.isdigit() else number

    def whole(place: Place, name: str) -> str:
        return "/".join([*named(place, given, default), name.partition("/")[2]])

    return whole


def _flat(tree: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[str, Any]]:
    if isinstance(tree, Mapping):
        for name, below in tree.items():
            yield from _flat(below, (*path, str(name)))
    else:
        yield "/".join(path), tree


def _nested(entries: Entries) -> dict[Any, Any]:
    tree: dict[Any, Any] = {}
    for name, array in entries.items():
        *parents, last = (int(part) if part.isdigit() else part for part in name.split("/"))
        node = tree
        for parent in parents:
            node = node.setdefault(parent, {})
        node[last] = jax.device_put(array)
    return tree


def from_flax(
    model: Layer, variables: Mapping[str, Any], x: Shaped, *, names: Names | None = None, **extra: Any
) -> tuple[Tree, Tree]:
    """Parameters and state of a model from variables of Flax linen.

        params/layers_0/kernel → layers_0/kernel            batch_stats/layers_1/mean → layers_1/mean

    Arguments:
        model: a layer of any kind.
        variables: `{"params": …, "batch_stats": …}`, as from `module.init`. Recurrent layers are those of
            `nn.RNN` (`OptimizedLSTMCell` or `LSTMCell`, `GRUCell`, `SimpleCell`) and `nn.Bidirectional`.
        x: an input of the model, or its `jax.ShapeDtypeStruct`, as for `model.init`.
        names: what modules are called, by the path of our layer: {"layers_0": "Dense_0"}, or a function of it
            that may return `None`. What stands below a named path is called as in `nn.Sequential`:
            "layers_0", "layers_1", …; and in a `residual` "layer" and "shortcut".
        extra: further arguments of `model.init`, such as a `memory`.

    Returns:
        `(params, state)` as from `model.init`, in its dtypes.

    Raises:
        ValueError: entries are missing, left over, of another shape or dtype; the message lists them all by
            name. TypeError: a layer has no counterpart in Flax.

    Example:
        >>> from jaxopt_notes.layers.lstm import lstm
        >>> shapes, _ = jax.eval_shape(lstm(2).init, jax.random.key(0), np.ones((1, 3, 4), np.float32))
        >>> variables = to_flax(lstm(2), jax.tree.map(lambda leaf: np.ones(leaf.shape), shapes))
        >>> params, _ = from_flax(lstm(2), variables, np.ones((1, 3, 4), np.float32))
        >>> variables["params"]["cell"]["ii"]["kernel"].shape, params["input"]["kernel"].shape
        ((4, 2), (4, 8))
    """
    entries = dict(_flat(variables))
    return LINEN.imported("from_flax(variables)", model, entries, x, extra, _linen_naming(names))


def to_flax(model: Layer, params: Tree, state: Tree = (), *, names: Names | None = None) -> dict[str, Any]:
    """Parameters and state of a model as variables of Flax linen.

        layers_0/kernel → params/layers_0/kernel            layers_1/mean → batch_stats/layers_1/mean

    Arguments:
        model, params, state: a layer, and what its `init` or a training run returned.
        names: as in `from_flax`.

    Returns:
        `{"params": …, "batch_stats": …}`, those that there are, for `module.apply`.

    Raises:
        TypeError: a layer has no counterpart in Flax. ValueError: two layers have one name.

    Example:
        >>> from jaxopt_notes.layers.batch_norm import batch_norm
        >>> params, state = batch_norm().init(jax.random.key(0), np.ones((1, 2), np.float32))
        >>> jax.tree.map(np.shape, to_flax(batch_norm(), params, state))
        {'batch_stats': {'mean': (2,), 'var': (2,)}, 'params': {'bias': (2,), 'scale': (2,)}}
    """
    params, state = jax.tree.map(as_numpy, (params, state))
    return _nested(LINEN.exported(places(model, params, state), _linen_naming(names)))


def from_nnx(
    model: Layer, state: Tree, x: Shaped, *, names: Names | None = None, **extra: Any
) -> tuple[Tree, Tree]:
    """Parameters and state of a model from a module of Flax NNX, its state or that as a plain dict.

        layers/0/kernel → layers_0/kernel

    Arguments:
        model: a layer of any kind.
        state: an `nnx.Module`, an `nnx.State`, or the dict that `nnx.to_pure_dict` makes of one; states of
            random generators ("rngs") are passed over. Recurrent layers are those of `nnx.RNN`
            (`OptimizedLSTMCell`, `GRUCell`, `SimpleCell`) and `nnx.Bidirectional`.
        x, extra: as in `from_flax`.
        names: what modules are called, by the path of our layer: {"layers_0": "linear1"}, or a function of it
            that may return `None`. What stands below a named path is called as in `nnx.Sequential`:
            "layers/0", "layers/1", ….

    Returns:
        `(params, state)` as from `model.init`, in its dtypes.

    Raises:
        As `from_flax`.

    Example:
        >>> from jaxopt_notes.layers.dense import dense
        >>> from jaxopt_notes.layers.serial import serial
        >>> state = {"layers": {0: {"kernel": np.ones((2, 1)), "bias": np.zeros(1)}}}
        >>> from_nnx(serial(dense(1)), state, np.ones((1, 2), np.float32))[0]["layers_0"]["bias"]
        Array([0.], dtype=float32)
    """
    if not isinstance(state, dict):
        from flax import nnx

        state = nnx.to_pure_dict(nnx.state(state) if isinstance(state, nnx.Module) else state)
    entries = {name: array for name, array in _flat(state) if "rngs" not in name.split("/")}
    return NNX.imported("from_nnx(state)", model, entries, x, extra, _nnx_naming(names))


def to_nnx(model: Layer, params: Tree, state: Tree = (), *, names: Names | None = None) -> dict[Any, Any]:
    """Parameters and state of a model as a plain dict for a module of Flax NNX.

        layers_0/kernel → layers/0/kernel

    Arguments:
        model, params, state: a layer, and what its `init` or a training run returned.
        names: as in `from_nnx`.

    Returns:
        A nested dict: `nnx.update(module, to_nnx(model, params, state))`.

    Raises:
        TypeError: a layer has no counterpart in NNX. ValueError: two layers have one name; a `gru` has a bias
            behind its reset gate, where NNX's has none.

    Example:
        >>> from jaxopt_notes.layers.serial import serial
        >>> from jaxopt_notes.layers.dense import dense
        >>> params = {"layers_1": {"kernel": np.ones((2, 3))}}
        >>> jax.tree.map(np.shape, to_nnx(serial(np.tanh, dense(3)), params))
        {'layers': {1: {'kernel': (2, 3)}}}
    """
    params, state = jax.tree.map(as_numpy, (params, state))
    return _nested(NNX.exported(places(model, params, state), _nnx_naming(names)))
