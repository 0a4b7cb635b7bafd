"""Our optimizers in Flax's two training states, where they do what optax's do."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxopt_notes.interop import to_optax
from jaxopt_notes.optimizers import adam, adamw, chain, clip_by_global_norm, skip_nonfinite
from jaxopt_notes.schedules import cosine

optax = pytest.importorskip("optax")
nnx = pytest.importorskip("flax.nnx")
pytestmark = pytest.mark.usefixtures("relaxed", "x64")

X = np.random.default_rng(0).normal(size=(8, 3))
Y = X @ np.array([[1.0, -1.0], [2.0, 0.5], [0.0, 1.5]])
PAIRS = {
    "adam": (adam(0.1), optax.adam(0.1)),
    "schedule": (adam(cosine(0.1, 10)), optax.adam(optax.cosine_decay_schedule(0.1, 10))),
    "adamw": (adamw(0.1, weight_decay=0.1, mask=None), optax.adamw(0.1, weight_decay=0.1)),
    "chain": (
        skip_nonfinite(chain(clip_by_global_norm(0.5), adam(0.1))),
        optax.chain(optax.clip_by_global_norm(0.5), optax.adam(0.1)),
    ),
}


def by_train_state(tx, steps=5):
    train_state = pytest.importorskip("flax.training.train_state")
    linen = pytest.importorskip("flax.linen")
    model = linen.Dense(2, param_dtype=jnp.float64)
    state = train_state.TrainState.create(
        apply_fn=model.apply, params=model.init(jax.random.key(1), X)["params"], tx=tx
    )
    traces = []

    @jax.jit
    def step(state):
        traces.append(1)
        grads = jax.grad(lambda params: jnp.mean((state.apply_fn({"params": params}, X) - Y) ** 2))(
            state.params
        )
        return state.apply_gradients(grads=grads)

    for _ in range(steps):
        state = step(state)
    assert (int(state.step), len(traces)) == (steps, 1)
    return state.params


def by_nnx(tx, steps=5):
    model = nnx.Linear(3, 2, param_dtype=jnp.float64, rngs=nnx.Rngs(0))
    optimizer = nnx.Optimizer(model, tx, wrt=nnx.Param)

    @nnx.jit
    def step(model, optimizer):
        optimizer.update(model, nnx.grad(lambda model: jnp.mean((model(X) - Y) ** 2))(model))

    for _ in range(steps):
        step(model, optimizer)
    return nnx.to_pure_dict(nnx.state(model, nnx.Param))


@pytest.mark.full
@pytest.mark.parametrize("train", [by_train_state, by_nnx])
@pytest.mark.parametrize("pair", PAIRS)
def test_a_record_is_a_tx(pair, train):
    ours, theirs = PAIRS[pair]
    found, expected = train(ours), train(theirs)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-9), found, expected)


def test_nnx_takes_numbers_that_are_arrays_from_the_adapter_only():
    arrays = jax.tree.map(jnp.asarray, adam(0.1))
    with pytest.raises(ValueError, match="static attribute 'tx'"):
        by_nnx(arrays)
    found, expected = by_nnx(to_optax(arrays)), by_nnx(adam(0.1))
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-12), found, expected)
    by_train_state(arrays)
