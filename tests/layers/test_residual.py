"""Residual connections: values and the Jacobian I + J."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxopt_notes.initializers import constant, zeros
from jaxopt_notes.layers import batch_norm, dense, dropout, repeat, residual, serial
from tests.compiled import apply, grad, init


@pytest.mark.notes("S3-50", "S0-39")
def test_the_jacobian_is_the_identity_and_the_branchs(x64, key):
    rng = np.random.default_rng(0)
    x, w, v = rng.normal(size=3), rng.normal(size=(3, 3)), rng.normal(size=(3, 3))
    plain = residual(serial(dense(3, use_bias=False), jnp.tanh))
    projected = residual(serial(dense(3, use_bias=False), jnp.tanh), dense(3, use_bias=False))
    params = {"layer": {"layers_0": {"kernel": w}}, "shortcut": {"kernel": v}}

    @jax.jit
    def jacobians(x):
        return [
            jax.jacrev(lambda x, layer=layer: apply(layer, params, (), x)[0])(x)
            for layer in (plain, projected)
        ]

    inner = ((1 - np.tanh(x @ w) ** 2)[:, None]) * w.T
    found = jacobians(x)
    np.testing.assert_allclose(found[0], np.eye(3) + inner, rtol=1e-12)
    np.testing.assert_allclose(found[1], v.T + inner, rtol=1e-12)


@pytest.mark.notes("S3-50", "S0-39", "S0-31")
def test_gradients_through_a_hundred_layers(key):
    """Layers of gain 0.5 let nothing through; with a way around, and branches at 0, all gets through."""
    plain = repeat(dense(4, use_bias=False, kernel_init=constant(0.125)), 100)
    around = repeat(residual(dense(4, use_bias=False, kernel_init=zeros())), 100)

    @jax.jit
    def gradients(x):
        outputs = []
        for model in (plain, around):
            params, _ = init(model, key, x)
            outputs.append(
                grad(lambda x, model=model, params=params: apply(model, params, (), x)[0].sum())(x)
            )
        return outputs

    vanished, kept = gradients(jnp.ones((1, 4)))
    np.testing.assert_allclose(vanished, np.full((1, 4), 0.5**100), rtol=1e-5)
    np.testing.assert_array_equal(kept, np.ones((1, 4)))


def test_names_states_and_draws(key):
    """The branch draws from key 0 and the way around from key 1; both keep a state."""
    layer = residual(serial(batch_norm(), dropout(0.5)), serial(dense(3), batch_norm(), dropout(0.5)))
    x = jax.random.normal(key, (6, 3))
    params, state = init(layer, key, x)
    assert (set(params), set(state)) == ({"layer", "shortcut"}, {"layer", "shortcut"})
    y, after = apply(layer, params, state, x, key=key, train=True)
    parts, kept = {}, {}
    for i, name in enumerate(("layer", "shortcut")):
        child, own = getattr(layer, name), jax.random.fold_in(key, i)
        again, _ = init(child, own, x)
        jax.tree.map(np.testing.assert_array_equal, again, params[name])
        parts[name], kept[name] = apply(child, params[name], state[name], x, key=own, train=True)
    np.testing.assert_allclose(y, parts["layer"] + parts["shortcut"], rtol=1e-6)
    jax.tree.map(np.testing.assert_array_equal, after, kept)


def test_errors(key):
    with pytest.raises(ValueError, match=r"turns \(2, 4\) into \(2, 1\), its shortcut gives \(2, 4\)"):
        apply(residual(dense(1)), {"layer": {"kernel": jnp.ones((4, 1))}}, (), jnp.ones((2, 4)))
    with pytest.raises(TypeError, match=r"residual\(shortcut\) is 3"):
        residual(dense(4), 3)
