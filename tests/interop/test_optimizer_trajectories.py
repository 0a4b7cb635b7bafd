"""The same paths as optax and torch over 100 steps in float64, or with the stated difference counted in."""

import functools

import jax
import numpy as np
import pytest

import jaxopt_notes.optimizers as ours
from tests.interop import peers
from tests.interop.peers import ALL, assert_different
from tests.interop.peers import falling_rate as schedule
from tests.optimizers.runs import follow, random_grads, random_params

pytestmark = pytest.mark.full

STEPS = 100


def our_path(optimizer):
    path, _ = follow(optimizer, random_params(), random_grads(STEPS))
    return path


def optax_path(transform, grads=None):
    grads = random_grads(STEPS) if grads is None else grads
    return peers.optax_path(transform, random_params(), grads)[0]


def torch_path(torch, name, clip=None, schedule=None, **arguments):
    return peers.torch_path(torch, name, random_params(), random_grads(STEPS), schedule, clip, **arguments)


def assert_same(found, expected, rtol=1e-10):
    peers.assert_same(found, expected, rtol)


# optax


SAME_ARGUMENTS = [
    ("sgd", {"learning_rate": 0.05}),
    ("sgd", {"learning_rate": schedule}),
    ("sgd", {"learning_rate": 0.05, "momentum": 0.9}),
    ("sgd", {"learning_rate": schedule, "momentum": 0.9}),
    ("sgd", {"learning_rate": 0.05, "momentum": 0.9, "nesterov": True}),
    ("sgd", {"learning_rate": schedule, "momentum": 0.9, "nesterov": True}),
    ("adadelta", {"learning_rate": 1.0, "rho": 0.9, "eps": 1e-5}),
    ("adadelta", {"learning_rate": schedule, "rho": 0.95, "eps": 1e-6}),
    ("rmsprop", {"learning_rate": 0.01, "decay": 0.9, "eps": 1e-8, "eps_in_sqrt": True}),
    ("rmsprop", {"learning_rate": schedule, "decay": 0.9, "eps": 1e-4, "eps_in_sqrt": False}),
    ("rmsprop", {"learning_rate": 0.01, "decay": 0.9, "eps": 1e-4, "initial_scale": 1.0}),
    ("rmsprop", {"learning_rate": 0.01, "decay": 0.9, "eps": 1e-4, "centered": True}),
    ("rmsprop", {"learning_rate": schedule, "decay": 0.9, "eps": 1e-4, "momentum": 0.9}),
    ("rmsprop", {"learning_rate": schedule, "decay": 0.9, "eps": 1e-4, "momentum": 0.9, "nesterov": True}),
    ("rmsprop", {"learning_rate": 0.01, "decay": 0.9, "eps": 1e-4, "bias_correction": True}),
    ("adam", {"learning_rate": 0.01}),
    ("adam", {"learning_rate": schedule, "b1": 0.8, "b2": 0.99, "eps": 1e-6, "eps_root": 1e-4}),
    ("adamw", {"learning_rate": 0.01, "weight_decay": 0.1, "mask": ALL}),
    ("adamw", {"learning_rate": schedule, "weight_decay": 0.1, "mask": {"kernel": True, "bias": False}}),
]


@pytest.mark.notes("S2-25", "S2-42", "S2-45", "S2-49", "S3-28")
@pytest.mark.parametrize(("name", "arguments"), SAME_ARGUMENTS)
def test_optax_with_the_same_arguments(name, arguments, optax, x64):
    """Swapping the import is all it takes."""
    assert_same(our_path(getattr(ours, name)(**arguments)), optax_path(getattr(optax, name)(**arguments)))


@pytest.mark.notes("S2-37")
def test_optax_adagrad_has_eps_inside_and_starts_at_a_tenth(optax, x64):
    expected = optax_path(optax.adagrad(0.05))
    assert_same(our_path(ours.adagrad(0.05, 0.1, 1e-7, eps_in_sqrt=True)), expected)
    assert_different(our_path(ours.adagrad(0.05)), expected)


@pytest.mark.notes("S1-62")
@pytest.mark.parametrize(("name", "nesterov"), [("momentum", False), ("nesterov", True)])
def test_optax_has_the_rate_outside_the_velocity(name, nesterov, optax, x64):
    """At a constant rate both placements are the same, under a schedule only the one outside is."""
    factory = getattr(ours, name)
    expected = optax_path(optax.sgd(0.05, 0.9, nesterov))
    for rate_outside in (False, True):
        assert_same(our_path(factory(0.05, 0.9, rate_outside=rate_outside)), expected)
    falling = optax_path(optax.sgd(schedule, 0.9, nesterov))
    assert_same(our_path(factory(schedule, 0.9, rate_outside=True)), falling)
    assert_different(our_path(factory(schedule, 0.9)), falling)
    inside = optax_path(optax.chain(optax.scale_by_learning_rate(schedule), optax.trace(0.9, nesterov)))
    assert_same(our_path(factory(schedule, 0.9)), inside)


@pytest.mark.notes("S0-12", "S4-34")
def test_optax_decays(optax, x64):
    """Its `add_decayed_weights` is our `add_l2` before the optimizer, and decay after the moments."""
    coupled = optax.chain(optax.add_decayed_weights(0.1), optax.adam(0.01))
    assert_same(our_path(ours.chain(ours.add_l2(0.1, mask=ALL), ours.adam(0.01))), optax_path(coupled))
    decoupled = optax.chain(optax.scale_by_adam(), optax.add_decayed_weights(0.1), optax.scale(-0.01))
    after = ours.chain(ours.adam(0.01), ours.weight_decay(0.1, 0.01, mask=ALL))
    assert_same(our_path(after), optax_path(decoupled))
    assert_same(our_path(ours.adamw(0.01, weight_decay=0.1, mask=ALL)), optax_path(decoupled))


@pytest.mark.notes("S0-40", "S3-47")
@pytest.mark.parametrize(
    ("name", "peer"), [("clip_by_value", "clip"), ("clip_by_global_norm", "clip_by_global_norm")]
)
def test_optax_clips(name, peer, optax, x64):
    expected = optax_path(optax.chain(getattr(optax, peer)(0.7), optax.adam(0.01)))
    assert_same(our_path(ours.chain(getattr(ours, name)(0.7), ours.adam(0.01))), expected)


def test_optax_masked_passes_the_raw_gradient_outside(optax, x64):
    mask = {"kernel": True, "bias": False}
    assert_same(
        our_path(ours.masked(ours.adam(0.01), mask, outside="raw")),
        optax_path(optax.masked(optax.adam(0.01), mask)),
    )


@pytest.mark.notes("S3-48")
def test_optax_apply_if_finite(optax, x64):
    """Steps that are not finite change nothing in either."""
    params, grads = random_params(), random_grads(20)
    grads["bias"][[3, 11], 0] = np.inf, np.nan
    path, states = follow(ours.skip_nonfinite(ours.adam(0.01)), params, grads)
    transform = optax.apply_if_finite(optax.adam(0.01), max_consecutive_errors=5)
    assert_same(path, optax_path(transform, grads))
    assert int(states.skipped[-1]) == 2


# torch


decayed = functools.partial(ours.add_l2, mask=ALL)

TORCH = [
    (ours.sgd(0.05), "SGD", {"lr": 0.05}),
    (ours.sgd(0.05, 0.9), "SGD", {"lr": 0.05, "momentum": 0.9}),
    (ours.momentum(0.05, 0.9), "SGD", {"lr": 0.05, "momentum": 0.9}),
    (ours.heavy_ball(0.05, 0.9), "SGD", {"lr": 0.05, "momentum": 0.9}),
    (ours.nesterov(0.05, 0.9), "SGD", {"lr": 0.05, "momentum": 0.9, "nesterov": True}),
    (ours.sgd(0.05, 0.9, True), "SGD", {"lr": 0.05, "momentum": 0.9, "nesterov": True}),
    (
        ours.chain(decayed(0.1), ours.sgd(0.05, 0.9)),
        "SGD",
        {"lr": 0.05, "momentum": 0.9, "weight_decay": 0.1},
    ),
    (ours.adagrad(0.05, eps=1e-10), "Adagrad", {"lr": 0.05}),
    (
        ours.adagrad(0.05, 0.1, 1e-3),
        "Adagrad",
        {"lr": 0.05, "initial_accumulator_value": 0.1, "eps": 1e-3},
    ),
    (ours.adadelta(eps=1e-6), "Adadelta", {}),
    (ours.adadelta(0.5, 0.95, 1e-5), "Adadelta", {"lr": 0.5, "rho": 0.95, "eps": 1e-5}),
    (ours.rmsprop(0.01, 0.99, eps_in_sqrt=False), "RMSprop", {}),
    (
        ours.rmsprop(0.01, 0.9, 1e-4, eps_in_sqrt=False, centered=True),
        "RMSprop",
        {"alpha": 0.9, "eps": 1e-4, "centered": True},
    ),
    (
        ours.rmsprop(0.01, 0.9, 1e-4, eps_in_sqrt=False, momentum=0.9),
        "RMSprop",
        {"alpha": 0.9, "eps": 1e-4, "momentum": 0.9},
    ),
    (ours.adam(), "Adam", {}),
    (ours.adam(0.01, 0.8, 0.99, 1e-4), "Adam", {"lr": 0.01, "betas": (0.8, 0.99), "eps": 1e-4}),
    (ours.chain(decayed(0.1), ours.adam(0.01)), "Adam", {"lr": 0.01, "weight_decay": 0.1}),
    (ours.adamw(1e-3, weight_decay=0.01, mask=ALL), "AdamW", {}),
    (ours.adamw(0.01, weight_decay=0.3, mask=ALL), "AdamW", {"lr": 0.01, "weight_decay": 0.3}),
]


@pytest.mark.notes("S2-25", "S2-27", "S2-37", "S2-42", "S2-45", "S2-49", "S3-19", "S3-28", "S4-34")
@pytest.mark.parametrize(("optimizer", "name", "arguments"), TORCH)
def test_torch(optimizer, name, arguments, torch, x64):
    assert_same(our_path(optimizer), torch_path(torch, name, **arguments))


@pytest.mark.notes("S1-62")
@pytest.mark.parametrize("name", ["momentum", "nesterov"])
def test_torch_has_the_rate_outside_the_velocity(name, torch, x64):
    expected = torch_path(torch, "SGD", None, schedule, lr=1.0, momentum=0.9, nesterov=name == "nesterov")
    factory = getattr(ours, name)
    assert_same(our_path(factory(schedule, 0.9, rate_outside=True)), expected)
    assert_different(our_path(factory(schedule, 0.9)), expected)


@pytest.mark.notes("S2-45")
def test_torch_rmsprop_has_eps_outside_and_the_rate_outside_its_momentum(torch, x64):
    expected = torch_path(torch, "RMSprop", alpha=0.9, eps=1e-3)
    assert_same(our_path(ours.rmsprop(0.01, 0.9, 1e-3, eps_in_sqrt=False)), expected)
    assert_different(our_path(ours.rmsprop(0.01, 0.9, 1e-3)), expected)
    expected = torch_path(torch, "RMSprop", None, schedule, alpha=0.9, eps=1e-3, momentum=0.9)
    assert_different(our_path(ours.rmsprop(schedule, 0.9, 1e-3, eps_in_sqrt=False, momentum=0.9)), expected)
    # RMSProp at rate 1 gives −g/(√r + ε); as a gradient of the other sign it takes momentum outside.
    outside = ours.chain(
        ours.rmsprop(1.0, 0.9, 1e-3, eps_in_sqrt=False),
        ours.sgd(1.0),
        ours.momentum(schedule, 0.9, rate_outside=True),
    )
    assert_same(our_path(outside), expected)


@pytest.mark.notes("S0-40", "S3-47")
def test_torch_clips(torch, x64):
    """By value alike; by norm torch divides by ‖g‖ + 1e-6, which is that much shorter."""
    clip = functools.partial(torch.nn.utils.clip_grad_value_, clip_value=0.5)
    assert_same(
        our_path(ours.chain(ours.clip_by_value(0.5), ours.sgd(0.05))), torch_path(torch, "SGD", clip, lr=0.05)
    )
    clip = functools.partial(torch.nn.utils.clip_grad_norm_, max_norm=0.5)
    expected = torch_path(torch, "SGD", clip, lr=0.05)
    found = our_path(ours.chain(ours.clip_by_global_norm(0.5), ours.sgd(0.05)))
    assert_same(found, expected, rtol=1e-4)
    assert_different(found, expected, least=1e-9)
    grads = random_grads(STEPS)
    norms = np.sqrt(sum(np.sum(g.reshape(STEPS, -1) ** 2, axis=1) for g in grads.values()))
    shorter = jax.vmap(lambda c, g: ours.clip_by_global_norm(c).update(g, ())[0])
    clipped = shorter(0.5 * norms / (norms + 1e-6), grads)
    assert_same(follow(ours.sgd(0.05), random_params(), clipped)[0], expected)
