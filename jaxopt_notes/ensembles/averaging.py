"""Averages of what members say, plain or weighted."""

from typing import Any

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike

from jaxopt_notes.dtypes import compute_dtype
from jaxopt_notes.numerics import log_softmax, safe_divide
from jaxopt_notes.record import check_choice

__all__ = ["average"]


def average(outputs: ArrayLike, weights: ArrayLike | None = None, *, of: str = "outputs") -> jax.Array:
    """The mean of the members' outputs.

        ō = Σ_m w_m·o_m / Σ_m w_m          or, of probabilities, ō = log Σ_m w_m·softmax(o_m) / Σ_m w_m

    Arguments:
        outputs: [M, B, …], predictions or logits.
        weights: [M], numbers ≥ 0, or [M, B], other ones for each example (0 for a member that may not
            judge it); `None` weights all alike.
        of: "outputs" averages them as they are (of logits: the geometric mean of the probabilities);
            "probabilities" those of the classes on the last axis. Static.

    Returns:
        [B, …] in the dtype of the outputs. Of probabilities the logarithm, which is a logit again: its
        softmax is the mean, its cross-entropy that of the mean. Where no member has a weight it is 0.

    Raises:
        ValueError: weights of neither shape.

    Example:
        >>> average(jnp.array([[1.0, 3.0], [2.0, 7.0]]), jnp.array([3.0, 1.0]))
        Array([1.25, 4.  ], dtype=float32)

    Source: Krogh & Vedelsby 1995; Lakshminarayanan, Pritzel & Blundell 2017, section 2.4.

    Elsewhere: scikit-learn's `VotingClassifier(voting="soft")` averages probabilities, `VotingRegressor`
    outputs.
    """
    check_choice("average(of)", of, ("outputs", "probabilities"))
    outputs = jnp.asarray(outputs)
    wide = outputs.astype(compute_dtype(outputs))
    if of == "outputs":
        return _weighted(wide, weights).astype(outputs.dtype)
    logs = log_softmax(wide)
    top = jax.lax.stop_gradient(jnp.max(logs, axis=0, keepdims=True))
    top = jnp.where(jnp.isfinite(top), top, 0)
    mean = _weighted(jnp.exp(logs - top), weights)
    return (jnp.log(mean) + top[0]).astype(outputs.dtype)


def _weighted(values: jax.Array, weights: Any) -> jax.Array:
    if weights is None:
        return jnp.mean(values, axis=0)
    w = jnp.asarray(weights).astype(values.dtype)
    if w.shape not in (values.shape[:1], values.shape[:2]):
        raise ValueError(
            f"average(weights) has shape {w.shape}, expected {values.shape[:1]}, one for each member, or "
            f"{values.shape[:2]}, one for each member and example."
        )
    w = w.reshape(w.shape + (1,) * (values.ndim - w.ndim))
    total = jnp.sum(jnp.where(w == 0, 0, w * values), axis=0)  # who has no weight may say anything
    return safe_divide(
        total, jnp.broadcast_to(jnp.sum(jnp.broadcast_to(w, values.shape), axis=0), total.shape)
    )
