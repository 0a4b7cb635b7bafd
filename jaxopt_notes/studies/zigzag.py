"""Inputs of one sign make a neuron's weights zig-zag: its gradients then all point into two quadrants."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from jaxopt_notes.record import check_count, record, static
from jaxopt_notes.search.export import Rows
from jaxopt_notes.studies.result import Array, Figure, StudyResult, median, rows_of

__all__ = ["Zigzag", "zigzag"]


@record
class Zigzag(StudyResult):
    """See `zigzag`."""

    inputs: tuple[str, ...] = static()
    same_sign: Array  # [inputs, seeds]: share of single gradients whose components have one sign
    detour: Array  # [inputs, seeds]: length of the path over the distance
    steps: Array  # [inputs, seeds], until within a tenth of the distance
    points: Array  # [inputs, steps + 1, 2], of the first seed

    def rows(self) -> Rows:
        return rows_of(
            inputs=self.inputs, gradients_of_one_sign=median(self.same_sign),
            length_over_distance=median(self.detour), steps=median(self.steps),
        )  # fmt: skip

    def plot(self) -> Figure:
        from jaxopt_notes.plots.figure import COLORS
        from jaxopt_notes.plots.panels import panels

        drawn, (axis,) = panels(1, width=4.8, height=4.2)
        for points, name, color in zip(self.points, self.inputs, COLORS, strict=False):
            axis.plot(*points[:120].T, ".-", lw=1, ms=4, color=color, label=f"{name} inputs")
        axis.plot(1, -1, "*", color="k", ms=11, label="goal")
        axis.set(xlabel="w₁", ylabel="w₂", title="a neuron, one example a step")
        axis.legend(frameon=False)
        return drawn


def zigzag(key: jax.Array, *, seeds: int = 16, steps: int = 2000) -> Zigzag:
    """A neuron that must raise one weight and lower the other, with positive and with centred inputs.

        ∂L/∂w = (∂L/∂z)·x:  with x > 0 all of its components have the sign of ∂L/∂z

    Arguments:
        key: a typed random key.
        seeds: runs, each on its own data.
        steps: single examples that a run sees at most.

    Returns:
        A `Zigzag`. The rate is half of what the largest input allows, for both.

    Raises:
        ValueError: a number below 1. TypeError: an argument is not a whole number.

    Source: cs231n, lecture 6. The claim holds for a single example; the gradients of a batch may mix signs.
    """
    check_count("zigzag(seeds)", seeds, 1)
    check_count("zigzag(steps)", steps, 1)
    goal = jnp.array([1.0, -1.0])

    def run(center: jax.Array, key: jax.Array) -> tuple:
        x = jax.random.uniform(key, (steps, 2)) - center
        rate = 0.5 / jnp.max(jnp.sum(x**2, axis=1))

        def step(w: jax.Array, example: jax.Array) -> tuple:
            slope = (w - goal) @ example * example
            return w - rate * slope, (w - rate * slope, slope)

        start = jnp.zeros(2)
        found: Any = lax.scan(step, start, x)[1]
        points, slopes = found
        points = jnp.concatenate([start[None], points])
        away = jnp.linalg.norm(points - goal[None], axis=1) > 0.1 * jnp.sqrt(2.0)
        under_way = jnp.cumprod(away) == 1
        moves = jnp.where(under_way[:-1], jnp.linalg.norm(jnp.diff(points, axis=0), axis=1), 0)
        one_sign = jnp.prod(slopes, axis=1) > 0
        distance = jnp.linalg.norm(goal) * 0.9
        return jnp.mean(one_sign), jnp.sum(moves) / distance, jnp.sum(under_way), points

    program = jax.jit(jax.vmap(jax.vmap(run, (None, 0)), (0, None)))
    with jax.default_matmul_precision("highest"):  # the three digits of GPU and TPU are too few
        found = program(jnp.array([0.0, 0.5]), jax.random.split(key, seeds))
    same_sign, detour, taken, points = map(np.asarray, found)
    return Zigzag(("positive", "centred"), same_sign, detour, taken, points[:, 0])
