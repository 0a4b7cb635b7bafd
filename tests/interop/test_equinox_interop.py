"""An Equinox model trained by our optimizers, as data: the optimizer is an argument of the step."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxopt_notes.optimizers import adam, adamw, apply_updates, chain, clip_by_global_norm, masked, sgd

eqx = pytest.importorskip("equinox")
optax = pytest.importorskip("optax")
pytestmark = pytest.mark.usefixtures("relaxed", "x64")

X = np.random.default_rng(0).normal(size=(8, 3))
Y = X @ np.array([[1.0, -1.0], [2.0, 0.5], [0.0, 1.5]])


def model():
    return eqx.nn.MLP(3, 2, width_size=4, depth=1, dtype=jnp.float64, key=jax.random.key(1))


def train(optimizers, apply=eqx.apply_updates, programs=1):
    """One step with each optimizer, by so many compiled programs."""
    traces = []

    @eqx.filter_jit
    def step(optimizer, model, state):
        traces.append(1)
        grads = eqx.filter_grad(lambda model: jnp.mean((jax.vmap(model)(X) - Y) ** 2))(model)
        updates, state = optimizer.update(grads, state, eqx.filter(model, eqx.is_inexact_array))
        return apply(model, updates), state

    net = model()
    state = optimizers[0].init(eqx.filter(net, eqx.is_inexact_array))
    for optimizer in optimizers:
        net, state = step(optimizer, net, state)
    assert len(traces) == programs
    return eqx.filter(net, eqx.is_inexact_array)


@pytest.mark.full
@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (adam(0.1), optax.adam(0.1)),
        (adamw(0.1, weight_decay=0.1, mask=None), optax.adamw(0.1, weight_decay=0.1)),
        (
            chain(optax.clip_by_global_norm(0.5), adam(0.1)),
            optax.chain(optax.clip_by_global_norm(0.5), optax.adam(0.1)),
        ),
    ],
    ids=["adam", "adamw", "chain"],
)
def test_the_model_moves_as_with_optax(ours, theirs):
    found, expected = train([ours] * 4), train([theirs] * 4)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-9), found, expected)


@pytest.mark.full
def test_another_learning_rate_is_the_same_program_if_numbers_are_arrays():
    """`eqx.filter_jit` takes Python numbers for structure, so they are made arrays first."""
    numbers = [(1.0, 0.1), (0.5, 0.2), (2.0, 0.05)]
    optimizers = [chain(clip_by_global_norm(c), adam(rate)) for c, rate in numbers]
    arrays = [jax.tree.map(jnp.asarray, optimizer) for optimizer in optimizers]
    found, expected = train(arrays), train(optimizers, programs=3)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-9), found, expected)


def test_masks_see_the_path_of_a_module():
    """`weights_only` leaves the biases of the model where they are."""
    before, after = eqx.filter(model(), eqx.is_inexact_array), train([masked(sgd(0.1))] * 2)
    for old, new in zip(before.layers, after.layers, strict=True):
        np.testing.assert_array_equal(new.bias, old.bias)
        assert (new.weight != old.weight).all()


def test_our_apply_updates_serves_a_filtered_model():
    """Equinox puts `None` where it filtered: a missing update leaves its leaf as it is."""
    own = train([sgd(0.1)] * 2, apply=lambda net, updates: apply_updates(net, updates))
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-12), own, train([sgd(0.1)] * 2))
