"""Our optimizers wherever optax takes one, optax's in our chain, and what needs the adapter."""

import dataclasses
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxopt_notes.interop import to_optax
from jaxopt_notes.optimizers import (
    OPTIMIZERS,
    adam,
    adamw,
    apply_updates,
    chain,
    clip_by_global_norm,
    nesterov,
    sgd,
    skip_nonfinite,
)

optax = pytest.importorskip("optax")
pytestmark = pytest.mark.usefixtures("relaxed", "x64")

PARAMS = {"dense": {"kernel": np.array([[1.0, -2.0], [0.5, 3.0]]), "bias": np.array([1.0, -1.0])}}
KERNELS = {"dense": {"kernel": True, "bias": False}}
LABELS = {"dense": {"kernel": "weights", "bias": "biases"}}


def curved(params):
    return jax.tree.map(lambda p: p * jnp.linspace(0.5, 2.0, p.size).reshape(p.shape), params)


def half_square(params):
    """The loss whose gradient is `curved`."""
    leaves = zip(jax.tree.leaves(params), jax.tree.leaves(curved(params)), strict=True)
    return sum(jnp.sum(p * slope) / 2 for p, slope in leaves)


def run(optimizer, steps=5, **extra):
    """Parameters after some steps of a compiled loop; every leaf has a curvature of its own."""

    @jax.jit
    def step(params, state):
        updates, state = optimizer.update(curved(params), state, params, **extra)
        return optax.apply_updates(params, updates), state

    params, state = PARAMS, optimizer.init(PARAMS)
    for _ in range(steps):
        params, state = step(params, state)
    return params


def assert_equal(ours, theirs, **extra):
    found, expected = run(ours, **extra), run(theirs, **extra)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-9), found, expected)


# Ours in optax

PLACES = {
    "chain": lambda tx: optax.chain(optax.clip_by_global_norm(1.0), tx, optax.add_decayed_weights(-0.01)),
    "MultiSteps": lambda tx: optax.MultiSteps(tx, every_k_schedule=2),
    "masked": lambda tx: optax.chain(optax.masked(tx, KERNELS), optax.scale(0.1)),
    "partition": lambda tx: optax.partition({"weights": tx, "biases": optax.sgd(0.1)}, LABELS),
    "apply_if_finite": lambda tx: optax.apply_if_finite(tx, max_consecutive_errors=2),
    "ema": lambda tx: optax.chain(tx, optax.ema(0.5)),
}


@pytest.mark.full
@pytest.mark.parametrize("place", PLACES)
def test_a_record_stands_wherever_optax_takes_a_transform(place):
    around = PLACES[place]
    assert_equal(around(adam(0.1)), around(optax.adam(0.1)))


def test_a_record_with_a_mask_and_one_with_iterates_stand_in_a_partition():
    """Leaves that optax masks out are no leaves at all to us."""
    ours = {"weights": adamw(0.1, weight_decay=0.1, mask=None), "biases": skip_nonfinite(nesterov(0.1))}
    theirs = {"weights": optax.adamw(0.1, weight_decay=0.1), "biases": optax.sgd(0.1, 0.9, nesterov=True)}
    assert_equal(optax.partition(ours, LABELS), optax.partition(theirs, LABELS))


@pytest.mark.full
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_every_optimizer_is_itself_in_a_chain_of_optax(name):
    """Those that need the loss as well through the adapter: optax hands it on to its own kind only."""
    optimizer = OPTIMIZERS[name]()
    extra = {"value_fn": half_square} if name in {"sophia", "polyak_sgd"} else {}
    in_chain = optax.chain(to_optax(optimizer) if extra else optimizer, optax.identity())
    found, expected = run(in_chain, **extra), run(optimizer, **extra)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-12), found, expected)


def test_inject_hyperparams_takes_our_factories():
    optimizer = optax.inject_hyperparams(adam)(learning_rate=optax.linear_schedule(0.1, 0.0, 5), b1=0.8)
    assert set(optimizer.init(PARAMS).hyperparams) == {"learning_rate", "b1", "b2", "eps", "eps_root"}
    assert_equal(optimizer, adam(optax.linear_schedule(0.1, 0.0, 5), b1=0.8))


# Optax in ours


def test_transforms_of_optax_stand_in_our_chain():
    ours = chain(optax.clip_by_global_norm(1.0), adam(0.1))
    assert_equal(ours, optax.chain(optax.clip_by_global_norm(1.0), optax.adam(0.1)))


def test_a_chain_with_a_transform_of_optax_is_an_argument_of_jit_without_retracing():
    """The part of optax is structure, equal to itself; the numbers of our part are data."""
    traces = []

    @jax.jit
    def step(optimizer, params, state):
        traces.append(1)
        updates, state = optimizer.update(params, state, params)
        return apply_updates(params, updates), state

    optimizer = chain(optax.clip_by_global_norm(1.0), adam(0.1))
    clip = optimizer.transforms[0]
    params, state = PARAMS, optimizer.init(PARAMS)
    for rate in (0.1, 0.2, 0.3):
        changed = dataclasses.replace(optimizer, transforms=(clip, adam(rate)))
        params, state = step(changed, params, state)
    assert len(traces) == 1
    assert jax.tree.leaves(optimizer) == jax.tree.leaves(adam(0.1))
    by_rate = jax.vmap(lambda rate: step(chain(clip, adam(rate)), PARAMS, optimizer.init(PARAMS))[0])
    moved = by_rate(jnp.array([0.1, 0.3]))["dense"]["bias"] - PARAMS["dense"]["bias"][None]
    np.testing.assert_allclose(moved[1], 3 * moved[0], rtol=1e-9)


def test_extra_arguments_reach_the_part_that_takes_them():
    ours = chain(clip_by_global_norm(100.0), optax.polyak_sgd())
    assert_equal(ours, optax.polyak_sgd(), value=1.0)


# What needs the adapter


def test_extra_arguments_pass_through_optax_to_us_with_the_adapter():
    """Polyak's step needs `value`: optax's chain keeps it from a record, and gives it to an adapted one."""
    ours = chain(optax.polyak_sgd())
    with pytest.raises(TypeError, match="value"):
        run(optax.chain(ours), value=1.0)
    assert_equal(optax.chain(to_optax(ours)), optax.polyak_sgd(), value=1.0)


def test_numbers_may_be_arrays_or_tracers_in_the_adapter():
    assert isinstance(to_optax(adam()), optax.GradientTransformationExtraArgs)

    def last(rate):
        return run(optax.chain(to_optax(sgd(rate)), optax.identity()))["dense"]["bias"]

    rates = jnp.array([0.1, 0.2])
    expected = [run(optax.sgd(float(rate)))["dense"]["bias"] for rate in rates]
    np.testing.assert_allclose(jax.jit(jax.vmap(last))(rates), np.stack(expected), rtol=1e-9)


def test_the_adapter_refuses_what_is_not_a_transform_and_says_when_optax_is_missing(monkeypatch):
    with pytest.raises(TypeError, match="not a gradient transform"):
        to_optax(0.1)
    monkeypatch.setitem(sys.modules, "optax", None)
    with pytest.raises(ModuleNotFoundError, match="pip install optax"):
        to_optax(adam())
