"""The smallest thing that is a model: a record of the tests' own, no layer of the library."""

import jax
import jax.numpy as jnp
import numpy as np

from jaxopt_notes.record import Number, record


@record
class Linear:
    """y = x·w + b, started at a value; in training noise of a given scale is added to x."""

    start: Number = 0.0
    noise: Number = 0.0

    def init(self, key, x):
        start = jnp.asarray(self.start, x.dtype)
        return {"w": jnp.full(x.shape[-1:], start), "b": start}, ()

    def apply(self, params, state, x, *, key=None, train=False):
        if train:
            x = x + jnp.asarray(self.noise, x.dtype) * jax.random.normal(key, x.shape, x.dtype)
        return x @ params["w"] + params["b"], state


@record
class Counting:
    """A linear model whose state counts the examples it has seen and the last mean."""

    def init(self, key, x):
        return Linear().init(key, x)[0], {"seen": jnp.zeros((), jnp.int32), "mean": jnp.zeros((), x.dtype)}

    def apply(self, params, state, x, *, key=None, train=False):
        y, _ = Linear().apply(params, (), x)
        return y, {"seen": state["seen"] + len(x), "mean": jnp.mean(x)} if train else state


def squared(outputs, targets):
    return (outputs - targets) ** 2


def regression(n=10, features=3, seed=0, dtype=np.float32):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, features))
    y = x @ np.arange(1.0, features + 1) - 0.5 + 0.1 * rng.normal(size=n)
    return x.astype(dtype), y.astype(dtype)
