"""Modules of Flax linen, NNX and Equinox as models of a Trainer: what loops written there do."""

import functools
import types

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxopt_notes.layers import dense
from jaxopt_notes.losses import mean_squared_error
from jaxopt_notes.optimizers import momentum
from jaxopt_notes.search import log_uniform, random_search, sweep
from jaxopt_notes.training import Trainer

optax = pytest.importorskip("optax")
pytestmark = pytest.mark.usefixtures("relaxed")

X = np.random.default_rng(0).normal(size=(8, 3))
Y = X @ np.array([[1.0, -1.0], [2.0, 0.5], [0.0, 1.5]])
WIDTH = 4


@functools.cache
def linen_module(rate=0.0):
    nn = pytest.importorskip("flax.linen")

    class Net(nn.Module):
        width: int = WIDTH
        scale: float = 1.0

        @nn.compact
        def __call__(self, x, train: bool):
            x = nn.BatchNorm(use_running_average=not train, param_dtype=x.dtype)(x * self.scale)
            x = jax.nn.tanh(nn.Dense(self.width, param_dtype=x.dtype)(x))
            return nn.Dense(2, param_dtype=x.dtype)(nn.Dropout(rate, deterministic=not train)(x))

    return Net


@functools.cache
def nnx_module(rate=0.0, dtype=jnp.float32):
    nnx = pytest.importorskip("flax.nnx")

    class Net(nnx.Module):
        def __init__(self, rngs, width=WIDTH):
            self.norm = nnx.BatchNorm(3, rngs=rngs, param_dtype=dtype)
            self.hidden = nnx.Linear(3, width, rngs=rngs, param_dtype=dtype)
            self.dropout = nnx.Dropout(rate, rngs=rngs)
            self.out = nnx.Linear(width, 2, rngs=rngs, param_dtype=dtype)

        def __call__(self, x):
            return self.out(self.dropout(jax.nn.tanh(self.hidden(self.norm(x)))))

    return Net


@functools.cache
def equinox_module(rate=0.0, dtype=None):
    eqx = pytest.importorskip("equinox")

    class Net(eqx.Module):
        norm: eqx.nn.BatchNorm
        hidden: eqx.nn.Linear
        dropout: eqx.nn.Dropout
        out: eqx.nn.Linear

        def __init__(self, key, width=WIDTH):
            one, two = jax.random.split(key)
            self.norm = eqx.nn.BatchNorm(3, axis_name="examples", mode="ema", dtype=dtype)
            self.hidden = eqx.nn.Linear(3, width, key=one, dtype=dtype)
            self.dropout = eqx.nn.Dropout(rate)
            self.out = eqx.nn.Linear(width, 2, key=two, dtype=dtype)

        def __call__(self, x, state, key=None):
            x, state = self.norm(x, state)
            return self.out(self.dropout(jax.nn.tanh(self.hidden(x)), key=key)), state

    return Net


def trained(model, key, epochs=3):
    """Full batches: the order of examples does not matter."""
    trainer = Trainer(model, momentum(0.1, 0.9), mean_squared_error, metric=None, batch_size=len(X))
    state, history = trainer.advance(trainer.init(key, (X, Y)), (X, Y), epochs=epochs)
    return state.learner, history["loss"]


def close(found, expected):
    flat = [[np.asarray(leaf) for leaf in jax.tree.leaves(tree)] for tree in (found, expected)]
    assert len(flat[0]) == len(flat[1]) > 0
    for one, other in zip(*flat, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-9, atol=1e-12)


def by_hand(loss, params, state, steps=3):
    """optax, and a gradient of (loss, new state)."""
    tx = optax.sgd(0.1, momentum=0.9)

    @jax.jit
    def step(params, state, opt_state):
        (value, state), grads = jax.value_and_grad(loss, has_aux=True)(params, state)
        updates, opt_state = tx.update(grads, opt_state)
        return optax.apply_updates(params, updates), state, opt_state, value

    opt_state, values = tx.init(params), []
    for _ in range(steps):
        params, state, opt_state, value = step(params, state, opt_state)
        values.append(value)
    return params, state, jnp.stack(values)


def error(y):
    return jnp.mean(jnp.mean((y - Y) ** 2, axis=1))


@pytest.mark.full
def test_a_linen_module_trains_as_by_hand(x64, key):
    module = linen_module()()
    learner, losses = trained(module, key)
    init_key = jax.random.split(key)[0]
    variables = module.init(init_key, X, train=False)

    def loss(params, stats):
        y, moved = module.apply(
            {"params": params, "batch_stats": stats}, X, train=True, mutable=["batch_stats"]
        )
        return error(y), moved["batch_stats"]

    params, stats, values = by_hand(loss, variables["params"], variables["batch_stats"])
    close((learner.params, losses), (params, values))
    found = learner.model_state["batch_stats"]  # float32, as Flax begins them, whatever it makes of them
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-6, atol=1e-7), found, dict(stats))
    assert {leaf.dtype for leaf in jax.tree.leaves(found)} == {jnp.dtype(jnp.float32)}


@pytest.mark.full
@pytest.mark.filterwarnings("ignore:scatter inputs")  # statistics are float32 in NNX, whatever the parameters
def test_an_nnx_module_trains_as_by_hand_and_keeps_its_own_parameters(x64, key):
    nnx = pytest.importorskip("flax.nnx")
    module = nnx_module(0.0, jnp.float64)(nnx.Rngs(0))
    learner, losses = trained(module, key)
    graph, params, state = nnx.split(nnx_module(0.0, jnp.float64)(nnx.Rngs(0)), nnx.Param, ...)

    def loss(params, state):
        module = nnx.merge(graph, params, jax.tree.map(lambda leaf: leaf, state))  # variables of this trace
        y = module(X)
        return error(y), nnx.split(module, nnx.Param, ...)[2]

    params, state, values = by_hand(loss, params, state)
    state = {"norm": nnx.to_pure_dict(state)["norm"]}
    close((learner.params, learner.model_state, losses), (nnx.to_pure_dict(params), state, values))
    nnx.update(module, learner.params)  # as the documentation says that they go back
    close(module.out.kernel[...], learner.params["out"]["kernel"])


@pytest.mark.full
def test_an_equinox_module_trains_as_by_hand(x64, key):
    eqx = pytest.importorskip("equinox")
    pair = eqx.nn.make_with_state(equinox_module(dtype=jnp.float64))(jax.random.key(1))
    learner, losses = trained(pair, key)
    params, static = eqx.partition(pair[0], eqx.is_inexact_array)

    def loss(params, state):
        batched = jax.vmap(
            eqx.combine(params, static), axis_name="examples", in_axes=(0, None), out_axes=(0, None)
        )
        y, state = batched(X, state)
        return error(y), state

    params, state, values = by_hand(loss, params, pair[1])
    close((learner.params, learner.model_state, losses), (params, state, values))
    assert eqx.combine(learner.params, pair[0]).out.weight.shape == (2, WIDTH)


def tiny_linen():
    nn = pytest.importorskip("flax.linen")

    class Tiny(nn.Module):
        @nn.compact
        def __call__(self, x, deterministic):
            count = self.variable("batch_stats", "count", lambda: jnp.zeros(()))
            if not deterministic:
                count.value = count.value + 1.0
            return x * self.param("w", lambda key: jnp.full((), 3.0)) + count.value

    return Tiny()


def tiny_nnx():
    nnx = pytest.importorskip("flax.nnx")

    class Tiny(nnx.Module):
        def __init__(self, rngs):
            self.w, self.count = nnx.Param(jnp.full((), 3.0)), nnx.BatchStat(jnp.zeros(()))
            self.deterministic = True

        def __call__(self, x):
            if not self.deterministic:
                self.count[...] = self.count[...] + 1.0
            return x * self.w[...] + self.count[...]

    return lambda rngs: Tiny(rngs)


def tiny_equinox():
    eqx = pytest.importorskip("equinox")

    class Tiny(eqx.Module):
        w: jax.Array
        place: eqx.nn.StateIndex
        inference: bool

        def __init__(self, key):
            self.w, self.place, self.inference = jnp.full((), 3.0), eqx.nn.StateIndex(jnp.zeros(())), False

        def __call__(self, x, state):
            if not self.inference:
                state = state.set(self.place, state.get(self.place) + 1.0)
            return x * self.w + state.get(self.place), state

    return lambda key: Tiny(key)


@pytest.mark.parametrize("tiny", [tiny_linen, tiny_nnx, tiny_equinox])
def test_a_state_moves_in_training_alone(tiny, key):
    """It counts its calls in training, and adds the count: 3 + 1, then 3 + 2, and 3 + 2 in evaluation."""
    model, x = Trainer(tiny(), momentum(0.1), mean_squared_error).model, np.ones((2, 1), np.float32)

    @jax.jit
    def outputs(key):
        params, state = model.init(key, x)
        first, state = model.apply(params, state, x, key=key, train=True)
        second, state = model.apply(params, state, x, key=key, train=True)
        return params, first, second, *model.apply(params, state, x)

    params, first, second, evaluated, state = outputs(key)
    assert [float(y[1, 0]) for y in (first, second, evaluated)] == [4.0, 5.0, 5.0]
    assert jax.tree.leaves(params) == [3.0]
    assert jax.tree.leaves(state) == [2.0]


def forms(rate):
    """Each library's module as a model whose parameters are drawn for each run."""
    return {
        "linen": lambda width=WIDTH: linen_module(rate)(width),
        "nnx": lambda width=WIDTH: lambda rngs: nnx_module(rate)(rngs, width),
        "equinox": lambda width=WIDTH: lambda key: equinox_module(rate)(key, width),
    }


@pytest.mark.full
@pytest.mark.parametrize("library", ["linen", "nnx", "equinox"])
def test_noise_is_a_function_of_the_key_and_absent_in_evaluation(library, key):
    model = Trainer(forms(0.5)[library](), momentum(0.1), mean_squared_error).model
    x = jnp.asarray(X, jnp.float32)

    @jax.jit
    def outputs(key):
        params, state = model.init(key, x)
        noisy = [model.apply(params, state, x, key=k, train=True)[0] for k in jax.random.split(key)]
        y, moved = model.apply(params, state, x, key=key, train=True)
        plain, unmoved = model.apply(params, state, x)
        return noisy, y, moved, plain, state, unmoved

    noisy, y, moved, plain, state, unmoved = outputs(key)
    again = outputs(key)[1]
    np.testing.assert_array_equal(y, again)
    assert not np.allclose(noisy[0], noisy[1])
    assert not np.allclose(y, plain)
    same = jax.tree.map(np.array_equal, (state, state), (unmoved, moved))
    assert all(jax.tree.leaves(same[0]))
    assert not all(jax.tree.leaves(same[1]))


@pytest.mark.full
@pytest.mark.parametrize("library", ["linen", "nnx", "equinox"])
def test_populations_of_them(library, key):
    """A rate is data, every seed draws its own parameters, and a winner predicts."""
    model, data = forms(0.1)[library](), (X.astype(np.float32), Y.astype(np.float32))

    def build(h):
        return Trainer(model, momentum(h["rate"]), mean_squared_error, metric=None, batch_size=3)

    space = {"rate": log_uniform(1e-4, 1e-1)}
    results = sweep(
        build, space, (data, data), random_search(3), seeds=2, epochs=3, key=key, keep_params="best"
    )
    first = results.history["loss"][:, :, 0]
    assert np.isfinite(results.scores).all()
    assert len(np.unique(first)) == first.size
    assert results.predict(data[0]).shape == (8, 2)
    params, _ = jax.eval_shape(build({"rate": 0.1}).model.init, key, data[0])
    kept = jax.tree.map(lambda leaf: leaf[1], results.networks()[0])
    assert jax.tree.structure(kept) == jax.tree.structure(params)


@pytest.mark.full
def test_numbers_in_a_linen_module_are_leaves(key):
    net = linen_module()

    def loss(scale):
        model = Trainer(net(scale=scale), momentum(0.1), mean_squared_error).model
        params, state = model.init(key, X.astype(np.float32))
        return jnp.sum(model.apply(params, state, X.astype(np.float32), train=True)[0] ** 2), model

    model = loss(jnp.float32(2.0))[1]
    assert [leaf.item() for leaf in jax.tree.leaves(model)] == [2.0]
    assert jax.tree.structure(model) == jax.tree.structure(loss(jnp.float32(3.0))[1])
    assert np.isfinite(jax.vmap(lambda scale: loss(scale)[0])(jnp.array([0.5, 2.0]))).all()


def test_objects_with_init_and_apply(key):
    layer = dense(2)
    ours = types.SimpleNamespace(init=layer.init, apply=layer.apply)
    plain = types.SimpleNamespace(
        init=lambda key, x: layer.init(key, x)[0], apply=lambda params, x: layer.apply(params, (), x)[0]
    )
    data = (X.astype(np.float32), Y.astype(np.float32))
    params, state = layer.init(key, data[0])
    for model in (ours, plain):
        taken = Trainer(model, momentum(0.1), mean_squared_error).model
        y, unchanged = taken.apply(params, state, data[0], key=key, train=True)
        np.testing.assert_array_equal(y, layer.apply(params, state, data[0])[0])
        assert unchanged == state == ()
        assert jax.tree.leaves(taken) == []
        np.testing.assert_array_equal(taken.init(key, data[0])[0]["kernel"], params["kernel"])
    with pytest.raises(TypeError, match=r"Trainer\(model\).*Flax or Equinox"):
        Trainer(lambda x: x, momentum(0.1), mean_squared_error).init(key, data)
    with pytest.raises(
        TypeError, match=r"Trainer\(model\) is the class SimpleNamespace, .*SimpleNamespace\(\.\.\.\)"
    ):
        Trainer(types.SimpleNamespace, momentum(0.1), mean_squared_error).init(key, data)
    broken = types.SimpleNamespace(init=plain.init, apply=layer.apply)
    with pytest.raises(TypeError, match=r"Trainer\(model\).init returned a dict, expected a pair"):
        Trainer(broken, momentum(0.1), mean_squared_error).init(key, data)
