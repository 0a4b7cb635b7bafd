"""Groups of leaves, each with an optimizer or a rate of its own, or frozen."""

import pickle

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxopt_notes.layers import mlp
from jaxopt_notes.optimizers import (
    adam,
    chain,
    clip_by_global_norm,
    evaluation_params,
    nesterov,
    sgd,
    skip_nonfinite,
    weight_decay,
)
from jaxopt_notes.optimizers.wrappers.partition import (
    freeze,
    label_paths,
    layerwise_rates,
    partition,
)
from tests.optimizers.runs import STEPS, falling_rate, follow, random_grads, random_params

GROUPS = {"kernel": "a", "bias": "b"}


def by_name(path):
    return GROUPS[path]


@pytest.mark.parametrize(
    "labels", [GROUPS, label_paths(by_name), lambda params: GROUPS], ids=["tree", "path", "f"]
)
def test_each_group_is_moved_by_its_own_optimizer(labels, x64):
    clipped = chain(clip_by_global_norm(0.1), sgd(falling_rate))
    both = partition({"b": adam(0.1), "a": clipped}, labels)
    params, grads = random_params(), random_grads()
    path, _ = follow(both, params, grads)
    for name, optimizer in {"kernel": clipped, "bias": adam(0.1)}.items():
        expected, _ = follow(optimizer, {name: params[name]}, {name: grads[name]})
        np.testing.assert_allclose(path[name], expected[name], rtol=1e-12)


def test_one_label_for_a_whole_subtree():
    params = {"body": {"w": jnp.ones(2), "b": jnp.ones(1)}, "head": {"w": jnp.ones(3)}}
    optimizer = partition({"slow": sgd(0.1), "fast": sgd(1.0)}, {"body": "slow", "head": "fast"})
    updates, _ = optimizer.update(params, optimizer.init(params), params)
    np.testing.assert_allclose(updates["body"]["w"], -0.1, rtol=1e-6)
    np.testing.assert_allclose(updates["body"]["b"], -0.1, rtol=1e-6)
    np.testing.assert_allclose(updates["head"]["w"], -1.0)


@pytest.mark.notes("S1-79")
def test_frozen_leaves_hold_no_state_and_are_bit_identical_after_training():
    """A head trained on top of a frozen network: nothing of the network's size is in the state."""
    network, x = mlp([7, 5, 2]), jnp.ones((4, 3))
    params, _ = network.init(jax.random.key(0), x)
    is_head = lambda path: "head" if path.startswith(sorted(params)[-1]) else "body"  # noqa: E731
    decayed = chain(adam(0.1), weight_decay(0.1, mask=None))
    optimizer = partition({"head": decayed, "body": freeze()}, label_paths(is_head))
    state = optimizer.init(params)
    head = params[sorted(params)[-1]]
    expected = sorted([leaf.shape for leaf in jax.tree.leaves(head)] * 2 + [(), ()])
    assert sorted(leaf.shape for leaf in jax.tree.leaves(state)) == expected

    def loss(params):
        return jnp.sum(network.apply(params, (), x)[0] ** 2)

    @jax.jit
    def train(trained, state):
        for _ in range(3):
            updates, state = optimizer.update(jax.grad(loss)(trained), state, trained)
            trained = jax.tree.map(jnp.add, trained, updates)
        return trained

    trained = train(params, state)
    for (path, before), after in zip(
        jax.tree.leaves_with_path(params), jax.tree.leaves(trained), strict=True
    ):
        same = (np.asarray(before) == np.asarray(after)).all()
        assert same == (is_head(path[0].key) == "body"), path


def test_freeze_last_in_a_chain_stops_whatever_came_before(x64):
    params, grads = random_params(), random_grads()
    optimizer = chain(adam(0.1), weight_decay(0.1, mask=None), freeze({"kernel": True, "bias": False}))
    path, _ = follow(optimizer, params, grads)
    np.testing.assert_array_equal(path["kernel"], np.tile(params["kernel"], (STEPS, 1, 1)))
    alone, _ = follow(chain(adam(0.1), weight_decay(0.1, mask=None)), params, grads)
    np.testing.assert_allclose(path["bias"], alone["bias"], rtol=1e-12)


@pytest.mark.notes("S1-79")
def test_fine_tuning_at_a_tenth_of_the_rate(x64):
    """Steps of Adam are a tenth as long, leaf by leaf; the longest path counts."""
    params = {"body": {"w": np.ones(3), "b": np.ones(2)}, "body2": np.ones(2), "head": np.ones(2)}
    grads = jax.tree.map(lambda p: np.linspace(-1, 1, p.size), params)
    rates = layerwise_rates({"body": 0.1, "body/b": 0.0}, default=0.5)
    found, _ = chain(adam(0.1), rates).update(grads, chain(adam(0.1), rates).init(params), params)
    full, _ = adam(0.1).update(grads, adam(0.1).init(params), params)
    np.testing.assert_allclose(found["body"]["w"], 0.1 * full["body"]["w"], rtol=1e-12)
    np.testing.assert_array_equal(found["body"]["b"], 0)
    np.testing.assert_allclose(found["body2"], 0.5 * full["body2"], rtol=1e-12)
    np.testing.assert_allclose(found["head"], 0.5 * full["head"], rtol=1e-12)


def test_the_factors_are_data(x64):
    """A sweep over them is a vmap, and they have gradients."""
    run = lambda r: layerwise_rates({"a": r}).update({"a": np.array(3.0), "b": np.array(1.0)}, ())[0]  # noqa: E731
    swept = jax.vmap(run)(jnp.array([0.1, 2.0]))
    np.testing.assert_allclose(swept["a"], [0.3, 6.0], rtol=1e-12)
    np.testing.assert_allclose(jax.grad(lambda r: run(r)["a"])(0.5), 3.0)


def test_evaluation_params_reach_into_every_group(x64):
    params, grads = random_params(), random_grads()
    both = partition({"a": nesterov(0.1, 0.9), "b": nesterov(0.2, 0.5)}, GROUPS)
    path, states = follow(both, params, grads)
    found = jax.vmap(lambda p, s: evaluation_params(both, p, s))(path, states)
    for name, optimizer in {"kernel": nesterov(0.1, 0.9), "bias": nesterov(0.2, 0.5)}.items():
        alone = jax.vmap(lambda p, s, o=optimizer: evaluation_params(o, p, s))(
            *follow(optimizer, params[name], grads[name])
        )
        np.testing.assert_allclose(found[name], alone, rtol=1e-12)


def test_a_bad_gradient_in_one_group_stops_all():
    params = {"kernel": jnp.ones((2, 2)), "bias": jnp.ones(2)}
    optimizer = skip_nonfinite(partition({"a": sgd(0.1), "b": freeze()}, GROUPS))
    grads = {"kernel": jnp.ones((2, 2)), "bias": jnp.array([jnp.nan, 1.0])}
    updates, state = optimizer.update(grads, optimizer.init(params), params)
    assert not any(leaf.any() for leaf in jax.tree.leaves(updates))
    assert int(state.skipped) == 1


def test_it_is_data_with_labels_as_structure():
    """One trace for two partitions of the same labels; it pickles and prints."""
    traces = []

    @jax.jit
    def init(optimizer, params):
        traces.append(1)
        return optimizer.init(params)

    params = random_params()
    for rate in (0.1, 0.2):
        init(partition({"a": adam(rate), "b": freeze()}, GROUPS), params)
        init(partition({"a": adam(rate), "b": freeze()}, label_paths(by_name)), params)
    assert len(traces) == 2
    optimizer = partition({"a": adam(), "b": freeze()}, dict(GROUPS))
    again = pickle.loads(pickle.dumps(optimizer))
    assert jax.tree.structure(again) == jax.tree.structure(optimizer)
    assert "mask=label 'a'" in repr(optimizer)


def test_typing_errors_are_named():
    params = random_params()
    with pytest.raises(ValueError, match=r"partition\(labels\) is 'b' at 'bias', expected one of 'a'"):
        partition({"a": sgd()}, GROUPS).init(params)
    with pytest.raises(ValueError, match=r"layerwise_rates\(rates\) has 'kern', expected the path"):
        layerwise_rates({"kern": 0.1}).update(params, ())
    with pytest.raises(ValueError, match=r"layerwise_rates\(rates\['a'\]\) is -1"):
        layerwise_rates({"a": -1})
