"""The Adam family beside optax and torch over 200 steps in float64: the same to 1e-9 relative.

Where a peer has another definition, the test counts the difference in: hyperparameters and states are
data, so a number that a peer changes from step to step (torch's ε in RAdam) is an array, one entry a step.
"""

import dataclasses

import jax
import numpy as np
import pytest
from jax import lax

import jaxopt_notes.optimizers as ours
from jaxopt_notes.optimizers.core.apply_updates import apply_updates
from tests.interop import peers
from tests.interop.peers import ALL, assert_different, assert_same
from tests.interop.peers import falling_rate as schedule
from tests.optimizers.runs import follow, random_grads

pytestmark = pytest.mark.full

STEPS = 200


def start():
    rng = np.random.default_rng(0)
    return {"kernel": rng.normal(size=(3, 2)), "bias": rng.normal(size=(3,))}


def our_path(optimizer):
    return follow(optimizer, start(), random_grads(STEPS))[0]


def optax_path(transform):
    return peers.optax_path(transform, start(), random_grads(STEPS))[0]


def torch_path(torch, name, falling=False, **arguments):
    rate = schedule if falling else None
    return peers.torch_path(torch, name, start(), random_grads(STEPS), rate, **arguments)


# optax


@pytest.fixture
def optax(x64):
    optax = pytest.importorskip("optax")
    pytest.importorskip("optax.contrib")
    return optax


OTHER = {"b1": 0.8, "b2": 0.99, "eps": 1e-4}
ROOT = OTHER | {"eps_root": 1e-3}
SAME_ARGUMENTS = [
    ("adamax", {}),
    ("adamax", OTHER),
    ("adamaxw", {"weight_decay": 0.1, "mask": ALL}),
    ("adamaxw", OTHER | {"weight_decay": 0.1, "mask": {"kernel": True, "bias": False}}),
    ("radam", {}),
    ("radam", ROOT | {"threshold": 6.0}),
    ("adabelief", {}),
    ("adabelief", ROOT),
    ("ademamix", {}),
    ("ademamix", ROOT | {"b3": 0.97, "alpha": 3.0}),
    ("ademamix", {"b3": lambda step: 0.9 + 0.0004 * step, "alpha": lambda step: 0.02 * step}),
    ("adopt", {}),
    ("adopt", OTHER),
]


@pytest.mark.parametrize("rate", [0.03, schedule], ids=["constant", "falling"])
@pytest.mark.parametrize(("name", "arguments"), SAME_ARGUMENTS)
def test_optax_with_the_same_arguments(name, arguments, rate, optax):
    """Swapping the import is all it takes."""
    theirs = getattr(optax, name, None) or getattr(optax.contrib, name)
    with jax.numpy_dtype_promotion("standard"):  # the schedules above are lambdas
        found = our_path(getattr(ours, name)(rate, **arguments))
    assert_same(found, optax_path(theirs(rate, **arguments)))


@pytest.mark.parametrize("arguments", [{}, ROOT])
def test_optax_amsgrad_corrects_before_the_maximum_or_not_at_all(arguments, optax):
    expected = optax_path(optax.amsgrad(0.03, **arguments))
    assert_same(our_path(ours.amsgrad(0.03, correction="before", **arguments)), expected)
    assert_different(our_path(ours.amsgrad(0.03, **arguments)), expected)
    uncorrected = {"bias_correction_mu": False, "bias_correction_nu": False}
    expected = optax_path(optax.amsgrad(0.03, **arguments, **uncorrected))
    assert_same(our_path(ours.amsgrad(0.03, correction="none", **arguments)), expected)


@pytest.mark.parametrize("arguments", [{}, ROOT])
def test_optax_nadam_has_a_constant_momentum(arguments, optax):
    constant = arguments | {"momentum_decay": np.inf}
    expected = optax_path(optax.nadam(schedule, **arguments))
    assert_same(our_path(ours.nadam(schedule, **constant)), expected)
    assert_different(our_path(ours.nadam(schedule, **arguments)), expected)
    expected = optax_path(optax.nadamw(schedule, weight_decay=0.1, **arguments))
    assert_same(our_path(ours.nadamw(schedule, weight_decay=0.1, mask=ALL, **constant)), expected)


@pytest.mark.parametrize("arguments", [{}, OTHER])
def test_optax_yogi_starts_its_first_moment_at_1e_6(arguments, optax):
    """From that state the paths are the same."""
    expected = optax_path(optax.yogi(0.03, **arguments))
    optimizer, params = ours.yogi(0.03, **arguments), start()
    assert_different(our_path(optimizer), expected, least=1e-7)
    state = optimizer.init(params)
    state = state._replace(mu=jax.tree.map(lambda m: m + 1e-6, state.mu))

    def step(carry, g):
        params, state = carry
        updates, state = optimizer.update(g, state, params)
        params = apply_updates(params, updates)
        return (params, state), params

    assert_same(lax.scan(step, (params, state), random_grads(STEPS))[1], expected)


def test_optax_adopt_clips_by_a_function_of_the_step(optax):
    clipped = optax.contrib.adopt(0.03, clip_value_fn=lambda step: 0.5 + 0.01 * step)
    with jax.numpy_dtype_promotion("standard"):
        found = our_path(ours.adopt(0.03, clip_value=lambda step: 0.5 + 0.01 * step))
    assert_same(found, optax_path(clipped))
    unclipped = optax.contrib.adopt(0.03, use_clipping=False)
    assert_same(our_path(ours.adopt(0.03, clip_value=np.inf)), optax_path(unclipped))


def test_optax_ademamix_decays_by_itself(optax):
    theirs = optax.contrib.ademamix(schedule, weight_decay=0.1)
    decayed = ours.chain(ours.ademamix(schedule), ours.weight_decay(0.1, schedule, mask=ALL))
    assert_same(our_path(decayed), optax_path(theirs))


# torch


@pytest.fixture
def torch(x64):
    """torch in float64, also for its scalars: the product of NAdam's momenta is float32 otherwise."""
    torch = pytest.importorskip("torch")
    usual = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    yield torch
    torch.set_default_dtype(usual)


BETAS = {"betas": (0.8, 0.99), "eps": 1e-4}
TORCH = [
    (ours.amsgrad, "Adam", {}, {"amsgrad": True}),
    (ours.amsgrad, "Adam", OTHER, BETAS | {"amsgrad": True}),
    (ours.adamax, "Adamax", {}, {}),
    (ours.adamax, "Adamax", OTHER, BETAS),
    (ours.nadam, "NAdam", {}, {}),
    (ours.nadam, "NAdam", OTHER | {"momentum_decay": 0.3}, BETAS | {"momentum_decay": 0.3}),
    (
        ours.nadamw,
        "NAdam",
        {"weight_decay": 0.1, "mask": ALL},
        {"weight_decay": 0.1, "decoupled_weight_decay": True},
    ),
]


@pytest.mark.parametrize("falling", [False, True])
@pytest.mark.parametrize(("factory", "name", "arguments", "theirs"), TORCH)
def test_torch(factory, name, arguments, theirs, falling, torch):
    """The first case of each with all defaults, the rate's too."""
    rate = {"learning_rate": schedule} if falling else {}
    assert_same(our_path(factory(**arguments, **rate)), torch_path(torch, name, falling, **theirs))


def test_torch_adamax_decays_through_the_moments(torch):
    coupled = ours.chain(ours.add_l2(0.1, mask=ALL), ours.adamax())
    expected = torch_path(torch, "Adamax", weight_decay=0.1)
    assert_same(our_path(coupled), expected)
    assert_different(our_path(ours.adamaxw(weight_decay=0.1, mask=ALL)), expected)


def test_torch_amsgrad_is_not_optax(torch, optax):
    """The two definitions, on the same gradients."""
    expected = torch_path(torch, "Adam", amsgrad=True, lr=0.03)
    assert_different(optax_path(optax.amsgrad(0.03)), expected, least=1e-2)


@pytest.mark.parametrize("eps", [1e-8, 1e-3])
def test_torch_radam_has_a_larger_eps_at_the_start(eps, torch):
    """√v + ε there, which for our corrected v̂ is an ε of ε/√(1 − b2ᵗ): one number a step."""
    expected = torch_path(torch, "RAdam", lr=0.03, eps=eps)
    optimizer, params = ours.radam(0.03), start()
    if eps > 1e-8:
        assert_different(our_path(dataclasses.replace(optimizer, eps=eps)), expected)

    def step(carry, inputs):
        (params, state), (g, eps) = carry, inputs
        updates, state = dataclasses.replace(optimizer, eps=eps).update(g, state, params)
        params = apply_updates(params, updates)
        return (params, state), params

    changing = eps / np.sqrt(1 - 0.999 ** np.arange(1, STEPS + 1))
    found = lax.scan(step, (params, optimizer.init(params)), (random_grads(STEPS), changing))[1]
    assert_same(found, expected)
