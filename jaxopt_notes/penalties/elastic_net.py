"""The elastic net: L1 to choose among weights, L2 to share between those that are correlated."""

import jax

from jaxopt_notes.dtypes import Tree, as_hyperparameter
from jaxopt_notes.masks import Mask, MaskLike, as_mask, weights_only
from jaxopt_notes.penalties.l1 import L1
from jaxopt_notes.penalties.l2 import L2
from jaxopt_notes.record import Number, check_number, record, static

__all__ = ["ElasticNet", "elastic_net"]


@record
class ElasticNet:
    """See `elastic_net`."""

    strength: Number
    l1_ratio: Number
    mask: Mask | None = static()
    samples: Number = 1.0

    @property
    def amount(self) -> jax.Array:
        """λ/m."""
        return as_hyperparameter(self.strength) / as_hyperparameter(self.samples)

    def __call__(self, params: Tree) -> jax.Array:
        strength, ratio = self.amount, as_hyperparameter(self.l1_ratio)
        return L1(strength * ratio, self.mask)(params) + L2(strength * (1 - ratio), self.mask)(params)


def elastic_net(
    strength: Number, l1_ratio: Number = 0.5, mask: MaskLike = weights_only, *, samples: Number = 1.0
) -> ElasticNet:
    """The elastic net penalty: a mixture of `l1` and `l2`.

        Ω(w) = (λ/m)·(ρ·‖w‖₁ + ½·(1 − ρ)·‖w‖₂²)

    Arguments:
        strength: λ ≥ 0; 0 switches it off.
        l1_ratio: ρ in [0, 1]; 1 is `l1(λ)`, 0 is `l2(λ)`.
        mask: what is penalised, as for `l2`; by default weights only.
        samples: m ≥ 1, as for `l2`.

    Returns:
        An `ElasticNet` record, called with the parameters; a scalar of at least float32.

    Raises:
        ValueError: a number outside its interval. TypeError: an argument is not a number.

    Example:
        >>> import jax.numpy as jnp
        >>> elastic_net(0.5, l1_ratio=0.5)({"kernel": jnp.array([[1.0, -2.0]])})
        Array(1.375, dtype=float32)

    Source: Zou & Hastie 2005, as scikit-learn weights it.

    Elsewhere: `sklearn.linear_model.ElasticNet` has the same penalty, on half a mean squared error.
    """
    return ElasticNet(
        check_number("elastic_net(strength)", strength, "[0, inf)", "0 switches the penalty off"),
        check_number("elastic_net(l1_ratio)", l1_ratio, "[0, 1]", "1 is l1, 0 is l2"),
        as_mask(mask),
        check_number("elastic_net(samples)", samples, "[1, inf)", "1 penalises as it is written"),
    )
