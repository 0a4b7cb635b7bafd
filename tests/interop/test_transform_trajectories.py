"""Transforms and wrappers beside those of optax and torch: the same to 1e-9, or the stated difference."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

import jaxopt_notes.optimizers as ours
from jaxopt_notes.schedules.plateau import plateau
from tests.interop import peers
from tests.interop.peers import assert_same
from tests.optimizers.runs import follow, random_grads, random_params

pytestmark = pytest.mark.full

STEPS = 200


def our_path(optimizer):
    return follow(optimizer, random_params(), random_grads(STEPS))


def optax_path(transform):
    return peers.optax_path(transform, random_params(), random_grads(STEPS))


BEFORE_ADAM = [
    ("adaptive_grad_clip", "adaptive_grad_clip", {"clipping": 0.05, "eps": 1e-2}),
    ("clip_by_block_rms", "clip_by_block_rms", {"threshold": 0.5}),
    ("normalize_by_norm", "normalize_by_update_norm", {"scale_factor": 0.5, "eps": 1e-4}),
    ("trace", "trace", {"decay": 0.8, "nesterov": False}),
    ("trace", "trace", {"decay": 0.8, "nesterov": True}),
    ("ema", "ema", {"decay": 0.8, "debias": True}),
    ("ema", "ema", {"decay": 0.8, "debias": False}),
    (
        "scale_by_trust_ratio",
        "scale_by_trust_ratio",
        {"min_norm": 0.1, "trust_coefficient": 0.01, "eps": 1e-3},
    ),
]


@pytest.mark.parametrize(("name", "peer", "arguments"), BEFORE_ADAM)
def test_optax_with_the_same_arguments(name, peer, arguments, optax):
    """Before SGD: an adaptive optimizer would hide the length of a step."""
    found, _ = our_path(ours.chain(getattr(ours, name)(**arguments), ours.sgd(0.05)))
    expected, _ = optax_path(optax.chain(getattr(optax, peer)(**arguments), optax.sgd(0.05)))
    assert_same(found, expected)


def test_optax_centralizes_over_the_other_axes(optax):
    """The means of the paper for kernels of torch: ours of the transposed."""
    grads = random_grads(1)["kernel"][0]
    expected, _ = optax.centralize().update(grads, optax.EmptyState())
    found, _ = ours.centralize().update(grads.T, ())
    np.testing.assert_allclose(found.T, expected, rtol=1e-9)
    assert np.abs(np.asarray(ours.centralize().update(grads, ())[0]) - expected).max() > 0.1


@pytest.mark.notes("S3-27")
@pytest.mark.parametrize("k", [1, 3, 8])
def test_optax_multi_steps(k, optax):
    """Its accumulator is float32 unless told otherwise, whatever the gradients are."""
    found, _ = our_path(ours.accumulate_gradients(ours.adam(0.01), k))
    wide = optax.MultiSteps(optax.adam(0.01), k, accumulator_dtype=jnp.float64)
    assert_same(found, optax_path(wide)[0])


def test_optax_partition_and_frozen_leaves(optax):
    labels = {"kernel": "fast", "bias": "still"}
    found, _ = our_path(ours.partition({"fast": ours.adam(0.05), "still": ours.freeze()}, labels))
    expected, _ = optax_path(
        optax.partition({"fast": optax.adam(0.05), "still": optax.set_to_zero()}, labels)
    )
    assert_same(found, expected)


@pytest.mark.parametrize(("k", "alpha"), [(5, 0.5), (3, 0.8)])
def test_optax_lookahead_holds_the_slow_parameters_with_the_fast(k, alpha, optax):
    params, grads = random_params(), random_grads(STEPS)
    transform = optax.lookahead(optax.adam(0.05), k, alpha)

    def step(carry, g):
        pair, state = carry
        updates, state = transform.update(g, state, pair)
        pair = optax.apply_updates(pair, updates)
        return (pair, state), pair

    with jax.numpy_dtype_promotion("standard"):
        pair = optax.LookaheadParams.init_synced(params)
        _, expected = lax.scan(step, (pair, transform.init(pair)), grads)
    found, states = our_path(ours.lookahead(ours.adam(0.05), k, alpha))
    assert_same(found, expected.fast)
    assert_same(states.slow, expected.slow)


@pytest.mark.notes("S1-70")
def test_optax_ema_of_the_parameters(optax):
    """Its average of whatever it is given, given the parameters after each step."""
    optimizer = ours.ema_params(ours.adam(0.05), 0.9)
    path, states = our_path(optimizer)
    found = jax.vmap(optimizer.evaluation_params)(path, states)
    average = optax.ema(0.9)

    def step(state, params):
        return average.update(params, state)[::-1]

    with jax.numpy_dtype_promotion("standard"):
        _, expected = lax.scan(step, average.init(random_params()), path)
    assert_same(found, expected)


@pytest.mark.notes("S1-70")
@pytest.mark.parametrize("kind", ["ema", "swa"])
def test_torch_averaged_model(kind, torch):
    """Updated after every step (EMA starts at the first θ it is given) or after every third."""
    utils = torch.optim.swa_utils
    optimizer = (
        ours.ema_params(ours.sgd(0.05), 0.9, debias=False)
        if kind == "ema"
        else ours.swa(ours.sgd(0.05), start=3, every=3)
    )
    path, states = our_path(optimizer)
    found = jax.vmap(optimizer.evaluation_params)(path, states)["kernel"]
    model = torch.nn.Linear(2, 1, bias=False, dtype=torch.float64)

    def set_to(theta):
        with torch.no_grad():
            model.weight.copy_(torch.tensor(np.asarray(theta)))

    average = utils.get_ema_multi_avg_fn(0.9) if kind == "ema" else None
    averaged = utils.AveragedModel(model, multi_avg_fn=average)
    if kind == "ema":
        set_to(random_params()["kernel"][:1])
        averaged.update_parameters(model)
    for t in range(1, STEPS + 1):
        if kind == "ema" or t % 3 == 0:
            set_to(path["kernel"][t - 1, :1])
            averaged.update_parameters(model)
            expected = averaged.module.weight.detach().numpy()
            np.testing.assert_allclose(found[t - 1, :1], expected, rtol=1e-9)


VALUES = 2 + np.cos(0.7 * np.arange(60)) * 0.98 ** np.arange(60)


def plateau_scales(rule, values):
    def step(state, value):
        state = rule.update(state, value)
        return state, state.scale

    return lax.scan(step, rule.init(), jnp.asarray(values))[1]


@pytest.mark.notes("S4-26")
@pytest.mark.parametrize("cooldown", [0, 2])
def test_optax_and_torch_plateau(cooldown, optax, torch):
    """Torch waits for one value more; with negative losses both take a worse one for an improvement."""
    arguments = {"factor": 0.5, "patience": 4, "cooldown": cooldown}
    peer = optax.contrib.reduce_on_plateau(**arguments, rtol=1e-2, min_scale=0.05)

    def optax_scales(values):
        def step(state, value):
            state = peer.update({}, state, value=value)[1]
            return state, state.scale

        with jax.numpy_dtype_promotion("standard"):
            start = peer.init({"w": jnp.zeros(())})
            return lax.scan(step, start, jnp.asarray(values))[1]

    def torch_scales(values):
        weight = torch.nn.Parameter(torch.zeros(1))
        optimizer = torch.optim.SGD([weight], lr=1.0)
        rule = torch.optim.lr_scheduler.ReduceLROnPlateau(
            optimizer, factor=0.5, patience=3, threshold=1e-2, cooldown=cooldown, min_lr=0.05, eps=0.0
        )
        scales = []
        for value in values:
            rule.step(float(value))
            scales.append(optimizer.param_groups[0]["lr"])
        return np.array(scales)

    rule = plateau(**arguments, rtol=1e-2, min_scale=0.05)
    found = plateau_scales(rule, VALUES)
    assert found[-1] < 0.3
    np.testing.assert_allclose(found, optax_scales(VALUES), rtol=1e-9)
    np.testing.assert_allclose(found, torch_scales(VALUES), rtol=1e-9)
    flat = np.full(30, -2.0)
    assert plateau_scales(rule, flat)[-1] < 1
    np.testing.assert_array_equal(optax_scales(flat), 1)


@pytest.mark.notes("S0-33", "S0-37")
def test_torch_grad_scaler(torch):
    """The scale after every step, with overflows here and there."""
    bad = np.isin(np.arange(40), [0, 7, 8, 30])
    optimizer = ours.dynamic_loss_scale(ours.sgd(0.1), 2.0**16, growth_interval=5, max_scale=jnp.inf)
    state = optimizer.init(jnp.zeros(()))
    scaler = torch.amp.GradScaler("cpu", init_scale=2.0**16, growth_interval=5)
    weight = torch.nn.Parameter(torch.zeros(1))
    peer = torch.optim.SGD([weight], lr=0.1)
    for flag in bad:
        g = np.inf if flag else 1.0
        _, state = optimizer.update(jnp.asarray(g), state)
        scaler.scale(torch.zeros(1))
        weight.grad = torch.full((1,), g)
        scaler.step(peer)
        scaler.update()
        assert float(state.scale) == scaler.get_scale()
