"""What the tests of optimizers share: random gradients, and runs against a reference in NumPy.

A reference is a generator `reference(theta, grads)` written from the formula, one leaf in float64: it
yields the parameters after each step.
"""

import functools

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from jaxopt_notes.numerics import abs_squared
from jaxopt_notes.optimizers.core.apply_updates import apply_updates
from jaxopt_notes.optimizers.core.trainable import moving

STEPS = 12
SHAPES = {"kernel": (3, 2), "bias": (3,)}
RATES = 0.1 / (1 + np.arange(STEPS))  # a rate for every step, and the schedule that gives it


def falling_rate(step):
    return 0.1 / (1 + jnp.asarray(step, jnp.result_type(float)))


def random_params(seed=0):
    rng = np.random.default_rng(seed)
    return {name: rng.normal(size=shape) for name, shape in SHAPES.items()}


def random_grads(steps=STEPS, seed=1):
    """Gradients [steps, …] for `random_params`, no two leaves of one scale."""
    rng = np.random.default_rng(seed)
    return {
        name: scale * rng.normal(size=(steps, *shape))
        for scale, (name, shape) in zip((1.0, 0.03), SHAPES.items(), strict=True)
    }


def loss_of(grads, params):
    """A loss for those who need more than its gradient: the arguments of `update` that say what it is.

    It is a parabola of a curvature of its own in every direction, with the given gradient at these
    parameters and 0 at its bottom, as a function and as residuals; it turns with the complex plane.
    """

    def residual_fn(x):
        trees = *moving(grads, params), moving(grads, x)[1]
        slopes, start, here = map(jax.tree.leaves, trees)
        residuals = []
        for g, p, q in zip(slopes, start, here, strict=True):
            curvature = jnp.linspace(1.0, 1.5, p.size, dtype=jnp.real(p).dtype).reshape(p.shape)
            root = jnp.sqrt(curvature).astype(p.dtype)
            residuals.append(g / root + root * (q - p))
        return residuals

    def value_fn(x):
        halves = [jnp.sum(abs_squared(r)) / 2 for r in residual_fn(x)]
        return sum((half.astype(jnp.result_type(float)) for half in halves), jnp.zeros(()))

    return {"value_fn": value_fn, "residual_fn": residual_fn}


def follow(optimizer, params, grads):
    """The parameters and the states after each step with given gradients: `[steps, …]` each, on the host."""
    return jax.device_get(_follow(optimizer, params, grads))


@jax.jit
def _follow(optimizer, params, grads):
    def step(carry, g):
        params, state = carry
        updates, state = optimizer.update(g, state, params, **loss_of(g, params))
        params = apply_updates(params, updates)
        return (params, state), (params, state)

    return lax.scan(step, (params, optimizer.init(params)), grads)[1]


def descend(optimizer, gradient, start, steps):
    """The same with the gradient taken at the parameters held: `[1 + steps, …]`, the start first."""
    return jax.device_get(_descend(optimizer, gradient, start, steps))


@functools.partial(jax.jit, static_argnums=(1, 3))
def _descend(optimizer, gradient, start, steps):
    def step(carry, _):
        params, state = carry
        updates, after = optimizer.update(gradient(params), state, params)
        return (apply_updates(params, updates), after), carry

    last, before = lax.scan(step, (start, optimizer.init(start)), length=steps)
    return jax.tree.map(lambda x, end: jnp.concatenate([x, end[None]]), before, last)


def assert_follows(optimizer, reference, rtol=1e-12, **replaced):
    """The optimizer's parameters are those of the reference, leaf by leaf and step by step.

    A leaf named in `replaced` has a reference of its own.
    """
    params, grads = random_params(), random_grads()
    found, _ = follow(optimizer, params, grads)
    for name in SHAPES:
        expected = np.stack(list(replaced.get(name, reference)(params[name], grads[name])))
        assert found[name].dtype == np.float64
        np.testing.assert_allclose(found[name], expected, rtol=rtol, atol=1e-15, err_msg=name)
