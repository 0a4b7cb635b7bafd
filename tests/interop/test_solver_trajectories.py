"""Solvers beside those of optax: the same points to 1e-9, or the stated difference."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

import jaxopt_notes.optimizers as ours
from jaxopt_notes import projections
from jaxopt_notes.optimizers.core.apply_updates import apply_updates
from jaxopt_notes.problems import rosenbrock
from tests.interop import peers

pytestmark = pytest.mark.full


def tree():
    rng = np.random.default_rng(0)
    return {"kernel": jnp.asarray(rng.normal(size=(3, 2))), "bias": jnp.asarray(rng.normal(size=3))}


def quartic(params):
    """Convex, with a curvature of its own in every direction, and leaves that meet."""
    x = jnp.concatenate([params["kernel"].ravel(), params["bias"]])
    return jnp.sum(jnp.linspace(0.1, 5.0, 9) * x**2 + (x - 1) ** 4) + jnp.sum(x) ** 2


def valley(params):
    return rosenbrock()(jnp.concatenate([params["kernel"].ravel(), params["bias"]]))


def path(optimizer, loss, start, steps):
    def step(carry, _):
        params, state = carry
        value, grad = jax.value_and_grad(loss)(params)
        updates, state = optimizer.update(grad, state, params, value=value, grad=grad, value_fn=loss)
        params = apply_updates(params, updates)
        return (params, state), params

    with jax.numpy_dtype_promotion("standard"), jax.numpy_rank_promotion("allow"):
        return jax.jit(lambda start: lax.scan(step, (start, optimizer.init(start)), length=steps)[1])(start)


def assert_same(found, expected):
    peers.assert_same(found, expected, atol=1e-9)


@pytest.mark.full
@pytest.mark.notes("S1-67")
@pytest.mark.parametrize("loss", [quartic, valley])
@pytest.mark.parametrize(("memory", "scaled"), [(10, True), (2, True), (10, False)])
def test_lbfgs(memory, scaled, loss, optax):
    """As long as the loss falls by more than rounding, on which searches feed at the minimum.

    With γ scaled the convex one is at its minimum to the last bit, and stays there.
    """
    steps = 30 if loss is valley else 200 if scaled else 12
    found = path(ours.lbfgs(1.0, memory, scaled), loss, tree(), steps)
    assert_same(found, path(optax.lbfgs(None, memory, scaled), loss, tree(), steps))


@pytest.mark.parametrize("rate", [0.01, 0.3])
def test_lbfgs_without_a_search(rate, optax):
    """optax keeps pairs of negative curvature; a convex loss has none."""
    found = path(ours.lbfgs(rate, 5, linesearch=None), quartic, tree(), 200)
    assert_same(found, path(optax.lbfgs(rate, 5, linesearch=None), quartic, tree(), 200))


@pytest.mark.full
@pytest.mark.parametrize("strategy", ["one", "keep"])
@pytest.mark.parametrize("c2", [0.9, 0.1])
def test_the_zoom_line_search_after_an_optimizer(strategy, c2, optax):
    rule = ours.zoom(30, curv_rtol=c2, approx_dec_rtol=None)
    found = path(ours.line_search(ours.sgd(0.01), rule, initial_guess_strategy=strategy), quartic, tree(), 20)
    search = optax.scale_by_zoom_linesearch(
        30, curv_rtol=c2, approx_dec_rtol=None, initial_guess_strategy=strategy
    )
    assert_same(found, path(optax.chain(optax.sgd(0.01), search), quartic, tree(), 20))


def test_optax_finds_our_value_and_gradient_in_the_state(optax):
    optimizer, start = ours.lbfgs(), tree()
    value, grad = jax.value_and_grad(quartic)(start)
    updates, state = optimizer.update(grad, optimizer.init(start), start, value=value, value_fn=quartic)
    after = apply_updates(start, updates)
    expected = jax.value_and_grad(quartic)(after)
    for value_and_grad in (
        ours.value_and_grad_from_state(quartic), optax.value_and_grad_from_state(quartic),
    ):  # fmt: skip
        jax.tree.map(
            lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-12, atol=1e-12),
            value_and_grad(after, state=state), expected,
        )  # fmt: skip


@pytest.mark.parametrize(
    ("name", "peer", "arguments"),
    [
        ("project_box", "projection_box", (-0.3, 0.5)),
        ("project_l2_ball", "projection_l2_ball", (0.7,)),
        ("project_l1_ball", "projection_l1_ball", (0.7,)),
        ("project_simplex", "projection_simplex", (1.5,)),
    ],
)
@pytest.mark.notes("S0-13")
def test_projections(name, peer, arguments, optax):
    with jax.numpy_dtype_promotion("standard"):
        bounds = (jax.tree.map(lambda _, x=x: x, tree()) for x in arguments)  # optax wants trees of them
        arguments_of_peer = bounds if name == "project_box" else arguments
        expected = getattr(optax.projections, peer)(tree(), *arguments_of_peer)
    found = getattr(projections, name)(tree(), *arguments)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-12, atol=1e-14), found, expected)
