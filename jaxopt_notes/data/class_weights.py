"""Class weights: rare classes count more, so that every class has the same say in the loss.

They are used in one of two ways, which differ in what the mean of a batch is divided by:

    weights = class_weights(y, classes=10)
    data = (x, y, weights[y])                        # Σ w·ℓ / Σ w of the batch, as torch has it
    loss = Partial(softmax_cross_entropy, class_weights=weights)        # Σ w·ℓ / B, as Keras has it

Either way they are leaves. `balanced_batches` and `smote` change how often examples come instead.
"""

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike

from jaxopt_notes.data.dealing import check_labels
from jaxopt_notes.numerics import safe_divide, sums_by_index
from jaxopt_notes.record import check_count


def class_weights(labels: ArrayLike, classes: int, *, weights: ArrayLike | None = None) -> jax.Array:
    """The weight of each class by which all classes count alike.

        w_c = n / (K·n_c)          K: how many classes there are among the labels

    Arguments:
        labels: integers [n], 0 … C − 1; others are no class and are left out.
        classes: C, static.
        weights: [n], what each sample counts, ≥ 0, as of the training set of a fold; `None` for all alike.

    Returns:
        float32 [C] (float64 under x64), 0 for a class without samples. The mean over the samples is 1.

    Raises:
        ValueError: labels not [n], weights of another shape. TypeError: labels that are not integers.

    Example:
        >>> class_weights(jnp.array([0, 0, 0, 0, 1]), 2)
        Array([0.625, 2.5  ], dtype=float32)

    Source: King & Zeng 2001, section 3.2.

    Elsewhere: `sklearn.utils.class_weight.compute_class_weight("balanced")`.
    """
    classes = check_count("class_weights(classes)", classes, 1)
    labels = check_labels("class_weights(labels)", labels, None)
    counts = class_counts(labels, classes, weights)
    present = jnp.sum(counts > 0).astype(counts.dtype)
    return safe_divide(jnp.sum(counts), present * counts)


def class_counts(labels: jax.Array, classes: int, weights: ArrayLike | None = None) -> jax.Array:
    """How many samples there are of each class, or their weights' sums: [C] in floats."""
    kind = jnp.result_type(float)
    weights = jnp.ones(labels.shape, kind) if weights is None else jnp.asarray(weights).astype(kind)
    if weights.shape != labels.shape:
        raise ValueError(
            f"class_weights(weights) has shape {weights.shape}, expected {labels.shape}, one a sample."
        )
    is_class = (labels >= 0) & (labels < classes)
    place = jnp.where(is_class, labels, 0)
    return sums_by_index(place, jnp.where(is_class, weights, 0), classes)
