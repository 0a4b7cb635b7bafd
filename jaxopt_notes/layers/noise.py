"""Layers that draw at random in training and are deterministic in evaluation.

They need a key when `train=True` and only then. `monte_carlo` finds them in a model by their class, to keep
them drawing in evaluation while all other layers, batch normalization above all, evaluate.
"""

from typing import Any

import jax

__all__ = ["Noise"]


class Noise:
    """A layer that draws at random in training: the classes of `dropout`, `gaussian_noise`, `drop_connect` …

    Example:
        >>> from jaxopt_notes.layers.dropout import dropout
        >>> isinstance(dropout(), Noise)
        True
    """


def check_key(layer: str, key: Any) -> jax.Array:
    """The key of a layer that draws; an error if there is none.

    Raises:
        ValueError: the key is None.
    """
    if key is None:
        raise ValueError(
            f"{layer}(key) is None, expected a key when train=True: give apply "
            "key=jax.random.fold_in(key, step), a new one at each step, or train=False."
        )
    return key
