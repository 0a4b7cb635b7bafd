"""Leaves that share buffers: the same training, in a few loops and kernels instead of hundreds."""

import importlib.util
import os
import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

import jaxopt_notes as jn
from benchmarks.counts import count
from benchmarks.shapes import tiny_leaves
from jaxopt_notes.optimizers import OPTIMIZERS, TRANSFORMS
from jaxopt_notes.optimizers.wrappers.flatten_tree import Joined

PARAMS = {
    "large": np.linspace(-1, 1, 12, dtype=np.float32).reshape(3, 4),
    "kernel": np.linspace(-2, 2, 6, dtype=np.float32).reshape(2, 3),
    "bias": np.array([0.5, -0.5, 2.0], np.float32),
    "half": np.asarray(jnp.array([0.5, 1.5], jnp.bfloat16)),
    "scale": np.float32(1.5),
    "count": np.arange(3),
    "none": None,
}
RECIPE = jn.skip_nonfinite(
    jn.chain(jn.clip_by_global_norm(0.7), jn.add_l2(0.2), jn.adamw(0.1, weight_decay=0.3))
)
ELEMENTWISE = {
    name: factory() for name, factory in (OPTIMIZERS | TRANSFORMS).items()
    if name != "reduce_on_plateau" and getattr(factory(), "elementwise", False)
}  # fmt: skip


def train(optimizer, steps=3, spoil=None):
    """Parameters and state after some steps, with a gradient of NaN at one of them."""

    def step(carry, i):
        params, state = carry
        grads = jax.tree.map(lambda p: jnp.sin(3 * p + i.astype(p.dtype)) if p.dtype != int else p, params)
        if spoil is not None:
            grads["bias"] = jnp.where(i == spoil, jnp.nan, grads["bias"])
        updates, state = optimizer.update(grads, state, params)
        return (jn.apply_updates(params, updates), state), None

    params = jax.tree.map(jnp.asarray, PARAMS)
    return lax.scan(step, (params, optimizer.init(params)), jnp.arange(float(steps), dtype=jnp.float32))[0]


def assert_close(a, b):
    assert jax.tree.structure(a) == jax.tree.structure(b)
    wide = lambda x: np.asarray(x, np.float32)  # noqa: E731
    jax.tree.map(lambda x, y: np.testing.assert_allclose(wide(x), wide(y), rtol=2e-6, atol=1e-7), a, b)


def test_training_in_groups_is_training():
    """Clipping, decay of weights only, a step that is left out, three dtypes, a leaf that is too large."""
    optimizer = jn.grouped(RECIPE, 6)
    both = jax.jit(lambda: (train(RECIPE, spoil=1), train(optimizer, spoil=1)))
    (params, state), (params_of_groups, joined) = both()
    assert_close(params_of_groups, params)
    assert_close(optimizer.mirrored(joined), state)
    mu = joined.inner[2].mu
    assert {name: x.shape for name, x in mu.buffers.items()} == {"float32": (10,), "bfloat16": (2,)}
    assert mu.others[1].shape == (3, 4)
    assert int(joined.skipped) == 1


def test_states_of_either_form_are_read_for_the_other():
    optimizer = jn.grouped(RECIPE, 6)
    params = jax.tree.map(jnp.asarray, PARAMS)
    number = lambda x: x + jnp.arange(x.size).reshape(x.shape).astype(x.dtype)  # noqa: E731
    marked = jax.tree.map(number, RECIPE.init(params))
    joined = optimizer.joined(marked, params)
    assert jax.tree.structure(joined) == jax.tree.structure(optimizer.init(params))
    jax.tree.map(np.testing.assert_array_equal, optimizer.mirrored(joined), marked)


def test_a_missing_gradient_moves_nothing_of_its_leaf():
    optimizer, params = jn.adam(0.1), {"a": jnp.ones(2), "b": jnp.ones(3)}
    one, other = jn.grouped(optimizer), optimizer
    state = [optimizer.init(params) for optimizer in (one, other)]
    for grads in ({"a": jnp.ones(2), "b": jnp.ones(3)}, {"a": None, "b": jnp.ones(3)}):
        found, state[0] = one.update(grads, state[0], params)
        wanted, state[1] = other.update(grads, state[1], params)
    assert found["a"] is None
    assert_close(found, wanted)
    assert isinstance(state[0].mu, Joined)
    assert_close(one.mirrored(state[0]), state[1])


def test_a_guard_looks_at_the_joined_gradient_once():
    optimizer, params = jn.skip_nonfinite(jn.grouped(jn.adam())), {"a": jnp.ones(2), "b": jnp.ones(3)}
    state = optimizer.init(params)
    update = jax.make_jaxpr(optimizer.update)(params, state, params)
    assert str(update).count("is_finite") == 1


def test_rules_that_look_at_whole_leaves_are_refused():
    for whole in (jn.lamb(), jn.muon(), jn.chain(jn.adam(), jn.clip_by_norm(1.0))):
        with pytest.raises(TypeError, match="every entry by itself"):
            jn.grouped(whole)


@pytest.mark.full
@pytest.mark.parametrize("name", ELEMENTWISE)
def test_what_is_called_elementwise_is(name):
    rule = ELEMENTWISE[name]
    optimizer = jn.grouped(rule, 6)
    (params, state), (params_of_groups, joined) = jax.jit(lambda: (train(rule), train(optimizer)))()
    assert_close(params_of_groups, params)
    assert_close(optimizer.mirrored(joined), state)


@pytest.mark.full
@pytest.mark.usefixtures("compiled_as_for_users")
def test_tiny_leaves_have_a_loop_instead_of_one_for_each_slot():
    one, other = (count(optimizer, tiny_leaves(200)) for optimizer in (jn.grouped(jn.adam()), jn.adam()))
    assert one.fusions < other.fusions / 2
    assert (one.leaf_copies, one.unaliased) == (0, 0)


def in_a_process(code, **environment):
    environment = {**os.environ, "JAX_PLATFORMS": "cpu", **environment}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]


@pytest.mark.full
@pytest.mark.skipif(importlib.util.find_spec("jax_cuda12_plugin") is None, reason="needs the CUDA plugin")
def test_kernels_on_a_gpu():
    """Compiled ahead of time for an H100."""
    in_a_process("""
import jaxopt_notes as jn
from benchmarks.accelerators import kernels
from benchmarks.shapes import resnet50
from benchmarks.update import ours
for name, most in (("adam", 30), ("clip + adamw + schedule", 45)):
    found = kernels(jn.grouped(ours()[name], 2**20), resnet50())
    assert found.kernels <= most, (name, found)
    assert (found.leaf_copies, found.unaliased) == (0, 0), (name, found)
""", XLA_FLAGS="--xla_gpu_autotune_level=0")  # fmt: skip
