"""Large-batch, sign and memory-saving optimizers beside those of optax and torch: the same to 1e-9 over
200 steps in float64, or with the stated difference in definition counted in."""

import numpy as np
import pytest

import jaxopt_notes.optimizers as ours
from tests.interop import peers
from tests.interop.peers import ALL, assert_different
from tests.interop.peers import falling_rate as schedule
from tests.optimizers.runs import follow

pytestmark = pytest.mark.full

STEPS = 200
SHAPES = {"kernel": (4, 3), "deep": (3, 2, 2), "bias": (3,)}


def random_params():
    rng = np.random.default_rng(0)
    return {name: rng.normal(size=shape) for name, shape in SHAPES.items()}


def random_grads():
    rng = np.random.default_rng(1)
    return {name: rng.normal(size=(STEPS, *shape)) for name, shape in SHAPES.items()}


def our_path(optimizer):
    return follow(optimizer, random_params(), random_grads())[0]


def optax_path(transform):
    return peers.optax_path(transform, random_params(), random_grads())[0]


def torch_path(torch, name, **arguments):
    return peers.torch_path(torch, name, random_params(), random_grads(), **arguments)


def assert_same(found, expected, names=SHAPES, rtol=1e-9):
    peers.assert_same(found, expected, rtol, rtol / 1000, names)


SAME_ARGUMENTS = [
    ("lamb", {"learning_rate": 0.01, "weight_decay": 0.1, "mask": ALL}),
    ("lamb", {"learning_rate": schedule, "b1": 0.8, "b2": 0.99, "eps": 1e-3, "eps_root": 1e-4}),
    ("lion", {"learning_rate": 0.01, "weight_decay": 0.1, "mask": ALL}),
    ("lion", {"learning_rate": schedule, "b1": 0.8, "b2": 0.6, "mask": ALL}),
    ("signum", {"learning_rate": schedule, "beta": 0.8}),
    ("sign_sgd", {"learning_rate": schedule}),
    ("novograd", {"learning_rate": 0.01}),
    ("novograd", {"learning_rate": schedule, "b1": 0.8, "b2": 0.9, "eps": 1e-3, "eps_root": 1e-4}),
    ("sm3", {"learning_rate": 0.05, "momentum": 0.8}),
    ("fromage", {"learning_rate": 0.01}),
    ("fromage", {"learning_rate": schedule, "min_norm": 0.1}),
]


@pytest.mark.parametrize(("name", "arguments"), SAME_ARGUMENTS)
def test_optax_with_the_same_arguments(name, arguments, optax):
    """Swapping the import is all it takes."""
    assert_same(our_path(getattr(ours, name)(**arguments)), optax_path(getattr(optax, name)(**arguments)))


@pytest.mark.parametrize("name", ["lamb", "lion", "novograd"])
def test_optax_decays_every_leaf(name, optax):
    """Ours: weights only, unless the mask says otherwise."""
    expected = optax_path(getattr(optax, name)(0.01, weight_decay=0.1))
    assert_same(our_path(getattr(ours, name)(0.01, weight_decay=0.1, mask=ALL)), expected)
    found = our_path(getattr(ours, name)(0.01, weight_decay=0.1))
    assert_same(found, expected, ("kernel", "deep"))
    assert_different(found, expected)


@pytest.mark.parametrize("nesterov", [False, True])
@pytest.mark.parametrize("rate", [0.05, schedule], ids=["constant", "falling"])
def test_optax_lars_takes_the_norm_of_gradient_and_decay_together(rate, nesterov, optax):
    """Of the gradient of loss and penalty, that is: with the decay as a gradient ours does the same."""
    numbers = {"momentum": 0.8, "trust_coefficient": 0.1, "eps": 1e-3, "nesterov": nesterov}
    assert_same(our_path(ours.lars(rate, **numbers, mask=ALL)), optax_path(optax.lars(rate, **numbers)))
    expected = optax_path(optax.lars(rate, weight_decay=0.3, **numbers))
    coupled = ours.chain(ours.add_l2(0.3, mask=ALL), ours.lars(rate, **numbers, mask=ALL))
    assert_same(our_path(coupled), expected)
    assert_different(our_path(ours.lars(rate, weight_decay=0.3, **numbers, mask=ALL)), expected)


def test_optax_lars_masks_decay_and_adaptation_each(optax):
    """Ours has one mask for both."""
    mask = {"kernel": True, "deep": True, "bias": False}
    expected = optax.lars(0.05, trust_coefficient=0.1, trust_ratio_mask=mask, weight_decay_mask=mask)
    assert_same(our_path(ours.lars(0.05, trust_coefficient=0.1)), optax_path(expected))


def test_optax_adan_weighs_the_look_ahead_by_the_other_weight(optax):
    """1 − b2 instead of b2: the same at b2 = 0.5. And it decays by −ηλθ, not by 1/(1 + ηλ)."""
    numbers = {"b1": 0.9, "b3": 0.95, "eps": 1e-6, "eps_root": 1e-4}
    for rate in (0.05, schedule):
        assert_same(
            our_path(ours.adan(rate, b2=0.5, **numbers)), optax_path(optax.adan(rate, b2=0.5, **numbers))
        )
    assert_different(our_path(ours.adan(0.05, **numbers)), optax_path(optax.adan(0.05, **numbers)))
    expected = optax_path(optax.adan(0.05, b2=0.5, weight_decay=0.3, **numbers))
    after = ours.chain(ours.adan(0.05, b2=0.5, **numbers), ours.weight_decay(0.3, 0.05, mask=ALL))
    assert_same(our_path(after), expected)
    assert_different(our_path(ours.adan(0.05, b2=0.5, weight_decay=0.3, mask=ALL, **numbers)), expected)


def optax_adafactor(
    optax, rate, decay_rate=0.8, clipping_threshold=1.0, momentum=None, multiply_by_parameter_scale=True,
    factored=True, eps=1e-30, weight_decay_rate=0.0,
):  # fmt: skip
    """`optax.adafactor` from its own parts, but for the decay, which there is in float32."""
    double = lambda step, power: 1 - (step.astype(float) + 1) ** -power  # noqa: E731
    return optax.chain(
        optax.scale_by_factored_rms(factored, decay_rate, 0, 2, eps, double),
        optax.clip_by_block_rms(clipping_threshold),
        optax.scale_by_learning_rate(rate, flip_sign=False),
        optax.scale_by_param_block_rms() if multiply_by_parameter_scale else optax.identity(),
        optax.identity() if momentum is None else optax.ema(momentum, debias=False),
        optax.add_decayed_weights(weight_decay_rate),
        optax.scale(-1),
    )


ADAFACTOR = [
    {},
    {"decay_rate": 0.6, "clipping_threshold": 0.5, "momentum": 0.8},
    {"multiply_by_parameter_scale": False, "factored": False, "eps": 1e-3},
]


@pytest.mark.parametrize("numbers", ADAFACTOR, ids=["default", "numbers", "whole"])
def test_optax_adafactor(numbers, optax):
    """It has ρ = η; on a tensor of rank 3 it takes the same two axes. Its decay is rounded to float32."""
    found = our_path(ours.adafactor(schedule, 2, relative_step=False, **numbers))
    assert_same(found, optax_path(optax_adafactor(optax, schedule, **numbers)))
    assert_same(found, optax_path(optax.adafactor(schedule, 2, **numbers)), rtol=1e-4)


def test_optax_adafactor_has_no_rate_and_decays_without_it(optax):
    found = our_path(ours.adafactor(0.1, 2, weight_decay=0.03, relative_step=False, mask=ALL))
    assert_same(found, optax_path(optax_adafactor(optax, 0.1, weight_decay_rate=0.003)))
    bare = {"min_dim_size_to_factor": 2, "multiply_by_parameter_scale": False}
    found = our_path(ours.adafactor(1.0, relative_step=False, **bare))
    assert_same(found, optax_path(optax.adafactor(**bare)), rtol=1e-4)


def test_optax_rprop_is_one_call_late(optax):
    """It applies the step of the call before, and none at all if the sign has changed since."""
    params, grads = random_params(), random_grads()
    mine, theirs = our_path(ours.rprop(0.01)), optax_path(optax.rprop(0.01))
    for name in SHAPES:
        start = params[name][None]
        steps, found = (np.diff(np.concatenate([start, path[name]]), axis=0) for path in (mine, theirs))
        late = np.concatenate([np.zeros_like(start), steps[:-1]])
        changed = late * grads[name] > 0  # it went against a gradient whose sign has changed
        np.testing.assert_allclose(found, np.where(changed, 0, late), atol=1e-12)


@pytest.mark.parametrize("numbers", [(0.01, 0.5, 1.2, 1e-6, 50.0), (0.1, 0.6, 1.5, 0.05, 0.13)], ids=str)
def test_torch_rprop(numbers, torch):
    rate, minus, plus, low, high = numbers
    expected = torch_path(torch, "Rprop", lr=rate, etas=(minus, plus), step_sizes=(low, high))
    assert_same(our_path(ours.rprop(*numbers)), expected)


TORCH_ADAFACTOR = [
    ({"learning_rate": 0.01}, {}),
    (
        {
            "learning_rate": 0.3,
            "decay_rate": 0.6,
            "clipping_threshold": 1.5,
            "weight_decay": 0.1,
            "mask": ALL,
        },
        {"lr": 0.3, "beta2_decay": -0.6, "d": 1.5, "weight_decay": 0.1},
    ),
    ({"learning_rate": 0.1, "eps_scale": 2.0}, {"lr": 0.1, "eps": (None, 2.0)}),
]


@pytest.mark.parametrize(("mine", "theirs"), TORCH_ADAFACTOR, ids=["default", "numbers", "scale"])
def test_torch_adafactor(mine, theirs, torch):
    """It factors the last two axes of whatever size, the same for a matrix; no ε₁ in the moments."""
    found = our_path(ours.adafactor(**mine, min_dim_size_to_factor=1, eps=0.0))
    expected = torch_path(torch, "Adafactor", **theirs)
    assert_same(found, expected, ("kernel", "bias"))
    assert_different({"deep": found["deep"]}, expected)
