"""Gradient descent with noise added to its gradients: less and less of it, the longer it runs.

It is `add_noise` before `sgd`. The noise helps out of flat places and narrow valleys at
the beginning, most of all in deep networks that were started badly, and is gone at the end.
"""

from typing import Any

from jaxopt_notes.dtypes import Tree
from jaxopt_notes.optimizers.core.gradient_transform import Accept
from jaxopt_notes.optimizers.core.leafwise import Transform, first_step
from jaxopt_notes.optimizers.core.wrapping import narrowed, widened
from jaxopt_notes.optimizers.sgd import SGD, SGDState
from jaxopt_notes.optimizers.transforms.noise import AddNoise, add_noise
from jaxopt_notes.record import Number, record
from jaxopt_notes.schedules.schedule import Rate, check_rate


@record
class NoisySGD(Transform):
    """See `noisy_sgd`."""

    learning_rate: Rate
    eta: Number
    gamma: Number
    seed: Number

    def init(self, params: Tree) -> SGDState:
        return SGDState(first_step())

    def update(
        self, updates: Tree, state: SGDState, params: Tree = None, *, accept: Accept = None, **extra: Any
    ) -> tuple[Tree, SGDState]:
        noise = AddNoise(eta=self.eta, gamma=self.gamma, seed=self.seed)
        now = noise.init(params)._replace(count=state.count)
        noisy, _ = noise.update(widened(updates), now)  # rounded once, by the step
        likes = updates if params is None else params
        steps, state = SGD(self.learning_rate).update(noisy, state, accept=accept)
        return narrowed(steps, likes), state


def noisy_sgd(
    learning_rate: Rate = 1e-2, eta: Number = 0.01, gamma: Number = 0.55, seed: Number = 0
) -> NoisySGD:
    """Gradient descent with annealed Gaussian noise.

        θ ← θ − η·(g + N(0, σₜ²)),  σₜ² = eta/(1 + t)^γ             (t = 0 at the first update)

    Arguments:
        learning_rate: η ≥ 0, a number or a schedule.
        eta: ≥ 0, the variance of the noise at the first step; 0 is `sgd`.
        gamma: γ ≥ 0; 0 keeps the variance constant.
        seed: a whole number; members of a population with different seeds have different noise.

    Returns:
        A `NoisySGD` record; its state is the step number alone: draws are made of it and the seed.

    Raises:
        ValueError: a negative number.
        TypeError: an argument is not a number.

    Example:
        >>> import jax.numpy as jnp
        >>> optimizer, params = noisy_sgd(learning_rate=0.5, eta=1e-6), jnp.array([4.0])
        >>> updates, state = optimizer.update(params, optimizer.init(params), params)
        >>> print(f"{updates[0]:.2f}")
        -2.00

    Source: Neelakantan et al. 2015 (eta of 0.01, 0.3 or 1, γ 0.55).

    Elsewhere: `optax.noisy_sgd`, the same but for the draws, without a default rate. torch has none.
    """
    noise = add_noise(eta, gamma, seed)
    return NoisySGD(
        learning_rate=check_rate("noisy_sgd(learning_rate)", learning_rate),
        eta=noise.eta,
        gamma=noise.gamma,
        seed=noise.seed,
    )
