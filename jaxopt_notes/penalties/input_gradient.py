"""The gradient penalty: a loss, or a critic, whose slope by the inputs is near a given length.

With the length 0 it is double backpropagation: no small change of an input shall change its loss much. With
the length 1 it holds the critic of a Wasserstein GAN to the Lipschitz constant 1.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike

from jaxopt_notes.dtypes import Tree, as_hyperparameter
from jaxopt_notes.losses.reduction import weighted_mean
from jaxopt_notes.numerics import safe_sqrt
from jaxopt_notes.penalties.jacobian import sum_of_squares
from jaxopt_notes.record import Number, as_leaf, check_number, record

__all__ = ["InputGradient", "gradient_penalty"]


@record
class InputGradient:
    """See `gradient_penalty`."""

    strength: Number
    loss: Callable
    length: Number

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
        def total(x: ArrayLike) -> tuple:
            y, new = model.apply(params, state, x, key=key, train=train)
            values = y if self.loss is None else self.loss(y, targets)
            if values.size != len(values):
                raise ValueError(
                    f"gradient_penalty(loss) is of values of shape {values.shape}, expected one for each "
                    "example: give it a loss, or a model with one output."
                )
            return jnp.sum(values), (y, new)

        slopes, (y, state) = jax.grad(total, has_aux=True)(x)
        lengths = safe_sqrt(sum_of_squares(slopes))
        cost = weighted_mean((lengths - as_hyperparameter(self.length).astype(lengths.dtype)) ** 2, weights)
        return y, state, as_hyperparameter(self.strength).astype(cost.dtype) * cost


def gradient_penalty(
    strength: Number, loss: Callable[..., Any] | None = None, length: Number = 0.0
) -> InputGradient:
    """The gradient penalty: how far the slopes by the inputs are from a length.

        Ω(θ) = λ·1/B·Σᵢ (‖∂ℓ(f(xᵢ; θ), yᵢ)/∂xᵢ‖₂ − c)²

    Arguments:
        strength: λ ≥ 0; 0 switches it off.
        loss: ℓ, (outputs, targets) → one value per example; `None` for the model's single output itself.
        length: c ≥ 0.

    Returns:
        An `InputGradient` record for `Trainer(penalty=…)`: `apply(model, params, state, x, targets, …)`.

    Raises:
        ValueError: a negative number. TypeError: an argument is not a number.

    Example:
        >>> from jaxopt_notes.layers.dense import dense
        >>> params = {"kernel": jnp.array([[3.0], [4.0]]), "bias": jnp.zeros(1)}
        >>> critic = gradient_penalty(10.0, length=1.0)
        >>> print(critic.apply(dense(1), params, (), jnp.ones((4, 2)))[2])
        160.0

    Source: Drucker & LeCun 1992 (c = 0, there with ½); Gulrajani et al. 2017, equation 3 (c = 1).
    """
    remedy = "0 switches the penalty off"
    return InputGradient(
        check_number("gradient_penalty(strength)", strength, "[0, inf)", remedy),
        as_leaf(loss),
        check_number("gradient_penalty(length)", length, "[0, inf)"),
    )
