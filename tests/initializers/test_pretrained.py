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
