"""Trust ratio: every layer moves by the same share of its length."""

from typing import Any

import jax.numpy as jnp

from jaxopt_notes.dtypes import Tree
from jaxopt_notes.norms import global_norm
from jaxopt_notes.optimizers.core.gradient_transform import Accept
from jaxopt_notes.optimizers.core.leafwise import Transform, leafwise, require_params
from jaxopt_notes.record import Number, check_number, record


@record
class ScaleByTrustRatio(Transform):
    """See `scale_by_trust_ratio`."""

    min_norm: Number
    trust_coefficient: Number
    eps: Number

    def update(
        self, updates: Tree, state: tuple, params: Tree = None, *, accept: Accept = None, **extra: Any
    ) -> tuple[Tree, tuple]:
        params = require_params("scale_by_trust_ratio", params)
        return leafwise(
            trust, updates, params, accept=accept, min_norm=self.min_norm,
            trust_coefficient=self.trust_coefficient, eps=self.eps,
        )[0], state  # fmt: skip


def trust(u, p, *, min_norm, trust_coefficient, eps):
    """c·u·‖θ‖/(‖u‖ + eps) of one leaf, and u where either norm is 0."""
    length, step = (jnp.maximum(global_norm(x), min_norm) for x in (p, u))
    defined = (length > 0) & (step > 0)
    one = jnp.ones_like(step)
    ratio = trust_coefficient * length / jnp.where(defined, step + eps, one)
    return u * jnp.where(defined, ratio, one)


def scale_by_trust_ratio(
    min_norm: Number = 0.0, trust_coefficient: Number = 1.0, eps: Number = 0.0
) -> ScaleByTrustRatio:
    """Scale the step of every leaf by the leaf's norm over the step's.

        u ← c·‖θ‖/(‖u‖ + eps)·u, and u where ‖θ‖ or ‖u‖ is 0          (leaf by leaf)

    Arguments:
        min_norm: both norms are at least this, ≥ 0.
        trust_coefficient: c ≥ 0; 1 in LAMB, 0.001 in LARS.
        eps: added to ‖u‖, ≥ 0.

    Returns:
        A `ScaleByTrustRatio` record without state, to stand in `chain` after what makes the direction
        and before the rate (or after `adam`: its rate then drops out of the length, so put `sgd(η)` last
        and mind its sign). `update` needs `params`.

    Raises:
        ValueError: a negative number, or `update` without params.
        TypeError: an argument is not a number.

    Example:
        >>> transform = scale_by_trust_ratio()
        >>> print(transform.update(jnp.array([0.6, 0.8]), (), jnp.array([0.0, 5.0]))[0])
        [3. 4.]

    Source: You et al. 2017 (LARS), 2020 (LAMB).

    Elsewhere: `optax.scale_by_trust_ratio`.
    """
    return ScaleByTrustRatio(
        min_norm=check_number("scale_by_trust_ratio(min_norm)", min_norm, "[0, inf)"),
        trust_coefficient=check_number(
            "scale_by_trust_ratio(trust_coefficient)", trust_coefficient, "[0, inf)"
        ),
        eps=check_number("scale_by_trust_ratio(eps)", eps, "[0, inf)"),
    )
