"""Draws made as one vector."""

import importlib.util
import os
import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxopt_notes import draws
from jaxopt_notes.draws import as_vector
from jaxopt_notes.initializers import he_normal

DRAWS = {
    "normal": jax.random.normal,
    "bits": lambda key, shape: jax.random.bits(key, shape, jnp.uint8),
    "half": lambda key, shape: jax.random.uniform(key, shape, jnp.float16),
    "keys": lambda key, shape: jax.random.key_data(jax.random.split(key, shape)),
}
SHAPES = [(2, 3), (5,), (), (2, 1, 3), (0, 4)]


@pytest.mark.parametrize("partitionable", [True, False])
def test_threefry_draws_the_same_numbers(partitionable):
    @jax.jit
    @jax.vmap
    def both(key):
        plain = {name: [draw(key, shape) for shape in SHAPES] for name, draw in DRAWS.items()}
        vector = {
            name: [
                as_vector(lambda own: jax.random.split(key, own), shape)
                if name == "keys"
                else as_vector(lambda own: draw(key, own), shape)  # noqa: B023
                for shape in SHAPES
            ]
            for name, draw in DRAWS.items()
        }
        return plain, vector | {"keys": list(map(jax.random.key_data, vector["keys"]))}

    with jax.threefry_partitionable(partitionable):
        plain, vector = both(jax.random.split(jax.random.key(3), 2))
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-6, atol=0), plain, vector)


def test_large_arrays_keep_their_shape(monkeypatch):
    monkeypatch.setattr(draws, "MOST", 6)
    seen = []
    for shape in [(2, 3), (7, 1), (9,)]:
        as_vector(lambda own: seen.append(own) or np.zeros(own), shape)
    assert seen == [(6,), (7, 1), (9,)]


def test_no_narrow_loop_is_compiled_for_a_kernel():
    keys = jax.eval_shape(lambda: jax.random.split(jax.random.key(0), 8))
    text = jax.jit(jax.vmap(lambda key: he_normal()(key, (64, 10)))).lower(keys).compile().as_text()
    assert "u32[8,640]" in text
    assert "u32[8,64,10]" not in text


@pytest.mark.full
@pytest.mark.skipif(importlib.util.find_spec("libtpu") is None, reason="needs libtpu")
def test_a_vector_takes_fewer_fusions_on_a_tpu():
    """Compiled ahead of time for a v5e, in a process of its own: the mask of dropout of eight members."""
    code = """
import re
import jax
from jax.sharding import SingleDeviceSharding
from benchmarks.counts import tpu_device
from jaxopt_notes.layers import dropout_mask

def counts(mask):
    keys = jax.eval_shape(lambda: jax.random.split(jax.random.key(0), 8))
    keys = jax.ShapeDtypeStruct(keys.shape, keys.dtype, sharding=SingleDeviceSharding(tpu_device("v5e:2x2")))
    compiled = jax.jit(jax.vmap(mask)).lower(keys).compile()
    text = compiled.as_text()
    fusions = len(re.findall(r"fusion[(]", text[text.index("ENTRY "):]))
    return fusions, compiled.cost_analysis()["bytes accessed"]

vector = counts(lambda key: dropout_mask(key, 0.5, (32, 64)))
shaped = counts(lambda key: jax.random.bernoulli(key, 0.5, (32, 64)))
assert vector[0] < shaped[0] and vector[1] <= shaped[1], (vector, shaped)
"""
    environment = {**os.environ, "JAX_PLATFORMS": "cpu", "TPU_SKIP_MDS_QUERY": "1", "XLA_FLAGS": ""}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]
