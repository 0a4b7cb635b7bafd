"""Cross-entropy: the negative log-likelihood of classes, from logits.

Outputs are logits, never probabilities: log-softmax and log-sigmoid are computed in one piece, which
neither overflows nor takes the logarithm of a rounded zero, and losses far below the precision of 1 keep
their digits and gradients. The class axis is the last one.

A label outside [0, C) is *no class*: its loss is 0 and so is its gradient, with label smoothing
too. It is never a NaN, and never clipped into a class that it does not name. So −1 marks what is
missing. In a mean over examples it still counts as a sample unless its weight is 0;
`sequence_cross_entropy` leaves such steps out by itself.
"""

from typing import Any

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike

from jaxopt_notes.dtypes import as_hyperparameter, compute_dtype
from jaxopt_notes.losses.pairing import as_outputs, pair, per_example
from jaxopt_notes.losses.reduction import weighted_mean
from jaxopt_notes.numerics import log_softmax
from jaxopt_notes.record import Number, check_number

__all__ = ["sequence_cross_entropy", "sigmoid_binary_cross_entropy", "softmax_cross_entropy"]

_SMOOTHING = "0 switches smoothing off, the usual value is 0.1"


def softmax_cross_entropy(
    outputs: ArrayLike, targets: ArrayLike, *, label_smoothing: Number = 0.0, class_weights: Any = None
) -> jax.Array:
    """Cross-entropy between the softmax of logits and classes.

        q = (1 − s)·p + s/C          ℓ = −Σ_c w_c · q_c · log softmax(o)_c

    Arguments:
        outputs: logits o, [B, C] or [B, …, C].
        targets: integer labels [B, …], or probabilities p (one-hot, or soft) [B, …, C]. A label
            outside [0, C) has the loss 0.
        label_smoothing: s in [0, 1], the part of the probability that is spread over all C classes.
            A leaf of `jax.tree_util.Partial(softmax_cross_entropy, label_smoothing=…)`.
        class_weights: w [C], what each class counts, ≥ 0, as from `data.class_weights`; `None` for all alike.

    Returns:
        [B, …], one value per prediction, in the dtype of the outputs.

    Raises:
        ValueError: targets of neither shape, class weights not [C], or s outside its interval.
        TypeError: labels that are not integers.

    Example:
        >>> softmax_cross_entropy(jnp.zeros((2, 4)), jnp.array([3, -1])).round(3)
        Array([1.386, 0.   ], dtype=float32)

    Source: label smoothing: Szegedy et al. 2016, section 7.

    Elsewhere: torch's `cross_entropy` has the same label smoothing and class weights (but its mean divides by
    Σ w, as ours does with weights of examples) and puts the class axis second;
    it refuses labels out of range, except `ignore_index`. optax has two functions, one for each kind
    of target; the one for integers gives NaN for labels beyond C and counts negative ones from the end.
    """
    s = check_number("softmax_cross_entropy(label_smoothing)", label_smoothing, "[0, 1]", _SMOOTHING)
    logits = jnp.asarray(outputs)
    p = _probabilities("softmax_cross_entropy", logits, targets)
    logits = logits.astype(p.dtype)
    s = as_hyperparameter(s).astype(p.dtype)
    # The mean of p is 1/C, and 0 for a label that is not a class.
    q = (1 - s) * p + s * jnp.mean(p, axis=-1, keepdims=True)
    log_p = log_softmax(logits)
    # A logit of −inf rules a class out; where it has no probability it costs nothing.
    log_p = jnp.where((q == 0) & jnp.isneginf(log_p), 0, log_p)
    if class_weights is not None:
        q = q * _class_weights(class_weights, q)
    return as_outputs(jnp.sum(q * -log_p, axis=-1), outputs)


def _class_weights(weights: ArrayLike, q: jax.Array) -> jax.Array:
    weights = jnp.asarray(weights)
    if weights.shape != q.shape[-1:]:
        raise ValueError(
            f"softmax_cross_entropy(class_weights) has shape {weights.shape}, expected {q.shape[-1:]}, one "
            f"number for each class: of weights of examples take the weighted mean of the loss."
        )
    return weights.astype(q.dtype).reshape((1,) * (q.ndim - 1) + weights.shape)


def _probabilities(where: str, logits: jax.Array, targets: ArrayLike) -> jax.Array:
    """Targets as probabilities of the classes, in the dtype to compute in."""
    targets = jnp.asarray(targets)
    kind = compute_dtype(logits, targets)
    if logits.ndim > 0 and targets.shape == logits.shape:
        return targets.astype(kind)
    if logits.ndim == 0 or targets.shape != logits.shape[:-1]:
        raise ValueError(
            f"{where}(targets) has shape {targets.shape}, but the outputs have shape {logits.shape}: "
            f"expected integer labels of shape {logits.shape[:-1]} or probabilities of shape {logits.shape}, "
            f"the classes on the last axis."
        )
    if not jnp.issubdtype(targets.dtype, jnp.integer):
        raise TypeError(
            f"{where}(targets) has dtype {targets.dtype} and shape {targets.shape}, expected integer labels: "
            f"use targets.astype(int), or probabilities of shape {logits.shape}."
        )
    # The labels' own dtype could be too narrow to count the classes.
    return jax.nn.one_hot(targets.astype(jnp.result_type(int)), logits.shape[-1], dtype=kind)


def sigmoid_binary_cross_entropy(
    outputs: ArrayLike, targets: ArrayLike, *, label_smoothing: Number = 0.0
) -> jax.Array:
    """Cross-entropy of independent yes-or-no questions, summed over those of each example.

        q = (1 − s)·y + s/2          ℓᵢ = −Σₖ [q·log σ(o) + (1 − q)·log(1 − σ(o))]

    Arguments:
        outputs: logits o, [B] or [B, K].
        targets: y in [0, 1] (0 and 1, not −1 and 1), the same shape.
        label_smoothing: s in [0, 1], see `softmax_cross_entropy`.

    Returns:
        [B], in the dtype of the outputs: the negative log-likelihood of all K answers together.

    Raises:
        ValueError: the shapes differ, or s outside its interval.

    Example:
        >>> sigmoid_binary_cross_entropy(jnp.array([0.0, 100.0]), jnp.array([1, 1])).round(3)
        Array([0.693, 0.   ], dtype=float32)

    Elsewhere: `torch.nn.functional.binary_cross_entropy_with_logits` averages over the K questions
    too, so it is smaller by the factor K; `optax.sigmoid_binary_cross_entropy` leaves them apart.
    """
    s = check_number("sigmoid_binary_cross_entropy(label_smoothing)", label_smoothing, "[0, 1]", _SMOOTHING)
    o, y = pair("sigmoid_binary_cross_entropy", outputs, targets)
    s = as_hyperparameter(s).astype(o.dtype)
    q = (1 - s) * y + 0.5 * s
    # Two softplus and no difference of large numbers: small losses keep their digits.
    return per_example(q * jax.nn.softplus(-o) + (1 - q) * jax.nn.softplus(o), outputs, jnp.sum)


def sequence_cross_entropy(
    outputs: ArrayLike, targets: ArrayLike, mask: ArrayLike | None = None, *, label_smoothing: Number = 0.0
) -> jax.Array:
    """Cross-entropy of a class at every step, averaged over the valid steps of each example.

        ℓᵢ = Σₜ mᵢₜ · ℓᵢₜ / Σₜ mᵢₜ          ℓᵢₜ = −log softmax(oᵢₜ)[yᵢₜ],   0 if no step is valid

    Arguments:
        outputs: logits o, [B, T, C]; for one class per pixel [B, H, W, C].
        targets: integer labels y, [B, T] or [B, H, W].
        mask: m, the shape of the targets: bools, or weights ≥ 0. By default every step counts whose
            label is a class, so padding with −1 needs no mask; a step without a class never counts.
        label_smoothing: s in [0, 1], see `softmax_cross_entropy`.

    Returns:
        [B], in the dtype of the outputs. The outputs of a masked step have gradient 0, whatever they
        are. The plain mean of these values weights every *sequence* alike. To weight every *step*
        alike, as one classification of B·T samples would, use the numbers of valid steps:
        `weighted_mean(values, mask.sum(1))`.

    Raises:
        ValueError: the shapes do not fit, or s outside its interval. TypeError: labels not integer.

    Example:
        >>> logits = jnp.array([[[0.0, 0.0], [9.0, 0.0]]])
        >>> sequence_cross_entropy(logits, jnp.array([[1, -1]])).round(3)
        Array([0.693], dtype=float32)

    Elsewhere: torch's `cross_entropy` with `ignore_index` is the mean over all valid steps.
    """
    logits, labels = jnp.asarray(outputs), jnp.asarray(targets)
    if logits.ndim < 2 or labels.shape != logits.shape[:-1]:
        raise ValueError(
            f"sequence_cross_entropy(targets) has shape {labels.shape}, but the outputs have shape "
            f"{logits.shape}: expected integer labels of shape {logits.shape[:-1]}, outputs being [B, T, C]."
        )
    valid = jnp.ones(labels.shape, bool) if mask is None else jnp.asarray(mask)
    if valid.shape != labels.shape:
        raise ValueError(
            f"sequence_cross_entropy(mask) has shape {valid.shape}, expected that of the targets, "
            f"{labels.shape}: one number a step; for lengths use jnp.arange(T)[None, :] < lengths[:, None]."
        )
    is_class = (labels >= 0) & (labels < logits.shape[-1])
    valid = jnp.where(is_class, valid, jnp.zeros_like(valid))
    # Masked logits are replaced before they are used, so that not even a NaN gets through.
    logits = jnp.where(valid.astype(bool)[..., None], logits, jnp.zeros_like(logits))
    logits = logits.astype(compute_dtype(logits))
    values = softmax_cross_entropy(logits, labels, label_smoothing=label_smoothing)
    return as_outputs(jax.vmap(weighted_mean)(values, valid), outputs)
