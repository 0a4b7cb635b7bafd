"""Gradient noise: what makes gradient descent stochastic, added on purpose."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from jaxopt_notes.optimizers.leafwise import Transform, first_step, increment, leafwise
from jaxopt_notes.record import Number, check_number, record
from jaxopt_notes.trees import Tree, as_hyperparameter, is_float, is_none


class NoiseState(NamedTuple):
    """Steps made, and the key that all noise comes from."""

    count: jax.Array
    key: jax.Array


@record
class AddNoise(Transform):
    """See `add_noise`."""

    eta: Number
    gamma: Number
    seed: Number

    def init(self, params: Tree) -> NoiseState:
        return NoiseState(first_step(), jax.random.key(self.seed))

    def update(
        self, updates: Tree, state: NoiseState, params: Tree = None, *, accept: Any = None, **extra: Any
    ) -> tuple[Tree, NoiseState]:
        variance = as_hyperparameter(self.eta) / (1 + as_hyperparameter(state.count)) ** self.gamma
        noise = _noise_like(jax.random.fold_in(state.key, state.count), updates)
        (updates,) = leafwise(_add, updates, noise, stddev=jnp.sqrt(variance), accept=accept)
        return updates, NoiseState(increment(state.count, accept), state.key)


def _noise_like(key: jax.Array, tree: Tree) -> Tree:
    leaves, treedef = jax.tree.flatten(tree, is_leaf=is_none)
    drawn = [
        jax.random.normal(jax.random.fold_in(key, i), jnp.shape(leaf), jnp.result_type(leaf))
        if is_float(leaf)
        else leaf
        for i, leaf in enumerate(leaves)
    ]
    return jax.tree.unflatten(treedef, drawn)


def _add(g, noise, *, stddev):
    return g + stddev * noise


def add_noise(eta: Number = 0.01, gamma: Number = 0.55, seed: Number = 0) -> AddNoise:
    """Gaussian noise on the gradients, annealed.

        g ← g + N(0, σₜ²),  σₜ² = η/(1 + t)^γ             (t = 0 at the first update)

    Arguments:
        eta: η ≥ 0, the variance at the first step; 0 switches the noise off.
        gamma: γ ≥ 0; 0 keeps the variance constant.
        seed: a whole number; members of a population with different seeds have different noise.

    Returns:
        An `AddNoise` record, to stand before an optimizer in `chain`; its state holds a counter and a
        key.

    Raises:
        ValueError: a negative number. TypeError: no number.

    Example:
        >>> transform = add_noise(eta=0.0)
        >>> transform.update(jnp.array([1.0]), transform.init(None))[0]
        Array([1.], dtype=float32)

    Source: Neelakantan et al. 2015 (η of 0.01, 0.3 or 1, γ 0.55); row S3-25 of the notes: the noisy
    gradient is unbiased, so gradient descent with it is stochastic gradient descent.

    Elsewhere: `optax.add_noise` has the variance η/t^γ with t = 1 at the first update, the same.
    """
    return AddNoise(
        check_number("add_noise(eta)", eta, "[0, inf)"),
        check_number("add_noise(gamma)", gamma, "[0, inf)"),
        check_number("add_noise(seed)", seed, "[0, inf)"),
    )
