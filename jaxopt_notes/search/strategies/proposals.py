"""Where a surrogate model is asked: candidates in the unit cube, and the climb from the best of them.

An acquisition function has many hills, most of them narrow and near the best configuration so far. So half
of the candidates are scattered over the whole cube and half about that configuration, at distances of
every order of magnitude; gradient ascent then climbs from the few that promise most.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jax import lax

from jaxopt_notes.optimizers import adam
from jaxopt_notes.schedules import cosine
from jaxopt_notes.search.surrogates.encoding import Axes, is_ordered

NEAREST = 1e-6  # of the unit cube: points nearer than that are one configuration


def scatter(key: jax.Array, n: int, axes: Axes, center: jax.Array) -> jax.Array:
    """n candidates [n, d] in the unit cube: half of them anywhere, half about `center` [d].

    About the center a coordinate moves by 10^U(−3, −0.5) standard deviations of 1, and stays with
    probability ½ unless it is the only one; a choice without order moves to any value.
    """
    anywhere, scale, step, stay = jax.random.split(key, 4)
    shape, kind = (n, len(axes)), center.dtype
    points = jax.random.uniform(anywhere, shape, kind)
    distance = 10 ** jax.random.uniform(scale, (n, 1), kind, -3, -0.5)
    near = center[None, :] + distance * jax.random.normal(step, shape, kind)
    ordered = jnp.asarray([is_ordered(axis) for axis in axes.values()])
    near = jnp.where(ordered[None, :], jnp.clip(near, 0, 1), points)
    stays = jax.random.bernoulli(stay, 0.5 if len(axes) > 1 else 0.0, shape)
    near = jnp.where(stays, center[None, :], near)
    return jnp.where((jnp.arange(n) % 2 == 0)[:, None], points, near)


def climb(value: Callable, points: jax.Array, steps: int = 40, rate: float = 0.05) -> jax.Array:
    """From each point [n, d] the best one found by `steps` of Adam that climb `value` ([n, d] → [n])."""
    optimizer = adam(cosine(rate, steps))

    def loss(u: jax.Array) -> tuple[jax.Array, jax.Array]:
        heights = value(u)
        return -jnp.sum(heights), heights

    def step(carry: tuple, _: None) -> tuple[tuple, None]:
        here, state, best, highest = carry
        slope, height = jax.grad(loss, has_aux=True)(here)
        better = height > highest
        best = jnp.where(better[:, None], here, best)
        move, state = optimizer.update(jnp.where(jnp.isfinite(slope), slope, 0), state, here)
        return (jnp.clip(here + move, 0, 1), state, best, jnp.where(better, height, highest)), None

    start = (points, optimizer.init(points), points, jnp.full(len(points), -jnp.inf, points.dtype))
    return lax.scan(step, start, None, length=steps)[0][2]


def is_new(points: jax.Array, taken: jax.Array, known: jax.Array) -> jax.Array:
    """Which points [n, d] coincide with none of the known rows of `taken` [m, d]."""
    distance = jnp.max(jnp.abs(points[:, None, :] - taken[None, :, :]), axis=2, initial=0)
    return ~jnp.any((distance < NEAREST) & known[None, :], axis=1)


def distinct(points: jax.Array, n: int) -> jax.Array:
    """The first n of the points [m, d] that coincide with none before them; the others after those."""
    row = jnp.arange(len(points))
    new = jax.vmap(lambda i, point: is_new(point[None], points, row < i)[0])(row, points)
    return points[jnp.argsort(~new, stable=True)[:n]]
