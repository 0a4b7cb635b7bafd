"""What torch and torchvision call the layers of networks that they have ready: `names` for `from_torch`."""

from typing import Any

from jaxopt_notes.interop.places import children
from jaxopt_notes.layers.attention import MultiHeadAttention
from jaxopt_notes.layers.dense import Dense
from jaxopt_notes.layers.layer_norm import LayerNorm
from jaxopt_notes.models.resnet import BLOCKS
from jaxopt_notes.record import check_choice


def torchvision_resnet_names(depth: int = 50, *, scan: bool = False) -> dict[str, str]:
    """The modules of torchvision's ResNet, by the paths of the layers of `models.resnet`.

        layers_0 → conv1            layers_4/layers_0/layer/layers_0 → layer1.0.conv1            …

    Arguments:
        depth: 18, 34, 50, 101 or 152.
        scan: as in `models.resnet`.

    Returns:
        A dict for `names` of `from_torch` and `to_torch`. Torch's padding, ε and momentum are those of
        `models.resnet`; images are [B, H, W, 3] here, standardized as they were for the network.

    Raises:
        ValueError: another depth.

    Example:
        >>> names = torchvision_resnet_names(18)
        >>> names["layers_6/layers_0/shortcut/layers_0"], names["layers_13"]
        ('layer2.0.downsample.0', 'fc')
        >>> from jaxopt_notes.models import resnet  # the file is torchvision's, saved as safetensors
        >>> weights = load_params("resnet18.safetensors")  # doctest: +SKIP
        >>> x = jax.ShapeDtypeStruct((1, 224, 224, 3), "float32")  # doctest: +SKIP
        >>> params, state = from_torch(resnet(depth=18), weights, x, names=names)  # doctest: +SKIP
    """
    counts = BLOCKS[check_choice("torchvision_resnet_names(depth)", depth, tuple(BLOCKS))]
    convolutions = 2 if depth < 50 else 3
    names = {"layers_0": "conv1", "layers_1": "bn1"}
    place = 4  # after the activation and the pooling
    for stage, count in enumerate(counts, 1):
        looped = scan and count > 2
        for block in range(count):
            path = f"layers_{place + min(block, 1)}" if looped else f"layers_{place + block}"
            path += f"/layer/{block - 1}" if looped and block else ""
            module = f"layer{stage}.{block}"
            for i in range(convolutions):
                for j, kind in enumerate(("conv", "bn")):
                    names[f"{path}/layers_0/layer/layers_{3 * i + j}"] = f"{module}.{kind}{i + 1}"
            names[f"{path}/layers_0/shortcut"] = f"{module}.downsample"
            names |= {f"{path}/layers_0/shortcut/layers_{j}": f"{module}.downsample.{j}" for j in range(2)}
        place += 2 if looped else count
    return names | {f"layers_{place + 1}": "fc"}  # after the mean over pixels


def torch_transformer_names(block: Any, path: str = "", module: str = "") -> dict[str, str]:
    """The modules of torch's `TransformerEncoderLayer` and `TransformerDecoderLayer`, by our paths.

        norm1, norm2, (norm3), self_attn, (multihead_attn), linear1, linear2            in the order of use

    Arguments:
        block: a `transformer_block`, which says what there is.
        path: where it stands in the model; a block of a `repeat` is "layers_1/layer/0".
        module: what torch calls it: "layers.0" in a `TransformerEncoder`.

    Returns:
        A dict for `names` of `from_torch` and `to_torch`; those of several blocks make one by `|`.

    Example:
        >>> from jaxopt_notes.layers.transformer import transformer_block
        >>> torch_transformer_names(transformer_block(8, 2), "layers_1/layer/0", "layers.0")
        ... # doctest: +NORMALIZE_WHITESPACE
        {'layers_1/layer/0/layers_0/layer/layers_0': 'layers.0.norm1',
         'layers_1/layer/0/layers_0/layer/layers_1': 'layers.0.self_attn',
         'layers_1/layer/0/layers_1/layer/layers_0': 'layers.0.norm2',
         'layers_1/layer/0/layers_1/layer/layers_1': 'layers.0.linear1',
         'layers_1/layer/0/layers_1/layer/layers_3': 'layers.0.linear2'}
    """
    called = {
        LayerNorm: iter(("norm1", "norm2", "norm3")),
        MultiHeadAttention: iter(("self_attn", "multihead_attn")),
        Dense: iter(("linear1", "linear2")),
    }
    names: dict[str, str] = {}

    def walk(layer: Any, path: str) -> None:
        if type(layer) in called:
            name = next(called[type(layer)])
            names[path] = f"{module}.{name}" if module else name
        for name, child in children(layer):
            walk(child, f"{path}/{name}" if path else name)

    walk(block, path)
    return names
