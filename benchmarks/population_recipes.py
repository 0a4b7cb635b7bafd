"""What every contender of `benchmarks.population` trains, and how ours and JAX's other forms do it.

A member draws its parameters and the order of its examples from its own key, just as a `Trainer` does, and
has its own learning rate; so all contenders, the `Trainer` too, give the same losses.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

import jaxopt_notes as jn

BATCH, EXAMPLES = 32, 896  # 28 steps an epoch
EPOCH = EXAMPLES // BATCH


class Recipe(NamedTuple):
    """A network on digits: our layers, the same as plain arithmetic, operations of a training step."""

    model: Any
    forward: Callable
    shape: tuple[int, ...]
    operations: float

    def data(self) -> tuple[jax.Array, jax.Array]:
        x, y = jn.digits()
        return jnp.asarray(x[:EXAMPLES] / 16).reshape(-1, *self.shape), jnp.asarray(y[:EXAMPLES])

    def bytes(self) -> int:
        """Of a member's parameters, their two moments and their gradients."""
        params, _ = jax.eval_shape(self.model.init, jax.random.key(0), jnp.zeros((BATCH, *self.shape)))
        return 4 * sum(leaf.size * leaf.dtype.itemsize for leaf in jax.tree.leaves(params))

    def start(self, key: jax.Array, x: jax.Array, steps: int) -> tuple[Any, jax.Array]:
        """A member's initial parameters, and the examples [steps, batch] that it will see."""
        init_key, run_key = jax.random.split(key)
        epochs = range(-(-steps // EPOCH))
        orders = [jax.random.split(jax.random.fold_in(run_key, epoch))[0] for epoch in epochs]
        indices = [jn.epoch_batches(order, EXAMPLES, BATCH).indices for order in orders]
        drawn = jnp.concatenate(indices) if indices else jnp.zeros((0, BATCH), jnp.int32)
        return self.model.init(init_key, x[:BATCH])[0], drawn[:steps]


def members(count: int) -> tuple[np.ndarray, jax.Array]:
    """Learning rates and keys."""
    return np.geomspace(3e-4, 3e-2, count).astype(np.float32), jax.random.split(jax.random.key(0), count)


def ours(recipe: Recipe, steps: int) -> Callable:
    """A pure training function with our layers, loss and Adam: `train(rate, key, x, y) -> losses`."""

    def loss(params: Any, x: jax.Array, y: jax.Array) -> jax.Array:
        return jn.softmax_cross_entropy(recipe.model.apply(params, (), x, train=True)[0], y).mean()

    return _training(recipe, steps, jn.adam, jn.apply_updates, loss)


def ours_trainer(recipe: Recipe, steps: int) -> Callable:
    """The same as a `Trainer`, with its guard against gradients that are not finite: losses of epochs."""

    def train(rate: Any, key: jax.Array, x: jax.Array, y: jax.Array) -> jax.Array:
        trainer = jn.Trainer(recipe.model, jn.adam(rate), jn.softmax_cross_entropy, metric=None)
        state = trainer.init(key, (x, y))
        return trainer.advance(state, (x, y), epochs=steps // EPOCH)[1]["loss"]

    return train


def with_optax(recipe: Recipe, steps: int) -> Callable:
    """The same in plain JAX with optax, the optimizer built inside."""
    import optax

    def loss(params: Any, x: jax.Array, y: jax.Array) -> jax.Array:
        return optax.softmax_cross_entropy_with_integer_labels(recipe.forward(params, x), y).mean()

    return _training(recipe, steps, optax.adam, optax.apply_updates, loss)


def _training(
    recipe: Recipe, steps: int, optimizer_of: Callable, apply_updates: Callable, loss: Callable
) -> Callable:
    """`steps` steps of a member in one scan."""

    def train(rate: Any, key: jax.Array, x: jax.Array, y: jax.Array) -> jax.Array:
        optimizer = optimizer_of(rate)
        params, indices = recipe.start(key, x, steps)

        def step(carry: tuple, batch: jax.Array) -> tuple:
            params, state = carry
            value, grads = jax.value_and_grad(loss)(params, x[batch], y[batch])
            updates, state = optimizer.update(grads, state, params)
            return (apply_updates(params, updates), state), value

        return lax.scan(step, (params, optimizer.init(params)), indices)[1]

    return train


def _affine(params: dict, x: jax.Array) -> jax.Array:
    return x @ params["kernel"] + params["bias"][None]


def _mlp(params: dict, x: jax.Array) -> jax.Array:
    for name in ("layers_0", "layers_2"):
        x = jax.nn.relu(_affine(params[name], x))
    return _affine(params["layers_4"], x)


def _cnn(params: dict, x: jax.Array) -> jax.Array:
    for name in ("layers_0", "layers_2"):
        kernel, bias = params[name]["kernel"], params[name]["bias"]
        x = lax.conv_general_dilated(x, kernel, (1, 1), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC"))
        x = jax.nn.relu(x + bias[None, None, None])
    return _affine(params["layers_5"], x.reshape(len(x), -1))


def _operations(*products: int) -> float:
    """Of a training step's matrix products: forward, and both gradients but the first layer's input's."""
    return 2 * BATCH * (3 * sum(products) - products[0])


RECIPES = {
    "mlp": Recipe(jn.mlp([64, 64, 10]), _mlp, (64,), _operations(64 * 64, 64 * 64, 64 * 10)),
    "cnn": Recipe(
        jn.serial(
            jn.conv(16), jn.activation("relu"), jn.conv(32), jn.activation("relu"), jn.flatten(), jn.dense(10)
        ),
        _cnn, (8, 8, 1), _operations(64 * 9 * 16, 64 * 9 * 16 * 32, 64 * 32 * 10),
    ),
}  # fmt: skip
