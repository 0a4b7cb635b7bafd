"""Trees held flat: the same leaves, the same training, a few loops instead of thousands."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

import jaxopt_notes as jn
from jaxopt_notes.optimizers import flatten_tree

TREE = {
    "layers": [{"kernel": jnp.arange(6.0).reshape(2, 3), "bias": jnp.ones(3)}, {"scale": jnp.ones(())}],
    "half": jnp.full((2, 2), 0.5, jnp.bfloat16),
    "count": jnp.arange(3),
    "none": None,
    "empty": jnp.zeros((0, 4)),
}


def test_packing_and_cutting_are_inverse():
    flat = flatten_tree(TREE)
    assert {name: x.size for name, x in flat.buffers.items()} == {"float32": 10, "bfloat16": 4}
    again = flat.tree()
    assert jax.tree.structure(again) == jax.tree.structure(TREE)
    jax.tree.map(np.testing.assert_array_equal, again, TREE)
    assert jax.tree.map(jnp.result_type, again) == jax.tree.map(jnp.result_type, TREE)


def test_a_gradient_is_flat_and_right():
    tree = {name: TREE[name] for name in ("layers", "empty")}

    def loss(tree):
        return sum(jnp.sum(jnp.sin(leaf) * (i + 1.0)) for i, leaf in enumerate(jax.tree.leaves(tree)))

    flat = jax.grad(lambda flat: loss(flat.tree()))(flatten_tree(tree))
    jax.tree.map(np.testing.assert_array_equal, flat.tree(), jax.grad(loss)(tree))


def test_training_flat_is_training(key):
    """With clipping, and decay of the weights only, through the buffers of their own."""
    x = jax.random.normal(key, (16, 2))
    params = TREE["layers"]

    def loss(params):
        first, second = params
        return jnp.mean((x @ first["kernel"] + first["bias"][None]) ** 2) * second["scale"]

    def train(params, view, mask):
        optimizer = jn.chain(jn.clip_by_global_norm(0.5), jn.adamw(0.1, weight_decay=0.3, mask=mask))

        def body(carry, _):
            params, state = carry
            updates, state = optimizer.update(jax.grad(lambda p: loss(view(p)))(params), state, params)
            return (jn.apply_updates(params, updates), state), None

        return view(lax.scan(body, (params, optimizer.init(params)), length=20)[0][0])

    plain = train(params, lambda tree: tree, jn.weights_only)
    masked = jn.where_path(lambda name, leaf: name.endswith("masked"))
    flat = train(flatten_tree(params, jn.weights_only), lambda flat: flat.tree(), masked)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5), flat, plain)


@pytest.mark.full
@pytest.mark.usefixtures("compiled_as_for_users")
def test_a_thousand_leaves_are_one_loop():
    """The compiled update of the flat tree has a fixed number of loops, and copies nothing."""
    leaves = {f"p{i}": jax.ShapeDtypeStruct((20,), jnp.float32) for i in range(300)}
    optimizer = jn.adam()

    def step(params, state, grads):
        updates, state = optimizer.update(grads, state, params)
        return jn.apply_updates(params, updates), state

    def fusions(params):
        state = jax.eval_shape(optimizer.init, params)
        text = jax.jit(step, donate_argnums=(0, 1)).lower(params, state, params).compile().as_text()
        return text.count(" fusion(")

    assert fusions(jax.eval_shape(flatten_tree, leaves)) < 15
    assert fusions(leaves) >= 300


def test_it_is_vmapped_over_members():
    population = jax.tree.map(lambda x: jnp.stack([x, 2 * x]), TREE["layers"])
    flat = jax.vmap(flatten_tree)(population)
    assert flat.buffers["float32"].shape == (2, 10)
    jax.tree.map(np.testing.assert_array_equal, jax.vmap(lambda f: f.tree())(flat), population)


def test_a_mask_of_another_structure():
    with pytest.raises(ValueError, match="mask has 'b', expected 'a'"):
        flatten_tree({"a": jnp.ones(2)}, mask={"b": True})
