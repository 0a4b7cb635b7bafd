"""Paths of optimizers of other libraries, and how ours are compared with them.

A path is a dict of arrays [steps, …]: the parameters after each step, under the same gradients for all.
"""

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from jaxopt_notes.optimizers.core.apply_updates import apply_updates

ALL = None  # the mask of the peers, who decay every leaf


def falling_rate(step):
    """A rate that falls from 0.05 by 1% a step."""
    return 0.05 * 0.99 ** jnp.asarray(step, jnp.result_type(float))


def optax_path(transform, params, grads):
    """Parameters and states after each step of an optax transform, which mixes dtypes and ranks."""

    def step(carry, g):
        params, state = carry
        updates, state = transform.update(g, state, params)
        params = apply_updates(params, updates)
        return (params, state), (params, state)

    with jax.numpy_dtype_promotion("standard"), jax.numpy_rank_promotion("allow"):
        run = jax.jit(lambda params, grads: lax.scan(step, (params, transform.init(params)), grads)[1])
        return run(params, grads)


def torch_path(torch, name, params, grads, schedule=None, clip=None, **arguments):
    """Parameters after each step of a torch optimizer at rates of `schedule`; `clip` is called each time."""
    leaves = {name: torch.nn.Parameter(torch.tensor(p)) for name, p in params.items()}
    optimizer = getattr(torch.optim, name)(leaves.values(), **arguments)
    path = {name: [] for name in leaves}
    for step in range(len(next(iter(grads.values())))):
        for group in optimizer.param_groups:
            group["lr"] = group["lr"] if schedule is None else float(schedule(step))
        for name, leaf in leaves.items():
            leaf.grad = torch.tensor(grads[name][step])
        if clip is not None:
            clip(leaves.values())
        optimizer.step()
        for name, leaf in leaves.items():
            path[name].append(leaf.detach().numpy().copy())
    return {name: np.stack(points) for name, points in path.items()}


def assert_same(found, expected, rtol=1e-9, atol=1e-12, names=None):
    """The same points, of all leaves or of those named."""
    for name in found if names is None else names:
        np.testing.assert_allclose(found[name], expected[name], rtol=rtol, atol=atol, err_msg=name)


def assert_different(found, expected, least=1e-3):
    """Some number of some leaf differs by more than `least`: the stated difference is really there."""
    assert max(abs(np.asarray(path) - expected[name]).max() for name, path in found.items()) > least
