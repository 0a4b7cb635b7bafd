"""Statistics of every layer, collected at every step of training.

    trainer = Trainer(model, optimizer, loss, collect=collector())
    state, history = trainer.advance(state, data, epochs=20)
    history["unit_std/layers_1"], history["gradient_norm/layers_0"], history["update_ratio/layers_2"]

A collector is a record, so it goes through `jit`, `vmap` and a sweep as all else does. It looks at what the
step has computed anyway: no layer runs twice, and of an MLP's arithmetic it is some 3 percent. But each
number is a pass over memory, and updates have to be stored to be measured: on a CPU a step of
784-512-512-10 with everything took 1.06 times the processor time at batch 512, 1.1 times at batch 128, and
one of 784-128-64-10, of which less is arithmetic, 1.14 times. Switch off what is not needed. For other
numbers write a function of a `StepRecord` that returns a dict.
"""

from typing import Any

import jax
import jax.numpy as jnp

from jaxopt_notes.diagnostics.activation_stats import activation_stats
from jaxopt_notes.diagnostics.gradient_flow import bottom_to_top, gradient_norms
from jaxopt_notes.diagnostics.layer_tree import layers_of
from jaxopt_notes.dtypes import Tree, as_hyperparameter, compute_dtype, is_float
from jaxopt_notes.masks import path_name
from jaxopt_notes.numerics import abs_squared
from jaxopt_notes.record import check_number, concrete, record, static
from jaxopt_notes.training.step import StepRecord

__all__ = ["Collector", "collector"]


@record
class Collector:
    """See `collector`."""

    bounds: Any
    activations: bool = static()
    gradients: bool = static()
    updates: bool = static()

    def __call__(self, step: StepRecord) -> dict[str, jax.Array]:
        found: dict[str, jax.Array] = {}
        if self.activations:
            found |= _of_activations(step, self.bounds)
        if self.gradients:
            norms = gradient_norms(step.grads)
            found |= {f"gradient_norm/{path}": norm for path, norm in norms.items()}
            found["bottom_to_top"] = bottom_to_top(step.grads)
        if self.updates:
            moved, norms = _plain_norms(step.updates), _plain_norms(step.params)
            found |= {f"update_ratio/{path}": norm / norms[path] for path, norm in moved.items()}
            found |= {f"parameter_norm/{path}": norm for path, norm in norms.items()}
        return found


def _plain_norms(tree: Tree) -> dict[str, jax.Array]:
    """The norms of layers, of numbers whose squares are in range: a third of what `global_norm` takes."""

    def norm(leaves: Any) -> jax.Array:
        squares = [jnp.sum(abs_squared(leaf.astype(compute_dtype(leaf)))) for leaf in leaves]
        return jnp.sqrt(sum(map(as_hyperparameter, squares)))

    return {path: norm(leaves.values()) for path, leaves in layers_of(tree).items()}


def _of_activations(step: StepRecord, bounds: Any) -> dict[str, jax.Array]:
    found = {}
    for path, x in jax.tree.leaves_with_path(step.activations):
        if is_float(x) and x.ndim and len(x) == len(step.weights):
            limits = bounds.get(path_name(path)) if isinstance(bounds, dict) else bounds
            stats = activation_stats(x, step.weights, limits)
            for name, value in stats._asdict().items():
                if value is not None:
                    found[f"{NAMES[name]}/{path_name(path)}"] = value
    return found


NAMES = {
    "mean": "activation_mean", "std": "activation_std", "unit_std": "unit_std", "zeros": "zeros",
    "dead": "dead", "saturated": "saturated",
}  # fmt: skip


def collector(
    *,
    activations: bool = True,
    gradients: bool = True,
    updates: bool = True,
    bounds: Any = None,
) -> Collector:
    """Statistics of every layer at every step, for `Trainer(collect=…)`.

        activation_mean, activation_std, unit_std, zeros, dead, saturated     of each layer's outputs
        gradient_norm, update_ratio, parameter_norm                           of each layer's parameters
        bottom_to_top                                                         of the whole network

    Arguments:
        activations: whether the outputs of layers are looked at; they are caught in the forward pass of the
            step, in training mode. Static, as are the next two.
        gradients: whether gradients are, before the optimizer changes them.
        updates: whether updates and parameters are.
        bounds: (low, high): outputs beyond are saturated; or {path: (low, high)} for some layers. Numbers
            that may be traced. `None` for no such share.

    Returns:
        A `Collector` record. The history then has "unit_std/layers_1" and so on, [epochs]: means over the
        steps of each epoch. What a step's dead units are depends on its batch: for the whole data see
        `dead_unit_fraction`.

    Raises:
        ValueError: bounds in the wrong order. TypeError: no pair of numbers.

    Example:
        >>> from jaxopt_notes import Trainer, mean_squared_error, mlp, sgd
        >>> x = jnp.linspace(-1, 1, 8)[:, None]
        >>> trainer = Trainer(mlp([4, 1], "tanh"), sgd(0.1), mean_squared_error, metric=None,
        ...                   collect=collector(activations=False, updates=False))
        >>> _, history = trainer.advance(trainer.init(jax.random.key(0), (x, x)), (x, x), epochs=3)
        >>> history["gradient_norm/layers_2"].shape
        (3,)

    Source: the lectures CS231n on babysitting; Glorot & Bengio 2010.

    Elsewhere: hooks of torch, callbacks of Keras and `sow` of Flax hand over tensors, which the host reduces.
    """
    pairs = bounds.values() if isinstance(bounds, dict) else [] if bounds is None else [bounds]
    for pair in pairs:
        if not isinstance(pair, tuple | list) or len(pair) != 2:
            raise TypeError(f"collector(bounds) has {pair!r}, expected a pair (low, high).")
        low, high = (check_number("collector(bounds)", end) for end in pair)
        known = [concrete(end) for end in (low, high)]
        if known[0] is not None and known[1] is not None and not (known[0] < known[1]).all():
            raise ValueError(f"collector(bounds) has {pair!r}, expected low < high.")
    return Collector(bounds, activations, gradients, updates)
