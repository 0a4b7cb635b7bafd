"""Losses: plain functions `(outputs, targets) -> one value per example`, and the one reduction.

A loss compares a batch of outputs with a batch of targets and returns values of shape [B]; it never
averages over the batch. `weighted_mean` does that, with a weight per sample, so a padded sample
counts nothing and a last partial batch counts by its size.

    values = softmax_cross_entropy(outputs, labels)          # [B]
    risk = weighted_mean(values, weights)                    # scalar

Some losses have numbers (`label_smoothing`, `delta`). They are keyword arguments, so the function
itself serves where the defaults will do, and `jax.tree_util.Partial` binds others: a `Partial` is a
pytree whose bound numbers are *leaves*, as a record's are. So a sweep maps over them:

    >>> import jax, jax.numpy as jnp
    >>> from jax.tree_util import Partial
    >>> losses = jax.vmap(lambda s: Partial(softmax_cross_entropy, label_smoothing=s))(jnp.array([0.0, 0.1]))
    >>> jax.tree.leaves(losses)
    [Array([0. , 0.1], dtype=float32)]
    >>> logits, labels = jnp.array([[2.0, 0.0]]), jnp.array([0])
    >>> [round(float(value), 3) for value in jax.vmap(lambda loss: loss(logits, labels)[0])(losses)]
    [0.127, 0.227]

A closure or `functools.partial` would freeze the number into the program; do not use them for it.

`LOSSES` lists every loss by name.
"""

# ruff: noqa: F403

# One line for each file of losses: the names in its `__all__` are public, and in `LOSSES`.
from jaxopt_notes.losses.absolute_error import *
from jaxopt_notes.losses.cross_entropy import *
from jaxopt_notes.losses.huber import *
from jaxopt_notes.losses.reduction import empirical_risk, weighted_mean
from jaxopt_notes.losses.squared_error import *
from jaxopt_notes.registry import public_names as _public_names

_REDUCTIONS = [empirical_risk.__name__, weighted_mean.__name__]
LOSSES = {name: globals()[name] for name in _public_names(__name__, globals()) if name not in _REDUCTIONS}
"""The losses by name."""

__all__ = ["LOSSES", *_public_names(__name__, globals())]
