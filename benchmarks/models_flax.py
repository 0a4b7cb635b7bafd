"""The ready models in Flax linen, as its users write them: the peers of `benchmarks.models`."""

from collections.abc import Sequence
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp


class Mlp(nn.Module):
    sizes: Sequence[int]
    batch_norm: bool = False

    @nn.compact
    def __call__(self, x: Any, train: bool = True) -> Any:
        for size in self.sizes[:-1]:
            x = nn.Dense(size, use_bias=not self.batch_norm)(x)
            if self.batch_norm:
                x = nn.BatchNorm(not train, momentum=0.9)(x)
            x = nn.relu(x)
        return nn.Dense(self.sizes[-1])(x)


class Autoencoder(nn.Module):
    features: int
    sizes: Sequence[int]

    @nn.compact
    def __call__(self, x: Any, train: bool = True) -> Any:
        x = Mlp(self.sizes)(x)
        return Mlp([*reversed(self.sizes[:-1]), self.features])(x)


class LeNet(nn.Module):
    classes: int = 10

    @nn.compact
    def __call__(self, x: Any, train: bool = True) -> Any:
        x = nn.avg_pool(nn.tanh(nn.Conv(6, (5, 5))(x)), (2, 2), (2, 2))
        x = nn.avg_pool(nn.tanh(nn.Conv(16, (5, 5), padding="VALID")(x)), (2, 2), (2, 2))
        x = x.reshape(x.shape[0], -1)
        for size in (120, 84):
            x = nn.tanh(nn.Dense(size)(x))
        return nn.Dense(self.classes)(x)


def conv(features: int, size: int, strides: int = 1) -> Any:
    return nn.Conv(features, (size, size), (strides, strides), padding=size // 2, use_bias=False)


def norm(train: bool) -> Any:
    return nn.BatchNorm(not train, momentum=0.9)


class ResidualBlock(nn.Module):
    features: int
    strides: int = 1
    project: bool = False

    @nn.compact
    def __call__(self, x: Any, train: bool = True) -> Any:
        y = nn.relu(norm(train)(conv(self.features, 3, self.strides)(x)))
        y = norm(train)(conv(self.features, 3)(y))
        if self.project:
            x = norm(train)(conv(self.features, 1, self.strides)(x))
        elif self.strides > 1:
            x = jnp.pad(x[:, ::2, ::2], ((0, 0), (0, 0), (0, 0), (0, x.shape[-1])))
        return nn.relu(x + y)


class CifarResNet(nn.Module):
    depth: int
    width: int = 16
    classes: int = 10

    @nn.compact
    def __call__(self, x: Any, train: bool = True) -> Any:
        x = nn.relu(norm(train)(conv(self.width, 3)(x)))
        for stage in range(3):
            for i in range((self.depth - 2) // 6):
                strides = 2 if stage > 0 and i == 0 else 1
                x = ResidualBlock(self.width * 2**stage, strides)(x, train)
        return nn.Dense(self.classes)(jnp.mean(x, (1, 2)))


class ResNet18(nn.Module):
    classes: int = 1000

    @nn.compact
    def __call__(self, x: Any, train: bool = True) -> Any:
        x = nn.relu(norm(train)(conv(64, 7, 2)(x)))
        x = nn.max_pool(x, (3, 3), (2, 2), ((1, 1), (1, 1)))
        for stage in range(4):
            for i in range(2):
                changes = stage > 0 and i == 0
                x = ResidualBlock(64 * 2**stage, 2 if changes else 1, changes)(x, train)
        return nn.Dense(self.classes)(jnp.mean(x, (1, 2)))


class DenseNet(nn.Module):
    depth: Sequence[int]
    growth_rate: int
    width: int
    classes: int = 10

    @nn.compact
    def __call__(self, x: Any, train: bool = True) -> Any:
        x = conv(self.width, 3)(x)
        for i, count in enumerate(self.depth):
            for _ in range(count):
                y = conv(4 * self.growth_rate, 1)(nn.relu(norm(train)(x)))
                y = conv(self.growth_rate, 3)(nn.relu(norm(train)(y)))
                x = jnp.concatenate([x, y], -1)
            if i + 1 < len(self.depth):
                x = conv(x.shape[-1] // 2, 1)(nn.relu(norm(train)(x)))
                x = nn.avg_pool(x, (2, 2), (2, 2))
        return nn.Dense(self.classes)(jnp.mean(nn.relu(norm(train)(x)), (1, 2)))


class Fcn(nn.Module):
    classes: int
    channels: Sequence[int]

    @nn.compact
    def __call__(self, x: Any, train: bool = True) -> Any:
        skips = []
        for i, features in enumerate(self.channels):
            x = nn.max_pool(x, (2, 2), (2, 2)) if i else x
            for _ in range(2):
                x = nn.relu(nn.Conv(features, (3, 3))(x))
            skips.append(nn.Conv(self.classes, (1, 1))(x))
        y = skips.pop()
        for fine in reversed(skips):
            y = fine + jax.image.resize(y, fine.shape, "bilinear")
        return y


class Vgg11(nn.Module):
    classes: int = 10

    @nn.compact
    def __call__(self, x: Any, train: bool = True) -> Any:
        for channels, count in ((64, 1), (128, 1), (256, 2), (512, 2), (512, 2)):
            for _ in range(count):
                x = nn.relu(nn.Conv(channels, (3, 3))(x))
            x = nn.max_pool(x, (2, 2), (2, 2))
        return nn.Dense(self.classes)(x.reshape(x.shape[0], -1))


class LstmClassifier(nn.Module):
    classes: int
    features: int
    vocabulary: int

    @nn.compact
    def __call__(self, tokens: Any, train: bool = True) -> Any:
        lengths = jnp.sum(tokens != 0, 1)
        x = nn.Embed(self.vocabulary, self.features)(tokens)
        carry, _ = nn.RNN(nn.OptimizedLSTMCell(self.features), return_carry=True)(x, seq_lengths=lengths)
        return nn.Dense(self.classes)(carry[1])


class Block(nn.Module):
    heads: int

    @nn.compact
    def __call__(self, x: Any, mask: Any = None) -> Any:
        features = x.shape[-1]
        y = nn.LayerNorm(epsilon=1e-5)(x)
        x = x + nn.MultiHeadDotProductAttention(self.heads)(y, mask=mask)
        y = nn.gelu(nn.Dense(4 * features)(nn.LayerNorm(epsilon=1e-5)(x)))
        return x + nn.Dense(features)(y)


class LanguageModel(nn.Module):
    vocabulary: int
    features: int
    heads: int
    depth: int
    length: int

    @nn.compact
    def __call__(self, tokens: Any, train: bool = True) -> Any:
        embed = nn.Embed(self.vocabulary, self.features)
        places = self.param("positions", nn.initializers.normal(0.02), (self.length, self.features))
        x = embed(tokens) + places[None, : tokens.shape[1]]
        mask = nn.make_causal_mask(tokens)

        def step(block: Any, x: Any, _: Any) -> tuple:
            return block(x, mask), None

        blocks = nn.scan(step, variable_axes={"params": 0}, split_rngs={"params": True}, length=self.depth)
        x, _ = blocks(Block(self.heads), x, None)
        return embed.attend(nn.LayerNorm(epsilon=1e-5)(x))


class TransformerClassifier(nn.Module):
    classes: int
    vocabulary: int
    features: int
    heads: int
    depth: int
    length: int

    @nn.compact
    def __call__(self, tokens: Any, train: bool = True) -> Any:
        there = tokens != 0
        places = self.param("positions", nn.initializers.normal(0.02), (self.length, self.features))
        x = nn.Embed(self.vocabulary, self.features)(tokens) + places[None, : tokens.shape[1]]
        mask = nn.make_attention_mask(jnp.ones_like(there), there)

        def step(block: Any, x: Any, _: Any) -> tuple:
            return block(x, mask), None

        blocks = nn.scan(step, variable_axes={"params": 0}, split_rngs={"params": True}, length=self.depth)
        x, _ = blocks(Block(self.heads), x, None)
        x = jnp.where(there[..., None], nn.LayerNorm(epsilon=1e-5)(x), 0)
        return nn.Dense(self.classes)(jnp.sum(x, 1) / jnp.sum(there, 1, keepdims=True))
