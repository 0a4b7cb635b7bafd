"""The contenders of `benchmarks.population` in JAX: ours, and its other forms.

A contender is called for the whole run and gives the losses [members, steps] (ours as a `Trainer`: [members,
epochs]) of as many members and steps as it was given. Members are independent, so slow ones are given fewer.
"""

import functools
import time
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

import jaxopt_notes as jn
from benchmarks.population_recipes import Recipe, members, with_optax


class Contender:
    """What is timed: `call()`, and for JAX `dispatch()`, the same call with no steps in it.

    Arguments:
        make: `make(steps)` compiles and gives the call.
        count, steps: members and steps of a call.
    """

    def __init__(self, make: Callable[[int], Callable[[], Any]], count: int, steps: int):
        self.count, self.steps, self.losses = count, steps, np.zeros(())
        self.make, self._call = make, make(steps)
        self.compile_seconds: float | None = getattr(self._call, "compile_seconds", None)
        self.bytes_each: float | None = getattr(self._call, "bytes_each", None)
        self.group: int | None = getattr(self._call, "group", None)

    def call(self) -> None:
        self.losses = np.asarray(self._call())

    @property
    def work(self) -> int:
        return self.count * self.steps


class Compiled(NamedTuple):
    """A call, the seconds that it took to trace and compile, and the bytes held for a member in flight.

    `group` is how many members are vectorized together.
    """

    function: Callable[[], Any]
    compile_seconds: float
    bytes_each: float | None = None
    group: int | None = None

    def __call__(self) -> Any:
        return self.function()


def engine(recipe: Recipe, form: Callable, count: int, data: tuple, **sizes: Any) -> Callable:
    """`population_map` of a training function, with its own sizes or those given."""
    rates, keys = members(count)

    def make(steps: int) -> Callable:
        train = form(recipe, steps)
        run = functools.partial(jn.population_map, train, rates, keys, shared=data, **sizes)
        _, report = run(return_report=True)
        held = report.device_bytes / report.workers - _bytes(data)
        return Compiled(run, report.compile_seconds, held / report.batch_size, report.batch_size)

    return make


def whole(recipe: Recipe, form: Callable, count: int, data: tuple, mapped: str) -> Callable:
    """`jit(vmap(train))`, or `jit` of `lax.map`, one program for all members."""
    arrays = tuple(map(jnp.asarray, members(count)))

    def make(steps: int) -> Callable:
        train = form(recipe, steps)

        def every(rates: jax.Array, keys: jax.Array, x: jax.Array, y: jax.Array) -> jax.Array:
            if mapped == "vmap":
                return jax.vmap(train, in_axes=(0, 0, None, None))(rates, keys, x, y)
            return jax.lax.map(lambda member: train(*member, x, y), (rates, keys))

        began = time.perf_counter()
        compiled = jax.jit(every).lower(*arrays, *data).compile()
        seconds, memory = time.perf_counter() - began, compiled.memory_analysis()
        flying = count if mapped == "vmap" else 1
        return Compiled(lambda: compiled(*arrays, *data), seconds, memory.temp_size_in_bytes / flying, flying)

    return make


def _bytes(arrays: tuple) -> int:
    return sum(array.nbytes for array in arrays)


def one_by_one(recipe: Recipe, count: int, data: tuple) -> Callable:
    """A Python loop over one jitted function, hyperparameters traced."""
    rates, keys = members(count)

    def make(steps: int) -> Callable:
        pairs = [(jnp.asarray(rate), key) for rate, key in zip(rates, keys, strict=True)]
        began = time.perf_counter()
        train = jax.jit(with_optax(recipe, steps)).lower(*pairs[0], *data).compile()
        seconds = time.perf_counter() - began
        return Compiled(lambda: jnp.stack([train(*pair, *data) for pair in pairs]), seconds)

    return make


def recompiled(recipe: Recipe, count: int, data: tuple) -> Callable:
    """A Python loop that compiles for each member, its learning rate a constant of the program."""
    rates, keys = members(count)

    def make(steps: int) -> Callable:
        def one(rate: float, key: jax.Array) -> jax.Array:
            train = with_optax(recipe, steps)
            return jax.jit(lambda key, x, y: train(rate, key, x, y))(key, *data)

        return lambda: jnp.stack([one(float(rate), key) for rate, key in zip(rates, keys, strict=True)])

    return make
