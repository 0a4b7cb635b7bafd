"""What the studies of batch normalization share: deep networks on digits, trained by plain descent."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.typing import ArrayLike

from jaxopt_notes.dtypes import Tree
from jaxopt_notes.initializers import he_normal
from jaxopt_notes.initializers.initializer import Initializer
from jaxopt_notes.layers import mlp
from jaxopt_notes.layers.layer import Layer
from jaxopt_notes.layers.serial import Serial
from jaxopt_notes.losses import softmax_cross_entropy

CLASSES = 10


def network(
    norm: Any, *, depth: int, width: int, activation: str = "relu", kernel_init: Initializer | None = None
) -> Serial:
    """`depth` hidden layers, without normalization (`False`), or with it "before" or "after" activations."""
    init = he_normal() if kernel_init is None else kernel_init
    return mlp([width] * depth + [CLASSES], activation, batch_norm=norm, kernel_init=init)


def losses(
    model: Layer, rate: jax.Array, key: jax.Array, data: tuple, steps: int, batch: int = 64
) -> jax.Array:
    """The batch losses of one run of gradient descent [steps]; those of chance where it has diverged.

    Arguments:
        model: a layer.
        rate: of descent.
        key: of the first weights and of the batches.
        data: images and labels, as of `small_digits.images`.
        steps: how many.
        batch: images in each.
    """
    x, y = data[0].reshape(len(data[0]), -1), data[1]
    params, state = model.init(key, x[:1])

    def step(carry: tuple, i: jax.Array) -> tuple:
        params, state = carry
        own = jax.random.fold_in(key, i)
        chosen = jax.random.randint(own, (batch,), 0, len(x))

        def loss(params: Tree) -> tuple:
            outputs, after = model.apply(params, state, x[chosen], key=own, train=True)
            return jnp.mean(softmax_cross_entropy(outputs, y[chosen])), after

        (value, after), slopes = jax.value_and_grad(loss, has_aux=True)(params)
        return (jax.tree.map(lambda p, g: p - rate * g, params, slopes), after), value

    values: jax.Array = lax.scan(step, (params, state), jnp.arange(steps))[1]
    return jnp.where(jnp.isfinite(values), values, jnp.log(float(CLASSES)))


def over(settings: Any, run: Callable, key: jax.Array, seeds: int, data: tuple) -> np.ndarray:
    """`run(setting, key, data)` for all settings and seeds [settings, seeds, …], in one program."""
    grid = jax.jit(jax.vmap(jax.vmap(run, (None, 0, None)), (0, None, None)))
    return np.asarray(grid(jnp.asarray(settings, jnp.float32), jax.random.split(key, seeds), data))


def descents(
    model: Layer, rates: ArrayLike, key: jax.Array, seeds: int, data: tuple, steps: int
) -> np.ndarray:
    """The losses of runs at all rates and seeds [rates, seeds, steps]."""
    return over(rates, lambda rate, k, data: losses(model, rate, k, data, steps), key, seeds, data)


def ends(paths: Any) -> np.ndarray:
    """The mean over the last fifth of the steps."""
    paths = np.asarray(paths)
    return paths[..., -max(paths.shape[-1] // 5, 1) :].mean(axis=-1)
