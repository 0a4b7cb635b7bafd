"""Dropout: in training each unit is silenced at random, anew at every step.

The rate is the probability of dropping, a number that may be traced: a batch of rates, or the
gradient with respect to one, costs no recompilation. A rate of 0 is the identity and a rate of 1 gives
zeros, both without a branch. The mask depends on the key alone, so the same key drops the same units
in the forward pass and in its gradient; a step of training folds its number into the key.

What is drawn may be shared: `spatial_dropout` drops whole channels, `drop_path` whole examples.
"""

import jax
import jax.numpy as jnp

from jaxopt_notes.draws import as_vector
from jaxopt_notes.dtypes import Tree, as_hyperparameter, compute_dtype
from jaxopt_notes.layers.layer import WithoutParameters, floating
from jaxopt_notes.layers.noise import Noise, check_key
from jaxopt_notes.record import Number, check_choice, check_number, record, static

__all__ = ["Dropout", "dropout", "dropout_mask"]

MODES = ("inverted", "vanilla")


@record
class Dropout(WithoutParameters, Noise):
    """See `dropout`."""

    rate: Number
    mode: str = static()
    shared: tuple[int, int | None] | None = static()  # axes from one to another have one draw

    def apply(
        self, params: Tree, state: Tree, x: jax.Array, *, key: jax.Array | None = None, train: bool = False
    ) -> tuple[jax.Array, Tree]:
        x = floating(x)
        if not train:
            return (scaled(x, 1 - as_hyperparameter(self.rate)) if self.mode == "vanilla" else x), state
        mask = dropout_mask(check_key("dropout", key), self.rate, self._draws(x.shape))
        kept = x if self.mode == "vanilla" else scaled(x, inverse_keep(self.rate))
        return jnp.where(mask, kept, jnp.zeros_like(x)), state

    def _draws(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        alike = range(len(shape))[slice(*self.shared)] if self.shared else ()
        return tuple(1 if axis in alike else n for axis, n in enumerate(shape))


def dropout_mask(key: jax.Array, rate: Number, shape: tuple[int, ...]) -> jax.Array:
    """A mask of bools, each False (dropped) with probability `rate`.

    Example:
        >>> dropout_mask(jax.random.key(0), 1.0, (3,))
        Array([False, False, False], dtype=bool)
    """
    keep = (1 - as_hyperparameter(rate)).astype(jnp.float32)  # the same draws under x64
    return as_vector(lambda shape: jax.random.bernoulli(key, keep, shape), shape)


def inverse_keep(rate: Number) -> jax.Array:
    """1/(1 − rate), the factor of inverted dropout; 0 at rate 1, where nothing is kept."""
    keep = 1 - as_hyperparameter(rate)
    return jnp.where(keep > 0, 1 / jnp.where(keep > 0, keep, 1), 0)


def scaled(x: jax.Array, factor: jax.Array) -> jax.Array:
    """x·factor, multiplied in at least float32, in the dtype of x."""
    kind = compute_dtype(x)
    return (x.astype(kind) * factor.astype(kind)).astype(x.dtype)


def dropout(rate: Number = 0.5, mode: str = "inverted") -> Dropout:
    """Dropout.

        inverted   training: y = mask·x/(1 − rate)    evaluation: y = x
        vanilla    training: y = mask·x               evaluation: y = (1 − rate)·x
        mask = 0 with probability rate, else 1, independently for each number in x

    Both have the same expectation in training as in evaluation. A dropped unit sends no gradient
    to its weights; momentum, Adam or weight decay still move them.

    Arguments:
        rate: the probability of dropping, in [0, 1]; usual values are 0.1 to 0.5.
        mode: "inverted" rescales in training, "vanilla" in evaluation.

    Returns:
        A `Dropout` record. It needs a key only when `train=True`.

    Raises:
        ValueError: a rate outside [0, 1], an unknown mode; in `apply`, training without a key.

    Example:
        >>> layer = dropout(0.5)
        >>> y, _ = layer.apply({}, (), jnp.ones(6), key=jax.random.key(0), train=True)
        >>> sorted(set(y.tolist()))
        [0.0, 2.0]

    Source: Srivastava et al. 2014, section 10.

    Elsewhere: Keras, Flax, torch and Equinox have the inverted form, with `rate` (p) the probability of
    dropping as here; `jax.example_libraries.stax` takes the probability of keeping.
    """
    return Dropout(
        check_number("dropout(rate)", rate, "[0, 1]", "it is the probability of dropping; 0 switches it off"),
        check_choice("dropout(mode)", mode, MODES),
        None,
    )
