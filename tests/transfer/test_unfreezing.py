"""Unfreezing keeps what the optimizer has learned; stages, rates by depth, the four cases."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxopt_notes.initializers import from_pretrained
from jaxopt_notes.layers import mlp
from jaxopt_notes.losses import mean_squared_error
from jaxopt_notes.optimizers import adam, chain, layerwise_rates, sgd
from jaxopt_notes.record import replace
from jaxopt_notes.training import Trainer
from jaxopt_notes.transfer import (
    discriminative_rates,
    gradual_unfreezing,
    start_from,
    top_layers,
    transfer_plan,
    unfreeze,
)

RNG = np.random.default_rng(0)
X = RNG.normal(size=(16, 3)).astype(np.float32)
Y = RNG.normal(size=(16, 2)).astype(np.float32)
HEAD = {"layers_0": False, "layers_2": False, "layers_4": True}


def make(optimizer=None, **options):
    optimizer = sgd(0.1) if optimizer is None else optimizer
    options = {"metric": None, "batch_size": 4} | options
    return Trainer(mlp([8, 8, 2], "tanh"), optimizer, mean_squared_error, **options)


def test_the_optimizer_goes_on_where_it_was_and_begins_with_what_is_new():
    trainer = make(adam(0.05), trainable=HEAD, skip_nonfinite=False)

    @jax.jit
    def states(key):
        state = trainer.init(key, (X, Y))
        trained = jax.tree.map(lambda leaf: leaf + jnp.ones_like(leaf), state.learner.opt_state)
        state = state._replace(learner=state.learner._replace(opt_state=trained))
        return unfreeze(trainer, state, {**HEAD, "layers_2": True})[1].learner.opt_state

    found = states(jax.random.key(0))
    values = [leaf for path, leaf in jax.tree.leaves_with_path(found) if "layers_2" not in str(path)]
    fresh = [leaf for path, leaf in jax.tree.leaves_with_path(found) if "layers_2" in str(path)]
    assert len(values) == 5  # the count, two moments of a kernel and of a bias
    assert len(fresh) == 4
    assert all((np.asarray(leaf) == 1).all() for leaf in values)
    assert not any(np.asarray(leaf).any() for leaf in fresh)


@pytest.mark.full
def test_unfreezing_keeps_the_moments_of_what_moved():
    trainer = make(adam(0.05), trainable=HEAD, skip_nonfinite=False)
    state, _ = trainer.advance(trainer.init(jax.random.key(0), (X, Y)), (X, Y), epochs=2)
    more, wider = unfreeze(trainer, state, {**HEAD, "layers_2": True})
    old, new = state.learner.opt_state, wider.learner.opt_state
    assert int(new.count) == int(old.count) == 8
    leaves = {jax.tree_util.keystr(path): leaf for path, leaf in jax.tree.leaves_with_path(new)}
    for path, leaf in jax.tree.leaves_with_path(old):
        np.testing.assert_array_equal(leaves[jax.tree_util.keystr(path)], leaf)
    fresh = [leaf for path, leaf in leaves.items() if "layers_2" in path]
    assert len(fresh) == 4
    assert not any(leaf.any() for leaf in fresh)
    after, _ = more.advance(wider, (X, Y), epochs=1)
    assert (after.params["layers_2"]["kernel"] != state.params["layers_2"]["kernel"]).all()
    np.testing.assert_array_equal(after.params["layers_0"]["kernel"], state.params["layers_0"]["kernel"])


@pytest.mark.full
@pytest.mark.notes("X-18", "S1-79")
def test_gradual_unfreezing_from_pretrained_layers():
    """Stage by stage from the top; after the first the body is what was taken from the other network."""
    trainer = make()
    donor = make().init(jax.random.key(7), (X, Y)).params
    fresh = trainer.init(jax.random.key(0), (X, Y)).params
    params = from_pretrained(fresh, donor, ["layers_0", "layers_2"])
    state = start_from(trainer, jax.random.key(0), (X, Y), params)
    stages = [top_layers(params, 1), top_layers(params, 2), None]
    assert stages[1] == {"layers_0": False, "layers_2": True, "layers_4": True}
    _, first, _ = gradual_unfreezing(trainer, state, stages[:1], (X, Y), epochs=2)
    np.testing.assert_array_equal(first.params["layers_2"]["kernel"], donor["layers_2"]["kernel"])
    last, end, history = gradual_unfreezing(trainer, state, stages, (X, Y), epochs=[2, 1, 1])
    assert last.trainable is None
    assert history["loss"].shape == (4,)
    assert (end.params["layers_0"]["kernel"] != donor["layers_0"]["kernel"]).all()
    with pytest.raises(ValueError, match="expected 3: one a stage"):
        gradual_unfreezing(trainer, state, stages, (X, Y), epochs=[1])
    with pytest.raises(ValueError, match=r"start_from\(params\) has the shapes"):
        start_from(trainer, jax.random.key(0), (X, Y), {**params, "layers_4": donor["layers_2"]})


def test_discriminative_rates_scale_the_steps():
    """One step of gradient descent: each layer's change is what it would be, times its factor."""
    full = make(batch_size=16)

    @jax.jit
    def steps(factor):
        state = full.init(jax.random.key(0), (X, Y))
        rates = layerwise_rates(discriminative_rates(state.params, factor))
        slow = replace(full, optimizer=chain(sgd(0.1), rates))
        begin = slow.init(jax.random.key(0), (X, Y))
        moved = [t.advance(s, (X, Y), epochs=1)[0].params for t, s in ((full, state), (slow, begin))]
        return [jax.tree.map(jnp.subtract, after, state.params) for after in moved]

    whole, scaled = steps(2.0)
    for name, factor in (("layers_0", 0.25), ("layers_2", 0.5), ("layers_4", 1.0)):
        np.testing.assert_allclose(
            scaled[name]["kernel"], factor * np.asarray(whole[name]["kernel"]), rtol=1e-3, atol=1e-7
        )


@pytest.mark.notes("S1-79", "X-18")
def test_the_four_cases():
    plans = [[transfer_plan(similar, little).trains for little in (True, False)] for similar in (True, False)]
    assert plans == [["head", "top layers"], ["probes", "most layers"]]
    assert transfer_plan(True, True).rate == 0 < transfer_plan(True, False).rate < 1
