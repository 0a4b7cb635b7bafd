"""The activity penalty: few units of a layer are active at a time, or none very much.

The activations are those of the forward pass that the loss is taken of, `capture`d on the way: they are
computed once.
"""

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp

from jaxopt_notes.dtypes import Tree, as_hyperparameter, compute_dtype
from jaxopt_notes.losses.reduction import weighted_mean
from jaxopt_notes.numerics import abs_squared
from jaxopt_notes.penalties.l1 import absolute
from jaxopt_notes.record import Number, check_choice, check_number, record, static

__all__ = ["Activity", "activity_penalty"]


@record
class Activity:
    """See `activity_penalty`."""

    strength: Number
    layers: Any = static()
    norm: str = static()

    def apply(
        self,
        model: Any,
        params: Tree,
        state: Tree,
        x: Tree,
        targets: Tree = None,
        weights: jax.Array | None = None,
        *,
        key: jax.Array | None = None,
        train: bool = True,
    ) -> tuple[Any, Tree, jax.Array]:
        from jaxopt_notes.layers.capture import capture  # layers load when a model is there anyway

        y, state, outputs = capture(model, params, state, x, key=key, train=train)
        chosen = [output for path, output in outputs.items() if self._chooses(path)]
        if not chosen:
            raise ValueError(
                f"activity_penalty(layers) is {self.layers!r}, expected paths of layers: the model has "
                f"{', '.join(outputs)}."
            )
        cost = weighted_mean(sum(map(self._of_each, chosen)), weights)
        return y, state, as_hyperparameter(self.strength).astype(cost.dtype) * cost

    def _chooses(self, path: str) -> bool:
        return bool(self.layers(path)) if callable(self.layers) else path in self.layers

    def _of_each(self, output: jax.Array) -> jax.Array:
        h = output.astype(compute_dtype(output)).reshape(len(output), -1)
        return jnp.sum(absolute(h) if self.norm == "l1" else 0.5 * abs_squared(h), axis=1)


def activity_penalty(
    strength: Number, layers: str | Sequence[str] | Callable[[str], bool], norm: str = "l1"
) -> Activity:
    """The activity penalty: the mean size of a layer's outputs.

        Ω(θ) = λ·1/B·Σᵢ Σ_l ‖h_l(xᵢ)‖₁          or with ½‖h_l(xᵢ)‖₂²

    Arguments:
        strength: λ ≥ 0; 0 switches it off.
        layers: whose outputs, by the paths of `capture`: one ("layers_1"), several, or a function of the
            path. Of layers within a `repeat` take the whole. Static.
        norm: "l1", which makes activations sparse, or "l2". Static.

    Returns:
        An `Activity` record for `Trainer(penalty=…)`: `apply(model, params, state, x, …)`.

    Raises:
        ValueError: λ < 0, an unknown norm, or, when it is applied, a path that no layer has.

    Example:
        >>> from jaxopt_notes.layers.serial import serial
        >>> penalty = activity_penalty(0.5, "layers_0")
        >>> y, state, cost = penalty.apply(serial(jnp.sin, jnp.cos), {}, (), jnp.full((2, 3), jnp.pi / 2))
        >>> print(cost)
        1.5

    Source: Glorot, Bordes & Bengio 2011, section 3.2; Goodfellow, Bengio & Courville 2016, section 7.10.

    Elsewhere: Keras' `activity_regularizer`, an argument of the layer, is divided by the batch too.
    """
    remedy = "0 switches the penalty off"
    paths = (layers,) if isinstance(layers, str) else layers if callable(layers) else tuple(layers)
    return Activity(
        check_number("activity_penalty(strength)", strength, "[0, inf)", remedy),
        paths,
        check_choice("activity_penalty(norm)", norm, ("l1", "l2")),
    )
