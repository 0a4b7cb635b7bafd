"""Whatever is registered makes states that can be donated: every buffer once, and none of another's."""

import jax
import jax.numpy as jnp
import pytest

from tests.properties.registry import inputs, params, space, subjects

STATEFUL = ("optimizers", "transforms", "wrappers", "aggregations", "solvers", "layers", "strategies")


def fresh(subject, record):
    """A first state, and what it was made of."""
    if subject.family == "layers":
        x = inputs(subject)
        return record.init(jax.random.key(0), x), x
    if subject.family == "strategies":
        return record.init(jax.random.key(0), space()), None
    tree = params(jnp.float32)
    return record.init(tree), tree


def buffers(tree):
    """Where the arrays of a tree are, with their paths."""
    found = []
    for path, leaf in jax.tree.leaves_with_path(tree):
        if isinstance(leaf, jax.Array) and leaf.size:
            is_key = jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key)
            data = jax.random.key_data(leaf) if is_key else leaf
            found.append((data.unsafe_buffer_pointer(), jax.tree_util.keystr(path)))
    return found


@pytest.mark.full
@pytest.mark.parametrize("subject", subjects(*STATEFUL), ids=str)
def test_a_fresh_state_can_be_donated(subject):
    as_array = lambda leaf: jnp.asarray(leaf) if isinstance(leaf, float) else leaf  # noqa: E731
    record = jax.tree.map(as_array, subject.build())
    state, given = fresh(subject, record)
    owners = {}
    for address, path in buffers({"state": state, "given": given, "record": record}):
        assert owners.setdefault(address, path) == path, f"{path} is {owners[address]}"
    jax.jit(lambda state: jax.tree.map(jnp.copy, state), donate_argnums=0)(state)
    for leaf in jax.tree.leaves((given, record)):
        assert not (isinstance(leaf, jax.Array) and leaf.is_deleted())
