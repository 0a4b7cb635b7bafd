"""One estimate with four names: ridge, the mode of a Gaussian posterior, weight decay, early stopping.

The first three are the same numbers. The fourth is a likeness: along a singular direction of the data with
singular value s, ridge keeps s²/(s² + λ) of the least-squares solution, and gradient descent that starts at
0 keeps 1 − (1 − ηs²)ᵗ after t steps. With t = 1/(ηλ) both are s²/λ for weak directions and 1 for strong ones,
and between they differ by up to 0.204 (at s² = 1.79λ).
"""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from jaxopt_notes.optimizers import apply_updates, chain, sgd, weight_decay
from jaxopt_notes.record import check_count, record
from jaxopt_notes.search.export import Rows
from jaxopt_notes.studies.result import Array, Figure, StudyResult, median, rows_of

__all__ = ["RidgeReadings", "ridge_readings"]

FEATURES, EXAMPLES, NOISE = 8, 40, 0.5


@record
class RidgeReadings(StudyResult):
    """See `ridge_readings`."""

    strengths: Array  # [strengths]
    ridge: Array  # [seeds, strengths, features]
    posterior: Array  # the mode
    decayed: Array  # gradient descent with weight decay, converged
    stopped: Array  # gradient descent without, after 1/(ηλ) steps
    spectrum: Array  # [seeds, features]: s²
    kept: Array  # [seeds, strengths, features]: by ridge, of each singular direction
    kept_stopped: Array  # the same by stopping

    def rows(self) -> Rows:
        def away(other: Any) -> np.ndarray:
            distance = np.linalg.norm(other - self.ridge, axis=-1) / np.linalg.norm(self.ridge, axis=-1)
            return median(distance.T)

        return rows_of(
            strength=self.strengths, norm_of_ridge=median(np.linalg.norm(self.ridge, axis=-1).T),
            posterior_differs_by=away(self.posterior), decay_differs_by=away(self.decayed),
            stopping_differs_by=away(self.stopped),
        )  # fmt: skip

    def plot(self) -> Figure:
        from jaxopt_notes.plots.panels import bands, panels

        drawn, (left, right) = panels(2)
        ways = {"ridge": self.ridge, "early stopping": self.stopped}
        norms = {name: np.linalg.norm(way, axis=-1) for name, way in ways.items()}
        bands(left, self.strengths, norms)
        left.set(xscale="log", xlabel="λ, or 1/(ηt)", ylabel="‖w‖", title="the same path to 0")
        ratio = np.logspace(-2, 2, 200)
        bands(right, ratio, {"ridge": ratio / (1 + ratio), "early stopping": 1 - np.exp(-ratio)})
        right.set(xscale="log", xlabel="s²/λ", ylabel="share kept", title="of each singular direction")
        return drawn


def ridge_readings(key: jax.Array, *, seeds: int = 8, steps: int = 4000) -> RidgeReadings:
    """Ridge regression, read as a Gaussian prior, as weight decay, and as early stopping.

        ridge       (XᵀX + λI)⁻¹Xᵀy
        posterior   argmax −‖y − Xw‖²/(2σ²) − ‖w‖²/(2τ²),  τ² = σ²/λ
        decay       w ← w − η(Xᵀ(Xw − y) + λw), for ever
        stopping    w ← w − ηXᵀ(Xw − y), from 0, 1/(ηλ) times

    Arguments:
        key: a typed random key.
        seeds: data sets of 40 examples and 8 features of unequal size.
        steps: of the descent with weight decay.

    Returns:
        A `RidgeReadings`.

    Raises:
        ValueError: a number below 1. TypeError: an argument is not a whole number.

    Source: Goodfellow, Bengio & Courville 2016, sections 5.6.1 and 7.8.
    """
    check_count("ridge_readings(seeds)", seeds, 1)
    check_count("ridge_readings(steps)", steps, 1)
    strengths = jnp.logspace(-1, 2, 7)

    def run(key: jax.Array) -> tuple:
        of_x, of_w, of_y = jax.random.split(key, 3)
        x = jax.random.normal(of_x, (EXAMPLES, FEATURES)) * jnp.logspace(-0.7, 0.3, FEATURES)[None]
        y = x @ jax.random.normal(of_w, (FEATURES,)) + NOISE * jax.random.normal(of_y, (EXAMPLES,))
        gram, moment, identity = x.T @ x, x.T @ y, jnp.eye(FEATURES)
        squares, directions = jnp.linalg.eigh(gram)
        rate = 0.5 / squares[-1]

        def of(strength: jax.Array) -> tuple:
            ridge = jnp.linalg.solve(gram + strength * identity, moment)

            def log_posterior(w: jax.Array) -> jax.Array:
                prior = jnp.sum(w**2) * strength / (2 * NOISE**2)
                return -jnp.sum((y - x @ w) ** 2) / (2 * NOISE**2) - prior

            zero = jnp.zeros(FEATURES)  # it is a quadratic, so that one step of Newton's is at the top
            mode = -jnp.linalg.solve(jax.hessian(log_posterior)(zero), jax.grad(log_posterior)(zero))
            optimizer = chain(sgd(rate), weight_decay(strength * rate, mask=None))

            def step(carry: tuple, _: None) -> tuple:
                w, state = carry
                updates, state = optimizer.update(gram @ w - moment, state, w)
                return (apply_updates(w, updates), state), None

            decayed = lax.scan(step, (zero, optimizer.init(zero)), length=steps)[0][0]
            # After t steps of slow descent from 0, which need be no whole number here.
            slow = 0.01 * rate
            kept = -jnp.expm1(jnp.log1p(-slow * squares) / (slow * strength))
            stopped = directions @ (kept * (directions.T @ jnp.linalg.solve(gram, moment)))
            return ridge, mode, decayed, stopped, squares / (squares + strength), kept

        return *jax.vmap(of)(strengths), squares

    with jax.default_matmul_precision("highest"):  # the three digits of GPU and TPU are too few
        found = jax.jit(jax.vmap(run))(jax.random.split(key, seeds))
    ridge, mode, decayed, stopped, kept, kept_stopped, squares = map(np.asarray, found)
    return RidgeReadings(
        np.asarray(strengths), ridge, mode, decayed, stopped, squares, kept, kept_stopped
    )  # fmt: skip
