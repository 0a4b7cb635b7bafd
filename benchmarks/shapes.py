"""Parameter trees of the sizes people train: ResNet-50, a Transformer, one large leaf, many tiny ones."""

import jax
import jax.numpy as jnp


def resnet50() -> dict[str, jax.ShapeDtypeStruct]:
    """161 leaves, 25.6 million parameters: ResNet-50 with batch normalization."""
    shapes: list[tuple[int, ...]] = [(7, 7, 3, 64), (64,), (64,)]
    channels = 64
    for width, blocks in [(64, 3), (128, 4), (256, 6), (512, 3)]:
        for block in range(blocks):
            for kernel in [(1, 1, channels, width), (3, 3, width, width), (1, 1, width, 4 * width)]:
                shapes += [kernel, (kernel[-1],), (kernel[-1],)]
            if block == 0:
                shapes += [(1, 1, channels, 4 * width), (4 * width,), (4 * width,)]
            channels = 4 * width
    return tree([*shapes, (2048, 1000), (1000,)])


def transformer(layers: int = 60, width: int = 192) -> dict[str, jax.ShapeDtypeStruct]:
    """12 leaves a layer and an embedding, 721 leaves: a deep, narrow Transformer of 28 million parameters."""
    block = [(width, 3 * width), (3 * width,), (width, width), (width,), (width, 4 * width), (4 * width,)]
    block += [(4 * width, width), (width,), (width,), (width,), (width,), (width,)]
    return tree([(5000, width), *block * layers])


def one_leaf(rows: int = 4096, columns: int = 2048) -> dict[str, jax.ShapeDtypeStruct]:
    """A single matrix, far larger than any cache."""
    return tree([(rows, columns)])


def tiny_leaves(leaves: int = 2000, size: int = 100) -> dict[str, jax.ShapeDtypeStruct]:
    """Many leaves of a few numbers each."""
    return tree([(size,)] * leaves)


def tree(shapes: list[tuple[int, ...]]) -> dict[str, jax.ShapeDtypeStruct]:
    return {f"p{i:04d}": jax.ShapeDtypeStruct(shape, jnp.float32) for i, shape in enumerate(shapes)}


def size(params: dict) -> int:
    """The number of parameters."""
    return sum(leaf.size for leaf in jax.tree.leaves(params))
