"""State dicts of torch as parameters of our models, and back, without importing torch.

A state dict is a dict of tensors by name. Torch keeps kernels with the outputs first, images with the
channels first, two biases in recurrent layers where one does, and queries, keys and values in one matrix.
`TORCH` has, kind by kind, what stands where; by default modules are called as in `torch.nn.Sequential`.

What a state dict does not say must be the same in both models: ε, the form of GELU, which padding, the
momentum of running statistics (torch's 0.1 is 0.9 here). Recurrent layers and attention of torch have the
batch first only with `batch_first=True`.
"""

from collections.abc import Callable, Mapping
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
    writable,
)
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
from jaxopt_notes.layers.gru import Gru
from jaxopt_notes.layers.layer import Layer, Shaped
from jaxopt_notes.layers.layer_norm import LayerNorm
from jaxopt_notes.layers.positions import LearnedPositions
from jaxopt_notes.layers.prelu import PReLU
from jaxopt_notes.layers.recurrent import Recurrent
from jaxopt_notes.layers.rms_norm import RMSNorm
from jaxopt_notes.layers.weight_norm import WeightNorm
from jaxopt_notes.serialization.leaf import is_extension

Names = Mapping[str, str] | Callable[[str], str | None]


def outputs_first(kernel: np.ndarray) -> np.ndarray:
    """[*window, I, O] → [O, I, *window], of a dense layer and of convolutions of either kind."""
    return np.moveaxis(kernel, (-1, -2), (0, 1))


def outputs_last(weight: np.ndarray) -> np.ndarray:
    """[O, I, *window] → [*window, I, O]."""
    return np.moveaxis(weight, (0, 1), (-1, -2))


def channels_first(array: np.ndarray) -> np.ndarray:
    """Of parameters on the axes of an image [H, W, C]; those on fewer axes stay."""
    return np.moveaxis(array, -1, 0) if array.ndim > 2 else array


def channels_last(array: np.ndarray) -> np.ndarray:
    """The inverse of `channels_first`."""
    return np.moveaxis(array, 0, -1) if array.ndim > 2 else array


BIAS = Move("bias")
WEIGHT = Move("weight")
KERNEL = Move("weight", outputs_first, outputs_last)
SCALE_OF_AXES = Move("weight", channels_first, channels_last)
BIAS_OF_AXES = Move("bias", channels_first, channels_last)


# A dense layer, whose inputs may be an image that torch flattens with its channels first.


def _give_dense(place: Place) -> Entries:
    weight = outputs_first(place.params["kernel"])
    if place.image is not None:
        weight = np.moveaxis(weight.reshape(-1, *place.image), -1, 1).reshape(len(weight), -1)
    return {"weight": weight} | {name: b for name, b in place.params.items() if name == "bias"}


def _take_dense(place: Place, entries: Entries) -> tuple[Tree, Tree]:
    weight = entries["weight"]
    if place.image is not None:
        *size, channels = place.image
        weight = np.moveaxis(weight.reshape(-1, channels, *size), 1, -1).reshape(len(weight), -1)
    params = {"kernel": outputs_last(weight)}
    return params | {name: b for name, b in entries.items() if name == "bias"}, ()


# Batch normalization, which in torch counts its batches.


def _give_batch_norm(place: Place) -> Entries:
    entries = _BATCH_NORM.give(place)
    return entries | {"num_batches_tracked": np.zeros((), np.int64)}


_BATCH_NORM = moving(
    {"scale": WEIGHT, "bias": BIAS}, {"mean": Move("running_mean"), "var": Move("running_var")}
)


# Recurrent layers: a bias for each of both products, of which only a GRU's candidate needs the second.


def _give_recurrent(place: Place) -> Entries:
    inner, outer = place.params["input"], place.params["recurrent"]
    second = np.zeros_like(inner["bias"])
    if "bias" in outer:
        second = np.concatenate([second[: -len(outer["bias"])], outer["bias"]])
    return {
        "weight_ih_l0": outputs_first(inner["kernel"]),
        "weight_hh_l0": outputs_first(outer["kernel"]),
        "bias_ih_l0": inner["bias"],
        "bias_hh_l0": second,
    }


def _take_recurrent(place: Place, entries: Entries) -> tuple[Tree, Tree]:
    first, second = entries["bias_ih_l0"], entries["bias_hh_l0"]
    recurrent = {"kernel": outputs_last(entries["weight_hh_l0"])}
    if isinstance(place.layer, Gru):
        redundant = 2 * place.layer.features
        recurrent["bias"] = second[redundant:]
        second = np.concatenate([second[:redundant], np.zeros_like(second[redundant:])])
    inner = {"kernel": outputs_last(entries["weight_ih_l0"]), "bias": first + second}
    return {"input": inner, "recurrent": recurrent}, ()


_WAYS = {"forward": "", "backward": "_reverse"}


def _give_bidirectional(place: Place) -> Entries:
    entries: Entries = {}
    for way, suffix in _WAYS.items():
        one = place._replace(layer=getattr(place.layer, way), params=place.params[way])
        entries |= {name + suffix: array for name, array in _give_recurrent(one).items()}
    return entries


def _take_bidirectional(place: Place, entries: Entries) -> tuple[Tree, Tree]:
    params = {}
    for way, suffix in _WAYS.items():
        one = place._replace(layer=getattr(place.layer, way))
        own = {
            name.removesuffix(suffix): array
            for name, array in entries.items()
            if name.endswith("_reverse") == bool(suffix)
        }
        params[way] = _take_recurrent(one, own)[0]
    return params, ()


# Attention: queries, keys and values in one matrix, unless keys come from a memory of another size.

_PROJECTIONS = ("query", "key", "value")


def _give_attention(place: Place) -> Entries:
    if place.layer.heads != place.layer.kv_heads:
        raise TypeError(f"{place} shares keys among queries, which torch.nn.MultiheadAttention cannot.")
    weights = [outputs_first(place.params[name]["kernel"]) for name in _PROJECTIONS]
    entries = {"out_proj.weight": outputs_first(place.params["out"]["kernel"])}
    if len({weight.shape for weight in weights}) == 1:
        entries["in_proj_weight"] = np.concatenate(weights)
    else:
        entries |= {f"{name[0]}_proj_weight": w for name, w in zip(_PROJECTIONS, weights, strict=True)}
    if "bias" in place.params["out"]:
        entries["in_proj_bias"] = np.concatenate([place.params[name]["bias"] for name in _PROJECTIONS])
        entries["out_proj.bias"] = place.params["out"]["bias"]
    return entries


def _take_attention(place: Place, entries: Entries) -> tuple[Tree, Tree]:
    if "in_proj_weight" in entries:
        weights = np.split(entries["in_proj_weight"], 3)
    else:
        weights = [entries[f"{name[0]}_proj_weight"] for name in _PROJECTIONS]
    params = {name: {"kernel": outputs_last(w)} for name, w in zip(_PROJECTIONS, weights, strict=True)}
    params["out"] = {"kernel": outputs_last(entries["out_proj.weight"])}
    if "in_proj_bias" in entries:
        biases = [*np.split(entries["in_proj_bias"], 3), entries["out_proj.bias"]]
        for name, bias in zip((*_PROJECTIONS, "out"), biases, strict=True):
            params[name]["bias"] = bias
    return params, ()


# Weight normalization as a parametrization: original0 is the length, original1 the direction.


def _give_weight_norm(place: Place) -> Entries:
    weight, scale = outputs_first(place.params["kernel"]), place.params["scale"]
    original = "parametrizations.weight.original"
    entries = {f"{original}0": scale.reshape(-1, *[1] * (weight.ndim - 1)), f"{original}1": weight}
    return entries | {name: b for name, b in place.params.items() if name == "bias"}


def _take_weight_norm(place: Place, entries: Entries) -> tuple[Tree, Tree]:
    original = "parametrizations.weight.original"
    params = {"kernel": outputs_last(entries[f"{original}1"]), "scale": entries[f"{original}0"].reshape(-1)}
    return params | {name: b for name, b in entries.items() if name == "bias"}, ()


DENSE = Rule(_give_dense, _take_dense)
TORCH = Library(
    "torch",
    {
        Dense: DENSE,
        GLU: DENSE,  # a Linear of twice the size before torch.nn.GLU
        Conv: moving({"kernel": KERNEL, "bias": BIAS}),
        ConvTranspose: moving({"kernel": KERNEL, "bias": BIAS}),  # inputs first, as the convolution it is of
        BatchNorm: Rule(_give_batch_norm, _BATCH_NORM.take, unread=("num_batches_tracked",)),
        LayerNorm: moving({"scale": SCALE_OF_AXES, "bias": BIAS_OF_AXES}),
        RMSNorm: moving({"scale": SCALE_OF_AXES}),
        GroupNorm: moving({"scale": WEIGHT, "bias": BIAS}),  # instance normalization too
        WeightNorm: Rule(_give_weight_norm, _take_weight_norm),
        PReLU: moving({"negative_slope": WEIGHT}),
        Embedding: moving({"embedding": WEIGHT}),
        LearnedPositions: moving({"embedding": WEIGHT}),
        Unembedding: moving({"embedding": WEIGHT}),
        Recurrent: Rule(_give_recurrent, _take_recurrent),
        Bidirectional: Rule(_give_bidirectional, _take_bidirectional),
        MultiHeadAttention: Rule(_give_attention, _take_attention),
    },
)


def _naming(names: Names | None) -> Naming:
    """Whole names in a state dict. Recurrent layers of one module are its levels, l0, l1, … in order."""
    given = as_path_names(names)
    levels: dict[str, list] = {}

    def whole(place: Place, name: str) -> str:
        module = ".".join(named(place, given, lambda part: str(part).removeprefix("layers_")))
        if isinstance(place.layer, Recurrent | Bidirectional):
            level = levels.setdefault(module, [])
            if place.path not in level:
                level.append(place.path)
            name = name.replace("_l0", f"_l{level.index(place.path)}")
        return f"{module}.{name}" if module else name

    return whole


def from_torch(
    model: Layer, state_dict: Mapping[str, Any], x: Shaped, *, names: Names | None = None, **extra: Any
) -> tuple[Tree, Tree]:
    """Parameters and state of a model from a state dict of torch.

        weight [O, I] → kernel [I, O]            weight [O, I, h, w] → kernel [h, w, I, O]

    Both biases of a recurrent layer are added up, but for a GRU's candidate, where they are two. Of a dense
    layer after `flatten` the inputs are put in our order, for images [B, H, W, C] (and for signals [B, L, C],
    in a model with convolutions of signals).

    Arguments:
        model: a layer of any kind.
        state_dict: tensors (of any device), NumPy or JAX arrays by name: `module.state_dict()`, or what
            `load_params` reads of a .safetensors file.
        x: an input of the model, or its `jax.ShapeDtypeStruct`, as for `model.init`.
        names: what modules are called, by the path of our layer: {"layers_0": "conv1"}, or a function of it
            that may return `None`. What stands below a named path is called as by default: "0", "1", … in a
            `serial`, a `branch` and a `repeat`, "layer" and "shortcut" in a `residual`. Several recurrent
            layers of one name are the levels of one module.
        extra: further arguments of `model.init`, such as a `memory`.

    Returns:
        `(params, state)` as from `model.init`, in its dtypes.

    Raises:
        ValueError: entries are missing, left over, of another shape or dtype; the message lists them all by
            name. TypeError: a layer has no counterpart in torch.

    Example:
        >>> import jax.numpy as jnp
        >>> from jaxopt_notes.layers.dense import dense
        >>> from jaxopt_notes.layers.serial import serial
        >>> entries = {"0.weight": np.array([[1.0, 2.0]]), "0.bias": np.array([3.0])}
        >>> from_torch(serial(dense(1), jnp.tanh), entries, jnp.ones((1, 2)))[0]
        {'layers_0': {'bias': Array([3.], dtype=float32), 'kernel': Array([[1.],
               [2.]], dtype=float32)}}

    Elsewhere: torch's `load_state_dict(strict=True)` checks names and shapes likewise.
    """
    return TORCH.imported("from_torch(state_dict)", model, state_dict, x, extra, _naming(names))


def to_torch(
    model: Layer, params: Tree, state: Tree, x: Shaped, *, names: Names | None = None, **extra: Any
) -> dict[str, np.ndarray]:
    """Parameters and state of a model as a state dict of torch.

        kernel [I, O] → weight [O, I]            kernel [h, w, I, O] → weight [O, I, h, w]

    The second bias of a recurrent layer is 0, but for a GRU's candidate.

    Arguments:
        model, params, state: a layer, and what its `init` or a training run returned.
        x, names, extra: as in `from_torch`.

    Returns:
        NumPy arrays by name, bfloat16 widened to float32:
        `module.load_state_dict({name: torch.from_numpy(array) for name, array in entries.items()})`.

    Raises:
        TypeError: a layer has no counterpart in torch. ValueError: two layers have one name.

    Example:
        >>> import jax
        >>> import jax.numpy as jnp
        >>> from jaxopt_notes.layers.dense import dense
        >>> params, state = dense(3).init(jax.random.key(0), jnp.ones((1, 2)))
        >>> {name: array.shape for name, array in to_torch(dense(3), params, state, jnp.ones((1, 2))).items()}
        {'weight': (3, 2), 'bias': (3,)}
    """
    params, state = jax.tree.map(_readable, (params, state))
    entries = TORCH.exported(places(model, params, state, x, extra), _naming(names))
    return {name: writable(array) for name, array in entries.items()}


def _readable(leaf: Any) -> np.ndarray:
    """What torch can make a tensor of."""
    array = as_numpy(leaf)
    return array.astype(np.float32) if is_extension(array.dtype) else array
