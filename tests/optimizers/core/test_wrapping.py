"""What wrappers pass on: whether a step is taken, and in which precision."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxopt_notes.optimizers.core.wrapping import narrowed, select, update_inner, widened


class Counting:
    """An optimizer that counts, made by others: it knows nothing of steps that are not accepted."""

    def update(self, updates, state, params=None, **extra):
        assert "accept" not in extra
        return jax.tree.map(lambda u: -u, updates), state + extra.get("by", 1)


class Gated(Counting):
    gated = True

    def update(self, updates, state, params=None, *, accept=None, **extra):
        new, after = super().update(updates, state, params, **extra)
        return select(accept, new, jax.tree.map(jnp.zeros_like, updates)), select(accept, after, state)


@pytest.mark.parametrize("optimizer", [Counting(), Gated()], ids=["others", "ours"])
def test_a_step_that_is_not_accepted_moves_nothing_whoever_made_the_optimizer(optimizer):
    updates, state, params = {"w": jnp.ones(2)}, jnp.array(3), {"w": jnp.zeros(2)}
    for accept, moved, count in ((None, -1, 5), (jnp.array(True), -1, 5), (jnp.array(False), 0, 3)):
        found, after = update_inner(optimizer, updates, state, params, accept, {"by": 2})
        np.testing.assert_array_equal(found["w"], moved)
        assert after == count


def test_half_precision_is_widened_and_narrowed_again():
    tree = {"h": jnp.ones(2, jnp.bfloat16), "s": jnp.ones(2), "n": jnp.arange(2), "none": None}
    wide = widened(tree)
    assert [wide[name].dtype for name in ("h", "s", "n")] == [jnp.float32, jnp.float32, jnp.int32]
    narrow = narrowed(wide, tree)
    assert [narrow[name].dtype for name in ("h", "s", "n")] == [jnp.bfloat16, jnp.float32, jnp.int32]
    assert narrow["none"] is None
