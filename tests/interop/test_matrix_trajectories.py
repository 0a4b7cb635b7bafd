"""Muon, Sophia, SAM, optimism, Polyak's step and noise beside optax and torch: the same to 1e-9 (Muon 1e-8)
over 200 steps in float64, or with the stated difference in definition counted in."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

import jaxopt_notes.optimizers as ours
from jaxopt_notes.optimizers.core.apply_updates import apply_updates
from jaxopt_notes.optimizers.core.newton_schulz import COEFFICIENTS, newton_schulz
from tests.interop import peers

pytestmark = pytest.mark.full

STEPS = 200
SHAPES = {"kernel": (4, 3), "wide": (2, 5), "bias": (3,)}
CURVATURES = {
    name: np.linspace(0.5, 3.0, int(np.prod(shape))).reshape(shape) for name, shape in SHAPES.items()
}


def start():
    rng = np.random.default_rng(0)
    return {name: jnp.asarray(rng.normal(size=shape)) for name, shape in SHAPES.items()}


def noise(steps=STEPS):
    rng = np.random.default_rng(1)
    return {name: jnp.asarray(rng.normal(size=(steps, *shape))) for name, shape in SHAPES.items()}


def loss(params, noise):
    """A bowl with a slope that is new at every step; its Hessian is diagonal."""
    terms = [jnp.sum(CURVATURES[name] * x**2 / 2 + 0.3 * noise[name] * x) for name, x in params.items()]
    return sum(terms)


def path(optimizer, params=None, state=None, extra=lambda value, params, slope: {}, steps=None):
    """Parameters and states after each step; `extra` makes further arguments of `update`."""
    params = start() if params is None else params
    state = optimizer.init(params) if state is None else state

    def step(carry, slope):
        params, state = carry
        value, grads = jax.value_and_grad(loss)(params, slope)
        updates, state = optimizer.update(grads, state, params, **extra(value, params, slope))
        params = apply_updates(params, updates)
        return (params, state), (params, state)

    with jax.numpy_dtype_promotion("standard"), jax.numpy_rank_promotion("allow"):  # optax mixes both
        return jax.jit(lambda s: lax.scan(step, (params, state), s)[1])(noise() if steps is None else steps)


def assert_same(found, expected, rtol=1e-9):
    peers.assert_same(found, expected, rtol, rtol / 10, SHAPES)


def assert_different(found, expected, least=1e-4):
    peers.assert_different({name: found[name] for name in SHAPES}, expected, least)


def at(tree, t):
    return jax.tree.map(lambda x: x[t], tree)


# Muon


@pytest.mark.parametrize("rms", [None, 0.2])
@pytest.mark.parametrize(
    "coefficients", [COEFFICIENTS, ((4.0848, -6.8946, 2.9270), (2.8366, -3.0525, 1.2012))]
)
def test_muon_of_optax_without_nesterov(rms, coefficients, optax):
    """Its correction of m changes no direction: with eps 0 nothing at all. It does not decay the vectors."""
    steps = 5 if coefficients is COEFFICIENTS else 2
    both = {"eps": 0.0, "nesterov": False, "consistent_rms": rms, "weight_decay": 0.1, "ns_steps": steps}
    found, _ = path(
        ours.muon(0.02, coefficients, companion=ours.adamw(0.02, eps=0.0, weight_decay=0.0), **both)
    )
    expected, _ = path(optax.contrib.muon(0.02, coefficients, **both))
    assert_same(found, expected, 1e-8)


def test_muon_of_optax_corrects_each_term_of_nesterovs_sum_by_itself(optax):
    """m/(1 − βᵗ⁺¹) and g/(1 − βᵗ). With these two weights our iterations give its path."""
    beta, rate = 0.95, 0.02
    expected, _ = path(optax.contrib.muon(rate, eps=0.0))

    def step(carry, slope):
        params, m, t = carry
        grads = jax.grad(loss)(params, slope)
        m = jax.tree.map(lambda m, g: beta * m + (1 - beta) * g, m, grads)
        weights = beta / (1 - beta ** (t + 1)), (1 - beta) / (1 - beta**t)
        moved = dict(params)
        for name in ("kernel", "wide"):
            direction = weights[0] * m[name] + weights[1] * grads[name]
            rows, columns = SHAPES[name]
            scale = rate * max(1, columns / rows) ** 0.5
            moved[name] = params[name] - scale * newton_schulz(direction, (COEFFICIENTS,) * 5, 0.0)
        return (moved, m, t + 1), moved

    first = (start(), jax.tree.map(jnp.zeros_like, start()), jnp.array(1.0))
    counted = lax.scan(step, first, noise())[1]
    for name in ("kernel", "wide"):
        np.testing.assert_allclose(counted[name], expected[name], rtol=1e-8, atol=1e-10)
    assert_different(path(ours.muon(rate, eps=0.0))[0], expected)


def torch_muon(torch, rate, **arguments):
    """torch.optim.Muon, whose matrices are [outputs, inputs], and AdamW for the vector."""
    leaves = {name: torch.nn.Parameter(torch.tensor(np.asarray(x).T.copy())) for name, x in start().items()}
    matrices = [leaves[name] for name in ("kernel", "wide")]
    optimizers = [
        torch.optim.Muon(matrices, lr=rate, **arguments),
        torch.optim.AdamW([leaves["bias"]], lr=rate, weight_decay=0.0),
    ]
    slopes, points = noise(), {name: [] for name in leaves}
    for t in range(STEPS):
        for name, leaf in leaves.items():
            slope = torch.tensor(np.asarray(slopes[name][t]).T.copy())
            leaf.grad = torch.tensor(CURVATURES[name].T.copy()) * leaf.detach() + 0.3 * slope
        for optimizer in optimizers:
            optimizer.step()
        for name, leaf in leaves.items():
            points[name].append(leaf.detach().numpy().T.copy())
    return {name: np.stack(found) for name, found in points.items()}


@pytest.mark.full
@pytest.mark.parametrize(("adjust", "rms"), [("original", None), ("match_rms_adamw", 0.2)])
@pytest.mark.parametrize("nesterov", [True, False])
def test_muon_of_torch_in_float64(adjust, rms, nesterov, torch, monkeypatch):
    """Its iterations are in bfloat16. Without that rounding (and with no eps) the paths are the same."""
    companion = ours.adamw(0.02, weight_decay=0.0)
    optimizer = ours.muon(
        0.02, eps=0.0, weight_decay=0.1, nesterov=nesterov, consistent_rms=rms, companion=companion
    )
    found, _ = path(optimizer)
    both = {"weight_decay": 0.1, "nesterov": nesterov, "adjust_lr_fn": adjust, "eps": 0.0}
    rounded = torch_muon(torch, 0.02, **both)
    assert_different(found, rounded)
    np.testing.assert_allclose(found["kernel"], rounded["kernel"], atol=0.1)
    monkeypatch.setattr(torch.Tensor, "bfloat16", lambda tensor: tensor.clone())
    assert_same(found, torch_muon(torch, 0.02, **both), 1e-8)


# Those that need the loss


def test_sophia_of_optax(optax):
    """It corrects m for its start, and steps with the curvature of the step before.

    The curvature here is constant, so once both averages have settled (0.5⁶⁰ is below the machine's ε) the
    definitions agree: from then on, with its state, our path is its path.
    """
    arguments = {"b1": 0.5, "b2": 0.5, "eps": 1e-8, "weight_decay": 0.1, "gamma": 0.7, "clip_threshold": 0.6}

    def obj_fn(value, params, slope):
        return {"obj_fn": lambda params: loss(params, slope)}

    def value_fn(value, params, slope):
        return {"value_fn": lambda params: loss(params, slope)}

    peer = optax.contrib.sophia(0.05, update_interval=1, **arguments)
    expected, states = path(peer, extra=obj_fn)
    optimizer = ours.sophia(0.05, update_interval=1, mask=None, **arguments)
    assert_different(path(optimizer, extra=value_fn)[0], expected)

    settled, theirs = at(expected, 59), at(states[0], 59)
    state = optimizer.init(settled)._replace(count=theirs.count, mu=theirs.mu, nu=theirs.nu)
    rest = at(noise(), slice(60, None))
    found, _ = path(optimizer, settled, state, value_fn, rest)
    assert_same(found, at(expected, slice(60, None)))


@pytest.mark.parametrize("rho", [0.05, 0.5])
def test_sam_of_optax_in_one_call(rho, optax):
    """With the same function, and from the loss."""
    ascent = optax.chain(optax.contrib.normalize(), optax.sgd(rho))
    peer = optax.contrib.sam(optax.adam(0.03), ascent, opaque_mode=True)

    def grad_fn(value, params, slope):
        return {"grad_fn": jax.grad(lambda params, i: loss(params, slope))}

    def value_fn(value, params, slope):
        return {"value_fn": lambda params: loss(params, slope)}

    expected, _ = path(peer, extra=grad_fn)
    for extra in (grad_fn, value_fn):
        assert_same(path(ours.sam(ours.adam(0.03), rho), extra=extra)[0], expected)


@pytest.mark.parametrize("variant", ["sps", "sps+"])
@pytest.mark.parametrize("s", [1.0, 0.7])
def test_polyak_sgd_of_optax(variant, s, optax):
    """It scales the gradient by s before it takes the norm, so what its docstring calls s is 1/s, with s²·γ
    and eps/s². Some losses are below f_min."""

    def given(value, params, slope):
        return {"value": value}

    both = {"f_min": 0.2, "variant": variant}
    expected, _ = path(optax.polyak_sgd(0.3, s, eps=0.1, **both), extra=given)
    assert_same(path(ours.polyak_sgd(0.3 * s**2, 1 / s, eps=0.1 / s**2, **both), extra=given)[0], expected)
    if s != 1:
        assert_different(path(ours.polyak_sgd(0.3, s, eps=0.1, **both), extra=given)[0], expected)


# Those that need a gradient only


def falling(step):
    return 0.05 / (1 + 0.1 * jnp.asarray(step, float))


@pytest.mark.parametrize("rate", [0.05, falling])
@pytest.mark.parametrize(("alpha", "beta"), [(1.0, 1.0), (0.7, 0.3)])
def test_optimistic_gradient_of_optax(rate, alpha, beta, optax):
    found, _ = path(ours.optimistic_gradient(rate, alpha, beta))
    assert_same(found, path(optax.optimistic_gradient_descent(rate, alpha, beta))[0])


@pytest.mark.full
def test_noisy_sgd_of_optax(optax):
    """The draws differ. Without noise the paths are the same; with it, their deviations have one variance."""
    found, _ = path(ours.noisy_sgd(0.05, 0.0))
    expected, _ = path(optax.noisy_sgd(0.05, 0.0, key=jax.random.key(0)))
    assert_same(found, expected)

    few = at(noise(), slice(0, 5))

    def spread(make):
        ends = jax.vmap(lambda seed: at(path(make(seed), steps=few)[0], 4))(jnp.arange(3000))
        return np.concatenate([np.var(end, axis=0).ravel() for end in jax.tree.leaves(ends)])

    ours_spread = spread(lambda seed: ours.noisy_sgd(0.05, 0.4, 0.7, seed))
    theirs = spread(lambda seed: optax.noisy_sgd(0.05, 0.4, 0.7, key=jax.random.key(seed)))
    np.testing.assert_allclose(ours_spread, theirs, rtol=0.15)
