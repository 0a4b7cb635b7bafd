"""Gradient descent on hyperparameters: `jax.grad` of a whole training run.

A training run is a pure function of its hyperparameters, so the validation loss at its end has a gradient
with respect to every continuous one of them. A search follows it from several starts; each start, all of
its steps and the runs within them are one program, a member of a population like any other.

It differs from the strategies: they take scores in whole batches, this needs the function itself. (For
a rate that is adapted while one run goes on, see `jaxopt_notes.optimizers.wrappers.hypergradient`.)
"""

import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from jaxopt_notes.dtypes import Tree
from jaxopt_notes.optimizers import adam, apply_updates, skip_nonfinite
from jaxopt_notes.optimizers.core.gradient_transform import GradientTransform
from jaxopt_notes.population.keys import check_key
from jaxopt_notes.population.population_map import population_map
from jaxopt_notes.record import as_leaf, check_count, check_takes
from jaxopt_notes.search.arguments import check_names, names_of
from jaxopt_notes.search.results import Results
from jaxopt_notes.search.spaces.distributions import LogUniform, Normal, Uniform
from jaxopt_notes.search.spaces.space import Space, dimensions, fill
from jaxopt_notes.search.spaces.unit_cube import as_configs

__all__ = ["hypergradient_search", "training_score"]

EDGE = 1e-4  # how near a wall of the unit cube points come: a quantile function may have no slope there


def hypergradient_search(
    score: Callable[[Any, jax.Array], jax.Array],
    space: Space,
    *,
    key: jax.Array,
    starts: int = 8,
    steps: int = 20,
    seeds: int = 1,
    optimizer: GradientTransform | None = None,
    **engine: Any,
) -> Results:
    """Descend along the gradient of a score with respect to continuous hyperparameters.

        u ← project(u + optimizer(∇ᵤ score(x(u))))      u in the unit cube, from several random starts

    Arguments:
        score: a pure function of a configuration (the space with values in place of distributions) and a key,
            to be minimized, such as `training_score(build, data, epochs)`. Where `jax.grad` does not reach,
            neither does the search.
        space: a dict (or any pytree) of distributions and constants; every distribution `uniform`,
            `log_uniform` or `normal`.
        key: a typed random key.
        starts: random points to start from, all trained as one population.
        steps: scores, and steps of descent, from each.
        seeds: keys over which the score is averaged; the same ones in all steps of a start.
        optimizer: any optimizer, acting in the unit cube; `adam(0.05)` if `None`. A step along a gradient
            that is not finite is not taken: a start in a region of divergence stays there.
        engine: further arguments of `population_map`.

    Returns:
        `Results` with a row for every score: row i·steps + t is step t from start i.

    Raises:
        TypeError: a dimension that is not continuous. ValueError: a number below its least.

    Example:
        >>> from jaxopt_notes.search.spaces.distributions import log_uniform
        >>> def score(h, key):
        ...     return (jnp.log10(h["rate"]) + 2.0) ** 2
        >>> results = hypergradient_search(score, {"rate": log_uniform(1e-4, 1.0)}, key=jax.random.key(0))
        >>> bool(abs(results.best["rate"] - 1e-2) < 1e-3)
        True

    Source: Bengio 2000; Maclaurin et al. 2015; Franceschi et al. 2017.

    Elsewhere: optuna, Ray Tune and scikit-learn have no gradients.
    """
    axes = dimensions(space)
    for name, axis in axes.items():
        if not isinstance(axis, Uniform | LogUniform | Normal):
            raise TypeError(
                f"hypergradient_search(space): {name} is {axis!r}, expected uniform(...), "
                "log_uniform(...) or normal(...): there is no slope between whole numbers or choices."
            )
    check_names("hypergradient_search", engine, names_of(population_map, ["train", "configs", "keys"]))
    check_takes("hypergradient_search(score)", score, 2, "score(configuration, key)")
    check_key("hypergradient_search(key)", key)
    check_count("hypergradient_search(starts)", starts, 1)
    check_count("hypergradient_search(steps)", steps, 1)
    check_count("hypergradient_search(seeds)", seeds, 1)
    optimizer = skip_nonfinite(adam(0.05) if optimizer is None else optimizer)

    def descend(
        start: jax.Array, key: jax.Array, score: Any, optimizer: GradientTransform, axes: dict
    ) -> tuple:
        keys = jax.random.split(key, seeds)

        def of_point(point: jax.Array) -> jax.Array:
            config = {name: column[0] for name, column in as_configs(axes, point[None]).items()}
            return jnp.mean(jax.vmap(lambda key: score(fill(space, config), key))(keys))

        def step(carry: tuple, _: None) -> tuple:
            point, state = carry
            value, slope = jax.value_and_grad(of_point)(point)
            updates, state = optimizer.update(slope, state, point)
            moved = jnp.clip(apply_updates(point, updates), EDGE, 1 - EDGE)
            return (moved, state), (point, value)

        return lax.scan(step, (start, optimizer.init(start)), length=steps)[1]

    draw, run = jax.random.split(key)
    points = jax.random.uniform(draw, (starts, len(axes)), jnp.result_type(float), EDGE, 1 - EDGE)
    visited, values = population_map(
        descend, points, jax.random.split(run, starts), shared=(as_leaf(score), optimizer, axes), **engine
    )
    columns = as_configs(axes, jnp.asarray(visited).reshape(-1, len(axes)))
    return Results(
        {name: np.asarray(column) for name, column in columns.items()}, values.reshape(-1, 1), space=space
    )


def training_score(
    build: Callable[[Any], Any], data: tuple, epochs: int, monitor: str = "valid_loss"
) -> jax.tree_util.Partial:
    """The last value of a training run's history as a function of its hyperparameters.

        score(h, key) = history[monitor][−1] of build(h), trained with this key

    Differentiable in every hyperparameter that reaches the loss by differentiable ways: rates, decays,
    momenta, penalties, smoothing. An epoch is computed a second time on the way back, so that memory holds
    the steps of one epoch, and one state of each.

    Arguments:
        build: a pure function from a configuration to a `Trainer`, as for `sweep`.
        data: `(train, validation)`, each a pair (x, y).
        epochs: epochs of a run.
        monitor: a name of the history that has a slope: "valid_loss", "loss".

    Returns:
        A `jax.tree_util.Partial`, called with (configuration, key); the data are its leaves.

    Example:
        >>> import jaxopt_notes as jn
        >>> x = jnp.linspace(-1, 1, 32)[:, None]
        >>> def build(h):
        ...     return jn.Trainer(jn.dense(1), jn.sgd(h["rate"]), jn.mean_squared_error, metric=None)
        >>> score = training_score(build, ((x, 2 * x), (x, 2 * x)), epochs=3)
        >>> slope = jax.grad(lambda rate: score({"rate": rate}, jax.random.key(0)))(0.1)
        >>> bool(slope < 0)  # a larger rate would do better
        True
    """
    check_takes("training_score(build)", build, 1, "build(configuration), which returns a Trainer")
    check_count("training_score(epochs)", epochs, 1)
    train_data, valid_data = (tuple(part) for part in data)
    run = functools.partial(_last_value, build, epochs, monitor)
    return jax.tree_util.Partial(run, train_data, valid_data)


def _last_value(
    build: Callable, epochs: int, monitor: str, train_data: tuple, valid_data: tuple, h: Any, key: jax.Array
) -> jax.Array:
    trainer = build(h)

    @jax.checkpoint
    def epoch(state: Tree, _: None) -> tuple:
        state, history = trainer.advance(state, train_data, valid_data, 1)
        return state, history[monitor][0]

    return lax.scan(epoch, trainer.init(key, train_data), length=epochs)[1][-1]
