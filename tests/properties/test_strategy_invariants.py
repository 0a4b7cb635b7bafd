"""Every search strategy × the invariants of asking and telling."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxopt_notes.search.names import RESERVED
from tests.properties.registry import cases, space

FRESH = {"hyperband": 8}  # 6 in its first bracket, 2 in its last


@pytest.fixture(params=cases("strategies"), ids=str)
def strategy(request):
    return request.param.build()


def test_configurations_are_columns_within_the_space(strategy, key):
    state = strategy.init(key, space())
    configs = {name: np.asarray(column) for name, column in strategy.ask(state, key, 3)[0].items()}
    assert set(configs) - set(RESERVED) == set(space())
    assert all(column.shape == (3,) for column in configs.values())
    assert ((configs["rate"] >= 1e-3 * (1 - 1e-6)) & (configs["rate"] <= 1e-1 * (1 + 1e-6))).all()
    assert np.issubdtype(configs["depth"].dtype, np.integer)
    assert set(np.unique(configs["depth"])) <= {1, 2, 3, 4}


def test_it_is_a_function_of_its_arguments(strategy, key):
    """Asking changes no state but the one returned; the same key draws the same."""
    state = strategy.init(key, space())
    first, _ = strategy.ask(state, key, 3)
    again, after = strategy.ask(state, key, 3)
    jax.tree.map(np.testing.assert_array_equal, first, again)
    assert jax.tree.structure(after) == jax.tree.structure(state)
    told = strategy.tell(after, first, jnp.array([0.1, jnp.nan, 0.3]))
    assert jax.tree.structure(told) == jax.tree.structure(state)


@pytest.mark.full
def test_what_remains_is_what_it_wants(strategy, request, key):
    """Asked for all it wants, in batches, it ends at 0, and no two fresh configurations are the same."""
    state, found, epochs = strategy.init(key, space()), [], []
    while wanted := strategy.remaining(state):
        key, own = jax.random.split(key)
        configs, state = strategy.ask(state, own, min(wanted, 4))
        state = strategy.tell(state, configs, jnp.zeros(min(wanted, 4)))
        parents = configs.get("parent", jnp.full(len(configs["rate"]), -1)).tolist()
        rows = zip(configs["rate"].tolist(), configs["depth"].tolist(), parents, strict=True)
        found += [row for row in rows if row[2] < 0]
        if "epochs" in configs:  # a run is continued: an earlier trial's, and for longer
            goals = configs["epochs"].tolist()
            before = [0 if parent < 0 else epochs[parent] for parent in parents]
            assert all(now > then for now, then in zip(goals, before, strict=True))
            epochs += goals
    assert len(found) == len(set(found)) == FRESH.get(request.node.callspec.params["strategy"].name, 6)
