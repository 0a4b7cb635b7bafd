"""Differentially private gradients: no example may matter much, and noise hides how much it did.

The gradient of each example is clipped on its own, so none moves the sum by more than the threshold; noise in
proportion to the threshold then makes the sum nearly the same with and without any one of them.

    grads = jax.vmap(jax.grad(loss), (None, 0))(params, examples)          # [B, …] each
    mean, state = clip_per_example(1.0, 1.1).update(grads, state, params)
"""

from typing import Any

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike

from jaxopt_notes.dtypes import Tree, as_hyperparameter, is_float, is_none
from jaxopt_notes.norms import global_norm
from jaxopt_notes.optimizers.core.gradient_transform import Accept
from jaxopt_notes.optimizers.core.leafwise import Transform, first_step, increment, leafwise
from jaxopt_notes.optimizers.core.wrapping import narrowed, widened
from jaxopt_notes.optimizers.transforms.clipping import clip_to
from jaxopt_notes.optimizers.transforms.noise import NoiseState, draws
from jaxopt_notes.record import Number, check_number, check_seed, record


@record
class ClipPerExample(Transform):
    """See `clip_per_example`."""

    max_norm: Number
    noise_multiplier: Number
    seed: Number

    def init(self, params: Tree) -> NoiseState:
        return NoiseState(first_step(), jax.random.key(jnp.asarray(self.seed).astype(jnp.uint32)))

    def update(
        self, updates: Tree, state: NoiseState, params: Tree = None, *, accept: Accept = None, **extra: Any
    ) -> tuple[Tree, NoiseState]:
        grads = jax.tree.map(lambda g: g if is_float(g) else None, updates)
        batch = _batch_size(grads, params)
        clipped = jax.vmap(self._clip)(widened(grads))
        mean = jax.tree.map(
            lambda g, c: g if c is None else jnp.mean(c, axis=0), updates, clipped, is_leaf=is_none
        )
        stddev = as_hyperparameter(self.max_norm) * as_hyperparameter(self.noise_multiplier) / batch
        (noisy,) = leafwise(_add, mean, draws(state, mean), stddev=stddev, accept=accept)
        like = jax.tree.map(lambda g: g[0] if is_float(g) else g, updates) if params is None else params
        return narrowed(noisy, like), NoiseState(increment(state.count, accept), state.key)

    def _clip(self, grads: Tree) -> Tree:
        """The gradient of one example, its norm at most the threshold; zeros if it is not finite."""
        norm = global_norm(grads)

        def clip(g: ArrayLike) -> Any:
            kind = jnp.real(g).dtype
            limit = as_hyperparameter(self.max_norm).astype(kind)
            return clip_to(g, norm.astype(kind), limit, zero_nonfinite=True)

        return jax.tree.map(clip, grads)


def _add(g, noise, *, stddev):
    return g + stddev * noise


def _batch_size(grads: Tree, params: Tree) -> int:
    """The length of the leading axis that all gradients have and no parameter."""
    shapes = [jnp.shape(g) for g in jax.tree.leaves(grads)]
    sizes = {shape[0] if shape else 0 for shape in shapes}
    pairs = [] if params is None else jax.tree.leaves(jax.tree.map(_is_batch, grads, params, is_leaf=is_none))
    if len(sizes) > 1 or 0 in sizes or not all(pairs):
        raise ValueError(
            f"clip_per_example got gradients of shapes {shapes}, expected [B, …] for every leaf, one "
            "for each of B examples: take them with jax.vmap(jax.grad(loss), (None, 0))(params, examples)."
        )
    return sizes.pop() if sizes else 1


def _is_batch(g: ArrayLike | None, p: ArrayLike) -> bool | None:
    return None if g is None else jnp.shape(g)[1:] == jnp.shape(p)


def clip_per_example(
    max_norm: Number = 1.0, noise_multiplier: Number = 1.0, seed: Number = 0
) -> ClipPerExample:
    """The mean of clipped gradients of single examples, with noise: differentially private descent.

        g ← (Σᵢ gᵢ·min(1, C/‖gᵢ‖) + N(0, σ²C²)) / B

    Arguments:
        max_norm: C > 0, the largest norm of an example's gradient over all leaves.
        noise_multiplier: σ ≥ 0, the noise as a multiple of C. With the share of the data in a batch and the
            number of steps it decides how private the run is; 0 clips only.
        seed: a whole number: the noise is a function of it, so keep it secret.

    Returns:
        A `ClipPerExample` record, to stand first in `chain`. Its `update` takes gradients [B, …], whose
        leading axis is gone from what it returns. A gradient that is not finite counts as zeros. Its state
        holds a counter and a key.

    Raises:
        ValueError: a number outside its interval, or gradients without a common leading axis.
        TypeError: an argument is not a number.

    Example:
        >>> clip = clip_per_example(1.0, noise_multiplier=0.0)
        >>> grads = jnp.array([[3.0, 4.0], [0.3, 0.4]])  # of two examples, norms 5 and 0.5
        >>> mean, _ = clip.update(grads, clip.init(jnp.zeros(2)), jnp.zeros(2))
        >>> print([f"{g:.2f}" for g in mean])
        ['0.45', '0.60']

    Source: Abadi et al. 2016, algorithm 1.

    Elsewhere: `optax.contrib.differentially_private_aggregate`, the same but for its random numbers; there an
    example of infinite gradient makes the whole sum NaN. How private a run was is told by an accountant such
    as that of `dp_accounting`.
    """
    return ClipPerExample(
        max_norm=check_number(
            "clip_per_example(max_norm)", max_norm, "(0, inf)", "the noise is a multiple of it"
        ),
        noise_multiplier=check_number(
            "clip_per_example(noise_multiplier)", noise_multiplier, "[0, inf)", "0 clips only"
        ),
        seed=check_seed("clip_per_example(seed)", seed),
    )
