"""Gradient noise: what makes gradient descent stochastic, added on purpose."""

import zlib
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike

from jaxopt_notes.draws import as_vector
from jaxopt_notes.dtypes import Tree, as_hyperparameter, compute_dtype, is_float
from jaxopt_notes.masks import path_name
from jaxopt_notes.numerics import safe_sqrt
from jaxopt_notes.optimizers.core.gradient_transform import Accept
from jaxopt_notes.optimizers.core.leafwise import Transform, first_step, increment, leafwise
from jaxopt_notes.optimizers.core.wrapping import narrowed, widened
from jaxopt_notes.record import Number, check_number, check_seed, record


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
        return NoiseState(first_step(), jax.random.key(jnp.asarray(self.seed).astype(jnp.uint32)))

    def update(
        self, updates: Tree, state: NoiseState, params: Tree = None, *, accept: Accept = None, **extra: Any
    ) -> tuple[Tree, NoiseState]:
        age = 1 + as_hyperparameter(state.count)
        stddev = safe_sqrt(as_hyperparameter(self.eta) / age ** as_hyperparameter(self.gamma))
        # In at least float32, so that a draw of half precision is a draw of single precision, rounded.
        (noisy,) = leafwise(_add, widened(updates), draws(state, updates), stddev=stddev, accept=accept)
        return narrowed(noisy, updates if params is None else params), NoiseState(
            increment(state.count, accept), state.key
        )


def draws(state: NoiseState, tree: Tree) -> Tree:
    """A draw for every leaf from a key of its path: other leaves, come or gone, do not change it."""
    key = jax.random.fold_in(state.key, state.count)

    def draw(path: tuple, leaf: Any) -> ArrayLike | None:
        if not is_float(leaf):
            return leaf
        own = jax.random.fold_in(key, zlib.crc32(path_name(path).encode()))
        kind = compute_dtype(leaf)
        return as_vector(lambda shape: jax.random.normal(own, shape, kind), jnp.shape(leaf))

    return jax.tree.map_with_path(draw, tree)


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
        ValueError: a negative number.
        TypeError: an argument is not a number.

    Example:
        >>> transform = add_noise(eta=0.0)
        >>> transform.update(jnp.array([1.0]), transform.init(None))[0]
        Array([1.], dtype=float32)

    Source: Neelakantan et al. 2015 (η of 0.01, 0.3 or 1, γ 0.55): the noisy
    gradient is unbiased, so gradient descent with it is stochastic gradient descent.

    Elsewhere: `optax.add_noise` has the variance η/t^γ with t = 1 at the first update, the same.
    """
    return AddNoise(
        eta=check_number("add_noise(eta)", eta, "[0, inf)"),
        gamma=check_number("add_noise(gamma)", gamma, "[0, inf)"),
        seed=check_seed("add_noise(seed)", seed),
    )
