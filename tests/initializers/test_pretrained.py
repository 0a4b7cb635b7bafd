"""Parameters of one network as the start of another."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxopt_notes as jn
from jaxopt_notes.initializers import from_pretrained


def network(*widths):
    return jn.mlp([*widths], activation="tanh")


@pytest.mark.notes("S2-18", "S3-46")
def test_shared_leaves_are_equal_and_the_rest_random(key):
    x = jnp.ones((1, 5))
    shallow, _ = network(4, 4, 2).init(key, x)
    deep, _ = network(4, 4, 4, 2).init(jax.random.key(1), x)
    grown = from_pretrained(deep, shallow, select=lambda name: name.split("/")[0] in ("layers_0", "layers_2"))
    for layer in grown:
        same = layer in ("layers_0", "layers_2")
        kernel = grown[layer]["kernel"]
        np.testing.assert_array_equal(kernel, (shallow if same else deep)[layer]["kernel"])
        if same:
            assert not jnp.array_equal(kernel, deep[layer]["kernel"])


@pytest.mark.full
@pytest.mark.notes("S3-46")
def test_a_pretrained_start_needs_fewer_steps(key):
    """Trained on one half of the digits, the first layer helps on the other half."""
    x, y = jn.digits()
    x = x / 16
    halves = [(x[::2], y[::2]), (x[1::2], y[1::2])]
    trainer = jn.Trainer(jn.mlp([32, 10]), jn.sgd(0.2), jn.softmax_cross_entropy, batch_size=64)
    source, _ = trainer.advance(trainer.init(key, halves[0]), halves[0], epochs=20)

    def loss_after(start):
        state = trainer.init(jax.random.key(1), halves[1])
        if start is not None:
            params = from_pretrained(state.params, start, select=lambda name: name.startswith("layers_0"))
            state = state._replace(learner=state.learner._replace(params=params))
        _, history = trainer.advance(state, halves[1], epochs=3)
        return float(history["loss"][-1])

    assert loss_after(source.params) < 0.8 * loss_after(None)


def test_what_does_not_fit_is_said():
    params = {"a": jnp.zeros(2), "b": jnp.zeros(3)}
    with pytest.raises(ValueError, match=r"b has shape \(4,\) in source and \(3,\)"):
        from_pretrained(params, {"b": jnp.ones(4)})
    with pytest.raises(ValueError, match="no leaf 'b'"):
        from_pretrained(params, {"a": jnp.ones(2)}, select=lambda name: name == "b")
    with pytest.raises(ValueError, match="took no leaf"):
        from_pretrained(params, {"c": jnp.ones(2)})


def test_keeps_dtypes():
    out = from_pretrained({"a": jnp.zeros(2, jnp.bfloat16)}, {"a": np.ones(2)})
    assert out["a"].dtype == jnp.bfloat16


@pytest.mark.notes("S3-46", "S2-18")
def test_the_first_layers_are_counted_by_number():
    """Layer 2 is before layer 10; what else is there stays, also if the source does not have it."""
    source = {f"layers_{i}": {"kernel": jnp.full(2, float(i + 1))} for i in (0, 2, 10)}
    params = {f"layers_{i}": {"kernel": jnp.zeros(2)} for i in (0, 2, 10, 11)}
    taken = {
        name: float(leaf["kernel"][0]) for name, leaf in from_pretrained(params, source, first=2).items()
    }
    assert taken == {"layers_0": 1, "layers_2": 3, "layers_10": 0, "layers_11": 0}
    both = from_pretrained(params, source, lambda name: name.startswith("layers_2"), first=2)
    assert [float(leaf["kernel"][0]) for leaf in both.values()] == [0, 0, 0, 3]  # 0, 10, 11, 2


def test_paths_by_their_beginning():
    source = {"layers_1": {"kernel": jnp.ones(1)}, "layers_10": {"kernel": jnp.ones(1)}, "head": jnp.ones(1)}
    params = jax.tree.map(jnp.zeros_like, source)
    taken = from_pretrained(params, source, "layers_1")
    assert [float(leaf[0]) for leaf in jax.tree.leaves(taken)] == [0, 1, 0]
    taken = from_pretrained(params, source, ["layers_1/kernel", "head"])
    assert [float(leaf[0]) for leaf in jax.tree.leaves(taken)] == [1, 1, 0]


@pytest.mark.notes("S3-46")
def test_leaves_of_other_shapes():
    """More classes: the known ones are taken; fewer channels: by a function; or all of it left alone."""
    source = {"kernel": jnp.arange(6.0).reshape(3, 2), "bias": jnp.ones(2)}
    params = {"kernel": jnp.full((2, 3), -1.0), "bias": jnp.ones(2) * 5}
    cropped = from_pretrained(params, source, adapt="crop")
    np.testing.assert_array_equal(cropped["kernel"], [[0, 1, -1], [2, 3, -1]])
    skipped = from_pretrained(params, source, adapt="skip")
    np.testing.assert_array_equal(skipped["kernel"], params["kernel"])
    np.testing.assert_array_equal(skipped["bias"], source["bias"])
    transposed = from_pretrained(params, source, adapt=lambda name, theirs, ours: theirs.T)
    np.testing.assert_array_equal(transposed["kernel"], source["kernel"].T)
    with pytest.raises(ValueError, match=r"kernel has shape \(1,\) adapt made and \(2, 3\) in params"):
        from_pretrained(params, source, adapt=lambda name, theirs, ours: jnp.ones(1))
    with pytest.raises(ValueError, match=r"kernel has shape \(3,\) in source"):
        from_pretrained(params, {"kernel": jnp.ones(3)}, adapt="crop")
    with pytest.raises(ValueError, match=r"adapt\) is 'resize'"):
        from_pretrained(params, source, adapt="resize")
    with pytest.raises(ValueError, match="took no leaf"):
        from_pretrained({"kernel": jnp.ones((2, 3))}, source, adapt="skip")
